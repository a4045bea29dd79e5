//! The operations of the engine, on its own connections.

use session_core::Provider;
use session_core::accounts::Owner;
use session_core::engine::{Indexed, Scan};

use super::a_life;
use crate::records::{MINUTE, create, hashed, owned};
use crate::{Engine, Table};

pub async fn every_operation_is_one_round_trip<E: Engine>() {
    let (proxy, sessions) = Table::<E>::behind_proxy("round_trips", &["max_connections=1"]).await;
    a_life(&sessions, &proxy, 1).await; // prepares the statements
    for life in 2..5 {
        assert_eq!(a_life(&sessions, &proxy, life).await, [1; 8]);
    }
    assert_eq!(proxy.counts().connections, 1);
    let before = proxy.counts().round_trips;
    sessions.read(&hashed(99), MINUTE).await.unwrap();
    assert_eq!(proxy.counts().round_trips - before, 1, "what is not there costs no more");
}

pub async fn the_sessions_of_an_owner_are_listed_and_ended_in_one_round_trip<E: Engine>() {
    let (proxy, sessions) = Table::<E>::behind_proxy("round_trips_owner", &["max_connections=1"]).await;
    let ada = Owner::of("ada");
    for round in 0..3 {
        for number in 0..5 {
            create(&sessions, &hashed(round * 10 + number), &owned("a", ada)).await;
        }
        let (first, page) = trips!(proxy, sessions.list(&ada, None, 3));
        assert_eq!((page.sessions.len(), page.next.is_some()), (3, true));
        let (second, page) = trips!(proxy, sessions.list(&ada, page.next.as_ref(), 3));
        assert_eq!((page.sessions.len(), page.next), (2, None));
        let (walk, page) = trips!(proxy, sessions.scan(None, 3));
        assert_eq!((page.sessions.len(), page.next.is_some()), (3, true));
        let (some, ended) = trips!(proxy, sessions.end_owner(&ada, 3));
        assert_eq!(ended, 3);
        let (rest, ended) = trips!(proxy, sessions.end_owner(&ada, 3));
        assert_eq!(ended, 2);
        let (none, ended) = trips!(proxy, sessions.end_owner(&ada, 3));
        assert_eq!(ended, 0);
        if round > 0 {
            assert_eq!([first, second, walk, some, rest, none], [1; 6]);
        }
    }
}
