//! Finds the current master with the help of sentinels.
//!
//! A master that was cut off from its sentinels still calls itself the master, and so does a
//! sentinel on its side of the partition. Each failover has a higher configuration epoch, and the
//! highest known epoch decides: when a connection is made, and while one is open ([`watch`]).

mod ask;
mod watch;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use session_core::Result;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::config::{Address, RedisConfig};
use crate::connection::Connection;
use crate::dialer::Dialer;
use crate::error::Fault;
use crate::link::Connect;
use crate::server::Server;
use ask::{Answer, ask};

/// How long to wait for the other sentinels once one has answered.
const PATIENCE: Duration = Duration::from_millis(250);

/// Connects to the master that the sentinels agree on. Dropping it stops the watching.
pub(crate) struct Sentinels {
    shared: Arc<Shared>,
    watching: Mutex<JoinSet<()>>,
}

/// The state that connecting and watching share.
struct Shared {
    servers: Vec<Server>,
    master: String,
    dialer: Dialer,
    known: Mutex<Known>,
}

/// The connected master, and the latest known failover.
#[derive(Default)]
struct Known {
    /// The highest configuration epoch that a sentinel has named.
    epoch: u64,
    current: Option<Current>,
}

struct Current {
    /// The epoch that led to this master.
    epoch: u64,
    address: Address,
    connection: Connection,
}

impl Sentinels {
    pub fn new(config: &RedisConfig) -> Result<Self> {
        let to_sentinels = Dialer::for_sentinels(config)?;
        let shared = Shared {
            servers: config.addresses.iter().map(|address| to_sentinels.at(address)).collect(),
            master: config.master.clone(),
            dialer: Dialer::new(config)?,
            known: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared), watching: Mutex::default() })
    }

    /// Starts watching for failovers, unless it is running. The tasks end with the runtime that
    /// they were started on.
    fn keep_watching(&self) {
        let mut watching = self.watching.lock().unwrap_or_else(PoisonError::into_inner);
        while watching.try_join_next().is_some() {}
        if watching.is_empty() {
            for server in &self.shared.servers {
                watching.spawn(watch::watch(Arc::downgrade(&self.shared), server.clone()));
            }
        }
    }
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks all sentinels concurrently, so that a hanging or partitioned one does not delay the
    /// caller for long.
    async fn ask_all(&self) -> Result<Vec<Answer>, Fault> {
        let mut questions = JoinSet::new();
        for sentinel in &self.servers {
            let (sentinel, master) = (sentinel.clone(), self.master.clone());
            questions.spawn(async move { ask(&sentinel, &master).await });
        }
        let (mut answers, mut fault) = (Vec::new(), None);
        let mut until = None;
        loop {
            let next = match until {
                Some(until) => timeout_at(until, questions.join_next()).await.unwrap_or(None),
                None => questions.join_next().await,
            };
            match next.map(Fault::of_task) {
                Some(Ok(answer)) => {
                    answers.push(answer);
                    until.get_or_insert_with(|| Instant::now() + PATIENCE);
                }
                Some(Err(new)) => fault = Some(new),
                None if answers.is_empty() => {
                    return Err(fault.unwrap_or_else(|| Fault::unavailable("there is no sentinel")));
                }
                None => return Ok(answers),
            }
        }
    }

    /// Returns the answers with the highest epoch. An epoch below the known one comes from
    /// sentinels that were cut off, unless a majority agrees: then the sentinels were set up again.
    fn newest(&self, mut answers: Vec<Answer>) -> Result<(u64, Vec<Address>), Fault> {
        let epoch = answers.iter().map(|answer| answer.epoch).max().unwrap_or(0);
        answers.retain(|answer| answer.epoch == epoch);
        let mut known = self.known();
        if epoch < known.epoch && answers.len() <= self.servers.len() / 2 {
            return Err(Fault::unavailable(
                "the sentinels that answered do not know the last failover: they may be cut off",
            ));
        }
        known.epoch = epoch;
        let mut addresses: Vec<Address> = Vec::new();
        for Answer { address, .. } in answers {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok((epoch, addresses))
    }

    /// Connects to the server at this address, if it is a master.
    async fn master_at(&self, address: &Address) -> Result<Connection, Fault> {
        let (connection, hello) = self.dialer.at(address).connect().await?;
        if matches!(hello.role.as_str(), "master" | "") {
            return Ok(connection);
        }
        Err(Fault::unavailable(
            "the server that the sentinels name is not a master: a failover may be in progress",
        ))
    }

    /// Leaves the connected master when a sentinel names another one with a higher epoch.
    fn note(&self, answer: Answer) {
        let mut known = self.known();
        if answer.epoch < known.epoch {
            return;
        }
        known.epoch = answer.epoch;
        if let Some(current) =
            known.current.take_if(|it| it.epoch < answer.epoch && it.address != answer.address)
        {
            tracing::info!(master = %self.master, "the sentinels name another master: closing the \
                                                   connection to the old one");
            current.connection.close();
        }
    }
}

#[async_trait]
impl Connect for Sentinels {
    fn compares_digests(&self) -> bool {
        self.shared.dialer.compares_digests()
    }

    async fn connect(&self) -> Result<Connection, Fault> {
        let (epoch, addresses) = self.shared.newest(self.shared.ask_all().await?)?;
        let mut fault = None;
        for address in addresses {
            match self.shared.master_at(&address).await {
                Ok(connection) => {
                    self.keep_watching();
                    let mut known = self.shared.known();
                    if known.epoch > epoch {
                        return Err(Fault::unavailable("the master was replaced while connecting"));
                    }
                    let current = Current { epoch, address, connection: connection.clone() };
                    known.current = Some(current);
                    return Ok(connection);
                }
                Err(new) => fault = Some(new),
            }
        }
        Err(fault.unwrap_or_else(|| Fault::unavailable("the sentinels name no master")))
    }
}

impl fmt::Display for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the master `{}` of the sentinels", self.shared.master)
    }
}
