//! Parses a URL: `scheme://user:password@host:port/database?name=value&…`.
//!
//! Written by hand because errors must not repeat any part of it: in a malformed URL the password
//! may be anywhere.

use std::fmt;

use session_core::{Error, Result, Secret};

/// The server as described by a URL or a config string.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// The user.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// The addresses of the server, tried in order.
    pub places: Vec<Place>,
    /// The database.
    pub database: Option<String>,
    /// The parameters after the `?`, in order.
    pub parameters: Vec<(String, String)>,
}

/// The address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A host and its port, if given.
    Host(String, Option<u16>),
    /// A Unix socket, or the directory that holds it.
    Socket(String),
}

impl Target {
    /// Parses the part after `scheme://`.
    pub fn parse(rest: &str) -> Result<Self> {
        let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if tail.contains('@') {
            return Err(Error::config(
                "the `@` comes after the path: write / ? # @ in a user name or password as %2F %3F %23 %40",
            ));
        }
        if tail.contains('#') {
            return Err(Error::config("`#` is not allowed: write it as %23"));
        }
        let (user, place) =
            authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
        let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
        let places =
            place.split(',').filter(|place| !place.is_empty()).map(place_of).collect::<Result<_>>()?;
        let mut target = Self { places, ..Self::parameters(query)? };
        if let Some(user) = user {
            let (user, password) =
                user.split_once(':').map_or((user, None), |(user, word)| (user, Some(word)));
            target.user = Some(percent_decode(user)?).filter(|user| !user.is_empty());
            target.password = password.map(percent_decode).transpose()?.map(Secret::new);
        }
        let database = percent_decode(path.strip_prefix('/').unwrap_or(path))?;
        if database.contains('/') {
            return Err(Error::config("only one `/` is allowed before the name of the database"));
        }
        target.database = Some(database).filter(|name| !name.is_empty());
        Ok(target)
    }

    /// Parses only `name=value&…`.
    pub fn parameters(query: &str) -> Result<Self> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let parameters = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                Error::config("the part after the `?` must be name=value pairs joined by `&`")
            })?;
            Ok((percent_decode(name)?, percent_decode(value)?))
        });
        Ok(Self { parameters: parameters.collect::<Result<_>>()?, ..Self::default() })
    }
}

/// Shows no password.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("user", &self.user)
            .field("places", &self.places)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

fn place_of(text: &str) -> Result<Place> {
    let bad = || {
        Error::config(
            "the host must be a name or address, a `[IPv6 address]`, or a percent-encoded socket path",
        )
    };
    let (host, port) = if let Some(address) = text.strip_prefix('[') {
        let (address, port) = address.split_once(']').ok_or_else(bad)?;
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(bad());
        }
        let port = if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(bad)?) };
        (address.to_owned(), port)
    } else {
        let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
        (percent_decode(host)?, port)
    };
    if host.starts_with('/') && port.is_none() {
        return Ok(Place::Socket(host));
    }
    if !is_host(&host) {
        return Err(bad());
    }
    let port = port.map(|port| {
        let number = port.parse::<u16>().ok().filter(|number| *number > 0);
        number.ok_or_else(|| Error::config("the port must be a number from 1 to 65535"))
    });
    Ok(Place::Host(host, port.transpose()?))
}

/// Whether this can be the name or address of a host.
pub fn is_host(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    !text.is_empty() && text.bytes().all(allowed)
}

/// `%41` is `A`. An error for a `%` without two hexadecimal digits, for invalid UTF-8 and for
/// control characters.
pub fn percent_decode(text: &str) -> Result<String> {
    let bad = || {
        Error::config("a `%` must be followed by two hexadecimal digits and encode UTF-8 (`%25` is a `%`)")
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2).ok_or_else(bad)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (high, low) = digit(digits[0]).zip(digit(digits[1])).ok_or_else(bad)?;
        bytes.push(high << 4 | low);
        rest = tail;
    }
    let text = String::from_utf8(bytes).map_err(|_| bad())?;
    if text.contains(char::is_control) {
        return Err(Error::config("control characters are not allowed"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_parsed() {
        let target = Target::parse("ad%40a:p%3A:w@[::1]:5433/my%20db?a=1&b=%26").unwrap();
        assert_eq!(target.user.as_deref(), Some("ad@a"));
        assert_eq!(target.password, Some(Secret::new("p::w")));
        assert_eq!(target.places, [Place::Host("::1".into(), Some(5433))]);
        assert_eq!(target.database.as_deref(), Some("my db"));
        assert_eq!(target.parameters, [("a".into(), "1".into()), ("b".into(), "&".into())]);
        assert!(!format!("{target:?}").contains("p::w"));
        let socket = Target::parse("ada@%2Fvar%2Frun/db").unwrap();
        assert_eq!(socket.places, [Place::Socket("/var/run".into())]);
        let several = Target::parse("ada:p,w@one:1,[::1],two/db").unwrap();
        let host = |host: &str, port| Place::Host(host.into(), port);
        assert_eq!(several.places, [host("one", Some(1)), host("::1", None), host("two", None)]);
        assert_eq!(several.password, Some(Secret::new("p,w")));
        assert_eq!(Target::parse("").unwrap(), Target::default());
    }

    #[test]
    fn errors_about_a_url_do_not_repeat_it() {
        for bad in [
            "ada:hunter2/x@host/db",
            "ada:hunter2?x@host/db",
            "ada:hunter2#x@host/db",
            "ada:hunter2%@host/db",
            "ada:hunter2%zz@host/db",
            "ada:%ffhunter2@host/db",
            "ada:hunter2%00@host/db",
            "ada:hunter2\n@host/db",
            "ada@host:hunter2/db",
            "ada@host:0/db",
            "ada@host:65536/db",
            "ada@[hunter2]/db",
            "ada@[::1/hunter2",
            "ada@[::1]hunter2/db",
            "ada@ho st/db",
            "ada@:5432/db",
            "ada@host/db/hunter2",
            "ada@host/db?hunter2",
            "ada@host/db#hunter2",
        ] {
            let error = Target::parse(bad).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{bad}: {error}");
        }
    }
}
