//! The host of a request, from its `Host` header.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Returns the name or address without the port; `None` if it cannot be a host.
pub(super) fn name(host: &[u8]) -> Option<&str> {
    let host = std::str::from_utf8(host.trim_ascii()).ok()?;
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    // A fully qualified name may end with a dot.
    let name = name.strip_suffix('.').unwrap_or(name);
    (!name.is_empty()).then_some(name)
}

/// Returns whether the host is the client's own machine, where browsers accept `Secure` cookies
/// over plain HTTP.
pub(super) fn is_loopback(host: &[u8]) -> bool {
    let Some(name) = name(host) else { return false };
    let is_localhost = |name: &str| name.eq_ignore_ascii_case("localhost");
    is_localhost(name)
        || name.rsplit_once('.').is_some_and(|(_, last)| is_localhost(last))
        || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || name.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}

/// Returns whether `name` is the domain or one of its subdomains, which browsers require of a
/// cookie's domain (RFC 6265 section 5.1.3).
pub(super) fn is_within(name: &str, domain: &str) -> bool {
    let Some(start) = name.len().checked_sub(domain.len()) else { return false };
    let Some((before, end)) = name.split_at_checked(start) else { return false };
    end.eq_ignore_ascii_case(domain) && (before.is_empty() || before.ends_with('.') && !is_address(name))
}

fn is_address(name: &str) -> bool {
    name.parse::<Ipv4Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_not_part_of_the_name() {
        for (host, expected) in [
            (&b"example.com"[..], Some("example.com")),
            (b"example.com:8080", Some("example.com")),
            (b" example.com. ", Some("example.com")),
            (b"[::1]:80", Some("::1")),
            (b"[::1", None),
            (b":80", None),
            (b"", None),
            (b"\xff", None),
        ] {
            assert_eq!(name(host), expected, "{}", host.escape_ascii());
        }
    }

    #[test]
    fn loopback_hosts_have_several_names() {
        for host in [
            &b"localhost"[..],
            b"LocalHost:3000",
            b"app.localhost",
            b"127.0.0.1:80",
            b"127.9.9.9",
            b"[::1]:80",
        ] {
            assert!(is_loopback(host), "{}", host.escape_ascii());
        }
        for host in
            [&b"localhost.example.com"[..], b"192.168.1.7", b"notlocalhost", b"[::2]", b"", b"128.0.0.1"]
        {
            assert!(!is_loopback(host), "{}", host.escape_ascii());
        }
    }

    #[test]
    fn a_name_is_within_its_domain_and_its_parents() {
        for (name, domain) in
            [("example.com", "example.com"), ("A.Example.com", "example.com"), ("a.b.c", "c")]
        {
            assert!(is_within(name, domain), "{name} {domain}");
        }
        for (name, domain) in [
            ("badexample.com", "example.com"),
            ("com", "example.com"),
            ("10.0.0.1", "0.0.1"),
            ("ä.de", "¤.de"),
        ] {
            assert!(!is_within(name, domain), "{name} {domain}");
        }
    }
}
