//! The header: the part of a record that engines and scripts read without decoding the body.

use std::fmt;

use sha2::{Digest, Sha256};

use super::Account;
use crate::clock::Timestamp;
use crate::id::StorageId;

/// A random token, drawn for every write. Equal tokens mean the same write.
///
/// It is not a counter: a driver may resend a write whose answer was lost, and only a token that no
/// other writer can have drawn distinguishes "our write was stored" from "another write was
/// stored".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Version(pub u64);

impl Version {
    /// Draws a token; it is never zero.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random::<u64>().max(1))
    }
}

/// Whether a record is a session or a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// A live session.
    Live,
    /// The session's id was regenerated, and this is the new one. A read finds no session; a logout
    /// follows it.
    Moved(StorageId),
}

/// The owner of a session: a hash of the application's user id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner(pub [u8; 32]);

impl Owner {
    /// Returns the owner for a user id of the application.
    #[must_use]
    pub fn of(user_id: &str) -> Self {
        Self(Sha256::digest(user_id.as_bytes()).into())
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "Owner({a:02x}{b:02x}{c:02x}{d:02x})")
    }
}

/// The number of version tokens in a header: its own and those of earlier writes.
pub(crate) const VERSIONS: usize = 8;

/// The fixed part of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// Whether the record is a session or a tombstone.
    pub state: State,
    /// The tokens of the last writes, newest first; zero if there were fewer.
    pub(crate) versions: [Version; VERSIONS],
    /// When the session was first stored.
    pub created: Timestamp,
    /// When the session ends regardless of activity.
    pub absolute: Timestamp,
    /// When the session ends unless it is used: as of the last write or touch, or a later value
    /// that the engine knows.
    pub deadline: Timestamp,
    /// The owner, if the application has set one.
    pub owner: Option<Owner>,
    /// Optional fields.
    pub(crate) details: Option<Box<Details>>,
}

/// The optional fields of a header, encoded after its fixed part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Details {
    pub renewed: Option<Renewed>,
    pub account: Option<Account>,
}

/// When and how a session got its current id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Renewed {
    pub at: Timestamp,
    /// The id was renewed automatically: for a while the old one still reads and writes the
    /// session.
    pub with_grace: bool,
}

impl Header {
    /// Creates the header of a session's first record, with a new version.
    #[must_use]
    pub fn new(created: Timestamp, absolute: Timestamp, deadline: Timestamp) -> Self {
        let mut versions = [Version::default(); VERSIONS];
        versions[0] = Version::random();
        Self { state: State::Live, versions, created, absolute, deadline, owner: None, details: None }
    }

    /// Returns the header of the next write over this one: with a new version, and the earlier ones
    /// in its history.
    #[must_use]
    pub fn next(&self) -> Self {
        let mut next = self.clone();
        next.versions.copy_within(..VERSIONS - 1, 1);
        next.versions[0] = Version::random();
        next
    }

    /// Adds versions of other records to the history of this one, so that it counts as newer than
    /// they are.
    pub(crate) fn supersede(&mut self, versions: impl IntoIterator<Item = Version>) {
        let own = self.version();
        for version in versions.into_iter().filter(|version| *version != own) {
            // A version that is not known yet takes the place of the oldest one.
            let place = self.versions.iter().position(|known| *known == version).unwrap_or(VERSIONS - 1);
            self.versions[1..=place].rotate_right(1);
            self.versions[1] = version;
        }
    }

    pub(crate) fn renewed(&self) -> Option<Renewed> {
        self.details.as_ref()?.renewed
    }

    pub(crate) fn set_renewed(&mut self, renewed: Option<Renewed>) {
        if renewed.is_some() || self.details.is_some() {
            self.change_details(|details| details.renewed = renewed);
        }
    }

    pub(crate) fn account(&self) -> Option<&Account> {
        self.details.as_ref()?.account.as_ref()
    }

    pub(crate) fn set_account(&mut self, account: Option<Account>) {
        if account.is_some() || self.details.is_some() {
            self.change_details(|details| details.account = account);
        }
    }

    /// Changes the details. Without any, the record is encoded in the format without details.
    fn change_details(&mut self, change: impl FnOnce(&mut Details)) {
        let mut details = self.details.take().unwrap_or_default();
        change(&mut details);
        self.details = (*details != Details::default()).then_some(details);
    }

    /// Returns the token of the write that stored this record.
    pub const fn version(&self) -> Version {
        self.versions[0]
    }

    /// Returns whether the write with this token stored this record, or is one of the last few
    /// before it.
    pub fn has_version(&self, version: Version) -> bool {
        self.versions.contains(&version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_supersedes_others_has_their_versions_and_keeps_its_own() {
        let time = Timestamp::from_millis;
        let first = Header::new(time(1), time(9), time(5));
        let mut header = first.next();
        let (own, before) = (header.version(), first.version());
        let [a, b, c] = [(); 3].map(|()| Version::random());
        header.supersede([a, b, c]);
        assert_eq!(header.versions[..5], [own, c, b, a, before]);
        // A known version comes to the front and is not there twice; the record's own stays first.
        header.supersede([b, own]);
        assert_eq!(header.versions[..5], [own, b, c, a, before]);
        assert_eq!(header.versions[5..], [Version::default(); 3]);
        let many = [(); VERSIONS].map(|()| Version::random());
        header.supersede(many);
        assert_eq!(header.version(), own);
        assert!(header.versions[1..].iter().eq(many[1..].iter().rev()), "the oldest are forgotten");
    }

    #[test]
    fn an_owner_is_printed_as_the_beginning_of_its_hash() {
        let mut owner = Owner([0; 32]);
        owner.0[..5].copy_from_slice(&[0x01, 0xab, 0x23, 0xcd, 0x45]);
        assert_eq!(format!("{owner:?}"), "Owner(01ab23cd)");
    }
}
