//! `GETEX` and `SET`, on one connection that all clients share: more connections are not faster.

use redis::{Cmd, cmd};

use super::{IDLE, key};
use crate::measure::{Calls, Client};
use crate::work::{Job, Work};

/// Reads and writes by the clients, each on a key of its own.
pub async fn clients(url: &str, job: Job) -> Vec<impl Client + use<>> {
    let stored = job.shape.bytes();
    let connection = redis::Client::open(url).expect("a URL").get_multiplexed_async_connection().await;
    let connection = connection.expect("connected");
    let mut clients = Vec::new();
    for client in 0..job.clients {
        let (mut held, stored, key) = (connection.clone(), stored.clone(), key(client));
        set(&key, &stored).exec_async(&mut held).await.expect("stored");
        let mut number = 0_u64;
        clients.push(Calls(async move || {
            if job.work == Work::Create {
                number += 1;
                let mut create = set(&format!("{key}:{number}"), &stored);
                let created = create.arg("NX").query_async::<Option<String>>(&mut held).await;
                assert!(created.expect("an answer").is_some(), "it is new");
                return;
            }
            let mut get = cmd("GETEX");
            get.arg(&key).arg("PX").arg(IDLE.as_millis() as u64);
            let read: Vec<u8> = get.query_async(&mut held).await.expect("read");
            assert_eq!(read.len(), stored.len());
            if job.work == Work::ReadModifyWrite {
                set(&key, &read).exec_async(&mut held).await.expect("stored");
            }
        }));
    }
    clients
}

fn set(key: &str, value: &[u8]) -> Cmd {
    let mut set = cmd("SET");
    set.arg(key).arg(value).arg("PX").arg(IDLE.as_millis() as u64);
    set
}
