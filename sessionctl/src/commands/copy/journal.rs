//! What this copy has stored at the target, in memory and, to go on after an interruption, in a file.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, Write as _};
use std::path::Path;

use session_kit::clock::Timestamp;
use session_kit::engine::Cursor;
use session_kit::id::StorageId;
use session_kit::record::Version;

use crate::failure::{Code, Failure, Result};

/// A session that this copy has stored, or was about to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The version of the source's record.
    pub version: Version,
    /// The version that was stored before, while it is not known whether this one was.
    pub previous: Option<Version>,
    /// When the record at the target ends by itself.
    pub deadline: Timestamp,
    /// Whether it was stored for certain.
    pub stored: bool,
    /// In which pass it was last seen at the source.
    pub pass: u32,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Journal {
    known: HashMap<StorageId, Known>,
    file: Option<BufWriter<File>>,
}

const INTENDED: u8 = 0;
const STORED: u8 = 1;
const FORGOTTEN: u8 = 2;

impl Journal {
    /// Opens the file, or creates it, for this process alone; `engines` says between which engines it copies.
    ///
    /// The file holds storage ids, and is readable for its owner only.
    pub fn open(path: &Path, engines: &str) -> Result<Self> {
        let failed = |error: io::Error| Failure::new(Code::Usage, format!("{}: {error}", path.display()));
        let wrong = |why: &str| Failure::new(Code::Usage, format!("{}: {why}", path.display()));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(failed)?;
        file.try_lock().map_err(|_| wrong("another copy is using it"))?;

        let head = format!("sessionctl copy 1, {engines}\n");
        let mut journal = Self::default();
        if file.metadata().map_err(failed)?.len() == 0 {
            file.write_all(head.as_bytes()).map_err(failed)?;
        } else {
            let mut reader = BufReader::new(&file);
            let mut found = vec![0; head.len()];
            if reader.read_exact(&mut found).is_err() || found != head.as_bytes() {
                return Err(wrong("it is not the state of a copy between these engines: name a new file"));
            }
            let mut end = head.len() as u64;
            while let Some((kind, id, version, deadline)) = read_entry(&mut reader) {
                end += entry(kind, &id, version, deadline).len() as u64;
                journal.apply(kind, id, version, deadline);
            }
            // What an interrupted process wrote of an entry is replaced.
            file.set_len(end).map_err(failed)?;
            file.seek(io::SeekFrom::End(0)).map_err(failed)?;
        }
        journal.file = Some(BufWriter::new(file));
        Ok(journal)
    }

    pub fn get(&self, id: &StorageId) -> Option<Known> {
        self.known.get(id).copied()
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Notes that the source has the session.
    pub fn seen(&mut self, id: &StorageId, pass: u32) {
        if let Some(known) = self.known.get_mut(id) {
            known.pass = pass;
        }
    }

    /// Notes what is about to be stored, before it is: were it not known afterwards, a session that ends at the source
    /// meanwhile would stay at the target.
    pub fn intend(&mut self, id: &StorageId, version: Version, deadline: Timestamp) -> Result<()> {
        self.apply(INTENDED, id.clone(), version, deadline);
        self.write(INTENDED, id, version, deadline)
    }

    /// Takes an intention back: the target has what was known of it before.
    pub fn restore(&mut self, id: &StorageId, before: Option<Known>) -> Result<()> {
        match before {
            Some(before) if before.stored => {
                self.known.insert(id.clone(), before);
                self.write(STORED, id, before.version, before.deadline)
            }
            // Its version is random: that the target may have it is no mistake that could end another session.
            _ => Ok(()),
        }
    }

    pub fn stored(&mut self, id: &StorageId, version: Version, deadline: Timestamp) -> Result<()> {
        if self.get(id).is_none_or(|known| known.version != version || !known.stored) {
            self.write(STORED, id, version, deadline)?;
        }
        self.apply(STORED, id.clone(), version, deadline);
        Ok(())
    }

    pub fn forget(&mut self, id: &StorageId) -> Result<()> {
        self.known.remove(id);
        self.write(FORGOTTEN, id, Version::default(), Timestamp::from_millis(0))
    }

    /// The sessions that were not seen in this pass.
    pub fn unseen(&self, pass: u32) -> Vec<(StorageId, Known)> {
        let unseen = self.known.iter().filter(|(_, known)| known.pass != pass);
        unseen.map(|(id, known)| (id.clone(), *known)).collect()
    }

    /// Hands what was noted to the operating system.
    pub fn flush(&mut self) -> Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush).map_err(not_written)
    }

    fn apply(&mut self, kind: u8, id: StorageId, version: Version, deadline: Timestamp) {
        let before = self.known.get(&id).copied();
        let pass = before.map_or(0, |known| known.pass);
        match kind {
            INTENDED => {
                let previous = before.map(|known| known.version);
                self.known.insert(id, Known { version, previous, deadline, stored: false, pass });
            }
            STORED => {
                self.known.insert(id, Known { version, previous: None, deadline, stored: true, pass });
            }
            _ => {
                self.known.remove(&id);
            }
        }
    }

    fn write(&mut self, kind: u8, id: &StorageId, version: Version, deadline: Timestamp) -> Result<()> {
        match &mut self.file {
            Some(file) => file.write_all(&entry(kind, id, version, deadline)).map_err(not_written),
            None => Ok(()),
        }
    }
}

