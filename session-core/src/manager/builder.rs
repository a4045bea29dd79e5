//! The configuration of a manager, validated as a whole.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Manager;
use crate::clock::{Clock, SystemClock};
use crate::id::{IdGenerator, MIN_ID_BITS, RandomIds};
use crate::provider::TOMBSTONE_TTL;
use crate::shared::{
    Classes, Collecting, Event, Events, Excess, FOREVER, Lifetime, Limits, Listener, PerOwner, Queue,
    Renewal, Shared,
};
use crate::transport::Transport;
use crate::{Error, ManagerConfig, Provider, Result};

/// A listener whose `Debug` prints only whether there is one.
struct Listening(Option<Listener>);

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.is_some().fmt(f)
    }
}

/// Configures a [`Manager`]; [`build`](Self::build) validates the configuration.
#[derive(Debug)]
#[must_use = "a builder does nothing before `build`"]
pub struct ManagerBuilder {
    provider: Arc<dyn Provider>,
    transport: Transport,
    ids: Arc<dyn IdGenerator>,
    clock: Arc<dyn Clock>,
    idle: Duration,
    classes: Vec<(String, Lifetime)>,
    anonymous: Option<Duration>,
    absolute: Duration,
    touch_after: Option<Duration>,
    operation_timeout: Duration,
    maintenance_timeout: Option<Duration>,
    gc_interval: Option<Duration>,
    renew_every: Option<Duration>,
    renewal_grace: Duration,
    ends_on_reuse: bool,
    limits: Limits,
    per_owner: Option<PerOwner>,
    listener: Listening,
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
            maintenance_timeout: None,
            gc_interval: Some(Collecting::DEFAULT_INTERVAL),
            renew_every: None,
            renewal_grace: Duration::from_secs(10),
            ends_on_reuse: false,
            limits: Limits { keys: 1_024, bytes: 4 << 20 },
            per_owner: None,
            listener: Listening(None),
            plain_ids: false,
        }
    }

    /// Applies the cookie, id and lifetime settings of a [`ManagerConfig`]; later calls override
    /// them.
    ///
    /// Such a configuration has no absolute timeout: the default of 12 hours applies, unless the
    /// idle or cookie lifetime is longer. [`Config`](crate::ErrorKind::Config) when it contradicts
    /// itself.
    pub fn configure(mut self, config: &ManagerConfig) -> Result<Self> {
        config.check()?;
        self.transport = config.transport()?;
        self.ids = Arc::new(config.id_generator()?);
        self.idle = config.idle();
        self.gc_interval = Some(config.gc_interval());
        self.absolute = self.absolute.max(config.idle()).max(config.cookie_lifetime().unwrap_or_default());
        Ok(self)
    }

    /// Sets how tokens travel: cookie, header or URL. Default: a `__Host-` cookie with `Secure`,
    /// `HttpOnly` and `SameSite=Lax`.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Sets how long a session lives without being used. Default one hour (ASVS 7.3.1).
    pub fn idle_timeout(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Sets how long a session lives at most, regardless of activity. Default 12 hours (ASVS 7.3.2,
    /// NIST SP 800-63B §2).
    pub fn absolute_timeout(mut self, absolute: Duration) -> Self {
        self.absolute = absolute;
        self
    }

    /// Adds another lifetime, such as "remember me", which
    /// [`Session::set_class`](crate::Session::set_class) chooses by name. Names are 1 to 16 letters
    /// a-z.
    ///
    /// An ordinary login lasts until the browser closes, a remembered one for 30 days:
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use session_core::{Lifetime, ManagerBuilder};
    /// # fn demo(builder: ManagerBuilder) -> ManagerBuilder {
    /// let month = Duration::from_secs(30 * 24 * 3_600);
    /// builder.class("remember", Lifetime::idle(month).absolute(month).persistent(true))
    /// # }
    /// ```
    ///
    /// Adding or removing a class logs nobody out: a token of an unknown class belongs to the
    /// default class.
    pub fn class(mut self, name: impl Into<String>, lifetime: Lifetime) -> Self {
        self.classes.push((name.into(), lifetime));
        self
    }

    /// Adds a class with another idle timeout and the ordinary absolute one; see
    /// [`class`](Self::class). Its cookie outlives the browser if the idle timeout is longer than
    /// the default one.
    pub fn idle_class(self, name: impl Into<String>, idle: Duration) -> Self {
        self.class(name, Lifetime::idle(idle).persistent_if_longer())
    }

    /// Sets the idle timeout of sessions without an owner, shorter than the ordinary one, so that
    /// the sessions of a flood of visitors expire soon.
    pub fn anonymous_idle_timeout(mut self, idle: Duration) -> Self {
        self.anonymous = Some(idle);
        self
    }

    /// Sets the minimum time between two writes that extend the idle deadline, on engines that need
    /// such writes. Default: the smaller of a minute and a tenth of the idle timeout. A session may
    /// end earlier by this much.
    pub fn touch_after(mut self, touch_after: Duration) -> Self {
        self.touch_after = Some(touch_after);
        self
    }

    /// Renews the id of a session in use automatically after this time. Default never.
    ///
    /// A stolen id is then of use for this long at most. Requests of one page that still carry the
    /// old id go on: see [`renewal_grace`](Self::renewal_grace). Only requests renew, whose
    /// response tells the client, and neither [`Manager::load`] nor a handle that outlives its
    /// request. Costs one round trip more for a request that renews, and one for a request that
    /// comes with the old id.
    pub fn renew_id_every(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.renew_every = interval.into();
        self
    }

    /// Sets how long an id still reads and writes the session after
    /// [`renew_id_every`](Self::renew_id_every) has replaced it. Default 10 seconds, at most a
    /// minute. A sign-in has no grace period: the previous id is dead immediately.
    pub fn renewal_grace(mut self, grace: Duration) -> Self {
        self.renewal_grace = grace;
        self
    }

    /// Sets whether a session ends when a replaced id is used after its grace period (within about
    /// a minute): one of the two clients has stolen it. Default no; the event `replaced_id_used` is
    /// logged either way.
    pub fn end_on_reuse(mut self, end: bool) -> Self {
        self.ends_on_reuse = end;
        self
    }

    /// Sets how long one load, release or destroy may take before it fails. Default 5 seconds.
    ///
    /// An answer within this time always counts. A failed call is retried once, and a call without
    /// an answer after three quarters of the time is repeated.
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout;
        self
    }

    /// Sets how long work on all stored sessions (a count, a batch of the collection) may take.
    /// Default: twelve times the [`operation_timeout`](Self::operation_timeout), one minute.
    pub fn maintenance_timeout(mut self, timeout: Duration) -> Self {
        self.maintenance_timeout = Some(timeout);
        self
    }

    /// Sets how often expired sessions are collected, from the first request on. Default one
    /// minute; `None` leaves it to [`Manager::spawn_gc`] and [`Manager::collect`]. Engines whose
    /// storage expires by itself need no collection.
    pub fn gc_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.gc_interval = interval.into();
        self
    }

    /// Sets how many keys a session may have. Default 1,024.
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.limits.keys = keys;
        self
    }

    /// Sets how many bytes the keys and encoded values of a session may have together. Default 4
    /// MiB.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// Sets how many sessions a user may have at once, and what happens at a sign-in beyond that.
    /// Default: no limit.
    ///
    /// The engine must list the sessions of an owner
    /// ([`Capabilities::owner_index`](crate::Capabilities::owner_index)). A sign-in then costs one
    /// more call, two with [`Excess::Refuse`], and one for each session that it ends.
    pub fn max_sessions_per_owner(mut self, sessions: usize, excess: Excess) -> Self {
        self.per_owner = Some(PerOwner { sessions, excess });
        self
    }

    /// Calls a function for every event of a session: for an audit log, a "new device signed in"
    /// mail, or a socket that closes with its session. There is one listener; a second call
    /// replaces it.
    ///
    /// A separate task calls it after the fact, one event at a time, and delays no request. Up to
    /// 1,024 events wait for it; more are dropped and counted (`session_event_dropped`). It
    /// receives the events of this manager, not those of other processes.
    ///
    /// ```
    /// # fn demo(builder: session_core::ManagerBuilder) -> session_core::ManagerBuilder {
    /// use session_core::events::{EndedBy, EventKind};
    ///
    /// builder.on_event(|event| {
    ///     if event.kind == EventKind::Destroyed(EndedBy::Limit) {
    ///         println!("signed out by a newer sign-in: {:?}", event.handle);
    ///     }
    /// })
    /// # }
    /// ```
    pub fn on_event(mut self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.listener = Listening(Some(Arc::new(listener)));
        self
    }

    /// Sets the generator of ids. Default: 256 random bits as 43 characters.
    #[doc(alias = "SetHashFunc")]
    pub fn id_generator(mut self, ids: impl IdGenerator) -> Self {
        self.ids = Arc::new(ids);
        self
    }

    /// Stores sessions under the id itself instead of its hash, for tables that other software
    /// reads. A copy of the store then lets its reader log in as any user.
    pub fn plain_ids(mut self, plain: bool) -> Self {
        self.plain_ids = plain;
        self
    }

    /// Sets the manager's clock. Default: the system's clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Builds the manager, or returns a [`Config`](crate::ErrorKind::Config) error that says what
    /// to change. No I/O.
    pub fn build(self) -> Result<Manager> {
        self.transport.check()?;
        let default = Lifetime::idle(self.idle);
        let delivers = self.transport.delivers_new_tokens();
        if self.renew_every.is_some() && !delivers {
            return Err(Error::config(
                "renew_id_every needs clients that learn of a new id: tokens in the URL, and a cookie that is not sent, \
                 do not; remove it, or use the cookie or a header",
            ));
        }
        let classes = Classes::new(default, self.classes, self.anonymous, self.absolute)?;
        let capabilities = self.provider.capabilities();
        for (name, time) in [
            ("operation_timeout", Some(self.operation_timeout)),
            ("maintenance_timeout", self.maintenance_timeout),
            ("gc_interval", self.gc_interval),
            ("renew_id_every", self.renew_every),
        ] {
            if time.is_some_and(|time| time.is_zero()) {
                return Err(Error::config(format!("{name} is zero: give it a duration")));
            }
        }
        if self.renewal_grace > TOMBSTONE_TTL {
            return Err(Error::config(format!(
                "renewal_grace is {:?}: an id that was replaced is remembered for {TOMBSTONE_TTL:?} at most",
                self.renewal_grace
            )));
        }
        if let (Some(after), Some(shortest)) = (self.touch_after, classes.all().map(|class| class.idle).min())
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
        if capabilities.client_side && self.renew_every.is_some() {
            return Err(Error::config(
                "an engine that leaves the record with the client gives it a new token with every write: remove \
                 renew_id_every",
            ));
        }
        if self.ids.random_bits() < MIN_ID_BITS {
            return Err(Error::config(format!(
                "session ids have {} random bits, at least {MIN_ID_BITS} are needed (OWASP, ASVS 7.2.3): make them longer",
                self.ids.random_bits()
            )));
        }
        if let Some(limit) = self.per_owner
            && (limit.sessions == 0 || !capabilities.owner_index.lists())
        {
            return Err(Error::config(format!(
                "max_sessions_per_owner ({}) must be at least 1, and the engine ({}) one that lists the sessions of an \
                 owner",
                limit.sessions,
                self.provider.engine()
            )));
        }
        let sample = self.ids.generate()?;
        if sample.expose().len() != self.ids.length() {
            return Err(Error::config("the id generator declares a length that its ids do not have"));
        }
        // The cookie of a client-side engine is the storage, so it is always written.
        let transport = if capabilities.client_side { self.transport.always_sent() } else { self.transport };
        self.provider.bind(&transport.scope())?;
        let renewal = Renewal {
            possible: false,
            every: self.renew_every,
            grace: self.renewal_grace,
            ends_on_reuse: self.ends_on_reuse,
        };
        let mut shared = Shared {
            provider: self.provider,
            capabilities,
            transport,
            classes,
            limits: self.limits,
            per_owner: self.per_owner,
            events: Events::to(self.listener.0),
            plain_ids: self.plain_ids,
            queue: Queue::default(),
            collecting: Collecting::new(self.gc_interval),
            ids: self.ids,
            clock: self.clock,
            touch_after: self.touch_after,
            renewal,
            operation_timeout: self.operation_timeout.min(FOREVER),
            maintenance_timeout: self
                .maintenance_timeout
                .unwrap_or_else(|| self.operation_timeout.saturating_mul(12))
                .min(FOREVER),
        };
        shared.renewal.possible = shared.renews_ids();
        Ok(Manager(Arc::new(shared)))
    }
}
