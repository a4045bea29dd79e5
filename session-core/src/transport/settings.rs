//! What a session's cookie looks like, and the rules that browsers have for it.

use super::{SecureMode, is_http_token};
use crate::{Error, Result};

/// Whether browsers send the cookie on requests that come from other sites. Always written out, because the
/// defaults of browsers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SameSite {
    /// Never, not even when a person follows a link from another site.
    Strict,
    /// Only when a person follows a link. The default.
    #[default]
    Lax,
    /// Always, for services that are embedded in other sites; needs `Secure`, and protection from request forgery.
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

/// The attributes of the session's cookie. The default is the strictest that works for a site on one host:
/// `__Host-session`, path `/`, `Secure`, `HttpOnly`, `SameSite=Lax`, forgotten when the browser closes.
///
/// ```
/// use session_core::{CookieSettings, SecureMode};
///
/// // A service that is reached over plain HTTP in a trusted network; browsers refuse `__Host-` there.
/// let intranet = CookieSettings::named("session").secure(SecureMode::Never);
/// assert!(intranet.check().is_ok());
/// assert!(intranet.name("__Host-session").check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CookieSettings {
    /// The name. `__Host-` and `__Secure-` in front make browsers enforce what the prefix promises.
    pub name: String,
    /// Under which path browsers send it; default `/`.
    pub path: String,
    /// The domain whose subdomains get it as well; `None` (the default) is this host only.
    pub domain: Option<String>,
    /// Whether `Secure` is written; default always.
    pub secure: SecureMode,
    /// Whether scripts are kept from reading it; default yes.
    pub http_only: bool,
    /// Whether other sites' requests carry it; default [`SameSite::Lax`].
    pub same_site: SameSite,
    /// Whether it outlives the browser (`Max-Age`, at most 400 days); default no. The end of the session is
    /// decided on the server, whatever the browser does.
    pub persistent: bool,
    /// Whether responses write it; default yes. Off where something else hands out the id
    /// (`enableSetCookie = false`); it is still read.
    pub send: bool,
}

impl Default for CookieSettings {
    fn default() -> Self {
        Self::host_prefixed("session")
    }
}

impl CookieSettings {
    /// The defaults under this very name, without a prefix of ours.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            path: "/".into(),
            domain: None,
            secure: SecureMode::Always,
            http_only: true,
            same_site: SameSite::Lax,
            persistent: false,
            send: true,
        }
    }

    /// `__Host-` and `name`: `Secure`, for this host only, no other host can plant one. The best choice where it works.
    #[must_use]
    pub fn host_prefixed(name: &str) -> Self {
        Self::named(format!("__Host-{name}"))
    }

    /// `__Secure-` and `name`: `Secure`, cannot be planted over plain HTTP; for cookies shared by subdomains.
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

    /// Sets [`domain`](Self::domain); a dot in front, as older software writes it, is dropped.
    #[must_use]
    pub fn domain(mut self, domain: &str) -> Self {
        self.domain = Some(domain.strip_prefix('.').unwrap_or(domain).to_owned());
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

    /// Sets [`send`](Self::send).
    #[must_use]
    pub fn send(mut self, send: bool) -> Self {
        self.send = send;
        self
    }

    /// [`Config`](crate::ErrorKind::Config) when browsers would drop this cookie, or a name, path or domain could
    /// break out of its place in the header; the message says what to change. The rules are those of RFC 6265bis.
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
        if domain.as_ref().is_some_and(|domain| !is_host_name(domain)) {
            return Err(Error::config(format!(
                "the domain of a cookie is a host name such as example.com (international ones in their xn-- form), \
                 not `{}`; leave it out for this host only",
                domain.as_deref().unwrap_or_default().escape_debug()
            )));
        }
        let always_secure = self.secure == SecureMode::Always;
        if self.same_site == SameSite::None && !always_secure {
            return Err(Error::config(
                "SameSite=None needs Secure, or browsers drop the cookie: turn `secure` on, or set SameSite to Lax",
            ));
        }
        self.check_prefix(always_secure)
    }

    /// Browsers look at prefixes without regard to case (RFC 6265bis section 5.6), so we do too.
    fn check_prefix(&self, always_secure: bool) -> Result<()> {
        let name = self.name.to_ascii_lowercase();
        let complain = |prefix: &str, what: &str| {
            Err(Error::config(format!(
                "a cookie named {prefix}… needs {what}; change that, or choose a name without the prefix"
            )))
        };
        if name.starts_with("__host-") {
            if !always_secure {
                return complain("__Host-", "Secure on every connection (turn `secure` on)");
            }
            if self.domain.is_some() {
                return complain("__Host-", "no domain");
            }
            if self.path != "/" {
                return complain("__Host-", "the path /");
            }
        }
        if name.starts_with("__secure-") && !always_secure {
            return complain("__Secure-", "Secure on every connection (turn `secure` on)");
        }
        // The two youngest prefixes; browsers that know them enforce HttpOnly.
        if (name.starts_with("__http-") || name.starts_with("__host-http-"))
            && !(always_secure && self.http_only)
        {
            return complain("__Http-", "Secure on every connection, and HttpOnly");
        }
        Ok(())
    }
}

/// Browsers ignore attributes with more octets (RFC 6265bis section 5.6).
const MAX_ATTRIBUTE: usize = 1024;

fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= 253 && name.split('.').all(is_label)
}
