//! What is to be reached, as ratios of what was measured in the same run.

use crate::measure::{Figure, Role};

/// Whom a goal compares with.
#[derive(Debug, Clone, Copy)]
pub enum Against {
    /// The fastest of the other session libraries.
    BestPeer,
    /// The least that could be done by hand.
    Raw,
    /// This one.
    Subject(&'static str),
}

/// From whom the web framework's own time is taken off before they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Less {
    Nobody,
    /// From both: what each adds to the floor.
    Both,
    /// From this project only: the raw driver has no web framework.
    Ours,
}

/// This project takes at most `ratio` of the time of somebody else.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// The title of the row.
    row: &'static str,
    pub ratio: f64,
    against: Against,
    less: Less,
}

const fn goal(row: &'static str, ratio: f64, against: Against) -> Goal {
    Goal { row, ratio, against, less: Less::Nobody }
}

/// The names that goals mention.
pub const TOWER_SESSIONS: &str = "tower-sessions";
pub const ACTIX_SESSION: &str = "actix-session";

use Against::{BestPeer, Raw, Subject};

/// All of them. One that is said in requests per second (16 clients, 1.2 times as many) is a ratio of time as well.
const GOALS: &[Goal] = &[
    Goal { less: Less::Both, ..goal("untouched", 0.25, Subject(TOWER_SESSIONS)) },
    goal("memory create", 0.5, BestPeer),
    goal("memory read", 0.5, Subject(TOWER_SESSIONS)),
    goal("memory read-modify-write", 0.5, Subject(TOWER_SESSIONS)),
    goal("cookie read", 0.6, Subject(ACTIX_SESSION)),
    goal("cookie read-modify-write", 0.6, Subject(ACTIX_SESSION)),
    goal("file create", 1.3, Raw),
    goal("file read", 1.3, Raw),
    goal("file read-modify-write", 1.3, Raw),
    goal("sqlite create", 0.8, Subject(TOWER_SESSIONS)),
    goal("sqlite read", 0.8, Subject(TOWER_SESSIONS)),
    goal("sqlite read-modify-write", 0.8, Subject(TOWER_SESSIONS)),
    Goal { less: Less::Ours, ..goal("redis read", 1.05, Raw) },
    goal("redis read-modify-write", 1.10, Raw),
    goal("redis read, 16 clients", 1.0 / 1.2, BestPeer),
    goal("redis read-modify-write, 16 clients", 1.0 / 1.2, BestPeer),
    goal("postgres create", 0.5, Subject(TOWER_SESSIONS)),
    goal("postgres read", 0.95, Subject(TOWER_SESSIONS)),
    goal("postgres read", 1.15, Raw),
    goal("postgres read-modify-write", 0.75, Subject(TOWER_SESSIONS)),
    goal("mysql create", 0.5, Subject(TOWER_SESSIONS)),
    goal("mysql read", 0.95, Subject(TOWER_SESSIONS)),
    goal("mysql read", 1.15, Raw),
    goal("mysql read-modify-write", 0.75, Subject(TOWER_SESSIONS)),
    goal("memcached read", 1.10, Raw),
    goal("memcached read-modify-write", 1.10, Raw),
    goal("couchbase read", 1.10, Raw),
    goal("couchbase read-modify-write", 1.10, Raw),
];

impl Goal {
    /// The goals of a row.
    pub fn of(row: &str) -> impl Iterator<Item = &'static Self> {
        GOALS.iter().filter(move |goal| goal.row == row)
    }

    /// With whom it compares, and the ratio that was measured; `None` when somebody was not measured.
    pub fn measured(&self, figures: &[Figure]) -> Option<(String, f64)> {
        let fastest = |wanted: &dyn Fn(&Figure) -> bool| {
            let figures = figures.iter().filter(|figure| wanted(figure));
            figures.min_by(|a, b| a.minimum.total_cmp(&b.minimum))
        };
        let ours = fastest(&|figure| figure.role == Role::Ours)?;
        let other = match self.against {
            BestPeer => fastest(&|figure| figure.role == Role::Peer),
            Raw => fastest(&|figure| figure.role == Role::Raw),
            Subject(name) => fastest(&|figure| figure.subject == name),
        }?;
        let floor = fastest(&|figure| figure.role == Role::Floor).map(|figure| figure.minimum);
        let (off_ours, off_other, less) = match self.less {
            Less::Nobody => (0.0, 0.0, ""),
            Less::Both => (floor?, floor?, ", both less axum"),
            Less::Ours => (floor?, 0.0, ", less axum"),
        };
        let ratio = (ours.minimum - off_ours) / (other.minimum - off_other);
        Some((format!("{}{less}", other.subject), ratio))
    }
}
