//! Lifetimes: the default one, named ones ("remember me"), and a shorter one for visitors without
//! an owner.
//!
//! The idle timeout must be known before the read, so that one round trip both reads the session
//! and extends its idle deadline. So a class other than the default is part of the token
//! (`….remember`), and covered by the hash: a token with a changed class finds nothing.

use std::time::Duration;

use crate::{Error, Result};

/// How long the sessions of a class live, and whether their cookie outlives the browser; see
/// [`ManagerBuilder::class`](crate::ManagerBuilder::class).
///
/// ```
/// use std::time::Duration;
/// use session_core::Lifetime;
///
/// let month = Duration::from_secs(30 * 24 * 3_600);
/// let remember = Lifetime::idle(month).absolute(month).persistent(true);
/// # let _ = remember;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Lifetime {
    idle: Duration,
    absolute: Option<Duration>,
    persistent: Option<bool>,
    /// Persistent if the idle timeout is longer than the default one, which is known when the
    /// manager is built.
    if_longer: bool,
}

impl Lifetime {
    /// Ends a session after this time without being used.
    pub const fn idle(idle: Duration) -> Self {
        Self { idle, absolute: None, persistent: None, if_longer: false }
    }

    /// Ends a session after this time regardless of activity. Default: the manager's
    /// [`absolute_timeout`](crate::ManagerBuilder::absolute_timeout).
    pub const fn absolute(mut self, absolute: Duration) -> Self {
        self.absolute = Some(absolute);
        self
    }

    pub(crate) const fn persistent_if_longer(mut self) -> Self {
        self.if_longer = true;
        self
    }

    /// Sets whether the cookie outlives the browser. Default: the cookie's settings.
    pub const fn persistent(mut self, persistent: bool) -> Self {
        self.persistent = Some(persistent);
        self
    }
}

/// One of the configured classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Class {
    index: usize,
    pub idle: Duration,
}

#[derive(Debug, Clone)]
pub(crate) struct Classes {
    named: Vec<Named>,
    /// The index of the class for sessions without an owner.
    anonymous: Option<usize>,
}

#[derive(Debug, Clone)]
struct Named {
    name: String,
    idle: Duration,
    absolute: Duration,
    persistent: Option<bool>,
}

const DEFAULT: &str = "default";
const ANONYMOUS: &str = "visitor";

impl Classes {
    pub(crate) fn new(
        default: Lifetime,
        named: Vec<(String, Lifetime)>,
        anonymous: Option<Duration>,
        absolute: Duration,
    ) -> Result<Self> {
        let resolve = |name: String, lifetime: Lifetime| Named {
            name,
            idle: lifetime.idle,
            absolute: lifetime.absolute.unwrap_or(absolute),
            persistent: lifetime
                .persistent
                .or((lifetime.if_longer && lifetime.idle > default.idle).then_some(true)),
        };
        let mut all = vec![resolve(DEFAULT.to_owned(), default)];
        for (name, lifetime) in named {
            if !is_name(&name) || name == ANONYMOUS || all.iter().any(|other| other.name == name) {
                return Err(Error::config(format!(
                    "the name of a class must be 1 to 16 letters a-z, unique, and neither `{DEFAULT}` nor \
                     `{ANONYMOUS}`: `{}`",
                    name.escape_debug()
                )));
            }
            all.push(resolve(name, lifetime));
        }
        if let Some(idle) = anonymous.filter(|idle| *idle > default.idle) {
            return Err(Error::config(format!(
                "anonymous_idle_timeout ({idle:?}) is longer than idle_timeout ({:?}), so visitors would \
                 outlive users; \
                 make it shorter",
                default.idle
            )));
        }
        let anonymous = anonymous.map(|idle| {
            all.push(resolve(ANONYMOUS.to_owned(), Lifetime::idle(idle)));
            all.len() - 1
        });
        all.iter().try_for_each(Named::check)?;
        Ok(Self { named: all, anonymous })
    }

    pub(crate) fn is_single(&self) -> bool {
        self.named.len() == 1
    }

    pub(crate) fn default_class(&self) -> Class {
        self.at(0)
    }

    pub(crate) fn by_name(&self, name: &str) -> Result<Class> {
        let found = self.named.iter().position(|class| class.name == name);
        found.map(|index| self.at(index)).ok_or_else(|| {
            Error::config(format!(
                "there is no class `{}`: add it with ManagerBuilder::class",
                name.escape_debug()
            ))
        })
    }

