//! How a request reached us, which decides about `Secure` when the configuration says "auto".

use std::net::IpAddr;

use http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use session_core::Connection;

/// What a server knows of the connection that a request came by, for
/// [`SecureMode::Auto`](session_core::SecureMode::Auto). Put it into the extensions of the request; with any other mode nobody looks.
///
/// axum's `ConnectInfo<SocketAddr>` gives the peer as well, so that under axum only a server that ends TLS itself
/// needs this.
///
/// ```
/// # use session_tower::ConnectionInfo;
/// # let mut request = http::Request::new(());
/// request.extensions_mut().insert(ConnectionInfo { tls: true, peer: None });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectionInfo {
    /// Whether this server itself ended TLS.
    pub tls: bool,
    /// Who is at the other end: the client, or the last proxy.
    pub peer: Option<IpAddr>,
}

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

pub(crate) fn of<'a>(headers: &'a HeaderMap, extensions: &Extensions) -> Connection<'a> {
    let ConnectionInfo { tls, peer } = extensions.get().copied().unwrap_or_default();
    Connection {
        tls,
        peer: peer.or_else(|| axum_peer(extensions)),
        forwarded_proto: headers.get(FORWARDED_PROTO).map(HeaderValue::as_bytes),
        forwarded: headers.get(http::header::FORWARDED).map(HeaderValue::as_bytes),
    }
}

#[cfg(feature = "axum")]
fn axum_peer(extensions: &Extensions) -> Option<IpAddr> {
    use axum::extract::ConnectInfo;
    extensions.get::<ConnectInfo<std::net::SocketAddr>>().map(|ConnectInfo(peer)| peer.ip())
}

#[cfg(not(feature = "axum"))]
const fn axum_peer(_: &Extensions) -> Option<IpAddr> {
    None
}
