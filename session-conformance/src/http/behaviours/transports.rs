//! How tokens travel: cookies and their attributes, headers, URLs.

use std::time::Duration;

use http::Request;
use session_core::Session;
use session_core::transport::{CookieSettings, SameSite, SecureMode, Transport, TrustedProxies};

use super::super::{Adapter, Answer, Application, Response, Shelf};
use super::{NAME, count, usual, with_routes};

pub async fn one_cookie_for_the_session_and_those_of_the_app_untouched<A: Adapter>() {
    let own = async |session: Session| {
        session.set("n", &1)?;
        let forged = format!("{NAME}=forged; Path=/");
        let cookies = ["theme=dark", &*forged, "__Host-session2=x", "lang=en; Path=/"];
        Ok(cookies
            .into_iter()
            .fold(Answer::new(200, ""), |answer, cookie| answer.header("set-cookie", cookie)))
    };
    let (_server, client) = usual(&Shelf::default()).get("/own", own).serve::<A>();
    let response = client.get("/own", "").await;
    let cookies = response.set_cookies();
    assert_eq!(cookies.len(), 4, "{cookies:?}");
    assert_eq!(cookies[..3], ["theme=dark", "__Host-session2=x", "lang=en; Path=/"]);
    assert!(cookies[3].starts_with(&format!("{NAME}=")) && !cookies[3].contains("forged"), "{cookies:?}");
}

