//! Reads from the system's caches, where sessions in use are.
//!
//! A hop to another thread takes longer than copying a cached record. Linux can fail instead of
//! waiting, both for the path of a file (`RESOLVE_CACHED`) and for its bytes (`RWF_NOWAIT`): a read
//! that succeeds under both never waits for the disk and can run on the async worker. Every other
//! read takes the slow path.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use session_core::Result;
use session_core::record::Record;

use crate::file::{File, decoded};
use crate::name::Name;
use crate::root::{Root, Waiting};

/// Copying more than this would block an async worker.
const LARGEST: usize = 64 << 10;

/// Non-blocking reads, if the file system supports them.
#[derive(Debug, Default)]
pub(crate) struct CachedReads {
    /// The file system does not support them (overlayfs, tmpfs), so they are not tried again.
    refused: AtomicBool,
}

impl CachedReads {
    /// Returns the record of a session whose file is cached. `None` means only that the slow path
    /// is needed.
    pub(crate) fn read(&self, root: &Root, name: &Name) -> Option<Result<Record>> {
        if self.refused.load(Ordering::Relaxed) {
            return None;
        }
        let file = File(root.file_at_once(name, Waiting::Refused)?);
        let size = file.size().ok().filter(|size| *size <= LARGEST)?;
        let mut bytes = vec![0; size];
        match read(&file, &mut bytes) {
            Ok(filled) if filled == size => Some(decoded(bytes)),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                self.refused.store(true, Ordering::Relaxed);
                None
            }
            // Part of it is only on disk, or it is not a session file: leave it to the slow path.
            _ => None,
        }
    }
}

#[cfg(target_os = "linux")]
fn read(file: &File, bytes: &mut [u8]) -> Result<usize, Errno> {
    use rustix::io::{ReadWriteFlags, preadv2};
    preadv2(&file.0, &mut [std::io::IoSliceMut::new(bytes)], 0, ReadWriteFlags::NOWAIT)
}

/// Never called: the non-blocking open has failed before.
#[cfg(not(target_os = "linux"))]
fn read(_: &File, _: &mut [u8]) -> Result<usize, Errno> {
    Err(Errno::NOSYS)
}
