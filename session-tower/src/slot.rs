//! What the layer and the extractors of one request share: the session, once somebody has asked for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue, Uri};
use session_core::{Incoming, RequestSession};

use crate::layer::Setup;

/// In the request's extensions. An untouched request pays for this and for nothing else.
#[derive(Clone)]
pub(crate) struct Slot(Arc<Inner>);

struct Inner {
    setup: Arc<Setup>,
    session: OnceLock<RequestSession>,
    panicked: AtomicBool,
}

impl Slot {
    pub(crate) fn new(setup: Arc<Setup>) -> Self {
        Self(Arc::new(Inner { setup, session: OnceLock::new(), panicked: AtomicBool::new(false) }))
    }

    pub(crate) fn setup(&self) -> &Arc<Setup> {
        &self.0.setup
    }

    /// Takes the tokens that the request presents. Only the first call looks at it.
    pub(crate) fn open(&self, headers: &HeaderMap, uri: &Uri) {
        self.0.session.get_or_init(|| {
            let manager = &self.0.setup.manager;
            let mut cookies = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
            // Nearly always there is one, which needs no list.
            let first = cookies.next().unwrap_or_default();
            let mut list: Vec<&[u8]> = cookies.collect();
            if !list.is_empty() {
                list.insert(0, first);
            }
            let header = manager.transport().header_name().and_then(|name| headers.get(name));
            manager.request(Incoming {
                cookies: if list.is_empty() { std::slice::from_ref(&first) } else { &list },
                header: header.map(HeaderValue::as_bytes),
                query: uri.query(),
            })
        });
    }

    /// The session, with the tokens that were taken when it was opened.
    pub(crate) fn request(&self) -> &RequestSession {
        self.0.session.get_or_init(|| self.0.setup.manager.request(Incoming::default()))
    }

    /// The session, if anybody has asked for it.
    pub(crate) fn touched(&self) -> Option<&RequestSession> {
        self.0.session.get()
    }

    /// Notes that code which held the session panicked: what it did to it is not stored.
    pub(crate) fn poison(&self) {
        self.0.panicked.store(true, Ordering::Release);
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.0.panicked.load(Ordering::Acquire)
    }
}
