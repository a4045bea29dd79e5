//! Signals to a server and to the processes it has forked.
//!
//! A server may be a family of processes (PostgreSQL forks one per connection, each in a session of
//! its own, so a process group does not cover them): the family is read from `/proc`.

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::fs;
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Sends a signal to the first process of a server only.
pub fn send(root: Pid, signal: Signal) -> io::Result<()> {
    Ok(kill_process(root, signal)?)
}

/// Sends a signal to a server and all its descendants, also those that are forked meanwhile.
pub fn send_to_all(root: Pid, signal: Signal) -> io::Result<Vec<Pid>> {
    send(root, signal)?;
    let mut done = vec![root];
    loop {
        let new: Vec<Pid> = descendants(root).into_iter().filter(|pid| !done.contains(pid)).collect();
        if new.is_empty() {
            return Ok(done);
        }
        for pid in new {
            // It may have ended by itself since it was listed.
            let _ = send(pid, signal);
            done.push(pid);
        }
    }
}

/// Kills a server and all its descendants. The caller reaps the first (its `Child` does); the others
/// are gone on return.
pub fn kill_all(root: Pid) -> io::Result<()> {
    // Stopped first: who is stopped forks no more, and the family can still be read from `/proc`.
    let family = send_to_all(root, Signal::STOP)?;
    for pid in family.iter().rev() {
        let _ = send(*pid, Signal::KILL);
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while family.iter().any(|pid| is_alive(*pid)) {
        if Instant::now() > deadline {
            return Err(io::Error::other("processes of the server are still there 10 s after SIGKILL"));
        }
        sleep(Duration::from_millis(2));
    }
    // The orphans are our children now (`spawn` adopts them), and nobody else would count them out.
    for pid in &family[1..] {
        let _ = waitpid(Some(*pid), WaitOptions::NOHANG);
    }
    Ok(())
}

fn descendants(root: Pid) -> Vec<Pid> {
    let all: Vec<(Pid, Pid)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let pid = Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?)?;
            Some((pid, Pid::from_raw(stat(pid)?.1)?))
        })
        .collect();
    let mut family = vec![root];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(all.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    family.split_off(1)
}

/// A zombie counts as dead: it has closed its files and waits only to be counted.
fn is_alive(pid: Pid) -> bool {
    stat(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// State and parent of a process, from `/proc/PID/stat`: `pid (name) state parent …`; the name may
/// hold anything, blanks and parentheses too.
fn stat(pid: Pid) -> Option<(char, i32)> {
    let text = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
