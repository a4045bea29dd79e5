//! A single server is killed, restarted, hangs or loses its data: the errors that callers see, and
//! how fast they recover.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::time::{Duration, Instant};

use session_core::engine::{Condition, WriteOutcome};
use session_core::{ErrorKind, Provider};
use session_servers::proxy::Proxy;
use session_servers::redis::Redis;
use support::{IDLE, config, connect, id, next, number, proxied, session, stored};
use tokio::time::{sleep, timeout};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn scripts_survive_a_script_flush_and_a_restart() {
    let server = Redis::start().unwrap();
    let provider = connect(&server.url()).await;
    for forget in [None, Some("flush"), Some("restart")] {
        match forget {
            Some("flush") => drop(server.cli(&["SCRIPT", "FLUSH"]).unwrap()),
            Some(_) => server.process().restart().unwrap(),
            None => {}
        }
        let (id, record) = stored(&provider).await;
        let over = Condition::Over(record.stamp());
        let outcome = provider.write(&id, &next(&record, 2), over, IDLE).await.unwrap();
        assert!(matches!(outcome, WriteOutcome::Stored(_)), "{forget:?}");
        assert!(provider.destroy(&id, None).await.is_ok(), "{forget:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_restart_between_requests_affects_no_request() {
    let server = Redis::start().unwrap();
    let provider = connect(&server.url()).await;
    for _ in 0..3 {
        let (id, _) = stored(&provider).await;
        server.process().restart().unwrap();
        // The close is noticed when it happens, not by the next request.
        let found = provider.read(&id, IDLE).await.unwrap();
        assert!(found.is_none(), "nothing was kept on disk");
        stored(&provider).await;
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_that_is_down_is_unavailable_at_once_and_back_at_once() {
    let server = Redis::start().unwrap();
    let provider = connect(&server.url()).await;
    let (id, record) = stored(&provider).await;
    server.process().kill().unwrap();
    let started = Instant::now();
    let mut unknown = 0;
    for attempt in 0..50 {
        assert_eq!(provider.read(&id, IDLE).await.unwrap_err().kind(), ErrorKind::Unavailable);
        let write = provider.write(&id, &next(&record, 2), Condition::Over(record.stamp()), IDLE).await;
        match write.unwrap_err().kind() {
            ErrorKind::Unavailable => {}
            ErrorKind::OutcomeUnknown => unknown += 1,
            kind => panic!("attempt {attempt}: {kind:?}"),
        }
    }
    assert!(unknown <= 1, "{unknown} writes of unknown outcome, where no connection was");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    server.process().restart().unwrap();
    // The client reconnects after a pause of a quarter of a second at most.
    sleep(Duration::from_millis(250)).await;
    assert!(provider.read(&id, IDLE).await.unwrap().is_none());
    stored(&provider).await;
}

/// Eight tasks read for `time`; returns the number of connections that they open.
async fn attempts(proxy: &Proxy, time: Duration) -> u64 {
    let provider = config(&proxied(proxy)).provider().unwrap();
    let before = proxy.counts().connections;
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let provider = provider.clone();
            tokio::spawn(async move {
                let started = Instant::now();
                while started.elapsed() < time {
                    assert!(provider.read(&id(), IDLE).await.is_err());
                    sleep(Duration::from_millis(1)).await;
                }
            })
        })
        .collect();
    for reader in readers {
        reader.await.unwrap();
    }
    proxy.counts().connections - before
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_that_refuses_connections_is_not_stormed() {
    // The test's own client occupies the only connection that the server accepts.
    let server = Redis::start_with(&["--maxclients", "1"]).unwrap();
    let _taken = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let attempts = attempts(&proxy, Duration::from_secs(3)).await;
    assert!((3..=40).contains(&attempts), "{attempts} attempts in 3 s");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_with_useless_connections_is_not_stormed() {
    let master = Redis::start().unwrap();
    let port = master.process().port().to_string();
    let replica = Redis::start_with(&["--replicaof", "127.0.0.1", &port]).unwrap();
    let proxy = Proxy::start(replica.process().address()).unwrap();
    let attempts = attempts(&proxy, Duration::from_secs(3)).await;
    assert!((3..=100).contains(&attempts), "{attempts} connections in 3 s");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn pending_requests_end_when_the_server_dies_and_later_ones_succeed() {
    let server = Redis::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let provider = connect(&proxied(&proxy)).await;
    let (id, _) = stored(&provider).await;
    proxy.delay_answers(Duration::from_millis(300));
    let readers: Vec<_> = (0..64)
        .map(|_| {
            let (provider, id) = (provider.clone(), id.clone());
            tokio::spawn(async move { provider.read(&id, IDLE).await })
        })
        .collect();
    sleep(Duration::from_millis(50)).await;
    proxy.delay_answers(Duration::ZERO);
    proxy.cut();
    for reader in readers {
        assert_eq!(reader.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert!(provider.read(&id, IDLE).await.unwrap().is_some());
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_hanging_server_is_left_even_with_short_deadlines() {
    let server = Redis::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let second = Duration::from_secs(1);
    let provider = config(&proxied(&proxy)).response_timeout(second).connect().await.unwrap();
    let (id, _) = stored(&provider).await;
    // One answer is delayed, and with it all later ones on this connection; a new connection would
    // be answered.
    proxy.delay_answers(30 * second);
    let short = Duration::from_millis(100);
    let started = Instant::now();
    assert!(timeout(short, provider.read(&id, IDLE)).await.is_err());
    proxy.delay_answers(Duration::ZERO);
    while timeout(short, provider.read(&id, IDLE)).await.is_err() {
        assert!(started.elapsed() < 2 * second, "still asking the connection that hangs");
    }
    assert!(started.elapsed() >= second, "it was not given its time");
    assert!(provider.read(&id, IDLE).await.unwrap().is_some());
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_hanging_server_ends_calls_by_itself_and_new_ones_when_it_is_back() {
    let server = Redis::start().unwrap();
    let second = Duration::from_secs(1);
    let provider =
        config(&server.url()).response_timeout(second).connect_timeout(second / 2).connect().await.unwrap();
    let (id, first) = stored(&provider).await;
    let record = next(&first, 1);
    // From here on, the server knows the script.
    provider.write(&id, &record, Condition::Over(first.stamp()), IDLE).await.unwrap();
    server.process().pause().unwrap();
    let second_record = next(&record, 2);
    let (read, write) = tokio::join!(
        provider.read(&id, IDLE),
        provider.write(&id, &second_record, Condition::Over(record.stamp()), IDLE)
    );
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(write.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    // From now on, connections fail, so nothing is sent.
    let started = Instant::now();
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let (provider, new) = (provider.clone(), id.clone());
            tokio::spawn(async move { provider.write(&new, &session(9), Condition::Absent, IDLE).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert!(started.elapsed() < 3 * second, "one after the other: {:?}", started.elapsed());
    server.process().resume().unwrap();
    sleep(second / 4).await;
    // The server now executes what it received while it hung: the outcome of the write was unknown
    // indeed.
    let read = provider.read(&id, IDLE).await.unwrap().unwrap();
    assert_eq!(number(&read), 2);
    let again = provider.write(&id, &second_record, Condition::Over(record.stamp()), IDLE).await.unwrap();
    let WriteOutcome::Refused(refusal) = again else { panic!("applied twice: {again:?}") };
    assert_eq!(
        refusal.current.unwrap().stamp(),
        second_record.stamp(),
        "it shows that it was this very write"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn dropped_futures_never_mix_up_answers() {
    let server = Redis::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let provider = connect(&proxied(&proxy)).await;
    let mut sessions = Vec::new();
    for number in 0..32 {
        let (id, record) = (id(), session(number));
        provider.write(&id, &record, Condition::Absent, IDLE).await.unwrap();
        sessions.push(id);
    }
    proxy.delay_answers(Duration::from_millis(1));
    let clients: Vec<_> = (0..32_u64)
        .map(|own| {
            let (provider, id) = (provider.clone(), sessions[usize::try_from(own).unwrap()].clone());
            tokio::spawn(async move {
                let mut answered = 0;
                for round in 0..100_u64 {
                    let patience = Duration::from_micros(own * 97 % 1_500 + round * 37 % 2_000);
                    if let Ok(read) = timeout(patience, provider.read(&id, IDLE)).await {
                        assert_eq!(number(&read.unwrap().unwrap()), own);
                        answered += 1;
                    }
                }
                answered
            })
        })
        .collect();
    let mut answered = 0;
    for client in clients {
        answered += client.await.unwrap();
    }
    assert!(answered > 0 && answered < 3_200, "{answered} of 3,200: nothing was dropped, or everything");
    // Dropped requests do not cause new connections: their number is the one for this load.
    assert_eq!(proxy.counts().connections, 2);
}
