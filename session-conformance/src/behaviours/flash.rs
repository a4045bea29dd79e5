//! Messages for the next page: each is shown once at most, and a page that loses the race for one is not failed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use session_core::flash::{Flash, Level};
use session_core::id::Token;
use session_core::{ErrorKind, Manager, Session};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::layers::{Fault, Faulty, Method, Spy};
use crate::{Context, begin, fails, number, open};

/// A client whose last request left this message.
async fn told(manager: &Manager, message: &str) -> Token {
    let session = manager.create();
    session.flash(Level::Info, message).expect("a message");
    ended(&session).await
}

/// Ends a request, and says what its client holds then.
async fn ended(session: &Session) -> Token {
    session.release().await.expect("a release");
    session.token().expect("a token")
}

async fn shown(session: &Session) -> Vec<String> {
    let taken = session.take_flash::<String>().await.expect("a page is not failed by its messages");
    taken.into_iter().map(|flash| flash.message).collect()
}

/// The redirects in between look at the session, and change it.
pub async fn a_message_is_shown_once_after_any_number_of_redirects(context: Context) {
    let (here, there) = (context.manager(), context.manager_over(context.another().await));
    let token = told(&here, "saved").await;
    let looking = open(&there, &token).await;
    let token = ended(&looking).await;
    let changing = open(&here, &token).await;
    changing.set("step", &1).expect("a set");
    let token = ended(&changing).await;
    let page = open(&there, &token).await;
    assert_eq!(shown(&page).await, ["saved"]);
    assert!(shown(&page).await.is_empty(), "taken by this very page");
    let token = ended(&page).await;
    let again = open(&here, &token).await;
    assert!(shown(&again).await.is_empty());
    assert_eq!(again.keys(), ["step"], "the rest of the session is as it was");
}

/// What was left first is shown first, with what it was left with.
pub async fn messages_keep_their_order_level_and_type(context: Context) {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Event {
        Saved { document: u32 },
        Failed,
    }
    let manager = context.manager();
    let session = manager.create();
    session.flash(Level::Success, &Event::Saved { document: 7 }).expect("a message");
    let token = ended(&session).await;
    let session = open(&manager, &token).await;
    session.flash(Level::Error, &Event::Failed).expect("a message");
    session.flash(Level::Debug, &Event::Saved { document: 8 }).expect("a message");
    let token = ended(&session).await;
    let messages = open(&manager, &token).await.take_flash().await.expect("the messages");
    let flash = |level, message| Flash { level, message };
    let expected = [
        flash(Level::Success, Event::Saved { document: 7 }),
        flash(Level::Error, Event::Failed),
        flash(Level::Debug, Event::Saved { document: 8 }),
    ];
    assert_eq!(messages, expected);
}

/// A new id keeps the messages; a logout ends them, and may leave one of its own.
pub async fn a_message_survives_a_sign_in_and_follows_a_logout(context: Context) {
    let manager = context.manager();
    let token = told(&manager, "please sign in").await;
    let session = open(&manager, &token).await;
    session.sign_in("ada").expect("a sign-in");
    session.flash(Level::Success, "welcome").expect("a message");
    let token = ended(&session).await;
    let page = open(&manager, &token).await;
    assert_eq!(shown(&page).await, ["please sign in", "welcome"]);
    let token = ended(&page).await;
    let session = open(&manager, &token).await;
    session.flash(Level::Info, "ends with the session").expect("a message");
    session.destroy().await.expect("a logout");
    session.flash(Level::Info, "bye").expect("a message");
    let token = ended(&session).await;
    assert_eq!(shown(&open(&manager, &token).await).await, ["bye"]);
}

/// Asking when nothing waits is no call, and stores nothing.
pub async fn a_page_without_messages_costs_nothing(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    let manager = context.manager_over(provider);
    assert!(shown(&manager.create()).await.is_empty());
    let token = begin(&manager, "key", 1).await;
    spy.take();
    let session = open(&manager, &token).await;
    assert!(shown(&session).await.is_empty());
    session.release().await.expect("a release");
    assert_eq!(spy.methods(), [Method::Read]);
}

