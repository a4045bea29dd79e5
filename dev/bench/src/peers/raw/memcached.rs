//! Get-and-touch and set, in the meta protocol.

use memcache::exp::{AsyncMetaClient, Get, MutationStatus, Set};

use super::{IDLE, key};
use crate::measure::{Calls, Client};
use crate::work::{Job, Work};

/// Reads and writes by the clients, each on a key of its own; each client finds an idle connection.
pub async fn clients(address: &str, job: Job) -> Vec<impl Client + use<>> {
    let ttl = IDLE.as_secs() as u32;
    let stored = job.shape.bytes();
    let held = AsyncMetaClient::builder().max_idle(job.clients).connect_async(address).await;
    let held = held.expect("connected");
    let mut clients = Vec::new();
    for client in 0..job.clients {
        let (held, stored, key) = (held.clone(), stored.clone(), key(client));
        held.run(Set::new(&key, stored.clone()).ttl_raw(ttl)).await.expect("stored");
        let mut number = 0_u64;
        clients.push(Calls(async move || {
            if job.work == Work::Create {
                number += 1;
                let create = Set::new(format!("{key}:{number}"), stored.clone());
                let created = held.run(create.ttl_raw(ttl).add()).await.expect("an answer");
                assert_eq!(created.status, MutationStatus::Applied, "it is new");
                return;
            }
            let read = held.run(Get::new(&key).touch_raw(ttl)).await.expect("read").value.expect("a value");
            assert_eq!(read.len(), stored.len());
            if job.work == Work::ReadModifyWrite {
                held.run(Set::new(&key, read).ttl_raw(ttl)).await.expect("stored");
            }
        }));
    }
    clients
}
