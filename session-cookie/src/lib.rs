//! Sessions without a store: the cookie contains the record, sealed so that the client can neither
//! read nor change it.
//!
//! There is no server to run and no storage to fill, and a read costs no round trip. The price is
//! considerable: read the [list below](#what-it-does-not-promise) before choosing this engine.
//!
//! ```
//! use session_cookie::CookieProvider;
//! use session_core::{Manager, Secret};
//!
//! # fn main() -> session_core::Result<()> {
//! # let key_from_your_secret_store = "0123456789abcdef0123456789abcdef";
//! let provider = CookieProvider::builder().key(Secret::new(key_from_your_secret_store)).build()?;
//! let manager = Manager::builder(provider).build()?;
//! # let _ = manager;
//! # Ok(())
//! # }
//! ```
//!
//! By name: `use session_cookie as _;` and the engine `cookie`. The config string is
//! Beego-compatible JSON ([`CookieBuilder::from_json`]):
//!
//! ```json
//! {"cookieName":"gosessionid", "securityKey":"…32 random bytes or more…", "previousKeys":["…"]}
//! ```
//!
//! # How it is sealed
//!
//! `XChaCha20-Poly1305` with a random 192-bit nonce for every write, and a key that HKDF-SHA-256
//! derives from yours. A random session id, the record with both deadlines, the format, the id of
//! the key, and the name and domain of the cookie are authenticated together, so none of them can
//! be exchanged. The text is URL-safe base64 of `format (1) | key id (4) | nonce (24) | sealed
//! session id (8), record and tag`.
//!
//! One key can seal 2^80 records before the probability of two equal nonces reaches 2^-32, the
//! limit of NIST SP 800-38D (section 8), so no count is needed. (With 96-bit nonces, the limit
//! would be 2^32 records.)
//!
//! A cookie that does not open is treated as a new session; there is no weaker fallback. The first
//! key seals, and all keys open.
//!
//! # Rotating keys
//!
//! A new key that seals immediately signs users out during its rollout: processes that do not have
//! it yet cannot open the cookies of those that do, and a client that reaches both kinds is signed
//! out. Rotation therefore takes three steps; complete each on all processes before the next:
//!
//! | step | builder | config string | until |
//! |---|---|---|---|
//! | open | `.key(old).`[`next_key(new)`](CookieBuilder::next_key) | `"securityKey":"old", "nextKeys":["new"]` | every process has it |
//! | seal | `.key(new).`[`previous_key(old)`](CookieBuilder::previous_key) | `"securityKey":"new", "previousKeys":["old"]` | the absolute timeout has passed since every process has it |
//! | drop | `.key(new)` | `"securityKey":"new"` | |
//!
//! Drop a compromised key immediately, even though that ends sessions: with it, anyone can
//! impersonate any user.
//!
//! # Limits and cost
//!
//! Browsers drop cookies of more than 4,096 octets, including the name: this leaves about 2,870
//! bytes for keys and encoded values
//! ([`max_record_bytes`](session_core::Capabilities::max_record_bytes) also counts the record's
//! header). A larger session is [`TooLarge`](session_core::ErrorKind::TooLarge), and the client
//! keeps its previous cookie. There are no round trips; each request carries the whole session.
//! Opening a record of 365 bytes takes 0.9 us and sealing it 1.3 us (a virtual machine with an AMD
//! EPYC); of that, the cipher takes 0.45 us each way, and the nonce from the operating system 0.35
//! us. No compiler flags are needed.
//!
//! # What it does not promise
//!
//! - **Protection from lost updates.** Concurrent requests each get their own cookie; the last
//!   response wins. A request that changes nothing undoes nothing: its cookie is only reissued when
//!   due (after a tenth of its lifetime, at most a minute), and not if the same process has written
//!   the session in the last minute.
//! - **Logout on the server**, unless there is a list of revocations. A logout removes the cookie
//!   from the client. A copy made earlier remains valid until its idle deadline, and if it is used,
//!   until the absolute deadline, which activity does not extend (12 hours by default in the
//!   manager; without one, writes are refused).
//! - **Protection from rollback.** A client can present one of its older cookies again until the
//!   deadlines of that cookie. Do not store state that must not be replayed: no one-time tokens, no
//!   balances, no failed-login counters.
//! - **A list or count of sessions.** With a list of revocations, all sessions of a user can be
//!   ended together.
//!
//! # A logout that sticks
//!
//! With [`revocations`](CookieBuilder::revocations), sessions that are ended early are listed in
//! another engine, each until its absolute deadline. Copies of old cookies are then invalid after a
//! logout and after the new id of a sign-in, and a request in flight undoes neither. Every read,
//! change and logout costs a round trip to that engine; the list contains only ended sessions, not
//! live ones. The engine must keep its data: memory and memcached, which lose everything at a
//! restart and evict when they are full, are refused.
//!
//! ```json
//! {"securityKey":"…", "revocations":{"provider":"redis", "providerConfig":"redis://127.0.0.1/0?prefix=revoked:"}}
//! ```
//!
//! # Signing a user out everywhere
//!
//! With the list, [`end_all`](session_core::Manager::end_all) and
//! [`sign_out_everywhere`](session_core::Manager::sign_out_everywhere) end every session of a user,
//! including copies, for every cookie that shares the list. The list then contains one mark for the
//! user: a number, the *epoch*, which is raised. A session contains its owner's epoch as of the
//! sign-in, sealed with the record (nine bytes, and none for a user whose sessions were never ended
//! this way), and keeps it under every new id; a higher epoch on the list ends the session. No
//! clocks are compared.
//!
//! - The number of ended sessions is unknown, and sessions cannot be listed or ended individually
//!   ([`OwnerIndex::EndsAll`](session_core::engine::OwnerIndex::EndsAll)).
//! - For a session with an owner, each check of the list is two **concurrent** calls of its engine:
//!   one for the session and one for the owner. The latency is still one round trip, but the load
//!   doubles. A session without an owner costs one call; a sign-in without a previous session costs
//!   one instead of none. `end_all` is two sequential calls.
//! - The mark is kept for 401 days, so the absolute deadline of a user's session must be at most
//!   400 days away, the maximum lifetime of a cookie (RFC 6265bis): storing a longer one is a
//!   [`Config`](session_core::ErrorKind::Config) error.

mod aead;
mod base64url;
mod compact;
mod config;
mod key;
mod provider;
mod recent;
mod revocations;
mod seal;

use std::sync::Arc;

use session_core::{ConnectOptions, Provider, Result};

pub use config::CookieBuilder;
pub use provider::CookieProvider;

/// The engine's name in the registry.
const ENGINE: &str = "cookie";

session_core::register_engine!(["cookie"], connect);

async fn connect(options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    let mut builder = CookieBuilder::from_json(options.config.expose())?.clock(Arc::clone(&options.clock));
    if let Some(list) = builder.revocations_in.take() {
        let there = ConnectOptions::new(list.provider_config.expose()).clock(options.clock);
        builder = builder.revocations(session_core::connect(&list.provider, there).await?);
    }
    Ok(Arc::new(builder.build()?))
}
