//! Collecting a little at a time, so that requests hardly notice, and giving room back afterwards.

use std::time::Duration;

use session_core::Result;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Row as _};

use crate::connections::Connections;
use crate::failure::{Effect, failed};

/// How many rows one statement removes: a millisecond or two.
pub(crate) const BATCH: usize = 50;

/// How many pages one statement moves: a millisecond or two.
const STEP: i64 = 64;

/// How many steps a collection makes at most; the next one goes on.
const STEPS: usize = 16;

/// How long the database is left alone between two statements.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);

/// How many empty pages a file keeps for the sessions to come: a quarter of its pages, and 1 MiB at
/// least. A file that is cut to what it holds would only grow again.
const fn kept(pages: i64) -> i64 {
    let quarter = pages / 4;
    if quarter > 256 { quarter } else { 256 }
}

/// Cuts off empty pages beyond those that are kept. Does nothing in a file that was made without
/// `auto_vacuum`.
pub(crate) async fn shrink(connections: &Connections) -> Result<()> {
    for step in 0..STEPS {
        if step > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        // Only for this step, so that others can write in between.
        let mut taken = connections.take("gc", Effect::Write).await?;
        let cut = match taken.connection() {
            Ok(connection) => cut(connection).await,
            Err(error) => Err(error),
        };
        let more = cut.map_err(|error| {
            taken.failed(&error);
            failed("gc", Effect::Read, error)
        })?;
        if !more {
            break;
        }
    }
    Ok(())
}

/// Cuts off a few pages and says whether there may be more to cut.
async fn cut(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    let surplus = surplus(connection).await?;
    if surplus <= 0 {
        return Ok(false);
    }
    let vacuum = format!("PRAGMA incremental_vacuum({})", surplus.min(STEP));
    sqlx::query(AssertSqlSafe(vacuum)).persistent(false).execute(connection).await?;
    Ok(surplus > STEP)
}

async fn surplus(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    /// `PRAGMA auto_vacuum` says so.
    const INCREMENTAL: i64 = 2;
    let pages = "SELECT freelist_count, page_count, auto_vacuum \
                 FROM pragma_freelist_count, pragma_page_count, pragma_auto_vacuum";
    let row = sqlx::query(pages).fetch_one(connection).await?;
    let (free, pages, auto_vacuum): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(if auto_vacuum == INCREMENTAL { free - kept(pages) } else { 0 })
}
