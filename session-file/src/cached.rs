//! Reading what the system holds in its caches, which a session in use is in.
//!
//! Going to another thread and back takes longer than copying a record that is there already. Linux can be asked to
//! fail rather than wait, for the way to a file (`RESOLVE_CACHED`) and for its bytes (`RWF_NOWAIT`): a read that
//! neither refuses has waited for no disk, and may be done where it is asked for. Every other read goes the long way.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use session_core::Result;
use session_core::record::Record;

use crate::file::{File, decoded};
use crate::name::Name;
use crate::root::{Root, Waiting};

/// Copying more than this would hold up an async worker.
const LARGEST: usize = 64 << 10;

/// Reads that never wait, as far as the file system offers them.
#[derive(Debug, Default)]
pub(crate) struct CachedReads {
    /// It does not (overlayfs and tmpfs do not), so that trying again costs time for nothing.
    refused: AtomicBool,
}

impl CachedReads {
    /// The record of a session whose file is in memory. `None` says nothing about the session.
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
            // A part of it is on disk only, or it is not what it looked like: the long way tells.
            _ => None,
        }
    }
}

#[cfg(target_os = "linux")]
fn read(file: &File, bytes: &mut [u8]) -> Result<usize, Errno> {
    use rustix::io::{ReadWriteFlags, preadv2};
    preadv2(&file.0, &mut [std::io::IoSliceMut::new(bytes)], 0, ReadWriteFlags::NOWAIT)
}

/// Never called: opening without waiting has failed before.
#[cfg(not(target_os = "linux"))]
fn read(_: &File, _: &mut [u8]) -> Result<usize, Errno> {
    Err(Errno::NOSYS)
}
