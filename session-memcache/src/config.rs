//! Where the servers are, and how they are used: the seeds' string, a URL, or a builder.

use std::str::FromStr;
use std::time::Duration;

use session_core::{Error, Result};

const EXPECTED: &str = "expected `host:port;host:port` or \
    `memcache://host:port,host:port/?prefix=session:&timeout=5s&connections=64&item_max=1048576`";

const DEFAULT_PORT: u16 = 11211;
/// memcached's keys have 250 bytes at most, and 64 of them are the hexadecimal storage id.
const MAX_PREFIX: usize = 100;

/// How memcached is reached.
///
/// ```
/// use session_memcache::MemcacheConfig;
///
/// let seed: MemcacheConfig = "10.0.0.1:11211;10.0.0.2:11211".parse()?;
/// let url: MemcacheConfig = "memcache://10.0.0.1,10.0.0.2".parse()?;
/// assert_eq!(seed, url);
/// assert_eq!(seed, MemcacheConfig::new(["10.0.0.1", "10.0.0.2"])?);
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemcacheConfig {
    pub(crate) servers: Vec<String>,
    pub(crate) prefix: String,
    pub(crate) timeout: Duration,
    pub(crate) connections: usize,
    pub(crate) item_max: usize,
}

impl MemcacheConfig {
    /// These servers, each as `host` or `host:port` (11211 when there is none), and the defaults of the setters.
    ///
    /// Every process must name the same servers in the same words: a session's server is chosen by hashing its
    /// id with each name. The order does not matter.
    ///
    /// [`Config`](session_core::ErrorKind::Config) when there is none, one is twice in the list, or is no address.
    pub fn new<S: AsRef<str>>(servers: impl IntoIterator<Item = S>) -> Result<Self> {
        let servers = (1..).zip(servers).map(|(number, server)| address(number, server.as_ref()));
        let servers = servers.collect::<Result<Vec<_>>>()?;
        if servers.is_empty() {
            return Err(wrong("there is no server in it"));
        }
        if let Some(twice) = servers.iter().enumerate().find(|(at, server)| servers[..*at].contains(server)) {
            return Err(wrong(&format!("the server `{}` is in it twice", twice.1)));
        }
        Ok(Self {
            servers,
            prefix: "session:".to_owned(),
            timeout: Duration::from_secs(5),
            connections: 64,
            item_max: 1024 * 1024,
        })
    }

    /// What stands before the storage id in every key, `session:` by default: up to 100 visible ASCII characters,
    /// or nothing. Applications that share servers and not sessions need different ones.
    pub fn prefix(mut self, prefix: &str) -> Result<Self> {
        if prefix.len() > MAX_PREFIX || !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("`prefix` takes up to 100 visible ASCII characters, and no spaces"));
        }
        prefix.clone_into(&mut self.prefix);
        Ok(self)
    }

    /// How long connecting may take, and how long an answer: 5 s by default. It is the outer bound for those who
    /// call the provider directly; a manager's deadline is usually shorter and ends a call first.
    pub fn timeout(mut self, timeout: Duration) -> Result<Self> {
        if timeout.is_zero() {
            return Err(wrong("`timeout` must be longer than nothing, as in `500ms` or `5s`"));
        }
        self.timeout = timeout;
        Ok(self)
    }

    /// How many connections to each server at most: 64 by default. A request holds one for one round trip; more
    /// requests than that wait for their turn.
    pub fn connections(mut self, connections: usize) -> Result<Self> {
        if !(1..=10_000).contains(&connections) {
            return Err(wrong("`connections` takes a number from 1 to 10000"));
        }
        self.connections = connections;
        Ok(self)
    }

    /// The servers' largest item in bytes, 1,048,576 by default; what their option `-I` says, if it is used.
    /// Larger records are refused before they are sent, because memcached answers an item that is too large by
    /// removing the one that is stored.
    pub fn item_max(mut self, bytes: usize) -> Result<Self> {
        if !(1024..=1024 * 1024 * 1024).contains(&bytes) {
            return Err(wrong("`item_max` takes bytes, from 1024 to 1073741824"));
        }
        self.item_max = bytes;
        Ok(self)
    }

    fn option(self, name: &str, value: &str) -> Result<Self> {
        match name {
            "prefix" => self.prefix(value),
            "timeout" => match duration(value) {
                Some(timeout) => self.timeout(timeout),
                None => Err(wrong("`timeout` takes a whole number with its unit, as in `500ms` or `5s`")),
            },
            "connections" => self.connections(value.parse().unwrap_or(0)),
            "item_max" => self.item_max(value.parse().unwrap_or(0)),
            _ => Err(wrong("an option is none of `prefix`, `timeout`, `connections` and `item_max`")),
        }
    }
}

