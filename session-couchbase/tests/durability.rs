//! The durability requested from the cluster, and the meaning of its responses.
//!
//! CouchbaseMock does not support durability. A translator in front of it announces support,
//! removes the level from each command, and gives the responses of a cluster that cannot reach it.
//! Only a real cluster can show that replicas hold an acknowledged write.
#![allow(clippy::unwrap_used)] // helpers are test code too

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_conformance::samples::{IDLE, create, id, next, over, session, text};
use session_core::engine::{Condition, DestroyOutcome, WriteOutcome};
use session_core::{ErrorKind, Provider};
use session_couchbase::{CouchbaseConfig, CouchbaseProvider, Durability};
use session_servers::couchbase::{CouchbaseMock, url};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const HELLO: u8 = 0x1f;
const ADD: u8 = 0x02;
const REPLACE: u8 = 0x03;
const DELETE: u8 = 0x04;

const IMPOSSIBLE: u16 = 0xa1;
const IN_PROGRESS: u16 = 0xa2;
const AMBIGUOUS: u16 = 0xa3;
const INVALID_LEVEL: u16 = 0xa0;

#[derive(Debug, Default)]
struct Seen {
    /// Each command that asked for a level, and the level.
    levels: Vec<(u8, u8)>,
    /// The response to such commands, and whether they are executed anyway.
    answer: Option<(u16, bool)>,
}

/// A server that appears to replicate.
struct Translator {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Translator {
    async fn start(server: &CouchbaseMock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, real) = (listener.local_addr().unwrap(), server.process().address());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(real).await.unwrap();
                tokio::spawn(translate(client, server, Arc::clone(&shared)));
            }
        });
        server.advertise(address).unwrap();
        Self { address, seen }
    }

    fn answer(&self, answer: Option<(u16, bool)>) {
        self.seen.lock().unwrap().answer = answer;
    }

    fn levels(&self) -> Vec<(u8, u8)> {
        std::mem::take(&mut self.seen.lock().unwrap().levels)
    }
}

/// A packet of the protocol: its header and its body.
async fn packet(from: &mut (impl AsyncReadExt + Unpin)) -> Option<([u8; 24], Vec<u8>)> {
    let mut header = [0; 24];
    from.read_exact(&mut header).await.ok()?;
    let length = u32::from_be_bytes(header[8..12].try_into().unwrap());
    let mut body = vec![0; usize::try_from(length).unwrap()];
    from.read_exact(&mut body).await.ok()?;
    Some((header, body))
}

fn with_length(mut header: [u8; 24], body: &[u8]) -> Vec<u8> {
    header[8..12].copy_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
    [&header[..], body].concat()
}

async fn translate(mut client: TcpStream, mut server: TcpStream, seen: Arc<Mutex<Seen>>) {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    // Replaced responses, by the number that pairs them with their requests.
    let mut replaced: Vec<([u8; 4], u16)> = Vec::new();
    loop {
        tokio::select! {
            request = packet(&mut from_client) => {
                let Some((mut header, mut body)) = request else { return };
                let opaque = header[12..16].try_into().unwrap();
                if header[0] == 0x08 {
                    // A frame is its kind and length in one byte, and its data. Kind 1 is the
                    // durability.
                    let frames: Vec<u8> = body.drain(..usize::from(header[2])).collect();
                    assert_eq!(frames[0] >> 4, 1, "only a durability is sent in a frame");
                    (header[0], header[2]) = (0x80, 0);
                    let mut seen = seen.lock().unwrap();
                    seen.levels.push((header[1], frames[1]));
                    if let Some((status, carried_out)) = seen.answer {
                        replaced.push((opaque, status));
                        if !carried_out {
                            // A no-operation gets the same number, and its response is replaced.
                            (header[1], header[3], header[4]) = (0x0a, 0, 0);
                            body.clear();
                        }
                    }
                }
                to_server.write_all(&with_length(header, &body)).await.unwrap();
            }
            answer = packet(&mut from_server) => {
                let Some((mut header, mut body)) = answer else { return };
                if header[1] == HELLO {
                    body.extend_from_slice(&[0, 0x10, 0, 0x11]);
                }
                if let Some(at) = replaced.iter().position(|(opaque, _)| *opaque == header[12..16]) {
                    let (_, status) = replaced.remove(at);
                    header[2..6].fill(0);
                    header[6..8].copy_from_slice(&status.to_be_bytes());
                    body.clear();
                }
                to_client.write_all(&with_length(header, &body)).await.unwrap();
            }
        }
    }
}

