//! How a request reached this server, on which the attributes of the cookie depend.

use std::net::IpAddr;

/// What a server knows of the connection that a request came by, for
/// [`SecureMode::Auto`](session_core::transport::SecureMode::Auto). Put it into the extensions of the request; with any other mode nobody looks.
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
