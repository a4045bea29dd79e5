//! Copies between two stores in memory, with the source changing between two passes.

use session_kit::Manager;
use session_kit::accounts::Owner;
use session_kit::id::Token;
use session_kit::memory::MemoryProvider;

use super::*;

struct Two {
    source: Manager,
    target: Manager,
    copying: Copying,
    progress: Progress,
}

fn two() -> Two {
    let manager = |engine: &Engine| Manager::builder_shared(engine.provider.clone()).build().unwrap();
    let (from, to) = (Engine::of(MemoryProvider::new()), Engine::of(MemoryProvider::new()));
    Two {
        source: manager(&from),
        target: manager(&to),
        copying: Copying { from, to, journal: Journal::default(), jobs: 4, pass: 0 },
        progress: Progress::new(None, true),
    }
}

impl Two {
    async fn pass(&mut self) -> Tally {
        self.copying.pass(Mode::default(), &mut self.progress).await.unwrap()
    }

    async fn verify(&mut self) -> Tally {
        let mode = Mode { verify: true, ..Mode::default() };
        self.copying.pass(mode, &mut self.progress).await.unwrap()
    }
}

async fn session(manager: &Manager, visits: u32) -> Token {
    let session = manager.create();
    session.set("visits", &visits).unwrap();
    session.release().await.unwrap();
    session.token().unwrap()
}

async fn visit(manager: &Manager, token: &Token) {
    let session = manager.load(token).await.unwrap().unwrap();
    session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1).unwrap();
    session.release().await.unwrap();
}

async fn visits(manager: &Manager, token: &Token) -> Option<u32> {
    manager.load(token).await.unwrap()?.get("visits").unwrap()
}

#[tokio::test]
async fn every_session_is_copied_and_the_second_pass_finds_nothing_to_do() {
    let mut two = two();
    let mut tokens = Vec::new();
    for number in 0..1_200 {
        tokens.push(session(&two.source, number).await);
    }
    assert_eq!(two.pass().await.copied, 1_200);
    assert_eq!(two.pass().await, Tally { unchanged: 1_200, ..Tally::default() });
    assert_eq!(two.verify().await, Tally { unchanged: 1_200, ..Tally::default() });
    for (number, token) in (0..).zip(&tokens) {
        assert_eq!(visits(&two.target, token).await, Some(number));
    }
}

#[tokio::test]
async fn changes_during_the_copy_are_updated_and_a_logout_ends_the_copy_as_well() {
    let mut two = two();
    let (kept, changed, ended) =
        (session(&two.source, 1).await, session(&two.source, 2).await, session(&two.source, 3).await);
    two.pass().await;
    for _ in 0..20 {
        visit(&two.source, &changed).await;
    }
    assert!(two.source.destroy(&ended).await.unwrap());
    let begun = session(&two.source, 4).await;
    let tally = two.pass().await;
    assert_eq!((tally.copied, tally.updated, tally.ended), (1, 1, 1));
    assert!(two.verify().await.is_quiet());
    assert_eq!(visits(&two.target, &kept).await, Some(1));
    assert_eq!(visits(&two.target, &changed).await, Some(22));
    assert_eq!(visits(&two.target, &ended).await, None);
    assert_eq!(visits(&two.target, &begun).await, Some(4));
}

#[tokio::test]
async fn a_replaced_id_is_dead_at_the_target_and_its_tombstone_leads_a_logout_on() {
    let mut two = two();
    let old = session(&two.source, 1).await;
    two.pass().await;
    let new = two.source.regenerate(&old).await.unwrap().unwrap();
    let tally = two.pass().await;
    assert_eq!((tally.copied, tally.updated), (1, 1));
    assert_eq!(visits(&two.target, &old).await, None);
    assert_eq!(visits(&two.target, &new).await, Some(1));
    assert!(two.target.destroy(&old).await.unwrap(), "the tombstone leads to the session");
    assert_eq!(visits(&two.target, &new).await, None);
}

#[tokio::test]
async fn owners_and_deadlines_are_kept() {
    let mut two = two();
    let session = two.source.create();
    session.sign_in("ada").unwrap();
    session.release().await.unwrap();
    two.pass().await;
    let page = |engine: &Engine| {
        let provider = engine.provider.clone();
        async move {
            let indexed = provider.as_indexed().unwrap();
            indexed.list(&Owner::of("ada"), None, 10).await.unwrap().sessions.pop().unwrap()
        }
    };
    let (source, target) = (page(&two.copying.from).await, page(&two.copying.to).await);
    assert_eq!((source.id, source.record.header.absolute), (target.id, target.record.header.absolute));
    let apart = source.record.header.deadline.as_millis().abs_diff(target.record.header.deadline.as_millis());
    assert!(apart < 60_000, "{apart} ms");
}

#[tokio::test]
async fn changes_of_the_application_at_the_target_after_the_switch_are_kept() {
    let mut two = two();
    let (used, ended) = (session(&two.source, 1).await, session(&two.source, 2).await);
    two.pass().await;
    for _ in 0..20 {
        visit(&two.target, &used).await;
    }
    two.target.destroy(&ended).await.unwrap();
    let begun = session(&two.target, 7).await;
    two.pass().await;
    let verified = two.verify().await;
    assert_eq!((verified.changed, verified.missing), (1, 1));
    assert!(verified.is_quiet());
    assert_eq!(visits(&two.target, &used).await, Some(21));
    assert_eq!(visits(&two.target, &ended).await, None, "a logout is final");
    assert_eq!(visits(&two.target, &begun).await, Some(7), "this copy did not store it");
}

#[tokio::test]
async fn a_continued_copy_ends_sessions_that_ended_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let mut two = two();
    let (kept, ended) = (session(&two.source, 1).await, session(&two.source, 2).await);
    two.copying.journal = Journal::open(&state, "memory to memory").unwrap();
    two.pass().await;

    two.source.destroy(&ended).await.unwrap();
    // The first process has ended, and the second one continues from the file.
    two.copying.journal = Journal::default();
    two.copying.journal = Journal::open(&state, "memory to memory").unwrap();
    two.copying.pass = 0;
    let tally = two.pass().await;
    assert_eq!((tally.copied, tally.ended, tally.unchanged), (0, 1, 1));
    assert_eq!(visits(&two.target, &kept).await, Some(1));
    assert_eq!(visits(&two.target, &ended).await, None);
}
