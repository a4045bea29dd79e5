//! The life of a server process, with a program that every machine has.
#![allow(clippy::unwrap_used)] // the helpers are test code too

use session_servers::process::{Launch, Process};
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A shell that says when it is up, and has a child of its own.
const FAMILY: &str = "echo started; sleep 1000 & echo $! > child; echo $$ > up; wait";

fn shell(script: &'static str) -> Launch {
    Launch::new("shell", "/bin/sh")
        .arguments(move |_| vec!["-c".into(), script.into()])
        // The file is there before the line in it: who looks in between finds it empty.
        .ready(|place| {
            let up = fs::read_to_string(place.dir().join("up"))?;
            if up.ends_with('\n') { Ok(()) } else { Err(io::Error::other("not up yet")) }
        })
}

/// The letter of `/proc/PID/stat` of the process whose id is in that file; none once it is gone.
fn state(dir: &Path, file: &str) -> Option<char> {
    let pid = fs::read_to_string(dir.join(file)).unwrap();
    state_of(pid.trim())
}

fn state_of(pid: &str) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next().filter(|state| !matches!(state, 'Z' | 'X'))
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "not within 10 s: {what}");
        sleep(Duration::from_millis(5));
    }
}

fn states(server: &Process) -> (Option<char>, Option<char>) {
    (state(server.place().dir(), "up"), state(server.place().dir(), "child"))
}

#[test]
fn a_paused_server_hangs_with_its_children_and_goes_on_when_resumed() {
    let server = shell(FAMILY).start().unwrap();
    server.pause().unwrap();
    eventually("both are stopped", || states(&server) == (Some('T'), Some('T')));
    assert!(server.is_running());
    server.resume().unwrap();
    eventually("both go on", || states(&server) == (Some('S'), Some('S')));
}

#[test]
fn a_killed_server_takes_its_children_with_it_and_comes_back_in_the_same_place() {
    let server = shell(FAMILY).start().unwrap();
    let (dir, port) = (server.place().dir().to_owned(), server.port());
    server.pause().unwrap();
    server.kill().unwrap();
    assert_eq!(states(&server), (None, None));
    assert!(!server.is_running());
    server.restart().unwrap();
    assert!(server.is_running());
    assert_eq!((server.place().dir(), server.port()), (&*dir, port));
    eventually("it has started twice", || server.log() == "started\nstarted\n");
}

#[test]
fn stop_lets_the_server_end_by_itself() {
    let script = "trap 'echo bye; kill $!; exit 0' TERM; sleep 1000 & echo $$ > up; wait";
    let server = shell(script).start().unwrap();
    server.pause().unwrap();
    server.stop().unwrap();
    assert_eq!(server.log(), "bye\n");
    server.stop().unwrap();
    assert!(server.pause().is_err());
}

#[test]
fn a_dropped_server_is_gone_with_its_directory() {
    let server = shell(FAMILY).start().unwrap();
    let dir = server.place().dir().to_owned();
    let child = fs::read_to_string(dir.join("child")).unwrap();
    drop(server);
    assert!(!dir.exists());
    assert_eq!(state_of(child.trim()), None);
}

#[test]
fn a_server_that_does_not_come_up_is_an_error_with_its_log() {
    let error = shell("echo no disk >&2; exit 3").start().unwrap_err().to_string();
    assert!(error.contains("ended before it was ready") && error.contains("no disk"), "{error}");

    let slow = shell("echo thinking; sleep 1000").timeout(Duration::from_millis(100));
    let error = slow.start().unwrap_err().to_string();
    assert!(error.contains("is not ready after 100ms") && error.contains("thinking"), "{error}");

    let error = Launch::new("none", "/no/such/program").start().unwrap_err().to_string();
    assert!(error.contains("/no/such/program"), "{error}");
}

#[test]
fn a_server_outlives_the_thread_that_started_it() {
    let server = std::thread::spawn(|| shell(FAMILY).start()).join().unwrap().unwrap();
    sleep(Duration::from_millis(50));
    assert!(server.is_running());
}

#[test]
fn a_run_that_is_killed_leaves_no_server() {
    let note = tempfile::NamedTempFile::new().unwrap();
    let mut run = Command::new(env::current_exe().unwrap())
        .args(["--exact", "run_that_is_killed", "--ignored"])
        .env("NOTE", note.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let dir = || fs::read_to_string(note.path()).ok().filter(|dir| !dir.is_empty()).map(PathBuf::from);
    eventually("the server is up", || dir().is_some());
    let dir = dir().unwrap();
    let [server, its_child] = ["up", "child"].map(|file| fs::read_to_string(dir.join(file)).unwrap());
    assert!(state_of(server.trim()).is_some());
    run.kill().unwrap();
    run.wait().unwrap();
    eventually("the server is gone", || state_of(server.trim()).is_none());
    Command::new("kill").arg(its_child.trim()).status().unwrap();
    // Its directory is removed by whoever needs one next.
    let _next = shell(FAMILY).start().unwrap();
    assert!(!dir.exists());
}

#[test]
#[ignore = "not a test: the process that a_run_that_is_killed_leaves_no_server kills"]
fn run_that_is_killed() -> io::Result<()> {
    let Some(note) = env::var_os("NOTE") else { return Ok(()) };
    let server = shell(FAMILY).start()?;
    fs::write(note, server.place().dir().as_os_str().as_encoded_bytes())?;
    sleep(Duration::from_secs(60));
    Ok(())
}
