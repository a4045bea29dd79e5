//! The configuration of cluster, login and collection: Beego's string, a URL, or a builder.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use session_core::{Error, Result, Secret};

const EXPECTED: &str = "expected `http://bucket:password@host:8091`, `http://user:password@host:8091,default,bucket` or \
    `couchbase://user:password@host1,host2/bucket?scope=_default&collection=_default&durability=none` \
    (`couchbases://` with TLS), with what is special in user and password percent-encoded";

/// Couchbase limits keys to 250 bytes, of which a collection may take 5, and 64 are the hexadecimal
/// storage id.
const MAX_PREFIX: usize = 100;

/// When a write is acknowledged. Higher levels cost round trips between the nodes and need
/// replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// In the memory of one node: a failover may undo it, even a logout.
    #[default]
    None,
    /// In the memory of a majority of the nodes that hold it.
    Majority,
    /// The same, and on the disk of the active one.
    MajorityAndPersistToActive,
    /// On the disks of a majority.
    PersistToMajority,
}

/// The cluster and the options.
///
/// ```
/// use session_couchbase::{CouchbaseConfig, Durability};
///
/// let seed: CouchbaseConfig = "http://sessions:secret@db1:8091".parse()?;
/// let url: CouchbaseConfig = "couchbase://sessions:secret@db1/sessions".parse()?;
/// assert_eq!(seed, url);
/// let built = CouchbaseConfig::new("couchbase://db1,db2", "app", "secret", "sessions")?
///     .collection("web", "sessions")?
///     .durability(Durability::Majority);
/// assert!(!format!("{built:?}").contains("secret"));
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CouchbaseConfig {
    pub(crate) tls: bool,
    pub(crate) tls_ca: Option<PathBuf>,
    /// Each is `host` or `host:port`, with the port of the key-value service.
    pub(crate) hosts: Vec<String>,
    pub(crate) network: Option<String>,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) bucket: String,
    pub(crate) scope: String,
    pub(crate) collection: String,
    pub(crate) durability: Durability,
    pub(crate) prefix: String,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) connections: usize,
}

impl CouchbaseConfig {
    /// The cluster at `couchbase://host1,host2` or `couchbases://…` (TLS), its user, and the bucket
    /// of the sessions, with the setters' defaults.
    ///
    /// [`Config`](session_core::ErrorKind::Config) if one of them is empty or invalid.
    pub fn new(hosts: &str, user: &str, password: &str, bucket: &str) -> Result<Self> {
        let (scheme, hosts) = hosts.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
        let tls = match scheme {
            "couchbase" => false,
            "couchbases" => true,
            _ => return Err(wrong("its scheme must be `http`, `couchbase` or `couchbases`")),
        };
        let hosts =
            (1..).zip(hosts.split(',')).map(|(number, host)| address(number, host)).collect::<Result<_>>()?;
        if user.is_empty() || password.is_empty() {
            return Err(wrong("the user or the password is missing, which Couchbase requires"));
        }
        Ok(Self {
            tls,
            tls_ca: None,
            hosts,
            network: None,
            user: user.to_owned(),
            password: Secret::new(password),
            bucket: name("bucket", bucket)?,
            scope: "_default".to_owned(),
            collection: "_default".to_owned(),
            durability: Durability::None,
            prefix: "session:".to_owned(),
            timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(10),
            connections: 2,
        })
    }

    /// The scope and the collection in the bucket, `_default` and `_default` by default. They must
    /// exist.
    pub fn collection(mut self, scope: &str, collection: &str) -> Result<Self> {
        self.scope = name("scope", scope)?;
        self.collection = name("collection", collection)?;
        Ok(self)
    }

    /// A PEM file of certificate authorities to trust in addition to the system's: the cluster's
    /// own authority, which its console shows under "Security". Read when connecting.
    ///
    /// [`Config`](session_core::ErrorKind::Config) without TLS (`couchbases://`).
    pub fn tls_ca(mut self, file: impl Into<PathBuf>) -> Result<Self> {
        let file = file.into();
        if !self.tls || file.as_os_str().is_empty() {
            return Err(wrong("`tls_ca` names a file of certificates, and needs `couchbases://`"));
        }
        self.tls_ca = Some(file);
        Ok(self)
    }

