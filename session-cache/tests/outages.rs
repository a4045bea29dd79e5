//! Outages of servers to which a cache listens: killed connections, restarts, revoked rights.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::sync::Arc;

use session_cache::{Bus, Cached};
use session_core::id::StorageId;
use session_core::record::Record;
use session_core::{ErrorKind, Provider};
use session_servers::packages::require;
use session_servers::postgres::{self, Postgres};
use session_servers::process::Process;
use session_servers::proxy::Proxy;
use session_servers::redis::{Cluster, Redis};
use support::{
    Apart, IDLE, Location, MAX_STALE, Source, cached, change, keep, redis, seen, stored, until, until_bus,
};

/// Two processes over one table or prefix; the second one's reads are counted.
struct World {
    there: Arc<dyn Provider>,
    here: Cached,
    apart: Arc<Apart>,
}

impl World {
    async fn at(location: &Location) -> Self {
        let engine = location.connect().await;
        let apart = Arc::new(Apart::new(Arc::clone(&engine), Source::Engine(engine)));
        let here = cached(Arc::clone(&apart) as _, MAX_STALE);
        until_bus(&here, Bus::Connected).await;
        Self { there: location.connect().await, here, apart }
    }

    async fn kept(&self) -> (StorageId, Record) {
        let (id, record) = stored(&*self.there).await;
        keep(&self.here, &self.apart, &id).await;
        (id, record)
    }

    /// No record that changed while the bus was lost is cached, and the bus is back.
    async fn recovers(&self, id: &StorageId, old: &Record) {
        seen("a change", &self.here, id, old).await;
        until_bus(&self.here, Bus::Connected).await;
        let (id, record) = self.kept().await;
        change(&*self.there, &id, &record).await;
        seen("a change by the new connection", &self.here, &id, &record).await;
    }

