//! Migrates sessions of `actix-session`, one at a time.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use actix_session::storage::{LoadError, SessionKey, SessionStore};
use actix_web::Error as ActixError;
use actix_web::body::MessageBody;
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, CookieJar, Key};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::rt::time::timeout;
use serde_json::Value;
use session_core::{Error, ErrorKind, LoadState, Result};

use crate::{LazySession, SessionError, request_session};

/// How long a migrated session stays in its old store, for requests that were sent with the old
/// cookie before the response with the new one arrived.
const GRACE: Duration = Duration::seconds(10);

/// The timeout of the old store: that of Redis tries to connect for minutes.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// Migrates the sessions of `actix-session`, each at the next request of its client: users stay
/// signed in.
///
/// `Old` is the store that the application has used: `CookieSessionStore`, `RedisSessionStore` with
/// its `cache_keygen`, or its own. A request with a valid cookie of `actix-session` and without a
/// new session gets one with a new id and the values of the old one, which is stored before the
/// handler runs. The response removes the old cookie, and the old session expires ten seconds
/// later. The new session has the lifetimes of its manager.
///
/// Concurrent requests of a client each migrate the session. The browser keeps the last cookie, and
/// loses the changes of the other requests, but not the sign-in.
///
/// Round trips for a migrated session: two to the old store and one to the new one. Other requests
/// cost nothing extra; one with both cookies reads only its new session.
///
/// A cookie of `CookieSessionStore` contains neither an id nor a date, so a copy of it signs in
/// again after a logout, as it does with `actix-session`. [`until`](Self::until) sets when that
/// ends.
///
/// ```
/// use std::sync::Arc;
///
/// use actix_session::storage::CookieSessionStore;
/// use actix_web::App;
/// use actix_web::cookie::Key;
/// use actix_web::middleware::from_fn;
/// use session_actix::{FromActixSession, SessionMiddleware};
///
/// # fn app(manager: session_core::Manager, key: Key) {
/// let old = Arc::new(FromActixSession::new(CookieSessionStore::default(), key));
/// let app = App::new()
///     .wrap(from_fn(move |request, next| old.clone().take_over(request, next))) // inside
///     .wrap(SessionMiddleware::new(manager));
/// # drop(app);
/// # }
/// ```
pub struct FromActixSession<Old> {
    old: Old,
    key: Key,
    is_signed: bool,
    cookie: Cookie<'static>,
    until: Option<SystemTime>,
    then: Option<Box<Then>>,
}

type Then = dyn Fn(&session_core::Session) -> Result<()> + Send + Sync;

impl<Old: SessionStore> FromActixSession<Old> {
    /// Migrates from this store, whose cookies were encrypted with this key
    /// (`CookieContentSecurity::Private`, the default of `actix-session`).
    pub fn new(old: Old, key: Key) -> Self {
        let cookie = Cookie::build("id", "").path("/").secure(true).finish();
        Self { old, key, is_signed: false, cookie, until: None, then: None }
    }

    /// Like [`new`](Self::new), for cookies that were only signed
    /// (`CookieContentSecurity::Signed`).
    pub fn signed(old: Old, key: Key) -> Self {
        Self { is_signed: true, ..Self::new(old, key) }
    }

    /// Sets the name of the old cookie, and the path and the domain with which it is removed.
    /// Default: `id` on `/`, as in `actix-session`.
    #[must_use]
    pub fn cookie(self, cookie: Cookie<'static>) -> Self {
        Self { cookie, ..self }
    }

    /// Stops the migration at this time: the day of the deployment plus the longest lifetime of an
    /// old session.
    #[must_use]
    pub fn until(self, time: SystemTime) -> Self {
        Self { until: Some(time), ..self }
    }

