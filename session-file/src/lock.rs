//! The locks: 256 files that are never removed, and a queue in front of each.
//!
//! A process takes a lock once at a time, so its own requests queue for it without taking a thread each; only
//! the first of them meets other processes. Every acquisition opens the file anew, because a lock belongs to an opened file.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock, openat};
use rustix::io::Errno;
use session_core::{ErrorKind, Result};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::error::{error, failed};
use crate::root::{CAREFUL, FILE};

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

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock(OwnedFd);

impl Lock {
    /// Waits for a lock until the deadline, or until nobody wants it any more. Blocks.
    pub(crate) fn acquire(
        root: &OwnedFd,
        lock: u8,
        until: Instant,
        wanted: impl Fn() -> bool,
    ) -> Result<Self> {
        let file = open(root, lock)?;
        let (mut wait, longest) = WAITS;
        loop {
            if try_lock(&file)? {
                return Ok(Self(file));
            }
            if Instant::now() >= until || !wanted() {
                return Err(error(
                    ErrorKind::Unavailable,
                    "another process holds the lock of this session for too long: it may have been stopped",
                ));
            }
            sleep(wait.mul_f64(0.5 + rand::random::<f64>()));
            wait = (wait * 2).min(longest);
        }
    }

    /// Takes a lock if nobody holds it.
    pub(crate) fn try_acquire(root: &OwnedFd, lock: u8) -> Result<Option<Self>> {
        let file = open(root, lock)?;
        Ok(try_lock(&file)?.then_some(Self(file)))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing would do it as well, were the file not open a moment longer in a process that was forked meanwhile.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

fn open(root: &OwnedFd, lock: u8) -> Result<OwnedFd> {
    let name = format!(".lock-{lock:02x}");
    openat(root, &*name, OFlags::RDWR | OFlags::CREATE | CAREFUL, FILE).map_err(failed)
}

fn try_lock(file: &OwnedFd) -> Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(errno) => Err(failed(errno)),
    }
}
