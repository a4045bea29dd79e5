//! A scan of all files that can be this engine's, which can be paused and continued.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::vec;

use rustix::fs::{Dir, FileType};
use rustix::io::Errno;
use session_core::Result;

use crate::error::failed;
use crate::name::{Name, is_level};
use crate::root::open_directory;

/// The state of a scan: the remaining directories, and the one being read.
#[derive(Debug)]
pub(crate) struct Walk {
    root: Level,
    second: Option<Level>,
    leaf: Option<Leaf>,
}

/// A directory of the first level.
#[derive(Debug)]
struct Level {
    name: String,
    directory: Dir,
    rest: vec::IntoIter<String>,
}

/// A directory of sessions.
#[derive(Debug)]
pub(crate) struct Leaf {
    levels: [String; 2],
    files: Dir,
}

/// A file with a name and path of this engine.
#[derive(Debug)]
pub(crate) enum Entry {
    Session(Name),
    Temporary(Name),
}

impl Walk {
    pub(crate) fn begin(root: OwnedFd) -> Result<Self> {
        let root = Level::new(String::new(), root).map_err(failed)?;
        Ok(Self { root, second: None, leaf: None })
    }

    /// A scan that starts with the directory of this name.
    pub(crate) fn begin_at(root: OwnedFd, name: Option<&Name>) -> Result<Self> {
        let mut walk = Self::begin(root)?;
        if let Some([first, second]) = name.map(Name::levels) {
            walk.root.skip_to(first);
            // The first level exists, unless it was emptied and removed meanwhile.
            if walk.root.rest.as_slice().first().is_some_and(|level| level == first)
                && let Some((name, directory)) = walk.root.enter().map_err(failed)?
            {
                let mut level = Level::new(name, directory).map_err(failed)?;
                if level.name == first {
                    level.skip_to(second);
                }
                walk.second = Some(level);
            }
        }
        Ok(walk)
    }

    /// The next file, `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(&Leaf, Entry)>> {
        loop {
            // In two steps, because of the borrow checker: a conditionally returned reference stays
            // borrowed.
            let entry = match &mut self.leaf {
                Some(leaf) => leaf.next().map_err(failed)?,
                None => None,
            };
            match entry {
                Some(entry) => return Ok(self.leaf.as_ref().map(|leaf| (leaf, entry))),
                None if self.next_leaf().map_err(failed)? => {}
                None => return Ok(None),
            }
        }
    }

    /// Moves to the next directory. Returns whether there was one.
    fn next_leaf(&mut self) -> Result<bool, Errno> {
        self.leaf = None;
        loop {
            if let Some(second) = &mut self.second
                && let Some((name, directory)) = second.enter()?
            {
                let levels = [second.name.clone(), name];
                self.leaf = Some(Leaf { levels, files: Dir::new(directory)? });
                return Ok(true);
            }
            match self.root.enter()? {
                Some((name, directory)) => self.second = Some(Level::new(name, directory)?),
                None => return Ok(false),
            }
        }
    }
}

impl Level {
    /// Finds the subdirectories with valid names of a level: at most 64.
    fn new(name: String, directory: OwnedFd) -> Result<Self, Errno> {
        let mut directory = Dir::new(directory)?;
        let mut levels = Vec::new();
        while let Some(entry) = directory.read() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if is_level(name) && matches!(entry.file_type(), FileType::Directory | FileType::Unknown) {
                levels.push(String::from_utf8_lossy(name).into_owned());
            }
        }
        levels.sort();
        Ok(Self { name, directory, rest: levels.into_iter() })
    }

    fn skip_to(&mut self, name: &str) {
        let skipped = self.rest.as_slice().iter().take_while(|level| level.as_str() < name).count();
        self.rest.by_ref().take(skipped).for_each(drop);
    }

    /// The next directory. Skips non-directories, removed ones, and those without access, which are
    /// not this engine's.
    fn enter(&mut self) -> Result<Option<(String, OwnedFd)>, Errno> {
        for name in &mut self.rest {
            match open_directory(self.directory.fd()?, &*name) {
                Ok(directory) => return Ok(Some((name, directory))),
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(None)
    }
}

impl Leaf {
    pub(crate) fn directory(&self) -> Result<BorrowedFd<'_>> {
        self.files.fd().map_err(failed)
    }

    fn next(&mut self) -> Result<Option<Entry>, Errno> {
        while let Some(file) = self.files.read() {
            let file = file?;
            let name = file.file_name().to_bytes();
            let entry = Name::parse(name).map(Entry::Session);
            let entry = entry.or_else(|| Name::parse_temporary(name).map(Entry::Temporary));
            if let Some(entry) = entry.filter(|entry| entry.name().levels() == self.levels) {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }
}

impl Entry {
    const fn name(&self) -> &Name {
        match self {
            Self::Session(name) | Self::Temporary(name) => name,
        }
    }
}
