//! The settings for connecting to any server: login, TLS, protocol and timeouts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
};
use session_core::Result;

use crate::config::{
    Address, AddressMap, CONNECT_TIMEOUT, Credentials, Login, RESPONSE_TIMEOUT, RedisConfig, Tls,
};
use crate::error::Fault;
use crate::server::Server;

/// The settings that all servers of one configuration share.
#[derive(Clone)]
pub(crate) struct Dialer(Arc<Settings>);

pub(crate) struct Settings {
    redis: RedisConnectionInfo,
    credentials: Option<Credentials>,
    pub tls: Option<Tls>,
    resp2: bool,
    map: AddressMap,
    pub connect_timeout: Duration,
    pub response_timeout: Duration,
    /// Whether the server that was connected last compares digests.
    compares_digests: AtomicBool,
}

impl Dialer {
    /// Creates the dialer for the servers that store the sessions. Fails if a certificate cannot be
    /// read.
    pub fn new(config: &RedisConfig) -> Result<Self> {
        let map = config.addresses_of_nodes.clone();
        Self::checked(config, &config.login, config.db, config.credentials.clone(), config.tls.clone(), map)
    }

    /// Creates the dialer for the sentinels.
    #[cfg(feature = "sentinel")]
    pub fn for_sentinels(config: &RedisConfig) -> Result<Self> {
        use crate::config::SentinelTls;

        let tls = match &config.sentinel_tls {
            SentinelTls::Same => config.tls.clone(),
            SentinelTls::Off => None,
            SentinelTls::Own(tls) => Some(tls.clone()),
        };
        Self::checked(config, &config.sentinel_login, 0, None, tls, AddressMap::default())
    }

    fn checked(
        config: &RedisConfig,
        login: &Login,
        db: u32,
        credentials: Option<Credentials>,
        tls: Option<Tls>,
        map: AddressMap,
    ) -> Result<Self> {
        if let Some(tls) = &tls {
            crate::tls::template(tls)?;
            if tls.any_certificate {
                tracing::warn!(
                    "any certificate is accepted: a server that takes over the address receives the password"
                );
            }
        }
        Ok(Self(Arc::new(Settings {
            redis: with_login(RedisConnectionInfo::default().set_db(db.into()), login),
            credentials,
            tls,
            resp2: config.resp2,
            map,
            connect_timeout: config.connect_timeout,
            response_timeout: config.response_timeout,
            compares_digests: AtomicBool::default(),
        })))
    }

    /// Returns whether the servers compare digests, as far as is known.
    #[cfg(any(feature = "cluster", feature = "sentinel"))]
    pub fn compares_digests(&self) -> bool {
        self.0.compares_digests()
    }

    /// Returns the server at this address, after the address map was applied.
    pub fn at(&self, address: &Address) -> Server {
        let resp2 = Arc::new(AtomicBool::new(self.0.resp2));
        Server {
            location: Location::Address(self.0.map.reach(address)),
            settings: Arc::clone(&self.0),
            resp2,
        }
    }
}

impl Settings {
    /// Returns the user, password, database and protocol of the next connection.
    pub async fn login(&self, resp2: bool) -> Result<RedisConnectionInfo> {
        let protocol = if resp2 { ProtocolVersion::RESP2 } else { ProtocolVersion::RESP3 };
        let settings = match &self.credentials {
            Some(credentials) => with_login(self.redis.clone(), &credentials.login().await?),
            None => self.redis.clone(),
        };
        Ok(settings.set_protocol(protocol).set_skip_set_lib_name())
    }

    /// Returns whether the server that was connected last compares digests.
    pub fn compares_digests(&self) -> bool {
        self.compares_digests.load(Ordering::Relaxed)
    }

    /// Notes whether the server that was just connected compares digests.
    pub fn note_digests(&self, compares: bool) {
        self.compares_digests.store(compares, Ordering::Relaxed);
    }

    /// Returns the database of the connections.
    pub fn db(&self) -> i64 {
        self.redis.db()
    }

    /// Returns the settings of a client that the application has configured.
    pub fn of_client(client: &Client) -> Self {
        Self {
            redis: client.get_connection_info().redis_settings().clone(),
            credentials: None,
            tls: None,
            resp2: false,
            map: AddressMap::default(),
            connect_timeout: CONNECT_TIMEOUT,
            response_timeout: RESPONSE_TIMEOUT,
            compares_digests: AtomicBool::default(),
        }
    }
}

fn with_login(settings: RedisConnectionInfo, login: &Login) -> RedisConnectionInfo {
    match (login.user.as_str(), login.password.expose()) {
        ("", "") => settings,
        ("", password) => settings.set_password(password),
        // Even an empty password: without one the driver would not log in at all.
        (user, password) => settings.set_username(user).set_password(password),
    }
}

/// The location of a server.
#[derive(Clone)]
pub(crate) enum Location {
    Address(Address),
    /// The address of an application's client.
    Given(ConnectionAddr),
}

/// An address for the driver, and the host to look up if it differs from the name in the
/// certificate.
pub(crate) struct Dialed {
    pub info: ConnectionInfo,
    pub look_up: Option<String>,
}

impl Location {
    /// Reads the certificates, if there are any, so it may block.
    pub fn dialed(&self, tls: Option<&Tls>) -> Result<Dialed, Fault> {
        let mut look_up = None;
        let addr = match (self, tls) {
            (Self::Given(addr), _) => addr.clone(),
            (Self::Address(Address::Unix(path)), _) => ConnectionAddr::Unix(path.clone()),
            (Self::Address(Address::Tcp(host, port)), None) => ConnectionAddr::Tcp(host.clone(), *port),
            (Self::Address(Address::Tcp(host, port)), Some(tls)) => {
                let named = tls.server_name.as_ref().inspect(|_| look_up = Some(host.clone()));
                let template = crate::tls::template(tls).map_err(Fault::of_error)?;
                crate::tls::at(template, named.unwrap_or(host), *port)
            }
        };
        let info = addr.into_connection_info().map_err(|error| Fault::connecting(&error))?;
        // Without keep-alive, only the next request would notice that a peer behind a firewall is
        // gone.
        let keep_alive =
            TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(10));
        let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(keep_alive);
        Ok(Dialed { info: info.set_tcp_settings(tcp), look_up })
    }
}
