//! Whether the client reached us over TLS, and whom we believe about that.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::{Error, Result};

/// Whether the cookie is written with `Secure`, which makes browsers send it over TLS only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SecureMode {
    /// Always, whatever the connection: behind a proxy that ends TLS this server sees plain HTTP. The default.
    #[default]
    Always,
    /// Never: for a service that is reached over plain HTTP.
    Never,
    /// When the client came over TLS: to this server, or to one of these proxies if the proxy says so.
    Auto(TrustedProxies),
}

impl SecureMode {
    /// Whether `Secure` is written in answer to a request that came this way.
    pub fn applies(&self, connection: Connection<'_>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto(proxies) => {
                connection.tls || (proxies.trust(connection.peer) && connection.forwarded_https())
            }
        }
    }
}

/// How a request reached this server, as far as `Secure` depends on it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Connection<'a> {
    /// Whether this server itself ended TLS.
    pub tls: bool,
    /// Who is at the other end of the connection: the client, or the last proxy.
    pub peer: Option<IpAddr>,
    /// The value of `X-Forwarded-Proto`.
    pub forwarded_proto: Option<&'a [u8]>,
    /// The value of `Forwarded` (RFC 7239).
    pub forwarded: Option<&'a [u8]>,
}

impl Connection<'_> {
    /// What the headers say of the first hop, the one between the client and the outermost proxy.
    fn forwarded_https(self) -> bool {
        let by_proto = self.forwarded_proto.is_some_and(|value| is_https(first_element(value)));
        let by_standard = self.forwarded.is_some_and(|value| {
            first_element(value).split(|byte| *byte == b';').any(|pair| {
                let mut halves = pair.splitn(2, |byte| *byte == b'=');
                let is_proto =
                    halves.next().is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"proto"));
                is_proto && halves.next().is_some_and(is_https)
            })
        });
        by_proto || by_standard
    }
}

fn first_element(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == b',').next().unwrap_or_default()
}

fn is_https(scheme: &[u8]) -> bool {
    let scheme = scheme.trim_ascii();
    let unquoted = scheme.strip_prefix(b"\"").and_then(|scheme| scheme.strip_suffix(b"\""));
    unquoted.unwrap_or(scheme).eq_ignore_ascii_case(b"https")
}

/// The proxies whose forwarding headers are believed; none by default, because every client can send such headers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// No proxy: only the connection itself counts.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Addresses and networks, such as `10.0.0.0/8`, `192.168.1.7` or `fd00::/8`.
    ///
    /// [`Config`](crate::ErrorKind::Config) when one is neither.
    pub fn parse<'a>(networks: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let one = |text: &str| {
            let text = text.trim();
            let network = text.parse::<IpNet>().ok();
            network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)).ok_or_else(|| {
                Error::config(format!(
                    "a trusted proxy is an address or a network such as 10.0.0.0/8, not `{}`",
                    text.escape_debug()
                ))
            })
        };
        networks.into_iter().map(one).collect::<Result<_>>().map(Self)
    }

    fn trust(&self, peer: Option<IpAddr>) -> bool {
        // A socket that listens on IPv6 shows IPv4 peers as ::ffff:10.0.0.1.
        peer.map(|peer| peer.to_canonical()).is_some_and(|peer| self.0.iter().any(|net| net.contains(&peer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from<'a>(peer: &str) -> Connection<'a> {
        Connection { peer: Some(peer.parse().unwrap()), ..Connection::default() }
    }

    #[test]
    fn forwarding_headers_are_believed_from_configured_proxies_only() {
        let auto = SecureMode::Auto(TrustedProxies::parse(["10.0.0.0/8", "fd00::1"]).unwrap());
        for (peer, believed) in [
            ("10.2.3.4", true),
            ("::ffff:10.2.3.4", true),
            ("fd00::1", true),
            ("fd00::2", false),
            ("192.0.2.1", false),
        ] {
            let proto = Connection { forwarded_proto: Some(b"https, http"), ..from(peer) };
            assert_eq!(auto.applies(proto), believed, "{peer}");
            let standard =
                Connection { forwarded: Some(b"for=1.2.3.4;Proto=\"HTTPS\", proto=http"), ..from(peer) };
            assert_eq!(auto.applies(standard), believed, "{peer}");
        }
        for plain in [&b"http"[..], b"http, https", b"", b"\xff"] {
            let connection =
                Connection { forwarded_proto: Some(plain), forwarded: Some(plain), ..from("10.2.3.4") };
            assert!(!auto.applies(connection));
        }
        assert!(!auto.applies(Connection { forwarded_proto: Some(b"https"), ..Connection::default() }));
    }

    #[test]
    fn secure_is_always_written_when_it_is_on_and_auto_follows_the_connection() {
        let auto = SecureMode::Auto(TrustedProxies::none());
        for (tls, expected) in [(false, [true, false, false]), (true, [true, false, true])] {
            let connection = Connection { tls, forwarded_proto: Some(b"https"), ..from("127.0.0.1") };
            let modes = [SecureMode::default(), SecureMode::Never, auto.clone()];
            assert_eq!(modes.map(|mode| mode.applies(connection)), expected);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_by_name() {
        let error = TrustedProxies::parse(["10.0.0.0/8", "proxy.local"]).unwrap_err();
        assert!(error.message().contains("proxy.local"), "{error}");
    }
}
