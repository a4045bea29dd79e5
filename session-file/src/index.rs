//! The index of owners: a directory for each owner, with an empty file for each session.
//!
//! An entry is created before the record that needs it, and removed after its record is gone or has
//! another owner; both under the lock of the session. A killed process thus leaves at most an entry
//! without a session, which any holder of the lock may remove.

use std::os::fd::OwnedFd;
use std::vec;

use rustix::fs::{AtFlags, Dir, FileType, OFlags, fsync, openat, unlinkat};
use rustix::io::Errno;
use session_core::accounts::Owner;
use session_core::id::StorageId;
use session_core::{ErrorKind, Result};

use crate::error::{error, failed};
use crate::name::Name;
use crate::root::{CAREFUL, FILE, Root, found, open_directory};

/// The directories of sessions never begin with a dot.
const INDEX: &str = ".owners";

/// How often a directory is recreated that others remove because it is empty.
const ATTEMPTS: usize = 100;

/// Creates an entry if it is missing. The caller holds the lock of the session.
pub(crate) fn enter(root: &Root, directory: &OwnedFd, owner: &Owner, name: &Name) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let entry = folder(root, directory, owner).and_then(|folder| {
            let access = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | CAREFUL;
            openat(&folder, name.as_str(), access, FILE)?;
            if root.sync { fsync(&folder) } else { Ok(()) }
        });
        match entry {
            Ok(()) | Err(Errno::EXIST) => return Ok(()),
            // The directory was removed after it had been opened.
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
    Err(error(ErrorKind::Unavailable, "other processes keep removing the directory of this owner"))
}

/// Opens the directory of an owner, and creates it if it is missing.
fn folder(root: &Root, directory: &OwnedFd, owner: &Owner) -> Result<OwnedFd, Errno> {
    let [first, second] = place(owner);
    if let Ok(folder) = level(directory, &first).and_then(|level| open_directory(level, &*second)) {
        return Ok(folder);
    }
    let index = root.make_directory(directory, INDEX)?;
    let level = root.make_directory(&index, &first)?;
    root.make_directory(&level, &second)
}

/// Removes an entry if it exists, and its directory if that becomes empty. The caller holds the
/// lock of the session.
pub(crate) fn leave(directory: &OwnedFd, owner: &Owner, name: &Name) -> Result<()> {
    let [first, second] = place(owner);
    let left = level(directory, &first).and_then(|level| {
        unlinkat(open_directory(&level, &*second)?, name.as_str(), AtFlags::empty())?;
        let _ = unlinkat(&level, &*second, AtFlags::REMOVEDIR);
        Ok(())
    });
    found(left).map(drop).map_err(failed)
}

/// Two levels: the first two digits of the owner, and all of them.
fn place(owner: &Owner) -> [String; 2] {
    let digits = StorageId::from_hash(owner.0).to_text();
    [digits[..2].to_owned(), digits]
}

fn level(directory: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    open_directory(open_directory(directory, INDEX)?, name)
}

/// The entries of an owner, unordered.
#[derive(Debug)]
pub(crate) struct Entries(Dir);

impl Entries {
    /// `None` if there are none.
    pub(crate) fn of(directory: &OwnedFd, owner: &Owner) -> Result<Option<Self>> {
        let [first, second] = place(owner);
        let folder = level(directory, &first).and_then(|level| open_directory(level, &*second));
        let entries = found(folder).and_then(|folder| folder.map(Dir::new).transpose());
        Ok(entries.map_err(failed)?.map(Self))
    }

    pub(crate) fn next(&mut self) -> Result<Option<Name>> {
        while let Some(entry) = self.0.read() {
            if let Some(name) = Name::parse(entry.map_err(failed)?.file_name().to_bytes()) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

/// A scan of all entries that can be paused and continued.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    /// The names of the remaining directories; `None` before the start.
    levels: Option<vec::IntoIter<String>>,
    level: String,
    owners: vec::IntoIter<String>,
    entries: Option<(Owner, Entries)>,
}

/// The result of one step of a scan.
#[derive(Debug)]
pub(crate) enum Step {
    Entry(Owner, Name),
    Directory,
    End,
}

impl Sweep {
    /// Advances by one step. Removes empty directories on the way.
    pub(crate) fn step(&mut self, directory: &OwnedFd) -> Result<Step> {
        if let Some((owner, entries)) = &mut self.entries {
            if let Some(name) = entries.next()? {
                return Ok(Step::Entry(*owner, name));
            }
            self.entries = None;
        }
        if let Some(digits) = self.owners.next() {
            if let Ok(level) = level(directory, &self.level) {
                // Succeeds only for an empty directory.
                let removed = unlinkat(level, &*digits, AtFlags::REMOVEDIR).is_ok();
                let owner = if removed { None } else { owner(&digits) };
                if let Some(owner) = owner {
                    self.entries = Entries::of(directory, &owner)?.map(|entries| (owner, entries));
                }
            }
            return Ok(Step::Directory);
        }
        let levels = match &mut self.levels {
            Some(levels) => levels,
            None => self.levels.insert(directories(open_directory(directory, INDEX))?),
        };
        let Some(name) = levels.next() else { return Ok(Step::End) };
        self.owners = directories(level(directory, &name))?;
        self.level = name;
        Ok(Step::Directory)
    }
}

fn owner(digits: &str) -> Option<Owner> {
    let id = StorageId::from_text(digits).ok()?;
    if id.as_plain().is_some() { None } else { id.as_bytes().try_into().ok().map(Owner) }
}

/// The names of subdirectories that this engine may have created.
fn directories(parent: Result<OwnedFd, Errno>) -> Result<vec::IntoIter<String>> {
    let mut names = Vec::new();
    let parent = found(parent).and_then(|parent| parent.map(Dir::new).transpose()).map_err(failed)?;
    for entry in parent.into_iter().flatten() {
        let entry = entry.map_err(failed)?;
        let is_directory = matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
        let name =
            entry.file_name().to_str().ok().filter(|name| name.bytes().all(|byte| byte.is_ascii_hexdigit()));
        names.extend(name.filter(|_| is_directory).map(str::to_owned));
    }
    Ok(names.into_iter())
}
