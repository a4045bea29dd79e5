//! The conformance tests through `PgBouncer`, in session and transaction mode.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::sync::Arc;

use session_conformance::{Harness, async_trait};
use session_core::Provider;
use session_core::id::StorageId;
use session_servers::compose::{self, Service};
use sqlx::{Connection, PgConnection};
use support::{connect, empty, schema_url};

/// A separate schema for each test, on the shared server, behind a pooler.
struct Pooled {
    name: String,
    pooler: Service,
}

impl Pooled {
    /// Named after the test.
    fn new(pooler: Service) -> Self {
        Self { name: session_servers::name_of_test("pooled"), pooler }
    }

    async fn through(&self) -> Arc<dyn Provider> {
        Arc::new(
            connect(&format!("{}?table={}.session&max_connections=4", self.pooler.address(), self.name))
                .await,
        )
    }
}

#[async_trait]
impl Harness for Pooled {
    async fn provider(&self) -> Arc<dyn Provider> {
        connect(&empty(&self.name).await).await.migrate().await.unwrap();
        self.through().await
    }

    async fn another(&self, _first: &Arc<dyn Provider>) -> Arc<dyn Provider> {
        self.through().await
    }

    async fn put_raw(&self, id: &StorageId, bytes: Vec<u8>) -> bool {
        let put = "INSERT INTO session (session_key, session_data, session_expiry) \
                   VALUES ($1, $2, now() + interval '1 hour') \
                   ON CONFLICT (session_key) DO UPDATE SET session_data = excluded.session_data, \
                   session_expiry = excluded.session_expiry";
        let mut connection = PgConnection::connect(&schema_url(&self.name)).await.unwrap();
        sqlx::query(put).bind(id.to_text()).bind(bytes).execute(&mut connection).await.unwrap();
        true
    }
}

mod whole_sessions {
    use super::{Pooled, compose};

    session_conformance::suite!(
        #[ignore = "needs a server: cargo xtask test"]
        Pooled::new(compose::PGBOUNCER_SESSION)
    );
}

mod transactions {
    use super::{Pooled, compose};

    session_conformance::suite!(
        #[ignore = "needs a server: cargo xtask test"]
        Pooled::new(compose::PGBOUNCER_TRANSACTION)
    );
}
