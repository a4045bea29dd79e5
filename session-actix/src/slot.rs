//! The slot of a session in the extensions of a request.

use std::cell::OnceCell;
use std::rc::Rc;

use actix_web::dev::RequestHead;
use actix_web::{HttpMessage, HttpRequest};
use session_core::Error;
use session_core::adapter::Slot;

use crate::SessionError;
use crate::headers::Head;

/// The slot of a scope. Clones share it.
pub(crate) struct RequestSlot<M> {
    pub slot: Slot<M>,
    /// If there is a hook, the head is kept for it, because an inner middleware that fails drops
    /// the request.
    pub head: Option<Rc<OnceCell<RequestHead>>>,
}

impl<M> Clone for RequestSlot<M> {
    fn clone(&self) -> Self {
        Self { slot: self.slot.clone(), head: self.head.clone() }
    }
}

impl<M: 'static> RequestSlot<M> {
    pub fn find(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// Finds the slot, and opens it with the request's head.
    pub fn open(request: &HttpRequest) -> Result<Slot<M>, SessionError> {
        let missing = "this request did not pass through a SessionMiddleware: wrap the App or the scope of the route \
                       in it, `.wrap(SessionMiddleware::new(manager))`";
        let found = Self::find(request).ok_or_else(|| Error::config(missing))?;
        if let Some(head) = found.head {
            head.get_or_init(|| request.head().clone());
        }
        found.slot.open(&Head(request))?;
        Ok(found.slot)
    }
}
