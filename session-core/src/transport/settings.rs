//! The attributes of a session's cookie, and the browsers' rules for them.

use std::time::Duration;

use super::{Domains, SecureMode, is_http_token};
use crate::{Error, Result};

/// Whether browsers send the cookie on cross-site requests. Always written explicitly, because the
/// defaults of browsers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SameSite {
    /// Never, not even when the user follows a link from another site.
    Strict,
    /// Only when the user follows a link. The default.
    #[default]
    Lax,
    /// Always, for services that are embedded in other sites; needs `Secure`, and protection from
    /// request forgery.
    None,
}

impl SameSite {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// How soon a browser with too many cookies evicts this one. Chromium-based browsers support it;
/// others ignore it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Priority {
    /// Evicted before others.
    Low,
    /// Evicted like cookies without a priority.
    Medium,
    /// Evicted after others: the right choice for a session.
    High,
}

impl Priority {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
        }
    }
}

/// The attributes of the session's cookie. The default is the strictest that works for a site on
/// one host: `__Host-session`, path `/`, `Secure`, `HttpOnly`, `SameSite=Lax`, removed when the
/// browser closes.
///
/// ```
/// use session_core::transport::{CookieSettings, SecureMode};
///
/// // A service that is reached over plain HTTP in a trusted network; browsers refuse `__Host-` there.
/// let intranet = CookieSettings::named("session").secure(SecureMode::Never);
/// assert!(intranet.check().is_ok());
/// assert!(intranet.name("__Host-session").check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is an attribute of its own")]
pub struct CookieSettings {
    /// The name. `__Host-` and `__Secure-` in front make browsers enforce what the prefix promises.
    pub name: String,
    /// The path under which browsers send the cookie; default `/`.
    pub path: String,
    /// The domain whose subdomains also receive the cookie; `None` (the default) is this host only.
    pub domain: Option<String>,
    /// The choice of the domain by the host of the request, instead of [`domain`](Self::domain);
    /// default none.
    pub domains: Option<Domains>,
    /// Whether `Secure` is written; default always.
    pub secure: SecureMode,
    /// Whether scripts are kept from reading the cookie; default yes.
    pub http_only: bool,
    /// Whether cross-site requests carry the cookie; default [`SameSite::Lax`].
    pub same_site: SameSite,
    /// Whether the cookie outlives the browser (`Max-Age`, at most 400 days); default no. The
    /// server decides when the session ends, whatever the browser does.
    pub persistent: bool,
    /// The longest life of a persistent cookie, from the response that sets it; `None` (the
    /// default) is as long as the session can last. Responses set it when a session begins and when
    /// its id is replaced; activity does not extend it.
    pub max_age: Option<Duration>,
    /// Whether a browser keeps one cookie for each site in which this service is embedded
    /// (`Partitioned`, CHIPS); default no. Needs `Secure`, and `SameSite=None` to be sent there at
    /// all.
    pub partitioned: bool,
    /// How soon a browser with too many cookies evicts this one; default none, which is not
    /// written.
    pub priority: Option<Priority>,
    /// Whether responses set the cookie; default yes. Turn it off where something else delivers the
    /// id (`enableSetCookie = false`); the cookie is still read.
    pub send: bool,
}

impl Default for CookieSettings {
    fn default() -> Self {
        Self::host_prefixed("session")
    }
}

