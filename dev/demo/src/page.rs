//! The page: forms that post and redirect, so that it works without scripts.

mod facts;
mod log;
mod view;

use maud::Markup;
use session_kit::ErrorKind;
use session_kit::id::{IdGenerator, RandomIds};
use session_kit::key::Key;

use crate::answer::{Answer, Trouble};
use crate::asked::{Asked, field};
use crate::frameworks::Sessions;
use crate::{api, devices};
pub use log::{Click, log_of, remembered};

const VISITS: Key<i64> = Key::new("visits");

/// What the page can do, by the path that it posts to.
const ACTIONS: [(&str, &str); 8] = [
    ("visit", "counted a visit"),
    ("login", "logged in"),
    ("logout", "logged out"),
    ("set", "set a value"),
    ("delete", "deleted a value"),
    ("renew", "took a new id"),
    ("end", "signed a device out"),
    ("end-others", "signed the other devices out"),
];

const BACK: &str = "/";

/// The action that a request is, if it is one.
pub fn action(asked: &Asked) -> Option<&'static str> {
    let name = asked.path.strip_prefix('/').filter(|_| asked.method == "POST")?;
    ACTIONS.into_iter().find(|(action, _)| *action == name).map(|(action, _)| action)
}

/// Answers a request for the page, for what it loads, or for one of its actions.
pub async fn answer(asked: &Asked, body: &[u8], sessions: &impl Sessions) -> Result<Answer, Trouble> {
    if let Some(action) = action(asked) {
        act(action, asked, body, sessions).await?;
        // A form does its work, and then the browser comes back to the page.
        return Ok(Answer::redirect(BACK));
    }
    match (&*asked.method, &*asked.path) {
        ("GET", "/") => show(asked, sessions).await,
        ("GET", "/style.css") => Ok(Answer::new(200, "text/css", include_str!("page/style.css"))),
        ("GET", "/icon.svg") => Ok(Answer::new(200, "image/svg+xml", include_str!("page/icon.svg"))),
        _ => Err(Trouble::Request(404, "There is no such page.".into())),
    }
}

/// The answer to a form that another site made a browser send. The cookie is not sent along, because it is `SameSite`;
/// sites on another port of this host count as the same site, though. Each framework tells them apart in its own way.
pub fn refused() -> Answer {
    trouble(403, "This form was sent by another site.")
}

async fn show(asked: &Asked, sessions: &impl Sessions) -> Result<Answer, Trouble> {
    let session = sessions.load().await?;
    let user = session.get(api::USER)?;
    let devices = match &user {
        Some(_) if devices::are_listed(sessions.manager()) => devices::list(sessions, &session).await?,
        _ => Vec::new(),
    };
    let nonce = RandomIds::new().generate()?;
    let markup = view::page(&view::View {
        manager: sessions.manager(),
        session: &session,
        values: api::data(&session),
        user,
        devices,
        visits: session.get(VISITS).ok().flatten().unwrap_or(0),
        nonce: nonce.expose(),
        log: log_of(asked),
    });
    Ok(html(200, nonce.expose(), markup))
}

async fn act(action: &str, asked: &Asked, body: &[u8], sessions: &impl Sessions) -> Result<(), Trouble> {
    let form = |name: &str| {
        if !asked.kind.starts_with("application/x-www-form-urlencoded") {
            return Err(Trouble::Request(415, "The form could not be read.".into()));
        }
        field(body, name).ok_or_else(|| Trouble::Request(422, format!("The form has no `{name}`.")))
    };
    match action {
        "logout" => return Ok(sessions.destroy().await?),
        "end" => return devices::end(&form("handle")?, sessions).await,
        "end-others" => return devices::end_others(sessions).await.map(drop),
        _ => {}
    }
    let session = sessions.load().await?;
    match action {
        "visit" => count(session.update(VISITS, |visits| visits.unwrap_or(0).saturating_add(1)))?,
        "login" => {
            let remember = form("remember").is_ok();
            devices::sign_in(sessions, &session, asked, form("user")?.trim(), remember, None)?;
        }
        "set" => {
            let value = form("value").unwrap_or_default();
            // What is no JSON is meant as text.
            let value = serde_json::from_str(&value).unwrap_or(serde_json::Value::String(value));
            session.set(form("key")?.trim(), &value)?;
        }
        "delete" => {
            session.delete(form("key")?)?;
        }
        _ => session.regenerate()?,
    }
    Ok(())
}

/// The only value with a type of its own on the page is the counter.
fn count(counted: session_kit::Result<i64>) -> Result<(), Trouble> {
    match counted {
        Err(error) if error.kind() == ErrorKind::Codec => {
            Err(Trouble::bad("`visits` is no whole number any more."))
        }
        counted => Ok(counted.map(drop)?),
    }
}

/// A page for what went wrong.
pub fn trouble(status: u16, what: &str) -> Answer {
    html(status, "", view::trouble(status, what))
}

/// A page that may load its own style sheet and icon, post its own forms, and nothing else: no script at all.
fn html(status: u16, nonce: &str, markup: Markup) -> Answer {
    let inline = if nonce.is_empty() { String::new() } else { format!(" 'nonce-{nonce}'") };
    let policy = format!(
        "default-src 'none'; style-src 'self'{inline}; img-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    let mut answer = Answer::new(status, "text/html; charset=utf-8", markup.into_string());
    answer.headers.push(("x-content-type-options", "nosniff".into()));
    answer.headers.push(("referrer-policy", "same-origin".into()));
    answer.headers.push(("content-security-policy", policy));
    answer
}
