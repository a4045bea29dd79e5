//! The sessions of an owner, and the scan of all records.

use std::collections::BTreeSet;
use std::os::fd::AsFd as _;

use async_trait::async_trait;
use rustix::fs::{AtFlags, OFlags, statat};
use session_core::accounts::Owner;
use session_core::engine::{Cursor, Indexed, Listed, Page, Scan};
use session_core::record::Record;
use session_core::{Error, ErrorKind, Result};

use crate::error::{error, failed};
use crate::file;
use crate::head::Head;
use crate::index::{self, Entries, Step, Sweep};
use crate::lock::Lock;
use crate::name::Name;
use crate::provider::{FileProvider, Shared};
use crate::root::{Root, found};
use crate::walk::{Entry, Walk};

/// The number of entries per slice of blocking work.
const SLICE: usize = 1024;
/// How often an owner's entries are read again if ids were replaced meanwhile.
const PASSES: usize = 8;

#[async_trait]
impl Indexed for FileProvider {
    /// Reads the names of all sessions of the owner, and the records on the page. Skips sessions
    /// with ids of more than 250 characters, whose file names do not contain the id.
    async fn list(&self, owner: &Owner, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let (owner, after) = (*owner, after.map(name_of).transpose()?);
        self.unlocked(move |shared| shared.list_page(&owner, after, limit)).await
    }

    /// Takes the lock of each session, like a logout.
    async fn end_owner(&self, owner: &Owner, limit: usize) -> Result<usize> {
        let owner = *owner;
        for _ in 0..PASSES {
            let entries = self.unlocked(move |shared| Entries::of(&shared.root.open()?, &owner)).await?;
            let Some(mut entries) = entries else { return Ok(0) };
            let (mut ended, mut met) = (0, false);
            loop {
                let names;
                (entries, names) = self.unlocked(move |_| entries.slice()).await?;
                met |= !names.is_empty();
                let is_last = names.is_empty();
                for name in names {
                    let place = name.clone();
                    let one =
                        self.locked(&name, move |shared, lock| shared.end_one(lock, &owner, &place)).await;
                    match one {
                        Ok(one) => ended += usize::from(one),
                        // The next call finds it again.
                        Err(_) if ended > 0 => return Ok(ended),
                        Err(error) => return Err(error),
                    }
                    if ended >= limit {
                        return Ok(ended);
                    }
                }
                if is_last {
                    break;
                }
            }
            // A session whose id was replaced now has an entry under the new id.
            if ended > 0 || !met {
                return Ok(ended);
            }
        }
        Err(error(ErrorKind::Conflict, "too many concurrent changes to these sessions; retry the request"))
    }
}

#[async_trait]
impl Scan for FileProvider {
    /// Reads the directories of the page's records. Skips records with ids of more than 250
    /// characters, whose file names do not contain the id.
    async fn scan(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let after = after.map(name_of).transpose()?;
        self.unlocked(move |shared| shared.scan_page(after, limit)).await
    }
}

fn name_of(cursor: &Cursor) -> Result<Name> {
    Name::parse(&cursor.0).ok_or_else(|| {
        Error::config("the cursor belongs to another list: start again without a cursor")
            .in_engine(crate::ENGINE)
    })
}

fn cursor_at(name: &Name) -> Cursor {
    Cursor(name.as_str().as_bytes().into())
}

impl Entries {
    /// The next entries; empty at the end.
    fn slice(mut self) -> Result<(Self, Vec<Name>)> {
        let mut names = Vec::new();
        while names.len() < SLICE
            && let Some(name) = self.next()?
        {
            names.push(name);
        }
        Ok((self, names))
    }
}

/// The first names, in order.
struct First {
    after: Option<Name>,
    limit: usize,
    names: BTreeSet<Name>,
    /// Whether more follow.
    more: bool,
}

impl First {
    const fn new(after: Option<Name>, limit: usize) -> Self {
        Self { after, limit, names: BTreeSet::new(), more: false }
    }

    fn add(&mut self, name: Name) {
        if self.after.as_ref().is_some_and(|after| name <= *after) {
            return;
        }
        self.names.insert(name);
        if self.names.len() > self.limit {
            self.names.pop_last();
            self.more = true;
        }
    }

    fn next(&self) -> Option<Cursor> {
        self.names.last().filter(|_| self.more).map(cursor_at)
    }
}