impl CookieSettings {
    /// Returns the defaults with exactly this name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            path: "/".into(),
            domain: None,
            domains: None,
            secure: SecureMode::Always,
            http_only: true,
            same_site: SameSite::Lax,
            persistent: false,
            max_age: None,
            partitioned: false,
            priority: None,
            send: true,
        }
    }

    /// Returns the defaults with the name `__Host-` and `name`: `Secure`, for this host only, and
    /// no other host can plant one. The best choice where it works.
    #[must_use]
    pub fn host_prefixed(name: &str) -> Self {
        Self::named(format!("__Host-{name}"))
    }

    /// Returns the defaults with the name `__Secure-` and `name`: `Secure`, and cannot be planted
    /// over plain HTTP; for cookies shared by subdomains.
    #[must_use]
    pub fn secure_prefixed(name: &str) -> Self {
        Self::named(format!("__Secure-{name}"))
    }

    /// Sets [`name`](Self::name).
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets [`path`](Self::path).
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets [`domain`](Self::domain); a leading dot, as older software writes it, is dropped.
    #[must_use]
    pub fn domain(mut self, domain: &str) -> Self {
        self.domain = Some(domain.strip_prefix('.').unwrap_or(domain).to_owned());
        self
    }

    /// Sets [`domains`](Self::domains).
    #[must_use]
    pub fn domains(mut self, domains: Domains) -> Self {
        self.domains = Some(domains);
        self
    }

    /// Sets [`secure`](Self::secure).
    #[must_use]
    pub fn secure(mut self, secure: SecureMode) -> Self {
        self.secure = secure;
        self
    }

    /// Sets [`http_only`](Self::http_only).
    #[must_use]
    pub fn http_only(mut self, http_only: bool) -> Self {
        self.http_only = http_only;
        self
    }

    /// Sets [`same_site`](Self::same_site).
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Sets [`persistent`](Self::persistent).
    #[must_use]
    pub fn persistent(mut self, persistent: bool) -> Self {
        self.persistent = persistent;
        self
    }

    /// Sets [`max_age`](Self::max_age), and makes the cookie [`persistent`](Self::persistent) when
    /// there is one.
    #[must_use]
    pub fn max_age(mut self, max_age: impl Into<Option<Duration>>) -> Self {
        self.max_age = max_age.into();
        self.persistent |= self.max_age.is_some();
        self
    }

    /// Sets [`partitioned`](Self::partitioned).
    #[must_use]
    pub fn partitioned(mut self, partitioned: bool) -> Self {
        self.partitioned = partitioned;
        self
    }

    /// Sets [`priority`](Self::priority).
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Sets [`send`](Self::send).
    #[must_use]
    pub fn send(mut self, send: bool) -> Self {
        self.send = send;
        self
    }

    /// Validates the settings. [`Config`](crate::ErrorKind::Config) when browsers would drop this
    /// cookie, or when a name, path or domain could inject another attribute; the message says what
    /// to change. The rules are those of RFC 6265bis.
    pub fn check(&self) -> Result<()> {
        let Self { name, path, domain, .. } = self;
        if !is_http_token(name) {
            return Err(Error::config(format!(
                "`{}` cannot be the name of a cookie: use letters, digits, - and _",
                name.escape_debug()
            )));
        }
        let visible = path.bytes().all(|byte| matches!(byte, b'!'..=b'~') && byte != b';');
        if !path.starts_with('/') || !visible || path.len() > MAX_ATTRIBUTE {
            return Err(Error::config(format!(
                "the path of a cookie begins with / and holds visible ASCII without ; (at most {MAX_ATTRIBUTE}), \
                 not `{}`",
                path.escape_debug()
            )));
        }
        domain.as_deref().map_or(Ok(()), check_domain)?;
        if let Some(domains) = &self.domains {
            domains.check()?;
            if domain.is_some() {
                return Err(Error::config(
                    "a cookie has one domain, or a choice of `domains` by the host: leave out one of them",
                ));
            }
        }
        if self.max_age == Some(Duration::ZERO) {
            return Err(Error::config(
                "a Max-Age of zero removes a cookie: leave it out, or give a longer one",
            ));
        }
        let always_secure = self.secure == SecureMode::Always;
        if self.same_site == SameSite::None && !always_secure {
            return Err(Error::config(
                "SameSite=None needs Secure, or browsers drop the cookie: turn `secure` on, or set SameSite to Lax",
            ));
        }
        if self.partitioned && !always_secure {
            return Err(Error::config(
                "Partitioned needs Secure, or browsers drop the cookie: turn `secure` on, or `partitioned` off",
            ));
        }
        self.check_prefix(always_secure)
    }

    /// Browsers compare prefixes case-insensitively (RFC 6265bis section 5.6), so this does too.
    fn check_prefix(&self, always_secure: bool) -> Result<()> {
        let name = self.name.to_ascii_lowercase();
        let refuse = |prefix: &str, what: &str| {
            Err(Error::config(format!(
                "a cookie named {prefix}… needs {what}; change that, or choose a name without the prefix"
            )))
        };
        if name.starts_with("__host-") {
            if !always_secure {
                return refuse("__Host-", "Secure on every connection (turn `secure` on)");
            }
            if self.domain.is_some() || self.domains.is_some() {
                return refuse("__Host-", "no domain");
            }
            if self.path != "/" {
                return refuse("__Host-", "the path /");
            }
        }
        if name.starts_with("__secure-") && !always_secure {
            return refuse("__Secure-", "Secure on every connection (turn `secure` on)");
        }
        // The two newest prefixes; browsers that know them enforce HttpOnly.
        if (name.starts_with("__http-") || name.starts_with("__host-http-"))
            && !(always_secure && self.http_only)
        {
            return refuse("__Http-", "Secure on every connection, and HttpOnly");
        }
        Ok(())
    }
}

/// The largest attribute value in octets; browsers ignore longer ones (RFC 6265bis section 5.6).
const MAX_ATTRIBUTE: usize = 1024;

pub(super) fn check_domain(domain: &str) -> Result<()> {
    if is_host_name(domain) {
        return Ok(());
    }
    Err(Error::config(format!(
        "the domain of a cookie is a host name such as example.com (international ones in their xn-- form), \
         not `{}`; leave it out for this host only",
        domain.escape_debug()
    )))
}

pub(super) fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= 253 && name.split('.').all(is_label)
}