async fn connect(address: SocketAddr, durability: Durability) -> CouchbaseProvider {
    let config: CouchbaseConfig = url(address).parse().unwrap();
    let config = config.durability(durability).timeout(Duration::from_secs(4)).unwrap();
    CouchbaseProvider::connect(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn every_write_and_logout_requests_the_level_and_a_touch_does_not() {
    let server = CouchbaseMock::start().unwrap();
    let translator = Translator::start(&server).await;
    for (durability, level) in [
        (Durability::None, None),
        (Durability::Majority, Some(1)),
        (Durability::MajorityAndPersistToActive, Some(2)),
        (Durability::PersistToMajority, Some(3)),
    ] {
        let provider = connect(translator.address, durability).await;
        let id = id();
        create(&provider, &id, &session("one")).await.unwrap();
        let seen = provider.read(&id, IDLE).await.unwrap().unwrap();
        over(&provider, &id, &seen, "two").await.unwrap();
        let seen = provider.read(&id, IDLE).await.unwrap().unwrap();
        assert!(provider.touch(&id, &seen, IDLE * 2).await.unwrap());
        assert!(matches!(provider.destroy(&id, None).await.unwrap(), DestroyOutcome::Destroyed));
        let expected = level.map(|level| [ADD, REPLACE, DELETE].map(|command| (command, level)));
        assert_eq!(translator.levels(), expected.into_iter().flatten().collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn an_unreached_level_is_reported_by_what_is_known_about_the_write() {
    let server = CouchbaseMock::start().unwrap();
    let translator = Translator::start(&server).await;
    let provider = connect(translator.address, Durability::Majority).await;
    for (status, kind) in [
        (IMPOSSIBLE, ErrorKind::Unavailable),
        (IN_PROGRESS, ErrorKind::Unavailable),
        (INVALID_LEVEL, ErrorKind::Config),
        (AMBIGUOUS, ErrorKind::OutcomeUnknown),
    ] {
        let id = id();
        create(&provider, &id, &session("before")).await.unwrap();
        let seen = provider.read(&id, IDLE).await.unwrap().unwrap();
        translator.answer(Some((status, false)));
        for error in [
            create(&provider, &session_conformance::samples::id(), &session("x")).await.unwrap_err(),
            over(&provider, &id, &seen, "after").await.unwrap_err(),
            provider.destroy(&id, Some(seen.stamp())).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), kind, "{status:#x}: {error:?}");
            assert!(!format!("{error:?}").contains(&id.to_text()), "{error:?}");
        }
        translator.answer(None);
        let now = provider.read(&id, IDLE).await.unwrap().unwrap();
        assert_eq!((text(&now).as_str(), now.stamp()), ("before", seen.stamp()), "nothing was changed");
    }

    // It was written to an unknown number of replicas: a retry shows that it was written.
    let id = id();
    create(&provider, &id, &session("before")).await.unwrap();
    let seen = provider.read(&id, IDLE).await.unwrap().unwrap();
    let record = next(&seen, "after");
    let write = || provider.write(&id, &record, Condition::Over(seen.stamp()), IDLE);
    translator.answer(Some((AMBIGUOUS, true)));
    assert_eq!(write().await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    translator.answer(None);
    let WriteOutcome::Refused(refusal) = write().await.unwrap() else { panic!("written twice") };
    assert!(refusal.current.unwrap().header.has_version(record.header.version()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn a_cluster_without_durability_is_a_configuration_error_and_writes_nothing() {
    let server = CouchbaseMock::start().unwrap();
    let provider = connect(server.process().address(), Durability::Majority).await;
    let id = id();
    let error = create(&provider, &id, &session("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(provider.read(&id, IDLE).await.unwrap().is_none());
}
