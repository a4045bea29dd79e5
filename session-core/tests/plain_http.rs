//! Browsers silently drop a `Secure` cookie over plain HTTP; operators are warned once.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use session_core::id::Token;
use session_core::transport::{Connection, CookieSettings, SecureMode, Transport, TrustedProxies};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Counts warnings.
#[derive(Default, Clone)]
struct Warnings(Arc<AtomicUsize>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

// A single test, because the event is logged once per process.
#[test]
fn a_secure_cookie_over_plain_http_is_logged_once_unless_browsers_keep_it() {
    let warnings = Warnings::default();
    tracing::subscriber::set_global_default(warnings.clone()).unwrap();
    let given = || warnings.0.load(Ordering::SeqCst);
    let token = Token::new("0123456789abcdef").unwrap();
    let answer = |transport: &Transport, connection: Connection<'_>| {
        transport.set(&token, None, &transport.context(connection)).unwrap().for_each(drop);
    };
    let default = Transport::default();
    let lan = Connection { host: Some(b"192.168.1.7:3000"), ..Connection::default() };
    answer(&default, Connection::default());
    answer(&default, Connection { host: Some(b"localhost:3000"), ..lan });
    answer(&default, Connection { host: Some(b"127.0.0.1"), ..lan });
    answer(&default, Connection { tls: true, ..lan });
    answer(&default, Connection { forwarded_proto: Some(b"https"), ..lan });
    answer(&default, Connection { says_https: true, ..lan });
    let named = CookieSettings::named("id");
    answer(&Transport::cookie(named.clone().secure(SecureMode::Never)), lan);
    answer(&Transport::cookie(named.clone().secure(SecureMode::Auto(TrustedProxies::none()))), lan);
    answer(&Transport::cookie(named.send(false)), lan);
    answer(&Transport::header("X-Session"), lan);
    default.remove(&default.context(lan)).for_each(drop);
    assert_eq!(given(), 0);
    for _ in 0..3 {
        answer(&default, lan);
    }
    answer(&Transport::cookie(CookieSettings::host_prefixed("other")), lan);
    assert_eq!(given(), 1);
}
