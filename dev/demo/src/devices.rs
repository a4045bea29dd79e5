//! A user's sessions: where they are signed in, one signed out, the others signed out.

use serde_json::{Value, json};
use session_kit::accounts::{Device, Handle, SessionInfo};
use session_kit::engine::OwnerIndex;
use session_kit::{Manager, Session};

use crate::answer::{Answer, Trouble};
use crate::api::{self, USER};
use crate::asked::Asked;
use crate::frameworks::Sessions;

/// How many sessions a list shows.
const SHOWN: usize = 1_000;

/// Whether the engine lists the sessions of a user.
pub fn are_listed(manager: &Manager) -> bool {
    matches!(manager.provider().capabilities().owner_index, OwnerIndex::Exact | OwnerIndex::BestEffort)
}

/// The user of a session, whose sessions are listed.
fn user_of(manager: &Manager, session: &Session) -> Result<String, Trouble> {
    if !are_listed(manager) {
        let engine = manager.provider().engine();
        return Err(Trouble::Request(501, format!("the engine {engine} does not list a user's sessions")));
    }
    session.get(USER)?.ok_or_else(|| Trouble::Request(401, "nobody is signed in".into()))
}

/// The sessions of the signed-in user, the one that was used last first.
pub async fn list(sessions: &impl Sessions, session: &Session) -> Result<Vec<SessionInfo>, Trouble> {
    let user = user_of(sessions.manager(), session)?;
    Ok(sessions.manager().sessions_of(&user).latest(SHOWN).await?)
}

/// `GET /api/sessions`.
pub async fn answer_list(sessions: &impl Sessions) -> Result<Answer, Trouble> {
    let session = sessions.load().await?;
    let shown: Vec<Value> = list(sessions, &session)
        .await?
        .iter()
        .map(|info| {
            json!({
                "handle": info.handle.to_string(),
                "current": info.is_current(&session),
                "created": info.created.as_millis(),
                "last_seen": info.last_seen.unwrap_or(info.created).as_millis(),
                "label": label(info),
            })
        })
        .collect();
    Ok(Answer::json(200, &json!({ "sessions": shown })))
}

/// What a list calls a session.
pub fn label(info: &SessionInfo) -> Option<&str> {
    info.device.as_ref()?.get_label()
}

/// `DELETE /api/sessions/{handle}`: another user's handle is not found.
pub async fn end(handle: &str, sessions: &impl Sessions) -> Result<(), Trouble> {
    let session = sessions.load().await?;
    let user = user_of(sessions.manager(), &session)?;
    let unknown = || Trouble::Request(404, "you have no such session".into());
    let handle: Handle = handle.parse().map_err(|_| unknown())?;
    if session.handle() == Some(handle) {
        // The own one: a logout, which takes the cookie away as well.
        return Ok(sessions.destroy().await?);
    }
    sessions.manager().end(&user, &handle).await?.then_some(()).ok_or_else(unknown)
}

/// `DELETE /api/sessions`: all others. Says how many those were.
pub async fn end_others(sessions: &impl Sessions) -> Result<u64, Trouble> {
    let session = sessions.load().await?;
    user_of(sessions.manager(), &session)?;
    Ok(sessions.manager().end_others(&session).await?)
}

/// What a sign-in does to a session; a real one would ask for more than a name.
pub fn sign_in(
    sessions: &impl Sessions,
    session: &Session,
    asked: &Asked,
    user: &str,
    remember: bool,
    label: Option<String>,
) -> Result<(), Trouble> {
    if user.is_empty() {
        return Err(Trouble::bad("`user` is empty"));
    }
    session.sign_in(user)?;
    let agent: String = asked.agent.chars().take(200).collect();
    let label = label.unwrap_or_else(|| guess(&agent));
    session.set_device(Device::new().label(label).user_agent(agent))?;
    // Where the client holds the record there is one lifetime for all.
    if remember && !sessions.manager().provider().capabilities().client_side {
        session.set_class(api::REMEMBER)?;
    }
    session.set(USER, user)?;
    Ok(())
}

/// A name for the browser that says this of itself.
fn guess(agent: &str) -> String {
    let first = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name)
    };
    let browser =
        first(&[("Firefox", "Firefox"), ("Edg", "Edge"), ("Chrome", "Chrome"), ("Safari", "Safari")]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => "A program".to_owned(),
    }
}
