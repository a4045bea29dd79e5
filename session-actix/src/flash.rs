//! Messages for the next page, as an extractor.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;
use session_core::adapter::Main;
use session_core::flash::Flash;

use crate::{Session, SessionError};

/// The messages that earlier requests left with [`Session::flash`](session_core::Session::flash), taken: an extractor
/// for the page that shows them.
///
/// Each message is shown once at most. Of pages that are loaded at the same time one gets it, and the others show
/// none; none of them is answered with an error. What counts is stated at
/// [`take_flash`](session_core::Session::take_flash).
///
/// Round trips: the load of the session, which all extractors of a request share; when messages wait, one write
/// more, before the handler runs. It fails as [`Session`] does.
///
/// `T` is the type of the messages, `String` unless said otherwise; `M` is the
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

impl<T: DeserializeOwned + 'static, M: 'static> FromRequest for Flashes<T, M> {
    type Error = SessionError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, SessionError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let session = Session::<M>::from_request(request, payload);
        Box::pin(async move { Ok(Self(session.await?.take_flash().await?, PhantomData)) })
    }
}
