//! Collects in small batches, so that requests are hardly delayed, and shrinks the file afterwards.

use std::time::Duration;

use session_core::Result;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Row as _};

use crate::connections::{Connections, Work};
use crate::failure::{Effect, failed, is_busy};

/// Rows removed by one statement: a millisecond or two.
pub(crate) const BATCH: usize = 50;

/// Pages moved by one statement: a millisecond or two.
const STEP: i64 = 64;

/// The maximum number of steps of a collection; the next one continues.
const STEPS: usize = 16;

/// The pause between two statements.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);

/// The empty pages that a file keeps for new sessions: a quarter of its pages, and at least 1 MiB.
/// A smaller file would only grow again.
const fn kept(pages: i64) -> i64 {
    let quarter = pages / 4;
    if quarter > 256 { quarter } else { 256 }
}

/// Removes surplus empty pages. Does nothing in a file created without `auto_vacuum`.
pub(crate) async fn shrink(connections: &Connections) -> Result<()> {
    for step in 0..STEPS {
        if step > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        // Held only for this step, so that others can write in between.
        let mut taken = connections.take("gc", Work::Write).await?;
        let cut = match taken.connection() {
            Ok(connection) => match cut(connection).await {
                // Another process is writing: a later collection continues.
                Err(error) if is_busy(&error) => Ok(false),
                cut => cut,
            },
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

/// Removes a few pages. Returns whether there may be more.
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
    /// The value of `PRAGMA auto_vacuum`.
    const INCREMENTAL: i64 = 2;
    let pages = "SELECT freelist_count, page_count, auto_vacuum \
                 FROM pragma_freelist_count, pragma_page_count, pragma_auto_vacuum";
    let row = sqlx::query(pages).fetch_one(connection).await?;
    let (free, pages, auto_vacuum): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(if auto_vacuum == INCREMENTAL { free - kept(pages) } else { 0 })
}
