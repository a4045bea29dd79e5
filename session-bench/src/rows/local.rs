//! Requests on the engines that need no server.

use std::rc::Rc;

use ::tower_sessions::MemoryStore;
use session_cookie::CookieProvider;
use session_core::{Manager, Secret};
use session_file::FileProvider;
use session_memory::MemoryProvider;
use tokio::runtime::Runtime;

use crate::measure::{Effort, Subject, measure};
use crate::peers::{self, actix, axum_session, floor, kit, raw, tower_sessions};
use crate::report::{Goal, OURS, Row};
use crate::work::Work;

/// A row: its subjects measured together.
fn row(title: &str, subjects: Vec<Subject>, goals: Vec<Goal>, effort: Effort) -> Row {
    Row { title: title.into(), figures: measure(subjects, effort), goals }
}

fn memory_subjects(runtime: &Rc<Runtime>, work: Work) -> Vec<Subject> {
    let manager = Manager::builder(MemoryProvider::new()).build().expect("a manager");
    vec![
        peers::axum(runtime, "axum", floor::app(), work),
        peers::axum(runtime, OURS, kit::app(manager), work),
        peers::axum(runtime, "tower-sessions", tower_sessions::app(MemoryStore::default()), work),
        peers::axum(runtime, "axum_session", runtime.block_on(axum_session::app()), work),
    ]
}

/// A request that does not look at its session.
pub fn untouched(effort: Effort) -> Vec<Row> {
    let runtime = peers::runtime();
    let mut subjects = memory_subjects(&runtime, Work::Untouched);
    subjects.push(actix::cookie(Work::Untouched));
    vec![row("untouched", subjects, vec![Goal::added(0.25, "tower-sessions", "axum")], effort)]
}

/// Sessions in this process.
pub fn memory(effort: Effort) -> Vec<Row> {
    let runtime = peers::runtime();
    [Work::Create, Work::Read, Work::ReadModifyWrite]
        .map(|work| {
            let mut subjects = memory_subjects(&runtime, work);
            subjects.push(raw::map(work));
            row(&format!("memory {}", work.name()), subjects, vec![Goal::of(0.5, "tower-sessions")], effort)
        })
        .into()
}

/// Sessions in cookies.
pub fn cookie(effort: Effort) -> Vec<Row> {
    let runtime = peers::runtime();
    [Work::Create, Work::Read, Work::ReadModifyWrite]
        .map(|work| {
            let key = Secret::new("a key of 32 bytes or more, for measuring only");
            let provider = CookieProvider::builder().key(key).build().expect("a provider");
            let manager = Manager::builder(provider).build().expect("a manager");
            let subjects = vec![
                peers::axum(&runtime, "axum", floor::app(), work),
                peers::axum(&runtime, OURS, kit::app(manager), work),
                actix::cookie(work),
            ];
            row(&format!("cookie {}", work.name()), subjects, vec![Goal::of(0.6, "actix-session")], effort)
        })
        .into()
}

/// Sessions in files.
pub fn file(effort: Effort) -> Vec<Row> {
    let runtime = peers::runtime();
    let directory = tempfile::tempdir().expect("a directory");
    [Work::Create, Work::Read, Work::ReadModifyWrite]
        .map(|work| {
            let place = directory.path().join(work.name());
            let provider = runtime.block_on(FileProvider::connect(place)).expect("a provider");
            let manager = Manager::builder(provider).build().expect("a manager");
            let raw_place = directory.path().join(format!("raw-{}", work.name()));
            std::fs::create_dir(&raw_place).expect("a directory");
            let subjects = vec![
                peers::axum(&runtime, "axum", floor::app(), work),
                peers::axum(&runtime, OURS, kit::app(manager), work),
                raw::file(&runtime, raw_place, work),
            ];
            row(&format!("file {}", work.name()), subjects, vec![Goal::of(1.3, "raw system calls")], effort)
        })
        .into()
}
