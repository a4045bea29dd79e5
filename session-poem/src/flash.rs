//! Messages for the next page, as an extractor.

use std::marker::PhantomData;

use poem::{FromRequest, Request, RequestBody};
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
    /// use poem::web::Redirect;
    /// use poem::{Route, get, handler, post};
    /// use session_core::flash::Level;
    /// use session_poem::{Flashes, Session, SessionError};
    ///
    /// #[handler]
    /// fn save(session: Session) -> Result<Redirect, SessionError> {
    ///     session.flash(Level::Success, "Your address is saved.")?;
    ///     Ok(Redirect::see_other("/"))
    /// }
    ///
    /// #[handler]
    /// fn page(messages: Flashes) -> String {
    ///     let lines: Vec<_> = messages.iter().map(|flash| format!("{}: {}", flash.level, flash.message)).collect();
    ///     lines.join("\n")
    /// }
    ///
    /// let routes = Route::new().at("/", get(page)).at("/save", post(save));
    /// # drop(routes);
    /// ```
    pub struct Flashes;
}

impl<'a, T: DeserializeOwned, M: 'static> FromRequest<'a> for Flashes<T, M> {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        let session = Session::<M>::from_request(request, body).await?;
        Ok(Self(session.take_flash().await.map_err(SessionError::from)?, PhantomData))
    }
}
