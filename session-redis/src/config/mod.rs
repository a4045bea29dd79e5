//! The configuration: a builder, Beego's strings ([`seed`]), URLs ([`url`]) and Azure's strings
//! ([`azure`]).

mod address;
mod azure;
mod login;
mod options;
mod seed;
mod tls;
mod url;

use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use session_core::{Error, Result, Secret};

pub(crate) use address::{Address, AddressMap};
pub(crate) use login::{Credentials, Login};
pub(crate) use tls::SentinelTls;
pub use tls::Tls;

pub(crate) const PREFIX: &str = "session:";
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The topology of the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// One server, or an address that always leads to the current master.
    Standalone,
    /// A cluster: every master has a part of the keys.
    Cluster,
    /// One master with replicas, and sentinels that replace it when it fails.
    Sentinel,
}

/// The configuration of the engine. Start with [`standalone`](Self::standalone),
/// [`cluster`](Self::cluster), [`sentinel`](Self::sentinel) or a text:
///
/// ```
/// use session_redis::{RedisConfig, Topology};
///
/// let url: RedisConfig = "redis://app:secret@10.0.0.1:6379/1?prefix=shop:".parse()?;
/// let built = RedisConfig::standalone("10.0.0.1")?.user("app").password("secret").db(1).prefix("shop:");
/// assert_eq!(url, built);
///
/// let seed = RedisConfig::parse(Topology::Cluster, "10.0.0.1:7000;10.0.0.2:7000,100,secret")?;
/// assert_eq!(seed, RedisConfig::cluster(["10.0.0.1:7000", "10.0.0.2:7000"])?.password("secret"));
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a configuration does nothing before `connect`"]
pub struct RedisConfig {
    pub(crate) topology: Topology,
    pub(crate) addresses: Vec<Address>,
    pub(crate) login: Login,
    pub(crate) db: u32,
    pub(crate) master: String,
    pub(crate) sentinel_login: Login,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) tls: Option<Tls>,
    pub(crate) sentinel_tls: SentinelTls,
    pub(crate) addresses_of_nodes: AddressMap,
    pub(crate) resp2: bool,
    pub(crate) prefix: String,
    pub(crate) count: Count,
    pub(crate) notices: bool,
    pub(crate) connect_timeout: Duration,
    pub(crate) response_timeout: Duration,
}

/// How [`count`](session_core::Provider::count) counts sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Count {
    /// Scans the keys with `SCAN` and reads the start of each value: about three seconds per
    /// million keys of a master, on all masters in parallel. `None` with more than 15 million on
    /// one of them.
    #[default]
    Exact,
    /// The number of keys (`DBSIZE`), one round trip per master. For databases that contain only
    /// sessions of this prefix; tombstones of the last minute count too.
    Approximate,
    /// Does not count: `None`.
    Off,
}

impl RedisConfig {
    /// Configures one server at `host`, `host:port` (default 6379), `[IPv6]:port` or
    /// `/path/of/its.sock`.
    pub fn standalone(address: &str) -> Result<Self> {
        Self::new(Topology::Standalone, [address])
    }

    /// Configures a cluster, from some of its nodes. Name several: one of them must be up.
    pub fn cluster<S: AsRef<str>>(nodes: impl IntoIterator<Item = S>) -> Result<Self> {
        Self::new(Topology::Cluster, nodes)
    }

    /// Configures the master that these sentinels (default port 26379) watch under that name. Name
    /// all of them.
    pub fn sentinel<S: AsRef<str>>(sentinels: impl IntoIterator<Item = S>, master: &str) -> Result<Self> {
        Self::new(Topology::Sentinel, sentinels)?.master(master)
    }

