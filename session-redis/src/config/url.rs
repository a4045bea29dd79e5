//! URLs. Read by hand, because a cluster's has several hosts, which no URL library takes.

use percent_encoding::percent_decode_str;
use session_core::{Error, Result, Secret};

use super::{RedisConfig, Tls, Topology, duration};

/// What is wrong, and what was expected. The URL itself is not repeated: a password may stand anywhere in it.
fn wrong(what: &str) -> Error {
    Error::config(format!(
        "the URL {what}; expected `redis://user:password@host:port/db`, `rediss://…` (TLS), `redis+cluster://…@host:port,host:port`, \
         `redis+sentinel://…@host:port,host:port/master name/db` or `unix:///path/of/its.sock?db=0`, and then \
         `?prefix=session:&connect_timeout=1s&response_timeout=2s&ca=file&cert=file&key=file&sentinel_user=…&sentinel_password=…`"
    ))
}

pub(super) fn parse(topology: Topology, text: &str) -> Result<RedisConfig> {
    let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("has no scheme"))?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    if rest.contains('#') || query.contains('#') {
        return Err(wrong("has a `#` in it: write it as %23"));
    }
    if matches!(scheme, "unix" | "redis+unix") {
        return unix(rest, query);
    }
    let (of_scheme, tls) = match scheme {
        "redis" => (Topology::Standalone, false),
        "rediss" => (Topology::Standalone, true),
        "redis+cluster" => (Topology::Cluster, false),
        "rediss+cluster" => (Topology::Cluster, true),
        "redis+sentinel" => (Topology::Sentinel, false),
        "rediss+sentinel" => (Topology::Sentinel, true),
        _ => return Err(wrong("has a scheme that is not Redis'")),
    };
    let topology = match (topology, of_scheme) {
        (asked, Topology::Standalone) => asked,
        (Topology::Standalone, of_scheme) => of_scheme,
        (asked, of_scheme) if asked == of_scheme => asked,
        _ => return Err(wrong("is of a cluster where sentinels were asked for, or the other way round")),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    if hosts.is_empty() {
        return Err(wrong("names no host"));
    }
    let mut config = RedisConfig::new(topology, hosts.split(','))
        .map_err(|error| wrong(&format!("cannot be read: {}", error.message())))?;
    if !login.is_empty() {
        let (user, password) = login
            .split_once(':')
            .ok_or_else(|| wrong("has a user without a password (`:password@` for no user)"))?;
        config = config.user(decoded(user)?).password(decoded(password)?);
    }
    if tls {
        config = config.tls(Tls::new());
    }
    let path = path.trim_end_matches('/');
    let db = if topology == Topology::Sentinel {
        let (master, db) = path.split_once('/').unwrap_or((path, ""));
        if !master.is_empty() {
            config = config.master(&decoded(master)?)?;
        }
        db
    } else {
        path
    };
    if !db.is_empty() {
        config = option(config, "db", db)?;
    }
    options(config, query)
}

fn unix(path: &str, query: &str) -> Result<RedisConfig> {
    if !path.starts_with('/') {
        return Err(wrong("has no absolute path: `unix:///path`, with three slashes"));
    }
    options(RedisConfig::new(Topology::Standalone, [decoded(path)?])?, query)
}

fn options(mut config: RedisConfig, query: &str) -> Result<RedisConfig> {
    let (mut certificate, mut key) = (None, None);
    for option_text in query.split('&').filter(|option| !option.is_empty()) {
        let (name, value) =
            option_text.split_once('=').ok_or_else(|| wrong("has an option without a `=`"))?;
        let value = decoded(value)?;
        match name {
            "cert" => certificate = Some(value),
            "key" => key = Some(value),
            _ => config = option(config, name, &value)?,
        }
    }
    match (certificate, key, config.tls.take()) {
        (None, None, tls) => config.tls = tls,
        (Some(certificate), Some(key), Some(tls)) => config.tls = Some(tls.client(certificate, key)),
        (_, _, None) => return Err(wrong("has `cert` or `key` without TLS: `rediss://`")),
        _ => return Err(wrong("has one of `cert` and `key` without the other")),
    }
    Ok(config)
}

fn option(mut config: RedisConfig, name: &str, value: &str) -> Result<RedisConfig> {
    let time = || duration(value).ok_or_else(|| wrong("has a time that is none: `500ms`, `2s`"));
    match name {
        "prefix" => config = config.prefix(value),
        "db" => config.db = value.parse().map_err(|_| wrong("has a database that is no number from 0"))?,
        "connect_timeout" => config.connect_timeout = time()?,
        "response_timeout" => config.response_timeout = time()?,
        "user" => config = config.user(value),
        "password" => config = config.password(value),
        "sentinel_user" => config.sentinel_login.user = value.into(),
        "sentinel_password" => config.sentinel_login.password = Secret::new(value),
        "ca" => match config.tls.take() {
            Some(tls) => config.tls = Some(tls.ca(value)),
            None => return Err(wrong("has a `ca` without TLS: `rediss://`")),
        },
        _ => return Err(wrong("has an option that is not known")),
    }
    Ok(config)
}

fn decoded(text: &str) -> Result<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| wrong("has a %-sequence that is no UTF-8"))
}
