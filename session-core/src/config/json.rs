//! The JSON text that `session.NewManager` accepts.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::{HASH_FUNCTIONS, ManagerConfig, SAME_SITES};
use crate::{Error, Result, Secret};

const KEYS: &str = "cookieName, enableSetCookie, gclifetime, maxLifetime, secure, disableHTTPOnly, cookieSameSite, \
    domain, cookieLifeTime, sessionIDHashFunc, sessionIDHashKey, sessionIDLength, sessionIDPrefix, \
    EnableSidInHTTPHeader, SessionNameInHTTPHeader, EnableSidInURLQuery, providerConfig";

const EXAMPLE: &str = r#"{"cookieName":"gosessionid","gclifetime":3600}"#;

pub(super) fn read(text: &str) -> Result<ManagerConfig> {
    // Text that is not JSON at all is detected first: serde_json's own message explains it best.
    let syntax = serde_json::from_str::<IgnoredAny>(text).map(|_| ());
    let config = syntax.and_then(|()| serde_json::from_str::<ManagerConfig>(text)).map_err(|error| {
        let what = if error.is_data() { "is not understood" } else { "is not JSON" };
        Error::config(format!("the manager's configuration {what}: {error} (it looks like {EXAMPLE})"))
    })?;
    config.check()?;
    Ok(config)
}

impl<'de> Deserialize<'de> for ManagerConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = ManagerConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the settings of a session manager")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ManagerConfig, A::Error> {
        let mut config = ManagerConfig::default();
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let name = key.strip_suffix(",omitempty").unwrap_or(&key).to_ascii_lowercase();
            field(&mut config, &name, Given { key: &key, map: &mut map })?;
            if !seen.insert(name) {
                return Err(A::Error::custom(format!("`{}` is given twice", key.escape_debug())));
            }
        }
        Ok(config)
    }
}

fn field<'de, A: MapAccess<'de>>(
    config: &mut ManagerConfig,
    name: &str,
    given: Given<'_, A>,
) -> Result<(), A::Error> {
    match name {
        "cookiename" => config.cookie_name = given.string()?,
        "enablesetcookie" => config.enable_set_cookie = given.switch()?,
        "gclifetime" => config.gc_lifetime = given.seconds()?,
        "maxlifetime" => config.max_lifetime = Some(given.seconds()?),
        "secure" => config.secure = Some(given.switch()?),
        "disablehttponly" => config.disable_http_only = given.switch()?,
        "cookiesamesite" => config.cookie_same_site = given.same_site()?,
        "domain" => config.domain = Some(given.string()?).filter(|domain| !domain.is_empty()),
        "cookielifetime" => config.cookie_life_time = given.seconds()?,
        "sessionidhashfunc" => {
            config.session_id_hash_func =
                given.choice(HASH_FUNCTIONS, |text: String| ManagerConfig::hash_function(&text))?;
        }
        "sessionidhashkey" => config.session_id_hash_key = given.secret()?,
        "sessionidlength" => {
            let bytes = given.value::<usize>("a whole number of bytes")?;
            config.session_id_length = (bytes > 0).then_some(bytes);
        }
        "sessionidprefix" => config.session_id_prefix = given.string()?,
        "enablesidinhttpheader" => config.enable_sid_in_http_header = given.switch()?,
        "sessionnameinhttpheader" => config.session_name_in_http_header = given.string()?,
        "enablesidinurlquery" => config.enable_sid_in_url_query = given.switch()?,
        "providerconfig" => config.provider_config = given.secret()?,
        _ => {
            let key = given.key.escape_debug();
            return Err(A::Error::custom(format!("there is no setting `{key}` (there are {KEYS})")));
        }
    }
    Ok(())
}

/// A key whose value follows. Its errors name the key, but never the value, which may be a secret.
struct Given<'a, A> {
    key: &'a str,
    map: &'a mut A,
}

