//! A synchronizer token against cross-site request forgery, bound to the session.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::Session;
use crate::Result;
use crate::id::random_bytes;
use crate::live::{Change, State};

/// Where the session keeps its secret.
const KEY: &str = "~csrf";

/// What a token begins to be made of.
type Secret = [u8; 32];

impl Session {
    /// A token for a form of this session, to be given back with it and checked with
    /// [`verify_csrf`](Self::verify_csrf): the synchronizer token pattern of the OWASP CSRF prevention cheat sheet.
    ///
    /// It is for forms that must work without Fetch Metadata and `Origin`; where browsers send these, a check of
    /// them needs no token, see `docs/guide/csrf.md`. All tokens of a session are good until its next
    /// [`sign_in`](Self::sign_in) or [`regenerate`](Self::regenerate), also those of other tabs. 86 characters that
    /// need no escaping in HTML and in URLs; a URL is no place for one, since it is logged and sent on as a referrer.
    ///
    /// Each call gives another text for the same secret, so that the length of a compressed page does not give the
    /// secret away byte by byte (BREACH).
    ///
    /// No I/O. The first one of a session is stored with the release; a visitor without a session gets one.
    /// [`Released`](crate::ErrorKind::Released) when there is none yet and the session was released.
    pub fn csrf_token(&self) -> Result<String> {
        let mask = random_bytes()?;
        let mut state = self.0.state();
        let secret = if let Some(secret) = secret_of(&state) {
            secret
        } else {
            state.must_be_active("csrf_token")?;
            let secret = new_secret(&state)?;
            let value = crate::record::Value::encode(&URL_SAFE_NO_PAD.encode(secret))?;
            self.insert(&mut state, KEY, value.clone(), "csrf_token")?;
            state.note(|| Change::Set(KEY.into(), value));
            secret
        };
        let mut token = [0; 64];
        token[..32].copy_from_slice(&mask);
        token[32..].copy_from_slice(&xor(mask, secret));
        Ok(URL_SAFE_NO_PAD.encode(token))
    }

    /// Whether a text is a [`csrf_token`](Self::csrf_token) of this session. Compared in constant time. No I/O.
    ///
    /// A request that changes something and for which this is `false` is answered with 403.
    ///
    /// ```
    /// # fn demo(session: &session_core::Session, given: &str) -> u16 {
    /// if !session.verify_csrf(given) {
    ///     return 403;
    /// }
    /// # 200 }
    /// ```
    #[must_use]
    pub fn verify_csrf(&self, token: &str) -> bool {
        let mut given = [0; 64];
        let Ok(64) = URL_SAFE_NO_PAD.decode_slice(token, &mut given) else { return false };
        let Some(secret) = secret_of(&self.0.state()) else { return false };
        let (mask, masked) = given.split_at(32);
        let mut unmasked = [0; 32];
        for (byte, (mask, masked)) in unmasked.iter_mut().zip(mask.iter().zip(masked)) {
            *byte = mask ^ masked;
        }
        unmasked.ct_eq(&secret).into()
    }
}

/// Makes the tokens of before a sign-in useless.
pub(super) fn renew(state: &mut State) {
    state.body.remove(KEY);
    state.note(|| Change::Delete(KEY.into()));
}

fn secret_of(state: &State) -> Option<Secret> {
    let text: String = state.body.get(KEY)?.decode().ok()?;
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// The secret of a session that has none.
///
/// It is derived from the id where there is one, so that pages that are loaded at the same time, each the first one
/// with a form, agree on it. Its derivation does not lead back to the id, nor to the secret of the next id.
fn new_secret(state: &State) -> Result<Secret> {
    let keeps_its_id = !state.plan.regenerate;
    let id = state.stored.as_ref().filter(|_| keeps_its_id).map(|stored| stored.token.expose().as_bytes());
    let Some(mut mac) = id.and_then(|id| <Hmac<Sha256> as KeyInit>::new_from_slice(id).ok()) else {
        return random_bytes();
    };
    mac.update(b"session-kit csrf secret");
    Ok(mac.finalize().into_bytes().into())
}

fn xor(mut one: Secret, other: Secret) -> Secret {
    one.iter_mut().zip(other).for_each(|(byte, other)| *byte ^= other);
    one
}
