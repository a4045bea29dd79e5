//! How a request reached this server, on which the attributes of the cookie depend.

use std::net::IpAddr;

use http::uri::Scheme;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Uri};
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
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

pub(crate) fn of<'a>(headers: &'a HeaderMap, uri: &'a Uri, extensions: &Extensions) -> Connection<'a> {
    let ConnectionInfo { tls, peer } = extensions.get().copied().unwrap_or_default();
    // An HTTP/2 request names its host in the address.
    let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
    Connection {
        tls,
        peer: peer.or_else(|| axum_peer(extensions)),
        forwarded_proto: headers.get(FORWARDED_PROTO).map(HeaderValue::as_bytes),
        forwarded: headers.get(http::header::FORWARDED).map(HeaderValue::as_bytes),
        host: authority.or_else(|| headers.get(http::header::HOST).map(HeaderValue::as_bytes)),
        says_https: uri.scheme() == Some(&Scheme::HTTPS) || headers.contains_key(SEC_FETCH_SITE),
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

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn connection(request: &Request<()>) -> Connection<'_> {
        of(request.headers(), request.uri(), request.extensions())
    }

    #[test]
    fn the_host_comes_from_the_header_and_in_http_2_from_the_address() {
        let old = Request::builder().uri("/").header("host", "a.example.com:80").body(()).unwrap();
        assert_eq!(connection(&old).host, Some(&b"a.example.com:80"[..]));
        assert!(!connection(&old).says_https);
        let new = Request::builder().uri("https://b.example.com/").body(()).unwrap();
        assert_eq!(connection(&new).host, Some(&b"b.example.com"[..]));
        assert!(connection(&new).says_https);
        let none = Request::builder().uri("/").header("sec-fetch-site", "none").body(()).unwrap();
        assert_eq!(connection(&none).host, None);
        assert!(connection(&none).says_https);
    }

    #[test]
    fn what_the_server_knows_of_the_connection_is_passed_on() {
        let mut request = Request::builder().uri("/").header("x-forwarded-proto", "https").body(()).unwrap();
        let peer = Some(IpAddr::from([192, 0, 2, 1]));
        request.extensions_mut().insert(ConnectionInfo { tls: true, peer });
        let Connection { tls, peer: found, forwarded_proto, .. } = connection(&request);
        assert_eq!((tls, found, forwarded_proto), (true, peer, Some(&b"https"[..])));
    }
}
