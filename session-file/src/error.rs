//! Classifies the operating system's errors, with advice.

use std::borrow::Cow;

use rustix::io::Errno;
use session_core::{Error, ErrorKind};

use crate::ENGINE;

/// A system call failed before anything was changed.
pub(crate) fn failed(errno: Errno) -> Error {
    let (kind, message) = match errno {
        Errno::NOSPC | Errno::DQUOT => (
            ErrorKind::Full,
            "the disk has no space or no inodes left, or the quota is exhausted: nothing was changed",
        ),
        Errno::FBIG => (ErrorKind::TooLarge, "the file system does not support files of this size"),
        Errno::ACCESS | Errno::PERM | Errno::ROFS => (
            ErrorKind::Unavailable,
            "this process may not read and write the session directory: give it access to the directory and \
            its contents",
        ),
        Errno::NOTDIR | Errno::LOOP => (
            ErrorKind::Unavailable,
            "the session directory, or one in it, is not a directory any more (symbolic links are not \
            followed)",
        ),
        Errno::MFILE | Errno::NFILE => {
            (ErrorKind::Unavailable, "too many open files: raise the limit (`ulimit -n`)")
        }
        _ => (ErrorKind::Unavailable, "the session directory cannot be used"),
    };
    error(kind, message).with_source(std::io::Error::from(errno))
}

/// A system call failed after the change was made, so a power loss may undo it.
pub(crate) fn not_on_disk(errno: Errno) -> Error {
    error(ErrorKind::OutcomeUnknown, "the change was made, but could not be flushed to disk")
        .with_source(std::io::Error::from(errno))
}

/// The system call that makes the change failed. After a disk error the change may have been made.
pub(crate) fn not_made(errno: Errno) -> Error {
    match errno {
        Errno::IO => error(ErrorKind::OutcomeUnknown, "the disk failed during the change")
            .with_source(std::io::Error::from(errno)),
        errno => failed(errno),
    }
}

pub(crate) fn error(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(kind, message).in_engine(ENGINE)
}
