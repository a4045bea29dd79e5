//! Settings of a manager as data: the JSON text and the `app.conf` keys of Beego applications.
//!
//! New applications should prefer the builder of the manager; this is for applications that have
//! such a configuration, or want to keep it outside of the program. Nothing is connected or started
//! here.

mod app_conf;
mod json;

use std::time::Duration;

use crate::id::{HashFunction, IdGenerator, MIN_ID_BITS, RandomIds, Token};
use crate::transport::{CookieSettings, SameSite, SecureMode, Transport, TrustedProxies};
use crate::{Error, Result, Secret};

/// The longest `sessionIDLength` in bytes; this makes 1,024 characters.
const MAX_ID_BYTES: usize = 512;

/// The configuration of a manager. Lifetimes are whole seconds, as in the texts that it is read
/// from.
///
/// ```
/// use session_core::ManagerConfig;
/// use std::time::Duration;
///
/// let config = ManagerConfig::from_json(
///     r#"{"cookieName":"gosessionid", "enableSetCookie,omitempty": true, "gclifetime":3600, "secure": true}"#,
/// )?;
/// assert_eq!(config.idle(), Duration::from_secs(3600));
/// # Ok::<(), session_core::Error>(())
/// ```
///
/// | JSON key | `app.conf` key | field | when absent (JSON; `app.conf` where it differs) |
/// |---|---|---|---|
/// | `cookieName` | `sessionname` | [`cookie_name`](Self::cookie_name) | `gosessionid`; `beegosessionID` |
/// | `enableSetCookie` | `sessionautosetcookie` | [`enable_set_cookie`](Self::enable_set_cookie) | yes |
/// | `gclifetime` | `sessiongcmaxlifetime` | [`gc_lifetime`](Self::gc_lifetime) | 3600 |
/// | `maxLifetime` | | [`max_lifetime`](Self::max_lifetime) | as `gclifetime` |
/// | `secure` | `enablehttps` | [`secure`](Self::secure) | follows the connection |
/// | `disableHTTPOnly` | `sessiondisablehttponly` | [`disable_http_only`](Self::disable_http_only) | no |
/// | `cookieSameSite` | `sessioncookiesamesite` | [`cookie_same_site`](Self::cookie_same_site) | `Lax` |
/// | `domain` | `sessiondomain` | [`domain`](Self::domain) | this host only |
/// | `cookieLifeTime` | `sessioncookielifetime` | [`cookie_life_time`](Self::cookie_life_time) | 0, until the browser closes |
/// | `sessionIDHashFunc` | `sessionhashfunc` | [`session_id_hash_func`](Self::session_id_hash_func) | `sha1` |
/// | `sessionIDHashKey` | `sessionhashkey` | [`session_id_hash_key`](Self::session_id_hash_key) | empty; `beegoserversessionkey` |
/// | `sessionIDLength` | | [`session_id_length`](Self::session_id_length) | the hash function decides |
/// | `sessionIDPrefix` | `sessionidprefix` | [`session_id_prefix`](Self::session_id_prefix) | empty |
/// | `EnableSidInHTTPHeader` | `sessionenablesidinhttpheader` | [`enable_sid_in_http_header`](Self::enable_sid_in_http_header) | no |
/// | `SessionNameInHTTPHeader` | `sessionnameinhttpheader` | [`session_name_in_http_header`](Self::session_name_in_http_header) | empty; `Beegosessionid` |
/// | `EnableSidInURLQuery` | `sessionenablesidinurlquery` | [`enable_sid_in_url_query`](Self::enable_sid_in_url_query) | no |
/// | `providerConfig` | `sessionproviderconfig`, `sessionsavepath` | [`provider_config`](Self::provider_config) | empty |
///
/// Keys are case-insensitive, and a trailing `,omitempty` is dropped, both as in Go's JSON. An
/// unknown key is an error: a misspelt `secure` must not go unnoticed. Other `serde` formats work
/// with the same keys.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "the switches of the documented configuration, one each")]
pub struct ManagerConfig {
    /// The name of the cookie, and of the query parameter if that is enabled.
    pub cookie_name: String,
    /// Whether responses set the cookie. If not, it is still read, unless a header is configured
    /// instead.
    pub enable_set_cookie: bool,
    /// The interval between collections of expired sessions, in seconds; at least 1.
    pub gc_lifetime: u64,
    /// The idle timeout in seconds; the same as [`gc_lifetime`](Self::gc_lifetime) when absent or
    /// 0.
    pub max_lifetime: Option<u64>,
    /// Whether the cookie has `Secure`. When absent, it follows the connection, and no proxy is
    /// trusted: behind a proxy that terminates TLS, set it to `true`.
    pub secure: Option<bool>,
    /// Whether scripts may read the cookie.
    pub disable_http_only: bool,
    /// Whether cross-site requests carry the cookie: 2 or `"lax"`, 3 or `"strict"`, 4 or `"none"`;
    /// 0 and 1 select the default, `Lax`.
    pub cookie_same_site: SameSite,
    /// The domain whose subdomains also receive the cookie.
    pub domain: Option<String>,
    /// How many seconds browsers keep the cookie, from the start of the session; 0 means until they
    /// are closed. It is limited by the lifetime of the session, and by 400 days.
    pub cookie_life_time: u64,
    /// The function that generates ids, unless [`session_id_length`](Self::session_id_length) is
    /// set.
    pub session_id_hash_func: HashFunction,
    /// The key of that function. Ids are unguessable even without a key, because the hashed bytes
    /// are random and used once.
    pub session_id_hash_key: Secret,
    /// The number of random bytes of an id, in hexadecimal; at least 16. It takes precedence over
    /// the hash function, as in Beego 2, which dropped that function.
    pub session_id_length: Option<usize>,
    /// Fixed text before every id.
    pub session_id_prefix: String,
    /// Whether a header carries the id too. With [`enable_set_cookie`](Self::enable_set_cookie) off
    /// it is the only transport, and cookies are not read either.
    pub enable_sid_in_http_header: bool,
    /// The name of that header.
    pub session_name_in_http_header: String,
    /// Whether an id in the URL counts if there is no cookie.
    pub enable_sid_in_url_query: bool,
    /// The engine's config string.
    pub provider_config: Secret,
}

