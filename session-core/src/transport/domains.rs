//! A cookie's domain that depends on the host of the request, for services that answer under many domains.

use std::fmt;
use std::sync::Arc;

use super::host;
use super::settings::{check_domain, is_host_name};
use crate::Result;

/// Which domain the cookie has, by the host that the client asked for.
///
/// A host that has none gets a cookie for itself alone. The sessions themselves are those of one manager: a service that
/// must keep tenants apart puts the tenant into the session and compares it, or has a manager for each.
///
/// ```
/// use session_core::transport::{CookieSettings, Domains};
///
/// // app.example.com and www.example.com share a cookie, those of example.org another one.
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
    /// The longest of these in which the host lies. A dot in front, as older software writes it, is dropped.
    #[must_use]
    pub fn of<'a>(domains: impl IntoIterator<Item = &'a str>) -> Self {
        let own = |domain: &str| domain.strip_prefix('.').unwrap_or(domain).to_ascii_lowercase();
        Self(Choice::Listed(domains.into_iter().map(own).collect()))
    }

    /// What a function says of the host, which it gets without a port. A result in which the host does not lie is
    /// passed over, because browsers would drop the cookie. The function is called once for each response
    /// that sets or removes the cookie: it should be quick.
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

    /// The domain for a `Host` header.
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
    /// Functions are equal when they are the same one.
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
    fn a_function_cannot_break_out_of_the_header_or_name_a_foreign_domain() {
        let tenant = Domains::by(|host| Some(host.split_once('.')?.1.to_owned()));
        assert_eq!(tenant.choose(Some(b"a.example.com")).as_deref(), Some("example.com"));
        for bad in ["example.org", "example.com; Path=/x", "example.com\r\nSet-Cookie: a=b", ""] {
            let fixed = Domains::by(move |_| Some(bad.to_owned()));
            assert_eq!(fixed.choose(Some(b"a.example.com")), None, "{bad:?}");
        }
    }
}
