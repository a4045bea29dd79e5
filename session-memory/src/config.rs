//! The configuration: the builder, and the config string.

use std::sync::Arc;

use session_core::clock::{Clock, SystemClock};
use session_core::{Error, Result};

use crate::{ENGINE, MemoryProvider};

const EXPECTED: &str = "expected nothing, `memory:`, or `memory:?max_sessions=100000&eviction=anonymous-first` \
                        (eviction is `refuse` or `anonymous-first`)";

/// The action of a full store on a new session, once no expired sessions are left to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Eviction {
    /// Refuses to create it ([`Full`](session_core::ErrorKind::Full)); existing sessions continue.
    #[default]
    Refuse,
    /// Ends another session: the least recently used one without an owner, and only if all have an
    /// owner, one of these. A flood of visitors evicts visitors, not users who are logged in.
    ///
    /// The order of use is approximate, because reads do not reorder sessions: one that was used
    /// since its deadline was last checked gets a second chance.
    AnonymousFirst,
}

/// Builds a [`MemoryProvider`].
#[derive(Debug, Clone)]
pub struct Builder {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) max_sessions: Option<usize>,
    pub(crate) eviction: Option<Eviction>,
}

impl Default for Builder {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), max_sessions: None, eviction: None }
    }
}

impl Builder {
    /// Parses the engine's config string: empty, or a URL; see the crate's documentation.
    ///
    /// [`Config`](session_core::ErrorKind::Config) for anything else.
    pub fn parse(config: &str) -> Result<Self> {
        let mut builder = Self::default();
        let options = match config.trim() {
            "" => "",
            url => {
                let rest = url.strip_prefix("memory:").ok_or_else(|| refused("it is not a memory URL"))?;
                match rest.strip_prefix('?') {
                    Some(options) => options,
                    None if rest.is_empty() => rest,
                    None => return Err(refused("a memory URL has no address")),
                }
            }
        };
        for option in options.split('&').filter(|option| !option.is_empty()) {
            builder = builder.option(option.split_once('=').unwrap_or((option, "")))?;
        }
        Ok(builder)
    }

    fn option(self, (name, value): (&str, &str)) -> Result<Self> {
        match (name, value) {
            ("max_sessions", number) if self.max_sessions.is_none() => match number.parse() {
                Ok(number) => Ok(self.max_sessions(number)),
                Err(_) => Err(refused("`max_sessions` is not a number")),
            },
            ("eviction", "refuse") if self.eviction.is_none() => Ok(self.eviction(Eviction::Refuse)),
            ("eviction", "anonymous-first") if self.eviction.is_none() => {
                Ok(self.eviction(Eviction::AnonymousFirst))
            }
            ("max_sessions" | "eviction", _) => {
                Err(refused(format!("`{name}` is repeated or has an unknown value")))
            }
            _ => Err(refused(format!("there is no option `{name}`"))),
        }
    }

    /// Uses another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Limits the number of sessions; by default the store is unbounded. Tombstones, which
    /// regenerated sessions leave for a minute, are not counted.
    #[must_use]
    pub const fn max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = Some(sessions);
        self
    }

    /// Sets what happens when [`max_sessions`](Self::max_sessions) is reached; the default is
    /// [`Eviction::Refuse`].
    #[must_use]
    pub const fn eviction(mut self, eviction: Eviction) -> Self {
        self.eviction = Some(eviction);
        self
    }

    /// Builds the provider, without any I/O.
    ///
    /// [`Config`](session_core::ErrorKind::Config) for a bound of zero, and for an eviction without
    /// a bound.
    pub fn build(self) -> Result<MemoryProvider> {
        match (self.max_sessions, self.eviction) {
            (Some(0), _) => Err(Error::config(
                "`max_sessions` is 0: set a larger number, or leave it out for an unbounded store",
            )
            .in_engine(ENGINE)),
            (None, Some(_)) => Err(Error::config(
                "`eviction` needs `max_sessions`, because an unbounded store is never full: set both or neither",
            )
            .in_engine(ENGINE)),
            _ => Ok(MemoryProvider::from_builder(&self)),
        }
    }
}

fn refused(why: impl std::fmt::Display) -> Error {
    Error::config(format!("{why}: {EXPECTED}")).in_engine(ENGINE)
}

#[cfg(test)]
mod tests {
    use session_core::ErrorKind;

    use super::*;

    #[test]
    fn the_config_string_is_empty_or_a_url_with_a_bound() {
        for unbounded in ["", " ", "memory:", "memory:?"] {
            assert_eq!(Builder::parse(unbounded).unwrap().max_sessions, None);
        }
        let bounded = Builder::parse("memory:?max_sessions=7&eviction=anonymous-first").unwrap();
        assert_eq!((bounded.max_sessions, bounded.eviction), (Some(7), Some(Eviction::AnonymousFirst)));
        let refusing = Builder::parse("memory:?eviction=refuse&max_sessions=7").unwrap();
        assert_eq!((refusing.max_sessions, refusing.eviction), (Some(7), Some(Eviction::Refuse)));
    }

    #[test]
    fn any_other_config_string_is_an_error_that_shows_the_form() {
        for bad in [
            "./tmp",
            "127.0.0.1:6379",
            "memory://host",
            "memory:7",
            "memory:?max=7",
            "memory:?max_sessions",
            "memory:?max_sessions=-1",
            "memory:?max_sessions=1&max_sessions=2",
            "memory:?eviction=all",
            "memory:?eviction=refuse&eviction=refuse",
            "memory:?eviction=anonymous-first&eviction=anonymous-first",
        ] {
            let error = Builder::parse(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
            assert!(error.message().contains("memory:?max_sessions=100000"), "{bad}: {error}");
        }
    }

    #[test]
    fn an_address_is_named_as_what_is_wrong() {
        for address in ["memory:7", "memory://host"] {
            let error = Builder::parse(address).unwrap_err();
            assert!(error.message().contains("has no address"), "{address}: {error}");
        }
    }

    #[test]
    fn an_option_that_is_known_is_not_called_unknown() {
        for (config, why) in [
            ("memory:?eviction=all", "`eviction` is repeated or has an unknown value"),
            ("memory:?max_sessions=1&max_sessions=2", "`max_sessions` is repeated"),
            ("memory:?max=7", "there is no option `max`"),
        ] {
            let error = Builder::parse(config).unwrap_err();
            assert!(error.message().contains(why), "{config}: {error}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        for contradiction in
            [Builder::default().max_sessions(0), Builder::default().eviction(Eviction::AnonymousFirst)]
        {
            assert_eq!(contradiction.build().unwrap_err().kind(), ErrorKind::Config);
        }
    }
}
