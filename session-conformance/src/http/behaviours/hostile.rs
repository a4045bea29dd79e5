//! What clients send that is no session: never looked up, never adopted, never an error page.

use http::{HeaderValue, Request};

use super::super::{Adapter, Shelf};
use super::{NAME, usual};

pub async fn what_has_not_the_form_of_an_id_is_never_looked_up<A: Adapter>() {
    let shelf = Shelf::default();
    let (_server, client) = usual(&shelf).serve::<A>();
    let good = "a".repeat(43);
    let values: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"x".to_vec(),
        b"../../etc/passwd".to_vec(),
        b"..%2f..%2fetc%2fpasswd".to_vec(),
        vec![b'a'; 10_000],
        "é".repeat(20).into_bytes(),
        b"\xff\xfe\x80".to_vec(),
        [good.as_bytes(), b" x"].concat(),
        [good.as_bytes(), b"a"].concat(),
        good.as_bytes()[1..].to_vec(),
        [b"/", &good.as_bytes()[1..]].concat(),
        [&good.as_bytes()[1..], b"\t"].concat(),
        b"'; drop table session; --".to_vec(),
        format!("{good}.Admin").into_bytes(),
    ];
    for value in values {
        let shown = String::from_utf8_lossy(&value[..value.len().min(60)]).into_owned();
        let header = [format!("{NAME}=").as_bytes(), &value].concat();
        let header = HeaderValue::from_bytes(&header).expect("a header");
        let response = client.send(Request::get("/read").header("cookie", header)).await;
        assert_eq!(response.status, 200, "{shown}");
        assert_eq!(response.set_cookies(), Vec::<&str>::new(), "{shown}");
        assert_eq!(response.text, "None", "{shown}");
        assert_eq!(shelf.calls(), 0, "{shown}");
    }
}

pub async fn nul_and_line_breaks_in_a_cookie_never_reach_an_engine<A: Adapter>() {
    let shelf = Shelf::default();
    let (_server, client) = usual(&shelf).serve::<A>();
    let cookie = client.get("/count", "").await.cookie();
    shelf.calls();
    for hostile in [&b"\0"[..], b"\r", b"\n", b"\x01"] {
        let mut value = cookie.clone().into_bytes();
        value.splice(20..20, hostile.iter().copied());
        let answer = client.open("/read", &value).await.read_until("\r\n\r\n").await;
        assert!(!answer.contains("Some(1)"), "{hostile:?}: {answer}");
        assert_eq!(shelf.calls(), 0, "{hostile:?}");
    }
    let not_ascii = format!("{NAME}=\u{e9}\u{ff}");
    let answer = client.open("/count", not_ascii.as_bytes()).await.read_until("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "not ASCII is legal, and no session: {answer}");
    assert_eq!(shelf.calls(), 1, "one new session");
}

pub async fn a_well_formed_id_of_somebody_elses_making_is_never_adopted<A: Adapter>() {
    let (_server, client) = usual(&Shelf::default()).serve::<A>();
    let planted = format!("{NAME}={}", "a".repeat(43));
    let response = client.get("/count", &planted).await;
    let cookie = response.cookie();
    assert_ne!(cookie, planted);
    assert_eq!(response.text, "1");
    assert_eq!(client.get("/read", &planted).await.text, "None");
    assert_eq!(client.get("/read", &cookie).await.text, "Some(1)");
}

pub async fn cookie_headers_that_are_no_cookies_hide_nothing<A: Adapter>() {
    let (_server, client) = usual(&Shelf::default()).serve::<A>();
    let cookie = client.get("/count", "").await.cookie();
    for noise in [";;;; =; ==a", "=", "no equals sign", "\"quoted; string\"", "a=\u{e4}"] {
        let bytes = [noise.as_bytes(), b"; ", cookie.as_bytes()].concat();
        let header = HeaderValue::from_bytes(&bytes).expect("a header");
        let response = client.send(Request::get("/read").header("cookie", header)).await;
        assert_eq!(response.text, "Some(1)", "{noise}");
    }
}

pub async fn two_live_session_cookies_are_ambiguous_and_a_logout_ends_both<A: Adapter>() {
    let shelf = Shelf::default();
    let (_server, client) = usual(&shelf).serve::<A>();
    let one = client.get("/count", "").await.cookie();
    let two = client.get("/count", "").await.cookie();
    assert_eq!(shelf.sessions(), 2);
    let both = format!("{one}; {two}");
    let response = client.get("/read", &both).await;
    assert_eq!(response.set_cookies(), Vec::<&str>::new(), "no removal");
    assert_eq!(response.text, "None", "neither is used");

    let dead = format!("{NAME}={}", "a".repeat(43));
    let with_dead = format!("{dead}; {one}; {one}; {NAME}=../..");
    assert_eq!(client.get("/read", &with_dead).await.text, "Some(1)", "the live one is used");

    client.get("/logout", &both).await;
    assert_eq!(shelf.sessions(), 0);
}

/// One with `Domain=example.com` from before a deployment, one for this host only: browsers send both.
pub async fn a_login_heals_ambiguous_cookies<A: Adapter>() {
    let (_server, client) = usual(&Shelf::default()).serve::<A>();
    let with_domain = client.get("/count", "").await.cookie();
    let mut host_only = client.get("/count", "").await.cookie();
    for _ in 0..5 {
        let both = format!("{with_domain}; {host_only}");
        host_only = client.get("/login", &both).await.cookie();
    }
    let both = format!("{with_domain}; {host_only}");
    assert_eq!(client.get("/whoami", &both).await.text, "ada");
}

pub async fn at_most_four_candidates_are_looked_up<A: Adapter>() {
    let shelf = Shelf::default();
    let (_server, client) = usual(&shelf).serve::<A>();
    let planted: Vec<_> = (0..50).map(|n| format!("{NAME}={n:a>43}")).collect();
    assert_eq!(client.get("/read", &planted.join("; ")).await.text, "None");
    assert_eq!(shelf.calls(), 4);
}
