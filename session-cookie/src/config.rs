//! Keys and settings: the builder, and the Beego-compatible JSON.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::error::Category;
use session_core::clock::{Clock, SystemClock};
use session_core::{Error, Provider, Result, Secret};

use crate::key::{MIN_KEY_BYTES, Material};
use crate::revocations::Revocations;
use crate::{CookieProvider, ENGINE};

const EXAMPLE: &str =
    r#"{"securityKey":"(32 random bytes or more, for instance from `openssl rand -base64 32`)"}"#;

/// Configures a [`CookieProvider`]; [`build`](Self::build) checks it.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing before `build`"]
pub struct CookieBuilder {
    keys: Vec<Material>,
    pub(crate) security_name: String,
    pub(crate) cookie_name: Option<String>,
    pub(crate) max_age: Option<Duration>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) revocations: Option<Revocations>,
    /// The name and config string of the engine for the revocations, not connected yet.
    pub(crate) revocations_in: Option<RevocationsIn>,
    allow_weak_key: bool,
}

impl CookieBuilder {
    pub(crate) fn new() -> Self {
        Self {
            keys: Vec::new(),
            security_name: String::new(),
            cookie_name: None,
            max_age: None,
            clock: Arc::new(SystemClock),
            revocations: None,
            revocations_in: None,
            allow_weak_key: false,
        }
    }

    /// Reads the engine's config string.
    ///
    /// | key | what |
    /// |---|---|
    /// | `securityKey` | the key, as text; 32 bytes or more of it random. Required |
    /// | `blockKey` | a second secret of older configurations, hashed into the key |
    /// | `securityName` | a label, hashed into the key: two applications with one key and other labels do not accept each other's cookies |
    /// | `previousKeys` | keys that still open: each the text of an earlier `securityKey` (with the present `blockKey`), or `{"securityKey":…,"blockKey":…}` |
    /// | `nextKeys` | keys that open already and do not seal yet, in the same forms: the first step of a [rotation](crate#rotating-keys) |
    /// | `cookieName` | the name that the manager must give the cookie; checked when both are put together |
    /// | `maxage` | a sealed record is accepted for at most this many seconds after it was written; 0 and absent leave that to the manager's timeouts |
    /// | `revocations` | `{"provider":…,"providerConfig":…}`: the name and the config string of the engine that holds the list of [revocations](Self::revocations); read by [`connect`](session_core::connect) |
    /// | `secure` | accepted and without effect: whether the cookie is written with `Secure` is the manager's setting |
    /// | `allowWeakKey` | accepts a key that is short or publicly known. For tests |
    ///
    /// Returns a [`Config`](session_core::ErrorKind::Config) error if the JSON is invalid or
    /// contains no key. The message contains no values.
    pub fn from_json(text: &str) -> Result<Self> {
        if text.trim().is_empty() {
            return Err(no_key());
        }
        let config: Json = serde_json::from_str(text).map_err(|error| invalid(&error))?;
        let block = config.block_key;
        let mut builder = Self::new();
        builder.keys.push(Material { security: config.security_key, block: block.clone() });
        let others = config.previous_keys.into_iter().chain(config.next_keys);
        builder.keys.extend(others.map(|other| match other {
            Other::Key(security) => Material { security, block: block.clone() },
            Other::Both { security_key, block_key } => Material { security: security_key, block: block_key },
        }));
        builder.security_name = config.security_name;
        builder.cookie_name = config.cookie_name.filter(|name| !name.is_empty());
        builder.max_age = (config.maxage > 0).then(|| Duration::from_secs(config.maxage));
        builder.revocations_in = config.revocations;
        builder.allow_weak_key = config.allow_weak_key;
        Ok(builder)
    }

    /// The key that seals, and is tried first for opening: text with 32 random bytes or more.
    pub fn key(mut self, key: Secret) -> Self {
        self.keys.insert(0, Material { security: key, block: Secret::default() });
        self
    }

    /// A key that already opens but does not seal yet, so that every process can open cookies that
    /// others seal with it: the first step of a [rotation](crate#rotating-keys).
    pub fn next_key(mut self, key: Secret) -> Self {
        self.keys.push(Material { security: key, block: Secret::default() });
        self
    }

    /// A key that no longer seals but still opens. Keep it for one absolute timeout after all
    /// processes have the new key.
    pub fn previous_key(mut self, key: Secret) -> Self {
        self.keys.push(Material { security: key, block: Secret::default() });
        self
    }

    /// Refuses a manager that uses another name for the cookie.
    pub fn cookie_name(mut self, name: impl Into<String>) -> Self {
        self.cookie_name = Some(name.into());
        self
    }

