//! What keeps two writers apart: 256 lock files, a queue in front of each, and the session's own file.
//!
//! A process takes a lock once at a time, so its own requests queue for it without taking a thread each; only
//! the first of them meets other processes.
//!
//! A lock belongs to an opened file and not to its name. A lock file that somebody removes excludes nobody who opens its
//! successor, and a lock on a session's file nobody who opens the file that replaces it. So each name is looked up again
//! once its lock is held. Only the holder of the lock on a session's present file may replace it, also where a lock file
//! was removed under its holder.

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

/// How long the first wait for another process is, and the longest one, before jitter.
const WAITS: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(10));

/// Where the requests of this process wait for their turn.
#[derive(Debug)]
pub(crate) struct Queues([Arc<Mutex<()>>; 256]);

impl Queues {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| Arc::default()))
    }

    pub(crate) async fn turn(&self, lock: u8) -> OwnedMutexGuard<()> {
        Arc::clone(&self.0[usize::from(lock)]).lock_owned().await
    }
}

/// A locked file that has its name still, unlocked when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    pub file: File,
    /// As it was when it was locked: device and inode tell it from others.
    stat: Stat,
}

impl Held {
    /// Locks an opened file. `None` when somebody else has locked it, or when the name is another file's by now.
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

    /// The owner of the session in it, also where the rest of its record is damaged.
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
        // Closing would do it as well, were the file not open a moment longer in a process that was forked meanwhile.
        let _ = flock(&self.file.0, FlockOperation::Unlock);
    }
}

/// One of the 256 locks, held until this is dropped, and the directory that it is in.
#[derive(Debug)]
pub(crate) struct Lock {
    held: Held,
    number: u8,
    until: Option<Instant>,
    pub root: OwnedFd,
}

impl Lock {
    /// Waits for a lock until the deadline, or until nobody wants it any more. Blocks.
    pub(crate) fn acquire(
        root: OwnedFd,
        number: u8,
        until: Option<Instant>,
        wanted: impl Fn() -> bool,
    ) -> Result<Self> {
        let held = wait(until, wanted, || Held::new(open(&root, number)?, &root, &name(number)))?;
        Ok(Self { held, number, until, root })
    }

    /// Takes a lock if nobody holds it.
    pub(crate) fn try_acquire(root: OwnedFd, number: u8) -> Result<Option<Self>> {
        let held = Held::new(open(&root, number)?, &root, &name(number))?;
        let until = Some(Instant::now());
        Ok(held.map(|held| Self { held, number, until, root }))
    }

    /// A session's file, which nobody else replaces or removes until it is dropped. `None` when there is none.
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

    /// [`Unavailable`](ErrorKind::Unavailable) when the lock excludes nobody any more, which matters where there is no
    /// file to claim.
    pub(crate) fn still_excludes(&self) -> Result<()> {
        if self.held.is_named(&self.root, &name(self.number))? {
            return Ok(());
        }
        Err(error(
            ErrorKind::Unavailable,
            "somebody has removed a lock file (`.lock-…`) from the session directory: leave them where they are",
        ))
    }
}

/// Tries until it is had, or the deadline has passed, or nobody wants it any more.
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
                "another process holds the lock of this session for too long: it may have been stopped",
            ));
        }
        sleep(wait.mul_f64(0.5 + rand::random::<f64>()));
        wait = (wait * 2).min(longest);
    }
}

/// Makes the files of all locks. Later a disk may have no room for one.
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
