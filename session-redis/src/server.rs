//! A server: how a connection to it is opened, and what it says of itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::SendError;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    PushInfo, PushKind, RedisConnectionInfo, RedisError, Value, cmd,
};
use session_core::{ErrorKind, Result};

use crate::config::{Address, CONNECT_TIMEOUT, Login, RESPONSE_TIMEOUT, RedisConfig};
use crate::connection::{Connection, State};
use crate::error::{Fault, NO_ANSWER};

/// How servers are connected to, whichever they are: login, TLS and times.
#[derive(Clone)]
pub(crate) struct Dialer {
    settings: RedisConnectionInfo,
    tls: Option<ConnectionAddr>,
    connect_timeout: Duration,
    response_timeout: Duration,
}

impl Dialer {
    /// For the servers that hold the sessions. Reads the certificates, if there are any.
    pub fn new(config: &RedisConfig) -> Result<Self> {
        Self::with_login(config, &config.login, config.db)
    }

    /// For the sentinels.
    #[cfg(feature = "sentinel")]
    pub fn for_sentinels(config: &RedisConfig) -> Result<Self> {
        Self::with_login(config, &config.sentinel_login, 0)
    }

    fn with_login(config: &RedisConfig, login: &Login, db: u32) -> Result<Self> {
        let mut settings = RedisConnectionInfo::default().set_db(db.into());
        if !login.user.is_empty() {
            settings = settings.set_username(&login.user);
        }
        if !login.password.is_empty() {
            settings = settings.set_password(login.password.expose());
        }
        Ok(Self {
            settings: own(settings),
            tls: crate::tls::template(config.tls.as_ref())?,
            connect_timeout: config.connect_timeout,
            response_timeout: config.response_timeout,
        })
    }

    /// A server that answers to this configuration at that address.
    pub fn at(&self, address: &Address) -> Result<Server> {
        let addr = match (address, &self.tls) {
            (Address::Unix(path), _) => ConnectionAddr::Unix(path.clone()),
            (Address::Tcp(host, port), None) => ConnectionAddr::Tcp(host.clone(), *port),
            (Address::Tcp(host, port), Some(template)) => crate::tls::at(template, host, *port),
        };
        let info = addr.into_connection_info().map_err(|error| Fault::connecting(&error).into_error())?;
        Ok(Server::new(
            info.set_redis_settings(self.settings.clone()),
            self.connect_timeout,
            self.response_timeout,
        ))
    }
}

/// What every connection of ours has, whoever configured it: RESP3 tells us at once when it closes.
fn own(settings: RedisConnectionInfo) -> RedisConnectionInfo {
    settings.set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name()
}

/// A server, not connected to.
#[derive(Clone)]
pub(crate) struct Server {
    info: ConnectionInfo,
    connect_timeout: Duration,
    response_timeout: Duration,
}

/// What a server says of itself. Empty where the user may not ask.
#[derive(Debug, Default)]
pub(crate) struct Hello {
    /// `standalone`, `cluster` or `sentinel`.
    pub mode: String,
    /// `master`, or else.
    pub role: String,
}

impl Server {
    fn new(info: ConnectionInfo, connect_timeout: Duration, response_timeout: Duration) -> Self {
        // Without keep-alive a peer that vanished behind a firewall is noticed by the next request only.
        let keep_alive =
            TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(10));
        let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(keep_alive);
        Self { info: info.set_tcp_settings(tcp), connect_timeout, response_timeout }
    }

    /// The server of a client that the application has configured itself.
    pub fn of_client(client: &Client) -> Self {
        let info = client.get_connection_info().clone();
        let settings = own(info.redis_settings().clone());
        Self::new(info.set_redis_settings(settings), CONNECT_TIMEOUT, RESPONSE_TIMEOUT)
    }

    /// Opens a connection and asks the server what it is.
    pub async fn connect(&self) -> Result<(Connection, Hello), Fault> {
        let state = Arc::new(State::new(self.clone()));
        let noticed = Arc::clone(&state);
        let notice = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                noticed.close();
            }
            Ok::<(), SendError>(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.response_timeout))
            .set_push_sender(notice);
        let open = async {
            let client = Client::open(self.info.clone())?;
            let mut driver = client.get_multiplexed_async_connection_with_config(&config).await?;
            let hello = driver.send_packed_command(&cmd("HELLO")).await?;
            Ok::<_, RedisError>((driver, hello))
        };
        let (driver, hello) = tokio::time::timeout(self.connect_timeout, open)
            .await
            .map_err(|_| Fault::unavailable(NO_ANSWER))?
            .map_err(|error| Fault::connecting(&error))?;
        let hello = match hello {
            Value::Map(entries) => Hello::read(entries)?,
            // The user may not ask; whatever is wrong will show.
            _ => Hello::default(),
        };
        Ok((Connection::new(driver, state), hello))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info.addr().fmt(f)
    }
}

impl Hello {
    fn read(entries: Vec<(Value, Value)>) -> Result<Self, Fault> {
        let mut hello = Self::default();
        for (key, value) in entries {
            let (Some(key), Some(value)) = (text(key), text(value)) else { continue };
            match key.as_str() {
                "mode" => hello.mode = value,
                "role" => hello.role = value,
                "version" if too_old(&value) => {
                    return Err(Fault::new(
                        ErrorKind::Config,
                        format!("the server has version {value}: 7.0 is needed"),
                    ));
                }
                _ => {}
            }
        }
        Ok(hello)
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// `SET … NX GET` came with 7.0.
fn too_old(version: &str) -> bool {
    version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major < 7)
}

/// What a node of the wrong kind is told.
pub(crate) fn expect_mode(hello: &Hello, expected: &str) -> Result<(), Fault> {
    let use_instead = match hello.mode.as_str() {
        mode if mode.is_empty() || mode == expected => return Ok(()),
        "cluster" => "it is a node of a cluster: use `redis_cluster` or redis+cluster://",
        "sentinel" => "it is a sentinel: use `redis_sentinel` or redis+sentinel://",
        "standalone" => "it is a server of its own: use `redis` or redis://",
        _ => return Ok(()),
    };
    Err(Fault::new(ErrorKind::Config, use_instead))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(fields: &[(&str, &str)]) -> Result<Hello, Fault> {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        Hello::read(fields.iter().map(|(key, value)| (text(key), text(value))).collect())
    }

    #[test]
    fn a_server_before_7_is_too_old_and_valkey_is_not() {
        for version in ["6.2.14", "5.0.7"] {
            let fault = hello(&[("server", "redis"), ("version", version)]).unwrap_err();
            assert!(fault.kind == ErrorKind::Config && fault.to_string().contains(version), "{fault}");
        }
        for (server, version) in [("redis", "7.0.15"), ("redis", "8.2.0"), ("valkey", "8.0.1"), ("other", "")]
        {
            assert!(hello(&[("server", server), ("version", version)]).is_ok(), "{server} {version}");
        }
    }

    #[test]
    fn a_server_of_another_kind_is_told_which_engine_to_use() {
        for (mode, expected, says) in [
            ("cluster", "standalone", "redis_cluster"),
            ("sentinel", "standalone", "redis_sentinel"),
            ("standalone", "cluster", "`redis`"),
        ] {
            let fault = expect_mode(&hello(&[("mode", mode)]).unwrap(), expected).unwrap_err();
            assert!(fault.kind == ErrorKind::Config && fault.to_string().contains(says), "{fault}");
        }
        for mode in ["cluster", ""] {
            assert!(expect_mode(&hello(&[("mode", mode)]).unwrap(), "cluster").is_ok());
        }
    }
}
