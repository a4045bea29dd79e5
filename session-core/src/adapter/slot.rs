//! What the layer and the extractors of one request share: the session, once somebody has asked for it.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::{Ending, HeaderName, RequestHead, Setup};
use crate::manager::RequestSession;
use crate::transport::{Connection, CookieContext, Incoming};
use crate::{Error, Result, Session};

/// The place of a session in a request, one for each scope `M`. Clones are the same place.
///
/// An untouched request pays for one allocation and for nothing else.
pub struct Slot<M>(Arc<Inner>, PhantomData<fn() -> M>);

struct Inner {
    setup: Arc<Setup>,
    opened: OnceLock<Opened>,
    panicked: AtomicBool,
    failed: OnceLock<Arc<Error>>,
}

/// What is taken of the request's head when somebody asks for the session first.
pub(super) struct Opened {
    pub request: RequestSession,
    pub context: CookieContext,
}

impl<M> Clone for Slot<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), PhantomData)
    }
}

impl<M> Slot<M> {
    /// The place in a new request, for its extractors; the adapter's layer keeps the [`Ending`].
    pub fn new(setup: Arc<Setup>) -> (Self, Ending<M>) {
        let inner = Inner {
            setup,
            opened: OnceLock::new(),
            panicked: AtomicBool::new(false),
            failed: OnceLock::new(),
        };
        let slot = Self(Arc::new(inner), PhantomData);
        (slot.clone(), Ending::of(slot))
    }

    /// The setup of the layer that made it.
    pub fn setup(&self) -> &Setup {
        &self.0.setup
    }

    /// Takes the tokens that the request presents, and how it came. Only the first call looks at the head.
    pub fn open(&self, head: &impl RequestHead) {
        self.0.opened.get_or_init(|| {
            let manager = self.setup().manager();
            let mut cookies = head.values(HeaderName::Cookie);
            // Nearly always there is one, which needs no list.
            let first = cookies.next().unwrap_or_default();
            let mut list: Vec<&[u8]> = cookies.collect();
            if !list.is_empty() {
                list.insert(0, first);
            }
            let header = manager.transport().header_name();
            let request = manager.request(Incoming {
                cookies: if list.is_empty() { std::slice::from_ref(&first) } else { &list },
                header: header.and_then(|name| head.values(HeaderName::Other(name)).next()),
                query: head.query(),
            });
            // How a client came that has its cookie already matters only where the cookie depends on it.
            let context = match &self.setup().context {
                Some(context) if !request.presents_nothing() => context.clone(),
                _ => manager.transport().context(connection(head)),
            };
            Opened { request, context }
        });
    }

    /// The session, to be loaded by the first who asks. Of a slot that was not opened it is one without tokens.
    pub fn request(&self) -> &RequestSession {
        let nothing = || Opened {
            request: self.setup().manager().request(Incoming::default()),
            context: CookieContext::default(),
        };
        &self.0.opened.get_or_init(nothing).request
    }

    /// Loads the session; see [`RequestSession::session`].
    pub async fn load(&self) -> Result<Loaded<M>> {
        let session = self.request().session().await?;
        Ok(Loaded { session, slot: self.clone() })
    }

    /// As [`load`](Self::load), for the extractors of a framework that can hide their errors from handlers, as those
    /// of `Option` do: the [`Ending`] knows of the [failure](Ending::hidden_failure), so that a user never looks like a
    /// visitor because an engine is down.
    pub async fn extract(&self) -> Result<Loaded<M>, Arc<Error>> {
        self.load().await.map_err(|error| {
            let error = Arc::new(error);
            let _ = self.0.failed.set(Arc::clone(&error));
            error
        })
    }

    pub(super) fn failed(&self) -> Option<&Arc<Error>> {
        self.0.failed.get()
    }

    pub(super) fn opened(&self) -> Option<&Opened> {
        self.0.opened.get()
    }

    pub(super) fn is_poisoned(&self) -> bool {
        self.0.panicked.load(Ordering::Acquire)
    }
}

impl<M> fmt::Debug for Slot<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Slot").field(&self.opened().map(|opened| &opened.request)).finish()
    }
}

fn connection(head: &impl RequestHead) -> Connection<'_> {
    let first = |name: HeaderName<'static>| head.values(name).next();
    Connection {
        tls: head.is_tls(),
        peer: head.peer(),
        forwarded_proto: first(HeaderName::XForwardedProto),
        forwarded: first(HeaderName::Forwarded),
        // An HTTP/2 request names its host in the address.
        host: head.authority().map(str::as_bytes).or_else(|| first(HeaderName::Host)),
        says_https: head.scheme() == Some("https") || first(HeaderName::SecFetchSite).is_some(),
    }
}

/// A loaded session that belongs to a request: what an adapter's extractor wraps.
///
/// When code that holds one panics, nothing that the request changed is stored, also when something inside of the
/// layer catches the panic.
pub struct Loaded<M> {
    session: Session,
    slot: Slot<M>,
}

impl<M> Clone for Loaded<M> {
    fn clone(&self) -> Self {
        Self { session: self.session.clone(), slot: self.slot.clone() }
    }
}

impl<M> Deref for Loaded<M> {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl<M> Drop for Loaded<M> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.slot.0.panicked.store(true, Ordering::Release);
        }
    }
}

impl<M> fmt::Debug for Loaded<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.session.fmt(f)
    }
}
