//! Which sessions an owner has: a directory for each owner, and an empty file in it for each
//! session.
//!
//! An entry is made before the record that needs it, and removed after its record is gone or
//! somebody else's; both under the lock of the session. So an entry of which nothing is left is all
//! that a killed process leaves, and everybody who has the lock may remove it.

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

/// No session's directory begins with a dot.
const INDEX: &str = ".owners";

/// How often a directory is made again that others remove because it is empty.
const ATTEMPTS: usize = 100;

/// Makes an entry if there is none. The caller holds the lock of the session.
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
    Err(error(ErrorKind::Unavailable, "others remove the directory of this owner again and again"))
}

/// The directory of an owner, made if it is not there.
fn folder(root: &Root, directory: &OwnedFd, owner: &Owner) -> Result<OwnedFd, Errno> {
    let [first, second] = place(owner);
    if let Ok(folder) = level(directory, &first).and_then(|level| open_directory(level, &*second)) {
        return Ok(folder);
    }
    let index = root.make_directory(directory, INDEX)?;
    let level = root.make_directory(&index, &first)?;
    root.make_directory(&level, &second)
}

/// Removes an entry if it is there, and its directory if that is empty by then. The caller holds
/// the lock of the session.
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

/// The entries of an owner, in no order.
#[derive(Debug)]
pub(crate) struct Entries(Dir);

impl Entries {
    /// `None` when there are none.
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

/// A walk over all entries, which can stop anywhere and go on later.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    /// What is still to be seen, by the names of directories; `None` before the beginning.
    levels: Option<vec::IntoIter<String>>,
    level: String,
    owners: vec::IntoIter<String>,
    entries: Option<(Owner, Entries)>,
}

/// What one step of a walk has come to.
#[derive(Debug)]
pub(crate) enum Step {
    Entry(Owner, Name),
    Directory,
    End,
}

impl Sweep {
    /// Goes on by one step. A directory that is left empty is removed on the way.
    pub(crate) fn step(&mut self, directory: &OwnedFd) -> Result<Step> {
        if let Some((owner, entries)) = &mut self.entries {
            if let Some(name) = entries.next()? {
                return Ok(Step::Entry(*owner, name));
            }
            self.entries = None;
        }
        if let Some(digits) = self.owners.next() {
            if let Ok(level) = level(directory, &self.level) {
                // It succeeds only for one that is empty.
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

/// The names of the directories in one that this engine can have made.
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
