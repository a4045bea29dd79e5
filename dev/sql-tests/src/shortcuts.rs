//! The functions of this crate for one engine, whose own tests then need not name it.

/// Generates the functions that connect and that run SQL, for this [`Engine`](crate::Engine).
#[macro_export]
macro_rules! shortcuts {
    ($engine:ty) => {
        type Sessions = <$engine as $crate::Engine>::Provider;

        /// Creates a table for this name on the shared server; returns its URL and a provider.
        pub async fn start(name: &str) -> (String, Sessions) {
            let (table, sessions) = $crate::Table::<$engine>::start(name).await;
            (table.url().to_owned(), sessions)
        }

        /// A private server with the table.
        pub async fn start_private(settings: &[&str]) -> (<$engine as $crate::Engine>::Server, Sessions) {
            $crate::Table::<$engine>::private(settings).await
        }

        pub async fn connect(config: &str) -> Sessions {
            connect_result(config).await.unwrap()
        }

        pub async fn connect_result(config: &str) -> $crate::session_core::Result<Sessions> {
            <$engine as $crate::Engine>::connect(config).await
        }

        /// Runs statements without the provider.
        pub async fn sql(url: &str, statements: &str) {
            $crate::sql::<$engine>(url, statements).await;
        }

        /// The first column of every row, as text.
        pub async fn ask(url: &str, question: &str) -> Vec<String> {
            $crate::ask::<$engine>(url, question).await
        }
    };
}
