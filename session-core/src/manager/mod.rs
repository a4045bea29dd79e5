//! The manager: one engine and one configuration, for all sessions of a service.

mod accounts;
mod builder;
mod gc;
mod reply;
mod request;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use accounts::{SessionInfo, Sessions};
pub use builder::ManagerBuilder;
pub use gc::GcTask;
pub use reply::Reply;
pub use request::{Finish, RequestSession, stores_changes};

use crate::commit::{self, Trust};
use crate::id::Token;
use crate::live::Found;
use crate::session::Session;
use crate::shared::{EndedBy, EventKind, Shared};
use crate::transport::{Incoming, Transport};
use crate::{ConnectOptions, ManagerConfig, Provider, Result, connect};

/// Starts, finds and ends sessions. Cloning it is cheap; all clones are the same manager.
///
/// In a web service an adapter (`session-tower`, `session-actix`) calls it. A worker or a command
/// line calls it directly:
///
/// ```
/// # async fn demo(manager: session_core::Manager, token: session_core::id::Token) -> session_core::Result<()> {
/// if let Some(session) = manager.load(&token).await? {
///     session.update("exports", |done: Option<u32>| done.unwrap_or(0) + 1)?;
///     session.release().await?;
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Manager(pub(crate) Arc<Shared>);

impl Manager {
    /// Starts the configuration of a manager over an engine.
    pub fn builder(provider: impl Provider) -> ManagerBuilder {
        Self::builder_shared(Arc::new(provider))
    }

    /// Like [`builder`](Self::builder), for an engine that is already shared.
    pub fn builder_shared(provider: Arc<dyn Provider>) -> ManagerBuilder {
        ManagerBuilder::new(provider)
    }

    /// Connects the engine that is registered under the name `engine`, with the `providerConfig` of
    /// a configuration, and builds its manager: Beego's `session.NewManager("file", …)`.
    ///
    /// ```no_run
    /// # async fn demo() -> session_core::Result<()> {
    /// use session_core::{Manager, ManagerConfig};
    ///
    /// let config = ManagerConfig::from_json(r#"{"cookieName":"gosessionid","gclifetime":3600,"providerConfig":"./tmp"}"#)?;
    /// let manager = Manager::open("file", &config).await?;
    /// # let _ = manager; Ok(()) }
    /// ```
    #[doc(alias = "NewManager")]
    pub async fn open(engine: &str, config: &ManagerConfig) -> Result<Self> {
        let provider = connect(engine, ConnectOptions::new(config.provider_config.expose())).await?;
        Self::builder_shared(provider).configure(config)?.build()
    }

    /// Returns the session of a request, to be loaded on first use. No I/O.
    pub fn request(&self, incoming: Incoming<'_>) -> RequestSession {
        let accepts = |text: &str| self.0.accepts(text);
        RequestSession::new(self.clone(), self.0.transport.candidates(incoming, &accepts))
    }

    /// Loads the session that a client presents, or starts a new one (Beego's `SessionStart`). One
    /// round trip, none without a well-formed token.
    #[doc(alias = "SessionStart")]
    pub async fn start(&self, incoming: Incoming<'_>) -> Result<Session> {
        self.request(incoming).session().await
    }

    /// Returns a new session. It is stored when it is written to and released. No I/O.
    pub fn create(&self) -> Session {
        Session::new(Arc::clone(&self.0), Found::default())
    }

    /// Loads the session of a token; `None` when there is none. One round trip.
    pub async fn load(&self, token: &Token) -> Result<Option<Session>> {
        if !self.0.accepts(token.expose()) {
            return Ok(None);
        }
        let token = std::iter::once(token);
        let found = match commit::find_at_once(&self.0, token.clone()) {
            Some(found) => found,
            None => commit::find(&self.0, &self.0.operation("load", false), token, Trust::Client).await?,
        };
        Ok(found.session.is_some().then(|| Session::new(Arc::clone(&self.0), found)))
    }

    /// Returns whether there is a session of this token, without extending its idle deadline. One
    /// round trip.
    ///
    /// Where ids are [renewed](ManagerBuilder::renew_id_every), a session that is not found costs
    /// one more round trip. One that is found by its old id costs two more, and its idle deadline
    /// is extended.
    #[doc(alias = "SessionExist")]
    pub async fn exists(&self, token: &Token) -> Result<bool> {
        if !self.0.accepts(token.expose()) {
            return Ok(false);
        }
        let id = self.0.storage_id(token);
        let operation = self.0.operation("exists", false);
        let exists = operation.call(|| self.0.provider.exists(&id)).await?.value;
        if exists || !self.0.renewal.possible {
            return Ok(exists);
        }
        Ok(commit::find(&self.0, &operation, std::iter::once(token), Trust::Client).await?.session.is_some())
    }

    /// Ends the session of a token, and returns whether there was one. One round trip.
    #[doc(alias = "SessionDestroy")]
    pub async fn destroy(&self, token: &Token) -> Result<bool> {
        if !self.0.accepts(token.expose()) {
            return Ok(false);
        }
        let (shared, id) = (Arc::clone(&self.0), self.0.storage_id(token));
        commit::detached(async move {
            let ended = commit::end(&shared, &shared.operation("destroy", true), &id, None).await?;
            if ended {
                shared.events.emit(EventKind::Destroyed(EndedBy::Logout), &id, None);
            }
            Ok(ended)
        })
        .await
    }

    /// Gives the session of a token a new one, and returns it; `None` when there is no session.
    /// Three round trips, two on SQL engines.
    #[doc(alias = "SessionRegenerateId")]
    pub async fn regenerate(&self, token: &Token) -> Result<Option<Token>> {
        let Some(session) = self.load(token).await? else { return Ok(None) };
        session.regenerate()?;
        session.release().await?;
        Ok(session.token())
    }

    /// Returns the number of sessions; `None` where the engine does not know it. It may lag by one
    /// idle timeout.
    ///
    /// The cost is that of the engine's [`count`](Provider::count), on some engines a scan of all
    /// records. The timeout is [`maintenance_timeout`](ManagerBuilder::maintenance_timeout).
    #[doc(alias = "GetActiveSession")]
    pub async fn active(&self) -> Result<Option<u64>> {
        self.0.maintenance("count").once(self.0.provider.count()).await
    }

    /// Returns the engine.
    pub fn provider(&self) -> &Arc<dyn Provider> {
        &self.0.provider
    }

    /// Returns how tokens travel.
    pub fn transport(&self) -> &Transport {
        &self.0.transport
    }

    /// Returns how long one load, release or destroy may take.
    pub fn operation_timeout(&self) -> Duration {
        self.0.operation_timeout
    }

    /// Returns how many sessions an owner may have, as set by
    /// [`ManagerBuilder::max_sessions_per_owner`]; `None` when there is no limit.
    pub fn max_sessions_per_owner(&self) -> Option<usize> {
        self.0.per_owner.map(|limit| limit.sessions)
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager")
            .field("provider", &self.0.provider)
            .field("transport", &self.0.transport)
            .finish_non_exhaustive()
    }
}
