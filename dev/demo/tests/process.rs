//! The program itself: its command line, its one line, its end.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::json;
use support::{Demo, command};

#[test]
fn a_signal_stops_it_cleanly_once_the_requests_under_way_are_answered() {
    for name in ["TERM", "INT"] {
        let mut demo = Demo::start(&[]);
        let mut client = demo.client();
        client.get("/api/plain");
        let slow = std::thread::spawn(move || client.put("/api/session/a?hold_ms=500", "1"));
        std::thread::sleep(Duration::from_millis(150));
        demo.signal(name);
        assert_eq!(slow.join().unwrap().json(), json!({"ok": true}), "{name}");
        assert_eq!(demo.ended().code(), Some(0), "{name}");
    }
}

/// What it prints when it does not start, and how it ends.
fn refused(args: &[&str]) -> (Option<i32>, String) {
    let output = command(args).output().unwrap();
    assert_eq!(output.stdout, b"", "nothing is listening");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_cannot_be_started_is_said_in_one_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "sessionon = false\n").unwrap();
    let off = file.path().to_str().unwrap();
    let short_key = r#"{"securityKey":"hunter2"}"#;
    let redis = if cfg!(feature = "redis") { "names no server" } else { "feature `redis`" };
    for (args, expected) in [
        (&["--engine", "redis"][..], redis),
        (&["--engine", "nonsense"], "no engine named `nonsense`"),
        (&["--engine", "cookie"], "needs a key"),
        (&["--engine", "cookie", "--engine-config", short_key], "32"),
        (&["--manager-config", "{\"cookieName\": }"], "column"),
        (&["--manager-config", r#"{"cookieSameSite":4}"#], "SameSite"),
        (&["--app-conf", "/nowhere/app.conf"], "/nowhere/app.conf"),
        (&["--app-conf", off], "sessionon"),
        (&["--listen", "256.0.0.1:1"], "cannot listen"),
    ] {
        let (code, message) = refused(args);
        assert_eq!(code, Some(1), "{args:?}: {message}");
        assert!(message.contains(expected), "{args:?}: {message}");
        assert!(!message.contains("hunter2"), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
    assert_eq!(refused(&["--lifetime", "0"]).0, Some(2));
}

#[test]
fn a_managers_configuration_in_json_decides_about_the_cookie() {
    let config = r#"{"cookieName":"gosessionid","gclifetime":3600,"secure":true,"cookieSameSite":3,"domain":"example.com","cookieLifeTime":3600}"#;
    let demo = Demo::start(&["--manager-config", config]);
    let answer = demo.client().put("/api/session/a", "1");
    let cookie = answer.session_cookies()[0].to_owned();
    assert!(cookie.starts_with("gosessionid="), "{cookie}");
    for attribute in ["; Secure", "; SameSite=Strict", "; Domain=example.com", "; Max-Age="] {
        assert!(cookie.contains(attribute), "{attribute}: {cookie}");
    }
}

#[test]
fn an_app_conf_decides_about_the_engine_and_the_cookie() {
    let directory = tempfile::tempdir().unwrap();
    let sessions = directory.path().join("sessions");
    let conf = directory.path().join("app.conf");
    let text = format!(
        "appname = demo\nsessionon = true\nsessionprovider = file\nsessionname = beegosid\nsessionproviderconfig = {}\n",
        sessions.display()
    );
    std::fs::write(&conf, text).unwrap();
    let demo = Demo::start(&["--app-conf", conf.to_str().unwrap()]);
    let mut client = demo.client();
    assert!(client.put("/api/session/a", "1").session_cookies()[0].starts_with("beegosid="));
    drop(demo);
    let again = Demo::start(&["--app-conf", conf.to_str().unwrap()]);
    client.address.clone_from(&again.address);
    assert_eq!(client.get("/api/session").json()["data"], json!({"a": 1}), "files outlive the process");
}

#[test]
fn sessions_end_at_the_lifetimes_of_the_command_line() {
    let idle = Demo::start(&["--lifetime", "2"]);
    let absolute = Demo::start(&["--absolute-lifetime", "2"]);
    let (mut resting, mut busy) = (idle.client(), absolute.client());
    resting.put("/api/session/a", "1");
    busy.put("/api/session/a", "1");
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(resting.get("/api/session/a").status, 200, "it is used");
        busy.get("/api/session/a");
    }
    std::thread::sleep(Duration::from_secs(1));
    busy.get("/api/session/a").assert_error(404);
    assert_eq!(resting.get("/api/session/a").status, 200);
    std::thread::sleep(Duration::from_millis(2_200));
    resting.get("/api/session/a").assert_error(404);
}

#[test]
fn on_loopback_the_cookie_works_over_plain_http() {
    let demo = Demo::start(&[]);
    let answer = demo.client().put("/api/session/a", "1");
    let cookie = answer.session_cookies()[0].to_owned();
    assert!(cookie.starts_with("session=") && !cookie.contains("Secure"), "{cookie}");
    for attribute in ["; Path=/", "; HttpOnly", "; SameSite=Lax"] {
        assert!(cookie.contains(attribute), "{attribute}: {cookie}");
    }
    let demo = Demo::start(&["--listen", "0.0.0.0:0"]);
    let mut client = demo.client();
    client.address = client.address.replace("0.0.0.0", "127.0.0.1");
    let answer = client.put("/api/session/a", "1");
    let cookie = answer.session_cookies()[0].to_owned();
    assert!(cookie.starts_with("__Host-session=") && cookie.contains("; Secure"), "{cookie}");
}
