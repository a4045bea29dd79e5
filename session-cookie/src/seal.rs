//! Records as tokens that only the holders of the key can read and create.

use base64::Engine as _;
use session_core::id::Token;
use session_core::record::Record;
use session_core::transport::{MAX_COOKIE_OCTETS, cookie_name_of_scope};
use session_core::{Error, ErrorKind, Result};

use crate::aead::{NONCE_BYTES, Nonce, TAG_BYTES};
use crate::base64url::{self, Base64Url};
use crate::compact;
use crate::key::{Key, KeyId, frame};

/// The format of the token. It is authenticated, and part of the derivation of the key.
pub(crate) const FORMAT: u8 = 1;

const KEY_ID: usize = 1;
const NONCE: usize = KEY_ID + size_of::<KeyId>();
const SEALED: usize = NONCE + NONCE_BYTES;

/// The length of the session id, which precedes the record.
const SESSION: usize = size_of::<SessionId>();

/// The byte after the session id if the owner's epoch follows. No record begins with it.
const WITH_EPOCH: u8 = 0;
const EPOCH: usize = size_of::<u8>() + size_of::<u64>();

/// The random id of a session, the same in all its tokens until its id is regenerated. With 2^64
/// values, a session almost never shares the id of an ended one; clients cannot choose it, because
/// it is sealed.
pub(crate) type SessionId = u64;

/// The values by which a session can be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub session: SessionId,
    /// The owner's epoch as of the sign-in; zero without an owner, or if the owner's sessions were
    /// never ended together.
    pub epoch: u64,
}

/// The keys, bound to one cookie.
#[derive(Debug)]
pub(crate) struct Sealer {
    scope: String,
    name_octets: usize,
    /// Each key with its associated data: format, key id, scope.
    keys: Vec<(Key, Vec<u8>)>,
    text: Base64Url,
}

impl Sealer {
    /// Binds the keys to a cookie; the first one seals.
    pub(crate) fn new(scope: &str, keys: Vec<Key>) -> Self {
        let bound = |key: Key| {
            let mut aad = vec![FORMAT];
            aad.extend_from_slice(&key.id);
            frame(&mut aad, scope.as_bytes());
            (key, aad)
        };
        Self {
            scope: scope.to_owned(),
            name_octets: cookie_name_of_scope(scope).map_or(0, str::len),
            keys: keys.into_iter().map(bound).collect(),
            text: base64url::engine(),
        }
    }

    /// The scope of the cookie to which it is bound.
    pub(crate) fn scope(&self) -> &str {
        &self.scope
    }

    /// The maximum size of a record.
    pub(crate) fn max_record_bytes(&self) -> usize {
        max_record_bytes(self.name_octets)
    }

    /// Returns [`TooLarge`](ErrorKind::TooLarge) if browsers would drop the cookie.
    pub(crate) fn seal(&self, identity: Identity, record: &Record) -> Result<Token> {
        let record = record.encode()?;
        let limit = self.max_record_bytes() - if identity.epoch == 0 { 0 } else { EPOCH };
        if record.len() > limit {
            let message = format!(
                "the session has {} bytes, but a cookie of {MAX_COOKIE_OCTETS} octets holds at most {limit}: \
                 store less in it, or use an engine on a server",
                record.len(),
            );
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        self.close(identity, &record)
    }

    /// Seals the bytes of a record of any size.
    pub(crate) fn close(&self, identity: Identity, record: &[u8]) -> Result<Token> {
        let Some((key, aad)) = self.keys.first() else {
            return Err(Error::config("there is no key"));
        };
        let mut nonce: Nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| {
            Error::new(ErrorKind::Unavailable, "the operating system returned no random bytes")
                .with_source(error)
        })?;
        let mut bytes = Vec::with_capacity(SEALED + SESSION + EPOCH + record.len() + TAG_BYTES);
        bytes.push(FORMAT);
        bytes.extend_from_slice(&key.id);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&identity.session.to_be_bytes());
        if identity.epoch != 0 {
            bytes.push(WITH_EPOCH);
            bytes.extend_from_slice(&identity.epoch.to_be_bytes());
        }
        compact::append(record, &mut bytes);
        let tag = key
            .cipher
            .seal(&nonce, aad, &mut bytes[SEALED..])
            .ok_or_else(|| Error::new(ErrorKind::TooLarge, "the cipher cannot seal that much"))?;
        bytes.extend_from_slice(&tag);
        Token::new(&self.text.encode(bytes))
            .ok_or_else(|| Error::new(ErrorKind::TooLarge, "the sealed record is not a valid token"))
    }

    /// Returns the session's identity and the bytes of its record; `None` for a token not sealed by
    /// one of the keys for this cookie.
    pub(crate) fn open(&self, token: &str) -> Option<(Identity, Vec<u8>)> {
        let mut bytes = self.text.decode(token).ok()?;
        if bytes.first() != Some(&FORMAT) {
            return None;
        }
        let id: KeyId = *bytes.get(KEY_ID..)?.first_chunk()?;
        for (key, aad) in self.keys.iter().filter(|(key, _)| key.id == id) {
            let (head, rest) = bytes.split_at_mut_checked(SEALED)?;
            let nonce = head[NONCE..].first_chunk::<NONCE_BYTES>()?;
            let (sealed, tag) = rest.split_last_chunk_mut::<TAG_BYTES>()?;
            if key.cipher.open(nonce, aad, sealed, *tag).is_some() {
                let (session, rest) = sealed.split_first_chunk()?;
                let (epoch, before) = match rest.split_first() {
                    Some((&WITH_EPOCH, rest)) => (u64::from_be_bytes(*rest.first_chunk()?), SESSION + EPOCH),
                    _ => (0, SESSION),
                };
                let identity = Identity { session: SessionId::from_be_bytes(*session), epoch };
                return compact::restore(&sealed[before..]).map(|record| (identity, record));
            }
            // Two keys with the same id are extremely unlikely; if they occur, the next one is
            // tried on a new copy, because opening modifies the buffer.
            bytes = self.text.decode(token).ok()?;
        }
        None
    }
}

