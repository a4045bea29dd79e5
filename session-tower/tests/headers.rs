//! What the response says: one cookie, caches, `Secure`, headers and URLs as transports.

mod support;

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::get as on_get;
use http::Request;
use http::header::SET_COOKIE;
use session_core::{CookieSettings, Manager, SameSite, SecureMode, Transport, TrustedProxies};
use session_tower::{ConnectionInfo, LazySession, Session, SessionError, SessionLayer};
use support::{NAME, Shelf, builder, cookie_of, get, header, manager, send, set_cookies, text, with_cookie};

async fn count(session: Session) -> Result<String, SessionError> {
    Ok(session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?.to_string())
}

async fn read(session: Session) -> Result<String, SessionError> {
    Ok(format!("{:?}", session.get::<u64>("n")?))
}

fn routes(manager: Manager) -> Router {
    let own_headers = |session: Session| async move {
        session.set("n", &1)?;
        let cookies =
            ["theme=dark", &format!("{NAME}=forged; Path=/"), "__Host-session2=x", "lang=en; Path=/"];
        let cookies = cookies.map(|cookie| (SET_COOKIE, cookie.to_owned()));
        let caching = [("cache-control", "max-age=60"), ("vary", "Accept, cookie")];
        Ok::<_, SessionError>((AppendHeaders(cookies), caching, "").into_response())
    };
    let own_private = |session: Session| async move {
        let n = session.get::<u64>("n")?;
        Ok::<_, SessionError>(([("cache-control", "no-cache"), ("vary", "Accept")], format!("{n:?}")))
    };
    let login = |session: Session| async move { session.regenerate().map_err(SessionError::from) };
    let logout = |session: LazySession| async move { session.destroy().await.map_err(SessionError::from) };
    Router::new()
        .route("/count", on_get(count))
        .route("/read", on_get(read))
        .route("/own", on_get(own_headers))
        .route("/own-private", on_get(own_private))
        .route("/login", on_get(login))
        .route("/logout", on_get(logout))
        .route("/untouched", on_get(|| async { "ok" }))
        .layer(SessionLayer::new(manager))
}

#[tokio::test]
async fn checklist_19_one_cookie_for_the_session_and_those_of_the_app_untouched() {
    let response = send(&routes(manager(&Shelf::default())), get("/own", "")).await;
    let cookies = set_cookies(&response);
    assert_eq!(cookies.len(), 4, "{cookies:?}");
    assert_eq!(cookies[..3], ["theme=dark", "__Host-session2=x", "lang=en; Path=/"]);
    assert!(cookies[3].starts_with(&format!("{NAME}=")) && !cookies[3].contains("forged"), "{cookies:?}");
    let value = response.headers().get_all(SET_COOKIE).iter().next_back().unwrap();
    assert!(value.is_sensitive(), "logs of headers do not print it");
}

#[tokio::test]
async fn checklist_23_responses_say_how_far_caches_may_keep_them() {
    let app = routes(manager(&Shelf::default()));
    let creating = send(&app, get("/count", "")).await;
    assert_eq!(header(&creating, "cache-control"), Some("no-store"));
    assert_eq!(header(&creating, "vary"), Some("Cookie"));
    let cookie = cookie_of(&creating);

    let reading = send(&app, get("/read", &cookie)).await;
    assert_eq!(header(&reading, "cache-control"), Some("private"));
    assert_eq!(header(&reading, "vary"), Some("Cookie"));
    // A shared cache must not answer the next visitor with it either.
    let visitor = send(&app, get("/read", "")).await;
    assert_eq!(header(&visitor, "cache-control"), Some("private"));

    let changing = send(&app, get("/count", &cookie)).await;
    assert_eq!(header(&changing, "cache-control"), Some("private"));
}

#[tokio::test]
async fn checklist_23_cache_headers_of_the_application_are_respected() {
    let app = routes(manager(&Shelf::default()));
    let begun = send(&app, get("/own", "")).await;
    assert_eq!(header(&begun, "cache-control"), Some("no-store"), "it carries a token");
    let own = send(&app, get("/own", &cookie_of(&begun))).await;
    assert_eq!(header(&own, "cache-control"), Some("max-age=60"));
    assert_eq!(header(&own, "vary"), Some("Accept, cookie"), "it says so already");
    let own = send(&app, get("/own-private", "")).await;
    assert_eq!(header(&own, "cache-control"), Some("no-cache"));
    let vary: Vec<_> = own.headers().get_all("vary").iter().collect();
    assert_eq!(vary, ["Accept", "Cookie"]);
}