    /// Changes a migrated session before it is stored: to set its owner
    /// ([`Session::sign_in`](session_core::Session::sign_in)), or to rename its values. If the
    /// function fails, the response is that error and nothing is stored.
    #[must_use]
    pub fn then<F>(self, then: F) -> Self
    where
        F: Fn(&session_core::Session) -> Result<()> + Send + Sync + 'static,
    {
        Self { then: Some(Box::new(then)), ..self }
    }

    /// The middleware, for [`from_fn`](actix_web::middleware::from_fn), inside
    /// [`SessionMiddleware`](crate::SessionMiddleware).
    ///
    /// A [`SessionError`] when a session cannot be read or stored (503): the client keeps its old
    /// cookie and can retry. A cookie with another key, or an unreadable one, is ignored.
    pub async fn take_over<B: MessageBody + 'static>(
        self: Arc<Self>,
        request: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse<B>, ActixError> {
        let Some(value) = self.presented(&request) else { return next.call(request).await };
        let session = request_session(request.request())?;
        let has_moved = match session.session().await.map_err(SessionError::from)?.load_state() {
            LoadState::Live => true,
            LoadState::None | LoadState::Expired => self.adopt(&session, value).await?,
            _ => false,
        };
        let mut response = next.call(request).await?;
        if has_moved {
            response.response_mut().add_removal_cookie(&self.cookie)?;
        }
        Ok(response)
    }

    /// Returns the content of the cookie of `actix-session`.
    fn presented(&self, request: &ServiceRequest) -> Option<String> {
        let (key, name) = (&self.key, self.cookie.name());
        let cookie = request.cookie(name)?;
        if self.until.is_some_and(|until| SystemTime::now() >= until) {
            return None;
        }
        let mut jar = CookieJar::new();
        jar.add_original(cookie);
        let read = if self.is_signed { jar.signed(key).get(name) } else { jar.private(key).get(name) };
        if read.is_none() {
            tracing::debug!("a cookie of actix-session does not match the key and is ignored");
        }
        read.map(|cookie| cookie.value().to_owned())
    }

    /// Stores the old session as a new one. Returns `false` if there is none.
    async fn adopt(&self, lazy: &LazySession, value: String) -> Result<bool, SessionError> {
        let Ok(key) = SessionKey::try_from(value) else { return Ok(false) };
        let down = || Error::new(ErrorKind::Unavailable, "the store of actix-session cannot be read");
        let state = match timeout(PATIENCE, self.old.load(&key)).await {
            Ok(Ok(Some(state))) => state,
            Ok(Ok(None)) => return Ok(false),
            Ok(Err(LoadError::Deserialization(_))) => return Ok(unreadable()),
            Ok(Err(LoadError::Other(error))) => return Err(down().with_source(error).into()),
            Err(elapsed) => return Err(down().with_source(elapsed).into()),
        };
        let Ok(values) = decoded(state) else { return Ok(unreadable()) };
        let session = lazy.session().await?;
        for (name, value) in &values {
            session.set(&**name, value)?;
        }
        if let Some(then) = &self.then {
            then(&session)?;
        }
        session.save().await?;
        if !matches!(timeout(PATIENCE, self.old.update_ttl(&key, &GRACE)).await, Ok(Ok(()))) {
            tracing::warn!("a migrated session of actix-session could not be removed from its store");
        }
        Ok(true)
    }
}

/// Does not log the error, because those of `serde_json` can quote values.
fn unreadable() -> bool {
    tracing::warn!("a session of actix-session is not a map of JSON texts and is ignored");
    false
}

/// Decodes the values of a session, each of which `actix-session` stores as JSON text.
fn decoded(state: HashMap<String, String>) -> serde_json::Result<Vec<(String, Value)>> {
    state.into_iter().map(|(name, json)| Ok((name, serde_json::from_str(&json)?))).collect()
}

/// Prints neither keys nor values.
impl<Old> fmt::Debug for FromActixSession<Old> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromActixSession").field("cookie", &self.cookie.name()).finish_non_exhaustive()
    }
}
