//! The sessions of an owner, by the index on owner and key, and the scan over all records, by the
//! key.

use async_trait::async_trait;
use session_core::Result;
use session_core::accounts::Owner;
use session_core::engine::{Cursor, Indexed, Page, Scan};
use session_sql::{Effect, MOVES, begin, contended, page};

use crate::PostgresProvider;
use crate::failure::ENGINE;
use crate::request::{Arg, Statement};

#[async_trait]
impl Indexed for PostgresProvider {
    /// One round trip.
    async fn list(&self, owner: &Owner, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let owner = owner.0;
        let key = begin(ENGINE, "list", after)?;
        let arguments = [Arg::Bytes(&owner), Arg::Text(&key), Arg::Number(number(limit))];
        self.page("list", &self.statements.list, &arguments, limit).await
    }

    /// One round trip; one more if all sessions that it saw got other ids or owners meanwhile.
    async fn end_owner(&self, owner: &Owner, limit: usize) -> Result<usize> {
        let owner = owner.0;
        for _ in 0..MOVES {
            let arguments = [Arg::Bytes(&owner), Arg::Number(number(limit))];
            let statement = || self.request(&self.statements.end_owner, &arguments);
            let rows = self.client.rows("end_owner", Effect::Write, statement).await?;
            let Some(row) = rows.first() else { return Ok(0) };
            let (ended, seen): (i64, i64) =
                (self.column("end_owner", row, 0)?, self.column("end_owner", row, 1)?);
            if ended > 0 || seen == 0 {
                return Ok(usize::try_from(ended).unwrap_or(0));
            }
        }
        Err(contended(ENGINE, "end_owner"))
    }
}

#[async_trait]
impl Scan for PostgresProvider {
    /// One round trip.
    async fn scan(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let key = begin(ENGINE, "scan", after)?;
        let arguments = [Arg::Text(&key), Arg::Number(number(limit))];
        self.page("scan", &self.statements.scan, &arguments, limit).await
    }
}

impl PostgresProvider {
    async fn page(
        &self,
        operation: &'static str,
        statements: &[Statement; 2],
        arguments: &[Arg<'_>],
        limit: usize,
    ) -> Result<Page> {
        let as_text = self.connector.is_pooled();
        let statement = || statements[usize::from(self.connector.is_pooled())].with(arguments, as_text);
        let rows = self.client.fetch(operation, statement).await?;
        let row = |row| {
            let lives = self.column::<i64>(operation, row, 1)? > 0;
            let record = if lives { self.record(operation, row).map(Some) } else { Ok(None) };
            Ok((self.column(operation, row, 2)?, record))
        };
        page(rows.iter().map(row).collect::<Result<_>>()?, limit)
    }
}

fn number(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
