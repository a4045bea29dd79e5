//! Collecting and counting: walks over the files, in slices of blocking work.

use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use session_core::Result;

use crate::file::{self, File};
use crate::lock::Lock;
use crate::name::Name;
use crate::provider::Shared;
use crate::walk::{Entry, Leaf, Walk};

/// How many files one piece of blocking work looks at: a few milliseconds.
const SLICE: usize = 1024;
/// How long a collection looks around before it leaves the rest to the next one.
const COLLECTION: Duration = Duration::from_secs(1);

/// What a slice of a collection did.
#[derive(Debug)]
pub(crate) struct Collected {
    pub removed: usize,
    /// Whether the walk has come to its end.
    pub ended: bool,
}

impl Shared {
    /// Goes on with the walk that an earlier call left off, or begins one, and removes up to `limit` expired records.
    /// The walk is left where others find it, so that a caller that gives up loses nothing.
    pub(crate) fn collect_slice(&self, limit: usize) -> Result<Collected> {
        let left_off = self.walk.lock().unwrap_or_else(PoisonError::into_inner).take();
        let root = self.root.open()?;
        let mut walk = match left_off {
            Some(walk) => walk,
            None => Walk::begin(self.root.open()?)?,
        };
        let (mut removed, mut failure) = (0, None);
        let ended = each(&mut walk, |leaf, entry| {
            // A file that cannot be looked at must not keep the others from being collected.
            match self.collect(&root, leaf, &entry) {
                Ok(one) => removed += usize::from(one),
                Err(error) => failure = failure.take().or(Some(error)),
            }
            Ok(if removed < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        if !ended {
            *self.walk.lock().unwrap_or_else(PoisonError::into_inner) = Some(walk);
        }
        match failure {
            Some(error) if removed == 0 => Err(error),
            _ => Ok(Collected { removed, ended }),
        }
    }

    /// Whether a walk was left off, so that its end will not be the end of a whole one.
    pub(crate) fn has_walk(&self) -> bool {
        self.walk.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Removes what has expired and what a killed writer left. Says whether it was a record.
    fn collect(&self, root: &OwnedFd, leaf: &Leaf, entry: &Entry) -> Result<bool> {
        let (directory, sync) = (leaf.directory()?, self.root.sync);
        match entry {
            Entry::Session(name) => {
                if !self.has_expired(leaf, name)? {
                    return Ok(false);
                }
                // Somebody who holds the lock may be bringing it back; the next collection will see.
                let Some(_lock) = Lock::try_acquire(root, name.lock())? else { return Ok(false) };
                if !self.has_expired(leaf, name)? {
                    return Ok(false);
                }
                file::remove(directory, name.as_str(), sync)?;
                Ok(true)
            }
            Entry::Temporary(name) => {
                if let Some(_lock) = Lock::try_acquire(root, name.lock())? {
                    // Its writer would hold the lock. One that has just finished has renamed it.
                    let _ = file::remove(directory, &name.temporary(), false);
                }
                Ok(false)
            }
        }
    }

    fn has_expired(&self, leaf: &Leaf, name: &Name) -> Result<bool> {
        let head = file::head(File::open(leaf.directory()?, name, OFlags::RDONLY))?;
        Ok(head.is_some_and(|head| head.has_expired(self.clock.now())))
    }

    /// Counts a slice of the sessions, and says whether the walk has come to its end.
    pub(crate) fn count_slice(&self, walk: &mut Walk, sessions: &mut u64) -> Result<bool> {
        each(walk, |leaf, entry| {
            if let Entry::Session(name) = entry {
                let head = file::head(File::open(leaf.directory()?, &name, OFlags::RDONLY))?;
                *sessions += u64::from(head.is_some_and(|head| head.is_session_at(self.clock.now())));
            }
            Ok(ControlFlow::Continue(()))
        })
    }
}

/// Shows up to a slice of files, until `seen` has had enough. Says whether the walk has come to its end.
fn each(walk: &mut Walk, mut seen: impl FnMut(&Leaf, Entry) -> Result<ControlFlow<()>>) -> Result<bool> {
    for _ in 0..SLICE {
        match walk.next()? {
            Some((leaf, entry)) => {
                if seen(leaf, entry)?.is_break() {
                    return Ok(false);
                }
            }
            None => return Ok(true),
        }
    }
    Ok(false)
}

/// Whether a collection that began then should leave the rest to the next one.
pub(crate) fn has_had_enough(begun: Instant) -> bool {
    begun.elapsed() >= COLLECTION
}
