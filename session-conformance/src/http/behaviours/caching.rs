//! The `Cache-Control` and `Vary` headers of responses.

use session_core::Session;

use super::super::{Adapter, Answer, Shelf};
use super::usual;

pub async fn responses_say_how_far_caches_may_keep_them<A: Adapter>() {
    let (_server, client) = usual(&Shelf::default()).serve::<A>();
    let creating = client.get("/count", "").await;
    assert_eq!(creating.header("cache-control"), Some("no-store"));
    assert_eq!(creating.header("vary"), Some("Cookie"));
    let cookie = creating.cookie();

    let reading = client.get("/read", &cookie).await;
    assert_eq!(reading.header("cache-control"), Some("private"));
    assert_eq!(reading.header("vary"), Some("Cookie"));
    // A shared cache must not serve it to the next visitor either.
    let visitor = client.get("/read", "").await;
    assert_eq!(visitor.header("cache-control"), Some("private"));

    let changing = client.get("/count", &cookie).await;
    assert_eq!(changing.header("cache-control"), Some("private"));
}

pub async fn cache_headers_of_the_application_are_respected<A: Adapter>() {
    let own = async |session: Session| {
        session.set("n", &1)?;
        Ok(Answer::new(200, "").header("cache-control", "max-age=60").header("vary", "Accept, cookie"))
    };
    let own_private = async |session: Session| {
        session.get::<u64>("n")?;
        Ok(Answer::new(200, "").header("cache-control", "no-cache").header("vary", "Accept"))
    };
    let application = usual(&Shelf::default());
    let application = application.get("/own", own).get("/own-private", own_private);
    let (_server, client) = application.serve::<A>();
    let begun = client.get("/own", "").await;
    assert_eq!(begun.header("cache-control"), Some("no-store"), "it carries a token");
    let own = client.get("/own", &begun.cookie()).await;
    assert_eq!(own.header("cache-control"), Some("max-age=60"));
    assert_eq!(own.header("vary"), Some("Accept, cookie"), "it says so already");
    let own = client.get("/own-private", "").await;
    assert_eq!(own.header("cache-control"), Some("no-cache"));
    let vary: Vec<_> = own.headers.get_all("vary").iter().collect();
    assert_eq!(vary, ["Accept", "Cookie"]);
}

/// Also if the application sets other headers.
pub async fn a_response_that_carries_a_token_is_never_kept_by_a_shared_cache<A: Adapter>() {
    let cached = async |session: Session| {
        session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1)?;
        let page = Answer::new(200, "page").header("cache-control", "public, max-age=600");
        Ok(page.header("cdn-cache-control", "max-age=600"))
    };
    let (_server, client) = usual(&Shelf::default()).get("/cached", cached).serve::<A>();
    let begun = client.get("/cached", "").await;
    assert_eq!(begun.header("cache-control"), Some("no-store"));
    assert_eq!(begun.header("cdn-cache-control"), None);
    let response = client.get("/cached", &begun.cookie()).await;
    assert_eq!(response.header("cache-control"), Some("public, max-age=600"), "no token in it");
    assert_eq!(response.header("cdn-cache-control"), Some("max-age=600"));
}
