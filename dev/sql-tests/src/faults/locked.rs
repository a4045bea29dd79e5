//! A row that somebody else holds.

use std::time::Duration;

use tokio::time::sleep;

use crate::records::{changed, create, id, is_stored, record, replace};
use crate::table::lock;
use crate::{Engine, Table};

pub async fn a_row_that_is_locked_for_a_moment_is_written_when_it_is_free<E: Engine>() {
    let (table, _) = Table::<E>::start("locked").await;
    let sessions = table.connect(&["lock_timeout=1s"]).await;
    let first = record("a");
    create(&sessions, &id("a"), &first).await;
    let mut lock = lock::<E>(table.url(), table.name()).await;
    let second = changed(&first, "b");
    let unlock = async {
        sleep(Duration::from_millis(1_500)).await;
        E::run(&mut lock, "COMMIT").await;
    };
    let id = id("a");
    let ((), written) = tokio::join!(unlock, replace(&sessions, &id, &first, &second));
    assert!(is_stored(&written), "it was sent once more");
}
