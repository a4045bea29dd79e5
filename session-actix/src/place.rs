//! The place of a session in the extensions of a request.

use std::cell::OnceCell;
use std::rc::Rc;

use actix_web::dev::RequestHead;
use actix_web::{HttpMessage, HttpRequest};
use session_core::Error;
use session_core::adapter::Slot;

use crate::SessionError;
use crate::headers::Head;

/// One for each scope. Clones are the same place.
pub(crate) struct Place<M> {
    pub slot: Slot<M>,
    /// Where there is a hook, the head is kept for it: an inner middleware that fails takes the request with it.
    pub head: Option<Rc<OnceCell<RequestHead>>>,
}

impl<M> Clone for Place<M> {
    fn clone(&self) -> Self {
        Self { slot: self.slot.clone(), head: self.head.clone() }
    }
}

impl<M: 'static> Place<M> {
    pub fn find(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// Finds the place, and takes from the request what the session is found by.
    pub fn open(request: &HttpRequest) -> Result<Slot<M>, SessionError> {
        let missing = "this request did not pass through a SessionMiddleware: wrap the App or the scope of the route \
                       in it, `.wrap(SessionMiddleware::new(manager))`";
        let place = Self::find(request).ok_or_else(|| Error::config(missing))?;
        if let Some(head) = place.head {
            head.get_or_init(|| request.head().clone());
        }
        place.slot.open(&Head(request))?;
        Ok(place.slot)
    }
}