/// The id of a new session. It is not a secret, so it does not need a system call.
pub(crate) fn new_session() -> SessionId {
    rand::random()
}

/// The maximum size of a record in a cookie whose name has this many octets.
pub(crate) const fn max_record_bytes(name_octets: usize) -> usize {
    let characters = MAX_COOKIE_OCTETS.saturating_sub(name_octets);
    (characters * 3 / 4).saturating_sub(SEALED + SESSION + TAG_BYTES)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;
    use session_core::Secret;

    use super::*;
    use crate::key::Material;

    const SCOPE: &str = "14:__Host-session0:";

    fn of(session: SessionId) -> Identity {
        Identity { session, epoch: 0 }
    }

    fn sealer(scope: &str, keys: &[&str]) -> Sealer {
        let derive = |key: &&str| {
            Material { security: Secret::new(*key), block: Secret::default() }.derive("").unwrap()
        };
        Sealer::new(scope, keys.iter().map(derive).collect())
    }

    #[test]
    fn tokens_of_earlier_versions_still_open() {
        let sealer = sealer(SCOPE, &["0123456789abcdef0123456789abcdef"]);
        let token = "AYlaADQ_gLsmYTHNUq_Wcwk94LDKU2DmxSCzYYxqZiGjJ0D2FDVpuCx_Vld_arZug78MPivhKiAscNBzQg";
        assert_eq!(sealer.open(token), Some((of(7), b"a record".to_vec())));
    }

    #[test]
    fn tokens_of_equal_records_share_only_format_and_key() {
        let sealer = sealer(SCOPE, &["key"]);
        let [one, other] = [(); 2].map(|()| sealer.close(of(0), &[1; 200]).unwrap());
        assert_eq!(one.expose()[..6], other.expose()[..6]);
        let same = one.expose()[8..].bytes().zip(other.expose()[8..].bytes()).filter(|(a, b)| a == b).count();
        assert!(same < 40, "{same} of 320 characters are equal, one in 64 is chance");
    }

    /// Two keys with equal ids, which cannot be found by trying, are distinguished by the
    /// authentication tag.
    #[test]
    fn keys_with_the_same_id_each_open_their_own() {
        let [first, mut second] = ["one", "two"]
            .map(|key| Material { security: Secret::new(key), block: Secret::default() }.derive("").unwrap());
        second.id = first.id;
        let token = Sealer::new(SCOPE, vec![second.clone()]).close(of(7), b"a record").unwrap();
        let both = Sealer::new(SCOPE, vec![first, second]);
        assert_eq!(both.open(token.expose()), Some((of(7), b"a record".to_vec())));
    }

    #[test]
    fn the_limit_is_the_largest_record_that_fits() {
        for name in 1..20 {
            let scope = format!("{name}:{}0:", "n".repeat(name));
            let sealer = sealer(&scope, &["key"]);
            let octets = |length| {
                name + sealer.close(of(0), &vec![1; length]).map_or(usize::MAX, |it| it.expose().len())
            };
            assert!(octets(sealer.max_record_bytes()) <= MAX_COOKIE_OCTETS);
            assert!(octets(sealer.max_record_bytes() + 1) > MAX_COOKIE_OCTETS);
        }
    }

    proptest! {
        #[test]
        fn only_unmodified_tokens_open(
            session in any::<SessionId>(),
            epoch in prop_oneof![Just(0), any::<u64>()],
            body in prop::collection::vec(any::<u8>(), 0..300),
            at in any::<prop::sample::Index>(),
            bit in 0..8,
        ) {
            let sealer = sealer(SCOPE, &["key"]);
            let (identity, record) = (Identity { session, epoch }, [&b"S"[..], &body].concat());
            let token = sealer.close(identity, &record).unwrap();
            prop_assert_eq!(sealer.open(token.expose()), Some((identity, record)));
            let mut bytes = URL_SAFE_NO_PAD.decode(token.expose()).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert_eq!(sealer.open(&URL_SAFE_NO_PAD.encode(&bytes)), None);
            prop_assert_eq!(sealer.open(&token.expose()[..token.expose().len() - 1]), None);
        }

        #[test]
        fn hostile_text_never_panics(text in ".{0,200}", token in "A[Q-Za-f][A-Za-z0-9_-]{0,200}") {
            let sealer = sealer(SCOPE, &["key"]);
            prop_assert_eq!(sealer.open(&text), None);
            prop_assert_eq!(sealer.open(&token), None);
        }
    }
}
