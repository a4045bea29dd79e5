//! Messages for the next page, as an extractor.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use axum_core::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;
use session_core::adapter::Main;
use session_core::flash::Flash;

use crate::{LazySession, SessionError};

/// The messages that earlier requests left with [`Session::flash`](session_core::Session::flash), taken: an extractor
/// for the page that shows them.
///
/// Each message is shown once at most. Of pages that are loaded at the same time one gets it, and the others show
/// none; none of them is answered with an error. What counts is stated at
/// [`take_flash`](session_core::Session::take_flash).
///
/// Round trips: the load of the session, which all extractors of a request share; when messages wait, one write
/// more, before the handler runs. The rejections are those of [`Session`](crate::Session).
///
/// `T` is the type of the messages, `String` unless said otherwise; `M` is the
/// [`scope`](crate::SessionLayer::scope) of the layer.
///
/// ```
/// use axum::Router;
/// use axum::response::Redirect;
/// use axum::routing::{get, post};
/// use session_core::flash::Level;
/// use session_tower::{Flashes, Session, SessionError};
///
/// async fn save(session: Session) -> Result<Redirect, SessionError> {
///     session.flash(Level::Success, "Your address is saved.")?;
///     Ok(Redirect::to("/"))
/// }
///
/// async fn page(messages: Flashes) -> String {
///     let lines: Vec<_> = messages.iter().map(|flash| format!("{}: {}", flash.level, flash.message)).collect();
///     lines.join("\n")
/// }
///
/// let routes: Router = Router::new().route("/", get(page)).route("/save", post(save));
/// ```
pub struct Flashes<T = String, M = Main>(Vec<Flash<T>>, PhantomData<fn() -> M>);

impl<T, M> Flashes<T, M> {
    /// The messages, oldest first.
    pub fn into_inner(self) -> Vec<Flash<T>> {
        self.0
    }
}

impl<T, M> Deref for Flashes<T, M> {
    type Target = [Flash<T>];

    fn deref(&self) -> &[Flash<T>] {
        &self.0
    }
}

impl<T, M> IntoIterator for Flashes<T, M> {
    type Item = Flash<T>;
    type IntoIter = std::vec::IntoIter<Flash<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T, M> IntoIterator for &'a Flashes<T, M> {
    type Item = &'a Flash<T>;
    type IntoIter = std::slice::Iter<'a, Flash<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: fmt::Debug, M> fmt::Debug for Flashes<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

impl<S, T, M> FromRequestParts<S> for Flashes<T, M>
where
    S: Sync,
    T: DeserializeOwned,
    M: 'static,
{
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, SessionError> {
        let lazy = <LazySession<M> as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        let taken = lazy.session().await?.take_flash().await?;
        Ok(Self(taken, PhantomData))
    }
}
