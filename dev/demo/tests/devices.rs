//! A user on several devices, over HTTP.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::{Client, Demo};

fn sign_in(demo: &Demo, user: &str, label: &str) -> Client {
    let mut client = demo.client();
    let body = json!({ "user": user, "label": label }).to_string();
    assert_eq!(client.post("/api/login", &body).status, 200);
    client
}

fn sessions(client: &mut Client) -> Vec<Value> {
    let answer = client.get("/api/sessions");
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["sessions"].as_array().unwrap().clone()
}

fn labels(client: &mut Client) -> Vec<String> {
    let mut labels: Vec<_> =
        sessions(client).iter().map(|session| session["label"].as_str().unwrap().to_owned()).collect();
    labels.sort();
    labels
}

#[test]
fn a_user_sees_their_devices_and_signs_them_out() {
    let demo = Demo::start(&[]);
    let mut phone = sign_in(&demo, "ada", "phone");
    let mut laptop = sign_in(&demo, "ada", "laptop");
    let mut bob = sign_in(&demo, "bob", "tablet");
    assert_eq!(labels(&mut phone), ["laptop", "phone"]);
    assert_eq!(labels(&mut bob), ["tablet"]);

    let listed = sessions(&mut phone);
    let current: Vec<_> = listed.iter().filter(|session| session["current"] == true).collect();
    let [current] = current[..] else { panic!("{listed:?}") };
    assert_eq!(current["label"], "phone");
    assert!(current["created"].as_u64().unwrap() <= current["last_seen"].as_u64().unwrap());
    let other =
        listed.iter().find(|session| session["current"] == false).unwrap()["handle"].as_str().unwrap();

    bob.delete(&format!("/api/sessions/{other}")).assert_error(404);
    phone.delete("/api/sessions/nonsense").assert_error(404);
    assert_eq!(phone.delete(&format!("/api/sessions/{other}")).json(), json!({ "ok": true }));
    phone.delete(&format!("/api/sessions/{other}")).assert_error(404);
    assert_eq!(laptop.get("/api/session").json(), json!({ "data": {} }));
    laptop.get("/api/sessions").assert_error(401);

    for label in ["desktop", "watch"] {
        sign_in(&demo, "ada", label);
    }
    assert_eq!(phone.delete("/api/sessions").json(), json!({ "ok": true, "ended": 2 }));
    assert_eq!(labels(&mut phone), ["phone"]);
    assert_eq!(labels(&mut bob), ["tablet"]);

    // The own one is a logout.
    let own = sessions(&mut phone)[0]["handle"].as_str().unwrap().to_owned();
    let ended = phone.delete(&format!("/api/sessions/{own}"));
    assert_eq!((ended.status, ended.session_cookies().len()), (200, 1));
    phone.get("/api/sessions").assert_error(401);
}

#[test]
fn a_session_that_is_remembered_has_a_cookie_that_stays() {
    let demo = Demo::start(&[]);
    for (remember, stays) in [(true, true), (false, false)] {
        let body = json!({ "user": "ada", "remember": remember }).to_string();
        let answer = demo.client().post("/api/login", &body);
        assert_eq!(answer.session_cookies()[0].contains("Max-Age=2592000"), stays, "remember: {remember}");
    }
}

#[test]
fn a_limit_of_devices_ends_the_first() {
    let demo = Demo::start(&["--max-sessions", "2"]);
    let mut clients: Vec<_> = ["1", "2", "3"].map(|label| sign_in(&demo, "ada", label)).into();
    assert_eq!(labels(&mut clients[2]), ["2", "3"]);
    assert_eq!(clients[0].get("/api/session").json(), json!({ "data": {} }));
}

#[test]
fn the_page_lists_devices_and_signs_them_out() {
    let demo = Demo::start(&[]);
    let mut phone = sign_in(&demo, "ada", "my phone");
    let mut laptop = demo.client();
    assert_eq!(laptop.submit("/login", "user=ada&remember=yes").status, 303);
    let page = laptop.get("/").body;
    assert!(
        page.contains("Where you are signed in") && page.contains("my phone") && page.contains("this one")
    );
    let handle = sessions(&mut phone).iter().find(|session| session["current"] == true).unwrap()["handle"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(page.contains(&handle));
    assert_eq!(laptop.submit("/end", &format!("handle={handle}")).status, 303);
    assert!(!laptop.get("/").body.contains("my phone"));
    assert_eq!(phone.get("/api/session").json(), json!({ "data": {} }));
    sign_in(&demo, "ada", "another phone");
    assert_eq!(laptop.submit("/end-others", "").status, 303);
    assert_eq!(labels(&mut laptop).len(), 1);
}

#[test]
fn an_engine_that_lists_nothing_says_so() {
    const KEY: &str =
        r#"{"cookieName":"gosessionid","securityKey":"dGhpcyBpcyBvbmx5IGZvciB0ZXN0cyBvZiB0aGUgZGVtbw"}"#;
    let demo = Demo::start(&["--engine", "cookie", "--engine-config", KEY]);
    let mut client = demo.client();
    assert_eq!(client.post("/api/login", r#"{"user":"ada","remember":true}"#).status, 200);
    client.get("/api/sessions").assert_error(501);
    client.delete("/api/sessions").assert_error(501);
}
