//! A copy beside an application that goes on, and one that was interrupted.

#![allow(clippy::unwrap_used)]

mod support;

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use session_kit::Manager;
use session_kit::id::Token;
use support::{PATIENCE, Running, application, command, json, refused, run, spec, user, visitor};

struct Place {
    directory: tempfile::TempDir,
    source: String,
    target: String,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let source = spec("sqlite", directory.path().join("sessions.db").display());
    let target = spec("file", directory.path().join("sessions").display());
    Place { directory, source, target }
}

async fn visits(application: &Manager, token: &Token) -> Option<u32> {
    application.load(token).await.unwrap()?.get("visits").unwrap()
}

async fn visit(application: &Manager, token: &Token) {
    let session = application.load(token).await.unwrap().unwrap();
    session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1).unwrap();
    session.release().await.unwrap();
}

/// Waits until something holds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_copy_follows_the_application_until_it_is_told_to_stop() {
    let place = place();
    let app = application(&place.source).await;
    let (kept, ended) = (visitor(&app).await, user(&app, "ada").await);
    let args = ["copy", "--from", &place.source, "--to", &place.target, "--follow", "--every", "0", "--json"];
    let mut copy = Running(command(&args).stdout(Stdio::piped()).spawn().unwrap());
    let there = application(&place.target).await;
    until("the first sessions are there", async || there.exists(&ended).await.unwrap()).await;

    visit(&app, &kept).await;
    assert!(app.destroy(&ended).await.unwrap());
    let begun = visitor(&app).await;
    until("a session that began is there", async || there.exists(&begun).await.unwrap()).await;
    until("a logout is there", async || !there.exists(&ended).await.unwrap()).await;
    until("a change is there", async || visits(&there, &kept).await == Some(4)).await;

    copy.interrupt();
    let stdout = copy.0.stdout.take().unwrap();
    let report: Json = serde_json::from_reader(stdout).unwrap();
    assert!(copy.0.wait().unwrap().success());
    assert_eq!(report["complete"], true, "{report}");
    assert_eq!(report["last_pass"]["unchanged"], 2, "{report}");
}

#[tokio::test]
async fn a_copy_that_goes_on_ends_what_ended_at_the_source_meanwhile() {
    let place = place();
    let state = place.directory.path().join("state");
    let state = state.to_str().unwrap();
    let copy = ["copy", "--from", &place.source, "--to", &place.target, "--state", state];
    let app = application(&place.source).await;
    let (kept, ended) = (visitor(&app).await, visitor(&app).await);
    assert_eq!(json(&copy)["sessions"], 2);

    app.destroy(&ended).await.unwrap();
    let there = application(&place.target).await;
    let own = visitor(&there).await;
    let copied = json(&copy);
    assert_eq!((&copied["total"]["ended"], &copied["sessions"]), (&json!(1), &json!(1)), "{copied}");
    assert!(!there.exists(&ended).await.unwrap());
    assert_eq!(visits(&there, &kept).await, Some(3));
    assert!(there.exists(&own).await.unwrap(), "another's session is left alone");

    let elsewhere = spec("sqlite", place.directory.path().join("other.db").display());
    let other = ["copy", "--from", &place.source, "--to", &elsewhere, "--state", state];
    assert!(refused(&other, 2).contains("name a new file"));
}

#[tokio::test]
async fn what_is_not_as_at_the_source_is_said_and_the_exit_code_tells() {
    let place = place();
    let state = place.directory.path().join("state");
    let copy = [
        "copy",
        "--from",
        &place.source,
        "--to",
        &place.target,
        "--state",
        state.to_str().unwrap(),
        "--json",
    ];
    let app = application(&place.source).await;
    let (ended, changed) = (visitor(&app).await, visitor(&app).await);
    json(&copy[..7]);
    let there = application(&place.target).await;
    there.destroy(&ended).await.unwrap();
    visit(&there, &changed).await;

    let again = run(&copy);
    assert_eq!(again.status.code(), Some(6));
    let report: Json = serde_json::from_slice(&again.stdout).unwrap();
    let last = &report["last_pass"];
    assert_eq!((&last["missing_at_target"], &last["changed_at_target"]), (&json!(1), &json!(1)), "{report}");
    assert!(!there.exists(&ended).await.unwrap(), "a logout is final");
    assert_eq!(visits(&there, &changed).await, Some(4));

    let overwritten = json(&[&copy[..7], &["--overwrite"]].concat());
    assert_eq!(overwritten["complete"], true, "{overwritten}");
    assert_eq!(visits(&there, &changed).await, Some(3));
}

#[test]
fn a_copy_needs_two_engines() {
    assert!(refused(&["copy", "--from", "memory", "--to", "memory"], 2).contains("the same engine"));
    assert_eq!(run(&["copy", "--from", "memory"]).status.code(), Some(2));
}
