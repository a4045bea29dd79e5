//! The least that could possibly be done by hand: no cookie, no handler, no guarantees.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tokio::runtime::Runtime;

use crate::measure::Subject;
use crate::work::Work;

/// A bare hash map of bytes.
pub fn map(work: Work) -> Subject {
    let mut map = HashMap::from([([7_u8; 32], vec![1_u8; 400])]);
    let mut next = 0_u64;
    Subject::new("bare map", move |requests| {
        for _ in 0..requests {
            match work {
                Work::Untouched => {}
                Work::Create => {
                    next += 1;
                    let mut key = [0; 32];
                    key[..8].copy_from_slice(&next.to_be_bytes());
                    map.insert(key, vec![1; 400]);
                }
                Work::Read => assert!(map.get(&[7; 32]).is_some_and(|value| value.clone().len() == 400)),
                Work::ReadModifyWrite => {
                    let value = map.get(&[7; 32]).cloned();
                    map.insert([7; 32], value.unwrap_or_default());
                }
            }
        }
    })
}

/// The same system calls as the file engine's, in one `spawn_blocking`.
pub fn file(runtime: &Rc<Runtime>, directory: PathBuf, work: Work) -> Subject {
    let path = directory.join("record");
    fs::write(&path, [1; 400]).expect("a file");
    let lock = directory.join("lock");
    fs::write(&lock, []).expect("a lock file");
    let runtime = Rc::clone(runtime);
    Subject::new("raw system calls", move |requests| {
        runtime.block_on(async {
            for number in 0..requests {
                let (path, lock, directory) = (path.clone(), lock.clone(), directory.clone());
                match work {
                    Work::Untouched => {}
                    Work::Create => {
                        let path = directory.join(format!("new-{number}"));
                        blocking(move || replace(&lock, &path)).await;
                    }
                    Work::Read => {
                        blocking(move || assert_eq!(fs::read(path).map_or(0, |bytes| bytes.len()), 400))
                            .await;
                    }
                    Work::ReadModifyWrite => {
                        let again = path.clone();
                        blocking(move || assert_eq!(fs::read(again).map_or(0, |bytes| bytes.len()), 400))
                            .await;
                        blocking(move || {
                            assert!(fs::read(&path).is_ok());
                            replace(&lock, &path);
                        })
                        .await;
                    }
                }
            }
        });
    })
}

async fn blocking(work: impl FnOnce() + Send + 'static) {
    tokio::task::spawn_blocking(work).await.expect("done");
}

/// Lock, write a new file beside, rename it over.
fn replace(lock: &Path, path: &Path) {
    let lock = fs::File::open(lock).expect("a lock file");
    lock.try_lock().expect("the lock");
    let beside = path.with_extension("tmp");
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
    file.expect("a new file").write_all(&[1; 400]).expect("written");
    fs::rename(beside, path).expect("renamed");
}