    /// The server restarts, possibly without its sessions.
    async fn outlives_a_restart_of(&self, server: &Process, keeps_sessions: bool) {
        let (id, record) = self.kept().await;
        server.stop().unwrap();
        until_bus(&self.here, Bus::Lost).await;
        let error = self.here.read(&id, IDLE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "unwatched records are not shown: {error}");
        server.restart().unwrap();
        let again = async || self.there.read(&id, IDLE).await.is_ok();
        until("the server is back", again).await;
        if keeps_sessions {
            change(&*self.there, &id, &record).await;
        }
        until("the server is back here", async || self.here.read(&id, IDLE).await.is_ok()).await;
        self.recovers(&id, &record).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_connection_that_redis_kills_is_replaced() {
    let server = Redis::start().unwrap();
    let world = World::at(&Location::at(server.url())).await;
    let (id, record) = world.kept().await;
    for client in clients_that_track(&server) {
        server.cli(&["CLIENT", "KILL", "ID", &client]).unwrap();
    }
    change(&*world.there, &id, &record).await;
    world.recovers(&id, &record).await;
    until("one connection is left", async || clients_that_track(&server).len() == 1).await;
}

/// Their ids.
fn clients_that_track(server: &Redis) -> Vec<String> {
    let list = server.cli(&["CLIENT", "LIST"]).unwrap();
    let field = |line: &str, name: &str| {
        line.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('=')).unwrap().to_owned()
    };
    list.lines().filter(|line| field(line, "flags").contains('t')).map(|line| field(line, "id")).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_restart_of_redis_shows_no_stale_session() {
    let server = Redis::start().unwrap();
    World::at(&Location::at(server.url())).await.outlives_a_restart_of(server.process(), false).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_user_who_may_not_track_needs_keyspace_notifications() {
    const RIGHTS: [&str; 8] =
        ["ACL", "SETUSER", "app", "on", ">secret", "~bus_*", "+@all", "-client|tracking"];
    let server = Redis::start().unwrap();
    let set = |rights: &[&str]| drop(server.cli(&[&RIGHTS[..], rights].concat()).unwrap());
    let events =
        |events: &str| drop(server.cli(&["CONFIG", "SET", "notify-keyspace-events", events]).unwrap());
    let location = Location::at(server.url().replace(":session@", "app:secret@"));
    let refused = async || {
        let error = redis(&format!("{}?prefix={}:&notices=on", location.address(), location.name()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("CLIENT TRACKING"), "{error}");
    };
    events("K$g");
    set(&[]);
    refused().await;
    set(&["&*"]);
    for incomplete in ["", "Kg", "K$"] {
        events(incomplete);
        refused().await;
    }

    events("K$g");
    // The pattern's text is compared, not the channels that it matches.
    let channels = format!("&__keyspace@0__:{}:*", location.name());
    set(&["resetchannels", &channels]);
    let world = World::at(&location).await;
    assert!(clients_that_track(&server).is_empty());
    let (id, record) = world.kept().await;
    change(&*world.there, &id, &record).await;
    seen("a write", &world.here, &id, &record).await;
    let (id, _) = world.kept().await;
    world.there.touch(&id, &record, IDLE).await.unwrap();
    world.there.destroy(&id, None).await.unwrap();
    until("a logout", async || world.here.read(&id, IDLE).await.unwrap().is_none()).await;

    // A right is revoked later.
    let (id, _) = world.kept().await;
    set(&["resetchannels"]);
    until_bus(&world.here, Bus::Lost).await;
    world.there.destroy(&id, None).await.unwrap();
    assert!(world.here.read(&id, IDLE).await.unwrap().is_none(), "every read asks the engine");
    set(&["+client|tracking"]);
    until_bus(&world.here, Bus::Connected).await;
    assert_eq!(clients_that_track(&server).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn the_bus_finds_the_new_master_of_a_cluster() {
    let cluster = Cluster::start().unwrap();
    let location = Location::at(cluster.url());
    let world = World::at(&location).await;
    let (id, record) = world.kept().await;
    let owner = cluster.owner(&format!("{}:{}", location.name(), id.to_text())).unwrap();
    owner.wait_until_replicated().unwrap();
    owner.process().kill().unwrap();
    until_bus(&world.here, Bus::Lost).await;
    let read = async || matches!(world.there.read(&id, IDLE).await, Ok(Some(_)));
    until("the replica has taken over", read).await;
    let second = change(&*world.there, &id, &record).await;
    world.recovers(&id, &record).await;
    keep(&world.here, &world.apart, &id).await;
    change(&*world.there, &id, &second).await;
    seen("a change at the new master", &world.here, &id, &second).await;
}

fn sql(server: &Postgres, statement: &str) -> String {
    let psql = require(postgres::PACKAGES[2]).unwrap();
    server.process().place().run(&psql, &["-qXAt", "-c", statement, &server.url()], "").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_connection_that_postgres_terminates_is_replaced() {
    let server = Postgres::start().unwrap();
    let world = World::at(&Location::at(server.url())).await;
    let (id, record) = world.kept().await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query IN ('LISTEN \"session_kit\"', 'SELECT 1')";
    assert_eq!(sql(&server, end).trim(), "t", "one connection listens");
    change(&*world.there, &id, &record).await;
    world.recovers(&id, &record).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_restart_of_postgres_shows_no_stale_session() {
    let server = Postgres::start().unwrap();
    World::at(&Location::at(server.url())).await.outlives_a_restart_of(server.process(), true).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn the_bus_listens_to_the_server_that_takes_writes() {
    let server = Postgres::start().unwrap();
    let refusing = Proxy::start(server.process().address()).unwrap();
    refusing.refuse();
    let hosts = format!("@{},{}/", refusing.address(), server.process().address());
    let location = Location::at(server.url().replace(&format!("@{}/", server.process().address()), &hosts));
    let world = World::at(&location).await;
    let (id, record) = world.kept().await;
    change(&*world.there, &id, &record).await;
    seen("a write", &world.here, &id, &record).await;
}
