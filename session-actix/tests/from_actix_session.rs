//! Taking over sessions of `actix-session`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix_session::config::CookieContentSecurity;
use actix_session::storage::{CookieSessionStore, RedisSessionStore, SessionStore};
use actix_web::body::MessageBody;
use actix_web::cookie::{Cookie, CookieJar, Key};
use actix_web::http::StatusCode;
use actix_web::http::header::{COOKIE, SET_COOKIE};
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, call_service, init_service, try_call_service};
use actix_web::web::{Data, get};
use actix_web::{App, Error, HttpResponse};
use serde::{Deserialize, Serialize};
use session_actix::{
    FromActixSession, LazySession, OptionalSession, Session, SessionError, SessionMiddleware,
};
use session_conformance::http::Shelf;
use session_core::ErrorKind;
use session_servers::redis::Redis;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Size {
    Small,
    Of { grams: u64 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Cart {
    items: BTreeMap<String, Size>,
    price: f64,
    note: Option<String>,
}

fn cart() -> Cart {
    let items = BTreeMap::from([("salt".into(), Size::Small), ("tea".into(), Size::Of { grams: u64::MAX })]);
    Cart { items, price: 2.0, note: None }
}

const ADA: &str = "ada with her cart, signed in: true";

/// The values that the old version of the application stores.
async fn old_sign_in(session: actix_session::Session) -> Result<&'static str, Error> {
    session.insert("user", "ada")?;
    session.insert("cart", cart())?;
    Ok("")
}

async fn whoami(OptionalSession(session): OptionalSession) -> Result<String, SessionError> {
    let Some(session) = session else { return Ok("a visitor".into()) };
    assert_eq!(session.get::<Cart>("cart")?, Some(cart()));
    let user: String = session.get("user")?.unwrap();
    Ok(format!("{user} with her cart, signed in: {}", session.owner().is_some()))
}

async fn logout(session: LazySession) -> Result<&'static str, SessionError> {
    session.destroy().await?;
    Ok("bye")
}

async fn fails(_: Session) -> HttpResponse {
    HttpResponse::InternalServerError().finish()
}

async fn changes_an_unstorable_session(
    session: Session,
    shelf: Data<Shelf>,
) -> Result<&'static str, SessionError> {
    session.set("more", &1)?;
    shelf.fail_writes(ErrorKind::Unavailable);
    Ok("")
}

fn set_cookies<B>(response: &HttpResponse<B>) -> Vec<String> {
    response.headers().get_all(SET_COOKIE).map(|value| value.to_str().unwrap().to_owned()).collect()
}

fn pair(cookie: &str) -> String {
    cookie.split(';').next().unwrap().to_owned()
}

/// The cookie that the old version set for a user.
async fn old_cookie<S: SessionStore + 'static>(
    store: S,
    key: &Key,
    content: CookieContentSecurity,
) -> String {
    let middleware = actix_session::SessionMiddleware::builder(store, key.clone());
    let app = App::new().route("/", get().to(old_sign_in));
    let app = init_service(app.wrap(middleware.cookie_content_security(content).build())).await;
    pair(&set_cookies(call_service(&app, TestRequest::default().to_request()).await.response())[0])
}

async fn private_cookie(key: &Key) -> String {
    old_cookie(CookieSessionStore::default(), key, CookieContentSecurity::Private).await
}

/// The new version of the application, which takes over from an old store.
struct Moved<S> {
    shelf: Shelf,
    old: Arc<FromActixSession<S>>,
}

/// A status, a body, and the cookies that are set.
type Answer = (StatusCode, String, Vec<String>);

