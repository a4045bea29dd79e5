//! Get-and-touch and replace, through the official SDK.

use couchbase::authenticator::PasswordAuthenticator;
use couchbase::cluster::Cluster;
use couchbase::collection::Collection;
use couchbase::options::cluster_options::ClusterOptions;
use couchbase::options::diagnostic_options::WaitUntilReadyOptions;
use couchbase::options::kv_options::{InsertOptions, ReplaceOptions, UpsertOptions};
use couchbase::service_type::ServiceType;
use couchbase::transcoding::{DataType, encode_common_flags};
use session_servers::couchbase::CouchbaseMock;

use super::{IDLE, key};
use crate::measure::{Calls, Client};
use crate::work::{Job, Work};

/// Reads and writes by the clients, each on a key of its own.
pub async fn clients(server: &CouchbaseMock, job: Job) -> Vec<impl Client + use<>> {
    let (stored, flags) = (job.shape.bytes(), encode_common_flags(DataType::Binary));
    let (cluster, collection) = connect(server).await;
    let mut clients = Vec::new();
    for client in 0..job.clients {
        let (cluster, collection) = (cluster.clone(), collection.clone());
        let (stored, key) = (stored.clone(), key(client));
        let upsert = UpsertOptions::new().expiry(IDLE);
        collection.upsert_raw(&key, &stored, flags, upsert).await.expect("stored");
        let mut number = 0_u64;
        clients.push(Calls(async move || {
            let _connected = &cluster;
            if job.work == Work::Create {
                number += 1;
                let (key, insert) = (format!("{key}:{number}"), InsertOptions::new().expiry(IDLE));
                collection.insert_raw(&key, &stored, flags, insert).await.expect("stored");
                return;
            }
            let read = collection.get_and_touch(&key, IDLE, None).await.expect("read");
            let read = read.content_as_raw().0.to_vec();
            assert_eq!(read.len(), stored.len());
            if job.work == Work::ReadModifyWrite {
                let replace = ReplaceOptions::new().expiry(IDLE);
                collection.replace_raw(&key, &read, flags, replace).await.expect("stored");
            }
        }));
    }
    clients
}

async fn connect(server: &CouchbaseMock) -> (Cluster, Collection) {
    let login = PasswordAuthenticator::new("session", "session");
    let address = format!("couchbase://{}", server.process().address());
    let cluster = Cluster::connect(address, ClusterOptions::new(login.into())).await.expect("connected");
    let bucket = cluster.bucket("session");
    let key_value = WaitUntilReadyOptions::new().service_types(vec![ServiceType::KV]);
    bucket.wait_until_ready(key_value).await.expect("ready");
    let collection = bucket.scope("_default").collection("_default");
    (cluster, collection)
}