    /// Returns the class of a token whose id has `length` characters; `None` if it cannot be one of
    /// our tokens.
    ///
    /// An unknown class (no longer configured, or not yet, during a rollout) is treated as the
    /// default one: its sessions continue, and their tokens stay as they are.
    pub(crate) fn of_token(&self, token: &str, length: usize) -> Option<Class> {
        if token.len() == length {
            return Some(self.default_class());
        }
        let (id, name) = token.rsplit_once('.')?;
        let known = self.named.iter().skip(1).position(|class| class.name == name);
        let class = known.map_or_else(|| self.default_class(), |index| self.at(index + 1));
        (id.len() == length && is_name(name)).then_some(class)
    }

    /// Returns the suffix of a token of this class.
    pub(crate) fn suffix(&self, class: Class) -> Option<&str> {
        (class.index > 0).then(|| self.name(class))
    }

    /// Returns the name of the class.
    pub(crate) fn name(&self, class: Class) -> &str {
        self.named.get(class.index).map_or(DEFAULT, |class| class.name.as_str())
    }

    /// Returns the absolute timeout of the class.
    pub(crate) fn absolute(&self, class: Class) -> Duration {
        self.named.get(class.index).map_or(class.idle, |class| class.absolute)
    }

    /// Returns whether the cookie of the class outlives the browser, if the class sets this.
    pub(crate) fn persistent(&self, class: Class) -> Option<bool> {
        self.named.get(class.index).and_then(|class| class.persistent)
    }

    /// Returns every class, the default first.
    pub(crate) fn all(&self) -> impl Iterator<Item = Class> {
        (0..self.named.len()).map(|index| self.at(index))
    }

    /// Returns the class of a new session.
    pub(crate) fn for_owner(&self, owned: bool) -> Class {
        self.at(self.anonymous.filter(|_| !owned).unwrap_or(0))
    }

    /// Returns the class of a session after its owner was set or removed.
    pub(crate) fn after(&self, class: Class, owned: bool) -> Class {
        let ordinary = class.index == 0 || Some(class.index) == self.anonymous;
        if ordinary { self.for_owner(owned) } else { class }
    }

    fn at(&self, index: usize) -> Class {
        let idle = self.named.get(index).map_or(Duration::ZERO, |class| class.idle);
        Class { index, idle }
    }
}

impl Named {
    fn check(&self) -> Result<()> {
        let Self { name, idle, absolute, .. } = self;
        if idle.is_zero() || absolute.is_zero() {
            return Err(Error::config(format!(
                "a timeout of the class `{name}` is zero: give it a duration"
            )));
        }
        if idle > absolute {
            return Err(Error::config(format!(
                "the idle timeout of the class `{name}` ({idle:?}) exceeds its absolute timeout ({absolute:?}), \
                 which would end its sessions first: raise absolute_timeout (or Lifetime::absolute), or lower the \
                 idle timeout"
            )));
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    (1..=16).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn classes(named: Vec<(String, Lifetime)>, anonymous: Option<Duration>) -> Result<Classes> {
        Classes::new(Lifetime::idle(HOUR), named, anonymous, 12 * HOUR)
    }

    #[test]
    fn a_token_names_its_class() {
        let long = Lifetime::idle(24 * HOUR).absolute(48 * HOUR);
        let classes = classes(vec![("remember".into(), long)], Some(HOUR / 4)).unwrap();
        let remember = classes.by_name("remember").unwrap();
        assert_eq!(classes.of_token("abc.remember", 3), Some(remember));
        assert_eq!(classes.of_token("abc.other", 3), Some(classes.default_class()), "of another deployment");
        assert_eq!(classes.of_token("abc", 3), Some(classes.default_class()));
        for foreign in ["abcd", "ab.remember", "abc.Other", "abc.", "abc.a.b"] {
            assert_eq!(classes.of_token(foreign, 3), None, "{foreign}");
        }
        assert_eq!(classes.suffix(remember), Some("remember"));
        assert_eq!(classes.suffix(classes.default_class()), None);
        assert_eq!(classes.after(classes.for_owner(false), true), classes.default_class());
        assert_eq!(classes.after(remember, false), remember);
        assert_eq!(classes.absolute(remember), 48 * HOUR);
        assert_eq!(classes.absolute(classes.default_class()), 12 * HOUR);
    }

    #[test]
    fn reserved_and_malformed_class_names_are_refused() {
        for bad in ["", "default", "visitor", "Remember", "a.b"] {
            assert!(classes(vec![(bad.into(), Lifetime::idle(HOUR))], None).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_idle_time_above_the_absolute_one_is_refused() {
        let remember = |lifetime| classes(vec![("remember".into(), lifetime)], None);
        let error = remember(Lifetime::idle(30 * 24 * HOUR)).unwrap_err();
        assert!(error.message().contains("raise absolute_timeout"), "{error}");
        assert!(remember(Lifetime::idle(30 * 24 * HOUR).absolute(30 * 24 * HOUR)).is_ok());
        assert!(classes(vec![], Some(13 * HOUR)).is_err());
    }
}
