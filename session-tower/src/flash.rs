//! Messages for the next page, as an extractor.

use std::marker::PhantomData;

use axum_core::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;
use session_core::adapter::flashes;

use crate::{LazySession, SessionError};

flashes! {
    /// Takes the messages that earlier requests stored with
    /// [`Session::flash`](session_core::Session::flash): an extractor for the page that shows them.
    ///
    /// Each message is shown at most once. Of concurrent pages one gets it, and the others show
    /// none; none of them fails. For details see [`take_flash`](session_core::Session::take_flash).
    ///
    /// Round trips: the load of the session, which all extractors of a request share; if there are
    /// messages, one more write before the handler runs. The rejections are those of
    /// [`Session`](crate::Session).
    ///
    /// `T` is the type of the messages, `String` by default; `M` is the
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
    pub struct Flashes;
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
