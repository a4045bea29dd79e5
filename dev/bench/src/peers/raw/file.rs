//! The system calls that replace a file under a lock, each operation in one `spawn_blocking`. The
//! files are spread over directories as the file engine's are, since a file in another directory than
//! the last one takes the file system longer.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::measure::{Calls, Role, Subject};
use crate::thread::Thread;
use crate::work::{Job, Work};

/// The file engine has as many directories of sessions: one for two hexadecimal digits.
const LEAVES: u64 = 256;

/// Reads and writes in that directory.
pub fn subject(thread: &Thread, directory: PathBuf, job: Job) -> Subject {
    for number in 0..LEAVES {
        fs::create_dir_all(leaf(&directory, number)).expect("a directory");
    }
    let (path, lock) = (leaf(&directory, 0).join("record"), directory.join("lock"));
    let stored = job.shape.bytes();
    fs::write(&path, &stored).expect("a file");
    fs::write(&lock, []).expect("a lock file");
    let mut number = 0_u64;
    let call = async move || {
        number += 1;
        let (path, lock, stored) = (path.clone(), lock.clone(), stored.clone());
        match job.work {
            Work::Create => {
                let path = leaf(&directory, number % LEAVES).join(format!("new-{number}"));
                blocking(move || replace(&lock, &path, &stored)).await;
            }
            Work::Read => blocking(move || assert!(fs::read(path).is_ok_and(|read| read == stored))).await,
            Work::ReadModifyWrite => {
                let again = path.clone();
                blocking(move || assert!(fs::read(again).is_ok())).await;
                blocking(move || {
                    assert!(fs::read(&path).is_ok());
                    replace(&lock, &path, &stored);
                })
                .await;
            }
            other => unreachable!("{other:?} is not measured on raw files"),
        }
    };
    Subject::of(Role::Raw, "raw system calls", thread, vec![Calls(call)])
}

/// One of the directories of files, out of [`LEAVES`].
fn leaf(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{:x}/{:x}", number / 16, number % 16))
}

async fn blocking(work: impl FnOnce() + Send + 'static) {
    tokio::task::spawn_blocking(work).await.expect("done");
}

/// Lock, write a new file, rename it over the old one.
fn replace(lock: &Path, path: &Path, stored: &[u8]) {
    let lock = fs::File::open(lock).expect("a lock file");
    lock.try_lock().expect("the lock");
    let beside = path.with_extension("tmp");
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
    file.expect("a new file").write_all(stored).expect("written");
    fs::rename(beside, path).expect("renamed");
}
