//! The directory, and the way down in it: step by step, following no symbolic link.

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
/// A symbolic link is refused, and a pipe does not make the opening wait.
pub(crate) const CAREFUL: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// The directory that holds all sessions. It is opened for every operation, so that one that was away (a disk that
/// was not mounted) is found again when it is back.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    /// Whether changes must be on disk before they count as done.
    pub sync: bool,
    /// Whether the directory may belong to another user, and its group may write to it.
    trusted: bool,
}

impl Root {
    /// Creates the directory if it is missing, and makes sure that it can be used.
    pub(crate) fn prepare(path: &Path, sync: bool, trusted: bool) -> Result<Self> {
        // Without a slash or a dot at its end, which would make the system follow a symbolic link.
        let path: PathBuf = path.components().collect();
        let refused = |why: &str| Error::config(format!("`{}` {why}", path.display())).in_engine(ENGINE);
        let path = std::path::absolute(&path)
            .map_err(|error| refused("is no path: give a directory, as in `./tmp`").with_source(error))?;
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
        // What leads to the directory may be a link, now; afterwards nothing is.
        let path = path.canonicalize().map_err(|error| refused("cannot be looked up").with_source(error))?;
        let root = Self { path, sync, trusted };
        root.probe()?;
        Ok(root)
    }

    /// Makes sure that files can be made in it, and only by this user, and makes the locks, so that a logout
    /// needs no room on the disk.
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

    /// Why the directory must not be used: somebody else could plant sessions in it.
    fn insecure(&self, directory: &Stat) -> Option<&'static str> {
        let mode = Mode::from_raw_mode(directory.st_mode);
        if mode.contains(Mode::WOTH) {
            return Some(
                "may be written to by every user of this machine, who could plant sessions in it: \
                 `chmod 700` it, or choose a directory of its own in it",
            );
        }
        if self.trusted {
            return None;
        }
        if directory.st_uid != geteuid().as_raw() {
            return Some(
                "belongs to another user, who could plant sessions in it: `chown` it to the user that this service \
                 runs as, or say `trust_directory=true` if that user may be logged in as anybody",
            );
        }
        mode.contains(Mode::WGRP).then_some(
            "may be written to by its group, which could plant sessions in it: `chmod 700` it, or say \
             `trust_directory=true` if all of the group may be logged in as anybody",
        )
    }

    /// The directory as it is now, which may be another one than at the start.
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

    /// A session's file in one step, where the system can follow a path and refuse links in it at once. `None` says
    /// that it must be looked for step by step, which also tells what is missing or in the way.
    pub(crate) fn file_at_once(&self, name: &Name, waiting: Waiting) -> Option<OwnedFd> {
        let [first, second] = name.levels();
        let mut path = self.path.clone();
        path.reserve(name.as_str().len() + "/x/s/".len());
        path.extend([first, second, name.as_str()]);
        let file = open_at_once(CWD, path, OFlags::RDONLY, waiting)?;
        // Of a file that somebody else made, the long way tells whether the directory is still ours.
        fstat(&file).is_ok_and(|file| file.st_uid == geteuid().as_raw()).then_some(file)
    }

    /// The directory that a session lies in; `None` when it is not there yet.
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

    /// The directory that a session lies in, made as far as it is not there yet.
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
    /// It may, and belongs off the async workers.
    Allowed,
    /// It fails instead.
    Refused,
}

/// Opens a path of several steps if none of them is a symbolic link.
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

/// Other systems cannot, nor can old kernels.
#[cfg(not(target_os = "linux"))]
fn open_at_once<P: rustix::path::Arg>(_: impl AsFd, _: P, _: OFlags, _: Waiting) -> Option<OwnedFd> {
    None
}

/// It is not made again: where a disk is not mounted, sessions would be hidden behind it later, and logouts undone.
fn gone() -> Error {
    error(
        ErrorKind::Unavailable,
        "the session directory is gone: mount it, or create it again, owned by the user that this service runs as \
         and with mode 0700",
    )
}

/// What is not there is no error.
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
