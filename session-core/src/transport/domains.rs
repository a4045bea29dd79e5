//! A cookie's domain that depends on the host of the request, for services that answer under many
//! domains.

use std::fmt;
use std::sync::Arc;

use super::host;
use super::settings::{check_domain, is_host_name};
use crate::Result;

/// Chooses the cookie's domain by the host that the client requested.
///
/// Any other host gets a host-only cookie. All hosts share the sessions of one manager: a service
/// that must isolate its tenants stores the tenant in the session and checks it, or has a manager
/// for each.
///
/// ```
/// use session_core::transport::{CookieSettings, Domains};
///
/// // app.example.com and www.example.com share a cookie, hosts of example.org another one.
/// let cookie = CookieSettings::secure_prefixed("id").domains(Domains::of(["example.com", "example.org"]));
/// cookie.check()?;
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Domains(Choice);

#[derive(Clone)]
enum Choice {
    Listed(Arc<[String]>),
    Computed(Arc<Choose>),
}

type Choose = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Domains {
    /// Uses the longest of these domains that contains the host. A leading dot, as older software
    /// writes it, is dropped.
    #[must_use]
    pub fn of<'a>(domains: impl IntoIterator<Item = &'a str>) -> Self {
        let own = |domain: &str| domain.strip_prefix('.').unwrap_or(domain).to_ascii_lowercase();
        Self(Choice::Listed(domains.into_iter().map(own).collect()))
    }

    /// Uses the domain that a function returns for the host, without its port. A domain that does
    /// not contain the host is ignored, because browsers would drop the cookie. The function is
    /// called once for each response that sets or removes the cookie, so it should be quick.
    #[must_use]
    pub fn by(choose: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Choice::Computed(Arc::new(choose)))
    }

    pub(super) fn check(&self) -> Result<()> {
        match &self.0 {
            Choice::Listed(domains) => domains.iter().try_for_each(|domain| check_domain(domain)),
            Choice::Computed(_) => Ok(()),
        }
    }

    /// Returns the domain for a `Host` header.
    pub(super) fn choose(&self, host: Option<&[u8]>) -> Option<String> {
        let name = host::name(host?)?;
        match &self.0 {
            Choice::Listed(domains) => {
                let above = domains.iter().filter(|domain| host::is_within(name, domain));
                above.max_by_key(|domain| domain.len()).cloned()
            }
            Choice::Computed(choose) => {
                choose(name).filter(|domain| is_host_name(domain) && host::is_within(name, domain))
            }
        }
    }
}

impl PartialEq for Domains {
    /// Compares functions by identity.
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Choice::Listed(own), Choice::Listed(other)) => own == other,
            (Choice::Computed(own), Choice::Computed(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }
}

impl Eq for Domains {}

impl fmt::Debug for Domains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Choice::Listed(domains) => f.debug_tuple("Domains").field(domains).finish(),
            Choice::Computed(_) => f.write_str("Domains(function)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_domain_of_the_host_is_taken() {
        let domains = Domains::of(["example.com", ".Shop.example.com", "example.org"]);
        for (host, domain) in [
            (&b"example.com:443"[..], Some("example.com")),
            (b"a.example.com", Some("example.com")),
            (b"x.shop.example.com", Some("shop.example.com")),
            (b"EXAMPLE.org", Some("example.org")),
            (b"example.net", None),
            (b"badexample.com", None),
            (b"10.0.0.1", None),
            (b"\xff", None),
        ] {
            assert_eq!(domains.choose(Some(host)).as_deref(), domain, "{}", host.escape_ascii());
        }
        assert_eq!(domains.choose(None), None);
    }

    #[test]
    fn lists_are_equal_by_their_domains_and_functions_when_they_are_the_same_one() {
        let none = |_: &str| None;
        let (list, function) = (Domains::of(["example.com"]), Domains::by(none));
        assert_eq!(list, Domains::of(["example.com"]));
        assert_ne!(list, Domains::of(["example.org"]));
        assert_eq!(function, function.clone());
        assert_ne!(function, Domains::by(none));
        assert_ne!(function, list);
    }

    #[test]
    fn a_function_cannot_break_out_of_the_header_or_name_a_foreign_domain() {
        let tenant = Domains::by(|host| Some(host.split_once('.')?.1.to_owned()));
        assert_eq!(tenant.choose(Some(b"a.example.com")).as_deref(), Some("example.com"));
        for bad in ["example.org", "example.com; Path=/x", "example.com\r\nSet-Cookie: a=b", ""] {
            let fixed = Domains::by(move |_| Some(bad.to_owned()));
            assert_eq!(fixed.choose(Some(b"a.example.com")), None, "{bad:?}");
        }
    }
}
