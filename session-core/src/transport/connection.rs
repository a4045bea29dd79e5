//! How the client reached this server, and which proxies are trusted to report it.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::host;
use crate::{Error, Result};

/// Whether the cookie is written with `Secure`, which makes browsers send it over TLS only.
///
/// Over plain HTTP browsers drop a cookie with `Secure`, so every request starts a new session,
/// except on the browser's own machine (`http://localhost`, `http://127.0.0.1`, `http://[::1]`),
/// where only Safari drops it. To try a service in Safari, or from another machine without TLS, use
/// [`Never`](Self::Never) and a cookie name without a prefix
/// ([`CookieSettings::named`](super::CookieSettings::named)). The event
/// `secure_cookie_over_plain_http` is logged when this happens at another address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SecureMode {
    /// Always, regardless of the connection: behind a proxy that terminates TLS, this server sees
    /// plain HTTP. The default.
    #[default]
    Always,
    /// Never: for a service that is reached over plain HTTP.
    Never,
    /// When the client connected over TLS: to this server, or to one of these proxies if the proxy
    /// reports it.
    Auto(TrustedProxies),
}

impl SecureMode {
    /// Returns whether the response to a request on this connection has `Secure`.
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

/// How a request reached this server, as far as the cookie depends on it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Connection<'a> {
    /// Whether this server itself terminated TLS.
    pub tls: bool,
    /// The peer of the connection: the client, or the last proxy.
    pub peer: Option<IpAddr>,
    /// The value of `X-Forwarded-Proto`.
    pub forwarded_proto: Option<&'a [u8]>,
    /// The value of `Forwarded` (RFC 7239).
    pub forwarded: Option<&'a [u8]>,
    /// The host that the client requested: the value of `Host`, or the authority of an HTTP/2
    /// request; with or without a port.
    pub host: Option<&'a [u8]>,
    /// Whether the request itself claims that the client connected over TLS: by the scheme of an
    /// HTTP/2 request, or by a `Sec-Fetch-Site` header, which browsers send only over TLS and to
    /// their own machine. Every client can claim this, so it only decides about a warning.
    pub says_https: bool,
}

impl Connection<'_> {
    /// Returns whether the client is known to have connected over plain HTTP to a host other than
    /// its own machine. Browsers drop `Secure` cookies there. Nothing is known behind a local proxy
    /// that sends no forwarding header.
    pub(super) fn is_plain_http(self) -> bool {
        let is_remote = self.host.is_some_and(|host| !host::is_loopback(host));
        let says_how = self.forwarded_proto.is_some() || self.forwarded.is_some();
        let is_behind_proxy = self.peer.is_some_and(|peer| peer.to_canonical().is_loopback());
        let is_unknown = is_behind_proxy && !says_how;
        is_remote && !self.tls && !self.says_https && !self.forwarded_https() && !is_unknown
    }

    /// Returns whether the headers report TLS for the first hop, the one between the client and the
    /// outermost proxy.
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

/// The proxies whose forwarding headers are trusted; none by default, because every client can send
/// such headers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    unix_sockets: bool,
}

impl TrustedProxies {
    /// Trusts no proxy: only the connection itself counts.
    #[must_use]
    pub const fn none() -> Self {
        Self { networks: Vec::new(), unix_sockets: false }
    }

    /// Parses addresses and networks, such as `10.0.0.0/8`, `192.168.1.7` or `fd00::/8`. An IPv4
    /// network may be given in its IPv6 form, `::ffff:10.0.0.0/104`.
    ///
    /// [`Config`](crate::ErrorKind::Config) when one is neither.
    pub fn parse<'a>(networks: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let one = |text: &str| {
            let text = text.trim();
            let network = text.parse::<IpNet>().ok();
            let network = network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
            network.map(canonical).ok_or_else(|| {
                Error::config(format!(
                    "a trusted proxy is an address or a network such as 10.0.0.0/8, not `{}`",
                    text.escape_debug()
                ))
            })
        };
        let networks = networks.into_iter().map(one).collect::<Result<_>>()?;
        Ok(Self { networks, unix_sockets: false })
    }

    /// Sets whether a peer without an address is trusted: a proxy that connects to this server's
    /// Unix socket. Default no.
    ///
    /// Turn it on only when this server listens on Unix sockets alone, or the adapter reports the
    /// address of every other peer: any peer without a known address is then trusted.
    #[must_use]
    pub const fn unix_sockets(mut self, trusted: bool) -> Self {
        self.unix_sockets = trusted;
        self
    }

    fn trust(&self, peer: Option<IpAddr>) -> bool {
        let Some(peer) = peer else { return self.unix_sockets };
        // A socket that listens on IPv6 shows IPv4 peers as ::ffff:10.0.0.1.
        let canonical = peer.to_canonical();
        self.networks.iter().any(|network| network.contains(&canonical) || network.contains(&peer))
    }
}