    /// Parses a text: the Beego-compatible string for this topology, its JSON form, or a URL.
    ///
    /// - one server: `host:port,pool size,password,db,idle timeout,idle check,retries`
    /// - cluster: the same, with `host:port;host:port`
    /// - sentinels: `host:port;host:port,pool size,password,db,master name,idle timeout,idle
    ///   check,retries`
    /// - JSON: `{"save_path":"…","poolsize":100,"password":"…","db_num":0,"idle_timeout":"30s",…}`
    /// - `redis://`, `rediss://`, `redis+cluster://`, `redis+sentinel://`, `unix://`; also with
    ///   `valkey` for `redis`
    /// - Azure's form: `host:port,password=…,ssl=True,abortConnect=False`
    ///
    /// Everything after the addresses is optional. The size of the pool, the idle times and the
    /// retries are validated but have no effect: all requests share a few connections to each
    /// server.
    ///
    /// [`Config`](session_core::ErrorKind::Config) when it cannot be parsed. The message never
    /// contains the text, which may have a password.
    pub fn parse(topology: Topology, text: &str) -> Result<Self> {
        let text = text.trim();
        if text.starts_with('{') {
            seed::json(topology, text)
        } else if text.contains("://") {
            url::parse(topology, text)
        } else if azure::is_one(text) {
            azure::parse(topology, text)
        } else {
            seed::list(topology, text)
        }
    }