/// A form that answers with its own page needs no store for its message.
pub async fn a_message_that_is_shown_by_its_own_request_is_not_stored(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    let manager = context.manager_over(provider);
    let session = manager.create();
    session.flash(Level::Warning, "the name is missing").expect("a message");
    assert_eq!(shown(&session).await, ["the name is missing"]);
    session.release().await.expect("a release");
    assert!(spy.take().is_empty());
    let token = begin(&manager, "key", 1).await;
    spy.take();
    let session = open(&manager, &token).await;
    session.flash(Level::Warning, "the name is missing").expect("a message");
    assert_eq!(shown(&session).await, ["the name is missing"]);
    session.release().await.expect("a release");
    assert_eq!(spy.methods(), [Method::Read]);
}

/// A type of yesterday does not keep today's page from being shown.
pub async fn a_message_of_another_type_is_dropped(context: Context) {
    let manager = context.manager();
    let session = manager.create();
    session.flash(Level::Info, &7).expect("a message");
    session.flash(Level::Info, "text").expect("a message");
    let token = ended(&session).await;
    let page = open(&manager, &token).await;
    assert_eq!(shown(&page).await, ["text"]);
    let token = page.token().expect("a token");
    assert!(open(&manager, &token).await.body().is_empty());
}

/// A script that never loads a page does not fill its session.
pub async fn a_client_that_shows_nothing_keeps_the_newest_messages(context: Context) {
    let manager = context.builder().max_keys(40).build().expect("a sound configuration");
    let mut token = told(&manager, "0").await;
    for round in 1..=100 {
        let session = open(&manager, &token).await;
        session.flash(Level::Info, &round.to_string()).expect("a message");
        token = ended(&session).await;
    }
    let kept: Vec<String> = (69..=100).map(|round| round.to_string()).collect();
    assert_eq!(shown(&open(&manager, &token).await).await, kept);
}

/// Eight pages on two processes loaded the message before the first of them took it. None is failed, and what each
/// changed is stored.
pub async fn of_pages_at_the_same_time_one_shows_a_message(context: Context) {
    let processes = [context.manager(), context.manager_over(context.another().await)];
    let token = told(&processes[0], "saved").await;
    let start = Arc::new(Barrier::new(8));
    let mut pages = JoinSet::new();
    for page in 0..8_u64 {
        let session = open(&processes[usize::from(page % 2 == 0)], &token).await;
        let start = Arc::clone(&start);
        pages.spawn(async move {
            session.set(format!("page {page}"), &page).expect("a set");
            start.wait().await;
            let shown = shown(&session).await.len();
            session.release().await.expect("a page that came too late is not failed");
            shown
        });
    }
    assert_eq!(pages.join_all().await.into_iter().sum::<usize>(), 1);
    let session = open(&processes[0], &token).await;
    assert_eq!(session.keys().len(), 8, "what the pages changed is all kept");
    assert!(shown(&session).await.is_empty());
}

/// Each has a place of its own.
pub async fn messages_of_requests_at_the_same_time_are_all_kept(context: Context) {
    let processes = [context.manager(), context.manager_over(context.another().await)];
    let token = begin(&processes[0], "key", 1).await;
    let mut sessions = Vec::new();
    for request in 0..8 {
        let session = open(&processes[request % 2], &token).await;
        session.flash(Level::Info, &format!("message {request}")).expect("a message");
        sessions.push(session);
    }
    for session in sessions {
        session.release().await.expect("a release");
    }
    let mut all = shown(&open(&processes[0], &token).await).await;
    all.sort();
    assert_eq!(all, (0..8).map(|request| format!("message {request}")).collect::<Vec<_>>());
}

