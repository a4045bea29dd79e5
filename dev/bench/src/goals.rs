//! The goals, as ratios of measurements in the same run.

use crate::measure::{Figure, Role};
use crate::report::Verdict;

/// The subject that a goal compares with.
#[derive(Debug, Clone, Copy)]
enum Against {
    /// The fastest of the other session libraries.
    BestPeer,
    /// The minimum that could be written by hand.
    Raw,
    /// The same after a request to the web framework.
    RawAndFloor,
    /// This one.
    Subject(&'static str),
    /// A microsecond: an absolute goal.
    Microsecond,
}

/// The subjects whose time is reduced by the web framework's own before the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Less {
    Nobody,
    /// Both: compares what each adds to the framework.
    Both,
}

/// This project takes at most `ratio` of the time of another subject.
#[derive(Debug, Clone, Copy)]
struct Goal {
    ratio: f64,
    against: Against,
    less: Less,
}

const fn at_most(ratio: f64, against: Against) -> Goal {
    Goal { ratio, against, less: Less::Nobody }
}

/// The names that goals mention.
pub const TOWER_SESSIONS: &str = "tower-sessions";
pub const ACTIX_SESSION: &str = "actix-session";

use Against::{BestPeer, Microsecond, Raw, RawAndFloor, Subject};

/// The goals of single rows. Goals in requests per second (1.3 times as many) are also given as
/// ratios of time.
const ROWS: &[(&str, Goal)] = &[
    ("untouched", Goal { less: Less::Both, ..at_most(0.22, Subject(TOWER_SESSIONS)) }),
    ("memory create", at_most(0.65, Subject(TOWER_SESSIONS))),
    ("memory read", at_most(0.5, Subject(TOWER_SESSIONS))),
    ("memory read-modify-write", at_most(0.5, Subject(TOWER_SESSIONS))),
    ("memory regenerate", at_most(0.8, Subject(TOWER_SESSIONS))),
    ("memory destroy", at_most(0.5, Subject(TOWER_SESSIONS))),
    ("actix cookie create", at_most(0.55, Subject(ACTIX_SESSION))),
    ("actix cookie read", at_most(0.55, Subject(ACTIX_SESSION))),
    ("actix cookie read-modify-write", at_most(0.55, Subject(ACTIX_SESSION))),
    ("actix untouched", at_most(1.0, BestPeer)),
    ("actix redis create", at_most(1.0, BestPeer)),
    ("actix redis read", at_most(1.0, BestPeer)),
    ("actix redis read-modify-write", at_most(1.0, BestPeer)),
    ("actix redis anonymous", at_most(1.0, BestPeer)),
    ("actix redis regenerate", at_most(1.0, BestPeer)),
    ("actix redis destroy", at_most(1.0, BestPeer)),
    ("cached redis read", at_most(2.5, Microsecond)),
    ("cached redis 95 % reads, 16 clients", at_most(0.1, BestPeer)),
    ("file create", at_most(1.1, Raw)),
    ("file read", at_most(0.6, Raw)),
    ("file read-modify-write", at_most(1.1, Raw)),
];

/// The engines whose sessions are on a server.
const SERVERS: [&str; 6] = ["redis", "redis-8.6", "postgres", "mysql", "memcached", "couchbase"];

/// The goals of a row, by its title: the engine, the work, and anything unusual.
fn goals_of(row: &str) -> Vec<Goal> {
    let mut goals: Vec<_> = ROWS.iter().filter(|(title, _)| *title == row).map(|(_, goal)| *goal).collect();
    let (engine, work) = row.split_once(' ').unwrap_or((row, ""));
    if SERVERS.contains(&engine) {
        goals.extend(match work {
            "read" => Some(at_most(1.05, RawAndFloor)),
            "read-modify-write" => Some(at_most(1.10, RawAndFloor)),
            "read, 16 clients" | "read-modify-write, 16 clients" => Some(at_most(1.02, RawAndFloor)),
            _ => None,
        });
        goals.push(at_most(if work.ends_with("16 clients") { 1.0 / 1.3 } else { 1.0 }, BestPeer));
    }
    if engine == "sqlite" {
        goals.push(at_most(0.8, Subject(TOWER_SESSIONS)));
    }
    goals
}

/// Compares the figures of a row with its goals; skips goals for subjects that were not measured.
pub fn verdicts(row: &str, figures: &[Figure]) -> Vec<Verdict> {
    goals_of(row).iter().filter_map(|goal| goal.verdict(row, figures)).collect()
}

impl Goal {
    fn verdict(&self, row: &str, figures: &[Figure]) -> Option<Verdict> {
        let fastest = |wanted: &dyn Fn(&Figure) -> bool| {
            let figures = figures.iter().filter(|figure| wanted(figure));
            figures.min_by(|a, b| a.minimum.total_cmp(&b.minimum))
        };
        let of_role = |role| fastest(&|figure| figure.role == role);
        let ours = of_role(Role::Ours)?.minimum;
        let other = match self.against {
            BestPeer => of_role(Role::Peer)?,
            Raw => of_role(Role::Raw)?,
            RawAndFloor => of_role(Role::RawAndFloor)?,
            // With any of its settings.
            Subject(name) => fastest(&|figure| figure.subject.starts_with(name))?,
            Microsecond => {
                let (measured, goal) = (format!("{ours:.2} µs"), format!("<= {:.2} µs", self.ratio));
                return Some(Verdict { what: row.into(), measured, goal, met: ours <= self.ratio });
            }
        };
        let (ratio, less) = match self.less {
            Less::Nobody => (ours / other.minimum, String::new()),
            Less::Both => {
                let floor = of_role(Role::Floor)?;
                let ratio = (ours - floor.minimum) / (other.minimum - floor.minimum);
                (ratio, format!(", both less {}", floor.subject))
            }
        };
        Some(Verdict {
            what: row.into(),
            measured: format!("{ratio:.2} x {}{less}", other.subject),
            goal: format!("<= {:.2} x", self.ratio),
            met: ratio <= self.ratio,
        })
    }
}
