//! The provider: which steps an operation is made of, and what is done under the lock.

use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rustix::fs::OFlags;
use session_core::accounts::Owner;
use session_core::clock::Clock;
use session_core::engine::{
    Condition, DestroyOutcome, Durability, Indexed, OwnerIndex, Scan, TimeSource, WriteOutcome,
};
use session_core::id::StorageId;
use session_core::record::{Record, Stamp, State};
use session_core::{Capabilities, Error, ErrorKind, Provider, Result};

use crate::cached::CachedReads;
use crate::file::{self, File};
use crate::index::{self, Sweep};
use crate::lock::{Lock, Queues};
use crate::name::Name;
use crate::root::{Root, Waiting};
use crate::walk::Walk;
use crate::{Builder, ENGINE, blocking, collect};

/// Sessions in files. Share one in an `Arc`, and the directory with as many processes as you like.
#[derive(Debug)]
pub struct FileProvider {
    shared: Arc<Shared>,
    queues: Queues,
    lock_timeout: Duration,
}

/// What the blocking work of an operation needs.
#[derive(Debug)]
pub(crate) struct Shared {
    pub root: Root,
    pub clock: Arc<dyn Clock>,
    cached: CachedReads,
    /// The walk of a collection that was left off.
    pub walk: Mutex<Option<Walk>>,
    /// The same of the walk over the entries of owners, which follows it.
    pub sweep: Mutex<Option<Sweep>>,
}

impl FileProvider {
    /// Sessions in this directory, on the system's clock, without waiting for the disk. See [`Builder::connect`].
    pub async fn connect(directory: impl Into<PathBuf>) -> Result<Self> {
        Self::builder(directory).connect().await
    }

    /// For `sync`, another clock or another lock timeout.
    #[must_use]
    pub fn builder(directory: impl Into<PathBuf>) -> Builder {
        Builder::new(directory)
    }

    pub(crate) fn new(root: Root, clock: Arc<dyn Clock>, lock_timeout: Duration) -> Self {
        let (walk, sweep) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { root, clock, cached: CachedReads::default(), walk, sweep });
        Self { shared, queues: Queues::new(), lock_timeout }
    }

    /// Runs `work` in one piece of blocking work, without a lock.
    pub(crate) async fn unlocked<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let shared = Arc::clone(&self.shared);
        blocking::run(false, move || work(&shared)).await
    }

    /// Counts something over all files, in slices.
    async fn tally(&self, slice: fn(&Shared, &mut Walk, &mut u64) -> Result<bool>) -> Result<u64> {
        let mut walk = self.unlocked(|shared| Walk::begin(shared.root.open()?)).await?;
        let (mut counted, mut ended) = (0, false);
        while !ended {
            (walk, counted, ended) = self
                .unlocked(move |shared| {
                    let ended = slice(shared, &mut walk, &mut counted)?;
                    Ok((walk, counted, ended))
                })
                .await?;
        }
        Ok(counted)
    }

    /// Runs `work` under the lock of a session. A caller that goes away before it has the lock has changed nothing.
    pub(crate) async fn locked<T: Send + 'static>(
        &self,
        name: &Name,
        work: impl FnOnce(&Shared, &Lock) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        // One that is beyond all clocks is no deadline.
        let until = Instant::now().checked_add(self.lock_timeout);
        let lock = name.lock();
        let turn = self.queues.turn(lock).await;
        let shared = Arc::clone(&self.shared);
        let caller = Arc::new(());
        let waiting = Arc::downgrade(&caller);
        let done = blocking::run(true, move || {
            let _turn = turn;
            let lock = Lock::acquire(shared.root.open()?, lock, until, || waiting.strong_count() > 0)?;
            work(&shared, &lock)
        })
        .await;
        drop(caller);
        done
    }
}

#[async_trait]
impl Provider for FileProvider {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    fn capabilities(&self) -> Capabilities {
        let durability = if self.shared.root.sync { Durability::Disk } else { Durability::Crash };
        Capabilities::new()
            .time_source(TimeSource::Core)
            .durability(durability)
            .owner_index(OwnerIndex::Exact)
            .max_record_bytes(file::LARGEST)
    }

