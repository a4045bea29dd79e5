//! One server: connects, logs in, and asks for its mode and role.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::SendError;
use redis::io::AsyncDNSResolver;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError, RedisFuture, Value, cmd};

use crate::connection::{Connection, State};
use crate::dialer::{Location, Settings};
use crate::error::{Fault, NO_ANSWER};
use crate::hello::Hello;

/// A server, without a connection.
#[derive(Clone)]
pub(crate) struct Server {
    pub location: Location,
    pub settings: Arc<Settings>,
    /// Whether the server refuses `HELLO`, and so RESP3.
    pub resp2: Arc<AtomicBool>,
}

impl Server {
    /// Returns the server of a client that the application has configured.
    pub fn of_client(client: &Client) -> Self {
        let location = Location::Given(client.get_connection_info().addr().clone());
        Self { location, settings: Arc::new(Settings::of_client(client)), resp2: Arc::default() }
    }

    /// Opens a connection and asks the server for its mode and role.
    pub async fn connect(&self) -> Result<(Connection, Hello), Fault> {
        self.connect_noticing(|_| ()).await
    }

    /// The same, and passes the server's push messages, in RESP3, to `notice`.
    pub async fn connect_noticing(
        &self,
        notice: impl Fn(&PushInfo) + Clone + Send + Sync + 'static,
    ) -> Result<(Connection, Hello), Fault> {
        let open = async {
            let resp2 = self.resp2.load(Ordering::Relaxed);
            match self.open(resp2, notice.clone()).await {
                Err(Failed::Driver(error)) if !resp2 && refuses_hello(&error) => {
                    let opened = self.open(true, notice).await;
                    self.resp2.store(opened.is_ok(), Ordering::Relaxed);
                    opened
                }
                opened => opened,
            }
        };
        match tokio::time::timeout(self.settings.connect_timeout, open).await {
            Ok(opened) => opened.map_err(|failed| match failed {
                Failed::Driver(error) => Fault::connecting(&error),
                Failed::Here(fault) => fault,
            }),
            Err(_) => Err(Fault::unavailable(NO_ANSWER)),
        }
    }

    async fn open(
        &self,
        resp2: bool,
        notice: impl Fn(&PushInfo) + Send + Sync + 'static,
    ) -> Result<(Connection, Hello), Failed> {
        let login = self.settings.login(resp2).await.map_err(Fault::of_error)?;
        let (location, tls) = (self.location.clone(), self.settings.tls.clone());
        let dialed = if tls.is_some() {
            // This reads files.
            let dialing = tokio::task::spawn_blocking(move || location.dialed(tls.as_ref()));
            Fault::of_task(dialing.await)?
        } else {
            location.dialed(None)?
        };
        let state = Arc::new(State::new(Some(self.clone())));
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.settings.connect_timeout))
            .set_response_timeout(Some(self.settings.response_timeout));
        if let Some(host) = dialed.look_up {
            config = config.set_dns_resolver(LookUp(host));
        }
        if !resp2 {
            let noticed = Arc::clone(&state);
            config = config.set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    noticed.close();
                }
                notice(&push);
                Ok::<(), SendError>(())
            });
        }
        let client = Client::open(dialed.info.set_redis_settings(login))?;
        let mut driver = client.get_multiplexed_async_connection_with_config(&config).await?;
        let hello = driver.send_packed_command(&cmd(if resp2 { "INFO" } else { "HELLO" })).await?;
        if let Value::ServerError(error) = &hello
            && error.code() == "NOAUTH"
        {
            return Err(Fault::answered(error).into());
        }
        let hello = Hello::read(hello)?;
        self.settings.note_digests(hello.compares_digests());
        Ok((Connection::new(driver, state), hello))
    }
}

/// The reason why a connection was not opened.
enum Failed {
    Driver(RedisError),
    Here(Fault),
}

impl From<RedisError> for Failed {
    fn from(error: RedisError) -> Self {
        Self::Driver(error)
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Here(fault)
    }
}

/// Returns whether a server, or a proxy in front of it, does not support `HELLO` or RESP3. A
/// refused password does not count.
fn refuses_hello(error: &RedisError) -> bool {
    let details = error.detail().unwrap_or_default().to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| details.contains(word));
    match error.code() {
        Some("NOPROTO") => true,
        Some("ERR") => says(&["hello"]) && says(&["unknown", "unsupported", "not supported", "disabled"]),
        _ => error.kind() == redis::ErrorKind::RESP3NotSupported,
    }
}

/// Looks up another host than the one in the certificate.
struct LookUp(String);

impl AsyncDNSResolver for LookUp {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        _host: &'b str,
        port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((self.0.as_str(), port)).await?.collect();
            Ok(Box::new(found.into_iter()) as Box<dyn Iterator<Item = SocketAddr> + Send>)
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Location::Address(address) => address.fmt(f),
            Location::Given(addr) => addr.fmt(f),
        }
    }
}
