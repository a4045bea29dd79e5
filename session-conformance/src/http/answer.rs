//! The response of a handler, independent of the framework.

use tokio::sync::mpsc;

/// The response of a handler or of a hook.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers; a name may come more than once.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
}

/// The body of an [`Answer`].
#[derive(Debug)]
pub enum Body {
    /// Complete.
    Text(String),
    /// Chunk by chunk, without buffering.
    Stream(Chunks),
}

/// The chunks of a stream.
pub type Chunks = mpsc::Receiver<String>;

impl Answer {
    /// A response with this status.
    pub fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: Body::Text(text.into()) }
    }

    /// A response with a streamed body.
    pub const fn stream(chunks: Chunks) -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Stream(chunks) }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self::new(200, text)
    }
}

impl From<&str> for Answer {
    fn from(text: &str) -> Self {
        Self::new(200, text)
    }
}

impl From<u16> for Answer {
    fn from(status: u16) -> Self {
        Self::new(status, "")
    }
}
