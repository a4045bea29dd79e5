//! Requests on the engines that need no server.

#![allow(clippy::unnecessary_wraps, reason = "groups that start servers may fail, and all have one type")]

use ::tower_sessions::MemoryStore;
use session_cookie::CookieProvider;
use session_core::Secret;
use session_file::FileProvider;
use session_memory::MemoryProvider;

use crate::measure::{Effort, Subject};
use crate::peers::{self, actix, axum_session, raw};
use crate::report::{Row, Section};
use crate::thread::Thread;
use crate::work::{Job, Work};

/// Everybody who keeps sessions in the process.
pub fn in_memory(thread: &Thread, job: Job) -> Vec<Subject> {
    vec![
        peers::floor(thread, job),
        peers::ours(thread, MemoryProvider::new(), job),
        peers::with_tower_sessions(thread, MemoryStore::default(), job),
        peers::with_axum_session(thread, thread.block_on(axum_session::in_memory(job.shape)), job),
    ]
}

/// A request that does not look at its session.
pub fn untouched(effort: Effort) -> std::io::Result<Vec<Section>> {
    let (thread, job) = (Thread::new(), Job::of(Work::Untouched));
    let mut subjects = in_memory(&thread, job);
    subjects.push(actix::cookie(&thread, job));
    let rows = vec![Row::measured("untouched", subjects, effort)];
    Ok(vec![Section::of_rows("untouched", "Requests that leave their session alone", rows)])
}

/// Sessions in this process.
pub fn memory(effort: Effort) -> std::io::Result<Vec<Section>> {
    let thread = Thread::new();
    let rows = Work::USUAL.map(|work| {
        let job = Job::of(work);
        let mut subjects = in_memory(&thread, job);
        subjects.push(raw::map::subject(job));
        Row::measured(&job.title("memory"), subjects, effort)
    });
    Ok(vec![Section::of_rows("memory", "Memory", rows.into())])
}

/// Sessions in cookies.
pub fn cookie(effort: Effort) -> std::io::Result<Vec<Section>> {
    let thread = Thread::new();
    let rows = Work::USUAL.map(|work| {
        let job = Job::of(work);
        let key = Secret::new("a key of 32 bytes or more, for measuring only");
        let provider = CookieProvider::builder().key(key).build().expect("a provider");
        let subjects = vec![
            peers::floor(&thread, job),
            peers::ours(&thread, provider, job),
            actix::cookie(&thread, job),
        ];
        Row::measured(&job.title("cookie"), subjects, effort)
    });
    Ok(vec![Section::of_rows("cookie", "Cookie", rows.into())])
}

/// Sessions in files.
pub fn file(effort: Effort) -> std::io::Result<Vec<Section>> {
    let thread = Thread::new();
    let directory = tempfile::tempdir()?;
    let mut rows = Vec::new();
    for work in Work::USUAL {
        let job = Job::of(work);
        let place = directory.path().join(work.name());
        let provider = thread.block_on(FileProvider::connect(place)).expect("a provider");
        let raw_place = directory.path().join(format!("raw-{}", work.name()));
        std::fs::create_dir(&raw_place)?;
        let subjects = vec![
            peers::floor(&thread, job),
            peers::ours(&thread, provider, job),
            raw::file::subject(&thread, raw_place, job),
        ];
        rows.push(Row::measured(&job.title("file"), subjects, effort));
    }
    Ok(vec![Section::of_rows("file", "File", rows)])
}
