//! One session's file: read, replaced, touched in place, removed.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, fsync, openat, renameat, unlinkat};
use rustix::io::{Errno, pread, pwrite, read, retry_on_intr, write};
use session_core::clock::Timestamp;
use session_core::record::{HEADER_BYTES, Record};
use session_core::{Error, ErrorKind, Result};

use crate::error::{error, failed, not_made, not_on_disk};
use crate::head::{DEADLINE, Head};
use crate::lock::{Held, Lock};
use crate::name::Name;
use crate::root::{CAREFUL, FILE, found};

/// The limit for a session file: more than any session should need, and small enough to read an
/// arbitrary file.
pub(crate) const LARGEST: usize = 64 << 20;

/// An opened file that may hold a session.
#[derive(Debug)]
pub(crate) struct File(pub OwnedFd);

impl File {
    pub(crate) fn open(leaf: BorrowedFd<'_>, name: &Name, access: OFlags) -> Result<Option<Self>> {
        match found(openat(leaf, name.as_str(), access | CAREFUL, Mode::empty())) {
            Ok(file) => Ok(file.map(Self)),
            Err(Errno::LOOP | Errno::NXIO | Errno::ISDIR) => Err(no_file()),
            Err(errno) => Err(failed(errno)),
        }
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> Result<usize> {
        let stat = fstat(&self.0).map_err(failed)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(usize::try_from(stat.st_size).unwrap_or(usize::MAX)),
            _ => Err(no_file()),
        }
    }

    /// The whole record.
    pub(crate) fn record(&self) -> Result<Record> {
        let size = self.size()?;
        if size > LARGEST {
            return Err(corrupt("it exceeds the size limit of a session"));
        }
        let mut bytes = vec![0; size];
        let mut filled = 0;
        while filled < size {
            match retry_on_intr(|| read(&self.0, &mut bytes[filled..])).map_err(failed)? {
                0 => break,
                more => filled += more,
            }
        }
        bytes.truncate(filled);
        decoded(bytes)
    }

    /// Its first bytes.
    pub(crate) fn head(&self) -> Result<Head> {
        let mut bytes = [0; HEADER_BYTES];
        match retry_on_intr(|| pread(&self.0, &mut bytes, 0)) {
            Ok(length) => Ok(Head::parse(&bytes[..length])),
            Err(Errno::SPIPE | Errno::ISDIR) => Ok(Head::Foreign),
            Err(errno) => Err(failed(errno)),
        }
    }

    /// The time of the last write.
    pub(crate) fn written(&self) -> Result<Timestamp> {
        let seconds = fstat(&self.0).map_err(failed)?.st_mtime;
        Ok(Timestamp::from_millis(u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000)))
    }

    /// Extends the idle deadline of a live session. Returns whether it is live. The caller has
    /// claimed the file.
    pub(crate) fn touch(&self, now: Timestamp, to: impl FnOnce(Timestamp) -> Timestamp) -> Result<bool> {
        match self.head()? {
            head @ Head::Ours { absolute, .. } if head.is_session_at(now) => {
                let deadline = to(absolute).as_millis().to_be_bytes();
                // Eight bytes within one block: readers see either the old or the new ones.
                match retry_on_intr(|| pwrite(&self.0, &deadline, DEADLINE as u64)).map_err(not_made)? {
                    8 => Ok(true),
                    _ => Err(not_made(Errno::IO)),
                }
            }
            Head::Ours { .. } => Ok(false),
            Head::Newer => {
                Err(error(ErrorKind::Unsupported, "a newer version wrote the file: finish the upgrade"))
            }
            Head::Torn | Head::Foreign => Err(corrupt("it is not a session record")),
        }
    }
}

/// The first bytes of a file; a non-file is foreign.
pub(crate) fn head(found: Result<Option<File>>) -> Result<Option<Head>> {
    match found.and_then(|file| file.map(|file| file.head()).transpose()) {
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Some(Head::Foreign)),
        head => head,
    }
}

/// Replaces the claimed file by one with these bytes, or changes nothing.
pub(crate) fn replace(
    (lock, claimed): (&Lock, Option<&Held>),
    leaf: BorrowedFd<'_>,
    name: &Name,
    bytes: &[u8],
    sync: bool,
) -> Result<()> {
    let temporary = name.temporary();
    let done = fill(leaf, &temporary, bytes, sync).map_err(failed).and_then(|()| {
        if claimed.is_none() {
            lock.still_excludes()?;
        }
        renameat(leaf, &*temporary, leaf, name.as_str()).map_err(not_made)
    });
    if let Err(error) = done {
        let _ = unlinkat(leaf, &*temporary, AtFlags::empty());
        return Err(error);
    }
    on_disk(leaf, sync)
}

/// Removes a file. The caller has claimed it, or it is a temporary one and the caller holds the
/// lock.
pub(crate) fn remove(leaf: BorrowedFd<'_>, file: &str, sync: bool) -> Result<()> {
    unlinkat(leaf, file, AtFlags::empty()).map_err(not_made)?;
    on_disk(leaf, sync)
}

fn fill(leaf: BorrowedFd<'_>, temporary: &str, mut bytes: &[u8], sync: bool) -> Result<(), Errno> {
    let create = || openat(leaf, temporary, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | CAREFUL, FILE);
    let file = match create() {
        Err(Errno::EXIST) => {
            // Left by a killed writer, since this call holds the lock.
            unlinkat(leaf, temporary, AtFlags::empty())?;
            create()
        }
        other => other,
    }?;
    while !bytes.is_empty() {
        match retry_on_intr(|| write(&file, bytes))? {
            0 => return Err(Errno::IO),
            written => bytes = &bytes[written..],
        }
    }
    if sync { fsync(&file) } else { Ok(()) }
}

fn on_disk(directory: BorrowedFd<'_>, sync: bool) -> Result<()> {
    if sync { fsync(directory).map_err(not_on_disk) } else { Ok(()) }
}

/// The record in a file's bytes.
pub(crate) fn decoded(bytes: Vec<u8>) -> Result<Record> {
    Record::decode(bytes).map_err(|error| error.in_engine(crate::ENGINE))
}

pub(crate) fn no_file() -> Error {
    corrupt("it is a link, a directory or a device instead of a file")
}

fn corrupt(why: &'static str) -> Error {
    error(ErrorKind::Corrupt, why)
}
