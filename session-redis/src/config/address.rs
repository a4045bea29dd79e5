//! The address of a server, and the mapping of announced addresses.

use std::fmt;
use std::path::PathBuf;

/// The address of a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl Address {
    /// Parses an address. The error does not contain the text itself: it may be a password in the
    /// wrong place.
    pub fn parse(text: &str, default_port: u16) -> Result<Self, &'static str> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or("has a `[` without its `]`")?;
                (
                    host,
                    if port.is_empty() {
                        None
                    } else {
                        Some(port.strip_prefix(':').ok_or("has no `:` after its `]`")?)
                    },
                )
            }
            None => match text.rsplit_once(':') {
                Some((host, _)) if host.contains(':') => {
                    return Err("has several `:`: put an IPv6 address in `[]`");
                }
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let in_a_host = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        if host.is_empty() || !host.chars().all(in_a_host) {
            return Err("has no host, or an invalid one");
        }
        let port = port.map_or(Some(default_port), |port| port.parse().ok().filter(|port| *port > 0));
        Ok(Self::Tcp(host.to_owned(), port.ok_or("has a port that is not a number from 1 to 65535")?))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A mapping of the addresses that nodes and sentinels announce. Empty by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AddressMap(Vec<(Host, Host)>);

/// A host, and a port unless the entry applies to all ports.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Host {
    name: String,
    port: Option<u16>,
}

impl Host {
    fn parse(text: &str) -> Result<Self, &'static str> {
        // Zero is not a valid port, so it marks a missing one.
        match Address::parse(text.trim(), 0)? {
            Address::Tcp(name, port) => Ok(Self { name, port: (port != 0).then_some(port) }),
            Address::Unix(_) => Err("is a path"),
        }
    }
}

impl AddressMap {
    /// Adds an entry: `host:port` or `host` on both sides. A target without a port keeps the
    /// announced one.
    pub fn add(&mut self, announced: &str, reached_at: &str) -> Result<(), &'static str> {
        self.0.push((Host::parse(announced)?, Host::parse(reached_at)?));
        Ok(())
    }

    /// Returns the address to connect to.
    pub fn reach(&self, announced: &Address) -> Address {
        let Address::Tcp(host, port) = announced else { return announced.clone() };
        let is_meant = |from: &Host| from.name == *host && from.port.is_none_or(|only| only == *port);
        match self.0.iter().find(|(from, _)| is_meant(from)) {
            Some((_, to)) => Address::Tcp(to.name.clone(), to.port.unwrap_or(*port)),
            None => announced.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_keeps_its_port_unless_another_is_given() {
        let mut map = AddressMap::default();
        map.add("10.0.0.1:7000", "a.example:7100").unwrap();
        map.add("10.0.0.2", "b.example").unwrap();
        map.add("[fd00::1]", "c.example:1").unwrap();
        for (announced, reached_at) in [
            (("10.0.0.1", 7_000), ("a.example", 7_100)),
            (("10.0.0.1", 7_001), ("10.0.0.1", 7_001)),
            (("10.0.0.2", 7_002), ("b.example", 7_002)),
            (("fd00::1", 6_379), ("c.example", 1)),
        ] {
            let address = |(host, port): (&str, u16)| Address::Tcp(host.to_owned(), port);
            assert_eq!(map.reach(&address(announced)), address(reached_at));
        }
        assert!(map.add("10.0.0.1:0", "a").is_err() && map.add("/run/redis.sock", "a").is_err());
    }
}
