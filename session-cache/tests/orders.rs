//! Reads that are pending during another event: a notice, the loss of the bus, its return. The test
//! sends the notices itself.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_cache::{Bus, Cached, Settings};
use session_core::clock::ManualClock;
use session_core::engine::Notice;
use session_core::id::StorageId;
use session_core::record::{Record, Version};
use session_core::{Provider, Result};
use session_memory::MemoryProvider;
use support::hand::Holding;
use support::{Apart, Hand, IDLE, MAX_STALE, PATIENCE, Source, change, keep, stored, until_bus};
use tokio::task::JoinHandle;
use tokio::time::timeout;

struct World {
    /// The engine without the cache, like another process's.
    there: Arc<dyn Provider>,
    here: Arc<Cached>,
    apart: Arc<Apart>,
    bus: Hand,
    holding: Arc<Holding>,
    clock: ManualClock,
}

impl World {
    fn new() -> Self {
        let there: Arc<dyn Provider> = Arc::new(MemoryProvider::new());
        let (held, holding) = Holding::on(Arc::clone(&there));
        let bus = Hand::default();
        let apart = Arc::new(Apart::new(held, Source::Hand(bus.clone())));
        let clock = ManualClock::default();
        let settings = Settings::new().max_stale(MAX_STALE).clock(clock.clone());
        let here = Arc::new(Cached::over(Arc::clone(&apart) as _, settings).unwrap());
        Self { there, here, apart, bus, holding, clock }
    }

    async fn connected() -> Self {
        let world = Self::new();
        world.bus.up();
        until_bus(&world.here, Bus::Connected).await;
        world
    }

    /// A read that the engine has answered, with the answer held back.
    async fn hold(&self, id: &StorageId, now: bool) -> JoinHandle<Result<Option<Record>>> {
        self.holding.hold_next();
        let (here, id) = (Arc::clone(&self.here), id.clone());
        let read =
            async move { if now { here.read_now(&id, IDLE).await } else { here.read(&id, IDLE).await } };
        let read = tokio::spawn(read);
        self.holding.answered().await;
        read
    }

    async fn read(&self, id: &StorageId) -> Option<Record> {
        let read = timeout(PATIENCE, self.here.read(id, IDLE)).await;
        read.expect("it does not wait for the read that is held").unwrap()
    }

    async fn version(&self, id: &StorageId) -> Version {
        self.read(id).await.unwrap().header.version()
    }

    /// The pending read is answered, but its result is not cached; a read that starts before that
    /// does not wait for it.
    async fn is_parted_from(
        &self,
        read: JoinHandle<Result<Option<Record>>>,
        id: &StorageId,
        old: &Record,
        new: &Record,
    ) {
        assert_eq!(self.version(id).await, new.header.version());
        self.holding.release();
        assert_eq!(read.await.unwrap().unwrap().unwrap().header.version(), old.header.version());
        assert_eq!(self.version(id).await, new.header.version());
    }
}

#[tokio::test]
async fn a_read_concurrent_with_a_notice_is_not_kept() {
    let world = World::connected().await;
    for everything in [false, true] {
        let (id, old) = stored(&*world.there).await;
        let read = world.hold(&id, false).await;
        let new = change(&*world.there, &id, &old).await;
        let notice = if everything { Notice::Everything } else { Notice::Changed(id.clone()) };
        world.bus.send(notice).await;
        world.is_parted_from(read, &id, &old, &new).await;
    }
}

#[tokio::test]
async fn a_read_that_started_before_the_bus_connected_is_not_kept() {
    let world = World::new();
    for now in [true, false] {
        let (id, old) = stored(&*world.there).await;
        let read = world.hold(&id, now).await;
        let new = change(&*world.there, &id, &old).await;
        world.bus.up();
        until_bus(&world.here, Bus::Connected).await;
        world.is_parted_from(read, &id, &old, &new).await;
        world.bus.down();
        until_bus(&world.here, Bus::Lost).await;
    }
}

#[tokio::test]
async fn reads_from_before_the_bus_was_lost_are_not_shown_when_it_is_back() {
    let world = World::connected().await;
    let (kept, old_kept) = stored(&*world.there).await;
    keep(&world.here, &world.apart, &kept).await;
    let (id, old) = stored(&*world.there).await;
    let read = world.hold(&id, false).await;
    world.bus.down();
    until_bus(&world.here, Bus::Lost).await;
    let new_kept = change(&*world.there, &kept, &old_kept).await;
    assert_eq!(world.version(&kept).await, new_kept.header.version(), "every read asks the engine");
    let newest = change(&*world.there, &kept, &new_kept).await;
    let new = change(&*world.there, &id, &old).await;
    world.bus.up();
    until_bus(&world.here, Bus::Connected).await;
    assert_eq!(world.version(&kept).await, newest.header.version());
    world.is_parted_from(read, &id, &old, &new).await;
}

