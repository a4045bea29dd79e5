//! The work that every subject does: the same session, the same requests.

use serde::{Deserialize, Serialize};

/// What a request does with its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Does not look at it.
    Untouched,
    /// A visitor without a session gets one, with a user and a counter.
    Create,
    /// Reads the user and the counter.
    Read,
    /// Reads the user and adds one to the counter.
    ReadModifyWrite,
}

impl Work {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 4] = [Self::Untouched, Self::Create, Self::Read, Self::ReadModifyWrite];

    /// Under which path an application does it.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Untouched => "/untouched",
            Self::Create => "/create",
            Self::Read => "/read",
            Self::ReadModifyWrite => "/rmw",
        }
    }

    /// How the table names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Untouched => "untouched",
            Self::Create => "create",
            Self::Read => "read",
            Self::ReadModifyWrite => "read-modify-write",
        }
    }
}

/// A user of about 240 bytes, as an application keeps one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub id: u64,
    pub name: String,
    pub email: String,
    pub roles: Vec<String>,
    pub about: String,
}

impl User {
    /// The user of every session.
    pub fn sample() -> Self {
        Self {
            id: 4_711,
            name: "Ada Lovelace".into(),
            email: "ada.lovelace@analytical.example".into(),
            roles: vec!["admin".into(), "editor".into(), "reader".into()],
            about: "x".repeat(120),
        }
    }
}

/// The key of the user.
pub const USER: &str = "user";
/// The key of the counter.
pub const COUNT: &str = "count";
