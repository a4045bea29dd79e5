//! The manager: one engine, one configuration, and every session of a service.

mod builder;
mod class;
mod gc;
mod load;
mod request;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use builder::ManagerBuilder;
pub(crate) use class::{Class, Classes};
pub use gc::GcTask;
pub use request::{Finish, Reply, RequestSession};

use crate::commit::attempt::Operation;
use crate::commit::{self, Queue};
use crate::id::IdGenerator;
use crate::live::state::Stored;
use crate::live::{Limits, Session};
use crate::transport::{Incoming, Transport};
use crate::{
    Capabilities, Clock, ConnectOptions, ManagerConfig, Provider, Result, StorageId, Timestamp, Token,
    connect,
};

/// Starts, finds and ends sessions. Cloning it is cheap; all clones are the same manager.
///
/// In a web service an adapter (`session-tower`, `session-actix`) calls it. A worker or a command line calls it
/// directly:
///
/// ```
/// # async fn demo(manager: session_core::Manager, token: session_core::Token) -> session_core::Result<()> {
/// if let Some(session) = manager.load(&token).await? {
///     session.update("exports", |done: Option<u32>| done.unwrap_or(0) + 1)?;
///     session.release().await?;
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Manager(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub provider: Arc<dyn Provider>,
    pub capabilities: Capabilities,
    pub transport: Transport,
    pub classes: Classes,
    pub limits: Limits,
    pub absolute: Duration,
    pub plain_ids: bool,
    pub queue: Queue,
    ids: Arc<dyn IdGenerator>,
    clock: Arc<dyn Clock>,
    touch_after: Option<Duration>,
    operation_timeout: Duration,
    gc_interval: Duration,
    /// Closed when the manager is dropped, which ends its tasks.
    alive: watch::Sender<()>,
}

impl Manager {
    /// Begins the configuration of a manager over an engine.
    pub fn builder(provider: impl Provider) -> ManagerBuilder {
        Self::builder_shared(Arc::new(provider))
    }

    /// As [`builder`](Self::builder), over an engine that is shared already.
    pub fn builder_shared(provider: Arc<dyn Provider>) -> ManagerBuilder {
        ManagerBuilder::new(provider)
    }

    /// Connects the engine that is registered under `engine`, with the `providerConfig` of a configuration, and builds
    /// its manager: `session.NewManager("file", …)` of the seeds.
    ///
    /// ```no_run
    /// # async fn demo() -> session_core::Result<()> {
    /// use session_core::{Manager, ManagerConfig};
    ///
    /// let config = ManagerConfig::from_json(r#"{"cookieName":"gosessionid","gclifetime":3600,"providerConfig":"./tmp"}"#)?;
    /// let manager = Manager::open("file", &config).await?;
    /// manager.spawn_gc();
    /// # Ok(()) }
    /// ```
    #[doc(alias = "NewManager")]
    pub async fn open(engine: &str, config: &ManagerConfig) -> Result<Self> {
        let provider = connect(engine, ConnectOptions::new(config.provider_config.expose())).await?;
        Self::builder_shared(provider).configure(config)?.build()
    }

    /// The session of a request with what the client sent, to be loaded when somebody asks for it. No I/O.
    pub fn request(&self, incoming: Incoming<'_>) -> RequestSession {
        let accepts = |text: &str| self.0.accepts(text);
        RequestSession::new(self.clone(), self.0.transport.candidates(incoming, &accepts))
    }

    /// Loads the session that a client presents, or begins a new one: `SessionStart` of the seeds. One round trip,
    /// none without a well-formed token.
    #[doc(alias = "SessionStart")]
    pub async fn start(&self, incoming: Incoming<'_>) -> Result<Session> {
        self.request(incoming).session().await
    }

    /// A new session, stored when it is written to and released. No I/O.
    pub fn create(&self) -> Session {
        Session::new(Arc::clone(&self.0), None, Vec::new())
    }

