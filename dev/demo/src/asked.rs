//! A request, in the words of no framework.

use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::answer::Trouble;

/// The longest `hold_ms`.
const MAX_HOLD: Duration = Duration::from_secs(5);

/// The head of a request, as far as the demo looks at it.
pub struct Asked {
    /// `HEAD` is a `GET` here.
    pub method: String,
    pub path: String,
    query: String,
    /// The media type of the body.
    pub kind: String,
    /// What the client says it is.
    pub agent: String,
    /// The values of all `Cookie` headers.
    pub cookies: Vec<String>,
}

impl Asked {
    /// `header` gives all values of a header.
    pub fn new(method: &str, path: &str, query: Option<&str>, header: impl Fn(&str) -> Vec<String>) -> Self {
        let first = |name| header(name).into_iter().next();
        Self {
            method: if method == "HEAD" { "GET" } else { method }.to_owned(),
            path: path.to_owned(),
            query: query.unwrap_or_default().to_owned(),
            kind: first("content-type").unwrap_or_default(),
            agent: first("user-agent").unwrap_or_default(),
            cookies: header("cookie"),
        }
    }

    /// `?hold_ms=N`: how long the answer waits, so that overlapping requests can be shown.
    pub fn hold(&self) -> Result<Hold, Trouble> {
        let mut parameters = form_urlencoded::parse(self.query.as_bytes());
        let Some((_, value)) = parameters.find(|(name, _)| name == "hold_ms") else {
            return Ok(Hold(Duration::ZERO));
        };
        let milliseconds =
            value.parse().map_err(|_| Trouble::bad("`hold_ms` is a number of milliseconds"))?;
        Ok(Hold(Duration::from_millis(milliseconds).min(MAX_HOLD)))
    }
}

/// How long an answer waits.
pub struct Hold(Duration);

impl Hold {
    pub async fn wait(self) {
        if !self.0.is_zero() {
            tokio::time::sleep(self.0).await;
        }
    }
}

/// The key that a segment of a path is.
pub fn key(segment: &str) -> Result<String, Trouble> {
    let decoded = percent_decode_str(segment).decode_utf8();
    Ok(decoded.map_err(|_| Trouble::bad("the key is not UTF-8"))?.into_owned())
}

/// A field of a form that a browser posts.
pub fn field(body: &[u8], name: &str) -> Option<String> {
    let mut fields = form_urlencoded::parse(body);
    fields.find(|(field, _)| field == name).map(|(_, value)| value.into_owned())
}
