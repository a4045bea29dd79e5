//! The state that the layer and the extractors of one request share: the session, once it was
//! requested.

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::{Ending, HeaderName, Main, RequestHead, Setup};
use crate::manager::RequestSession;
use crate::transport::{Connection, CookieContext, Incoming};
use crate::{Error, Result, Session};

/// The slot of a session in a request, one for each scope `M`. Clones share the slot.
///
/// A request that does not use its session costs one allocation.
pub struct Slot<M>(Arc<Inner>, PhantomData<fn() -> M>);

struct Inner {
    setup: Arc<Setup>,
    opened: OnceLock<Opened>,
    panicked: AtomicBool,
    failed: OnceLock<Arc<Error>>,
    is_ambiguous: AtomicBool,
}

/// The slots of a request in all scopes except [`Main`]. An adapter keeps them in the request, so
/// that [`Slot::among`] finds the other slots.
#[derive(Debug, Clone, Default)]
pub struct Scopes(Vec<Slot<()>>);

/// The parts of the request's head that are kept at the first use of the session.
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
    /// Creates the slot of a new request, for its extractors; the adapter's layer keeps the
    /// [`Ending`].
    pub fn new(setup: Arc<Setup>) -> (Self, Ending<M>) {
        let inner = Inner {
            setup,
            opened: OnceLock::new(),
            panicked: AtomicBool::new(false),
            failed: OnceLock::new(),
            is_ambiguous: AtomicBool::new(false),
        };
        let slot = Self(Arc::new(inner), PhantomData);
        (slot.clone(), Ending::of(slot))
    }

    /// Returns the setup of the slot's layer.
    pub fn setup(&self) -> &Setup {
        &self.0.setup
    }

    /// Checks the slots that outer layers have put into the request. Two managers that use one name
    /// for their tokens would overwrite each other's cookies: neither slot of such a pair can be
    /// [opened](Self::open).
    ///
    /// Returns the scopes that the adapter must keep in the request instead of `scopes`; `None`
    /// when they stay as they are.
    pub fn among(&self, main: Option<&Slot<Main>>, scopes: Option<&Scopes>) -> Option<Scopes>
    where
        M: 'static,
    {
        let main = main.map(Slot::erased);
        for other in main.iter().chain(scopes.into_iter().flat_map(|scopes| &scopes.0)) {
            if self.setup().shares_a_name(other.setup()) {
                for slot in [&self.0, &other.0] {
                    slot.is_ambiguous.store(true, Ordering::Release);
                }
            }
        }
        (TypeId::of::<M>() != TypeId::of::<Main>()).then(|| {
            let mut scopes = scopes.cloned().unwrap_or_default();
            scopes.0.push(self.erased());
            scopes
        })
    }

    fn erased(&self) -> Slot<()> {
        Slot(Arc::clone(&self.0), PhantomData)
    }

    /// Reads the tokens and the connection of the request. Only the first call reads the head.
    ///
    /// [`Config`](crate::ErrorKind::Config) when another scope of this request has a manager that
    /// uses the same name for its tokens.
    pub fn open(&self, head: &impl RequestHead) -> Result<()> {
        self.take(head);
        if !self.0.is_ambiguous.load(Ordering::Acquire) {
            return Ok(());
        }
        let ours = self.setup().manager().transport();
        let name = ours.cookie_name().or(ours.header_name()).or(ours.query_name()).unwrap_or_default();
        let error = || {
            Error::config(format!(
                "two session managers of this application use the name `{name}` for their tokens, so \
                 they would overwrite each other's: give each one its own name, for example \
                 CookieSettings::host_prefixed(\"admin\")"
            ))
        };
        let _ = self.0.failed.set(Arc::new(error()));
        Err(error())
    }

    fn take(&self, head: &impl RequestHead) {
        self.0.opened.get_or_init(|| {
            let manager = self.setup().manager();
            let mut cookies = head.values(HeaderName::Cookie);
            // Usually there is one header, which needs no list.
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
            // If the cookie does not depend on the connection, only the warning about plain HTTP
            // does. It concerns clients that present no token.
            let context = match &self.setup().context {
                Some(context) if !request.presents_nothing() => context.clone(),
                _ => manager.transport().context(connection(head)),
            };
            Opened { request, context }
        });
    }

    /// Returns the session of the request, to be loaded on first use. A slot that was not opened
    /// has no tokens.
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

    /// Like [`load`](Self::load), for extractors whose errors a framework can hide from handlers,
    /// for example with `Option`: the [`Ending`] keeps the [failure](Ending::hidden_failure), so
    /// that a user never looks like a visitor because an engine is down.
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
        // An HTTP/2 request has its host in the authority.
        host: head.authority().map(str::as_bytes).or_else(|| first(HeaderName::Host)),
        says_https: head.scheme() == Some("https") || first(HeaderName::SecFetchSite).is_some(),
    }
}

/// A loaded session that belongs to a request. An adapter's extractor wraps it.
///
/// When code that holds one panics, no changes of the request are stored, even if something inside
/// the layer catches the panic.
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
