//! Runs the conformance suite on a real server.
#![allow(clippy::unwrap_used)] // helpers are test code too

mod support;

use std::sync::Arc;

use session_conformance::{CutOff, Harness, async_trait};
use session_core::Provider;
use session_core::id::StorageId;
use session_servers::compose::{self, Service};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection};
use support::{connect, sql};

/// Each test has its own table on a shared server.
struct OwnTable {
    name: String,
    server: Service,
}

impl OwnTable {
    /// Named after the test.
    fn new(server: Service) -> Self {
        Self { name: session_servers::name_of_test("suite"), server }
    }

    fn place(&self) -> String {
        format!("{}?table={}", self.server.address(), self.name)
    }
}

#[async_trait]
impl Harness for OwnTable {
    async fn provider(&self) -> Arc<dyn Provider> {
        sql(&self.server.address(), &format!("DROP TABLE IF EXISTS {}", self.name)).await;
        let sessions = connect(&self.place()).await;
        sessions.migrate().await.unwrap();
        Arc::new(sessions)
    }

    async fn another(&self, _first: &Arc<dyn Provider>) -> Arc<dyn Provider> {
        Arc::new(connect(&self.place()).await)
    }

    async fn neighbour(&self) -> Option<Arc<dyn Provider>> {
        let server = self.server.address();
        let name = format!("{}_n", self.name);
        sql(&server, &format!("DROP TABLE IF EXISTS {name}")).await;
        let sessions = connect(&format!("{server}?table={name}")).await;
        sessions.migrate().await.unwrap();
        Some(Arc::new(sessions))
    }

    async fn cut_off(&self) -> Option<CutOff> {
        let (proxy, url) = support::behind_proxy(&self.place());
        Some(CutOff::new(Arc::new(connect(&url).await), move || proxy.lose_answers(1, b"")))
    }

    async fn put_raw(&self, id: &StorageId, bytes: Vec<u8>) -> bool {
        let put = format!(
            "REPLACE INTO {} (session_key, session_data, session_expiry) \
             VALUES (?, ?, (UNIX_TIMESTAMP() + 3600) * 1000)",
            self.name
        );
        let mut connection = MySqlConnection::connect(&self.place()).await.unwrap();
        sqlx::query(AssertSqlSafe(put))
            .bind(id.to_text())
            .bind(bytes)
            .execute(&mut connection)
            .await
            .unwrap();
        true
    }
}

session_conformance::suite!(
    #[ignore = "needs a server: cargo xtask test"]
    OwnTable::new(compose::MYSQL)
);
session_conformance::histories!(
    #[ignore = "needs a server: cargo xtask test"]
    OwnTable::new(compose::MYSQL)
);

/// On MySQL if it is available; otherwise once more on MariaDB.
mod mysql_itself {
    use super::{OwnTable, compose};

    session_conformance::suite!(
        #[ignore = "needs a server: cargo xtask test"]
        OwnTable::new(compose::MYSQL_ITSELF)
    );
}
