//! An answer, in the words of no framework, and why there is none.

use serde_json::Value;
use session_kit::Error;

/// A response.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Answer {
    pub fn new(status: u16, kind: &str, body: impl Into<String>) -> Self {
        Self { status, headers: vec![("content-type", kind.to_owned())], body: body.into() }
    }

    pub fn json(status: u16, value: &Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    /// Sends a browser that has posted a form back to a page.
    pub fn redirect(to: &str) -> Self {
        Self { status: 303, headers: vec![("location", to.to_owned())], body: String::new() }
    }
}

/// Why a route does not answer what was asked for.
pub enum Trouble {
    /// The session could not be loaded or stored.
    Session(Error),
    /// The request was wrong.
    Request(u16, String),
}

impl Trouble {
    pub fn bad(message: impl Into<String>) -> Self {
        Self::Request(400, message.into())
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Session(error)
    }
}
