//! This project and `actix-session`, both in actix-web.

use std::io;

use session_memory::MemoryProvider;
use session_servers::redis::Redis;

use crate::measure::Effort;
use crate::peers::{self, actix};
use crate::report::{Row, Section};
use crate::rows::local::sealing;
use crate::rows::servers::our_redis;
use crate::thread::Thread;
use crate::work::{Job, Work};

/// Work on Redis besides the usual.
const OTHER: [Work; 3] = [Work::Anonymous, Work::Regenerate, Work::Destroy];

/// Requests that do not use their session, the usual work on cookies, and all work on Redis.
pub fn rows(effort: Effort) -> io::Result<Vec<Section>> {
    let server = Redis::start()?;
    let (thread, job) = (Thread::new(), Job::of(Work::Untouched));
    let subjects = vec![
        actix::floor(&thread, job),
        peers::ours_in_actix(&thread, MemoryProvider::new(), job),
        actix::cookie(&thread, job),
    ];
    let mut rows = vec![Row::measured("actix untouched", subjects, effort)];
    for job in Work::USUAL.map(|work| Job::of(work).in_cookie()) {
        let thread = Thread::new();
        let subjects = vec![
            actix::floor(&thread, job),
            peers::ours_in_actix(&thread, sealing(), job),
            actix::cookie(&thread, job),
        ];
        rows.push(Row::measured(&job.title("actix cookie"), subjects, effort));
    }
    for job in Work::USUAL.into_iter().chain(OTHER).map(Job::of) {
        let (thread, url) = (Thread::new(), server.url());
        let subjects = vec![
            actix::floor(&thread, job),
            peers::ours_in_actix(&thread, our_redis(&thread, &server), job),
            actix::redis(&thread, &url, job),
        ];
        rows.push(Row::measured(&job.title("actix redis"), subjects, effort));
    }
    let note = "session-actix and actix-session, in the same version of actix-web: sealed cookies, \
                and Redis over one connection. Untouched: sessions in memory against sessions in \
                cookies, as actix-session has none in memory.";
    Ok(vec![Section::of_rows("actix", "actix-web", rows).note(note.into())])
}
