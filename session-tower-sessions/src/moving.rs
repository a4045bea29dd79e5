//! Migrates sessions from another store, one at a time.

use async_trait::async_trait;
use tower_sessions_core::SessionStore;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::session_store::{ExpiredDeletion, Result};

use crate::EngineStore;

/// A store that migrates the sessions of another store, each when it is first loaded.
///
/// New sessions begin in the new store, so the old one only shrinks. A session keeps its id, its
/// values and its deadline, and is then deleted in the old store. A logout deletes it in both.
///
/// Round trips: a migrated session costs the same as in the new store. Migrating one costs two in
/// the new store (a read, a write) and three in the old one (a read, a second read to check that it
/// was not deleted meanwhile, a delete). An id that is in neither store costs a read in each.
///
/// While both versions of an application run, the old one does not see migrated sessions.
#[derive(Debug, Clone)]
pub struct Moving<Old> {
    new: EngineStore,
    old: Old,
}

impl<Old: SessionStore> Moving<Old> {
    /// Migrates the sessions of `old`.
    pub const fn new(new: EngineStore, old: Old) -> Self {
        Self { new, old }
    }

    /// Migrates a session. `None` if there is none, or it was deleted meanwhile.
    async fn take_over(&self, id: &Id) -> Result<Option<Record>> {
        let Some(record) = self.old.load(id).await? else { return Ok(None) };
        if self.new.insert(&record).await? {
            // A delete ends a session first in the old store, then in the new one. If it is gone
            // from the old one, this insert may have come after the delete, and must not restore
            // the session.
            if self.old.load(id).await?.is_none() {
                self.new.delete(id).await?;
                return Ok(None);
            }
            self.old.delete(id).await?;
        }
        self.new.load(id).await
    }
}

#[async_trait]
impl<Old: SessionStore> SessionStore for Moving<Old> {
    async fn create(&self, record: &mut Record) -> Result<()> {
        self.new.create(record).await
    }

    async fn save(&self, record: &Record) -> Result<()> {
        self.new.save(record).await
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        match self.new.load(id).await? {
            Some(record) => Ok(Some(record)),
            None => self.take_over(id).await,
        }
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.old.delete(id).await?;
        self.new.delete(id).await
    }
}

#[async_trait]
impl<Old: ExpiredDeletion + Send + Sync> ExpiredDeletion for Moving<Old> {
    /// Deletes expired sessions in both stores.
    async fn delete_expired(&self) -> Result<()> {
        self.old.delete_expired().await?;
        self.new.delete_expired().await
    }
}
