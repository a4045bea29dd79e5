//! Which server a command goes to.

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

/// The way to the servers. Clones are the same.
#[derive(Clone)]
pub(crate) enum Route {
    /// One server: always the same, or the one that the sentinels name.
    One(Link),
    #[cfg(feature = "cluster")]
    Cluster(Cluster),
    /// A connection of the application.
    Own(Arc<dyn Own>),
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
            #[cfg(not(all(feature = "cluster", feature = "sentinel")))]
            _ => Err(Error::config(
                "this is not compiled in: enable the feature `cluster` or `sentinel` of session-redis",
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

    pub fn own(connection: impl ConnectionLike + Clone + Send + Sync + 'static) -> Self {
        Self::Own(Arc::new(connection))
    }

    /// Connects, to say early what is wrong.
    pub async fn connect(&self) -> Result<(), Failure> {
        match self {
            Self::One(link) => link.connection().await.map(drop),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.masters().await.map(drop),
            Self::Own(_) => Ok(()),
        }
    }

    /// Sends a command about one key.
    pub async fn send(&self, key: &str, command: &Cmd) -> Result<Value, Failure> {
        let _ = key;
        match self {
            Self::One(link) => link.send(command).await,
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.send(key.as_bytes(), command).await,
            Self::Own(own) => answer(own.send(command).await),
        }
    }

    /// Sends commands, each about one key, and waits for all answers: in one go to one server, else side by side.
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

    /// The way to the one server that has every key, where there is one.
    pub fn single(&self) -> Option<&Link> {
        match self {
            Self::One(link) => Some(link),
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => None,
            Self::Own(_) => None,
        }
    }

    /// The ways to all servers that have keys of their own.
    #[cfg_attr(not(feature = "cluster"), allow(clippy::unused_async, reason = "a cluster is asked for them"))]
    pub async fn masters(&self) -> Result<Vec<Link>, Failure> {
        match self {
            Self::One(link) => Ok(vec![link.clone()]),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.masters().await,
            Self::Own(_) => Ok(Vec::new()),
        }
    }

    /// Whether the keys can be counted.
    pub fn enumerates(&self) -> bool {
        !matches!(self, Self::Own(_))
    }

    /// Whether a command may have been sent more than once.
    pub fn resends(&self) -> bool {
        matches!(self, Self::Own(_))
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One(_) => "one server",
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => "cluster",
            Self::Own(_) => "own connection",
        })
    }
}

type Sending<'a> = Pin<Box<dyn Future<Output = redis::RedisResult<Value>> + Send + 'a>>;

/// A connection of any type.
pub(crate) trait Own: Send + Sync {
    fn send<'a>(&self, command: &'a Cmd) -> Sending<'a>;
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Own for C {
    fn send<'a>(&self, command: &'a Cmd) -> Sending<'a> {
        let mut connection = self.clone();
        Box::pin(async move { connection.req_packed_command(command).await })
    }
}
