//! The work that every subject does: the same sessions, the same requests.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use session_core::clock::{Clock as _, SystemClock};
use session_core::record::{Body, Header, Record, Value};

/// The use of the session by a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A visitor with a session that the request does not use.
    Untouched,
    /// Loads the session of a visitor without one, and stores nothing.
    Anonymous,
    /// A visitor without a session gets one, with a user and a counter.
    Create,
    /// Reads the user and the counter.
    Read,
    /// Reads the user and adds one to the counter.
    ReadModifyWrite,
    /// Reads, and adds one to the counter in every 20th request.
    MostlyReads,
    /// Gives the session a new id.
    Regenerate,
    /// Ends the session.
    Destroy,
}

impl Work {
    /// All kinds of work with their own path in an application.
    pub const ALL: [Self; 7] = [
        Self::Untouched,
        Self::Anonymous,
        Self::Create,
        Self::Read,
        Self::ReadModifyWrite,
        Self::Regenerate,
        Self::Destroy,
    ];

    /// The typical work of a session store.
    pub const USUAL: [Self; 3] = [Self::Create, Self::Read, Self::ReadModifyWrite];

    /// The work of the request with this number.
    pub const fn of_request(self, number: usize) -> Self {
        match self {
            Self::MostlyReads if number % 20 == 19 => Self::ReadModifyWrite,
            Self::MostlyReads => Self::Read,
            same => same,
        }
    }

    /// Its path in an application.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Untouched => "/untouched",
            Self::Anonymous => "/anonymous",
            Self::Create => "/create",
            Self::Read | Self::MostlyReads => "/read",
            Self::ReadModifyWrite => "/rmw",
            Self::Regenerate => "/regenerate",
            Self::Destroy => "/destroy",
        }
    }

    /// Its name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Untouched => "untouched",
            Self::Anonymous => "anonymous",
            Self::Create => "create",
            Self::Read => "read",
            Self::ReadModifyWrite => "read-modify-write",
            Self::MostlyReads => "95 % reads",
            Self::Regenerate => "regenerate",
            Self::Destroy => "destroy",
        }
    }

    /// Whether its requests have a session.
    pub const fn has_session(self) -> bool {
        !matches!(self, Self::Anonymous | Self::Create)
    }
}

/// The contents of a session besides the counter: a number of users, each of about this number of
/// bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Bytes of each user.
    pub value: usize,
    /// How many keys.
    pub keys: usize,
}

impl Shape {
    /// One user of 240 bytes.
    pub const USUAL: Self = Self { value: 240, keys: 1 };

    /// The user under every key.
    pub fn user(self) -> User {
        User {
            id: 4_711,
            name: "Ada Lovelace".into(),
            email: "ada.lovelace@analytical.example".into(),
            roles: vec!["admin".into(), "editor".into(), "reader".into()],
            about: "x".repeat(self.value.saturating_sub(120)),
        }
    }

    /// The keys; [`USER`] is the first.
    pub fn keys(self) -> impl Iterator<Item = String> {
        (0..self.keys).map(|number| if number == 0 { USER.to_owned() } else { format!("{USER}-{number}") })
    }

    /// A session as this project stores it, idle for `idle` at most. Its encoded form is what the
    /// raw drivers store.
    pub fn record(self, idle: Duration) -> Record {
        let now = SystemClock.now();
        let mut body = Body::default();
        for key in self.keys() {
            body.insert(&key, Value::encode(&self.user()).expect("encoded"));
        }
        body.insert(COUNT, Value::encode(&1_u64).expect("encoded"));
        Record::new(Header::new(now, now.after(Duration::from_hours(24)), now.after(idle)), body)
    }

    /// The bytes of such a record.
    pub fn bytes(self) -> Vec<u8> {
        self.record(Duration::from_hours(1)).encode().expect("encoded")
    }
}

/// A user as stored by an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub id: u64,
    pub name: String,
    pub email: String,
    pub roles: Vec<String>,
    pub about: String,
}

/// The key of the user.
pub const USER: &str = "user";
/// The key of the counter.
pub const COUNT: &str = "count";

/// One row's work: the number of concurrent clients, each with its own session, and the shape of
/// the sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    pub work: Work,
    pub clients: usize,
    pub shape: Shape,
    /// The session is in the cookie, so the next request sends what a response has set.
    pub in_cookie: bool,
}

impl Job {
    /// One client, and a session of the usual shape.
    pub const fn of(work: Work) -> Self {
        Self { work, clients: 1, shape: Shape::USUAL, in_cookie: false }
    }

    /// With this number of clients.
    pub const fn clients(self, clients: usize) -> Self {
        Self { clients, ..self }
    }

    /// With sessions in cookies.
    pub const fn in_cookie(self) -> Self {
        Self { in_cookie: true, ..self }
    }

    /// Whether a client keeps the cookies of a response.
    pub fn follows(self) -> bool {
        self.work == Work::Regenerate || (self.in_cookie && self.work.has_session())
    }

    /// With sessions of this shape.
    pub const fn shape(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// Its name in the table.
    pub fn title(self, engine: &str) -> String {
        let mut title = format!("{engine} {}", self.work.name());
        if self.shape != Shape::USUAL {
            let size = match self.shape.value {
                bytes if bytes >= 1_024 => format!("{} KB", bytes / 1_024),
                bytes => format!("{bytes} B"),
            };
            let _ = write!(title, ", {} x {size}", self.shape.keys);
        }
        if self.clients > 1 {
            let _ = write!(title, ", {} clients", self.clients);
        }
        title
    }
}