#[tokio::test]
async fn a_read_does_not_wait_for_one_that_is_too_old() {
    let world = World::connected().await;
    let (id, old) = stored(&*world.there).await;
    let read = world.hold(&id, false).await;
    let new = change(&*world.there, &id, &old).await;
    world.clock.advance(MAX_STALE);
    world.is_parted_from(read, &id, &old, &new).await;
}

#[tokio::test]
async fn a_read_concurrent_with_the_end_of_all_sessions_is_not_kept() {
    let world = World::connected().await;
    let (id, record) = stored(&*world.there).await;
    let read = world.hold(&id, false).await;
    let owner = record.header.owner.unwrap();
    assert_eq!(world.here.as_indexed().unwrap().end_owner(&owner, 10).await.unwrap(), 1);
    assert!(world.read(&id).await.is_none());
    world.holding.release();
    assert!(read.await.unwrap().unwrap().is_some());
    assert!(world.read(&id).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_does_not_answer_is_lost() {
    let world = World::connected().await;
    let (id, old) = stored(&*world.there).await;
    keep(&world.here, &world.apart, &id).await;
    world.bus.silence();
    let new = change(&*world.there, &id, &old).await;
    assert_eq!(world.version(&id).await, old.header.version());
    let begun = tokio::time::Instant::now();
    until_bus(&world.here, Bus::Lost).await;
    assert!(begun.elapsed() <= Duration::from_millis(2_100), "{:?}", begun.elapsed());
    assert_eq!(world.version(&id).await, new.header.version());
}

#[tokio::test(start_paused = true)]
async fn an_answer_counts_once_the_notices_before_it_are_followed() {
    let world = World::connected().await;
    let (id, old) = stored(&*world.there).await;
    keep(&world.here, &world.apart, &id).await;
    let shown = Arc::new(Mutex::new(Vec::new()));
    let (here, looked_at, of) = (Arc::downgrade(&world.here), Arc::clone(&shown), id.clone());
    world.bus.before_notices(move || {
        let here = here.upgrade().unwrap();
        let read = here.as_immediate().unwrap().read_at_once(&of, IDLE);
        looked_at.lock().unwrap().push(read.map(|read| read.unwrap().unwrap().header.version()));
    });
    // The listener does not run for a long time, and finds a question that is due among the
    // notices.
    let new = change(&*world.there, &id, &old).await;
    world.bus.post(Notice::Changed(support::id()));
    world.bus.post(Notice::Changed(id.clone()));
    tokio::time::advance(Duration::from_secs(10)).await;
    until_bus(&world.here, Bus::Connected).await;
    assert_eq!(*shown.lock().unwrap(), [None, None], "the change was ten seconds ago");
    assert_eq!(world.version(&id).await, new.header.version());
}

#[tokio::test]
async fn listening_ends_with_the_cache() {
    let World { here, bus, apart, .. } = World::connected().await;
    assert_eq!((bus.listeners(), Arc::strong_count(&apart)), (1, 3));
    drop(here);
    support::until("the listener ends", async || bus.listeners() == 0).await;
    support::until("the engine is let go", async || Arc::strong_count(&apart) == 1).await;
}

#[test]
fn a_cache_created_outside_a_runtime_listens_from_its_first_read() {
    let world = World::new();
    world.bus.up();
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            assert_eq!(world.here.bus(), Bus::Lost);
            assert!(world.here.read(&support::id(), IDLE).await.unwrap().is_none());
            until_bus(&world.here, Bus::Connected).await;
        });
        // The listener ends with its runtime; the next read starts another one.
    }
}

#[test]
fn a_listener_that_does_not_run_counts_as_lost() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let idle = runtime();
    let (world, id) = idle.block_on(async {
        let world = World::connected().await;
        let (id, _) = stored(&*world.there).await;
        keep(&world.here, &world.apart, &id).await;
        (world, id)
    });
    runtime().block_on(async {
        until_bus(&world.here, Bus::Lost).await;
        world.there.destroy(&id, None).await.unwrap();
        assert!(world.here.read(&id, IDLE).await.unwrap().is_none());
    });
    idle.block_on(until_bus(&world.here, Bus::Connected));
}
