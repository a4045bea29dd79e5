//! A server's private directory, and the removal of those that killed test runs have left.
//!
//! Whoever lives in a directory holds a lock on a file in it. The system takes the lock away when its
//! holder dies, however it dies: a directory that can be locked has been left.

use rustix::fs::{FlockOperation, flock};
use std::env;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use tempfile::TempDir;

const PREFIX: &str = "session-servers-";
const LOCK: &str = "lock";

/// A directory with mode 0700, which is removed when it is dropped.
#[derive(Debug)]
pub struct Dir {
    dir: TempDir,
    _lock: File,
}

impl Dir {
    /// A new directory with that name in its name.
    pub fn new(name: &str) -> io::Result<Self> {
        remove_left_ones(&env::temp_dir());
        let dir = tempfile::Builder::new().prefix(&format!("{PREFIX}{name}-")).tempdir()?;
        // Locked before it has its name: nobody finds it unlocked.
        let unnamed = dir.path().join("lock.new");
        let lock = File::create(&unnamed)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        fs::rename(unnamed, dir.path().join(LOCK))?;
        Ok(Self { dir, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

fn remove_left_ones(parent: &Path) {
    for entry in parent.read_dir().into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if ours && File::open(entry.path().join(LOCK)).is_ok_and(|lock| lockable(&lock)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn lockable(lock: &File) -> bool {
    flock(lock, FlockOperation::NonBlockingLockExclusive).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_whose_holder_is_gone_are_removed() {
        let lived_in = Dir::new("test").unwrap();
        let left = tempfile::Builder::new().prefix(PREFIX).tempdir().unwrap().keep();
        File::create(left.join(LOCK)).unwrap();
        let foreign = tempfile::Builder::new().prefix("session-other-").tempdir().unwrap();
        File::create(foreign.path().join(LOCK)).unwrap();
        let _another = Dir::new("test").unwrap();
        assert!(lived_in.path().exists() && foreign.path().exists());
        assert!(!left.exists());
    }
}