    /// Accepts a sealed record for at most this long after it was written, even if the manager's
    /// timeouts are longer.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// The clock; default the system's. Every server that shares the key needs a correct clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Keeps a list of the sessions that are ended early (by a logout, or by a new id at sign-in)
    /// in another engine, until their absolute deadlines, so that copies of old cookies are
    /// rejected.
    ///
    /// A read, a change and a logout each cost one call of that engine, and for a session with an
    /// owner a second, concurrent one: all sessions of an owner [can be ended
    /// together](crate#signing-a-user-out-everywhere). While the engine is unreachable, requests
    /// fail with [`Unavailable`](session_core::ErrorKind::Unavailable): no cookie is accepted
    /// unchecked. Use a separate prefix, table or directory; otherwise, sessions and revocations
    /// are counted together.
    ///
    /// The engine must keep its data. [`build`](Self::build) refuses one that, by its capabilities,
    /// loses data at a restart or may evict it, such as memory and memcached: an ended session
    /// would become valid again.
    pub fn revocations(mut self, engine: Arc<dyn Provider>) -> Self {
        self.revocations = Some(Revocations(engine));
        self
    }

    /// Accepts a key that is short or publicly known. For tests: with a guessed key, anyone can
    /// impersonate any user.
    pub fn allow_weak_key(mut self, allow: bool) -> Self {
        self.allow_weak_key = allow;
        self
    }

    /// Derives the keys. Returns a [`Config`](session_core::ErrorKind::Config) error if there is no
    /// key, or one is shorter than 32 bytes or printed in public documents.
    pub fn build(self) -> Result<CookieProvider> {
        if self.keys.is_empty() || self.keys.iter().any(|key| key.security.is_empty()) {
            return Err(no_key());
        }
        for (index, key) in self.keys.iter().enumerate() {
            let which =
                if index == 0 { "the key".to_owned() } else { format!("previous or next key {index}") };
            match key.weakness() {
                Some(weakness) if self.allow_weak_key => {
                    tracing::warn!(
                        engine = ENGINE,
                        "{which} {weakness}; it is used because weak keys are allowed"
                    );
                }
                Some(weakness) => {
                    return Err(Error::config(format!(
                        "{which} {weakness}: use {MIN_KEY_BYTES} random bytes or more, such as from \
                         `openssl rand -base64 32` (for tests, set \"allowWeakKey\": true)"
                    ))
                    .in_engine(ENGINE));
                }
                None => {}
            }
        }
        if self.revocations.is_none() && self.revocations_in.is_some() {
            return Err(Error::config(
                "its `revocations` are in an engine that must be connected: use `session_core::connect`, or \
                 `CookieBuilder::revocations`",
            )
            .in_engine(ENGINE));
        }
        if let Some(why) = self.revocations.as_ref().and_then(Revocations::unfit) {
            return Err(Error::config(format!(
                "its `revocations` need an engine that keeps its data, such as file, redis or a database, but this \
                 one {why}"
            ))
            .in_engine(ENGINE));
        }
        let keys = self.keys.iter().map(|key| key.derive(&self.security_name)).collect::<Result<_>>()?;
        Ok(CookieProvider::new(self, keys))
    }
}

fn no_key() -> Error {
    Error::config(format!("the cookie engine needs a key: {EXAMPLE}")).in_engine(ENGINE)
}

/// Returns an error with the position of the fault. serde's message for a wrong type contains the
/// value, so it is omitted.
fn invalid(error: &serde_json::Error) -> Error {
    let message = error.to_string();
    let names_a_key = ["unknown field", "missing field", "duplicate field"];
    let what = if error.classify() != Category::Data || names_a_key.iter().any(|it| message.starts_with(it)) {
        message
    } else {
        format!("a value has the wrong type at line {} column {}", error.line(), error.column())
    };
    Error::config(format!("the config of the cookie engine is invalid: {what}; expected {EXAMPLE}"))
        .in_engine(ENGINE)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Json {
    cookie_name: Option<String>,
    security_key: Secret,
    #[serde(default)]
    block_key: Secret,
    #[serde(default)]
    security_name: String,
    #[serde(default)]
    #[expect(dead_code, reason = "older configurations have it; the manager decides")]
    secure: bool,
    #[serde(default, alias = "maxAge")]
    maxage: u64,
    #[serde(default)]
    previous_keys: Vec<Other>,
    #[serde(default)]
    next_keys: Vec<Other>,
    revocations: Option<RevocationsIn>,
    #[serde(default)]
    allow_weak_key: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RevocationsIn {
    pub provider: String,
    #[serde(default)]
    pub provider_config: Secret,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Other {
    Key(Secret),
    #[serde(rename_all = "camelCase")]
    Both {
        security_key: Secret,
        #[serde(default)]
        block_key: Secret,
    },
}
