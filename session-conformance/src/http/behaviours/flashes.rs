//! Messages for the next page, taken by the adapter's extractor.

use std::sync::Arc;

use session_core::flash::Level;
use session_core::{ErrorKind, Session};

use super::super::application::boxed;
use super::super::{Adapter, Application, Client, Handler, Lazy, Shelf};
use super::usual;

async fn save(session: Session) -> session_core::Result<&'static str> {
    session.flash(Level::Success, "saved")?;
    Ok("")
}

async fn leave(lazy: Arc<dyn Lazy>) -> session_core::Result<&'static str> {
    lazy.destroy().await?;
    lazy.session().await?.flash(Level::Info, "bye")?;
    Ok("")
}

/// `/page` shows the messages, and `/failing` responds with them and a server error.
fn with_pages(shelf: &Shelf) -> Application {
    let page = |status: u16| {
        Handler::Flashes(Arc::new(move |messages| {
            let lines: Vec<_> =
                messages.iter().map(|flash| format!("{} {};", flash.level, flash.message)).collect();
            boxed(async move { Ok(super::super::Answer::new(status, lines.concat())) })
        }))
    };
    usual(shelf)
        .get("/save", save)
        .lazy("/leave", leave)
        .route("/page", page(200))
        .route("/failing", page(500))
}

async fn saved(client: Client) -> String {
    client.get("/save", "").await.cookie()
}

pub async fn a_message_is_shown_once_and_taken_by_one_write<A: Adapter>() {
    let shelf = Shelf::default();
    let (_server, client) = with_pages(&shelf).serve::<A>();
    assert_eq!(client.get("/page", "").await.text, "");
    assert_eq!(shelf.calls(), 0, "a visitor without a session costs nothing");
    let cookie = saved(client).await;
    // An intermediate page, such as a redirect, does not use up the message.
    assert_eq!(client.get("/read", &cookie).await.status, 200);
    for (shown, calls) in [("success saved;", 2), ("", 1)] {
        shelf.calls();
        assert_eq!(client.get("/page", &cookie).await.text, shown);
        assert_eq!(shelf.calls(), calls, "one read, and one write where a message waited");
    }
}

pub async fn of_concurrent_pages_one_shows_the_message_and_none_fails<A: Adapter>() {
    let shelf = Shelf::default();
    let (_server, client) = with_pages(&shelf).serve::<A>();
    let cookie = saved(client).await;
    let mut pages = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let cookie = cookie.clone();
        pages.spawn(async move {
            let response = client.get("/page", &cookie).await;
            assert_eq!(response.status, 200);
            response.text
        });
    }
    let shown = pages.join_all().await;
    assert_eq!(shown.iter().filter(|text| *text == "success saved;").count(), 1, "{shown:?}");
    assert_eq!(shown.iter().filter(|text| text.is_empty()).count(), 7, "{shown:?}");
}

pub async fn a_logout_leaves_its_message_in_a_new_session<A: Adapter>() {
    let shelf = Shelf::default();
    let (_server, client) = with_pages(&shelf).serve::<A>();
    let before = saved(client).await;
    let after = client.get("/leave", &before).await.cookie();
    assert_ne!(after, before);
    assert_eq!(client.get("/page", &after).await.text, "info bye;");
}

pub async fn messages_are_kept_while_they_cannot_be_taken<A: Adapter>() {
    let shelf = Shelf::default();
    let (_server, client) = with_pages(&shelf).serve::<A>();
    let cookie = saved(client).await;
    shelf.fail_writes(ErrorKind::Unavailable);
    client.get("/page", &cookie).await.assert_refused(503);
    shelf.fail_writes(None);
    assert_eq!(client.get("/page", &cookie).await.text, "success saved;");
}

pub async fn a_failing_page_uses_up_its_messages<A: Adapter>() {
    let shelf = Shelf::default();
    let (_server, client) = with_pages(&shelf).serve::<A>();
    let cookie = saved(client).await;
    assert_eq!(client.get("/failing", &cookie).await.text, "success saved;");
    assert_eq!(client.get("/page", &cookie).await.text, "");
}