impl Default for ManagerConfig {
    fn default() -> Self {
        Self {
            cookie_name: "gosessionid".into(),
            enable_set_cookie: true,
            gc_lifetime: 3600,
            max_lifetime: None,
            secure: None,
            disable_http_only: false,
            cookie_same_site: SameSite::Lax,
            domain: None,
            cookie_life_time: 0,
            session_id_hash_func: HashFunction::Sha1,
            session_id_hash_key: Secret::default(),
            session_id_length: None,
            session_id_prefix: String::new(),
            enable_sid_in_http_header: false,
            session_name_in_http_header: String::new(),
            enable_sid_in_url_query: false,
            provider_config: Secret::default(),
        }
    }
}

impl ManagerConfig {
    /// Reads the JSON text that `session.NewManager` accepts, and [checks](Self::check) it.
    ///
    /// [`Config`](crate::ErrorKind::Config) with line and column when the text is not JSON, a value
    /// has the wrong type, or a key is unknown or repeated. The message contains no value of the
    /// text.
    pub fn from_json(text: &str) -> Result<Self> {
        json::read(text)
    }

    /// Reads the session keys of an `app.conf`, and returns the configuration with the engine's
    /// name (`sessionprovider`, default `memory`); `None` unless `sessionon` is true.
    ///
    /// The file is read as Beego reads it: `key = value`, comments on separate lines, the section
    /// of the `runmode` (default `prod`) with precedence over keys without a section,
    /// `${NAME||default}` for environment variables, and `sessionConfig` with the JSON text instead
    /// of single keys. Keys that do not begin with `session` belong to the application and are
    /// ignored. `include` is not followed.
    ///
    /// [`Config`](crate::ErrorKind::Config) with the number of the line when it cannot be parsed,
    /// and as for [`from_json`](Self::from_json).
    pub fn from_app_conf(text: &str) -> Result<Option<(Self, String)>> {
        app_conf::read(text, &|name| std::env::var(name).ok())
    }

    /// Validates the settings. [`Config`](crate::ErrorKind::Config) when a setting is out of range
    /// or two contradict each other.
    pub fn check(&self) -> Result<()> {
        if self.gc_lifetime == 0 {
            return Err(Error::config("`gclifetime` is a number of seconds, 1 at least"));
        }
        self.transport()?;
        self.id_generator()?;
        Ok(())
    }

