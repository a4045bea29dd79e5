//! The session keys of Beego's `app.conf`.

use std::collections::BTreeMap;

use super::{HASH_FUNCTIONS, ManagerConfig, SAME_SITES};
use crate::{Error, Result, Secret};

const KEYS: [&str; 18] = [
    "sessionon",
    "sessionprovider",
    "sessionname",
    "sessiongcmaxlifetime",
    "sessionproviderconfig",
    "sessionsavepath",
    "sessionhashfunc",
    "sessionhashkey",
    "sessioncookielifetime",
    "sessiondomain",
    "sessionautosetcookie",
    "sessiondisablehttponly",
    "sessionenablesidinhttpheader",
    "sessionnameinhttpheader",
    "sessionenablesidinurlquery",
    "sessioncookiesamesite",
    "sessionidprefix",
    "sessionconfig",
];

type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(super) fn read(text: &str, environment: Environment<'_>) -> Result<Option<(ManagerConfig, String)>> {
    let keys = Keys::parse(text, environment)?;
    if !keys.switch("sessionon")?.unwrap_or(false) {
        return Ok(None);
    }
    let provider = keys.text("sessionprovider").unwrap_or("memory").to_owned();
    if let Some(json) = keys.text("sessionconfig") {
        return Ok(Some((ManagerConfig::from_json(json)?, provider)));
    }
    let defaults = ManagerConfig::default();
    let text = |key, default: &str| keys.text(key).unwrap_or(default).to_owned();
    let config = ManagerConfig {
        cookie_name: text("sessionname", "beegosessionID"),
        enable_set_cookie: keys.switch("sessionautosetcookie")?.unwrap_or(true),
        gc_lifetime: keys.seconds("sessiongcmaxlifetime")?.unwrap_or(defaults.gc_lifetime),
        max_lifetime: None,
        secure: keys.switch("enablehttps")?.filter(|https| *https),
        disable_http_only: keys.switch("sessiondisablehttponly")?.unwrap_or(false),
        cookie_same_site: keys
            .read("sessioncookiesamesite", SAME_SITES, ManagerConfig::same_site)?
            .unwrap_or_default(),
        domain: keys.text("sessiondomain").map(ToOwned::to_owned),
        cookie_life_time: keys.seconds("sessioncookielifetime")?.unwrap_or(0),
        session_id_hash_func: keys
            .read("sessionhashfunc", HASH_FUNCTIONS, ManagerConfig::hash_function)?
            .unwrap_or(defaults.session_id_hash_func),
        session_id_hash_key: Secret::new(text("sessionhashkey", "beegoserversessionkey")),
        session_id_prefix: text("sessionidprefix", ""),
        enable_sid_in_http_header: keys.switch("sessionenablesidinhttpheader")?.unwrap_or(false),
        session_name_in_http_header: text("sessionnameinhttpheader", "Beegosessionid"),
        enable_sid_in_url_query: keys.switch("sessionenablesidinurlquery")?.unwrap_or(false),
        provider_config: Secret::new(keys.provider_config()?),
        ..defaults
    };
    config.check()?;
    Ok(Some((config, provider)))
}

/// The effective keys, with their lines; empty values are skipped, because Beego uses its defaults
/// for them.
struct Keys(BTreeMap<String, (usize, String)>);

