//! Which answer belongs to which request. Failures are JSON for programs and pages for people, and show no more than
//! their kind.

use serde_json::json;
use session_kit::{Error, Result};

use crate::answer::{Answer, Trouble};
use crate::asked::Asked;
use crate::frameworks::Sessions;
use crate::{api, page};

/// The part of a path below `/api`.
fn of_api(path: &str) -> Option<&str> {
    path.strip_prefix("/api").filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers a request. `body`: `None` when it is too large. An error is one of the session, for the adapter's hook.
pub async fn answer(asked: &Asked, body: Option<&[u8]>, sessions: &impl Sessions) -> Result<Answer> {
    let Some(body) = body else { return Ok(failed(413, "the body is too large", &asked.path)) };
    let answer = match of_api(&asked.path) {
        Some(path) => api::answer(asked, path, body, sessions).await,
        None => page::answer(asked, body, sessions).await,
    };
    match answer {
        Ok(answer) => Ok(answer),
        Err(Trouble::Request(status, message)) => Ok(failed(status, &message, &asked.path)),
        Err(Trouble::Session(error)) => Err(error),
    }
}

/// The answer when a session could not be loaded or stored.
pub fn trouble(error: &Error, path: &str) -> Answer {
    failed(error.kind().http_status(), &error.kind().to_string(), path)
}

fn failed(status: u16, message: &str, path: &str) -> Answer {
    match of_api(path) {
        Some(_) => Answer::json(status, &json!({ "error": message })),
        None => page::trouble(status, message),
    }
}
