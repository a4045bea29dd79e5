//! From another store to this one, one session at a time.

use async_trait::async_trait;
use tower_sessions_core::SessionStore;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::session_store::{ExpiredDeletion, Result};

use crate::EngineStore;

/// A store that takes over the sessions of another one, each when it is first loaded.
///
/// New sessions begin in the new store, so the old one only shrinks. A session keeps its id, its values and its
/// deadline, and is then deleted in the old store. A logout deletes it in both.
///
/// Round trips: a session that has moved costs what it costs in the new store. One that moves costs two in the new store
/// (a read, a write) and three in the old one (a read, a second one that finds out whether it was deleted meanwhile,
/// a delete). An id that is in neither store costs a read in each.
///
/// While both versions of an application run, the old one does not see sessions that have moved.
#[derive(Debug, Clone)]
pub struct Moving<Old> {
    new: EngineStore,
    old: Old,
}

impl<Old: SessionStore> Moving<Old> {
    /// Takes over the sessions of `old`.
    pub const fn new(new: EngineStore, old: Old) -> Self {
        Self { new, old }
    }

    /// Moves a session. `None` when there is nothing to move, or it was deleted meanwhile.
    async fn take_over(&self, id: &Id) -> Result<Option<Record>> {
        let Some(record) = self.old.load(id).await? else { return Ok(None) };
        if self.new.insert(&record).await? {
            // A delete ends a session in the old store first, and then in the new one. Where it is gone by now, this
            // insert may have come after that, and must not bring the session back.
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
    /// In both stores.
    async fn delete_expired(&self) -> Result<()> {
        self.old.delete_expired().await?;
        self.new.delete_expired().await
    }
}