impl Keys {
    fn parse(text: &str, environment: Environment<'_>) -> Result<Self> {
        let mut sections = BTreeMap::<String, Self>::new();
        let mut section = String::new();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let (number, line) = (index + 1, line.trim());
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name.trim().to_ascii_lowercase();
                continue;
            }
            // Values may be secrets, so messages contain the number of the line, not its text.
            let Some((key, value)) = line.split_once('=') else {
                let hint = if line.starts_with("include") { "; `include` is not followed" } else { "" };
                return Err(Error::config(format!("app.conf line {number}: expected `key = value`{hint}")));
            };
            let key = key.trim().to_ascii_lowercase();
            sections.entry(section.clone()).or_insert_with(Self::new).add(
                &key,
                number,
                value,
                environment,
            )?;
        }
        let mut effective = sections.remove("").unwrap_or_else(Self::new);
        let run_mode = effective.text("runmode").unwrap_or("prod").to_ascii_lowercase();
        effective.0.extend(sections.remove(&run_mode).unwrap_or_else(Self::new).0);
        Ok(effective)
    }

    const fn new() -> Self {
        Self(BTreeMap::new())
    }

    fn add(&mut self, key: &str, line: usize, value: &str, environment: Environment<'_>) -> Result<()> {
        let ours = key.starts_with("session");
        if ours && !KEYS.contains(&key) {
            return Err(Error::config(format!(
                "app.conf line {line}: there is no session setting `{}` (there are {})",
                key.escape_debug(),
                KEYS.join(", ")
            )));
        }
        let value = value.trim();
        let value = if value.starts_with('"') { value.trim_matches('"') } else { value };
        let value = expand(value, environment);
        if value.is_empty() {
            return Ok(());
        }
        match self.0.insert(key.to_owned(), (line, value)) {
            Some((first, _)) if ours => {
                Err(Error::config(format!("app.conf line {line}: `{key}` is given twice, see line {first}")))
            }
            _ => Ok(()),
        }
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|(_, value)| &**value)
    }

    fn read<T>(&self, key: &str, expected: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
        let Some((line, value)) = self.0.get(key) else { return Ok(None) };
        let wrong = || Error::config(format!("app.conf line {line}: `{key}` must be {expected}"));
        read(value).map(Some).ok_or_else(wrong)
    }

    fn switch(&self, key: &str) -> Result<Option<bool>> {
        self.read(key, "true or false", |value| match value.to_ascii_lowercase().as_str() {
            "1" | "t" | "true" | "y" | "yes" | "on" => Some(true),
            "0" | "f" | "false" | "n" | "no" | "off" => Some(false),
            _ => None,
        })
    }

    fn seconds(&self, key: &str) -> Result<Option<u64>> {
        self.read(key, "a whole number of seconds, 0 or more", |value| value.parse().ok())
    }

    /// Returns the engine's config string, from its newer or older key.
    fn provider_config(&self) -> Result<&str> {
        match (self.0.get("sessionproviderconfig"), self.0.get("sessionsavepath")) {
            (Some((_, new)), Some((line, old))) if new != old => Err(Error::config(format!(
                "app.conf line {line}: `sessionsavepath` is the older name of `sessionproviderconfig`: keep one"
            ))),
            (Some((_, value)), _) | (None, Some((_, value))) => Ok(value),
            (None, None) => Ok(""),
        }
    }
}

