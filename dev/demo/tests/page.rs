//! The page, as a browser without scripts uses it.

#![allow(clippy::unwrap_used)]

mod support;

use support::{Answer, Client, Demo};

/// Submits a form and comes back to the page.
#[track_caller]
fn click(client: &mut Client, path: &str, form: &str) -> Answer {
    let answer = client.submit(path, form);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{}", answer.body);
    client.get("/")
}

#[test]
fn a_person_counts_visits_logs_in_edits_values_and_logs_out() {
    let demo = Demo::start(&[]);
    let mut client = demo.client();
    let first = client.get("/");
    assert_eq!(first.status, 200);
    assert_eq!(first.session_cookies(), Vec::<&str>::new(), "nothing is stored for looking");
    assert!(first.body.contains("Hello, visitor."));

    click(&mut client, "/visit", "");
    let before = client.cookie.clone();
    assert!(click(&mut client, "/visit", "").body.contains(r#"<p class="number">2</p>"#));
    assert!(click(&mut client, "/login", "user=ada").body.contains("Hello, ada."));
    assert_ne!(client.cookie, before, "a new id");
    let renewed = client.cookie.clone();
    click(&mut client, "/renew", "");
    assert_ne!(client.cookie, renewed);

    let page = click(&mut client, "/set", "key=cart&value=%5B1%2C%202%5D");
    assert!(page.body.contains("<code>[1,2]</code>"), "JSON is taken as such");
    let page = click(&mut client, "/set", "key=note&value=just+text");
    assert!(page.body.contains("<code>&quot;just text&quot;</code>"));
    assert!(!click(&mut client, "/delete", "key=note").body.contains("just text"));

    let page = click(&mut client, "/logout", "");
    assert_eq!(client.cookie, None);
    assert!(page.body.contains("Hello, visitor.") && page.body.contains("There is none."));
}

#[test]
fn the_page_shows_a_shortened_hash_and_never_the_id() {
    let demo = Demo::start(&[]);
    let mut client = demo.client();
    let page = click(&mut client, "/visit", "");
    let token = client.cookie.clone().unwrap();
    let (_, token) = token.split_once('=').unwrap();
    assert!(!page.body.contains(&token[..8]), "{token}");
    let id = client.get("/api/session").json()["id"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 8);
    assert!(page.body.contains(&id));
}

#[test]
fn whatever_is_put_in_comes_out_as_text() {
    let demo = Demo::start(&[]);
    let mut client = demo.client();
    let hostile = "%3Cscript%3Ealert(1)%3C%2Fscript%3E%22%27%26";
    click(&mut client, "/login", &format!("user={hostile}"));
    let page = click(&mut client, "/set", &format!("key={hostile}&value={hostile}"));
    assert!(!page.body.contains("<script"), "{}", page.body);
    assert!(page.body.matches("&lt;script&gt;").count() >= 4, "{}", page.body);
}

#[test]
fn the_page_may_run_no_script_and_load_nothing_from_elsewhere() {
    let demo = Demo::start(&[]);
    let mut client = demo.client();
    let page = click(&mut client, "/visit", "");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self' 'nonce-"), "{policy}");
    assert!(policy.contains("form-action 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("cache-control"), Some("private"));
    assert!(!page.body.contains("https://") && !page.body.contains("http://"), "no other place");
    for asset in ["/style.css", "/icon.svg"] {
        let answer = client.get(asset);
        assert_eq!((answer.status, answer.header("server-timing")), (200, None), "{asset} costs no call");
    }
}

#[test]
fn a_form_of_another_site_does_nothing() {
    let demo = Demo::start(&[]);
    let mut client = demo.client();
    click(&mut client, "/login", "user=ada");
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    for site in ["cross-site", "same-site"] {
        let answer = client.send_with("POST", "/logout", &[kind, ("Sec-Fetch-Site", site)], "");
        assert_eq!(answer.status, 403, "{site}");
    }
    let answer = client.send_with("POST", "/logout", &[kind, ("Origin", "http://127.0.0.1:1")], "");
    assert_eq!(answer.status, 403, "an old browser names the page that the form is on");
    assert!(client.get("/").body.contains("Hello, ada."));
    let answer = client.send_with("POST", "/logout", &[kind, ("Sec-Fetch-Site", "same-origin")], "");
    assert_eq!(answer.status, 303);
}

#[test]
fn every_click_says_what_it_cost() {
    let demo = Demo::start(&[]);
    let mut client = demo.client();
    let mut list = String::new();
    for (path, form) in [("/visit", ""), ("/login", "user=ada"), ("/logout", "")] {
        let answer = client.send_with(
            "POST",
            path,
            &[("Content-Type", "application/x-www-form-urlencoded"), ("Cookie", &list)],
            form,
        );
        let set: Vec<_> = answer.all("set-cookie").filter(|cookie| cookie.starts_with("demo-log=")).collect();
        list = set[0].split(';').next().unwrap().to_owned();
        assert!(set[0].ends_with("; Path=/; HttpOnly; SameSite=Strict; Max-Age=3600"), "{}", set[0]);
    }
    let page = client.send_with("GET", "/", &[("Cookie", &list)], "").body;
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    let clicks = [
        "showed this page",
        "logged out",
        ">destroy ",
        "logged in",
        ">read ",
        ">rename ",
        "counted a visit",
        ">create ",
    ];
    assert!(clicks.map(at).is_sorted(), "newest first: {page}");
}

#[test]
fn bad_forms_and_unknown_pages_are_answered_as_pages() {
    let demo = Demo::start(&[]);
    let mut client = demo.client();
    for (method, path, kind, body, status) in [
        ("GET", "/nothing", "", "", 404),
        ("POST", "/login", "application/x-www-form-urlencoded", "user=++", 400),
        ("POST", "/login", "application/x-www-form-urlencoded", "name=ada", 422),
        ("POST", "/set", "application/json", "{}", 415),
    ] {
        let answer = client.send(method, path, kind, body);
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{method} {path}");
        assert_eq!(answer.session_cookies(), Vec::<&str>::new());
    }
    click(&mut client, "/set", "key=visits&value=many");
    assert_eq!(client.submit("/visit", "").status, 400, "it is no number");
}

#[test]
fn an_engine_that_is_down_is_503_for_people_and_for_programs_and_logs_nobody_out() {
    let directory = tempfile::tempdir().unwrap();
    let (place, away) = (directory.path().join("sessions"), directory.path().join("away"));
    let demo = Demo::start(&["--engine", "file", "--engine-config", place.to_str().unwrap()]);
    let mut client = demo.client();
    click(&mut client, "/login", "user=ada");
    let cookie = client.cookie.clone();

    std::fs::rename(&place, &away).unwrap();
    std::fs::write(&place, "not a directory").unwrap();
    for _ in 0..2 {
        client.get("/api/session").assert_error(503);
        client.put("/api/session/a", "1").assert_error(503);
        client.post("/api/counter/a", "").assert_error(503);
        client.post("/api/login", r#"{"user":"eve"}"#).assert_error(503);
        client.post("/api/logout", "").assert_error(503);
        demo.client().put("/api/session/a", "1").assert_error(503);
        assert_eq!(client.get("/api/plain").status, 200);
        let page = client.get("/");
        assert_eq!((page.status, page.header("content-type")), (503, Some("text/html; charset=utf-8")));
        assert!(
            !page.body.contains("Hello") && !page.body.contains(place.to_str().unwrap()),
            "{}",
            page.body
        );
        assert_eq!(client.submit("/visit", "").status, 503);
    }

    std::fs::remove_file(&place).unwrap();
    std::fs::rename(&away, &place).unwrap();
    assert_eq!(client.cookie, cookie);
    assert!(client.get("/").body.contains("Hello, ada."), "and it goes on by itself");
}
