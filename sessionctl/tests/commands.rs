//! Every command on every engine that supports it. An unsupported command prints one line.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::{Value as Json, json};
use session_kit::Provider;
use session_kit::clock::{Clock as _, SystemClock};
use session_kit::engine::Condition;
use session_kit::id::{StorageId, Token};
use session_kit::record::{Body, Header, Record};
use session_servers::couchbase::CouchbaseMock;
use session_servers::mariadb::MariaDb;
use session_servers::memcached::Memcached;
use session_servers::postgres::Postgres;
use session_servers::redis::{Cluster, Redis};
use support::{application, connect, err, json, out, refused, run, run_with_input, spec, user, visitor};

#[tokio::test]
async fn every_command_on_files() {
    let directory = tempfile::tempdir().unwrap();
    every_command(&spec("file", directory.path().display())).await;
}

#[tokio::test]
async fn every_command_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let spec = spec("sqlite", directory.path().join("sessions.db").display());
    migrates(&spec);
    every_command(&spec).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn every_command_on_postgres() {
    let server = Postgres::start().unwrap();
    let spec = spec("postgres", server.url());
    migrates(&spec);
    every_command(&spec).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn every_command_on_mysql() {
    let server = MariaDb::start().unwrap();
    let spec = spec("mysql", server.url());
    migrates(&spec);
    every_command(&spec).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn every_command_on_redis() {
    let server = Redis::start().unwrap();
    every_command(&spec("redis", server.url())).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn every_command_on_a_redis_cluster() {
    let server = Cluster::start().unwrap();
    every_command(&spec("redis_cluster", server.url())).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn every_command_on_memcached() {
    let server = Memcached::start().unwrap();
    every_command(&spec("memcache", server.process().address())).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn every_command_on_couchbase() {
    let server = CouchbaseMock::start().unwrap();
    every_command(&spec("couchbase", server.url())).await;
}

/// An engine without a server and a store: every command prints one line.
#[test]
fn unsupported_commands_of_the_cookie_engine_print_one_line() {
    let key = "k".repeat(32);
    let engine = format!(r#"cookie={{"cookieName":"s","securityKey":"{key}","allowWeakKey":true}}"#);
    let end = ["end", "ba7816bf"];
    for command in [
        &["stats"][..],
        &["list"],
        &["show", "ba7816bf"],
        &end,
        &["count"],
        &["migrate"],
        &["ping"],
        &["bench"],
        &["copy", "--from", &engine, "--to", "memory"],
        &["copy", "--from", "memory", "--to", &engine],
    ] {
        let line = refused(&[&["--engine", &engine], command].concat(), 4);
        assert!(line.contains("the engine `cookie`"), "{command:?}: {line}");
        assert!(!line.contains(&key), "{line}");
    }
    assert_eq!(json(&["--engine", &engine, "gc"])["native_expiry"], true);
}

/// With a revocation list it ends the sessions of a user, but lists none.
#[tokio::test]
async fn the_cookie_engine_ends_all_sessions_of_a_user() {
    let directory = tempfile::tempdir().unwrap();
    let config = json!({
        "securityKey": "k".repeat(32),
        "allowWeakKey": true,
        "revocations": { "provider": "file", "providerConfig": directory.path() },
    });
    let spec = spec("cookie", config);
    let app = application(&spec).await;
    let (ada, eve) = (user(&app, "ada").await, user(&app, "eve").await);
    let end = ["--engine", &spec, "end", "--owner", "ada"];
    assert_eq!(json(&end), json!({ "engine": "cookie", "ended": null }));
    assert!(out(&run(&end)).contains("does not know how many"));
    assert!(!app.exists(&ada).await.unwrap() && app.exists(&eve).await.unwrap());
    for command in [&["list", "--owner", "ada"][..], &["end", "--all", "--yes"]] {
        assert!(refused(&[&["--engine", &spec], command].concat(), 4).contains("cannot scan"));
    }
}

/// The table does not exist, is created, and is then as expected.
fn migrates(spec: &str) {
    let engine = spec.split_once('=').unwrap().0;
    let check = ["--engine", spec, "migrate", "--check"];
    assert!(!run(&check).status.success());
    assert!(!run(&check).status.success(), "a check creates nothing");
    let done = json(&["--engine", spec, "migrate"]);
    assert_eq!(done, json!({ "engine": engine, "checked": false, "up_to_date": true }));
    assert_eq!(json(&check)["up_to_date"], true);
    assert_eq!(json(&["--engine", spec, "migrate"])["up_to_date"], true, "again");
}

struct Store<'a> {
    spec: &'a str,
    engine: &'a str,
    walks: bool,
    tokens: Vec<Token>,
}

impl Store<'_> {
    fn json(&self, command: &[&str]) -> Json {
        let output = json(&[&["--engine", self.spec], command].concat());
        self.says_no_secret(&output.to_string());
        output
    }

    fn text(&self, command: &[&str]) -> String {
        let output = run(&[&["--engine", self.spec], command].concat());
        assert!(output.status.success(), "{command:?}: {}", err(&output));
        self.says_no_secret(&out(&output));
        out(&output)
    }

    /// One line, exit code 4, the engine named.
    fn cannot(&self, command: &[&str]) {
        let line = refused(&[&["--engine", self.spec], command].concat(), 4);
        assert!(line.contains(&format!("the engine `{}`", self.engine)), "{line}");
    }

    fn says_no_secret(&self, text: &str) {
        for token in &self.tokens {
            assert!(!text.contains(token.expose()), "a token is printed: {text}");
            let id = StorageId::of(token).to_text();
            assert!(!text.contains(&id[..9]), "more of an id than its short hash is printed: {text}");
        }
    }
}

async fn every_command(spec: &str) {
    let provider = connect(spec).await;
    let app = application(spec).await;
    let tokens = vec![visitor(&app).await, user(&app, "ada").await, user(&app, "ada").await];
    let old = visitor(&app).await;
    let new = app.regenerate(&old).await.unwrap().unwrap();
    let tokens = [tokens, vec![old, new]].concat();
    let engine = provider.engine();
    let store = Store { spec, engine, walks: provider.as_scan().is_some(), tokens };

    counts(&store, &*provider).await;
    lists(&store, &*provider);
    shows(&store);
    measures(&store);
    collects(&store, &*provider).await;
    copies(&store).await;
    ends(&store, &*provider).await;
}

async fn counts(store: &Store<'_>, provider: &dyn Provider) {
    match provider.count().await.unwrap() {
        Some(_) => assert_eq!(store.json(&["count"]), json!({ "engine": store.engine, "sessions": 4 })),
        None => store.cannot(&["count"]),
    }
    if !store.walks {
        return store.cannot(&["stats"]);
    }
    let mut stats = store.json(&["stats"]);
    assert!(stats["bytes"].as_u64() > stats["largest"].as_u64(), "{stats}");
    let ages = stats["ages"].take();
    assert_eq!(ages[0], json!({ "below_seconds": 60, "sessions": 4 }), "{ages}");
    for name in ["bytes", "largest", "ages"] {
        stats.as_object_mut().unwrap().remove(name);
    }
    let expected = json!({
        "engine": store.engine, "live": 4, "with_owner": 2, "without_owner": 2, "owners": 1, "tombstones": 1,
    });
    assert_eq!(stats, expected);
    let text = store.text(&["stats"]);
    assert!(text.contains("< 1 minute") && text.contains(&format!(" 4 {}\n", "#".repeat(40))), "{text}");
}

fn lists(store: &Store<'_>, provider: &dyn Provider) {
    use session_kit::engine::OwnerIndex::{BestEffort, Exact};
    if store.walks {
        assert_eq!(store.json(&["list"])["sessions"].as_array().unwrap().len(), 4);
        let first = store.json(&["list", "--limit", "1"]);
        assert_eq!((first["sessions"].as_array().unwrap().len(), &first["more"]), (1, &json!(true)));
        assert!(store.text(&["list", "--limit", "1"]).contains("--limit 10"));
    } else {
        store.cannot(&["list"]);
    }
    if !store.walks && !matches!(provider.capabilities().owner_index, Exact | BestEffort) {
        return store.cannot(&["list", "--owner", "ada"]);
    }
    let of_ada = store.json(&["list", "--owner", "ada"]);
    assert_eq!((of_ada["sessions"].as_array().unwrap().len(), &of_ada["more"]), (2, &json!(false)));
    for session in of_ada["sessions"].as_array().unwrap() {
        assert_eq!(session["owner"].as_str().map(str::len), Some(8));
        assert_eq!(session["session"].as_str().map(str::len), Some(8));
        assert_eq!(session["device"]["ip"], "192.0.2.7");
        assert!(session["idle_deadline"].as_u64() > session["created"].as_u64(), "{session}");
    }
    assert!(store.text(&["list", "--owner", "ada"]).contains("Fire\\u{1b}[31mfox"));
    assert_eq!(store.text(&["list", "--owner", "nobody"]), "no sessions\n");
}

fn shows(store: &Store<'_>) {
    if !store.walks {
        return store.cannot(&["show", "ba7816bf"]);
    }
    let list = store.json(&["list"]);
    let visitors = list["sessions"].as_array().unwrap().iter().filter(|session| session["owner"].is_null());
    for session in visitors {
        for name in ["session", "handle"] {
            let shown = store.json(&["show", session[name].as_str().unwrap()]);
            assert_eq!(shown["handle"], session["handle"]);
            assert_eq!(shown["values"]["cart"]["type"], "list");
            assert!(!shown.to_string().contains("s3cret"), "{shown}");
        }
    }
    let args = ["--engine", store.spec, "show", "-", "--values"];
    let token = store.tokens[0].expose();
    let shown = run_with_input(&args, token);
    assert!(shown.status.success(), "{}", err(&shown));
    store.says_no_secret(&out(&shown));
    assert!(out(&shown).contains(r#"cart  list  ["tea","s3cret-cake"]"#), "{}", out(&shown));
    assert!(out(&shown).contains("visits  number  3"), "{}", out(&shown));

    let moved = run_with_input(&["--engine", store.spec, "show", "-", "--json"], store.tokens[3].expose());
    let moved: Json = serde_json::from_slice(&moved.stdout).unwrap();
    assert_eq!(moved["moved_to"].as_str().map(str::len), Some(8), "{moved}");
    refused(&["--engine", store.spec, "show", "AAAAAAAAAAAAAAAAAAAAAA"], 3);
}

fn measures(store: &Store<'_>) {
    let ping = store.json(&["ping", "--count", "3"]);
    assert_eq!((&ping["engine"], &ping["round_trips"]), (&json!(store.engine), &json!(3)));
    assert!(ping["shortest_ms"].as_f64() <= ping["longest_ms"].as_f64(), "{ping}");

    let bench = store.json(&["bench", "--seconds", "1", "--clients", "2", "--bytes", "10"]);
    for operation in ["create", "read", "write", "destroy"] {
        let numbers = &bench["operations"][operation];
        assert!(numbers["count"].as_u64() > Some(0), "{operation}: {bench}");
        assert!(numbers["p50_ms"].as_f64() <= numbers["p99_ms"].as_f64(), "{operation}: {bench}");
    }
    if store.walks {
        assert_eq!(store.json(&["stats"])["live"], 4, "it leaves nothing behind");
    }
}

async fn collects(store: &Store<'_>, provider: &dyn Provider) {
    if provider.capabilities().native_expiry {
        assert!(store.text(&["gc", "--dry-run"]).contains("removes expired sessions itself"));
        return;
    }
    let now = SystemClock.now();
    let moment = Duration::from_millis(1);
    let record = Record::new(Header::new(now, now.after(moment), now.after(moment)), Body::default());
    let id = StorageId::from_hash([7; 32]);
    provider.write(&id, &record, Condition::Absent, moment).await.unwrap();
    let dry_run = async || store.json(&["gc", "--dry-run"])["expired"].clone();
    // Engines round up when a row is collected.
    for _ in 0..600 {
        if dry_run().await == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(dry_run().await, 1, "it removes nothing");
    let expected = json!({ "engine": store.engine, "native_expiry": false, "expired": 1, "dry_run": false });
    assert_eq!(store.json(&["gc"]), expected);
    assert_eq!(dry_run().await, 0);
}

/// To an SQLite file and, from it, to this engine.
async fn copies(store: &Store<'_>) {
    let directory = tempfile::tempdir().unwrap();
    let other = spec("sqlite", directory.path().join("other.db").display());
    let copy = ["copy", "--from", store.spec, "--to", &other];
    if store.walks {
        let copied = json(&copy);
        assert_eq!((&copied["complete"], &copied["total"]["copied"]), (&json!(true), &json!(5)), "{copied}");
        let there = application(&other).await;
        let session = there.load(&store.tokens[0]).await.unwrap().unwrap();
        assert_eq!(session.get::<u32>("visits").unwrap(), Some(3));
    } else {
        let line = refused(&copy, 4);
        assert!(line.contains(&format!("the engine `{}`", store.engine)), "{line}");
    }

    let there = application(&other).await;
    let tokens = [visitor(&there).await, user(&there, "eve").await];
    let copied = json(&["copy", "--from", &other, "--to", store.spec, "--jobs", "2"]);
    assert_eq!((&copied["complete"], &copied["total"]["copied"]), (&json!(true), &json!(2)), "{copied}");
    let here = application(store.spec).await;
    for token in &tokens {
        assert!(here.destroy(token).await.unwrap());
    }
}

async fn ends(store: &Store<'_>, provider: &dyn Provider) {
    let end = |args: &[&str]| store.json(&[&["end"], args].concat())["ended"].clone();
    let by_token =
        |token: &Token| run_with_input(&["--engine", store.spec, "end", "-"], token.expose()).status.code();
    let app = application(store.spec).await;
    // By its token; and by an id that was replaced, which leads to the session.
    assert_eq!(by_token(&store.tokens[0]), Some(0));
    assert_eq!(by_token(&store.tokens[0]), Some(3), "it is gone");
    assert_eq!(by_token(&store.tokens[3]), Some(0));
    assert!(!app.exists(&store.tokens[4]).await.unwrap());

    if store.walks {
        let list = store.json(&["list", "--owner", "ada"]);
        let handle = list["sessions"][0]["handle"].as_str().unwrap();
        assert_eq!(refused(&["--engine", store.spec, "end", handle, "--owner", "eve"], 3).lines().count(), 1);
        assert_eq!(end(&[handle]), 1);
    }
    if store.walks || provider.as_indexed().is_some() {
        end(&["--owner", "ada"]);
        for token in &store.tokens[1..3] {
            assert!(!app.exists(token).await.unwrap());
        }
    } else {
        store.cannot(&["end", "--owner", "ada"]);
    }
    let token = visitor(&app).await;
    assert_eq!(run(&["--engine", store.spec, "end", "--all"]).status.code(), Some(2), "it needs --yes");
    if store.walks {
        assert_eq!(end(&["--all", "--yes"]), 1);
        assert!(!app.exists(&token).await.unwrap());
        assert_eq!(store.json(&["stats"])["live"], 0);
    } else {
        store.cannot(&["end", "--all", "--yes"]);
    }
}
