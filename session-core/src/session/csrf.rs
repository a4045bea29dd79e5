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

/// The key of the session's secret.
const KEY: &str = "~csrf";

/// The secret that tokens are derived from.
type Secret = [u8; 32];

impl Session {
    /// Returns a token for a form of this session, to be submitted with the form and checked with
    /// [`verify_csrf`](Self::verify_csrf): the synchronizer token pattern of the OWASP CSRF
    /// prevention cheat sheet.
    ///
    /// It is for forms that must work without Fetch Metadata and `Origin`; where browsers send
    /// these, checking them needs no token, see `docs/guide/csrf.md`. All tokens of a session,
    /// including those in other tabs, are valid until its next [`sign_in`](Self::sign_in) or
    /// [`regenerate`](Self::regenerate). A token is 86 characters that need no escaping in HTML and
    /// URLs. Do not put it into a URL, which is logged and sent as a referrer.
    ///
    /// Each call returns another text for the same secret, so that the length of a compressed page
    /// does not reveal the secret byte by byte (BREACH).
    ///
    /// No I/O. The first token of a session is stored with the release; a visitor without a session
    /// gets one. [`Released`](crate::ErrorKind::Released) when there is no token yet and the
    /// session was released.
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

    /// Returns whether a text is a [`csrf_token`](Self::csrf_token) of this session. The comparison
    /// takes constant time. No I/O.
    ///
    /// Answer a request that changes state with 403 if this is `false`.
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

/// Invalidates all tokens, at a sign-in.
pub(super) fn renew(state: &mut State) {
    state.body.remove(KEY);
    state.note(|| Change::Delete(KEY.into()));
}

fn secret_of(state: &State) -> Option<Secret> {
    let text: String = state.body.get(KEY)?.decode().ok()?;
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// Creates the secret of a session that has none.
///
/// It is derived from the id if there is one, so that pages with a form that are loaded
/// concurrently agree on it. It reveals neither the id nor the secret of the next id.
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
