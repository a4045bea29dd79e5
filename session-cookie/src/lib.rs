//! Sessions without a store: the record travels in the cookie, sealed so that the client can neither read nor
//! change it.
//!
//! There is nothing to run and nothing to fill up, and a read costs no round trip. What is given up for that is a
//! real loss; read the [list below](#what-it-does-not-promise) before choosing it.
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
//! By name: `use session_cookie as _;`, the engine `cookie`, and as its config string the JSON of the older
//! documents ([`CookieBuilder::from_json`]):
//!
//! ```json
//! {"cookieName":"gosessionid", "securityKey":"…32 random bytes or more…", "previousKeys":["…"]}
//! ```
//!
//! # How it is sealed
//!
//! `XChaCha20-Poly1305` with a random 192-bit nonce for every write, under a key that HKDF-SHA-256 derives from
//! yours. Sealed together, so that none can be exchanged: a random session id, the record with both deadlines, the
//! format, the id of the key, and the name and domain of the cookie. The text is URL-safe base64 of
//! `format (1) | key id (4) | nonce (24) | sealed session id (8), record and tag`.
//!
//! One key may seal 2^80 records before two nonces are equal with a probability of 2^-32, which is what NIST SP 800-38D
//! (section 8) allows; nobody has to count. (With nonces of 96 bits it would be 2^32 records.)
//!
//! What does not open is a new session; there is no second, weaker way in. The first key seals and all keys open.
//!
//! # Rotating keys
//!
//! A new key that seals at once logs users out while it is rolled out: the processes that do not have it yet cannot open
//! what the first ones with it have sealed, and a client that meets both is signed out. So there are three steps, and each
//! is everywhere before the next one begins:
//!
//! | step | builder | config string | until |
//! |---|---|---|---|
//! | open | `.key(old).`[`next_key(new)`](CookieBuilder::next_key) | `"securityKey":"old", "nextKeys":["new"]` | every process has it |
//! | seal | `.key(new).`[`previous_key(old)`](CookieBuilder::previous_key) | `"securityKey":"new", "previousKeys":["old"]` | the absolute timeout has passed since every process has it |
//! | drop | `.key(new)` | `"securityKey":"new"` | |
//!
//! A key that others may know is dropped at once, whatever that ends: with it anyone is any user.
//!
//! # Limits and cost
//!
//! Browsers drop cookies of more than 4,096 octets, name included: about 2,870 bytes of keys and encoded values
//! ([`max_record_bytes`](session_core::Capabilities::max_record_bytes) counts the record's header as well). What is
//! larger is [`TooLarge`](session_core::ErrorKind::TooLarge), and the client keeps what it had. No round trip,
//! ever; each request carries the whole session. Opening a record of 365 bytes takes 0.9 us and sealing it 1.3 us (a
//! virtual machine with an AMD EPYC), of which the cipher takes 0.45 us each way, and the nonce from the operating system
//! 0.35 us; no flag of the compiler is needed.
//!
//! # What it does not promise
//!
//! - **No lost update.** Requests that run at the same time each send their own cookie; the last answer wins. Only a request
//!   that changes nothing takes nothing back: a cookie is issued again for it when that is due (a tenth of its lifetime has
//!   passed, at most a minute), and not when the same process has written the session anew in the last minute.
//! - **No logout on the server**, unless there is a list of revocations. A logout takes the cookie away from the client. Anyone who
//!   copied it before can use it until its idle deadline, and by using it until the absolute one, which activity does not
//!   extend (12 hours by default in the manager; without one, writing is refused).
//! - **No protection from rollback.** A client can present an older cookie of its own again until that one's deadlines.
//!   Nothing that may happen only once belongs in it: no one-time tokens, no balances, no failed-login counters.
//! - **No list or count of sessions.** All sessions of a user can be ended together where there is a list of revocations.
//!
//! # A logout that sticks
//!
//! With [`revocations`](CookieBuilder::revocations) the sessions that were ended before their time are put on a list in
//! another engine, each until its absolute deadline. A copy of an old cookie is then dead after a logout and after a new id at
//! sign-in, and a request in flight does not undo either. It costs a round trip to that engine for every read, change and
//! logout; the list holds only what was ended, not what lives. The engine must keep what it is told: memory and memcached,
//! which forget everything when they restart and more when they are full, are refused.
//!
//! ```json
//! {"securityKey":"…", "revocations":{"provider":"redis", "providerConfig":"redis://127.0.0.1/0?prefix=revoked:"}}
//! ```
//!
//! # Signing a user out everywhere
//!
//! With the list, [`end_all`](session_core::Manager::end_all) and
//! [`sign_out_everywhere`](session_core::Manager::sign_out_everywhere) end every session of a user, under every cookie that shares
//! the list, copies included. The list then has one mark for the user: a number, the *epoch*, that is raised. A session
//! has the epoch that its owner had when it became theirs, sealed with the record (nine bytes, and none for a user whose sessions
//! were never ended this way), and keeps it under every new id; a higher one ends it. No clocks are compared.
//!
//! - How many sessions were ended nobody knows, and they cannot be listed or ended one by one
//!   ([`OwnerIndex::EndsAll`](session_core::engine::OwnerIndex::EndsAll)).
//! - For a session with an owner, each check of the list is two calls of its engine **at the same time**: one for the session
//!   and one for the owner. That is one round trip of time, as before, and twice the load. A session without an owner
//!   costs the one call, and a sign-in without a session before it one instead of none. `end_all` is two calls, one after the other.
//! - The mark is kept for 401 days. So a user's session may not have an absolute deadline of more than 400 days, the
//!   time after which browsers drop a cookie (RFC 6265bis): storing one is a [`Config`](session_core::ErrorKind::Config) error.

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