    /// Returns the idle timeout.
    pub fn idle(&self) -> Duration {
        let seconds = self.max_lifetime.filter(|seconds| *seconds > 0).unwrap_or(self.gc_lifetime);
        Duration::from_secs(seconds)
    }

    /// Returns the interval between collections of expired sessions.
    pub const fn gc_interval(&self) -> Duration {
        Duration::from_secs(self.gc_lifetime)
    }

    /// Returns how long browsers keep the cookie; `None` means until they are closed.
    pub fn cookie_lifetime(&self) -> Option<Duration> {
        (self.cookie_life_time > 0).then(|| Duration::from_secs(self.cookie_life_time))
    }

    /// Returns how ids travel, validated.
    pub fn transport(&self) -> Result<Transport> {
        let secure = match self.secure {
            Some(true) => SecureMode::Always,
            Some(false) => SecureMode::Never,
            None => SecureMode::Auto(TrustedProxies::none()),
        };
        let mut cookie = CookieSettings::named(&self.cookie_name)
            .secure(secure)
            .http_only(!self.disable_http_only)
            .same_site(self.cookie_same_site)
            .max_age(self.cookie_lifetime())
            .send(self.enable_set_cookie);
        if let Some(domain) = &self.domain {
            cookie = cookie.domain(domain);
        }
        let mut transport = Transport::cookie(cookie);
        if self.enable_sid_in_http_header {
            if self.session_name_in_http_header.is_empty() {
                return Err(Error::config(
                    "`EnableSidInHTTPHeader` needs the name of a header in `SessionNameInHTTPHeader`",
                ));
            }
            transport = transport.with_header(&self.session_name_in_http_header);
            if !self.enable_set_cookie {
                transport = transport.without_cookie();
            }
        }
        if self.enable_sid_in_url_query {
            transport = transport.with_query(&self.cookie_name);
        }
        transport.check()?;
        Ok(transport)
    }

    /// Returns the generator of ids, with at least [`MIN_ID_BITS`] bits.
    pub fn id_generator(&self) -> Result<RandomIds> {
        let ids = match self.session_id_length {
            Some(bytes) if bytes <= MAX_ID_BYTES => RandomIds::hex(bytes),
            Some(_) => {
                return Err(Error::config(format!("`sessionIDLength` must be at most {MAX_ID_BYTES} bytes")));
            }
            None => RandomIds::hmac(self.session_id_hash_func, self.session_id_hash_key.clone()),
        };
        if ids.random_bits() < MIN_ID_BITS {
            return Err(Error::config(format!(
                "ids of {} bits can be guessed: `sessionIDLength` must be at least 16 bytes (or \
                 leave it out)",
                ids.random_bits()
            )));
        }
        let prefix = &self.session_id_prefix;
        if prefix.len() > MAX_ID_BYTES || Token::new(&format!("{prefix}0")).is_none() {
            return Err(Error::config(format!(
                "`sessionIDPrefix` has at most {MAX_ID_BYTES} of the characters A-Z a-z 0-9 _ - . \
                 and must not begin with a dot"
            )));
        }
        Ok(ids.prefix(prefix))
    }

    /// Parses the number or the word of a same-site setting.
    fn same_site(setting: &str) -> Option<SameSite> {
        // The numbers are the constants of Go's net/http.
        match setting.to_ascii_lowercase().as_str() {
            "0" | "1" | "2" | "lax" => Some(SameSite::Lax),
            "3" | "strict" => Some(SameSite::Strict),
            "4" | "none" => Some(SameSite::None),
            _ => None,
        }
    }

    fn hash_function(name: &str) -> Option<HashFunction> {
        match name.to_ascii_lowercase().as_str() {
            "" | "sha1" => Some(HashFunction::Sha1),
            "sha256" => Some(HashFunction::Sha256),
            _ => None,
        }
    }
}

