//! The configuration: Beego's string, a URL, or a builder.

use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use session_core::{Error, Result, Secret};

use crate::address;
use crate::connection::Login;

const EXPECTED: &str = "expected `host:port;host:port`, `/path/of/socket`, or \
    `memcache://user:password@host:port,host:port/?prefix=session:&timeout=5s&connections=64&item_max=1048576`";

/// memcached's keys have 250 bytes at most, and 64 of them are the hexadecimal storage id.
const MAX_PREFIX: usize = 100;

/// The servers and their options.
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
    pub(crate) login: Option<Login>,
    pub(crate) prefix: String,
    pub(crate) timeout: Duration,
    pub(crate) connections: usize,
    pub(crate) item_max: usize,
}

impl MemcacheConfig {
    /// These servers, with the setters' defaults. A server is `host`, `host:port` (default 11211),
    /// or the path of its Unix socket, as in `/run/memcached.sock` or `unix:/run/memcached.sock`.
    ///
    /// Every process must spell the same servers in the same way: a session's server is chosen by
    /// hashing its id with each name. The order does not matter.
    ///
    /// [`Config`](session_core::ErrorKind::Config) if the list is empty, has a duplicate, or has an
    /// invalid address.
    pub fn new<S: AsRef<str>>(servers: impl IntoIterator<Item = S>) -> Result<Self> {
        let servers = (1..).zip(servers).map(|(number, server)| address::parse(number, server.as_ref()));
        let servers = servers.collect::<Result<Vec<_>>>()?;
        if servers.is_empty() {
            return Err(wrong("it names no server"));
        }
        if let Some(twice) = servers.iter().enumerate().find(|(at, server)| servers[..*at].contains(server)) {
            return Err(wrong(&format!("the server `{}` is listed twice", twice.1)));
        }
        Ok(Self {
            servers,
            login: None,
            prefix: "session:".to_owned(),
            timeout: Duration::from_secs(5),
            connections: 64,
            item_max: 1024 * 1024,
        })
    }

    /// The user and password for all servers (their option `-Y`). Both are sent in clear text: use
    /// a private network or a Unix socket.
    ///
    /// [`Config`](session_core::ErrorKind::Config) if one is empty or contains a space, a control
    /// character or a colon, which memcached does not allow.
    pub fn login(mut self, user: &str, password: &str) -> Result<Self> {
        let possible = |text: &str| {
            !text.is_empty() && !text.contains(|c: char| c == ':' || c.is_whitespace() || c.is_control())
        };
        if !possible(user) || !possible(password) {
            return Err(wrong(
                "a login is a user and a password, and memcached allows no spaces or colons in them: choose \
                others",
            ));
        }
        self.login = Some(Login { user: user.to_owned(), password: Secret::new(password) });
        Ok(self)
    }

    /// The prefix of every key, `session:` by default: up to 100 visible ASCII characters, or
    /// empty. Applications that share servers but not sessions need different prefixes.
    pub fn prefix(mut self, prefix: &str) -> Result<Self> {
        if prefix.len() > MAX_PREFIX || !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("`prefix` takes up to 100 visible ASCII characters and no spaces"));
        }
        prefix.clone_into(&mut self.prefix);
        Ok(self)
    }

    /// The timeout of connecting and of a response: 5 s by default. A manager's own timeout usually
    /// ends a call first.
    pub fn timeout(mut self, timeout: Duration) -> Result<Self> {
        if timeout.is_zero() {
            return Err(wrong("`timeout` must be greater than zero, as in `500ms` or `5s`"));
        }
        self.timeout = timeout;
        Ok(self)
    }

    /// The maximum number of connections to each server: 64 by default. A request holds one for one
    /// round trip; further requests wait.
    pub fn connections(mut self, connections: usize) -> Result<Self> {
        if !(1..=10_000).contains(&connections) {
            return Err(wrong("`connections` takes a number from 1 to 10000"));
        }
        self.connections = connections;
        Ok(self)
    }

    /// The servers' largest item in bytes, 1,048,576 by default; the value of their option `-I`, if
    /// set. Larger records are refused before they are sent, because memcached removes the stored
    /// item when it refuses a larger one.
    pub fn item_max(mut self, bytes: usize) -> Result<Self> {
        if !(1024..=1024 * 1024 * 1024).contains(&bytes) {
            return Err(wrong("`item_max` takes bytes, from 1024 to 1073741824"));
        }
        self.item_max = bytes;
        Ok(self)
    }

    fn logged_in(self, login: Option<(String, String)>) -> Result<Self> {
        match login {
            Some((user, password)) => self.login(&user, &password),
            None => Ok(self),
        }
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
            _ => Err(wrong("unknown option: expected `prefix`, `timeout`, `connections` or `item_max`")),
        }
    }
}

impl FromStr for MemcacheConfig {
    type Err = Error;

    // No error repeats the input: it may contain a password, even in another engine's format.
    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once("://") else {
            let (login, servers) = split_login(text)?;
            return Self::new(servers.split(';').map(str::trim))?.logged_in(login);
        };
        if scheme != "memcache" {
            return Err(wrong("its scheme is not `memcache` (TLS is not supported)"));
        }
        let place = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        // A later `@` belongs to a password or an option.
        if rest[place.len()..].contains('@') {
            return Err(wrong(
                "there is an `@` after a `/`, `?` or `#`: in user and password write these as %2F, %3F and \
                %23, \
                 and in an option write `@` as %40",
            ));
        }
        let (path, options) = rest[place.len()..].split_once('?').unwrap_or((&rest[place.len()..], ""));
        let (login, servers) = split_login(place)?;
        let config = match (servers, path) {
            ("", path) if path.len() > 1 => Self::new([decoded(path)?]),
            (servers, "" | "/") => Self::new(servers.split(',').map(decoded).collect::<Result<Vec<_>>>()?),
            _ => Err(wrong(
                "there is a path after the servers, but memcached has no databases (a Unix socket is \
                 `memcache:///run/memcached.sock`, and one of several `%2Frun%2Fmemcached.sock`)",
            )),
        };
        let config = config?.logged_in(login)?;
        options.split('&').filter(|option| !option.is_empty()).try_fold(config, |config, option| {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            config.option(name, &decoded(value)?)
        })
    }
}

/// `user:password@servers`, user and password decoded. A password may contain an unencoded `@`.
fn split_login(text: &str) -> Result<(Option<(String, String)>, &str)> {
    let Some((login, servers)) = text.rsplit_once('@') else { return Ok((None, text)) };
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    Ok((Some((decoded(user)?, decoded(password)?)), servers))
}

/// Decodes `%20` and the like.
fn decoded(text: &str) -> Result<String> {
    let bad = || wrong("a `%` is not followed by two hexadecimal digits of UTF-8 text (write `%25` for `%`)");
    let digits_follow = |at: usize| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.match_indices('%').all(|(at, _)| digits_follow(at)) {
        return Err(bad());
    }
    let text = percent_decode_str(text).decode_utf8().map_err(|_| bad())?;
    Ok(text.into_owned())
}

fn duration(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(millis) => millis.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s')?.parse().ok().map(Duration::from_secs),
    }
}

pub(crate) fn wrong(why: &str) -> Error {
    Error::config(format!("{why}; {EXPECTED}")).in_engine(crate::ENGINE)
}

#[cfg(test)]
mod tests;
