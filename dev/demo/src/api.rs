//! The JSON routes. One that changes the session answers when the change is stored, with what was committed.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use session_kit::id::StorageId;
use session_kit::key::Key;
use session_kit::{ErrorKind, Session};

use crate::answer::{Answer, Trouble};
use crate::asked::{Asked, Hold, key};
use crate::devices;
use crate::frameworks::Sessions;

pub const USER: Key<String> = Key::new("user");

/// The class of sessions that are remembered.
pub const REMEMBER: &str = "remember";

type Outcome = Result<Answer, Trouble>;

/// Answers a request for this path below `/api`.
pub async fn answer(asked: &Asked, path: &str, body: &[u8], sessions: &impl Sessions) -> Outcome {
    let hold = asked.hold()?;
    let mut segments = path.split('/').skip(1);
    let route = (segments.next().unwrap_or_default(), segments.next().filter(|key| !key.is_empty()));
    if segments.next().is_some() {
        return Err(no_such_route());
    }
    match (&*asked.method, route) {
        ("GET", ("plain", None)) => {
            hold.wait().await;
            Ok(Answer::new(200, "text/plain; charset=utf-8", "ok"))
        }
        ("GET", ("session", None)) => {
            let session = sessions.load().await?;
            hold.wait().await;
            Ok(whole(&session))
        }
        ("GET", ("session", Some(segment))) => {
            let (key, session) = (key(segment)?, sessions.load().await?);
            hold.wait().await;
            let missing = || Trouble::Request(404, "there is nothing under this key".into());
            session.get::<Value>(&key)?.map(|value| Answer::json(200, &value)).ok_or_else(missing)
        }
        ("PUT", ("session", Some(segment))) => {
            let (key, session) = (key(segment)?, sessions.load().await?);
            session.set(&key, &parse::<Value>(body)?)?;
            done(hold, &session).await
        }
        ("DELETE", ("session", Some(segment))) => {
            let (key, session) = (key(segment)?, sessions.load().await?);
            session.delete(&key)?;
            done(hold, &session).await
        }
        ("POST", ("counter", Some(segment))) => count(hold, &key(segment)?, &sessions.load().await?).await,
        ("POST", ("login", None)) => {
            #[derive(Deserialize)]
            struct Login {
                user: String,
                #[serde(default)]
                remember: bool,
                label: Option<String>,
            }
            let session = sessions.load().await?;
            let Login { user, remember, label } = parse(body)?;
            devices::sign_in(sessions, &session, asked, &user, remember, label)?;
            done(hold, &session).await
        }
        ("GET", ("sessions", None)) => {
            hold.wait().await;
            devices::answer_list(sessions).await
        }
        ("DELETE", ("sessions", None)) => {
            let ended = devices::end_others(sessions).await?;
            hold.wait().await;
            Ok(Answer::json(200, &json!({ "ok": true, "ended": ended })))
        }
        ("DELETE", ("sessions", Some(handle))) => {
            devices::end(handle, sessions).await?;
            hold.wait().await;
            Ok(ok())
        }
        ("POST", ("logout", None)) => {
            sessions.destroy().await?;
            hold.wait().await;
            Ok(ok())
        }
        (
            _,
            ("plain" | "session" | "sessions" | "login" | "logout", None)
            | ("session" | "sessions" | "counter", Some(_)),
        ) => Err(Trouble::Request(405, "this route has other methods".into())),
        _ => Err(no_such_route()),
    }
}

fn no_such_route() -> Trouble {
    Trouble::Request(404, "there is no such route".into())
}

fn whole(session: &Session) -> Answer {
    let mut answer = json!({ "data": data(session) });
    if let (Some(token), Some(idle), Some(absolute)) =
        (session.token(), session.idle_deadline(), session.absolute_deadline())
    {
        answer["id"] = format!("{:?}", StorageId::of(&token)).into();
        answer["idle_deadline_ms"] = idle.as_millis().into();
        answer["absolute_deadline_ms"] = absolute.as_millis().into();
    }
    Answer::json(200, &answer)
}

async fn count(hold: Hold, key: &str, session: &Session) -> Outcome {
    let no_number = |error: session_kit::Error| match error.kind() {
        ErrorKind::Codec => Trouble::bad("what is under this key is no whole number"),
        _ => error.into(),
    };
    session.update(key, |n: Option<i64>| n.unwrap_or(0).saturating_add(1)).map_err(no_number)?;
    hold.wait().await;
    session.release().await.map_err(no_number)?;
    Ok(Answer::json(200, &json!({ "value": session.get::<i64>(key)? })))
}

/// Success is only said when it is stored.
async fn done(hold: Hold, session: &Session) -> Outcome {
    hold.wait().await;
    session.release().await?;
    Ok(ok())
}

fn ok() -> Answer {
    Answer::json(200, &json!({ "ok": true }))
}

/// The body of a request, whatever its content type says.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Trouble> {
    serde_json::from_slice(body).map_err(|error| Trouble::bad(format!("the body: {error}")))
}

/// What a session holds, as JSON; what is no JSON shows as null.
pub fn data(session: &Session) -> Map<String, Value> {
    let body = session.body();
    body.iter().map(|(key, value)| (key.to_owned(), value.decode().unwrap_or_default())).collect()
}