impl Shared {
    fn list_page(&self, owner: &Owner, after: Option<Name>, limit: usize) -> Result<Page> {
        let Some(mut entries) = Entries::of(&self.root.open()?, owner)? else { return Ok(Page::default()) };
        let mut first = First::new(after, limit);
        while let Some(name) = entries.next()? {
            first.add(name);
        }
        let next = first.next();
        let mut sessions = Vec::with_capacity(first.names.len());
        for name in first.names {
            let record = self.record_of(&name)?;
            match record.filter(|record| record.is_live() && record.header.owner == Some(*owner)) {
                Some(record) => {
                    let alive = self.unless_expired(Some(record)).zip(name.id());
                    sessions.extend(alive.map(|(record, id)| Listed::new(id, record)));
                }
                None => self.tidy(owner, &name),
            }
        }
        Ok(Page { sessions, next })
    }

    /// A record, expired or not, if it exists and can be read.
    fn record_of(&self, name: &Name) -> Result<Option<Record>> {
        match self.find(name).and_then(|file| file.map(|file| file.record()).transpose()) {
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => Ok(None),
            record => record,
        }
    }

    fn scan_page(&self, after: Option<Name>, limit: usize) -> Result<Page> {
        let mut walk = Walk::begin_at(self.root.open()?, after.as_ref())?;
        let mut first = First::new(after, limit);
        let mut leaf = None;
        while let Some((_, entry)) = walk.next()? {
            let Entry::Session(name) = entry else { continue };
            let levels = name.levels().map(str::to_owned);
            if leaf.as_ref() != Some(&levels) {
                // Names are ordered by directory, so the following directories are not needed.
                if first.names.len() >= limit {
                    first.more = true;
                    break;
                }
                leaf = Some(levels);
            }
            first.add(name);
        }
        let next = first.next();
        let mut sessions = Vec::with_capacity(first.names.len());
        for name in first.names {
            let record = self.unless_expired(self.record_of(&name)?).zip(name.id());
            sessions.extend(record.map(|(record, id)| Listed::new(id, record)));
        }
        Ok(Page { sessions, next })
    }

    /// Ends a session if it belongs to this owner, and removes its entry in any case. Returns
    /// whether it was live.
    fn end_one(&self, lock: &Lock, owner: &Owner, name: &Name) -> Result<bool> {
        let mut ended = false;
        if let Some(leaf) = Root::leaf(&lock.root, name)? {
            let head = match lock.claim(leaf.as_fd(), name, OFlags::RDONLY) {
                Ok(claimed) => claimed.map(|claimed| Ok((claimed.file.head()?, claimed))).transpose()?,
                Err(error) if error.kind() == ErrorKind::Corrupt => None,
                Err(error) => return Err(error),
            };
            if let Some((head, _claimed)) = head
                && (head.owner() == Some(*owner) || matches!(head, Head::Newer))
            {
                file::remove(leaf.as_fd(), name.as_str(), self.root.sync)?;
                ended = !head.has_expired(self.clock.now());
            }
        }
        index::leave(&lock.root, owner, name)?;
        Ok(ended)
    }

    /// Removes an entry without a session, unless the session is being written.
    fn tidy(&self, owner: &Owner, name: &Name) {
        let tidied = self.root.open().and_then(|root| {
            let Some(lock) = Lock::try_acquire(root, name.lock())? else { return Ok(()) };
            let leaf = Root::leaf(&lock.root, name)?;
            let claimed = match &leaf {
                Some(leaf) => lock.claim(leaf.as_fd(), name, OFlags::RDONLY)?,
                None => None,
            };
            let head = claimed.as_ref().map(|claimed| claimed.file.head()).transpose()?;
            match head {
                Some(head) if head.owner() == Some(*owner) || matches!(head, Head::Newer) => Ok(()),
                _ => index::leave(&lock.root, owner, name),
            }
        });
        // The next reader tries again.
        drop(tidied);
    }

    /// Continues the scan of all entries of an earlier call, or starts one, and removes those
    /// without a session. Returns whether it is complete.
    pub(crate) fn sweep_slice(&self, sweep: &mut Sweep) -> Result<bool> {
        let root = self.root.open()?;
        for _ in 0..SLICE {
            match sweep.step(&root)? {
                Step::Entry(owner, name) => {
                    let file = Root::leaf(&root, &name)?.map(|leaf| {
                        found(statat(leaf, name.as_str(), AtFlags::SYMLINK_NOFOLLOW)).map_err(failed)
                    });
                    if file.transpose()?.flatten().is_none() {
                        self.tidy(&owner, &name);
                    }
                }
                Step::Directory => {}
                Step::End => return Ok(true),
            }
        }
        Ok(false)
    }
}