impl<S: SessionStore + 'static> Moved<S> {
    fn new(old: FromActixSession<S>) -> Self {
        let old = old.then(|session| match session.get::<String>("user")? {
            Some(user) => session.sign_in(&user),
            None => Ok(()),
        });
        Self { shelf: Shelf::default(), old: Arc::new(old) }
    }

    async fn ask(&self, path: &str, cookie: &str) -> Answer {
        let old = Arc::clone(&self.old);
        let app = App::new()
            .app_data(Data::new(self.shelf.clone()))
            .route("/", get().to(whoami))
            .route("/logout", get().to(logout))
            .route("/fails", get().to(fails))
            .route("/changes", get().to(changes_an_unstorable_session))
            .wrap(from_fn(move |request, next| old.clone().take_over(request, next)))
            .wrap(SessionMiddleware::new(self.shelf.manager()));
        let app = init_service(app).await;
        let request = TestRequest::get().uri(path).insert_header((COOKIE, cookie)).to_request();
        let response = match try_call_service(&app, request).await {
            Ok(response) => response.map_into_boxed_body().into_parts().1,
            Err(error) => HttpResponse::from_error(error),
        };
        let (status, cookies) = (response.status(), set_cookies(&response));
        let body = response.into_body().try_into_bytes().unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap(), cookies)
    }

    /// The user stays signed in, in one new session, and the old cookie goes.
    async fn moves(&self, cookie: &str) {
        let (_, body, cookies) = self.ask("/", cookie).await;
        assert_eq!(body, ADA);
        assert_eq!((self.shelf.sessions(), cookies.len()), (1, 2), "{cookies:?}");
        assert!(cookies.iter().any(|cookie| cookie.starts_with("id=;") && cookie.contains("Max-Age=0")));
        let new = new_cookie(&cookies);
        // A browser that kept the old cookie receives another removal, and uses the new session.
        let (_, body, cookies) = self.ask("/", &format!("{cookie}; {new}")).await;
        assert_eq!((&*body, self.shelf.sessions()), (ADA, 1));
        assert!(matches!(&*cookies, [removal] if removal.starts_with("id=;")), "{cookies:?}");
        let (_, body, cookies) = self.ask("/", &new).await;
        assert_eq!((&*body, cookies.len()), (ADA, 0));
        self.ask("/logout", &new).await;
        assert_eq!(self.shelf.sessions(), 0);
        assert_eq!(self.ask("/", &new).await.1, "a visitor");
    }

    /// The client is a visitor, and its cookies are left alone.
    async fn ignores(&self, cookie: &str) {
        let (status, body, cookies) = self.ask("/", cookie).await;
        assert_eq!((status, &*body, cookies.len()), (StatusCode::OK, "a visitor", 0), "{cookie}");
        assert_eq!(self.shelf.sessions(), 0);
    }
}

fn new_cookie(cookies: &[String]) -> String {
    let ours = cookies.iter().find(|cookie| cookie.starts_with("__Host-session="));
    pair(ours.unwrap_or_else(|| panic!("no session among {cookies:?}")))
}

fn from_cookies(key: Key) -> FromActixSession<CookieSessionStore> {
    FromActixSession::new(CookieSessionStore::default(), key)
}

#[actix_web::test]
async fn sessions_of_the_cookie_store_are_taken_over() {
    let key = Key::generate();
    let cookie = private_cookie(&key).await;
    Moved::new(from_cookies(key)).moves(&cookie).await;
}

#[actix_web::test]
async fn signed_cookies_are_taken_over() {
    let key = Key::generate();
    let cookie = old_cookie(CookieSessionStore::default(), &key, CookieContentSecurity::Signed).await;
    Moved::new(FromActixSession::signed(CookieSessionStore::default(), key)).moves(&cookie).await;
}

#[actix_web::test]
#[ignore = "needs a server: cargo xtask test"]
async fn sessions_of_the_redis_store_are_taken_over_and_their_keys_removed() {
    let redis = Redis::start().unwrap();
    let store = || RedisSessionStore::builder(redis.url()).cache_keygen(|key| format!("old:{key}")).build();
    let key = Key::generate();
    let cookie = old_cookie(store().await.unwrap(), &key, CookieContentSecurity::Private).await;
    let stored = redis.cli(&["KEYS", "*"]).unwrap();
    let lifetime = || redis.cli(&["TTL", stored.trim()]).unwrap().trim().parse::<i64>().unwrap();
    assert!(lifetime() > 10, "{stored}");

    let new = Moved::new(FromActixSession::new(store().await.unwrap(), key));
    new.moves(&cookie).await;
    // The key is kept for a short time for pending requests; TTL -2 means it is gone.
    assert!((-2..=10).contains(&lifetime()));
    redis.cli(&["DEL", stored.trim()]).unwrap();
    new.ignores(&cookie).await;

    // No user looks like a visitor while the old store is down.
    drop(redis);
    let (status, body, cookies) = new.ask("/", &cookie).await;
    assert_eq!((status, &*body, cookies.len()), (StatusCode::SERVICE_UNAVAILABLE, "", 0));
}

#[actix_web::test]
async fn a_logout_with_the_old_cookie_ends_the_session() {
    let key = Key::generate();
    let new = Moved::new(from_cookies(key.clone()));
    let (_, body, cookies) = new.ask("/logout", &private_cookie(&key).await).await;
    assert_eq!((&*body, new.shelf.sessions()), ("bye", 0));
    assert!(matches!(&*cookies, [removal] if removal.starts_with("id=;")), "{cookies:?}");
}