/// Taking stores nothing but that the messages are taken.
pub async fn taking_is_one_write_and_leaves_other_changes_to_the_release(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    let manager = context.manager_over(provider);
    let token = told(&manager, "saved").await;
    spy.take();
    let session = open(&manager, &token).await;
    session.set("unfinished", &1).expect("a set");
    assert_eq!(shown(&session).await, ["saved"]);
    assert_eq!(spy.methods(), [Method::Read, Method::Write]);
    assert!(session.is_modified());
    // A handler that fails is not released.
    drop(session);
    assert!(open(&manager, &token).await.body().is_empty());
    spy.take();
    let session = open(&manager, &token).await;
    session.flash(Level::Info, "next").expect("a message");
    session.release().await.expect("a release");
    let session = open(&manager, &token).await;
    assert_eq!(shown(&session).await, ["next"]);
    session.set("finished", &1).expect("a set");
    session.release().await.expect("a release");
    let calls = [Method::Read, Method::Write, Method::Read, Method::Write, Method::Write];
    assert_eq!(spy.methods(), calls, "the release builds on what the taking has stored");
}

/// The page sees what others stored before it took its messages, and its own changes on top.
pub async fn what_a_page_changed_goes_on_top_of_what_others_did(context: Context) {
    let manager = context.manager();
    let token = told(&manager, "saved").await;
    let page = open(&manager, &token).await;
    page.update("counter", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
    let other = open(&manager, &token).await;
    other.update("counter", |old: Option<u64>| old.unwrap_or(0) + 10).expect("an update");
    other.release().await.expect("a release");
    assert_eq!(shown(&page).await, ["saved"]);
    assert_eq!(page.get::<u64>("counter").expect("a number"), Some(11));
    page.release().await.expect("a release");
    assert_eq!(number(&manager, &token, "counter").await, Some(11));

    // A one-time value that another request took is a conflict as ever.
    let session = open(&manager, &token).await;
    session.flash(Level::Info, "again").expect("a message");
    session.release().await.expect("a release");
    let page = open(&manager, &token).await;
    assert_eq!(page.take::<u64>("counter").expect("a take"), Some(11));
    let other = open(&manager, &token).await;
    assert_eq!(other.take::<u64>("counter").expect("a take"), Some(11));
    other.release().await.expect("a release");
    fails(page.take_flash::<String>().await, ErrorKind::Conflict);
    fails(page.release().await, ErrorKind::Conflict);
}

/// A page that was loaded before the logout shows what it shows without messages.
pub async fn a_session_that_ended_meanwhile_has_nothing_to_show(context: Context) {
    let manager = context.manager();
    let token = told(&manager, "saved").await;
    let page = open(&manager, &token).await;
    manager.destroy(&token).await.expect("a logout");
    assert!(shown(&page).await.is_empty());
    page.release().await.expect("it only read");
    assert!(manager.load(&token).await.expect("a load").is_none(), "nothing is brought back");
}

/// Nothing is taken, the page hears of it, and the next one shows the message.
pub async fn an_engine_that_is_down_keeps_the_messages(context: Context) {
    let (provider, faulty) = Faulty::on(context.provider());
    let manager = context.manager_over(provider);
    let token = told(&manager, "saved").await;
    let page = open(&manager, &token).await;
    page.set("key", &1).expect("a set");
    faulty.down(Fault::Refused);
    fails(page.take_flash::<String>().await, ErrorKind::Unavailable);
    assert!(faulty.heal());
    assert_eq!(shown(&page).await, ["saved"], "the handle goes on");
    page.release().await.expect("a release");
    assert_eq!(number(&manager, &token, "key").await, Some(1));
}

/// The taking was applied and its answer lost: the second attempt finds its own write.
pub async fn a_lost_answer_shows_a_message_once_at_most(context: Context) {
    let (provider, faulty) = Faulty::on(context.provider());
    let manager = context.manager_over(provider);
    let token = told(&manager, "saved").await;
    let page = open(&manager, &token).await;
    faulty.strike(Fault::Lost, 0, 1);
    assert_eq!(shown(&page).await, ["saved"]);
    assert!(faulty.heal());
    page.release().await.expect("a release");
    assert!(shown(&open(&manager, &token).await).await.is_empty());

    let token = told(&manager, "saved").await;
    let page = open(&manager, &token).await;
    faulty.strike(Fault::Lost, 0, 2);
    fails(page.take_flash::<String>().await, ErrorKind::OutcomeUnknown);
    assert!(faulty.heal());
    assert!(shown(&open(&manager, &token).await).await.is_empty(), "it was taken by a page that failed");
}
