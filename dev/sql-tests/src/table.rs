//! The table of one test, and direct access to its rows.

use std::marker::PhantomData;

use session_servers::proxy::Proxy;
use sqlx::Connection;

use crate::{Engine, Server, behind_proxy};

/// A table of sessions that only one test uses.
pub struct Table<E> {
    url: String,
    name: String,
    engine: PhantomData<E>,
}

impl<E: Engine> Table<E> {
    /// Creates a table of this name on the shared server; returns a provider for it too.
    pub async fn start(name: &str) -> (Self, E::Provider) {
        let url = E::empty(name).await;
        let sessions = E::connect(&url).await.unwrap();
        E::migrate(&sessions).await.unwrap();
        (Self { url, name: E::table(name), engine: PhantomData }, sessions)
    }

    /// Creates a table on the shared server, behind a proxy. Connects with these options, without
    /// TLS.
    pub async fn behind_proxy(name: &str, options: &[&str]) -> (Proxy, E::Provider) {
        let (proxy, url) = Self::url_behind_proxy(name).await;
        let sessions = E::connect(&with(&url, options)).await.unwrap();
        (proxy, sessions)
    }

    /// Creates a table on the shared server; returns a proxy, and the URL through it, without TLS.
    pub async fn url_behind_proxy(name: &str) -> (Proxy, String) {
        let (table, _) = Self::start(name).await;
        let (proxy, url) = behind_proxy(&table.url);
        (proxy, with(&url, &[E::DIALECT.without_tls]))
    }

    /// A private server with a table `session`, and a provider for it.
    pub async fn private(settings: &[&str]) -> (E::Server, E::Provider) {
        let server = E::Server::start_with(settings);
        let sessions = E::connect(&server.url()).await.unwrap();
        E::migrate(&sessions).await.unwrap();
        (server, sessions)
    }

    /// The URL, with the table in it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The name in SQL.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Connects with further options.
    pub async fn connect(&self, options: &[&str]) -> E::Provider {
        E::connect(&with(&self.url, options)).await.unwrap()
    }

    /// Runs statements without the provider.
    pub async fn sql(&self, statements: &str) {
        sql::<E>(&self.url, statements).await;
    }

    /// The first column of every row, as text.
    pub async fn ask(&self, question: &str) -> Vec<String> {
        ask::<E>(&self.url, question).await
    }
}

/// The URL with further options.
pub fn with(url: &str, options: &[&str]) -> String {
    options.iter().fold(url.to_owned(), |url, option| {
        let separator = if url.contains('?') { '&' } else { '?' };
        format!("{url}{separator}{option}")
    })
}

/// Locks every row of a table until the connection runs `COMMIT`.
pub(crate) async fn lock<E: Engine>(url: &str, table: &str) -> E::Connection {
    let mut connection = E::Connection::connect(url).await.unwrap();
    E::run(&mut connection, &format!("BEGIN; SELECT * FROM {table} FOR UPDATE")).await;
    connection
}

/// Runs statements without the provider.
pub async fn sql<E: Engine>(url: &str, statements: &str) {
    let mut connection = E::Connection::connect(url).await.unwrap();
    E::run(&mut connection, statements).await;
    connection.close().await.unwrap();
}

/// The first column of every row, as text.
pub async fn ask<E: Engine>(url: &str, question: &str) -> Vec<String> {
    let mut connection = E::Connection::connect(url).await.unwrap();
    let rows = E::rows(&mut connection, question).await;
    connection.close().await.unwrap();
    rows
}
