//! A walk over all files that can be this engine's, which can stop anywhere and go on later.

use std::os::fd::OwnedFd;
use std::vec;

use rustix::fs::{Dir, FileType};
use rustix::io::Errno;
use session_core::Result;

use crate::error::failed;
use crate::name::{Name, is_level};
use crate::root::open_directory;

/// Where a walk is: the directories that are still to be seen, and the one that is being read.
#[derive(Debug)]
pub(crate) struct Walk {
    root: OwnedFd,
    first: Levels,
    second: Option<(String, OwnedFd, Levels)>,
    leaf: Option<(Leaf, Dir)>,
}

type Levels = vec::IntoIter<String>;

/// A directory that sessions lie in.
#[derive(Debug)]
pub(crate) struct Leaf {
    levels: [String; 2],
    pub directory: OwnedFd,
}

/// A file whose name and place are those of this engine.
#[derive(Debug)]
pub(crate) enum Entry {
    Session(Name),
    Temporary(Name),
}

impl Walk {
    pub(crate) fn begin(root: OwnedFd) -> Result<Self> {
        let first = levels(&root).map_err(failed)?;
        Ok(Self { root, first, second: None, leaf: None })
    }

    pub(crate) const fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// The next file, `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(&Leaf, Entry)>> {
        loop {
            // In two steps, since a reference that may be returned cannot be given up again.
            let entry = match &mut self.leaf {
                Some((leaf, files)) => leaf.next(files)?,
                None => None,
            };
            match entry {
                Some(entry) => return Ok(self.leaf.as_ref().map(|(leaf, _)| (leaf, entry))),
                None if self.next_leaf().map_err(failed)? => {}
                None => return Ok(None),
            }
        }
    }

    /// Goes on to the next directory, and says whether there was one.
    fn next_leaf(&mut self) -> Result<bool, Errno> {
        self.leaf = None;
        loop {
            if let Some((first, parent, rest)) = &mut self.second {
                for second in rest {
                    if let Some(directory) = enter(parent, &second)? {
                        let files = Dir::read_from(&directory)?;
                        let levels = [first.clone(), second];
                        self.leaf = Some((Leaf { levels, directory }, files));
                        return Ok(true);
                    }
                }
            }
            let Some(first) = self.first.next() else { return Ok(false) };
            self.second = match enter(&self.root, &first)? {
                Some(directory) => {
                    let rest = levels(&directory)?;
                    Some((first, directory, rest))
                }
                None => None,
            };
        }
    }
}

impl Leaf {
    fn next(&self, files: &mut Dir) -> Result<Option<Entry>> {
        while let Some(file) = files.read() {
            let file = file.map_err(failed)?;
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

/// The names in a directory that can be those of a level. There are at most 64 of them.
fn levels(directory: &OwnedFd) -> Result<Levels, Errno> {
    let mut levels = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if is_level(name) && matches!(entry.file_type(), FileType::Directory | FileType::Unknown) {
            levels.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    levels.sort();
    Ok(levels.into_iter())
}

/// Opens a directory; `None` for what is none, is gone, or is closed to this process, and so not this engine's.
fn enter(parent: &OwnedFd, name: &str) -> Result<Option<OwnedFd>, Errno> {
    match open_directory(parent, name) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => Ok(None),
        Err(errno) => Err(errno),
    }
}
