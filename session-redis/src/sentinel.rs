//! Sentinels: which server is the master now.

use std::fmt;

use async_trait::async_trait;
use redis::{Value, cmd};
use session_core::{ErrorKind, Result};
use tokio::task::JoinSet;

use crate::config::{Address, RedisConfig};
use crate::connection::Connection;
use crate::error::{Failure, Fault};
use crate::link::Connect;
use crate::server::{Dialer, Server, expect_mode};

/// The way to the master that sentinels agree on. They are asked whenever a connection is made.
pub(crate) struct Sentinels {
    servers: Vec<Server>,
    master: String,
    dialer: Dialer,
}

impl Sentinels {
    pub fn new(config: &RedisConfig) -> Result<Self> {
        let to_sentinels = Dialer::for_sentinels(config)?;
        Ok(Self {
            servers: config
                .addresses
                .iter()
                .map(|address| to_sentinels.at(address))
                .collect::<Result<_>>()?,
            master: config.master.clone(),
            dialer: Dialer::new(config)?,
        })
    }

    /// Connects to the server at this address, if it is a master.
    async fn master_at(&self, address: &Address) -> Result<Connection, Fault> {
        let server = self
            .dialer
            .at(address)
            .map_err(|_| Fault::unavailable("the sentinels name an address that is none"))?;
        let (connection, hello) = server.connect().await?;
        if matches!(hello.role.as_str(), "master" | "") {
            return Ok(connection);
        }
        // A sentinel that was cut off still names the old one.
        Err(Fault::unavailable(
            "the server that the sentinels name is not a master: a failover may be under way",
        ))
    }
}

#[async_trait]
impl Connect for Sentinels {
    /// Asks all sentinels at once and takes the first master that is one, so that a sentinel which hangs or was
    /// cut off holds nobody up.
    async fn connect(&self) -> Result<Connection, Fault> {
        let mut questions = JoinSet::new();
        for sentinel in &self.servers {
            let (sentinel, master) = (sentinel.clone(), self.master.clone());
            questions.spawn(async move { ask(&sentinel, &master).await });
        }
        let mut tried: Vec<Address> = Vec::new();
        let (mut of_master, mut of_sentinel) = (None, None);
        while let Some(answer) = questions.join_next().await {
            match Fault::of_task(answer) {
                Ok(address) if tried.contains(&address) => {}
                Ok(address) => {
                    match self.master_at(&address).await {
                        Ok(connection) => return Ok(connection),
                        Err(fault) => of_master = Some(fault),
                    }
                    tried.push(address);
                }
                Err(fault) => of_sentinel = Some(fault),
            }
        }
        let none = || Fault::unavailable("there is no sentinel");
        Err(of_master.or(of_sentinel).unwrap_or_else(none))
    }
}

impl fmt::Display for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the master `{}` of the sentinels", self.master)
    }
}

/// Where one sentinel says that the master is.
async fn ask(sentinel: &Server, master: &str) -> Result<Address, Fault> {
    let (connection, hello) = sentinel.connect().await?;
    expect_mode(&hello, "sentinel")?;
    let mut question = cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    let answer = connection.send(&question).await.map_err(Failure::into_fault)?;
    let unreadable = || Fault::unavailable("the sentinel's answer cannot be read");
    match answer {
        Value::Nil => Err(Fault::new(
            ErrorKind::Config,
            "the sentinels watch no master of this name: it is what `sentinel monitor` calls it",
        )),
        answer => {
            let (host, port): (String, u16) = redis::from_redis_value(answer).map_err(|_| unreadable())?;
            Ok(Address::Tcp(host, port))
        }
    }
}