impl FromStr for MemcacheConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        // No error repeats what was given: it may be another engine's string, with a password in it.
        if text.contains('@') {
            return Err(wrong(
                "it has a user or a password, and this protocol has no login: keep memcached on a private network",
            ));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Self::new(text.split(';').map(str::trim));
        };
        if scheme != "memcache" {
            return Err(wrong("its scheme is not `memcache` (only TCP without TLS is spoken)"));
        }
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let servers = place.strip_suffix('/').unwrap_or(place);
        if servers.contains('/') {
            return Err(wrong(
                "there is a path in it, and memcached has no databases (nor are Unix sockets spoken)",
            ));
        }
        let config = Self::new(servers.split(','))?;
        options.split('&').filter(|option| !option.is_empty()).try_fold(config, |config, option| {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            config.option(name, value)
        })
    }
}

/// `host`, `host:port`, `[::1]` or `[::1]:port`, always returned with its port.
fn address(number: usize, text: &str) -> Result<String> {
    let bad = |why: &str| wrong(&format!("server {number} {why}"));
    let (host, port) = match text.rfind(':') {
        Some(colon) if !text.ends_with(']') => (&text[..colon], Some(&text[colon + 1..])),
        _ => (text, None),
    };
    if host.is_empty() {
        return Err(bad("has no host"));
    }
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_is_good = match bracketed {
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')),
    };
    if !host_is_good {
        return Err(bad("is no host name and no IP address (IPv6 is written `[::1]:11211`)"));
    }
    match port.map_or(Ok(DEFAULT_PORT), str::parse) {
        Ok(port) if port != 0 => Ok(format!("{}:{port}", host.to_ascii_lowercase())),
        _ => Err(bad("has a port that is not a number from 1 to 65535")),
    }
}

fn duration(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(millis) => millis.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s')?.parse().ok().map(Duration::from_secs),
    }
}

fn wrong(why: &str) -> Error {
    Error::config(format!("{why}; {EXPECTED}")).in_engine(crate::ENGINE)
}

#[cfg(test)]
mod tests {
    use session_core::ErrorKind;

    use super::*;

    fn parse(text: &str) -> Result<MemcacheConfig> {
        text.parse()
    }

    #[test]
    fn the_seeds_strings_and_urls_name_the_same_servers() {
        assert_eq!(parse("127.0.0.1:7080").unwrap().servers, ["127.0.0.1:7080"]);
        assert_eq!(parse(" Cache-1 ; [::1]:7 ").unwrap().servers, ["cache-1:11211", "[::1]:7"]);
        assert_eq!(parse("[::1]").unwrap().servers, ["[::1]:11211"]);
        let config =
            parse("memcache://a,b:2/?prefix=shop/&timeout=250ms&connections=8&item_max=2097152").unwrap();
        assert_eq!(config.servers, ["a:11211", "b:2"]);
        assert_eq!(config.prefix, "shop/");
        assert_eq!(config.timeout, Duration::from_millis(250));
        assert_eq!((config.connections, config.item_max), (8, 2_097_152));
        assert_eq!(parse("memcache://a?timeout=2s").unwrap().timeout, Duration::from_secs(2));
    }

    #[test]
    fn a_wrong_string_says_what_is_wrong_and_shows_no_password() {
        for (text, why) in [
            ("", "server 1 has no host"),
            (";", "server 1 has no host"),
            ("127.0.0.1:11211;", "server 2 has no host"),
            (":11211", "no host"),
            ("127.0.0.1:", "port"),
            ("127.0.0.1:0", "port"),
            ("127.0.0.1:65536", "port"),
            ("127.0.0.1:eleven", "port"),
            ("127.0.0.1:11211,127.0.0.1:11212", "no host name"),
            ("127.0.0.1:6379,100,hunter2", "port"),
            ("a;b;a:11211", "twice"),
            ("::1", "no host name"),
            ("[::g]:11211", "no host name"),
            ("cache one:11211", "no host name"),
            ("/var/run/memcached.sock", "no host name"),
            ("cache\r\nflush_all:11211", "no host name"),
            ("user:hunter2@127.0.0.1:11211", "no login"),
            ("memcache://user:hunter2@127.0.0.1:11211", "no login"),
            ("memcache://", "no host"),
            ("memcache://a/0", "path"),
            ("memcache:///var/run/memcached.sock", "path"),
            ("memcached://a", "scheme"),
            ("redis://a", "scheme"),
            ("memcache://a?pool=3", "none of `prefix`"),
            ("memcache://a?prefix=a%20b c", "prefix"),
            ("memcache://a?timeout=5", "timeout"),
            ("memcache://a?timeout=0s", "timeout"),
            ("memcache://a?timeout", "timeout"),
            ("memcache://a?connections=0", "connections"),
            ("memcache://a?connections=many", "connections"),
            ("memcache://a?item_max=1m", "item_max"),
            ("memcache://a?item_max=2147483648", "item_max"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Config, "{text:?}");
            assert!(error.message().contains(why), "{text:?}: {error}");
            assert!(error.message().contains("expected `host:port;host:port`"), "{text:?}: {error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{text:?}: {error}");
        }
    }
}
