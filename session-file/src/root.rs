//! The directory and paths in it, opened step by step without following symbolic links.

use std::fs::{DirBuilder, FileType};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, Stat, fstat, fsync, mkdirat, open, openat, unlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;
use session_core::{Error, ErrorKind, Result};

use crate::ENGINE;
use crate::error::{error, failed};
use crate::lock;
use crate::name::Name;

const DIRECTORY: Mode = Mode::RWXU;
pub(crate) const FILE: Mode = Mode::RUSR.union(Mode::WUSR);
/// Symbolic links are refused, and a pipe does not block the open.
pub(crate) const CAREFUL: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// The directory of all sessions. It is opened for every operation, so that it is found again after
/// a disk was mounted.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    /// Whether changes must be on disk before they are acknowledged.
    pub sync: bool,
    /// Whether the directory may belong to another user or be group-writable.
    trusted: bool,
}

impl Root {
    /// Creates the directory if it is missing, and checks that it can be used.
    pub(crate) fn prepare(path: &Path, sync: bool, trusted: bool) -> Result<Self> {
        // Without a trailing slash or dot, which would make the system follow a symbolic link.
        let path: PathBuf = path.components().collect();
        let refused = |why: &str| Error::config(format!("`{}` {why}", path.display())).in_engine(ENGINE);
        let path = std::path::absolute(&path)
            .map_err(|error| refused("is not a path: give a directory, as in `./tmp`").with_source(error))?;
        match path.symlink_metadata().map(|metadata| metadata.file_type()) {
            Ok(kind) => check(kind).map_err(refused)?,
            Err(_) => DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(|error| {
                refused(
                    "does not exist and cannot be created: create it, owned by the user that this service \
                     runs as and with mode 0700, or choose another place",
                )
                .with_source(error)
            })?,
        }
        // Parent directories may be links now; later none is followed.
        let path = path.canonicalize().map_err(|error| refused("cannot be resolved").with_source(error))?;
        let root = Self { path, sync, trusted };
        root.probe()?;
        Ok(root)
    }

    /// Checks that only this user can create files in it, and creates the locks, so that a logout
    /// needs no disk space.
    fn probe(&self) -> Result<()> {
        let refused = |why: &str| Error::config(format!("`{}` {why}", self.path.display())).in_engine(ENGINE);
        let no_access = |errno| match errno {
            Errno::NOSPC | Errno::DQUOT => failed(errno),
            _ => {
                refused("cannot be written to: give it to the user that this service runs as, with mode 0700")
                    .with_source(std::io::Error::from(errno))
            }
        };
        let root = open(&self.path, OFlags::RDONLY | OFlags::DIRECTORY | CAREFUL, Mode::empty())
            .map_err(no_access)?;
        if let Some(why) = self.insecure(&fstat(&root).map_err(no_access)?) {
            return Err(refused(why));
        }
        let probe = format!(".probe-{:016x}", rand::random::<u64>());
        openat(&root, &*probe, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | CAREFUL, FILE)
            .and_then(|_| unlinkat(&root, &*probe, rustix::fs::AtFlags::empty()))
            .map_err(no_access)?;
        lock::make_all(&root)
    }

