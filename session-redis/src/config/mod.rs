//! How the servers are reached: a builder, Beego's strings ([`seed`]), URLs ([`url`]) and
//! Azure's strings ([`azure`]).

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
    /// One server, or an address behind which there always is the one that takes writes.
    Standalone,
    /// A cluster: every master has some of the keys.
    Cluster,
    /// One master with replicas, and sentinels that replace it when it fails.
    Sentinel,
}

/// How Redis is reached. Begin with [`standalone`](Self::standalone), [`cluster`](Self::cluster),
/// [`sentinel`](Self::sentinel) or with text:
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

/// How [`count`](session_core::Provider::count) finds out how many sessions there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Count {
    /// Walks through the keys with `SCAN` and looks at each: about three seconds per million keys
    /// of a master, all masters at the same time. `None` with more than 15 million on one of them.
    #[default]
    Exact,
    /// The number of keys (`DBSIZE`), one round trip per master. For databases that hold nothing
    /// but sessions of this prefix; tombstones of the last minute count too.
    Approximate,
    /// Does not count: `None`.
    Off,
}

impl RedisConfig {
    /// One server at `host`, `host:port` (6379 when there is none), `[IPv6]:port` or `/path/of/its.sock`.
    pub fn standalone(address: &str) -> Result<Self> {
        Self::new(Topology::Standalone, [address])
    }

    /// A cluster, of which these nodes are asked for the others. Name several: one has to be up.
    pub fn cluster<S: AsRef<str>>(nodes: impl IntoIterator<Item = S>) -> Result<Self> {
        Self::new(Topology::Cluster, nodes)
    }

    /// The master that these sentinels (port 26379 when there is none) watch under that name. Name all of them.
    pub fn sentinel<S: AsRef<str>>(sentinels: impl IntoIterator<Item = S>, master: &str) -> Result<Self> {
        Self::new(Topology::Sentinel, sentinels)?.master(master)
    }

    /// From text: the Beego-compatible string for this topology, its JSON form, or a URL.
    ///
    /// - one server: `host:port,pool size,password,db,idle timeout,idle check,retries`
    /// - cluster: the same, with `host:port;host:port`
    /// - sentinels: `host:port;host:port,pool size,password,db,master name,idle timeout,idle check,retries`
    /// - JSON: `{"save_path":"…","poolsize":100,"password":"…","db_num":0,"idle_timeout":"30s",…}`
    /// - `redis://`, `rediss://`, `redis+cluster://`, `redis+sentinel://`, `unix://`; also with `valkey` for `redis`
    /// - as Azure prints it: `host:port,password=…,ssl=True,abortConnect=False`
    ///
    /// Everything after the addresses may be left out. The size of the pool, the idle times and the retries
    /// are checked and have no effect: all requests share a few connections to each server.
    ///
    /// [`Config`](session_core::ErrorKind::Config) when it cannot be read. The message never repeats the text,
    /// which may hold a password.
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

    /// The user (ACL) to log in as; without one it is the server's `default`.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.login.user = user.into();
        self
    }

    /// The password to log in with. A user without one is logged in with an empty password, which
    /// servers take for users that need none (`nopass`).
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.login.password = Secret::new(password);
        self
    }

    /// The number of the database, 0 by default. A cluster has no other.
    pub fn db(mut self, db: u32) -> Self {
        self.db = db;
        self
    }

    /// The user and password of the sentinels themselves, which are not those of the servers that they watch.
    pub fn sentinel_login(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.sentinel_login = Login { user: user.into(), password: Secret::new(password) };
        self
    }

    /// Asks for user and password before each new connection, for tokens that expire and secrets
    /// that are rotated. Replaces [`user`](Self::user) and [`password`](Self::password), for the
    /// servers that hold the sessions.
    ///
    /// Connections that are open keep the login they were made with. The call counts towards
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

    /// Speaks TLS to every server, the sentinels included unless they have their own setting.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Speaks TLS to the sentinels with these certificates, whatever the servers have; `None` for
    /// no TLS.
    pub fn sentinel_tls(mut self, tls: Option<Tls>) -> Self {
        self.sentinel_tls = tls.map_or(SentinelTls::Off, SentinelTls::Own);
        self
    }

    /// Connects to `reached_at` where a node or a sentinel announces `announced`: each is
    /// `host:port`, or `host` for every port of it. For nodes behind a tunnel or address
    /// translation, and for those that announce IP addresses while their certificates have names.
    pub fn map_address(mut self, announced: &str, reached_at: &str) -> Result<Self> {
        self.addresses_of_nodes.add(announced, reached_at).map_err(|why| {
            Error::config(format!("an entry of the address map {why}; expected `host:port` or `host` twice"))
        })?;
        Ok(self)
    }

    /// Speaks RESP2 from the start. Without it RESP3 is tried first, and RESP2 where the server
    /// refuses `HELLO`.
    pub fn resp2(mut self) -> Self {
        self.resp2 = true;
        self
    }

    /// How sessions are counted, [`Count::Exact`] by default.
    pub fn count(mut self, count: Count) -> Self {
        self.count = count;
        self
    }

    /// Whether a cache over this engine hears of the changes of other processes (`notices=on` in a URL), by
    /// `CLIENT TRACKING` on a connection of its own to each master. Off by default.
    ///
    /// Writes cost nothing more. A read does not move the idle deadline then, which would be a change as well: a
    /// throttled command of its own does. Set it in every process, since each read of one without it is told to the
    /// others. Needs RESP3 and connections of our own; where the server refuses, connecting is
    /// [`Unsupported`](session_core::ErrorKind::Unsupported).
    pub fn notices(mut self, notices: bool) -> Self {
        self.notices = notices;
        self
    }

    /// The prefix of every key, `session:` by default. Applications that share a database and
    /// not their sessions need different ones; [`count`](session_core::Provider::count) counts what has it.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long it may take to connect: name lookup, TCP, TLS and login together. 1 s by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// After how long without an answer a server counts as hung and its connection is replaced. 2 s by default.
    /// A request that has a shorter deadline ends by that.
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
            return Err(Error::config("there is no address: name a server, as in `127.0.0.1:6379`"));
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
                "the master's name is what `sentinel monitor` calls it, as in `mymaster`",
            ));
        }
        name.clone_into(&mut self.master);
        Ok(self)
    }

    /// What no single setter can see.
    pub(crate) fn check(&self) -> Result<()> {
        if self.topology == Topology::Cluster && self.db != 0 {
            return Err(Error::config("a cluster has the database 0 only: leave the number out"));
        }
        if self.topology != Topology::Standalone {
            if self.addresses.iter().any(|address| matches!(address, Address::Unix(_))) {
                return Err(Error::config(
                    "a cluster and sentinels are reached by `host:port`, not by a socket's path",
                ));
            }
        } else if self.addresses.len() > 1 {
            return Err(Error::config(
                "there are several addresses: that is a cluster (`redis_cluster`) or sentinels (`redis_sentinel`)",
            ));
        }
        if self.connect_timeout.is_zero() || self.response_timeout.is_zero() {
            return Err(Error::config(
                "`connect_timeout` and `response_timeout` must be longer than nothing",
            ));
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