pub async fn and_21_a_token_from_the_url_counts_only_when_asked_for_and_never_becomes_a_cookie<A: Adapter>() {
    let shelf = Shelf::default();
    let (_cookies_only, without) = usual(&shelf).serve::<A>();
    let cookie = without.get("/count", "").await.cookie();
    let token = cookie.split_once('=').expect("a pair").1;
    let url = format!("/read?a=b&sid={token}");
    assert_eq!(without.get(&url, "").await.text, "None", "not asked for");

    let transport = Transport::default().with_query("sid");
    let manager = shelf.builder().transport(transport).build().expect("a manager");
    let own = async |session: Session| {
        session.set("n", &1)?;
        Ok(Answer::new(200, "").header("cache-control", "max-age=60"))
    };
    let (_server, client) = with_routes(Application::new(manager)).get("/own", own).serve::<A>();
    let response = client.get(&url, "").await;
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(response.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(response.set_cookies(), Vec::<&str>::new());
    assert_eq!(response.text, "Some(1)");

    let renewed = client.get(&format!("/login?sid={token}"), "").await;
    assert_eq!(renewed.set_cookies(), Vec::<&str>::new(), "a link must not log its reader in");
    let other = client.get("/count", "").await.cookie();
    assert_eq!(client.get(&url, &other).await.text, "Some(1)", "the cookie goes first");
    let untouched = client.get("/untouched", "").await;
    assert_eq!(untouched.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(client.get("/own", "").await.header("cache-control"), Some("no-store"));
    shelf.fail_reads(session_core::ErrorKind::Unavailable);
    let failed = client.get("/read", &other).await;
    assert_eq!((failed.status, failed.header("referrer-policy")), (503, Some("no-referrer")));
}

pub async fn a_header_carries_the_token_where_that_is_configured<A: Adapter>() {
    let shelf = Shelf::default();
    let manager = shelf.builder().transport(Transport::header("X-Session")).build().expect("a manager");
    let (_server, client) = with_routes(Application::new(manager)).serve::<A>();
    let begun = client.get("/count", "").await;
    assert_eq!(begun.set_cookies(), Vec::<&str>::new());
    let token = begun.header("x-session").expect("a token").to_owned();
    let response = client.get_with("/read", "x-session", &token).await;
    assert_eq!(response.header("vary"), Some("X-Session"));
    assert_eq!(response.text, "Some(1)");
    let bye = client.get_with("/logout", "x-session", &token).await;
    assert_eq!(bye.header("x-session"), Some(""));
    let as_cookie = format!("{NAME}={token}; X-Session={token}");
    assert_eq!(client.get("/read", &as_cookie).await.text, "None");
}

pub async fn and_18_a_persistent_cookie_lasts_as_the_session_does_at_most_400_days<A: Adapter>() {
    let settings = CookieSettings::default().persistent(true).same_site(SameSite::Strict);
    let builder = Shelf::default().builder().transport(Transport::cookie(settings));
    let manager = builder.absolute_timeout(Duration::from_secs(3600 * 24 * 500)).build();
    let (_server, client) = with_routes(Application::new(manager.expect("a manager"))).serve::<A>();
    let response = client.get("/count", "").await;
    let cookie = response.set_cookies()[0];
    assert!(cookie.contains("; SameSite=Strict"), "{cookie}");
    assert!(cookie.contains(&format!("; Max-Age={}", 3600 * 24 * 400)), "{cookie}");
}

/// All requests come over plain HTTP from this machine.
pub async fn secure_is_always_written_unless_the_configuration_says_otherwise<A: Adapter>() {
    async fn secure<A: Adapter>(mode: SecureMode, header: Option<(&str, &str)>) -> bool {
        let cookie = CookieSettings::named("session").secure(mode);
        let application = Application::new(Shelf::default().manager_with(cookie)).get("/count", count);
        let (_server, client) = application.serve::<A>();
        let mut request = Request::get("/count");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        client.send(request).await.set_cookies()[0].contains("; Secure")
    }
    assert!(secure::<A>(SecureMode::Always, None).await);
    assert!(!secure::<A>(SecureMode::Never, None).await);
    let auto = |proxies| SecureMode::Auto(TrustedProxies::parse([proxies]).expect("a network"));
    let (proxy, stranger) = (auto("127.0.0.0/8"), auto("10.0.0.0/8"));
    assert!(!secure::<A>(proxy.clone(), None).await);
    for (header, is_https) in [
        (("x-forwarded-proto", "https"), true),
        (("x-forwarded-proto", "http"), false),
        (("forwarded", "for=1.1.1.1;proto=https"), true),
        (("forwarded", "for=1.1.1.1;proto=http"), false),
    ] {
        assert_eq!(secure::<A>(proxy.clone(), Some(header)).await, is_https, "{header:?}");
        assert!(!secure::<A>(stranger.clone(), Some(header)).await, "a client can say anything");
    }
}

pub async fn a_request_that_does_everything_is_answered_with_one_cookie_or_header<A: Adapter>() {
    let everything = async |session: Session| {
        session.set("a", &1)?;
        session.save().await?;
        session.regenerate()?;
        session.save().await?;
        session.destroy().await?;
        session.set("flash", "you are logged out")?;
        session.save().await?;
        session.regenerate()?;
        Ok("done")
    };
    let flash =
        async |session: Session| Ok(format!("{:?} {:?}", session.keys(), session.get::<String>("flash")?));
    for by_header in [false, true] {
        let said = |response: &Response| {
            if by_header {
                response.header("x-session").expect("a token").to_owned()
            } else {
                response.cookie()
            }
        };
        for held in [false, true] {
            let shelf = Shelf::default();
            let transport = if by_header { Transport::header("x-session") } else { Transport::default() };
            let manager = shelf.builder().transport(transport).build().expect("a manager");
            let application = with_routes(Application::new(manager));
            let (_server, client) =
                application.get("/everything", everything).get("/flash", flash).serve::<A>();
            let name = if by_header { "x-session" } else { "cookie" };
            let mut request = Request::get("/everything");
            if held {
                request = request.header(name, said(&client.get("/count", "").await));
            }
            let jar = said(&client.send(request).await);
            assert_eq!(shelf.sessions(), 1, "nothing is left behind");
            let answer = client.get_with("/flash", name, &jar).await.text;
            assert_eq!(answer, r#"["flash"] Some("you are logged out")"#);
        }
    }
}
