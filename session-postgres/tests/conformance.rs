//! The conformance tests on a real server.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::sync::Arc;

use session_conformance::{CutOff, Harness, async_trait};
use session_core::Provider;
use session_core::id::StorageId;
use sqlx::{Connection, PgConnection};
use support::{connect, empty};

/// A separate schema for each test, on the shared server.
struct OwnSchema {
    name: String,
}

impl OwnSchema {
    /// Named after the test.
    fn new() -> Self {
        Self { name: session_servers::name_of_test("suite") }
    }

    fn url(&self) -> String {
        support::schema_url(&self.name)
    }
}

#[async_trait]
impl Harness for OwnSchema {
    async fn provider(&self) -> Arc<dyn Provider> {
        empty(&self.name).await;
        let sessions = connect(&self.url()).await;
        sessions.migrate().await.unwrap();
        Arc::new(sessions)
    }

    async fn another(&self, _first: &Arc<dyn Provider>) -> Arc<dyn Provider> {
        Arc::new(connect(&self.url()).await)
    }

    async fn neighbour(&self) -> Option<Arc<dyn Provider>> {
        let name = format!("{}_n", self.name);
        empty(&name).await;
        let sessions = connect(&support::schema_url(&name)).await;
        sessions.migrate().await.unwrap();
        Some(Arc::new(sessions))
    }

    async fn cut_off(&self) -> Option<CutOff> {
        let (proxy, url) = support::behind_proxy(&self.url());
        Some(CutOff::new(Arc::new(connect(&url).await), move || proxy.lose_answers(1, b"")))
    }

    async fn put_raw(&self, id: &StorageId, bytes: Vec<u8>) -> bool {
        let put = "INSERT INTO session (session_key, session_data, session_expiry) \
                   VALUES ($1, $2, now() + interval '1 hour') \
                   ON CONFLICT (session_key) DO UPDATE SET session_data = excluded.session_data, \
                   session_expiry = excluded.session_expiry";
        let mut connection = PgConnection::connect(&self.url()).await.unwrap();
        sqlx::query(put).bind(id.to_text()).bind(bytes).execute(&mut connection).await.unwrap();
        true
    }
}

session_conformance::suite!(
    #[ignore = "needs a server: cargo xtask test"]
    OwnSchema::new()
);
session_conformance::histories!(
    #[ignore = "needs a server: cargo xtask test"]
    OwnSchema::new()
);