impl<'de, A: MapAccess<'de>> Given<'_, A> {
    fn value<T: Deserialize<'de>>(self, expected: &str) -> Result<T, A::Error> {
        self.map.next_value().map_err(|_| unexpected(self.key, expected))
    }

    fn choice<T: Deserialize<'de>, U>(
        self,
        expected: &str,
        choose: impl FnOnce(T) -> Option<U>,
    ) -> Result<U, A::Error> {
        let key = self.key;
        choose(self.value(expected)?).ok_or_else(|| unexpected(key, expected))
    }

    fn string(self) -> Result<String, A::Error> {
        self.value("a string")
    }

    fn secret(self) -> Result<Secret, A::Error> {
        self.value("a string")
    }

    fn switch(self) -> Result<bool, A::Error> {
        self.value("true or false")
    }

    fn seconds(self) -> Result<u64, A::Error> {
        self.value("a whole number of seconds, 0 or more")
    }

    fn same_site(self) -> Result<crate::transport::SameSite, A::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Setting {
            Number(u8),
            Word(String),
        }
        self.choice(SAME_SITES, |setting| match setting {
            Setting::Number(number) => ManagerConfig::same_site(&number.to_string()),
            Setting::Word(word) => ManagerConfig::same_site(&word),
        })
    }
}

