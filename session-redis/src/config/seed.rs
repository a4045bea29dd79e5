//! Beego-compatible strings: comma-separated fields, or JSON.

use serde::Deserialize;
use serde_json::Value;
use session_core::{Error, Result, Secret};

use super::{RedisConfig, Topology, duration};

/// Returns the names of the fields after the addresses, in order.
const fn fields(topology: Topology) -> &'static [&'static str] {
    match topology {
        Topology::Sentinel => {
            &["pool size", "password", "db", "master name", "idle timeout", "idle check", "retries"]
        }
        _ => &["pool size", "password", "db", "idle timeout", "idle check", "retries"],
    }
}

/// Builds an error with the fault and the expected form. It does not contain the text itself: any
/// part of it may be a password.
fn wrong(topology: Topology, what: &str) -> Error {
    let addresses = if topology == Topology::Standalone { "host:port" } else { "host:port;host:port" };
    Error::config(format!(
        "the config string {what}; expected `{addresses},{}` (everything after the addresses is \
         optional), JSON or a URL",
        fields(topology).join(",")
    ))
}

pub(super) fn list(topology: Topology, text: &str) -> Result<RedisConfig> {
    let wrong = |what: String| wrong(topology, &what);
    let mut parts = text.split(',').map(str::trim);
    let addresses = parts.next().unwrap_or_default();
    if addresses.contains('@') {
        return Err(wrong(
            "has a `@` in its address: a user and a password before the host need a URL".to_owned(),
        ));
    }
    if addresses.is_empty() {
        return Err(wrong("names no server".to_owned()));
    }
    let mut config = addresses_of(topology, addresses)?;
    let names = fields(topology);
    for (index, value) in parts.enumerate() {
        let Some(name) = names.get(index) else {
            return Err(wrong(format!(
                "has more than {} fields (a password with a comma needs JSON or a URL)",
                names.len() + 1
            )));
        };
        if value.is_empty() {
            continue;
        }
        config = set(config, name, value)
            .ok_or_else(|| wrong(format!("has a {name} (field {}) that is {}", index + 2, expected(name))))?;
    }
    Ok(config)
}

fn addresses_of(topology: Topology, text: &str) -> Result<RedisConfig> {
    RedisConfig::new(topology, text.split(';').filter(|address| !address.trim().is_empty()))
}

/// Sets one field; `None` if the value is invalid.
fn set(config: RedisConfig, name: &str, value: &str) -> Option<RedisConfig> {
    Some(match name {
        "password" => config.password(value.to_owned()),
        "db" => config.db(value.parse().ok()?),
        "master name" => config.master(value).ok()?,
        "pool size" => value.parse::<u32>().ok().map(|_| config)?,
        "retries" => value.parse::<i32>().ok().map(|_| config)?,
        // Means "for ever" in other clients.
        "idle timeout" | "idle check" if value == "-1" => config,
        _ => duration(value).map(|_| config)?,
    })
}

fn expected(name: &str) -> &'static str {
    match name {
        "db" | "pool size" => "not a number from 0",
        "retries" => "not a number",
        "master name" => "not a name",
        _ => "not a time: a number of seconds, or `500ms`, `30s`, `5m`",
    }
}

/// The JSON form; any field may be missing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    save_path: Option<String>,
    poolsize: Option<Value>,
    username: Option<String>,
    password: Option<Secret>,
    db_num: Option<Value>,
    idle_timeout: Option<Value>,
    idle_check_frequency: Option<Value>,
    max_retries: Option<Value>,
    master_name: Option<String>,
    sentinel_username: Option<String>,
    sentinel_password: Option<Secret>,
    prefix: Option<String>,
}

pub(super) fn json(topology: Topology, text: &str) -> Result<RedisConfig> {
    let wrong = |what: String| {
        Error::config(format!(
            "the JSON config {what}; expected {{\"save_path\":\"host:port\",\"poolsize\":100,\"password\":\"…\",\"db_num\":0,\
             \"idle_timeout\":\"30s\",\"idle_check_frequency\":\"30s\",\"max_retries\":3,\"master_name\":\"mymaster\"}}, where each \
             may be missing, also username, sentinel_username, sentinel_password and prefix"
        ))
    };
    // serde's own message may quote the invalid value.
    let json: Json = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let what = if error.is_data() { "has an unknown or ill-typed field" } else { "is not JSON" };
        wrong(format!("{what} (line {line}, column {column})"))
    })?;
    let default = if topology == Topology::Sentinel { "127.0.0.1:26379" } else { "127.0.0.1:6379" };
    let mut config = addresses_of(topology, json.save_path.as_deref().unwrap_or(default))?;
    let fields = [
        ("pool size", "poolsize", json.poolsize),
        ("db", "db_num", json.db_num),
        ("idle timeout", "idle_timeout", json.idle_timeout),
        ("idle check", "idle_check_frequency", json.idle_check_frequency),
        ("retries", "max_retries", json.max_retries),
        ("master name", "master_name", json.master_name.map(Value::String)),
    ];
    for (name, key, value) in fields {
        let text = match value {
            None => continue,
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
        };
        config = set(config, name, &text)
            .ok_or_else(|| wrong(format!("has a `{key}` that is {}", expected(name))))?;
    }
    config.login.user = json.username.unwrap_or_default();
    config.login.password = json.password.unwrap_or_default();
    config.sentinel_login.user = json.sentinel_username.unwrap_or_default();
    config.sentinel_login.password = json.sentinel_password.unwrap_or_default();
    Ok(match json.prefix {
        Some(prefix) => config.prefix(prefix),
        None => config,
    })
}
