//! The options after the `?` of a URL.

use session_core::{Error, Result, Secret};

use super::url::{decoded, wrong};
use super::{Count, RedisConfig, Tls, duration};

/// Options of other clients' URLs, and their replacements.
const FOREIGN: &[(&str, &str)] = &[
    ("family", "leave it out, IPv4 and IPv6 are both tried"),
    ("pool_size", "leave it out, requests share a few connections"),
    ("max_connections", "leave it out, requests share a few connections"),
    ("min_idle_conns", "leave it out, requests share a few connections"),
    ("max_retries", "leave it out, commands are not resent automatically"),
    ("ssl", "write `rediss://`"),
    ("tls", "write `rediss://`"),
    ("ssl_cert_reqs", "leave it out, or end the URL with `#insecure` to accept any certificate"),
    ("ssl_ca_certs", "write `ca`"),
    ("ssl_certfile", "write `cert`"),
    ("ssl_keyfile", "write `key`"),
    ("dial_timeout", "write `connect_timeout`"),
    ("timeout", "write `response_timeout`"),
    ("read_timeout", "write `response_timeout`"),
    ("write_timeout", "write `response_timeout`"),
    ("socket_timeout", "write `response_timeout`"),
    ("socket_connect_timeout", "write `connect_timeout`"),
    ("sentinelMasterId", "write the master's name as the path"),
];

/// The options, for the error about an unknown one.
const NAMES: &str = "prefix, connect_timeout, response_timeout, ca, cert, key, tls_server_name, address_map, \
                     sentinel_user, sentinel_password, sentinel_tls, sentinel_ca, sentinel_cert, sentinel_key, \
                     sentinel_tls_server_name, count, notices, protocol, user, password, db";

/// The TLS files and names of the servers, or of the sentinels.
#[derive(Default)]
struct Files {
    ca: Option<String>,
    cert: Option<String>,
    key: Option<String>,
    server_name: Option<String>,
}

impl Files {
    fn is_empty(&self) -> bool {
        [&self.ca, &self.cert, &self.key, &self.server_name].iter().all(|file| file.is_none())
    }

    fn add_to(self, mut tls: Tls) -> Result<Tls> {
        if let Some(ca) = self.ca {
            tls = tls.ca(ca);
        }
        if let Some(name) = self.server_name {
            tls = tls.server_name(name);
        }
        match (self.cert, self.key) {
            (None, None) => Ok(tls),
            (Some(certificate), Some(key)) => Ok(tls.client(certificate, key)),
            _ => Err(wrong("has one of `cert` and `key` without the other")),
        }
    }
}

/// Applies all options.
pub(super) fn set_all(mut config: RedisConfig, query: &str) -> Result<RedisConfig> {
    let (mut files, mut of_sentinels, mut sentinel_tls) = (Files::default(), Files::default(), None);
    for option in query.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').ok_or_else(|| wrong("has an option without a `=`"))?;
        let value = decoded(value)?;
        match name {
            "ca" => files.ca = Some(value),
            "cert" => files.cert = Some(value),
            "key" => files.key = Some(value),
            "tls_server_name" => files.server_name = Some(value),
            "sentinel_ca" => of_sentinels.ca = Some(value),
            "sentinel_cert" => of_sentinels.cert = Some(value),
            "sentinel_key" => of_sentinels.key = Some(value),
            "sentinel_tls_server_name" => of_sentinels.server_name = Some(value),
            "sentinel_tls" => sentinel_tls = Some(on_or_off("sentinel_tls", &value)?),
            _ => config = set(config, name, &value)?,
        }
    }
    if !files.is_empty() {
        let tls = config.tls.take();
        let tls = tls
            .ok_or_else(|| wrong("has `ca`, `cert`, `key` or `tls_server_name` without TLS: `rediss://`"))?;
        config.tls = Some(files.add_to(tls)?);
    }
    match sentinel_tls {
        Some(false) if of_sentinels.is_empty() => Ok(config.sentinel_tls(None)),
        Some(false) => Err(wrong("has certificates for sentinels without TLS")),
        None if of_sentinels.is_empty() => Ok(config),
        _ => Ok(config.sentinel_tls(Some(of_sentinels.add_to(Tls::new())?))),
    }
}

/// Sets one option.
pub(super) fn set(mut config: RedisConfig, name: &str, value: &str) -> Result<RedisConfig> {
    let time = || duration(value).ok_or_else(|| wrong("has an invalid time: `500ms`, `2s`"));
    match name {
        "prefix" => config = config.prefix(value),
        "db" => config.db = value.parse().map_err(|_| wrong("has a database that is not a number from 0"))?,
        "connect_timeout" => config.connect_timeout = time()?,
        "response_timeout" => config.response_timeout = time()?,
        "user" | "username" => config = config.user(value),
        "password" => config = config.password(value),
        "sentinel_user" => config.sentinel_login.user = value.into(),
        "sentinel_password" => config.sentinel_login.password = Secret::new(value),
        "address_map" => {
            for entry in value.split(';').filter(|entry| !entry.is_empty()) {
                let (announced, reached_at) = entry.split_once('=').ok_or_else(|| {
                    wrong("has an `address_map` without a `=`: `announced:port=reached:port;…`")
                })?;
                config = config.map_address(announced, reached_at)?;
            }
        }
        "count" => {
            config.count = match value {
                "exact" => Count::Exact,
                "approximate" => Count::Approximate,
                "off" => Count::Off,
                _ => return Err(wrong("has a `count` other than `exact`, `approximate` and `off`")),
            };
        }
        "notices" => config.notices = on_or_off("notices", value)?,
        "protocol" => match value {
            "2" | "resp2" => config = config.resp2(),
            "3" | "resp3" => {}
            _ => return Err(wrong("has a `protocol` other than `resp2` and `resp3`")),
        },
        _ => return Err(unknown(name)),
    }
    Ok(config)
}

fn on_or_off(name: &str, value: &str) -> Result<bool> {
    match value {
        // The other engines write `true`.
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => Err(wrong(&format!("has a `{name}` other than `on` and `off`"))),
    }
}

/// Names an option only if another client has it: an unknown one may be part of a password.
fn unknown(name: &str) -> Error {
    match FOREIGN.iter().find(|(foreign, _)| *foreign == name) {
        Some((foreign, instead)) => {
            wrong(&format!("has the option `{foreign}` of another client: {instead}"))
        }
        None => wrong(&format!("has an unknown option; the options are {NAMES}")),
    }
}
