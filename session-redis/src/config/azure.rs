//! Azure's connection strings, which are those of its .NET client:
//! `host:port,password=…,ssl=True,…`.

use std::time::Duration;

use session_core::{Error, Result};

use super::{RedisConfig, Tls, Topology};

/// Builds an error with the fault and the expected form. It does not contain the text itself, which
/// has a password.
fn wrong(what: &str) -> Error {
    Error::config(format!(
        "the connection string {what}; expected `host:port,password=…,ssl=True,abortConnect=False`, with `user`, \
         `defaultDatabase`, `connectTimeout` and `syncTimeout` as well, or a URL"
    ))
}

/// Returns whether a text is such a string, and not one of Beego, whose second field is a number.
pub(super) fn is_one(text: &str) -> bool {
    let known =
        ["password", "ssl", "abortConnect", "user", "defaultDatabase", "connectTimeout", "syncTimeout"];
    let named = |field: &str| {
        field
            .split_once('=')
            .is_some_and(|(name, _)| known.iter().any(|k| k.eq_ignore_ascii_case(name.trim())))
    };
    text.split(',').nth(1).is_some_and(named)
}

pub(super) fn parse(topology: Topology, text: &str) -> Result<RedisConfig> {
    let mut parts = text.split(',').map(str::trim);
    let mut config = RedisConfig::new(topology, parts.next().into_iter().flat_map(|hosts| hosts.split(';')))?;
    for part in parts.filter(|part| !part.is_empty()) {
        let (name, value) = part
            .split_once('=')
            .ok_or_else(|| wrong("has a field without a `=` (a password with a comma needs a URL)"))?;
        let is_on = || match value.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(wrong("has a switch that is neither `True` nor `False`")),
        };
        let millis = || {
            let millis: Option<u32> = value.parse().ok().filter(|millis| *millis > 0);
            millis
                .map(|millis| Duration::from_millis(millis.into()))
                .ok_or_else(|| wrong("has a time that is not a number of milliseconds from 1"))
        };
        match name.to_ascii_lowercase().as_str() {
            "password" => config = config.password(value),
            "user" => config = config.user(value),
            "ssl" if is_on()? => config = config.tls(Tls::new()),
            "ssl" => {}
            // Failed connections are always retried.
            "abortconnect" => {
                is_on()?;
            }
            "defaultdatabase" => {
                config.db = value
                    .parse()
                    .map_err(|_| wrong("has a `defaultDatabase` that is not a number from 0"))?;
            }
            "connecttimeout" => config.connect_timeout = millis()?,
            "synctimeout" => config.response_timeout = millis()?,
            _ => return Err(wrong("has an unknown field: leave it out, or write a URL")),
        }
    }
    Ok(config)
}
