//! What the layer and the extractors of one request share: the session, once somebody has asked for it.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use http::header::COOKIE;
use http::{Extensions, HeaderMap, HeaderValue, Uri};
use session_core::{CookieContext, Finish, Incoming, Reply, RequestSession, Result};

use crate::connection;
use crate::layer::Setup;

/// In the request's extensions, one for each scope. An untouched request pays for this and for nothing else.
pub(crate) struct Slot<M>(Arc<Inner>, PhantomData<fn() -> M>);

struct Inner {
    setup: Arc<Setup>,
    opened: OnceLock<Opened>,
    panicked: AtomicBool,
}

/// What is taken of the request's head when somebody asks for the session first.
pub(crate) struct Opened {
    request: RequestSession,
    context: CookieContext,
}

impl Opened {
    /// Releases the session.
    pub(crate) fn finish(&self) -> Finish {
        self.request.finish_in(self.context.clone())
    }

    /// Ends the request without storing what its handler changed.
    pub(crate) fn abandon(&self) -> Result<Reply> {
        self.request.abandon_in(&self.context)
    }

    /// Ends the request without an answer.
    pub(crate) fn close(&self) {
        self.request.close();
    }

    /// What the response must carry as things are now.
    pub(crate) fn owed(&self) -> Result<Reply> {
        self.request.owed_in(&self.context)
    }
}

impl<M> Clone for Slot<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), PhantomData)
    }
}

impl<M> Slot<M> {
    pub(crate) fn new(setup: Arc<Setup>) -> Self {
        let inner = Inner { setup, opened: OnceLock::new(), panicked: AtomicBool::new(false) };
        Self(Arc::new(inner), PhantomData)
    }

    pub(crate) fn setup(&self) -> &Arc<Setup> {
        &self.0.setup
    }

    /// Takes the tokens that the request presents, and how it came. Only the first call looks at it.
    pub(crate) fn open(&self, headers: &HeaderMap, uri: &Uri, extensions: &Extensions) {
        self.0.opened.get_or_init(|| {
            let manager = &self.0.setup.manager;
            let mut cookies = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
            // Nearly always there is one, which needs no list.
            let first = cookies.next().unwrap_or_default();
            let mut list: Vec<&[u8]> = cookies.collect();
            if !list.is_empty() {
                list.insert(0, first);
            }
            let header = manager.transport().header_name().and_then(|name| headers.get(name));
            let request = manager.request(Incoming {
                cookies: if list.is_empty() { std::slice::from_ref(&first) } else { &list },
                header: header.map(HeaderValue::as_bytes),
                query: uri.query(),
            });
            // How a client came that has its cookie already matters only where the cookie depends on it.
            let context = match &self.0.setup.context {
                Some(context) if !request.presents_nothing() => context.clone(),
                _ => manager.transport().context(connection::of(headers, uri, extensions)),
            };
            Opened { request, context }
        });
    }

    /// The session, with the tokens that were taken when it was opened.
    pub(crate) fn request(&self) -> &RequestSession {
        let nothing = || Opened {
            request: self.0.setup.manager.request(Incoming::default()),
            context: CookieContext::default(),
        };
        &self.0.opened.get_or_init(nothing).request
    }

    /// The session, if anybody has asked for it.
    pub(crate) fn opened(&self) -> Option<&Opened> {
        self.0.opened.get()
    }

    /// Notes that code which held the session panicked: what it did to it is not stored.
    pub(crate) fn poison(&self) {
        self.0.panicked.store(true, Ordering::Release);
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.0.panicked.load(Ordering::Acquire)
    }
}