#[tokio::test]
async fn checklist_15_and_21_a_token_from_the_url_counts_only_when_asked_for_and_never_becomes_a_cookie() {
    let shelf = Shelf::default();
    let cookies_only = routes(manager(&shelf));
    let token = cookie_of(&send(&cookies_only, get("/count", "")).await);
    let token = token.split_once('=').unwrap().1;
    let url = format!("/read?a=b&sid={token}");
    assert_eq!(text(send(&cookies_only, get(&url, "")).await).await, "None", "not asked for");

    let with_query = Transport::default().with_query("sid");
    let app = routes(builder(&shelf).transport(with_query).build().unwrap());
    let response = send(&app, get(&url, "")).await;
    assert_eq!(header(&response, "cache-control"), Some("no-store"));
    assert_eq!(header(&response, "referrer-policy"), Some("no-referrer"));
    assert_eq!(set_cookies(&response), Vec::<&str>::new());
    assert_eq!(text(response).await, "Some(1)");

    let renewed = send(&app, get(&format!("/login?sid={token}"), "")).await;
    assert_eq!(set_cookies(&renewed), Vec::<&str>::new(), "a link must not log its reader in");
    let other = cookie_of(&send(&app, get("/count", "")).await);
    assert_eq!(text(send(&app, get(&url, &other)).await).await, "Some(1)", "the cookie goes first");
    assert_eq!(header(&send(&app, get("/untouched", "")).await, "referrer-policy"), Some("no-referrer"));
    assert_eq!(header(&send(&app, get("/own", "")).await, "cache-control"), Some("no-store"));
}

#[tokio::test]
async fn checklist_15_a_header_carries_the_token_where_that_is_configured() {
    let shelf = Shelf::default();
    let app = routes(builder(&shelf).transport(Transport::header("X-Session")).build().unwrap());
    let response = send(&app, get("/count", "")).await;
    assert_eq!(set_cookies(&response), Vec::<&str>::new());
    let token = header(&response, "x-session").unwrap().to_owned();
    let with = |path: &str| Request::get(path).header("x-session", &token).body(Body::empty()).unwrap();
    let response = send(&app, with("/read")).await;
    assert_eq!(header(&response, "vary"), Some("X-Session"));
    assert_eq!(text(response).await, "Some(1)");
    assert_eq!(header(&send(&app, with("/logout")).await, "x-session"), Some(""));
    let as_cookie = format!("{NAME}={token}; X-Session={token}");
    assert_eq!(text(send(&app, get("/read", &as_cookie)).await).await, "None");
}

#[tokio::test]
async fn checklist_16_and_18_a_persistent_cookie_lasts_as_the_session_does_at_most_400_days() {
    let year = std::time::Duration::from_secs(3600 * 24 * 500);
    let settings = CookieSettings::default().persistent(true).same_site(SameSite::Strict);
    let shelf = Shelf::default();
    let manager =
        builder(&shelf).transport(Transport::cookie(settings)).absolute_timeout(year).build().unwrap();
    let response = send(&routes(manager), get("/count", "")).await;
    let cookie = set_cookies(&response)[0];
    assert!(cookie.contains("; SameSite=Strict"), "{cookie}");
    assert!(cookie.contains(&format!("; Max-Age={}", 3600 * 24 * 400)), "{cookie}");
}

#[tokio::test]
async fn checklist_13_secure_is_always_written_unless_the_configuration_says_otherwise() {
    let shelf = Shelf::default();
    let secure = async |cookie: CookieSettings, request: Request<Body>| {
        let app = routes(with_cookie(&shelf, cookie));
        let response = send(&app, request).await;
        set_cookies(&response)[0].contains("; Secure")
    };
    assert!(secure(CookieSettings::default(), get("/count", "")).await);
    let named = CookieSettings::named("session");
    assert!(!secure(named.clone().secure(SecureMode::Never), get("/count", "")).await);

    let proxies = TrustedProxies::parse(["10.0.0.0/8"]).unwrap();
    let auto = named.secure(SecureMode::Auto(proxies));
    let forwarded =
        |name: &str, value: &str| Request::get("/count").header(name, value).body(Body::empty()).unwrap();
    let from = |peer: &str, mut request: Request<Body>| {
        let peer: IpAddr = peer.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer, 4711)));
        request
    };
    assert!(!secure(auto.clone(), get("/count", "")).await);
    assert!(
        !secure(auto.clone(), forwarded("x-forwarded-proto", "https")).await,
        "a client can say anything"
    );
    assert!(!secure(auto.clone(), from("192.0.2.1", forwarded("x-forwarded-proto", "https"))).await);
    assert!(secure(auto.clone(), from("10.1.2.3", forwarded("x-forwarded-proto", "https"))).await);
    assert!(secure(auto.clone(), from("10.1.2.3", forwarded("forwarded", "for=1.1.1.1;proto=https"))).await);
    assert!(!secure(auto.clone(), from("10.1.2.3", forwarded("forwarded", "for=1.1.1.1;proto=http"))).await);

    let mut tls = get("/count", "");
    tls.extensions_mut().insert(ConnectionInfo { tls: true, peer: None });
    assert!(secure(auto.clone(), tls).await);
    let mut by_proxy = forwarded("x-forwarded-proto", "https");
    by_proxy.extensions_mut().insert(ConnectionInfo { tls: false, peer: "10.9.9.9".parse().ok() });
    assert!(secure(auto, by_proxy).await);
}
