//! The configuration of a manager, checked as a whole.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Classes, Manager, Shared};
use crate::commit::Queue;
use crate::id::{IdGenerator, MIN_ID_BITS, RandomIds};
use crate::live::Limits;
use crate::transport::Transport;
use crate::{Clock, Error, ManagerConfig, Provider, Result, SystemClock};

/// Configures a [`Manager`]; [`build`](Self::build) checks it.
#[derive(Debug)]
#[must_use = "a builder does nothing before `build`"]
pub struct ManagerBuilder {
    provider: Arc<dyn Provider>,
    transport: Transport,
    ids: Arc<dyn IdGenerator>,
    clock: Arc<dyn Clock>,
    idle: Duration,
    classes: Vec<(String, Duration)>,
    anonymous: Option<Duration>,
    absolute: Duration,
    touch_after: Option<Duration>,
    operation_timeout: Duration,
    gc_interval: Duration,
    limits: Limits,
    plain_ids: bool,
}

impl ManagerBuilder {
    pub(super) fn new(provider: Arc<dyn Provider>) -> Self {
        Self {
            provider,
            transport: Transport::default(),
            ids: Arc::new(RandomIds::new()),
            clock: Arc::new(SystemClock),
            idle: Duration::from_secs(3_600),
            classes: Vec::new(),
            anonymous: None,
            absolute: Duration::from_secs(12 * 3_600),
            touch_after: None,
            operation_timeout: Duration::from_secs(5),
            gc_interval: Duration::from_secs(60),
            limits: Limits { keys: 1_024, bytes: 4 << 20 },
            plain_ids: false,
        }
    }

    /// Takes over what a [`ManagerConfig`] says of cookies, ids and lifetimes; what is set after it counts.
    ///
    /// Such a configuration knows no absolute timeout: the default of 12 hours stays, unless it gives a longer idle
    /// or cookie lifetime. [`Config`](crate::ErrorKind::Config) when it contradicts itself.
    pub fn configure(mut self, config: &ManagerConfig) -> Result<Self> {
        config.check()?;
        self.transport = config.transport()?;
        self.ids = Arc::new(config.id_generator()?);
        self.idle = config.idle();
        self.gc_interval = config.gc_interval();
        self.absolute = self.absolute.max(config.idle()).max(config.cookie_lifetime().unwrap_or_default());
        Ok(self)
    }

    /// How tokens travel: cookie, header or URL. Default: a `__Host-` cookie with `Secure`, `HttpOnly` and `SameSite=Lax`.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// How long a session lives without being used. Default one hour (ASVS 7.3.1).
    pub fn idle_timeout(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// How long a session lives at most, whatever its user does. Default 12 hours (ASVS 7.3.2, NIST SP 800-63B §2).
    pub fn absolute_timeout(mut self, absolute: Duration) -> Self {
        self.absolute = absolute;
        self
    }

    /// Another idle time, which [`Session::set_class`](crate::Session::set_class) chooses by name:
    /// "remember me". Names are 1 to 16 letters a-z.
    pub fn idle_class(mut self, name: impl Into<String>, idle: Duration) -> Self {
        self.classes.push((name.into(), idle));
        self
    }

    /// The idle time of sessions without an owner, shorter than the ordinary one, so that floods of visitors end soon.
    pub fn anonymous_idle_timeout(mut self, idle: Duration) -> Self {
        self.anonymous = Some(idle);
        self
    }

    /// On engines that need a write to move the idle deadline: how long it may stand still. Default the smaller of a minute
    /// and a tenth of the idle time; a session may end by this much early.
    pub fn touch_after(mut self, touch_after: Duration) -> Self {
        self.touch_after = Some(touch_after);
        self
    }

    /// How long one load, release or destroy may take before it is an error. Default 5 seconds.
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout;
        self
    }

    /// How often expired sessions are collected by [`Manager::spawn_gc`]. Default one minute.
    pub fn gc_interval(mut self, interval: Duration) -> Self {
        self.gc_interval = interval;
        self
    }

    /// How many keys a session may have. Default 1,024.
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.limits.keys = keys;
        self
    }

    /// How many bytes keys and encoded values of a session may have together. Default 4 MiB.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// Where ids come from. Default 256 random bits as 43 characters.
    #[doc(alias = "SetHashFunc")]
    pub fn id_generator(mut self, ids: impl IdGenerator) -> Self {
        self.ids = Arc::new(ids);
        self
    }

    /// Stores sessions under the id itself instead of its hash. For tables that other software reads; whoever
    /// reads the store can then log in as anyone in it.
    pub fn plain_ids(mut self, plain: bool) -> Self {
        self.plain_ids = plain;
        self
    }

    /// Where the manager takes the time from. Default the system's clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The manager, or a [`Config`](crate::ErrorKind::Config) error that says what to change. No I/O.
    pub fn build(self) -> Result<Manager> {
        self.transport.check()?;
        let classes = Classes::new(self.idle, self.classes, self.anonymous)?;
        let capabilities = self.provider.capabilities();
        for (name, time) in [
            ("absolute_timeout", self.absolute),
            ("operation_timeout", self.operation_timeout),
            ("gc_interval", self.gc_interval),
        ] {
            if time.is_zero() {
                return Err(Error::config(format!("{name} is zero: give it a duration")));
            }
        }
        if classes.idle_times().any(|idle| idle.is_zero()) {
            return Err(Error::config("an idle timeout is zero: give it a duration"));
        }
        if let (Some(after), Some(shortest)) = (self.touch_after, classes.idle_times().min())
            && after >= shortest / 2
        {
            return Err(Error::config(format!(
                "touch_after ({after:?}) must be less than half of the shortest idle timeout ({shortest:?}), \
                 or sessions in use would end"
            )));
        }
        if capabilities.client_side && !classes.is_single() {
            return Err(Error::config(
                "an engine that leaves the record with the client has one idle timeout: remove the idle classes",
            ));
        }
        if self.ids.random_bits() < MIN_ID_BITS {
            return Err(Error::config(format!(
                "session ids have {} random bits, at least {MIN_ID_BITS} are needed (OWASP, ASVS 7.2.3): make them longer",
                self.ids.random_bits()
            )));
        }
        let sample = self.ids.generate()?;
        if sample.expose().len() != self.ids.length() {
            return Err(Error::config("the id generator declares a length that its ids do not have"));
        }
        // Where the cookie is the storage, a configuration that keeps it from being written makes no sense.
        let transport = if capabilities.client_side { self.transport.always_sent() } else { self.transport };
        self.provider.bind(&transport.scope())?;
        Ok(Manager(Arc::new(Shared {
            provider: self.provider,
            capabilities,
            transport,
            classes,
            limits: self.limits,
            absolute: self.absolute,
            plain_ids: self.plain_ids,
            queue: Queue::default(),
            ids: self.ids,
            clock: self.clock,
            touch_after: self.touch_after,
            operation_timeout: self.operation_timeout,
            gc_interval: self.gc_interval,
            alive: watch::channel(()).0,
        })))
    }
}
