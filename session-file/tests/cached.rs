//! Reads of what the system holds in memory, and those of everything else.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

mod common;

use std::fs;
use std::io::IoSliceMut;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use common::{DAY, MINUTE, create, id, next, path, record, store, value};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::{ReadWriteFlags, preadv2};
use session_core::engine::Condition;
use session_core::record::{Record, Value};
use session_core::{ErrorKind, Provider as _, Result};
use session_file::FileProvider;
use tokio::runtime::Runtime;

const ID: &str = "xsnk";

/// A runtime with one thread for blocking work, so that it can be kept busy.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).enable_all().build().unwrap()
}

/// What a read says while the thread for blocking work is busy; `None` when it waits for that.
async fn at_once(provider: &FileProvider) -> Option<Result<Option<Record>>> {
    let (done, busy) = std::sync::mpsc::channel::<()>();
    let blocking = tokio::task::spawn_blocking(move || busy.recv());
    let id = id(ID);
    let answer = match pin!(provider.read(&id, DAY)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    };
    drop(done);
    assert!(blocking.await.unwrap().is_err(), "it was busy until now");
    answer
}

/// Whether this kernel and file system can say that a file is in memory.
fn system_can(file: &std::path::Path) -> bool {
    openat2(CWD, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::CACHED)
        .and_then(|file| preadv2(file, &mut [IoSliceMut::new(&mut [0; 8])], 0, ReadWriteFlags::NOWAIT))
        .is_ok_and(|read| read == 8)
}

#[test]
fn a_session_in_use_is_read_without_another_thread_where_the_system_can() {
    runtime().block_on(async {
        let (provider, clock, directory) = store().await;
        assert!(at_once(&provider).await.is_none(), "whether it is missing only the long way tells");
        create(&provider, ID, &record(7), MINUTE).await;
        let can = system_can(&path(directory.path(), ID));
        for _ in 0..3 {
            let read = at_once(&provider).await.map(|answer| value(&answer.unwrap().unwrap()));
            assert_eq!(read, can.then_some(7));
            assert_eq!(value(&provider.read(&id(ID), DAY).await.unwrap().unwrap()), 7, "either way");
        }
        clock.advance(MINUTE);
        assert_eq!(
            at_once(&provider).await.map(|answer| answer.unwrap().is_none()),
            can.then_some(true),
            "expired"
        );
    });
}

#[test]
fn a_replaced_a_damaged_and_a_removed_file_are_noticed_at_once() {
    runtime().block_on(async {
        let (provider, _, directory) = store().await;
        let first = record(7);
        create(&provider, ID, &first, MINUTE).await;
        let file = path(directory.path(), ID);
        let can = system_can(&file);
        let over = Condition::Over(first.stamp());
        provider.write(&id(ID), &next(&first, 8), over, MINUTE).await.unwrap();
        assert_eq!(at_once(&provider).await.map(|answer| value(&answer.unwrap().unwrap())), can.then_some(8));

        fs::write(&file, b"SSN").unwrap();
        let damaged = at_once(&provider).await.map(|answer| answer.unwrap_err());
        assert_eq!(
            damaged.map(|error| (error.kind(), error.engine())),
            can.then_some((ErrorKind::Corrupt, Some("file")))
        );
        fs::remove_file(&file).unwrap();
        assert!(provider.read(&id(ID), DAY).await.unwrap().is_none());
    });
}

#[test]
fn a_large_session_is_read_by_another_thread() {
    runtime().block_on(async {
        let (provider, _, _directory) = store().await;
        let mut large = record(7);
        large.body.insert("large", Value::encode(&"x".repeat(100_000)).unwrap());
        create(&provider, ID, &large, MINUTE).await;
        assert!(at_once(&provider).await.is_none());
        assert_eq!(provider.read(&id(ID), DAY).await.unwrap().unwrap().body, large.body);
    });
}