    /// Loads the session of a token; `None` when there is none (any more). One round trip.
    pub async fn load(&self, token: &Token) -> Result<Option<Session>> {
        if !self.0.accepts(token.expose()) {
            return Ok(None);
        }
        let found = self.0.find(std::iter::once(token)).await?;
        Ok(found.session.map(|stored| Session::new(Arc::clone(&self.0), Some(stored), Vec::new())))
    }

    /// Whether there is a session of this token, without moving its idle deadline. One round trip.
    #[doc(alias = "SessionExist")]
    pub async fn exists(&self, token: &Token) -> Result<bool> {
        if !self.0.accepts(token.expose()) {
            return Ok(false);
        }
        let id = self.0.storage_id(token);
        Ok(self.0.operation("exists", false).call(|| self.0.provider.exists(&id)).await?.value)
    }

    /// Ends the session of a token and says whether there was one. One round trip.
    #[doc(alias = "SessionDestroy")]
    pub async fn destroy(&self, token: &Token) -> Result<bool> {
        if !self.0.accepts(token.expose()) {
            return Ok(false);
        }
        let (shared, id) = (Arc::clone(&self.0), self.0.storage_id(token));
        commit::detached(async move { commit::end(&shared, &id, None).await }).await
    }

    /// Gives the session of a token a new one; `None` when there is no session. Three round trips, two on SQL engines.
    #[doc(alias = "SessionRegenerateId")]
    pub async fn regenerate(&self, token: &Token) -> Result<Option<Token>> {
        let Some(session) = self.load(token).await? else { return Ok(None) };
        session.regenerate()?;
        session.release().await?;
        Ok(session.token())
    }

    /// How many sessions there are; `None` where the engine cannot tell. May lag by one idle time.
    #[doc(alias = "GetActiveSession")]
    pub async fn active(&self) -> Result<Option<u64>> {
        Ok(self.0.operation("count", false).call(|| self.0.provider.count()).await?.value)
    }

    /// The engine.
    pub fn provider(&self) -> &Arc<dyn Provider> {
        &self.0.provider
    }

    /// How tokens travel.
    pub fn transport(&self) -> &Transport {
        &self.0.transport
    }

    /// How long one load, release or destroy may take.
    pub fn operation_timeout(&self) -> Duration {
        self.0.operation_timeout
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

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn operation(&self, name: &'static str, writes: bool) -> Operation {
        Operation::new(name, self.provider.engine(), writes, self.operation_timeout)
    }

    /// Whether a text can be a token that this manager gave out. What cannot is never looked up.
    fn accepts(&self, text: &str) -> bool {
        self.capabilities.client_side || self.classes.split(text).0.len() == self.ids.length()
    }

    /// Draws the id of a session that begins, or moves.
    pub(crate) fn new_id(&self, class: Class) -> Result<(Token, StorageId)> {
        // An engine that leaves the record with the client names the session itself: nothing is drawn for it.
        if let (true, Some(unnamed)) = (self.capabilities.client_side, Token::new("unnamed")) {
            return Ok((unnamed.clone(), StorageId::unhashed(&unnamed)));
        }
        let token = self.ids.generate()?;
        let token = match self.classes.suffix(class) {
            Some(suffix) => Token::new(&format!("{}.{suffix}", token.expose())).unwrap_or(token),
            None => token,
        };
        let id = self.storage_id(&token);
        Ok((token, id))
    }

    /// The name of a session after a write: a client-side engine gives a new one each time.
    pub(crate) fn named(&self, given: Option<Token>, token: Token, id: StorageId) -> (Token, StorageId) {
        match given {
            Some(given) => {
                let id = self.storage_id(&given);
                (given, id)
            }
            None => (token, id),
        }
    }

    /// Whether the idle deadline has stood still long enough to be moved by a write.
    pub(crate) fn must_touch(&self, stored: &Stored) -> bool {
        if self.capabilities.slides_on_read {
            return false;
        }
        let header = &stored.record.header;
        let idle = stored.class.idle;
        let target = self.now().after(idle).min(header.absolute);
        let touch_after = self.touch_after.unwrap_or_else(|| (idle / 10).min(Duration::from_secs(60)));
        target.since(header.deadline) >= touch_after.max(Duration::from_millis(1))
    }
}
