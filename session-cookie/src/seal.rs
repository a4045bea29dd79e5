//! A record as a token that only we can read and make.

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

/// The length of the part before the record: the name by which the session can be ended.
const SESSION: usize = size_of::<SessionId>();

/// The byte between them, when the owner's epoch follows. No record begins with it.
const WITH_EPOCH: u8 = 0;
const EPOCH: usize = size_of::<u8>() + size_of::<u64>();

/// The random name of a session, the same in every token of it until its id is regenerated. Of 2^64, so that two
/// sessions of which one was ended hardly ever have the same; it is sealed, so nobody can choose it.
pub(crate) type SessionId = u64;

/// What a session can be ended by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub session: SessionId,
    /// The epoch of its owner when it became theirs; zero when it has no owner, or one whose sessions were never ended
    /// together.
    pub epoch: u64,
}

/// The keys, bound to one cookie.
#[derive(Debug)]
pub(crate) struct Sealer {
    scope: String,
    name_octets: usize,
    /// With each key what is authenticated beside the record: format, key id, scope.
    keys: Vec<(Key, Vec<u8>)>,
    text: Base64Url,
}

impl Sealer {
    /// Binds the keys to a cookie; the first one seals.
    pub(crate) fn new(scope: &str, keys: Vec<Key>) -> Self {
        let bound = |key: Key| {
            let mut beside = vec![FORMAT];
            beside.extend_from_slice(&key.id);
            frame(&mut beside, scope.as_bytes());
            (key, beside)
        };
        Self {
            scope: scope.to_owned(),
            name_octets: cookie_name_of_scope(scope).map_or(0, str::len),
            keys: keys.into_iter().map(bound).collect(),
            text: base64url::engine(),
        }
    }

    /// What it is bound to.
    pub(crate) fn scope(&self) -> &str {
        &self.scope
    }

    /// The most bytes that a record may have.
    pub(crate) fn max_record_bytes(&self) -> usize {
        max_record_bytes(self.name_octets)
    }

    /// [`TooLarge`](ErrorKind::TooLarge) when browsers would drop the cookie.
    pub(crate) fn seal(&self, identity: Identity, record: &Record) -> Result<Token> {
        let record = record.encode()?;
        let limit = self.max_record_bytes() - if identity.epoch == 0 { 0 } else { EPOCH };
        if record.len() > limit {
            let message = format!(
                "the session has {} bytes, as a cookie of {MAX_COOKIE_OCTETS} octets it may have {limit}: keep less in it, \
                 or use an engine on a server",
                record.len(),
            );
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        self.close(identity, &record)
    }

    /// Seals the bytes of a record, whatever their number.
    pub(crate) fn close(&self, identity: Identity, record: &[u8]) -> Result<Token> {
        let Some((key, beside)) = self.keys.first() else {
            return Err(Error::config("there is no key"));
        };
        let mut nonce: Nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| {
            Error::new(ErrorKind::Unavailable, "the operating system gave no random bytes").with_source(error)
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
            .seal(&nonce, beside, &mut bytes[SEALED..])
            .ok_or_else(|| Error::new(ErrorKind::TooLarge, "the cipher cannot seal that much"))?;
        bytes.extend_from_slice(&tag);
        Token::new(&self.text.encode(bytes))
            .ok_or_else(|| Error::new(ErrorKind::TooLarge, "the sealed record is no token"))
    }

    /// The session's name and its record's bytes; `None` for whatever was not sealed by one of the keys for this cookie.
    pub(crate) fn open(&self, token: &str) -> Option<(Identity, Vec<u8>)> {
        let mut bytes = self.text.decode(token).ok()?;
        if bytes.first() != Some(&FORMAT) {
            return None;
        }
        let id: KeyId = *bytes.get(KEY_ID..)?.first_chunk()?;
        for (key, beside) in self.keys.iter().filter(|(key, _)| key.id == id) {
            let (head, rest) = bytes.split_at_mut_checked(SEALED)?;
            let nonce = head[NONCE..].first_chunk::<NONCE_BYTES>()?;
            let (sealed, tag) = rest.split_last_chunk_mut::<TAG_BYTES>()?;
            if key.cipher.open(nonce, beside, sealed, *tag).is_some() {
                let (session, rest) = sealed.split_first_chunk()?;
                let (epoch, before) = match rest.split_first() {
                    Some((&WITH_EPOCH, rest)) => (u64::from_be_bytes(*rest.first_chunk()?), SESSION + EPOCH),
                    _ => (0, SESSION),
                };
                let identity = Identity { session: SessionId::from_be_bytes(*session), epoch };
                return compact::restore(&sealed[before..]).map(|record| (identity, record));
            }
            // Two keys with the same id are as good as impossible; if there are any, each gets its try, on what the
            // one before has not touched.
            bytes = self.text.decode(token).ok()?;
        }
        None
    }
}

/// The name of a session that begins. It is no secret, so that it need not cost a system call.
pub(crate) fn new_session() -> SessionId {
    rand::random()
}

/// The most bytes of a record whose cookie has a name of that many octets.
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
    fn equal_records_give_tokens_that_have_nothing_in_common_but_format_and_key() {
        let sealer = sealer(SCOPE, &["key"]);
        let [one, other] = [(); 2].map(|()| sealer.close(of(0), &[1; 200]).unwrap());
        assert_eq!(one.expose()[..6], other.expose()[..6]);
        let same = one.expose()[8..].bytes().zip(other.expose()[8..].bytes()).filter(|(a, b)| a == b).count();
        assert!(same < 40, "{same} of 320 characters are equal, one in 64 is chance");
    }

    /// Two keys whose ids are equal, which cannot be had by trying, are told apart by the seal itself.
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
        fn what_is_sealed_opens_and_nothing_else_does(
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
