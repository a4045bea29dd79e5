//! The connection of a request, which the attributes of the cookie depend on.

use std::net::IpAddr;

/// The connection of a request, for
/// [`SecureMode::Auto`](session_core::transport::SecureMode::Auto). Put it into the extensions of
/// the request; other modes ignore it.
///
/// axum's `ConnectInfo<SocketAddr>` also contains the peer, so with axum only a server that
/// terminates TLS itself needs this.
///
/// ```
/// # use session_tower::ConnectionInfo;
/// # let mut request = http::Request::new(());
/// request.extensions_mut().insert(ConnectionInfo { tls: true, peer: None });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectionInfo {
    /// Whether this server itself terminated TLS.
    pub tls: bool,
    /// The peer of the connection: the client, or the last proxy.
    pub peer: Option<IpAddr>,
}
