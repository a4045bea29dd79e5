//! Adapts the head of a request to `session_core::adapter`.

use std::net::IpAddr;

use http::header::{COOKIE, FORWARDED, HOST};
use http::{Extensions, HeaderMap, HeaderName as Name, HeaderValue, Uri};
use session_core::adapter::{HeaderName, RequestHead};

use crate::ConnectionInfo;

const X_FORWARDED_PROTO: Name = Name::from_static("x-forwarded-proto");
const SEC_FETCH_SITE: Name = Name::from_static("sec-fetch-site");

#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    pub headers: &'a HeaderMap,
    pub uri: &'a Uri,
    pub extensions: &'a Extensions,
}

impl Head<'_> {
    fn info(&self) -> ConnectionInfo {
        self.extensions.get().copied().unwrap_or_default()
    }
}

impl RequestHead for Head<'_> {
    fn values(&self, name: HeaderName<'_>) -> impl Iterator<Item = &[u8]> {
        let values = match name {
            HeaderName::Cookie => self.headers.get_all(COOKIE),
            HeaderName::Host => self.headers.get_all(HOST),
            HeaderName::Forwarded => self.headers.get_all(FORWARDED),
            HeaderName::XForwardedProto => self.headers.get_all(X_FORWARDED_PROTO),
            HeaderName::SecFetchSite => self.headers.get_all(SEC_FETCH_SITE),
            other => self.headers.get_all(other.as_str()),
        };
        values.iter().map(HeaderValue::as_bytes)
    }

    fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    fn scheme(&self) -> Option<&str> {
        self.uri.scheme_str()
    }

    fn authority(&self) -> Option<&str> {
        self.uri.authority().map(http::uri::Authority::as_str)
    }

    fn is_tls(&self) -> bool {
        self.info().tls
    }

    fn peer(&self) -> Option<IpAddr> {
        self.info().peer.or_else(|| axum_peer(self.extensions))
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

    fn head(request: &Request<()>) -> Head<'_> {
        Head { headers: request.headers(), uri: request.uri(), extensions: request.extensions() }
    }

    #[test]
    fn an_http_2_request_has_its_scheme_and_its_host_in_the_uri() {
        let old = Request::builder().uri("/").header("host", "a.example.com:80").body(()).unwrap();
        let head_of_old = head(&old);
        assert_eq!((head_of_old.scheme(), head_of_old.authority()), (None, None));
        assert_eq!(head_of_old.values(HeaderName::Host).collect::<Vec<_>>(), [&b"a.example.com:80"[..]]);
        let new = Request::builder().uri("https://b.example.com/").body(()).unwrap();
        assert_eq!((head(&new).scheme(), head(&new).authority()), (Some("https"), Some("b.example.com")));
    }

    #[test]
    fn the_connection_info_is_passed_on() {
        let mut request = Request::builder().uri("/").body(()).unwrap();
        assert_eq!((head(&request).is_tls(), head(&request).peer()), (false, None));
        let peer = Some(IpAddr::from([192, 0, 2, 1]));
        request.extensions_mut().insert(ConnectionInfo { tls: true, peer });
        assert_eq!((head(&request).is_tls(), head(&request).peer()), (true, peer));
    }
}