/// The values of a same-site setting, for messages.
const SAME_SITES: &str = "0 to 4, \"lax\", \"strict\" or \"none\"";
/// The values of a hash function, for messages.
const HASH_FUNCTIONS: &str = "\"sha1\" or \"sha256\"";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::transport::Connection;

    fn config(change: impl FnOnce(&mut ManagerConfig)) -> ManagerConfig {
        let mut config = ManagerConfig::default();
        change(&mut config);
        config
    }

    fn refusal(change: impl FnOnce(&mut ManagerConfig)) -> String {
        let error = config(change).check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.message().to_owned()
    }

    fn lines(config: &ManagerConfig, tls: bool) -> Vec<String> {
        let transport = config.transport().unwrap();
        let context = transport.context(Connection { tls, ..Connection::default() });
        let token = Token::new("t").unwrap();
        transport
            .set(&token, Some(Duration::MAX), &context)
            .unwrap()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect()
    }

    #[test]
    fn the_cookie_follows_the_configuration() {
        assert_eq!(
            lines(&ManagerConfig::default(), false),
            ["set-cookie: gosessionid=t; Path=/; HttpOnly; SameSite=Lax"]
        );
        assert!(lines(&ManagerConfig::default(), true)[0].ends_with("; Secure"), "follows the connection");
        assert!(
            lines(&config(|it| it.secure = Some(true)), false)[0].ends_with("; Secure"),
            "always when on"
        );
        assert!(!lines(&config(|it| it.secure = Some(false)), true)[0].contains("Secure"));
        let full = config(|it| {
            it.cookie_name = "__Secure-id".into();
            it.secure = Some(true);
            it.disable_http_only = true;
            it.cookie_same_site = SameSite::Strict;
            it.domain = Some(".example.com".into());
            it.cookie_life_time = 3600;
        });
        assert_eq!(
            lines(&full, false),
            ["set-cookie: __Secure-id=t; Path=/; Domain=example.com; Max-Age=3600; SameSite=Strict; Secure"]
        );
    }

    #[test]
    fn header_and_url_modes_are_off_by_default() {
        let header = |set_cookie| {
            config(|it| {
                it.enable_sid_in_http_header = true;
                it.session_name_in_http_header = "Beegosessionid".into();
                it.enable_set_cookie = set_cookie;
            })
        };
        assert_eq!(lines(&header(true), false).len(), 2);
        assert_eq!(lines(&header(false), false), ["Beegosessionid: t"]);
        assert_eq!(header(false).transport().unwrap().cookie_name(), None, "nor are cookies read");
        let silent = config(|it| it.enable_set_cookie = false);
        assert!(lines(&silent, false).is_empty());
        assert_eq!(silent.transport().unwrap().cookie_name(), Some("gosessionid"));
        assert!(!ManagerConfig::default().transport().unwrap().query_mode());
        let query = config(|it| it.enable_sid_in_url_query = true).transport().unwrap();
        assert_eq!(query.query_name(), Some("gosessionid"));
        assert!(refusal(|it| it.enable_sid_in_http_header = true).contains("SessionNameInHTTPHeader"));
    }

    #[test]
    fn contradictions_and_weak_ids_are_refused() {
        assert!(refusal(|it| it.gc_lifetime = 0).contains("gclifetime"));
        assert!(refusal(|it| it.cookie_name = "a b".into()).contains("name of a cookie"));
        assert!(refusal(|it| it.cookie_name = "__Host-id".into()).contains("`secure` on"));
        assert!(refusal(|it| it.cookie_same_site = SameSite::None).contains("`secure` on"));
        assert!(refusal(|it| it.session_id_length = Some(15)).contains("120 bits"));
        assert!(refusal(|it| it.session_id_length = Some(usize::MAX)).contains("at most"));
        for prefix in ["a b", ".a", "ä", "a\n", &"x".repeat(600)] {
            assert!(refusal(|it| it.session_id_prefix = prefix.into()).contains("sessionIDPrefix"));
        }
    }

    #[test]
    fn ids_have_the_configured_form() {
        let id = |change: fn(&mut ManagerConfig)| {
            config(change).id_generator().unwrap().generate().unwrap().expose().to_owned()
        };
        assert_eq!(id(|_| ()).len(), 40);
        assert_eq!(id(|it| it.session_id_hash_func = HashFunction::Sha256).len(), 64);
        assert_eq!(id(|it| it.session_id_length = Some(16)).len(), 32);
        let prefixed = id(|it| it.session_id_prefix = "app-".into());
        assert!(prefixed.starts_with("app-") && prefixed.len() == 44);
    }

    #[test]
    fn the_idle_time_is_the_gc_lifetime_unless_given() {
        let of = |max| config(|it| it.max_lifetime = max).idle().as_secs();
        assert_eq!([of(None), of(Some(0)), of(Some(60))], [3600, 3600, 60]);
    }
}
