//! The routing of commands to servers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use redis::aio::ConnectionLike;
use redis::{Client, Cmd, Value};
use session_core::{Error, Result};
use tokio::task::JoinSet;

#[cfg(feature = "cluster")]
use crate::cluster::Cluster;
use crate::config::{RedisConfig, Topology};
use crate::connection::answer;
use crate::dialer::Dialer;
use crate::error::Failure;
use crate::link::{Direct, Link};
#[cfg(feature = "sentinel")]
use crate::sentinel::Sentinels;
use crate::server::Server;

/// The connections to all servers. Clones share them.
#[derive(Clone)]
pub(crate) enum Route {
    /// One server: always the same, or the master that the sentinels name.
    One(Link),
    #[cfg(feature = "cluster")]
    Cluster(Cluster),
    /// A connection of the application.
    AppConnection(Arc<dyn AppConnection>),
}

impl Route {
    pub fn new(config: &RedisConfig) -> Result<Self> {
        match config.topology {
            Topology::Standalone => {
                let address = config.addresses.first().ok_or_else(|| Error::config("there is no address"))?;
                let server = Dialer::new(config)?.at(address);
                Ok(Self::One(Link::new(Direct { server, mode: "standalone" })))
            }
            #[cfg(feature = "cluster")]
            Topology::Cluster => Ok(Self::Cluster(Cluster::new(config)?)),
            #[cfg(feature = "sentinel")]
            Topology::Sentinel => Ok(Self::One(Link::new(Sentinels::new(config)?))),
            #[cfg(not(feature = "cluster"))]
            Topology::Cluster => Err(Error::config(
                "clusters are not compiled in: enable the feature `redis-cluster` of session-kit, or \
                 `cluster` of session-redis",
            )),
            #[cfg(not(feature = "sentinel"))]
            Topology::Sentinel => Err(Error::config(
                "Sentinel is not compiled in: enable the feature `redis-sentinel` of session-kit, or \
                 `sentinel` of session-redis",
            )),
        }
    }

    pub fn of_client(client: &Client) -> Self {
        let server = Server::of_client(client);
        Self::One(Link::new(Direct { server, mode: "standalone" }))
    }

    #[cfg(feature = "deadpool")]
    pub fn of_pool(pool: deadpool_redis::Pool) -> Self {
        Self::One(Link::new(crate::pool::Pooled::new(pool)))
    }

    pub fn of_connection(connection: impl ConnectionLike + Clone + Send + Sync + 'static) -> Self {
        Self::AppConnection(Arc::new(connection))
    }

    /// Connects, so that problems are reported early.
    pub async fn connect(&self) -> Result<(), Failure> {
        match self {
            Self::One(link) => link.connection().await.map(drop),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.masters().await.map(drop),
            Self::AppConnection(_) => Ok(()),
        }
    }

    /// Sends a command on one key.
    pub async fn send(&self, key: &str, command: &Cmd) -> Result<Value, Failure> {
        let _ = key;
        match self {
            Self::One(link) => link.send(command).await,
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.send(key.as_bytes(), command).await,
            Self::AppConnection(connection) => answer(connection.send(command).await),
        }
    }

    /// Sends commands, each on one key, and waits for all answers: as one batch to a single server,
    /// otherwise concurrently.
    pub async fn send_each(
        &self,
        commands: Vec<(String, Cmd)>,
    ) -> Result<Vec<Result<Value, Failure>>, Failure> {
        if let Self::One(link) = self {
            let answers = link.send_all(commands.into_iter().map(|(_, command)| command)).await?;
            return Ok(answers.into_iter().map(|value| answer(Ok(value))).collect());
        }
        let mut sending = JoinSet::new();
        for (place, (key, command)) in commands.into_iter().enumerate() {
            let route = self.clone();
            sending.spawn(async move { (place, route.send(&key, &command).await) });
        }
        let mut answers = sending.join_all().await;
        answers.sort_unstable_by_key(|(place, _)| *place);
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }

    /// Returns the link to the single server that has every key, if there is one.
    pub fn single(&self) -> Option<&Link> {
        match self {
            Self::One(link) => Some(link),
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => None,
            Self::AppConnection(_) => None,
        }
    }

    /// Returns the links to all servers that have keys of their own.
    #[cfg_attr(not(feature = "cluster"), allow(clippy::unused_async, reason = "a cluster must be asked"))]
    pub async fn masters(&self) -> Result<Vec<Link>, Failure> {
        match self {
            Self::One(link) => Ok(vec![link.clone()]),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.masters().await,
            Self::AppConnection(_) => Ok(Vec::new()),
        }
    }

    /// Returns whether the servers compare digests; not known of an application's connections.
    pub fn compares_digests(&self) -> bool {
        match self {
            Self::One(link) => link.compares_digests(),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.compares_digests(),
            Self::AppConnection(_) => false,
        }
    }

    /// Returns whether the keys can be counted.
    pub fn enumerates(&self) -> bool {
        !matches!(self, Self::AppConnection(_))
    }

    /// Returns whether a command may have been sent more than once.
    pub fn resends(&self) -> bool {
        matches!(self, Self::AppConnection(_))
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One(_) => "one server",
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => "cluster",
            Self::AppConnection(_) => "application connection",
        })
    }
}

type Sending<'a> = Pin<Box<dyn Future<Output = redis::RedisResult<Value>> + Send + 'a>>;

/// An application's connection of any type.
pub(crate) trait AppConnection: Send + Sync {
    fn send<'a>(&self, command: &'a Cmd) -> Sending<'a>;
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> AppConnection for C {
    fn send<'a>(&self, command: &'a Cmd) -> Sending<'a> {
        let mut connection = self.clone();
        Box::pin(async move { connection.req_packed_command(command).await })
    }
}