fn not_written(error: io::Error) -> Failure {
    Failure::new(Code::Failed, format!("the state file cannot be written: {error}"))
}

/// Kind, length of the id, id, version, deadline.
fn entry(kind: u8, id: &StorageId, version: Version, deadline: Timestamp) -> Vec<u8> {
    let id = Cursor::after(id).0;
    let length = u16::try_from(id.len()).unwrap_or(u16::MAX);
    [
        &[kind][..],
        &length.to_be_bytes(),
        &id[..usize::from(length)],
        &version.0.to_be_bytes(),
        &deadline.as_millis().to_be_bytes(),
    ]
    .concat()
}

/// `None` at the end, and where the rest is not whole.
fn read_entry(reader: &mut impl io::Read) -> Option<(u8, StorageId, Version, Timestamp)> {
    let mut head = [0; 3];
    reader.read_exact(&mut head).ok()?;
    let mut id = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
    reader.read_exact(&mut id).ok()?;
    let mut number = || {
        let mut bytes = [0; 8];
        reader.read_exact(&mut bytes).ok().map(|()| u64::from_be_bytes(bytes))
    };
    let (version, deadline) = (Version(number()?), Timestamp::from_millis(number()?));
    Some((head[0], Cursor(id.into()).id().ok()?, version, deadline))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_read_back_also_when_its_last_entry_was_cut_short() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let time = Timestamp::from_millis;
        let ids = [1, 2, 3].map(|byte| StorageId::from_hash([byte; 32]));
        let mut journal = Journal::open(&path, "a to b").unwrap();
        assert!(Journal::open(&path, "a to b").unwrap_err().to_string().contains("another copy"));
        journal.intend(&ids[0], Version(1), time(10)).unwrap();
        journal.stored(&ids[0], Version(1), time(10)).unwrap();
        journal.intend(&ids[0], Version(2), time(20)).unwrap();
        journal.stored(&ids[1], Version(5), time(30)).unwrap();
        journal.stored(&ids[2], Version(6), time(30)).unwrap();
        journal.forget(&ids[1]).unwrap();
        journal.flush().unwrap();
        drop(journal);

        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], &[STORED, 0, 33, 0]].concat()).unwrap();
        let journal = Journal::open(&path, "a to b").unwrap();
        assert_eq!(journal.len(), 2);
        let (version, previous) = (Version(2), Some(Version(1)));
        let intended = Known { version, previous, deadline: time(20), stored: false, pass: 0 };
        assert_eq!(journal.get(&ids[0]), Some(intended));
        assert!(journal.get(&ids[2]).unwrap().stored);
        drop(journal);
        assert_eq!(std::fs::read(&path).unwrap(), whole);

        assert!(Journal::open(&path, "a to c").unwrap_err().to_string().contains("name a new file"));
    }
}