#[actix_web::test]
async fn a_client_whose_new_session_has_expired_may_return_with_a_newer_old_one() {
    let key = Key::generate();
    let new = Moved::new(from_cookies(key.clone()));
    let ours = new_cookie(&new.ask("/", &private_cookie(&key).await).await.2);
    new.shelf.wipe();
    // The old version was deployed again for some time.
    let cookie = private_cookie(&key).await;
    let (_, body, cookies) = new.ask("/", &format!("{ours}; {cookie}")).await;
    assert_eq!((&*body, new.shelf.sessions()), (ADA, 1));
    assert_ne!(new_cookie(&cookies), ours);
}

#[actix_web::test]
async fn concurrent_requests_are_all_signed_in() {
    let key = Key::generate();
    let new = Moved::new(from_cookies(key.clone()));
    let cookie = private_cookie(&key).await;
    let answers = futures_util::future::join_all((0..4).map(|_| new.ask("/", &cookie))).await;
    for (_, body, cookies) in answers {
        assert_eq!(body, ADA);
        assert_eq!(new.ask("/", &new_cookie(&cookies)).await.1, ADA);
    }
}

#[actix_web::test]
async fn nothing_is_taken_over_after_the_period() {
    let key = Key::generate();
    let cookie = private_cookie(&key).await;
    let now = SystemTime::now();
    Moved::new(from_cookies(key.clone()).until(now)).ignores(&cookie).await;
    Moved::new(from_cookies(key).until(now + Duration::from_secs(3_600))).moves(&cookie).await;
}

#[actix_web::test]
async fn tampered_and_foreign_cookies_are_ignored() {
    let key = Key::generate();
    let new = Moved::new(from_cookies(key.clone()));
    new.ignores(&private_cookie(&Key::generate()).await).await;
    new.ignores(&old_cookie(CookieSessionStore::default(), &key, CookieContentSecurity::Signed).await).await;
    let signed = Moved::new(FromActixSession::signed(CookieSessionStore::default(), key.clone()));
    let accents = format!("id={}", "%C3%A9".repeat(40));
    for cookie in
        ["id=", "id=%7B%7D", "id=%ff%00", "id", "other=1", &accents, &accents.replacen('=', "=1", 1)]
    {
        new.ignores(cookie).await;
        signed.ignores(cookie).await;
    }
    let cookie = private_cookie(&key).await;
    for cut in [4, 20, cookie.len() - 1] {
        new.ignores(&cookie[..cut]).await;
    }
    let middle = cookie.len() / 2;
    let other = if &cookie[middle..=middle] == "A" { "B" } else { "A" };
    new.ignores(&format!("{}{other}{}", &cookie[..middle], &cookie[middle + 1..])).await;
}

#[actix_web::test]
async fn a_sealed_value_that_is_not_a_session_is_ignored() {
    let key = Key::generate();
    let new = Moved::new(from_cookies(key.clone()));
    for value in ["", "ada", "[1]", r#"{"user":1}"#, r#"{"user":"not JSON"}"#, &"[".repeat(4_000)] {
        let mut jar = CookieJar::new();
        jar.private_mut(&key).add(Cookie::new("id", value.to_owned()));
        new.ignores(&jar.get("id").unwrap().encoded().to_string()).await;
    }
}

#[actix_web::test]
async fn a_session_that_cannot_be_stored_is_503_and_moves_later() {
    let key = Key::generate();
    let cookie = private_cookie(&key).await;
    let new = Moved::new(from_cookies(key));
    new.shelf.fail_writes(ErrorKind::Unavailable);
    let (status, body, cookies) = new.ask("/", &cookie).await;
    assert_eq!((status, &*body, cookies.len()), (StatusCode::SERVICE_UNAVAILABLE, "", 0));
    new.shelf.fail_writes(None);
    new.moves(&cookie).await;
}

#[actix_web::test]
async fn a_client_learns_of_its_new_session_whatever_the_handler_answers() {
    let key = Key::generate();
    let new = Moved::new(from_cookies(key.clone()));
    for path in ["/fails", "/missing", "/changes"] {
        let (status, _, cookies) = new.ask(path, &private_cookie(&key).await).await;
        assert!(!status.is_success(), "{path}");
        new.shelf.fail_writes(None);
        assert_eq!(new.ask("/", &new_cookie(&cookies)).await.1, ADA, "{path}");
    }
}
