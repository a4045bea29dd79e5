//! Collecting and counting: scans of the files, in slices of blocking work.

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

/// The number of files per slice: a few milliseconds.
const SLICE: usize = 1024;
/// How long a collection runs before it leaves the rest to the next one.
const COLLECTION: Duration = Duration::from_secs(1);

/// The age at which a file left by a power loss is removed.
const TORN_FOR: Duration = Duration::from_secs(60 * 60);

/// The result of a slice of a collection.
#[derive(Debug)]
pub(crate) struct Collected {
    pub removed: usize,
    /// Whether the scan is complete.
    pub ended: bool,
}

impl Shared {
    /// Continues the scan of an earlier call, or starts one, and removes up to `limit` expired
    /// records. The scan is shared, so that a caller that gives up loses no progress.
    pub(crate) fn collect_slice(&self, limit: usize) -> Result<Collected> {
        let left_off = self.walk.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut walk = match left_off {
            Some(walk) => walk,
            None => Walk::begin(self.root.open()?)?,
        };
        let (mut removed, mut failure) = (0, None);
        let ended = each(&mut walk, |leaf, entry| {
            // An unreadable file must not keep the others from being collected.
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

    /// Continues the scan of the entries of owners. Returns whether it is complete.
    pub(crate) fn sweep(&self) -> Result<bool> {
        let left_off = self.sweep.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut sweep = left_off.unwrap_or_default();
        let ended = self.sweep_slice(&mut sweep)?;
        if !ended {
            *self.sweep.lock().unwrap_or_else(PoisonError::into_inner) = Some(sweep);
        }
        Ok(ended)
    }

    /// Whether an unfinished scan exists, so that finishing it is not a complete scan.
    pub(crate) fn has_walk(&self) -> bool {
        self.walk.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Removes an expired record, or a file left by a killed writer or a power loss. Returns
    /// whether it was a record.
    fn collect(&self, leaf: &Leaf, entry: &Entry) -> Result<bool> {
        let (directory, sync) = (leaf.directory()?, self.root.sync);
        match entry {
            Entry::Session(name) => {
                let found = File::open(directory, name, OFlags::RDONLY);
                if !found.and_then(|file| self.is_over(file.as_ref())).or_else(is_foreign)? {
                    return Ok(false);
                }
                // The holder of the lock may be rewriting it; leave it to the next collection.
                let Some(lock) = Lock::try_acquire(self.root.open()?, name.lock())? else { return Ok(false) };
                let claimed = lock.claim(directory, name, OFlags::RDONLY)?;
                if !self.is_over(claimed.as_ref().map(|claimed| &claimed.file))? {
                    return Ok(false);
                }
                file::remove(directory, name.as_str(), sync)?;
                if let Some(owner) = claimed.and_then(|claimed| claimed.owner()) {
                    // A stale entry is removed by its next reader.
                    let _ = index::leave(&lock.root, &owner, name);
                }
                Ok(true)
            }
            Entry::Temporary(name) => {
                if let Some(_lock) = Lock::try_acquire(self.root.open()?, name.lock())? {
                    // A running writer would hold the lock, and a finished one has renamed the
                    // file.
                    let _ = file::remove(directory, &name.temporary(), false);
                }
                Ok(false)
            }
        }
    }

    /// Whether a file is an expired record, or one that a power loss tore some time ago. A recently
    /// torn file is kept for inspection.
    fn is_over(&self, file: Option<&File>) -> Result<bool> {
        let Some(file) = file else { return Ok(false) };
        let now = self.clock.now();
        match file.head()? {
            Head::Torn => Ok(file.size().is_ok() && now.since(file.written()?) >= TORN_FOR),
            head => Ok(head.has_expired(now)),
        }
    }

    /// Counts the records of a slice that a collection would remove. Returns whether the scan is
    /// complete.
    pub(crate) fn due_slice(&self, walk: &mut Walk, due: &mut u64) -> Result<bool> {
        each(walk, |leaf, entry| {
            if let Entry::Session(name) = entry {
                let found = File::open(leaf.directory()?, &name, OFlags::RDONLY);
                *due += u64::from(found.and_then(|file| self.is_over(file.as_ref())).or_else(is_foreign)?);
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Counts the sessions of a slice. Returns whether the scan is complete.
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

/// Passes up to a slice of files to `seen`, until it stops. Returns whether the scan is complete.
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

/// A non-file is not this engine's, so it never expires.
fn is_foreign(error: Error) -> Result<bool> {
    if error.kind() == ErrorKind::Corrupt { Ok(false) } else { Err(error) }
}

/// Whether a collection that began at this time should leave the rest to the next one.
pub(crate) fn has_had_enough(begun: Instant) -> bool {
    begun.elapsed() >= COLLECTION
}
