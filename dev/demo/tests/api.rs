//! The JSON routes over HTTP, on every engine that needs no server.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;
use support::{Client, Demo};

const KEY: &str =
    r#"{"cookieName":"gosessionid","securityKey":"dGhpcyBpcyBvbmx5IGZvciB0ZXN0cyBvZiB0aGUgZGVtbw"}"#;

/// Every engine of this build, started for one test.
fn engines(test: impl Fn(&str, &Demo)) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let sqlite = cfg!(feature = "sqlite").then_some(("sqlite", "sqlite::memory:"));
    for (engine, config) in [("memory", ""), ("file", path), ("cookie", KEY)].into_iter().chain(sqlite) {
        let demo = Demo::start(&["--engine", engine, "--engine-config", config]);
        test(engine, &demo);
    }
}

fn overlapping(
    client: &Client,
    count: usize,
    request: impl Fn(&mut Client, usize) -> support::Answer + Sync,
) -> Vec<support::Answer> {
    std::thread::scope(|scope| {
        let request = &request;
        let threads: Vec<_> = (0..count)
            .map(|n| {
                let mut client = client.clone();
                scope.spawn(move || request(&mut client, n))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn a_visitor_sets_reads_and_deletes_values() {
    engines(|engine, demo| {
        let mut client = demo.client();
        let plain = client.get("/api/plain");
        assert_eq!((plain.status, &*plain.body), (200, "ok"), "{engine}");
        assert_eq!(plain.session_cookies(), Vec::<&str>::new());

        let nobody = client.get("/api/session");
        assert_eq!((nobody.status, nobody.json()), (200, json!({"data": {}})), "{engine}");
        assert_eq!(nobody.session_cookies(), Vec::<&str>::new(), "{engine}");
        client.get("/api/session/color").assert_error(404);

        let value = json!({"name": "blue", "rgb": [0, 0, 255], "nested": {"a": null, "b": 1.5, "c": -7}});
        let put = client.put("/api/session/color", &value.to_string());
        assert_eq!((put.status, put.json()), (200, json!({"ok": true})), "{engine}");
        assert_eq!(put.session_cookies().len(), 1, "{engine}");
        assert_eq!(client.get("/api/session/color").json(), value, "{engine}");
        client.put("/api/session/a%20key%2Fwith%20%22signs%22%20%C3%A9", "7");
        assert_eq!(
            client.get("/api/session").json()["data"],
            json!({"color": value, "a key/with \"signs\" é": 7})
        );

        assert_eq!(client.delete("/api/session/color").json(), json!({"ok": true}), "{engine}");
        client.get("/api/session/color").assert_error(404);
        assert_eq!(client.delete("/api/session/color").status, 200, "{engine}: gone already");
    });
}

#[test]
fn a_login_gets_a_new_id_and_keeps_the_data_and_a_logout_ends_the_session() {
    engines(|engine, demo| {
        let mut client = demo.client();
        client.put("/api/session/cart", "[1,2]");
        let before = client.clone();
        let login = client.post("/api/login", r#"{"user":"ada"}"#);
        assert_eq!((login.status, login.json()), (200, json!({"ok": true})), "{engine}");
        assert_eq!(login.session_cookies().len(), 1, "{engine}");
        assert_ne!(client.cookie, before.cookie, "{engine}");
        assert_eq!(
            client.get("/api/session").json()["data"],
            json!({"cart": [1, 2], "user": "ada"}),
            "{engine}"
        );
        if engine != "cookie" {
            assert_eq!(before.clone().get("/api/session").json(), json!({"data": {}}), "the old id is dead");
        }

        let replay = client.clone();
        let logout = client.post("/api/logout", "");
        assert_eq!((logout.status, logout.json()), (200, json!({"ok": true})), "{engine}");
        assert_eq!(client.cookie, None, "{engine}: removed");
        assert_eq!(client.post("/api/logout", "").status, 200, "{engine}: without a session");
        if engine != "cookie" {
            assert_eq!(
                replay.clone().get("/api/session").json(),
                json!({"data": {}}),
                "the cookie is worth nothing"
            );
        }
    });
}

#[test]
fn forty_overlapping_counters_answer_forty_numbers() {
    engines(|engine, demo| {
        if engine == "cookie" {
            return; // It promises none of this.
        }
        let mut client = demo.client();
        assert_eq!(client.post("/api/counter/n", "").json(), json!({"value": 1}));
        let answers = overlapping(&client, 40, |client, _| client.post("/api/counter/n?hold_ms=50", ""));
        let values: BTreeSet<i64> = answers.iter().map(|a| a.json()["value"].as_i64().unwrap()).collect();
        assert_eq!(values, (2..=41).collect(), "{engine}");
        assert_eq!(client.get("/api/session/n").json(), 41, "{engine}");
    });
}

#[test]
fn overlapping_writers_of_different_keys_all_keep_their_writes() {
    engines(|engine, demo| {
        if engine == "cookie" {
            return;
        }
        let mut client = demo.client();
        client.put("/api/session/first", "true");
        overlapping(&client, 20, |client, n| {
            client.put(&format!("/api/session/k{n}?hold_ms=50"), &n.to_string())
        });
        let data = client.get("/api/session").json()["data"].clone();
        assert_eq!(data.as_object().unwrap().len(), 21, "{engine}: {data}");
    });
}

#[test]
fn a_request_in_flight_does_not_undo_a_logout() {
    engines(|engine, demo| {
        if engine == "cookie" {
            return;
        }
        let mut client = demo.client();
        client.put("/api/session/a", "1");
        let answers = overlapping(&client, 2, |client, n| {
            if n == 0 {
                return client.put("/api/session/a?hold_ms=600", "2");
            }
            std::thread::sleep(Duration::from_millis(200));
            client.post("/api/logout", "")
        });
        answers[0].assert_error(409);
        assert_eq!(answers[1].status, 200);
        assert_eq!(client.get("/api/session").json(), json!({"data": {}}), "{engine}");
    });
}

#[test]
fn bad_requests_are_answered_as_json_and_change_nothing() {
    let demo = Demo::start(&[]);
    let mut client = demo.client();
    client.put("/api/session/a", r#""text""#);
    for body in ["", "{", "nope", "\"unclosed", "1 2", "{\"a\":}"] {
        client.put("/api/session/a", body).assert_error(400);
    }
    for body in ["", "[]", "{}", r#"{"user":7}"#, r#"{"user":""}"#] {
        client.post("/api/login", body).assert_error(400);
    }
    client.post("/api/counter/a", "").assert_error(400);
    client.get("/api/session?hold_ms=soon").assert_error(400);
    client.get("/api/session/%ff").assert_error(400);
    client.get("/api/nothing").assert_error(404);
    client.put("/api/login", "{}").assert_error(405);
    assert_eq!(client.get("/api/session").json()["data"], json!({"a": "text"}));
}

#[test]
fn what_can_be_set_can_be_read_however_deep_it_nests() {
    let demo = Demo::start(&[]);
    let mut client = demo.client();
    let deep = format!("{}1{}", "[".repeat(126), "]".repeat(126));
    assert_eq!(client.put("/api/session/deep", &deep).status, 200);
    assert_eq!(client.get("/api/session/deep").body, deep);
    let too_deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    client.put("/api/session/deep", &too_deep).assert_error(400);
    assert_eq!(client.get("/api/session/deep").body, deep);
}

#[test]
fn a_value_that_is_too_large_is_413_and_the_old_data_is_kept() {
    engines(|engine, demo| {
        let mut client = demo.client();
        client.put("/api/session/a", "1");
        let kept = client.cookie.clone();
        let large = if engine == "cookie" { 5_000 } else { (4 << 20) - 4 };
        client.put("/api/session/b", "2");
        client.put("/api/session/a", &format!("\"{}\"", "x".repeat(large))).assert_error(413);
        client.put("/api/session/a", &format!("\"{}\"", "x".repeat(5 << 20))).assert_error(413);
        assert_eq!(client.get("/api/session").json()["data"], json!({"a": 1, "b": 2}), "{engine}");
        assert!(kept.is_some());
    });
}

#[test]
fn a_hold_is_at_most_five_seconds_and_every_route_takes_one() {
    let demo = Demo::start(&[]);
    let mut client = demo.client();
    for (method, path) in [
        ("GET", "/api/plain"),
        ("GET", "/api/session"),
        ("PUT", "/api/session/a"),
        ("GET", "/api/session/a"),
        ("POST", "/api/counter/n"),
        ("DELETE", "/api/session/a"),
        ("POST", "/api/login"),
        ("POST", "/api/logout"),
    ] {
        let begun = Instant::now();
        let body = if path.ends_with("login") { r#"{"user":"ada"}"# } else { "1" };
        let answer = client.send(method, &format!("{path}?hold_ms=60"), "", body);
        assert_eq!(answer.status, 200, "{method} {path}");
        assert!(begun.elapsed() >= Duration::from_millis(60), "{method} {path}");
    }
    let begun = Instant::now();
    assert_eq!(client.get("/api/plain?hold_ms=60000").status, 200);
    assert!((5..7).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[test]
fn the_answer_says_what_it_cost() {
    let demo = Demo::start(&[]);
    let mut client = demo.client();
    let names = |answer: support::Answer| -> Vec<String> {
        let timing = answer.header("server-timing").unwrap_or_default();
        timing.split(", ").filter_map(|call| call.split(';').next()).map(str::to_owned).collect()
    };
    assert_eq!(names(client.put("/api/session/a", "1")), ["create"]);
    assert_eq!(names(client.put("/api/session/a", "2")), ["read", "write"]);
    assert_eq!(names(client.get("/api/session")), ["read"]);
    assert_eq!(names(client.post("/api/login", r#"{"user":"ada"}"#)), ["read", "rename"]);
    assert_eq!(names(client.get("/api/plain")), [""]);
    assert_eq!(names(client.post("/api/logout", "")), ["destroy"]);
}
