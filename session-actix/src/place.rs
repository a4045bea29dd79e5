//! The place of a session in the extensions of a request.

use std::cell::{OnceCell, RefCell};
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
    pub notes: Rc<Notes>,
}

/// What the middleware learns from the extractors of a request.
#[derive(Default)]
pub(crate) struct Notes {
    /// Whether the head is kept: for a hook, when an inner middleware fails and takes the request with it.
    pub keeps_head: bool,
    pub head: OnceCell<RequestHead>,
    /// Why the session could not be extracted. actix-web's `Option` extractor drops such errors.
    pub failed: RefCell<Option<SessionError>>,
}

impl<M> Clone for Place<M> {
    fn clone(&self) -> Self {
        Self { slot: self.slot.clone(), notes: Rc::clone(&self.notes) }
    }
}

impl<M: 'static> Place<M> {
    pub fn find(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// Finds the place, and takes from the request what the session is found by.
    pub fn open(request: &HttpRequest) -> Result<Self, SessionError> {
        let missing = "this request did not pass through a SessionMiddleware: wrap the App or the scope of the route \
                       in it, `.wrap(SessionMiddleware::new(manager))`";
        let place = Self::find(request).ok_or_else(|| Error::config(missing))?;
        place.slot.open(&Head(request));
        if place.notes.keeps_head {
            place.notes.head.get_or_init(|| RequestHead::clone(request.head()));
        }
        Ok(place)
    }
}
