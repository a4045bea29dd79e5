//! What an engine says of itself. The manager, the conformance suite and the table in the docs read it.

use std::time::Duration;

/// Whose clock decides when a session's idle time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeSource {
    /// The [`Clock`](crate::clock::Clock) that was given to the provider; tests can turn it.
    Core,
    /// The storage server's own clock.
    Server,
}

/// What may undo a write that was acknowledged, and with it a logout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// Sessions live as long as the process that holds them; nothing comes back.
    Process,
    /// Sessions survive a crash of the process, not always a loss of power.
    Crash,
    /// An acknowledged write is on disk, as the server is configured to mean that.
    Disk,
    /// As the server is configured: a failover to a replica, or a snapshot, may undo the last writes.
    Server,
    /// The client holds the record and can bring any earlier one back.
    Client,
}

/// What an engine knows of the sessions of an owner; see [`Indexed`](crate::provider::Indexed).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnerIndex {
    /// Nothing.
    None,
    /// It can end all of them, and not list them.
    EndsAll,
    /// A full store may forget some of them until they are used again.
    BestEffort,
    /// Each of them.
    Exact,
}

/// What an engine can do. Start from [`Capabilities::new`] and say what is different:
///
/// ```
/// use std::time::Duration;
/// use session_core::Capabilities;
/// use session_core::engine::Durability;
///
/// const MINE: Capabilities = Capabilities::new()
///     .slides_on_read(true)
///     .expiry_granularity(Duration::from_secs(1))
///     .durability(Durability::Server);
/// assert!(MINE.slides_on_read && !MINE.client_side);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools)] // Each is a fact of its own, and the table in the docs prints them so.
pub struct Capabilities {
    /// The client holds the record: no conditional write, and a new token with every write.
    pub client_side: bool,
    /// A session that was destroyed, or given another id, is dead wherever a copy of its old token is.
    pub revokes: bool,
    /// A read moves the idle deadline in the same round trip; otherwise the manager calls
    /// [`touch`](crate::Provider::touch), at most once per `touch_after`.
    pub slides_on_read: bool,
    /// The storage removes expired records by itself, so that `gc` has nothing to do.
    pub native_expiry: bool,
    /// Idle times are rounded up to a multiple of this.
    pub expiry_granularity: Duration,
    /// `count` answers with a number.
    pub enumerable: bool,
    /// Whose clock ends the idle time.
    pub time_source: TimeSource,
    /// What may undo an acknowledged write.
    pub durability: Durability,
    /// A full store may remove records before their time, to make room for others.
    pub evicts: bool,
    /// What it knows of the sessions of an owner.
    pub owner_index: OwnerIndex,
    /// How old a read may be; zero where every read asks the engine. What this process writes is seen at once either
    /// way, and writes are decided by the engine.
    pub max_stale: Duration,
    /// The largest encoded record in bytes, when the engine has a limit that it knows.
    pub max_record_bytes: Option<usize>,
}

impl Capabilities {
    /// An engine on a server: conditional writes, a final logout, no slide on read, no native expiry, millisecond deadlines,
    /// enumerable, the server's clock and durability, no eviction, no index of owners, no limit of its own.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            client_side: false,
            revokes: true,
            slides_on_read: false,
            native_expiry: false,
            expiry_granularity: Duration::from_millis(1),
            enumerable: true,
            time_source: TimeSource::Server,
            durability: Durability::Server,
            evicts: false,
            owner_index: OwnerIndex::None,
            max_stale: Duration::ZERO,
            max_record_bytes: None,
        }
    }

    /// Sets [`client_side`](Self::client_side).
    #[must_use]
    pub const fn client_side(mut self, value: bool) -> Self {
        self.client_side = value;
        self
    }

    /// Sets [`revokes`](Self::revokes).
    #[must_use]
    pub const fn revokes(mut self, value: bool) -> Self {
        self.revokes = value;
        self
    }

    /// Sets [`slides_on_read`](Self::slides_on_read).
    #[must_use]
    pub const fn slides_on_read(mut self, value: bool) -> Self {
        self.slides_on_read = value;
        self
    }

    /// Sets [`native_expiry`](Self::native_expiry).
    #[must_use]
    pub const fn native_expiry(mut self, value: bool) -> Self {
        self.native_expiry = value;
        self
    }

    /// Sets [`expiry_granularity`](Self::expiry_granularity).
    #[must_use]
    pub const fn expiry_granularity(mut self, value: Duration) -> Self {
        self.expiry_granularity = value;
        self
    }

    /// Sets [`enumerable`](Self::enumerable).
    #[must_use]
    pub const fn enumerable(mut self, value: bool) -> Self {
        self.enumerable = value;
        self
    }

    /// Sets [`time_source`](Self::time_source).
    #[must_use]
    pub const fn time_source(mut self, value: TimeSource) -> Self {
        self.time_source = value;
        self
    }

    /// Sets [`durability`](Self::durability).
    #[must_use]
    pub const fn durability(mut self, value: Durability) -> Self {
        self.durability = value;
        self
    }

    /// Sets [`evicts`](Self::evicts).
    #[must_use]
    pub const fn evicts(mut self, value: bool) -> Self {
        self.evicts = value;
        self
    }

    /// Sets [`owner_index`](Self::owner_index).
    #[must_use]
    pub const fn owner_index(mut self, value: OwnerIndex) -> Self {
        self.owner_index = value;
        self
    }

    /// Sets [`max_stale`](Self::max_stale).
    #[must_use]
    pub const fn max_stale(mut self, value: Duration) -> Self {
        self.max_stale = value;
        self
    }

    /// Sets [`max_record_bytes`](Self::max_record_bytes).
    #[must_use]
    pub const fn max_record_bytes(mut self, value: usize) -> Self {
        self.max_record_bytes = Some(value);
        self
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::new()
    }
}