/// Replaces a value of the form `${NAME}` or `${NAME||default}` with an environment variable.
fn expand(value: &str, environment: Environment<'_>) -> String {
    let Some(inside) = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else {
        return value.to_owned();
    };
    let (name, default) = inside.split_once("||").unwrap_or((inside, ""));
    environment(name.trim()).filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::id::HashFunction;
    use crate::transport::SameSite;

    fn read(text: &str) -> Result<Option<(ManagerConfig, String)>> {
        super::read(text, &|name| (name == "DSN").then(|| "from-the-environment".to_owned()))
    }

    fn config(text: &str) -> ManagerConfig {
        read(text).unwrap().unwrap().0
    }

    fn refusal(text: &str) -> String {
        let error = read(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    }

    #[test]
    fn sessions_are_off_unless_switched_on_and_then_have_the_documented_defaults() {
        assert!(read("").unwrap().is_none());
        assert!(read("appname = beego\nsessionon = false").unwrap().is_none());
        let (config, provider) = read("sessionon = true").unwrap().unwrap();
        assert_eq!(provider, "memory");
        assert_eq!(config.cookie_name, "beegosessionID");
        assert_eq!((config.idle().as_secs(), config.gc_interval().as_secs()), (3600, 3600));
        assert_eq!(config.session_id_hash_func, HashFunction::Sha1);
        assert_eq!(config.session_id_hash_key.expose(), "beegoserversessionkey");
        assert_eq!((config.cookie_life_time, config.secure), (0, None));
        assert!(config.enable_set_cookie && config.provider_config.is_empty());
    }

    #[test]
    fn every_key_is_read_whatever_its_case() {
        let (config, provider) = read(
            "\u{feff}# a comment\n; another\nAppName = shop\nEnableHTTPS = true\nSessionOn = TRUE\nsessionprovider = redis\n\
             SessionName = \"id\"\nsessiongcmaxlifetime=60\nSessionProviderConfig = 127.0.0.1:6379,100,pass=word\n\
             sessionhashfunc = sha256\nsessionhashkey = key\nsessioncookielifetime = 7\nsessiondomain = example.com\n\
             sessionautosetcookie = off\nsessiondisablehttponly = on\nsessionenablesidinhttpheader = yes\n\
             sessionnameinhttpheader = X-Id\nsessionenablesidinurlquery = 1\nsessioncookiesamesite = 3\n\
             sessionidprefix = p-\n[other]\nsessionname = ignored\n",
        )
        .unwrap()
        .unwrap();
        let expected = ManagerConfig {
            cookie_name: "id".into(),
            enable_set_cookie: false,
            gc_lifetime: 60,
            max_lifetime: None,
            secure: Some(true),
            disable_http_only: true,
            cookie_same_site: SameSite::Strict,
            domain: Some("example.com".into()),
            cookie_life_time: 7,
            session_id_hash_func: HashFunction::Sha256,
            session_id_hash_key: Secret::new("key"),
            session_id_length: None,
            session_id_prefix: "p-".into(),
            enable_sid_in_http_header: true,
            session_name_in_http_header: "X-Id".into(),
            enable_sid_in_url_query: true,
            provider_config: Secret::new("127.0.0.1:6379,100,pass=word"),
        };
        assert_eq!((config, &*provider), (expected, "redis"));
    }

    #[test]
    fn the_section_of_the_run_mode_goes_before_the_keys_without_one() {
        let text = "sessionon = true\nsessionname = all\nsessionsavepath = ./tmp\n\
                    [dev]\nsessionname = dev\n[prod]\nsessionname = prod\nsessionsavepath =\n";
        assert_eq!(config(text).cookie_name, "prod");
        assert_eq!(config(text).provider_config.expose(), "./tmp", "an empty value is none");
        assert_eq!(config(&format!("runmode = dev\n{text}")).cookie_name, "dev");
        assert_eq!(config(&format!("runmode = test\n{text}")).cookie_name, "all");
    }

    #[test]
    fn environment_variables_are_filled_in() {
        let of = |value: &str| {
            config(&format!("sessionon = 1\nsessionproviderconfig = {value}"))
                .provider_config
                .expose()
                .to_owned()
        };
        assert_eq!(of("${DSN}"), "from-the-environment");
        assert_eq!(of("${DSN||./tmp}"), "from-the-environment");
        assert_eq!(of("${NOT_SET||./tmp}"), "./tmp");
        assert_eq!(of("${NOT_SET}"), "");
        assert_eq!(of("a${DSN}"), "a${DSN}");
    }

    #[test]
    fn the_json_text_replaces_the_single_keys() {
        let (config, provider) = read(
            "sessionon = true\nsessionprovider = file\nsessionname = x\n\
             sessionConfig = {\"cookieName\":\"id\",\"providerConfig\":\"./tmp\"}",
        )
        .unwrap()
        .unwrap();
        assert_eq!(
            (&*config.cookie_name, config.provider_config.expose(), &*provider),
            ("id", "./tmp", "file")
        );
        assert!(refusal("sessionon = true\nsessionconfig = {").contains("column"));
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_line_and_without_the_value() {
        for (text, expected) in [
            ("sessionon = hunter2", "line 1: `sessionon` must be true or false"),
            ("\nsessionon = true ; hunter2", "line 2: `sessionon`"),
            (
                "sessionon = true\nsessiongcmaxlifetime = hunter2",
                "line 2: `sessiongcmaxlifetime` must be a whole",
            ),
            ("sessionon = true\nsessiongcmaxlifetime = 0", "1 at least"),
            ("sessionon = true\nsessionhashfunc = md5", "\"sha256\""),
            ("sessionon = true\nsessioncookiesamesite = 9", "\"lax\""),
            ("session_on = true", "there is no session setting `session_on`"),
            ("sessionon = true\nsessionon = false", "line 2: `sessionon` is given twice, see line 1"),
            ("hunter2", "line 1: expected `key = value`"),
            ("include \"hunter2.conf\"", "not followed"),
            (
                "sessionon=1\nsessionsavepath=hunter2\nsessionproviderconfig=b",
                "line 2: `sessionsavepath` is the older",
            ),
        ] {
            let message = refusal(text);
            assert!(message.contains(expected), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,80}", lines in "(session(on|name)|\\[|\\]|=|\\$\\{|\\}|\\||\n|1| ){0,20}") {
            let _ = read(&text);
            let _ = read(&lines);
        }
    }
}