fn unexpected<E: serde::de::Error>(key: &str, expected: &str) -> E {
    E::custom(format!("`{}` must be {expected}", key.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::id::HashFunction;
    use crate::transport::SameSite;

    fn refusal(text: &str) -> String {
        let error = ManagerConfig::from_json(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    }

    #[test]
    fn the_documented_texts_are_read() {
        // As printed in Beego's documents.
        let config = ManagerConfig::from_json(
            r#"{"cookieName":"gosessionid", "enableSetCookie,omitempty": true, "gclifetime":3600, "maxLifetime": 3600, "secure": false, "sessionIDHashFunc": "sha1", "sessionIDHashKey": "", "cookieLifeTime": 3600, "providerConfig": ""}"#,
        )
        .unwrap();
        let expected = ManagerConfig {
            max_lifetime: Some(3600),
            secure: Some(false),
            cookie_life_time: 3600,
            ..ManagerConfig::default()
        };
        assert_eq!(config, expected);
        let short = ManagerConfig::from_json(r#"{"cookieName":"gosessionid","gclifetime":3600}"#).unwrap();
        assert_eq!(short, ManagerConfig::default());
        let cookie = ManagerConfig::from_json(
            r#"{"cookieName":"gosessionid","enableSetCookie":false,"gclifetime":3600,"ProviderConfig":"{\"cookieName\":\"gosessionid\",\"securityKey\":\"beegocookiehashkey\"}"}"#,
        )
        .unwrap();
        assert!(!cookie.enable_set_cookie);
        assert_eq!(
            cookie.provider_config.expose(),
            r#"{"cookieName":"gosessionid","securityKey":"beegocookiehashkey"}"#
        );
    }

    #[test]
    fn every_key_is_read() {
        let config = ManagerConfig::from_json(
            r#"{"cookieName":"__Secure-a","enableSetCookie":true,"gclifetime":1,"maxLifetime":2,"secure":true,
                "disableHTTPOnly":true,"cookieSameSite":4,"domain":".example.com","cookieLifeTime":3,
                "sessionIDHashFunc":"SHA256","sessionIDHashKey":"k","sessionIDLength":32,"sessionIDPrefix":"p",
                "EnableSidInHTTPHeader":true,"SessionNameInHTTPHeader":"X-Id","EnableSidInURLQuery":true,
                "providerConfig":"./tmp"}"#,
        )
        .unwrap();
        let expected = ManagerConfig {
            cookie_name: "__Secure-a".into(),
            enable_set_cookie: true,
            gc_lifetime: 1,
            max_lifetime: Some(2),
            secure: Some(true),
            disable_http_only: true,
            cookie_same_site: SameSite::None,
            domain: Some(".example.com".into()),
            cookie_life_time: 3,
            session_id_hash_func: HashFunction::Sha256,
            session_id_hash_key: Secret::new("k"),
            session_id_length: Some(32),
            session_id_prefix: "p".into(),
            enable_sid_in_http_header: true,
            session_name_in_http_header: "X-Id".into(),
            enable_sid_in_url_query: true,
            provider_config: Secret::new("./tmp"),
        };
        assert_eq!(config, expected);
        for (text, same_site) in
            [("0", SameSite::Lax), ("1", SameSite::Lax), ("2", SameSite::Lax), ("3", SameSite::Strict)]
        {
            let text = format!(r#"{{"cookieSameSite":{text}}}"#);
            assert_eq!(ManagerConfig::from_json(&text).unwrap().cookie_same_site, same_site);
        }
        let word = ManagerConfig::from_json(r#"{"cookiesamesite":"Strict"}"#).unwrap();
        assert_eq!(word.cookie_same_site, SameSite::Strict);
    }

    #[test]
    fn the_documented_texts_that_are_no_json_are_refused_with_their_column() {
        for (text, column) in [
            (r#"{"cookieName":"gosessionid","gclifetime":3600,"ProviderConfig","./tmp"}"#, "column 63"),
            (
                r#"{"cookieName":"gosessionid","gclifetime":3600,"ProviderConfig","127.0.0.1:6379,100,astaxie"}"#,
                "column 63",
            ),
            (
                r#"{"cookieName":"gosessionid","enableSetCookie":false,gclifetime":3600,"ProviderConfig":"{\"cookieName\":\"gosessionid\",\"securityKey\":\"beegocookiehashkey\"}"}"#,
                "column 53",
            ),
        ] {
            let message = refusal(text);
            assert!(message.contains("line 1") && message.contains(column), "{message}");
            assert!(!message.contains("astaxie") && !message.contains("beegocookiehashkey"));
        }
        assert!(refusal("").contains("not JSON"));
        assert!(refusal("{}{}").contains("trailing"));
        assert!(refusal("[]").contains("an object"));
    }

    #[test]
    fn a_misspelt_or_repeated_key_is_refused_by_name() {
        let message = refusal("{\n \"gclifetime\":3600,\n \"secured\":true}");
        assert!(message.contains("`secured`") && message.contains("line 3"), "{message}");
        assert!(message.contains("there are cookieName"));
        assert!(refusal(r#"{"secure":true,"Secure":false}"#).contains("`Secure` is given twice"));
    }

    #[test]
    fn a_wrong_value_is_refused_without_being_shown() {
        for (text, expected) in [
            (r#"{"providerConfig":{"securityKey":"hunter2"}}"#, "`providerConfig` must be a string"),
            (r#"{"sessionIDHashKey":7777777}"#, "`sessionIDHashKey` must be a string"),
            (r#"{"gclifetime":"hunter2"}"#, "`gclifetime` must be a whole number"),
            (r#"{"gclifetime":-1}"#, "whole number of seconds, 0 or more"),
            (r#"{"gclifetime":1.5}"#, "whole number"),
            (r#"{"secure":"hunter2"}"#, "`secure` must be true or false"),
            (r#"{"cookieSameSite":5}"#, "\"strict\""),
            (r#"{"sessionIDHashFunc":"md5"}"#, "\"sha256\""),
            (r#"{"sessionIDLength":8}"#, "at least 16 bytes"),
            (r#"{"gclifetime":0}"#, "1 at least"),
        ] {
            let message = refusal(text);
            assert!(message.contains(expected), "{message}");
            assert!(!message.contains("hunter2") && !message.contains("7777777"), "{message}");
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let config = ManagerConfig::from_json(r#"{"providerConfig":"hunter2","sessionIDHashKey":"hunter2"}"#);
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}", key in "[a-zA-Z,]{0,12}", value in "[-0-9a-z\"\\[{}]{0,6}") {
            let _ = ManagerConfig::from_json(&text);
            let _ = ManagerConfig::from_json(&format!("{{\"{key}\":{value}}}"));
        }
    }
}
