//! How large a session may become.

use crate::{Error, ErrorKind, Result};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub keys: usize,
    pub bytes: usize,
}

impl Limits {
    pub(crate) fn check(self, keys: usize, bytes: usize) -> Result<()> {
        if keys > self.keys {
            let message = format!("more than {} keys; raise max_keys, or store them elsewhere", self.keys);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        if bytes > self.bytes {
            let message = format!("more than {} bytes; raise max_bytes, or store them elsewhere", self.bytes);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(())
    }
}

/// The limit on the number of sessions of a user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PerOwner {
    pub sessions: usize,
    pub excess: Excess,
}

/// What happens at a sign-in of a user who has as many sessions as
/// [`max_sessions_per_owner`](crate::ManagerBuilder::max_sessions_per_owner) allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Excess {
    /// The sign-in succeeds, and the session with the oldest sign-in ends. The limit is exact even
    /// for concurrent sign-ins: if there are more than allowed, the newest are left, and the others
    /// are refused as with [`Refuse`](Self::Refuse).
    EndOldest,
    /// The sign-in is refused with [`TooManySessions`](crate::ErrorKind::TooManySessions), and the
    /// visitor's session continues without an owner. The limit is never exceeded; of concurrent
    /// sign-ins in several processes, more may be refused than the limit requires.
    Refuse,
}
