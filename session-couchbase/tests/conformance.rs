//! What every engine must show, shown by this one: on a real Couchbase Server where containers run, else on CouchbaseMock.
#![allow(clippy::unwrap_used)] // the harness is test code too

use std::sync::Arc;

use session_conformance::{Harness, async_trait};
use session_core::{ConnectOptions, Provider};
use session_couchbase as _;
use session_servers::compose::COUCHBASE;

struct Couchbase;

impl Couchbase {
    async fn connect(&self) -> Arc<dyn Provider> {
        session_core::connect("couchbase", ConnectOptions::new(&COUCHBASE.address())).await.unwrap()
    }
}

#[async_trait]
impl Harness for Couchbase {
    async fn provider(&self) -> Arc<dyn Provider> {
        self.connect().await
    }

    async fn another(&self, _first: &Arc<dyn Provider>) -> Arc<dyn Provider> {
        self.connect().await
    }

    fn isolated(&self) -> bool {
        false
    }
}

session_conformance::suite!(
    #[ignore = "needs a server: cargo xtask test"]
    Couchbase
);
