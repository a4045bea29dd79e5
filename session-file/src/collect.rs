//! Collecting and counting: walks over the files, in slices of blocking work.

use std::ops::ControlFlow;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use session_core::{Error, ErrorKind, Result};

use crate::file::{self, File};
use crate::head::Head;
use crate::index;
use crate::lock::Lock;
use crate::provider::Shared;
use crate::walk::{Entry, Leaf, Walk};

/// How many files one piece of blocking work looks at: a few milliseconds.
const SLICE: usize = 1024;
/// How long a collection looks around before it leaves the rest to the next one.
const COLLECTION: Duration = Duration::from_secs(1);

/// How old a file must be that a loss of power may have left, before it is removed.
const TORN_FOR: Duration = Duration::from_secs(60 * 60);

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
        let mut walk = match left_off {
            Some(walk) => walk,
            None => Walk::begin(self.root.open()?)?,
        };
        let (mut removed, mut failure) = (0, None);
        let ended = each(&mut walk, |leaf, entry| {
            // A file that cannot be looked at must not keep the others from being collected.
            match self.collect(leaf, &entry) {
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

    /// Goes on with the walk over the entries of owners, and says whether it has come to its end.
    pub(crate) fn sweep(&self) -> Result<bool> {
        let left_off = self.sweep.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut sweep = left_off.unwrap_or_default();
        let ended = self.sweep_slice(&mut sweep)?;
        if !ended {
            *self.sweep.lock().unwrap_or_else(PoisonError::into_inner) = Some(sweep);
        }
        Ok(ended)
    }

    /// Whether a walk was left off, so that its end will not be the end of a whole one.
    pub(crate) fn has_walk(&self) -> bool {
        self.walk.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Removes what has expired, and what a killed writer or a loss of power left. Says whether it was a record.
    fn collect(&self, leaf: &Leaf, entry: &Entry) -> Result<bool> {
        let (directory, sync) = (leaf.directory()?, self.root.sync);
        match entry {
            Entry::Session(name) => {
                let found = File::open(directory, name, OFlags::RDONLY);
                if !found.and_then(|file| self.is_over(file.as_ref())).or_else(is_foreign)? {
                    return Ok(false);
                }
                // Somebody who holds the lock may be bringing it back; the next collection will see.
                let Some(lock) = Lock::try_acquire(self.root.open()?, name.lock())? else { return Ok(false) };
                let claimed = lock.claim(directory, name, OFlags::RDONLY)?;
                if !self.is_over(claimed.as_ref().map(|claimed| &claimed.file))? {
                    return Ok(false);
                }
                file::remove(directory, name.as_str(), sync)?;
                if let Some(owner) = claimed.and_then(|claimed| claimed.owner()) {
                    // An entry that stays is removed by its next reader.
                    let _ = index::leave(&lock.root, &owner, name);
                }
                Ok(true)
            }
            Entry::Temporary(name) => {
                if let Some(_lock) = Lock::try_acquire(self.root.open()?, name.lock())? {
                    // Its writer would hold the lock. One that has just finished has renamed it.
                    let _ = file::remove(directory, &name.temporary(), false);
                }
                Ok(false)
            }
        }
    }

    /// Whether a file is a record that has expired, or was one that a loss of power has torn, a while ago. What was torn
    /// just now is left for those who want to look into it.
    fn is_over(&self, file: Option<&File>) -> Result<bool> {
        let Some(file) = file else { return Ok(false) };
        let now = self.clock.now();
        match file.head()? {
            Head::Torn => Ok(file.size().is_ok() && now.since(file.written()?) >= TORN_FOR),
            head => Ok(head.has_expired(now)),
        }
    }

    /// Counts what a collection would remove of a slice, and says whether the walk has come to its end.
    pub(crate) fn due_slice(&self, walk: &mut Walk, due: &mut u64) -> Result<bool> {
        each(walk, |leaf, entry| {
            if let Entry::Session(name) = entry {
                let found = File::open(leaf.directory()?, &name, OFlags::RDONLY);
                *due += u64::from(found.and_then(|file| self.is_over(file.as_ref())).or_else(is_foreign)?);
            }
            Ok(ControlFlow::Continue(()))
        })
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

/// What is no file is not this engine's, and so not over.
fn is_foreign(error: Error) -> Result<bool> {
    if error.kind() == ErrorKind::Corrupt { Ok(false) } else { Err(error) }
}

/// Whether a collection that began then should leave the rest to the next one.
pub(crate) fn has_had_enough(begun: Instant) -> bool {
    begun.elapsed() >= COLLECTION
}
