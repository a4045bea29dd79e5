//! The sessions of an owner, by the index on owner and key, and the scan of all records, by the
//! key.

use async_trait::async_trait;
use session_core::Result;
use session_core::accounts::Owner;
use session_core::engine::{Cursor, Indexed, Page, Scan};
use session_sql::{begin, page};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::connections::Work;
use crate::failure::{Effect, failed};
use crate::stored::Bound;
use crate::writes::Changed;
use crate::{ENGINE, SqliteProvider};

#[async_trait]
impl Indexed for SqliteProvider {
    /// One statement.
    async fn list(&self, owner: &Owner, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let query = self.statements.list.query().bind(owner.0.to_vec()).bind(begin(ENGINE, "list", after)?);
        self.page("list", query.bind(self.now()).bind(number(limit)), limit).await
    }

    /// One statement, the only writer while it runs.
    async fn end_owner(&self, owner: &Owner, limit: usize) -> Result<usize> {
        let query = self.statements.end_owner.query().bind(owner.0.to_vec()).bind(number(limit));
        match self.change("end_owner", query).await? {
            Changed::Rows(ended) => Ok(usize::try_from(ended).unwrap_or(limit)),
            Changed::Nothing => Ok(0),
        }
    }
}

#[async_trait]
impl Scan for SqliteProvider {
    /// One statement.
    async fn scan(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let query = self.statements.scan.query().bind(begin(ENGINE, "scan", after)?).bind(number(limit));
        self.page("scan", query, limit).await
    }
}

impl SqliteProvider {
    async fn page(&self, operation: &'static str, query: Bound, limit: usize) -> Result<Page> {
        let broken = |error| failed(operation, Effect::Read, error);
        let mut taken = self.connections.take(operation, Work::Read).await?;
        let rows = match taken.connection() {
            Ok(connection) => query.fetch_all(connection).await,
            Err(error) => Err(error),
        };
        let rows = rows.map_err(|error| {
            taken.failed(&error);
            broken(error)
        })?;
        drop(taken);
        let row = |row: &SqliteRow| Ok((row.try_get(3).map_err(broken)?, self.record(operation, row)));
        page(rows.iter().map(row).collect::<Result<_>>()?, limit)
    }
}

fn number(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
