//! The sessions of an owner, by the index on the owner, and the scan of all records, by the key.

use async_trait::async_trait;
use session_core::Result;
use session_core::accounts::Owner;
use session_core::engine::{Cursor, Indexed, Page, Scan};
use session_sql::{Executed, MOVES, begin, contended, page};

use crate::MySqlProvider;
use crate::failure::ENGINE;
use crate::stored::Bound;

#[async_trait]
impl Indexed for MySqlProvider {
    /// One round trip.
    async fn list(&self, owner: &Owner, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let owner = owner.0;
        let key = begin(ENGINE, "list", after)?;
        let statement = || self.statements.list.query().bind(&owner[..]).bind(&key).bind(limit as u64);
        self.page("list", statement, limit).await
    }

    /// One round trip; on an application's own pool one more if nothing was found, since its
    /// connections may use `READ COMMITTED`.
    async fn end_owner(&self, owner: &Owner, limit: usize) -> Result<usize> {
        for _ in 0..MOVES {
            let statement = || self.statements.end_owner.query().bind(&owner.0[..]).bind(limit as u64);
            if let Executed::Rows(ended @ 1..) = self.client.execute("end_owner", statement).await? {
                return Ok(usize::try_from(ended).unwrap_or(limit));
            }
            // At a weaker isolation level a session whose key is replaced may be missed under both
            // keys.
            if !self.client.pool().is_given() {
                return Ok(0);
            }
            let left = self.list(owner, None, 1).await?;
            if left.sessions.is_empty() && left.next.is_none() {
                return Ok(0);
            }
        }
        Err(contended(ENGINE, "end_owner"))
    }
}

#[async_trait]
impl Scan for MySqlProvider {
    /// One round trip.
    async fn scan(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let key = begin(ENGINE, "scan", after)?;
        let statement = || self.statements.scan.query().bind(&key).bind(limit as u64);
        self.page("scan", statement, limit).await
    }
}

impl MySqlProvider {
    async fn page(
        &self,
        operation: &'static str,
        statement: impl Fn() -> Bound + Send + Sync,
        limit: usize,
    ) -> Result<Page> {
        let rows = self.client.fetch(operation, statement).await?;
        let row = |row| {
            let record = self.record(operation, row);
            Ok((self.column(operation, row, 2)?, record))
        };
        page(rows.iter().map(row).collect::<Result<_>>()?, limit)
    }
}