    /// When a write is acknowledged; [`Durability::None`] by default.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The prefix of every key, `session:` by default: up to 100 visible ASCII characters, or
    /// empty.
    pub fn prefix(mut self, prefix: &str) -> Result<Self> {
        if prefix.len() > MAX_PREFIX || !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("`prefix` takes up to 100 visible ASCII characters and no spaces"));
        }
        prefix.clone_into(&mut self.prefix);
        Ok(self)
    }

    /// The timeout of a response: 5 s by default. The SDK alone would wait forever. A manager's own
    /// timeout usually ends a call first.
    pub fn timeout(mut self, timeout: Duration) -> Result<Self> {
        if timeout.is_zero() {
            return Err(wrong("`timeout` must be greater than zero, as in `500ms` or `5s`"));
        }
        self.timeout = timeout;
        Ok(self)
    }

    /// The timeout of connecting: 10 s by default. The error gives the reason.
    pub fn connect_timeout(mut self, timeout: Duration) -> Result<Self> {
        if timeout.is_zero() {
            return Err(wrong("`connect_timeout` must be greater than zero, as in `10s`"));
        }
        self.connect_timeout = timeout;
        Ok(self)
    }

    /// The number of connections to the key-value service of each node: 2 by default. Each carries
    /// many requests at a time.
    pub fn connections(mut self, connections: usize) -> Result<Self> {
        if !(1..=100).contains(&connections) {
            return Err(wrong("`connections` takes a number from 1 to 100"));
        }
        self.connections = connections;
        Ok(self)
    }

    /// Which of the nodes' addresses to use: `external` for clients outside a container network.
    /// Detected if not set.
    pub fn network(mut self, network: &str) -> Result<Self> {
        self.network = Some(name("network", network)?);
        Ok(self)
    }

    /// The SDK's connection string, without user and password.
    pub(crate) fn connection_string(&self) -> String {
        let scheme = if self.tls { "couchbases" } else { "couchbase" };
        let network = self.network.as_ref().map(|network| format!("?network={network}")).unwrap_or_default();
        format!("{scheme}://{}{network}", self.hosts.join(","))
    }

    fn option(self, name: &str, value: &str) -> Result<Self> {
        match name {
            "scope" => {
                let collection = self.collection.clone();
                self.collection(value, &collection)
            }
            "collection" => {
                let scope = self.scope.clone();
                self.collection(&scope, value)
            }
            "durability" => Ok(self.durability(match value {
                "none" => Durability::None,
                "majority" => Durability::Majority,
                "majority_and_persist_to_active" => Durability::MajorityAndPersistToActive,
                "persist_to_majority" => Durability::PersistToMajority,
                _ => {
                    return Err(wrong(
                        "`durability` must be `none`, `majority`, `majority_and_persist_to_active` or \
                    `persist_to_majority`",
                    ));
                }
            })),
            "prefix" => self.prefix(value),
            "timeout" => self.timeout(duration(value)?),
            "connect_timeout" => self.connect_timeout(duration(value)?),
            "connections" => self.connections(value.parse().unwrap_or(0)),
            "network" => self.network(value),
            "tls_ca" => self.tls_ca(value),
            _ => Err(wrong(
                "unknown option: the options are `scope`, `collection`, `durability`, `prefix`, `timeout`, \
                `connect_timeout`, `connections`, `network` and `tls_ca`",
            )),
        }
    }

    /// `http://…` in Beego's format: the port is the web console's, so the SDK gets only the host.
    fn from_legacy(rest: &str) -> Result<Self> {
        let (login, place) = split_login(rest)?;
        let (user, password) = login.unwrap_or_default();
        let parts: Vec<&str> = place.split(',').map(str::trim).collect();
        let bucket = match parts[..] {
            [_] => user.as_str(),
            [_, "" | "default", bucket] => bucket,
            [_, _, _] => return Err(wrong("Couchbase's only pool is `default`")),
            _ => return Err(wrong("it must have the three parts `url,pool,bucket`")),
        };
        let host = parts[0].strip_suffix('/').unwrap_or(parts[0]);
        let host = host.strip_suffix(":8091").unwrap_or(host);
        let is_address = host.starts_with('[') && host.ends_with(']');
        if host.contains(':') && !is_address {
            return Err(wrong("its port is not 8091; a key-value port is named in a `couchbase://` URL"));
        }
        Self::new(&format!("couchbase://{host}"), &user, &password, bucket)
    }
}

