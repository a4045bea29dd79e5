//! The JSON routes. One that changes the session answers when the change is stored, with what was committed.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use session_kit::tower::{LazySession, Session};
use session_kit::{ErrorKind, Key, StorageId};

use crate::error::ApiError;

/// The longest `hold_ms`.
const MAX_HOLD: Duration = Duration::from_secs(5);

pub const USER: Key<String> = Key::new("user");

type Answer = Result<Json<Value>, ApiError>;

pub fn routes() -> Router {
    Router::new()
        .route("/plain", get(plain))
        .route("/session", get(whole))
        .route("/session/{key}", get(read).put(set).delete(delete))
        .route("/counter/{key}", post(count))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .fallback(async || ApiError::Request(StatusCode::NOT_FOUND, "there is no such route".into()))
        .method_not_allowed_fallback(async || {
            ApiError::Request(StatusCode::METHOD_NOT_ALLOWED, "this route has other methods".into())
        })
}

async fn plain(hold: Hold) -> &'static str {
    hold.wait().await;
    "ok"
}

async fn whole(hold: Hold, session: Session) -> Answer {
    hold.wait().await;
    let mut answer = json!({ "data": data(&session) });
    if let (Some(token), Some(idle), Some(absolute)) =
        (session.token(), session.idle_deadline(), session.absolute_deadline())
    {
        answer["id"] = format!("{:?}", StorageId::of(&token)).into();
        answer["idle_deadline_ms"] = idle.as_millis().into();
        answer["absolute_deadline_ms"] = absolute.as_millis().into();
    }
    Ok(Json(answer))
}

async fn read(hold: Hold, KeyName(key): KeyName, session: Session) -> Answer {
    hold.wait().await;
    let value = session.get::<Value>(&key)?;
    value
        .map(Json)
        .ok_or_else(|| ApiError::Request(StatusCode::NOT_FOUND, "there is nothing under this key".into()))
}

async fn set(hold: Hold, KeyName(key): KeyName, session: Session, body: Body) -> Answer {
    session.set(&key, &body.json::<Value>()?)?;
    done(hold, &session).await
}

async fn delete(hold: Hold, KeyName(key): KeyName, session: Session) -> Answer {
    session.delete(&key)?;
    done(hold, &session).await
}

async fn count(hold: Hold, KeyName(key): KeyName, session: Session) -> Answer {
    let no_number = |error: session_kit::Error| match error.kind() {
        ErrorKind::Codec => ApiError::bad("what is under this key is no whole number"),
        _ => error.into(),
    };
    session.update(&key, |n: Option<i64>| n.unwrap_or(0).saturating_add(1)).map_err(no_number)?;
    hold.wait().await;
    session.release().await.map_err(no_number)?;
    Ok(Json(json!({ "value": session.get::<i64>(&key)? })))
}

async fn login(hold: Hold, session: Session, body: Body) -> Answer {
    #[derive(Deserialize)]
    struct Login {
        user: String,
    }
    let Login { user } = body.json()?;
    log_in(&session, &user)?;
    done(hold, &session).await
}

/// What a sign-in does to a session; a real one would ask for more than a name.
pub fn log_in(session: &session_kit::Session, user: &str) -> Result<(), ApiError> {
    if user.is_empty() {
        return Err(ApiError::bad("`user` is empty"));
    }
    session.regenerate()?;
    session.set_owner(Some(user))?;
    session.set(USER, user)?;
    Ok(())
}

async fn logout(hold: Hold, session: LazySession) -> Answer {
    session.destroy().await?;
    hold.wait().await;
    Ok(Json(json!({ "ok": true })))
}

/// Success is only said when it is stored.
async fn done(hold: Hold, session: &Session) -> Answer {
    hold.wait().await;
    session.release().await?;
    Ok(Json(json!({ "ok": true })))
}

/// What a session holds, as JSON; what is no JSON shows as null.
pub fn data(session: &session_kit::Session) -> Map<String, Value> {
    let body = session.body();
    body.iter().map(|(key, value)| (key.to_owned(), value.decode().unwrap_or_default())).collect()
}

/// `?hold_ms=N`: how long the answer waits, so that overlapping requests can be shown.
struct Hold(Duration);

impl Hold {
    async fn wait(self) {
        if !self.0.is_zero() {
            tokio::time::sleep(self.0).await;
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Hold {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct Parameters {
            #[serde(default)]
            hold_ms: u64,
        }
        let parameters = Query::<Parameters>::try_from_uri(&parts.uri);
        let Query(Parameters { hold_ms }) =
            parameters.map_err(|_| ApiError::bad("`hold_ms` is a number of milliseconds"))?;
        Ok(Self(Duration::from_millis(hold_ms).min(MAX_HOLD)))
    }
}

/// The `{key}` of a route.
struct KeyName(String);

impl<S: Send + Sync> FromRequestParts<S> for KeyName {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let unread =
            |rejection: PathRejection| ApiError::Request(rejection.status(), "the key is not UTF-8".into());
        let Path(key) = Path::<String>::from_request_parts(parts, state).await.map_err(unread)?;
        Ok(Self(key))
    }
}

/// The body of a request, whatever its content type says.
struct Body(Bytes);

impl Body {
    fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.0).map_err(|error| ApiError::bad(format!("the body: {error}")))
    }
}

impl<S: Send + Sync> axum::extract::FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, ApiError> {
        let unread =
            |rejection: BytesRejection| ApiError::Request(rejection.status(), "the body is too large".into());
        Ok(Self(Bytes::from_request(request, state).await.map_err(unread)?))
    }
}