    async fn read(&self, id: &StorageId, _idle: Duration) -> Result<Option<Record>> {
        let name = Name::of(id);
        if let Some(record) = self.shared.cached.read(&self.shared.root, &name) {
            return Ok(self.shared.unless_expired(Some(record?)));
        }
        self.unlocked(move |shared| {
            let record = shared.find(&name)?.map(|file| file.record()).transpose()?;
            Ok(shared.unless_expired(record))
        })
        .await
    }

    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        let name = Name::of(id);
        let (place, mut record) = (name.clone(), record.clone());
        self.locked(&name, move |shared, lock| {
            let leaf = Root::leaf(&lock.root, &place)?;
            let claimed = match &leaf {
                Some(leaf) => lock.claim(leaf.as_fd(), &place, OFlags::RDONLY)?,
                None => None,
            };
            let current = claimed.as_ref().map(|claimed| claimed.file.record()).transpose()?;
            let before = current.as_ref().and_then(owner);
            let current = shared.unless_expired(current);
            let holds = match (&condition, &current) {
                (Condition::Absent, None) => true,
                (Condition::Over(stamp), Some(current)) => stamp.version == current.header.version(),
                _ => false,
            };
            if !holds {
                return Ok(WriteOutcome::refused(current));
            }
            let header = &mut record.header;
            header.deadline = shared.clock.now().after(ttl).min(header.absolute);
            let bytes = record.encode()?;
            if bytes.len() > file::LARGEST {
                return Err(Error::new(ErrorKind::TooLarge, "a session file holds at most 64 MiB"));
            }
            let after = owner(&record);
            if let Some(owner) = &after {
                index::enter(&shared.root, &lock.root, owner, &place)?;
            }
            let leaf = leaf.map_or_else(|| shared.root.make_leaf(&lock.root, &place), Ok);
            let stored = leaf.and_then(|leaf| {
                file::replace((lock, claimed.as_ref()), leaf.as_fd(), &place, &bytes, shared.root.sync)
            });
            // One of the two entries is not needed any more. One that stays is removed by its next reader.
            let left = match &stored {
                Ok(()) => before.filter(|before| after != Some(*before)),
                Err(error) if error.kind() == ErrorKind::Full => after.filter(|after| before != Some(*after)),
                Err(_) => None,
            };
            if let Some(owner) = left {
                let _ = index::leave(&lock.root, &owner, &place);
            }
            stored.map(|()| WriteOutcome::stored())
        })
        .await
    }

    async fn touch(&self, id: &StorageId, _seen: &Record, ttl: Duration) -> Result<bool> {
        let name = Name::of(id);
        let place = name.clone();
        self.locked(&name, move |shared, lock| {
            let Some(leaf) = Root::leaf(&lock.root, &place)? else { return Ok(false) };
            let Some(claimed) = lock.claim(leaf.as_fd(), &place, OFlags::RDWR)? else { return Ok(false) };
            let now = shared.clock.now();
            claimed.file.touch(now, |absolute| now.after(ttl).min(absolute))
        })
        .await
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        let name = Name::of(id);
        let place = name.clone();
        self.locked(&name, move |shared, lock| {
            let Some(leaf) = Root::leaf(&lock.root, &place)? else { return Ok(DestroyOutcome::Absent) };
            let claimed = lock.claim(leaf.as_fd(), &place, OFlags::RDONLY);
            let record = match &claimed {
                Ok(claimed) => claimed.as_ref().map(|claimed| claimed.file.record()).transpose(),
                // It is no file, and there is nothing to claim in it.
                Err(error) if error.kind() == ErrorKind::Corrupt => Err(file::no_file()),
                Err(_) => return claimed.map(|_| DestroyOutcome::Absent),
            };
            let owner = match (&record, &claimed) {
                (Ok(record), _) => record.as_ref().and_then(owner),
                (Err(_), Ok(Some(claimed))) => claimed.owner(),
                (Err(_), _) => None,
            };
            match record.map(|record| shared.unless_expired(record)) {
                Ok(None) => return Ok(DestroyOutcome::Absent),
                Ok(Some(current)) => {
                    if let State::Moved(target) = current.header.state {
                        return Ok(DestroyOutcome::Moved(target));
                    }
                    if expected.is_some_and(|expected| expected.version != current.header.version()) {
                        return Ok(DestroyOutcome::Refused(Box::new(current)));
                    }
                }
                // Nobody can use it, or a newer version does: in both cases its id is to end.
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => {}
                Err(error) => return Err(error),
            }
            file::remove(leaf.as_fd(), place.as_str(), shared.root.sync)?;
            if let Some(owner) = owner {
                // An entry that stays is removed by its next reader.
                let _ = index::leave(&lock.root, &owner, &place);
            }
            Ok(DestroyOutcome::Destroyed)
        })
        .await
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        let name = Name::of(id);
        self.unlocked(move |shared| {
            let head = file::head(shared.find(&name))?;
            Ok(head.is_some_and(|head| head.is_session_at(shared.clock.now())))
        })
        .await
    }

    /// Exact. Looks at every file.
    async fn count(&self) -> Result<Option<u64>> {
        self.tally(Shared::count_slice).await.map(Some)
    }

    /// Looks at every file.
    async fn due(&self) -> Result<Option<u64>> {
        self.tally(Shared::due_slice).await.map(Some)
    }

    /// Looks at every file, beginning where the last call left off; a directory that takes more than a second is
    /// left to the next call, which is the one exception to "fewer than `limit` means no more".
    async fn gc(&self, limit: usize) -> Result<usize> {
        let begun = Instant::now();
        // A walk that was left off has not seen what expired behind it: one that is whole comes after it.
        let mut walks = 1 + usize::from(self.shared.has_walk());
        let mut removed = 0;
        while walks > 0 && removed < limit && !collect::has_had_enough(begun) {
            let rest = limit - removed;
            let slice = self.unlocked(move |shared| shared.collect_slice(rest)).await?;
            removed += slice.removed;
            walks -= usize::from(slice.ended);
        }
        while walks == 0 && !self.unlocked(Shared::sweep).await? {
            if collect::has_had_enough(begun) {
                break;
            }
        }
        Ok(removed)
    }

    fn as_indexed(&self) -> Option<&dyn Indexed> {
        Some(self)
    }

    fn as_scan(&self) -> Option<&dyn Scan> {
        Some(self)
    }
}

/// The owner of a session; a tombstone has none.
fn owner(record: &Record) -> Option<Owner> {
    record.header.owner.filter(|_| record.is_live())
}

impl Shared {
    /// A session's file, for those who hold no lock.
    pub(crate) fn find(&self, name: &Name) -> Result<Option<File>> {
        match self.root.file_at_once(name, Waiting::Allowed) {
            Some(file) => Ok(Some(File(file))),
            None => match Root::leaf(&self.root.open()?, name)? {
                Some(leaf) => File::open(leaf.as_fd(), name, OFlags::RDONLY),
                None => Ok(None),
            },
        }
    }

    pub(crate) fn unless_expired(&self, record: Option<Record>) -> Option<Record> {
        record.filter(|record| record.is_alive_at(self.clock.now()))
    }
}