impl FromStr for CouchbaseConfig {
    type Err = Error;

    // No error repeats the input, which contains a password.
    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
        if scheme == "http" {
            return Self::from_legacy(rest);
        }
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        if options.contains('@') {
            return Err(wrong(
                "there is an `@` after a `?`: in user and password write `?` as %3F, and in an option write \
                `@` as %40",
            ));
        }
        let (login, place) = split_login(rest)?;
        let (hosts, bucket) = place.split_once('/').unwrap_or((place, ""));
        let (user, password) = login.unwrap_or_default();
        let config = Self::new(&format!("{scheme}://{hosts}"), &user, &password, bucket)?;
        options.split('&').filter(|option| !option.is_empty()).try_fold(config, |config, option| {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            config.option(name, &decoded(value)?)
        })
    }
}

/// `user:password@rest`, both decoded. A password may contain an unencoded `@`.
fn split_login(text: &str) -> Result<(Option<(String, String)>, &str)> {
    let Some((login, rest)) = text.rsplit_once('@') else { return Ok((None, text)) };
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    Ok((Some((decoded(user)?, decoded(password)?)), rest))
}

fn decoded(text: &str) -> Result<String> {
    let bad = || wrong("a `%` is not followed by two hexadecimal digits of UTF-8 text (write `%25` for `%`)");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, more)) = rest.split_first() {
        rest = more;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (&[high, low], more) = rest.split_first_chunk().ok_or_else(bad)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(high).ok_or_else(bad)? << 4 | digit(low).ok_or_else(bad)?);
        rest = more;
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

/// `host`, `host:port`, `[::1]` or `[::1]:port`.
fn address(number: usize, text: &str) -> Result<String> {
    let bad = |why: &str| wrong(&format!("host {number} {why}"));
    let (host, port) = match text.rfind(':') {
        Some(colon) if !text.ends_with(']') => (&text[..colon], Some(&text[colon + 1..])),
        _ => (text, None),
    };
    if host.is_empty() {
        return Err(bad("is empty"));
    }
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_is_good = match bracketed {
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')),
    };
    if !host_is_good {
        return Err(bad("is not a host name or an IP address (IPv6 is written `[::1]`)"));
    }
    match port.map(str::parse::<u16>) {
        Some(Ok(8091 | 18091)) => {
            Err(bad("has the web console's port; leave it out, or name the key-value service's (11210)"))
        }
        Some(Ok(0) | Err(_)) => Err(bad("has a port that is not a number from 1 to 65535")),
        _ => Ok(text.to_ascii_lowercase()),
    }
}

/// A name of a bucket, a scope, a collection or a network.
fn name(what: &str, text: &str) -> Result<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'%' | b'.');
    if text.is_empty() || text.len() > 251 || !text.bytes().all(allowed) {
        return Err(wrong(&format!("the name of the {what} must consist of A-Z a-z 0-9 _ - . %")));
    }
    Ok(text.to_owned())
}

fn duration(text: &str) -> Result<Duration> {
    let duration = match text.strip_suffix("ms") {
        Some(millis) => millis.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s').and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs),
    };
    duration.ok_or_else(|| wrong("a timeout must be a whole number with its unit, as in `500ms` or `5s`"))
}

fn wrong(why: &str) -> Error {
    Error::config(format!("{why}; {EXPECTED}")).in_engine(crate::ENGINE)
}

#[cfg(test)]
mod tests;
