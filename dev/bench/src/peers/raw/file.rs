//! The same system calls as the file engine's, each operation in one `spawn_blocking`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::measure::{Calls, Role, Subject};
use crate::thread::Thread;
use crate::work::{Job, Work};

/// Reads and writes in that directory.
pub fn subject(thread: &Thread, directory: PathBuf, job: Job) -> Subject {
    let (path, lock) = (directory.join("record"), directory.join("lock"));
    let stored = job.shape.bytes();
    fs::write(&path, &stored).expect("a file");
    fs::write(&lock, []).expect("a lock file");
    let mut number = 0_u64;
    let call = async move || {
        number += 1;
        let (path, lock, stored) = (path.clone(), lock.clone(), stored.clone());
        match job.work {
            Work::Create => {
                let path = directory.join(format!("new-{number}"));
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

async fn blocking(work: impl FnOnce() + Send + 'static) {
    tokio::task::spawn_blocking(work).await.expect("done");
}

/// Lock, write a new file beside, rename it over.
fn replace(lock: &Path, path: &Path, stored: &[u8]) {
    let lock = fs::File::open(lock).expect("a lock file");
    lock.try_lock().expect("the lock");
    let beside = path.with_extension("tmp");
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
    file.expect("a new file").write_all(stored).expect("written");
    fs::rename(beside, path).expect("renamed");
}