    /// Sets the user (ACL) to log in as; the default is the server's `default` user.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.login.user = user.into();
        self
    }

    /// Sets the password. A user without one logs in with an empty password, which servers accept
    /// for users that need none (`nopass`).
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.login.password = Secret::new(password);
        self
    }

    /// Sets the number of the database, 0 by default. A cluster has no other.
    pub fn db(mut self, db: u32) -> Self {
        self.db = db;
        self
    }

    /// Sets the user and password of the sentinels themselves, which are separate from those of the
    /// servers that they watch.
    pub fn sentinel_login(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.sentinel_login = Login { user: user.into(), password: Secret::new(password) };
        self
    }

    /// Sets a function that returns the user and the password before each new connection, for
    /// tokens that expire and secrets that are rotated. It replaces [`user`](Self::user) and
    /// [`password`](Self::password) for the servers that store the sessions.
    ///
    /// Open connections keep the login that they were made with. The call counts towards
    /// `connect_timeout`, and its error becomes that of connecting.
    ///
    /// ```
    /// use session_core::Secret;
    /// use session_redis::RedisConfig;
    ///
    /// async fn token() -> session_core::Result<Secret> {
    ///     Ok(Secret::new("read from the vault"))
    /// }
    ///
    /// let config = RedisConfig::standalone("cache.example.com")?
    ///     .credentials(|| async { Ok(("app".to_owned(), token().await?)) });
    /// # Ok::<(), session_core::Error>(())
    /// ```
    pub fn credentials<F, A>(mut self, ask: F) -> Self
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Result<(String, Secret)>> + Send + 'static,
    {
        self.credentials = Some(Credentials::new(ask));
        self
    }

    /// Uses TLS for every server, including the sentinels unless they have their own setting.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Uses TLS with these certificates for the sentinels, independently of the servers; `None` for
    /// no TLS.
    pub fn sentinel_tls(mut self, tls: Option<Tls>) -> Self {
        self.sentinel_tls = tls.map_or(SentinelTls::Off, SentinelTls::Own);
        self
    }

    /// Connects to `reached_at` when a node or a sentinel announces `announced`: each is
    /// `host:port`, or `host` for all of its ports. For nodes behind a tunnel or address
    /// translation, and for those that announce IP addresses while their certificates have names.
    pub fn map_address(mut self, announced: &str, reached_at: &str) -> Result<Self> {
        self.addresses_of_nodes.add(announced, reached_at).map_err(|why| {
            Error::config(format!("an entry of the address map {why}; expected `host:port` or `host` twice"))
        })?;
        Ok(self)
    }

    /// Uses RESP2 from the start. By default RESP3 is tried first, then RESP2 if the server refuses
    /// `HELLO`.
    pub fn resp2(mut self) -> Self {
        self.resp2 = true;
        self
    }

    /// Sets how sessions are counted, [`Count::Exact`] by default.
    pub fn count(mut self, count: Count) -> Self {
        self.count = count;
        self
    }

    /// Sets whether a cache over this engine is notified of the changes of other processes
    /// (`notices=on` in a URL), by `CLIENT TRACKING` on a separate connection to each master. Off
    /// by default.
    ///
    /// Writes cost nothing extra. Reads then do not extend the idle deadline, because that would
    /// count as a change: a separate, throttled command does. Enable it in every process, because
    /// each read of a process without it causes a notice to the others. It needs RESP3 and the
    /// engine's own connections; if the server refuses, connecting fails with
    /// [`Unsupported`](session_core::ErrorKind::Unsupported).
    pub fn notices(mut self, notices: bool) -> Self {
        self.notices = notices;
        self
    }

    /// Sets the prefix of every key, `session:` by default. Applications that share a database but
    /// not their sessions need different ones; [`count`](session_core::Provider::count) counts the
    /// keys with this prefix.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the timeout for connecting: name lookup, TCP, TLS and login together. 1 s by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the time without an answer after which a server counts as hung and its connection is
    /// replaced. 2 s by default. A request with a shorter deadline ends at that deadline.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    fn new<S: AsRef<str>>(topology: Topology, addresses: impl IntoIterator<Item = S>) -> Result<Self> {
        let port = if topology == Topology::Sentinel { 26379 } else { 6379 };
        let read = |(number, text): (usize, S)| {
            Address::parse(text.as_ref().trim(), port).map_err(|why| {
                Error::config(format!(
                    "address {number} {why}; expected `host:port`, `[IPv6]:port` or a socket's path"
                ))
            })
        };
        let addresses = (1..).zip(addresses).map(read).collect::<Result<Vec<_>>>()?;
        if addresses.is_empty() {
            return Err(Error::config("there is no address: name a server, for example `127.0.0.1:6379`"));
        }
        Ok(Self {
            topology,
            addresses,
            login: Login::default(),
            db: 0,
            master: "mymaster".to_owned(),
            sentinel_login: Login::default(),
            credentials: None,
            tls: None,
            sentinel_tls: SentinelTls::Same,
            addresses_of_nodes: AddressMap::default(),
            resp2: false,
            prefix: PREFIX.to_owned(),
            count: Count::Exact,
            notices: false,
            connect_timeout: CONNECT_TIMEOUT,
            response_timeout: RESPONSE_TIMEOUT,
        })
    }

    fn master(mut self, name: &str) -> Result<Self> {
        if name.is_empty() || name.chars().any(char::is_whitespace) {
            return Err(Error::config(
                "the master's name must be the one in `sentinel monitor`, for example `mymaster`",
            ));
        }
        name.clone_into(&mut self.master);
        Ok(self)
    }

    /// Validates the settings as a whole.
    pub(crate) fn check(&self) -> Result<()> {
        if self.topology == Topology::Cluster && self.db != 0 {
            return Err(Error::config("a cluster has only database 0: leave the number out"));
        }
        if self.topology != Topology::Standalone {
            if self.addresses.iter().any(|address| matches!(address, Address::Unix(_))) {
                return Err(Error::config(
                    "a cluster and sentinels need addresses of the form `host:port`, not a socket's path",
                ));
            }
        } else if self.addresses.len() > 1 {
            return Err(Error::config(
                "there are several addresses: use `redis_cluster` for a cluster or `redis_sentinel` \
                 for sentinels",
            ));
        }
        if self.connect_timeout.is_zero() || self.response_timeout.is_zero() {
            return Err(Error::config("`connect_timeout` and `response_timeout` must be longer than zero"));
        }
        if self.topology != Topology::Sentinel && self.sentinel_tls != SentinelTls::Same {
            return Err(Error::config("there are certificates for sentinels, but no sentinels"));
        }
        if self.prefix.len() > 1_024 {
            return Err(Error::config("the prefix has more than 1,024 bytes"));
        }
        Ok(())
    }
}

/// A URL, or the Beego-compatible string for one server.
impl FromStr for RedisConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(Topology::Standalone, text)
    }
}

/// `30` (seconds), `500ms`, `30s`, `5m`, `1h`.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u32 = number.parse().ok()?;
    Some(match unit {
        "ms" => Duration::from_millis(number.into()),
        "" | "s" => Duration::from_secs(number.into()),
        "m" => Duration::from_secs(60) * number,
        "h" => Duration::from_secs(3_600) * number,
        _ => return None,
    })
}
