//! The declared capabilities of an engine. The manager, the conformance suite and the table in the
//! docs read them.

use std::time::Duration;

/// The clock that decides when a session's idle timeout has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeSource {
    /// The [`Clock`](crate::clock::Clock) that was passed to the provider; tests can set it.
    Core,
    /// The storage server's own clock.
    Server,
}

/// The events that may undo an acknowledged write, and with it a logout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// Sessions live as long as the process; a restart loses all of them.
    Process,
    /// Sessions survive a crash of the process, not always a loss of power.
    Crash,
    /// An acknowledged write is on disk, within the meaning of the server's configuration.
    Disk,
    /// Depends on the server's configuration: a failover to a replica, or a snapshot, may undo the
    /// last writes.
    Server,
    /// The client holds the record and can restore any earlier one.
    Client,
}

/// The engine's index of the sessions of an owner; see [`Indexed`](crate::provider::Indexed).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnerIndex {
    /// No index.
    None,
    /// The engine can end all sessions of an owner, but not list them.
    EndsAll,
    /// The engine can list them, but a full store may forget some until they are used again.
    BestEffort,
    /// The engine can list all of them.
    Exact,
}

impl OwnerIndex {
    /// Returns whether the sessions of an owner can be listed, and ended one by one.
    pub const fn lists(self) -> bool {
        matches!(self, Self::BestEffort | Self::Exact)
    }
}

/// The capabilities of an engine. Start from [`Capabilities::new`] and set what is different:
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
    /// The old token of a session that was destroyed or given another id is useless, even in a
    /// copy.
    pub revokes: bool,
    /// A read extends the idle deadline in the same round trip; otherwise the manager calls
    /// [`touch`](crate::Provider::touch), at most once per `touch_after`.
    pub slides_on_read: bool,
    /// The storage removes expired records by itself, so that `gc` has nothing to do.
    pub native_expiry: bool,
    /// Idle timeouts are rounded up to a multiple of this.
    pub expiry_granularity: Duration,
    /// `count` returns a number.
    pub enumerable: bool,
    /// The clock that decides when the idle timeout has passed.
    pub time_source: TimeSource,
    /// The events that may undo an acknowledged write.
    pub durability: Durability,
    /// A full store may evict records before they expire.
    pub evicts: bool,
    /// The index of the sessions of an owner.
    pub owner_index: OwnerIndex,
    /// The largest staleness of a read; zero if every read goes to the engine. The writes of this
    /// process are visible immediately in any case, and the engine decides about all writes.
    pub max_stale: Duration,
    /// The largest encoded record in bytes, if the engine knows its limit.
    pub max_record_bytes: Option<usize>,
}

impl Capabilities {
    /// Returns the capabilities of an engine on a server: conditional writes, a final logout, no
    /// slide on read, no native expiry, millisecond deadlines, enumerable, the server's clock and
    /// durability, no eviction, no index of owners, no size limit.
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