    /// Why the directory must not be used: other users could plant sessions in it.
    fn insecure(&self, directory: &Stat) -> Option<&'static str> {
        let mode = Mode::from_raw_mode(directory.st_mode);
        if mode.contains(Mode::WOTH) {
            return Some(
                "is world-writable, so any user of this machine could plant sessions in it: \
                 `chmod 700` it, or choose a directory of its own in it",
            );
        }
        if self.trusted {
            return None;
        }
        if directory.st_uid != geteuid().as_raw() {
            return Some(
                "belongs to another user, who could plant sessions in it: `chown` it to the user that this service \
                 runs as, or set `trust_directory=true` if that user may log in as anybody",
            );
        }
        mode.contains(Mode::WGRP).then_some(
            "may be written to by its group, which could plant sessions in it: `chmod 700` it, or set \
             `trust_directory=true` if all of the group may be logged in as anybody",
        )
    }

    /// Opens the current directory, which may differ from the one at the start.
    pub(crate) fn open(&self) -> Result<OwnedFd> {
        let root = open_directory(CWD, &self.path).map_err(|errno| match errno {
            Errno::NOENT => gone().with_source(std::io::Error::from(errno)),
            errno => failed(errno),
        })?;
        match self.insecure(&fstat(&root).map_err(failed)?) {
            None => Ok(root),
            Some(why) => Err(error(
                ErrorKind::Unavailable,
                format!("the session directory was replaced, or its mode changed: it {why}"),
            )),
        }
    }

    /// Opens a session's file in one step, if the system can resolve a path without links. `None`
    /// means that it must be opened step by step, which also reports what is missing or wrong.
    pub(crate) fn file_at_once(&self, name: &Name, waiting: Waiting) -> Option<OwnedFd> {
        let [first, second] = name.levels();
        let mut path = self.path.clone();
        path.reserve(name.as_str().len() + "/x/s/".len());
        path.extend([first, second, name.as_str()]);
        let file = open_at_once(CWD, path, OFlags::RDONLY, waiting)?;
        // For another user's file, the slow path checks whether the directory is still this user's.
        fstat(&file).is_ok_and(|file| file.st_uid == geteuid().as_raw()).then_some(file)
    }

    /// The directory of a session; `None` if it does not exist yet.
    pub(crate) fn leaf(root: &OwnedFd, name: &Name) -> Result<Option<OwnedFd>> {
        let [first, second] = name.levels();
        if let Some(leaf) = open_at_once(
            root,
            format!("{first}/{second}"),
            OFlags::RDONLY | OFlags::DIRECTORY,
            Waiting::Allowed,
        ) {
            return Ok(Some(leaf));
        }
        let leaf = open_directory(root, first).and_then(|first| open_directory(first, second));
        found(leaf).map_err(failed)
    }

    /// The directory of a session; creates missing directories.
    pub(crate) fn make_leaf(&self, root: &OwnedFd, name: &Name) -> Result<OwnedFd> {
        let [first, second] = name.levels();
        let first = self.make_directory(root, first).map_err(failed)?;
        self.make_directory(&first, second).map_err(failed)
    }

    pub(crate) fn make_directory(&self, parent: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
        match mkdirat(parent, name, DIRECTORY) {
            Ok(()) if self.sync => fsync(parent)?,
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        open_directory(parent, name)
    }
}

pub(crate) fn open_directory<P: rustix::path::Arg>(parent: impl AsFd, name: P) -> Result<OwnedFd, Errno> {
    openat(parent, name, OFlags::RDONLY | OFlags::DIRECTORY | CAREFUL, Mode::empty())
}

/// Whether a system call may wait for the disk.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Waiting {
    /// It may, so it must run off the async workers.
    Allowed,
    /// It must fail instead.
    Refused,
}

/// Opens a path if none of its components is a symbolic link.
#[cfg(target_os = "linux")]
fn open_at_once<P: rustix::path::Arg>(
    parent: impl AsFd,
    path: P,
    access: OFlags,
    waiting: Waiting,
) -> Option<OwnedFd> {
    use rustix::fs::{ResolveFlags, openat2};
    let resolve = match waiting {
        Waiting::Allowed => ResolveFlags::NO_SYMLINKS,
        Waiting::Refused => ResolveFlags::NO_SYMLINKS | ResolveFlags::CACHED,
    };
    openat2(parent, path, access | CAREFUL, Mode::empty(), resolve).ok()
}

/// Not supported on other systems and old kernels.
#[cfg(not(target_os = "linux"))]
fn open_at_once<P: rustix::path::Arg>(_: impl AsFd, _: P, _: OFlags, _: Waiting) -> Option<OwnedFd> {
    None
}

/// It is not recreated: if a disk is not mounted, mounting it would hide the new sessions and undo
/// logouts.
fn gone() -> Error {
    error(
        ErrorKind::Unavailable,
        "the session directory is gone: mount it, or create it again, owned by the user that this service runs as \
         and with mode 0700",
    )
}

/// A missing file is not an error.
pub(crate) fn found<T>(result: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn check(kind: FileType) -> Result<(), &'static str> {
    if kind.is_symlink() {
        Err("is a symbolic link: give the directory that it leads to")
    } else if kind.is_dir() {
        Ok(())
    } else {
        Err("is a file: give a directory, or remove the file")
    }
}