/// Converts an IPv6 network of mapped addresses to its IPv4 network.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let bits = mapped.prefix_len().checked_sub(96);
    let network = mapped.addr().to_ipv4_mapped().zip(bits).and_then(|(ip, bits)| Ipv4Net::new(ip, bits).ok());
    network.map_or(IpNet::V6(mapped), IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from<'a>(peer: &str) -> Connection<'a> {
        Connection { peer: Some(peer.parse().unwrap()), ..Connection::default() }
    }

    #[test]
    fn forwarding_headers_are_trusted_from_configured_proxies_only() {
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
        for plain in [&b"proto=http"[..], b"by=https;proto=http", b"for=https", b"proto=;by=https", b"proto"]
        {
            let connection = Connection { forwarded: Some(plain), ..from("10.2.3.4") };
            assert!(!auto.applies(connection), "{}", plain.escape_ascii());
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
    fn a_proxy_that_is_not_an_address_is_refused_by_name() {
        let error = TrustedProxies::parse(["10.0.0.0/8", "proxy.local"]).unwrap_err();
        assert!(error.message().contains("proxy.local"), "{error}");
    }

    #[test]
    fn an_ipv4_network_may_be_written_in_its_ipv6_form() {
        let proxies =
            TrustedProxies::parse(["::ffff:10.0.0.0/104", "::ffff:192.0.2.1", "2001:db8::/32"]).unwrap();
        for (peer, trusted) in [
            ("10.2.3.4", true),
            ("::ffff:10.2.3.4", true),
            ("11.2.3.4", false),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("2001:db8::1", true),
            ("::1", false),
        ] {
            assert_eq!(proxies.trust(Some(peer.parse().unwrap())), trusted, "{peer}");
        }
        let everybody = TrustedProxies::parse(["::/0"]).unwrap();
        assert!(everybody.trust(Some("::ffff:10.2.3.4".parse().unwrap())));
    }

    #[test]
    fn a_proxy_on_a_unix_socket_is_trusted_when_configured() {
        let https = Connection { forwarded_proto: Some(b"https"), ..Connection::default() };
        let none = TrustedProxies::none();
        assert!(!SecureMode::Auto(none.clone()).applies(https));
        assert!(SecureMode::Auto(none.clone().unix_sockets(true)).applies(https));
        assert!(!SecureMode::Auto(none.clone().unix_sockets(true)).applies(Connection::default()));
        let by_address = Connection { peer: Some("192.0.2.1".parse().unwrap()), ..https };
        assert!(!SecureMode::Auto(none.unix_sockets(true)).applies(by_address), "the peer has an address");
    }

    #[test]
    fn plain_http_is_distinguished_from_an_unknown_scheme() {
        let host = Connection { host: Some(b"192.168.1.7:3000"), ..Connection::default() };
        assert!(host.is_plain_http());
        assert!(Connection { host: Some(b"devbox.local"), ..host }.is_plain_http());
        assert!(Connection { forwarded_proto: Some(b"http"), ..host }.is_plain_http());
        let local_peer = Connection { peer: Some("127.0.0.1".parse().unwrap()), ..host };
        assert!(Connection { forwarded_proto: Some(b"http"), ..local_peer }.is_plain_http());
        for unknown_or_safe in [
            Connection::default(),
            Connection { tls: true, ..host },
            Connection { forwarded_proto: Some(b"https"), ..host },
            Connection { forwarded: Some(b"for=192.0.2.1;proto=https"), ..host },
            Connection { says_https: true, ..host },
            Connection { host: Some(b"localhost:3000"), ..host },
            local_peer,
        ] {
            assert!(!unknown_or_safe.is_plain_http(), "{unknown_or_safe:?}");
        }
    }
}
