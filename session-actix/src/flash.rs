//! Messages for the next page, as an extractor.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;
use session_core::adapter::flashes;

use crate::{Session, SessionError};

flashes! {
    /// Takes the messages that earlier requests stored with
    /// [`Session::flash`](session_core::Session::flash): an extractor for the page that shows them.
    ///
    /// Each message is shown at most once. Of concurrent pages one gets it, and the others show
    /// none; none of them fails. For details see [`take_flash`](session_core::Session::take_flash).
    ///
    /// Round trips: the load of the session, which all extractors of a request share; if there are
    /// messages, one more write before the handler runs. It fails like [`Session`].
    ///
    /// `T` is the type of the messages, `String` by default; `M` is the
    /// [`scope`](crate::SessionMiddleware::scope) of the middleware.
    ///
    /// ```
    /// use actix_web::web::{Redirect, get, post};
    /// use session_actix::{Flashes, Session, SessionError};
    /// use session_core::flash::Level;
    ///
    /// async fn save(session: Session) -> Result<Redirect, SessionError> {
    ///     session.flash(Level::Success, "Your address is saved.")?;
    ///     Ok(Redirect::to("/").see_other())
    /// }
    ///
    /// async fn page(messages: Flashes) -> String {
    ///     let lines: Vec<_> = messages.iter().map(|flash| format!("{}: {}", flash.level, flash.message)).collect();
    ///     lines.join("\n")
    /// }
    /// # let _ = (get().to(page), post().to(save));
    /// ```
    pub struct Flashes;
}

impl<T: DeserializeOwned + 'static, M: 'static> FromRequest for Flashes<T, M> {
    type Error = SessionError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, SessionError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let session = Session::<M>::from_request(request, payload);
        Box::pin(async move { Ok(Self(session.await?.take_flash().await?, PhantomData)) })
    }
}
