//! Mutual exclusion of writers: 256 lock files, a queue for each, and the session's own file.
//!
//! A process takes each lock once at a time: its own requests queue for it without blocking a
//! thread each, and only the first competes with other processes.
//!
//! A lock belongs to an open file, not to its name. A removed lock file does not exclude processes
//! that open its successor, and a lock on a session's file does not exclude those that open its
//! replacement. So each name is looked up again once its lock is held. Only the holder of the lock
//! on a session's current file may replace it, even if a lock file was removed while held.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, FlockOperation, OFlags, Stat, flock, fstat, openat, statat};
use rustix::io::Errno;
use session_core::accounts::Owner;
use session_core::{ErrorKind, Result};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::error::{error, failed};
use crate::file::File;
use crate::head::Head;
use crate::name::Name;
use crate::root::{CAREFUL, FILE, found};

/// The first and the longest wait for another process, before jitter.
const WAITS: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(10));

/// The queues of this process's requests.
pub(crate) struct Queues([Arc<Mutex<()>>; 256]);

/// Not the 256 locks.
impl fmt::Debug for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queues")
    }
}

impl Queues {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| Arc::default()))
    }

    pub(crate) async fn turn(&self, lock: u8) -> OwnedMutexGuard<()> {
        Arc::clone(&self.0[usize::from(lock)]).lock_owned().await
    }
}

/// A locked file that still has its name; unlocked on drop.
#[derive(Debug)]
pub(crate) struct Held {
    pub file: File,
    /// Its device and inode when it was locked, which identify it.
    stat: Stat,
}

impl Held {
    /// Locks an open file. `None` if another process has locked it, or if its name now belongs to
    /// another file.
    fn new(file: File, directory: impl AsFd, name: &str) -> Result<Option<Self>> {
        match flock(&file.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK | Errno::INTR) => return Ok(None),
            Err(errno) => return Err(failed(errno)),
        }
        let stat = fstat(&file.0).map_err(failed)?;
        let held = Self { file, stat };
        Ok(held.is_named(directory, name)?.then_some(held))
    }

    /// The owner of the session in it, even if the rest of its record is damaged.
    pub(crate) fn owner(&self) -> Option<Owner> {
        self.file.head().ok().and_then(Head::owner)
    }

    fn is_named(&self, directory: impl AsFd, name: &str) -> Result<bool> {
        let there = found(statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)).map_err(failed)?;
        let is_this = |there: Stat| there.st_dev == self.stat.st_dev && there.st_ino == self.stat.st_ino;
        Ok(there.is_some_and(is_this))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Closing is not enough: a process forked meanwhile may keep the file open a moment longer.
        let _ = flock(&self.file.0, FlockOperation::Unlock);
    }
}

/// One of the 256 locks, held until dropped, and its directory.
#[derive(Debug)]
pub(crate) struct Lock {
    held: Held,
    number: u8,
    until: Option<Instant>,
    pub root: OwnedFd,
}

impl Lock {
    /// Waits for a lock until the deadline, or until no caller wants it any more. Blocks.
    pub(crate) fn acquire(
        root: OwnedFd,
        number: u8,
        until: Option<Instant>,
        wanted: impl Fn() -> bool,
    ) -> Result<Self> {
        let held = wait(until, wanted, || Held::new(open(&root, number)?, &root, &name(number)))?;
        Ok(Self { held, number, until, root })
    }

    /// Takes a lock if it is free.
    pub(crate) fn try_acquire(root: OwnedFd, number: u8) -> Result<Option<Self>> {
        let held = Held::new(open(&root, number)?, &root, &name(number))?;
        let until = Some(Instant::now());
        Ok(held.map(|held| Self { held, number, until, root }))
    }

    /// A session's file, which no other process replaces or removes until this is dropped. `None`
    /// if there is none.
    pub(crate) fn claim(&self, leaf: BorrowedFd<'_>, name: &Name, access: OFlags) -> Result<Option<Held>> {
        wait(
            self.until,
            || true,
            || match File::open(leaf, name, access)? {
                Some(file) => Ok(Held::new(file, leaf, name.as_str())?.map(Some)),
                None => Ok(Some(None)),
            },
        )
    }

    /// [`Unavailable`](ErrorKind::Unavailable) if the lock file was removed, which matters when
    /// there is no session file to claim.
    pub(crate) fn still_excludes(&self) -> Result<()> {
        if self.held.is_named(&self.root, &name(self.number))? {
            return Ok(());
        }
        Err(error(
            ErrorKind::Unavailable,
            "a lock file (`.lock-…`) was removed from the session directory: do not remove them",
        ))
    }
}

/// Retries until it is acquired, the deadline has passed, or no caller wants it any more.
fn wait<T>(
    until: Option<Instant>,
    wanted: impl Fn() -> bool,
    mut attempt: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let (mut wait, longest) = WAITS;
    loop {
        if let Some(had) = attempt()? {
            return Ok(had);
        }
        if until.is_some_and(|until| Instant::now() >= until) || !wanted() {
            return Err(error(
                ErrorKind::Unavailable,
                "another process has held the lock of this session for too long: it may have been stopped",
            ));
        }
        sleep(wait.mul_f64(0.5 + rand::random::<f64>()));
        wait = (wait * 2).min(longest);
    }
}

/// Creates all lock files, since the disk may be full later.
pub(crate) fn make_all(root: &OwnedFd) -> Result<()> {
    (0..=u8::MAX).try_for_each(|number| open(root, number).map(drop))
}

fn open(root: &OwnedFd, number: u8) -> Result<File> {
    let file = openat(root, &*name(number), OFlags::RDWR | OFlags::CREATE | CAREFUL, FILE);
    file.map(File).map_err(failed)
}

fn name(number: u8) -> String {
    format!(".lock-{number:02x}")
}
