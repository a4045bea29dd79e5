//! A bare hash map of bytes.

use std::collections::HashMap;

use crate::measure::{Role, Subject};
use crate::work::{Job, Work};

/// Reads and writes on it.
pub fn subject(job: Job) -> Subject {
    let stored = job.shape.bytes();
    let mut map = HashMap::from([([7_u8; 32], stored.clone())]);
    let mut next = 0_u64;
    Subject::new(Role::Raw, "bare map", move |requests| {
        for _ in 0..requests {
            match job.work {
                Work::Create => {
                    next += 1;
                    let mut key = [0; 32];
                    key[..8].copy_from_slice(&next.to_be_bytes());
                    map.insert(key, stored.clone());
                }
                Work::Read => assert!(map.get(&[7; 32]).is_some_and(|value| value.clone() == stored)),
                Work::ReadModifyWrite => {
                    let value = map.get(&[7; 32]).cloned();
                    map.insert([7; 32], value.unwrap_or_default());
                }
                other => unreachable!("{other:?} is not measured on a bare map"),
            }
        }
    })
}
