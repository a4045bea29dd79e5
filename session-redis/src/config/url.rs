//! URLs. Parsed by hand, because that of a cluster has several hosts, which URL libraries do not
//! accept.

use percent_encoding::percent_decode_str;
use session_core::{Error, Result};

use super::options::{set, set_all};
use super::{RedisConfig, Tls, Topology};

/// Builds an error with the fault and the expected form. It does not contain the URL itself: any
/// part of it may be a password.
pub(super) fn wrong(what: &str) -> Error {
    Error::config(format!(
        "the URL {what}; expected `redis://user:password@host:port/db`, `rediss://…` (TLS), \
         `redis+cluster://…@host:port,host:port`, `redis+sentinel://…@host:port,host:port/master name/db` or \
         `unix:///path/of/its.sock?db=0`, and then `?prefix=session:&connect_timeout=1s&…` as docs/redis.md lists them"
    ))
}

pub(super) fn parse(topology: Topology, text: &str) -> Result<RedisConfig> {
    let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("has no scheme"))?;
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let any_certificate = match fragment {
        "" => false,
        "insecure" => true,
        _ => return Err(wrong("has a `#` in it: write it as %23, or end the URL with `#insecure`")),
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    if matches!(scheme, "unix" | "redis+unix" | "valkey+unix" | "redis+socket" | "redis-socket") {
        return unix(rest, query);
    }
    let (of_scheme, tls) = scheme_of(scheme)?;
    let topology = match (topology, of_scheme) {
        (asked, Topology::Standalone) => asked,
        (Topology::Standalone, of_scheme) => of_scheme,
        (asked, of_scheme) if asked == of_scheme => asked,
        _ => return Err(wrong("is for a cluster where sentinels are configured, or the other way round")),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    if hosts.is_empty() {
        return Err(wrong("names no host"));
    }
    let config = RedisConfig::new(topology, hosts.split(','))
        .map_err(|error| wrong(&format!("is invalid: {}", error.message())))?;
    let mut config = with_login(config, login)?;
    match (tls, any_certificate) {
        (true, true) => config = config.tls(Tls::new().danger_accept_any_certificate()),
        (true, false) => config = config.tls(Tls::new()),
        (false, true) => return Err(wrong("has `#insecure` without TLS: `rediss://`")),
        (false, false) => {}
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
        config = set(config, "db", db)?;
    }
    set_all(config, query)
}

/// Returns the topology of a scheme, and whether it uses TLS.
fn scheme_of(scheme: &str) -> Result<(Topology, bool)> {
    let (server, topology) = match scheme.split_once('+') {
        None => (scheme, Topology::Standalone),
        Some((server, "cluster")) => (server, Topology::Cluster),
        Some((server, "sentinel")) => (server, Topology::Sentinel),
        Some(_) => return Err(wrong("has a scheme that is not Redis'")),
    };
    match server {
        "redis" | "valkey" => Ok((topology, false)),
        "rediss" | "valkeys" => Ok((topology, true)),
        "redis-sentinel" | "rediss-sentinel" => {
            Err(wrong("is written for another client: `redis+sentinel://`"))
        }
        "redis-cluster" | "rediss-cluster" => Err(wrong("is written for another client: `redis+cluster://`")),
        _ => Err(wrong("has a scheme that is not Redis'")),
    }
}

fn unix(rest: &str, query: &str) -> Result<RedisConfig> {
    let (login, path) = match rest.split_once('@') {
        Some((login, path)) if !login.contains('/') => (login, path),
        _ => ("", rest),
    };
    if !path.starts_with('/') {
        return Err(wrong("has no absolute path: `unix:///path`, with three slashes"));
    }
    let config = RedisConfig::new(Topology::Standalone, [decoded(path)?])?;
    set_all(with_login(config, login)?, query)
}

/// Parses `user:password`, `:password`, or a `user` without a password.
fn with_login(config: RedisConfig, login: &str) -> Result<RedisConfig> {
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    Ok(config.user(decoded(user)?).password(decoded(password)?))
}

pub(super) fn decoded(text: &str) -> Result<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| wrong("has a %-sequence that is not UTF-8"))
}
