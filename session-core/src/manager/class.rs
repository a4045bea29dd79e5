//! Idle times: the default one, named ones ("remember me"), and a shorter one for visitors without an owner.
//!
//! The idle time must be known before the read, so that one round trip both reads and slides. So a class other
//! than the default is part of the token (`….remember`), and covered by the hash: changing it finds nothing.

use std::time::Duration;

use crate::{Error, Result};

/// One of the configured idle times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Class {
    index: usize,
    pub idle: Duration,
}

#[derive(Debug, Clone)]
pub(crate) struct Classes {
    named: Vec<(String, Duration)>,
    /// Which of them is for sessions without an owner.
    anonymous: Option<usize>,
}

pub(crate) const DEFAULT: &str = "default";
const ANONYMOUS: &str = "visitor";

impl Classes {
    pub(crate) fn new(
        idle: Duration,
        named: Vec<(String, Duration)>,
        anonymous: Option<Duration>,
    ) -> Result<Self> {
        let mut all = vec![(DEFAULT.to_owned(), idle)];
        for (name, idle) in named {
            let letters =
                (1..=16).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase());
            if !letters || name == ANONYMOUS || all.iter().any(|(other, _)| *other == name) {
                return Err(Error::config(format!(
                    "an idle class is named by 1 to 16 letters a-z, once, and not `{DEFAULT}` or `{ANONYMOUS}`: `{name}`"
                )));
            }
            all.push((name, idle));
        }
        let anonymous = anonymous.map(|idle| {
            all.push((ANONYMOUS.to_owned(), idle));
            all.len() - 1
        });
        Ok(Self { named: all, anonymous })
    }

    /// Every idle time, the default first.
    pub(crate) fn idle_times(&self) -> impl Iterator<Item = Duration> {
        self.named.iter().map(|(_, idle)| *idle)
    }

    pub(crate) fn is_single(&self) -> bool {
        self.named.len() == 1
    }

    pub(crate) fn default_class(&self) -> Class {
        self.at(0)
    }

    pub(crate) fn by_name(&self, name: &str) -> Result<Class> {
        let found = self.named.iter().position(|(other, _)| other == name);
        found.map(|index| self.at(index)).ok_or_else(|| {
            Error::config(format!("no idle class is named `{name}`: add it with ManagerBuilder::idle_class"))
        })
    }

    /// Splits a token into its id and its class.
    pub(crate) fn split<'a>(&self, token: &'a str) -> (&'a str, Class) {
        if !self.is_single()
            && let Some((id, name)) = token.rsplit_once('.')
            && let Some(index) = self.named.iter().skip(1).position(|(other, _)| other == name)
        {
            return (id, self.at(index + 1));
        }
        (token, self.default_class())
    }

    /// What a token of this class ends with.
    pub(crate) fn suffix(&self, class: Class) -> Option<&str> {
        self.named.get(class.index).filter(|_| class.index > 0).map(|(name, _)| name.as_str())
    }

    /// The class of a session that begins.
    pub(crate) fn for_owner(&self, owned: bool) -> Class {
        self.at(self.anonymous.filter(|_| !owned).unwrap_or(0))
    }

    /// The class of a session after its owner was set or removed.
    pub(crate) fn after(&self, class: Class, owned: bool) -> Class {
        let ordinary = class.index == 0 || Some(class.index) == self.anonymous;
        if ordinary { self.for_owner(owned) } else { class }
    }

    fn at(&self, index: usize) -> Class {
        let idle = self.named.get(index).map_or(Duration::ZERO, |(_, idle)| *idle);
        Class { index, idle }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_token_names_its_class() {
        let classes = Classes::new(HOUR, vec![("remember".into(), 24 * HOUR)], Some(HOUR / 4)).unwrap();
        let remember = classes.by_name("remember").unwrap();
        assert_eq!(classes.split("abc.remember"), ("abc", remember));
        assert_eq!(classes.split("abc.other"), ("abc.other", classes.default_class()));
        assert_eq!(classes.suffix(remember), Some("remember"));
        assert_eq!(classes.suffix(classes.default_class()), None);
        assert_eq!(classes.after(classes.for_owner(false), true), classes.default_class());
        assert_eq!(classes.after(remember, false), remember);
    }

    #[test]
    fn class_names_that_could_be_mistaken_are_refused() {
        for bad in ["", "default", "visitor", "Remember", "a.b"] {
            assert!(Classes::new(HOUR, vec![(bad.into(), HOUR)], None).is_err(), "{bad}");
        }
    }
}
