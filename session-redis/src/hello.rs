//! The mode, role and version that a server reports when it is connected.

use redis::Value;
use session_core::ErrorKind;

use crate::error::Fault;

/// The mode and role of a server. Empty if the user may not ask.
#[derive(Debug, Default)]
pub(crate) struct Hello {
    /// `standalone`, `cluster` or `sentinel`.
    pub mode: String,
    /// `master` or another role.
    pub role: String,
    /// The name in the answer to `HELLO`; empty after `INFO`.
    server: String,
    version: String,
}

impl Hello {
    /// Parses the answer to `HELLO`, or to `INFO` if `HELLO` is refused.
    pub fn read(answer: Value) -> Result<Self, Fault> {
        let mut hello = Self::default();
        match answer {
            Value::Map(entries) => {
                for (key, value) in entries {
                    let (Some(key), Some(value)) = (text(key), text(value)) else { continue };
                    hello.note(&key, value)?;
                }
            }
            Value::BulkString(_) | Value::SimpleString(_) | Value::VerbatimString { .. } => {
                let lines = text(answer).unwrap_or_default();
                for (key, value) in lines.lines().filter_map(|line| line.trim().split_once(':')) {
                    hello.note(key, value.to_owned())?;
                }
            }
            // The user may not ask; any problem will show later.
            _ => {}
        }
        Ok(hello)
    }

    fn note(&mut self, key: &str, value: String) -> Result<(), Fault> {
        match key {
            "mode" | "redis_mode" => self.mode = value,
            "role" => self.role = value,
            "server" => self.server = value,
            "version" | "redis_version" if numbers(&value).is_some_and(|version| version < (6, 2)) => {
                return Err(Fault::new(
                    ErrorKind::Config,
                    format!("the server has version {value}: 6.2 or later is needed"),
                ));
            }
            "version" | "redis_version" => self.version = value,
            _ => {}
        }
        Ok(())
    }

    /// Returns whether `SET` compares digests (`IFDEQ`): since Redis 8.4. Valkey has versions of
    /// its own; its `INFO` reports Redis 7.2.
    pub fn compares_digests(&self) -> bool {
        matches!(self.server.as_str(), "redis" | "")
            && numbers(&self.version).is_some_and(|version| version >= (8, 4))
    }

    /// Fails if the server has another mode than `expected`.
    pub fn expect_mode(&self, expected: &str) -> Result<(), Fault> {
        let use_instead = match self.mode.as_str() {
            mode if mode.is_empty() || mode == expected => return Ok(()),
            "cluster" => "it is a node of a cluster: use `redis_cluster` or redis+cluster://",
            "sentinel" => "it is a sentinel: use `redis_sentinel` or redis+sentinel://",
            "standalone" => "it is a standalone server: use `redis` or redis://",
            _ => return Ok(()),
        };
        Err(Fault::new(ErrorKind::Config, use_instead))
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

/// Returns the first two numbers of a version.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map_while(|number| number.parse().ok());
    Some((numbers.next()?, numbers.next().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(fields: &[(&str, &str)]) -> Result<Hello, Fault> {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        Hello::read(Value::Map(fields.iter().map(|(key, value)| (text(key), text(value))).collect()))
    }

    #[test]
    fn a_server_before_6_2_is_too_old_and_valkey_is_not() {
        for version in ["6.0.16", "5.0.7", "2.8"] {
            let fault = hello(&[("server", "redis"), ("version", version)]).unwrap_err();
            assert!(fault.kind == ErrorKind::Config && fault.to_string().contains(version), "{fault}");
        }
        for (server, version) in
            [("redis", "6.2.14"), ("redis", "7.0.15"), ("redis", "8.2.0"), ("valkey", "8.0.1"), ("other", "")]
        {
            assert!(hello(&[("server", server), ("version", version)]).is_ok(), "{server} {version}");
        }
    }

    #[test]
    fn only_redis_since_8_4_compares_digests() {
        for (server, version, compares) in [
            ("redis", "8.4.0", true),
            ("redis", "8.6.2", true),
            ("redis", "10.0.0", true),
            ("redis", "8.2.3", false),
            ("redis", "7.0.15", false),
            ("valkey", "9.1.2", false),
            ("redis", "", false),
        ] {
            let hello = hello(&[("server", server), ("version", version)]).unwrap();
            assert_eq!(hello.compares_digests(), compares, "{server} {version}");
        }
        for (info, compares) in [
            ("redis_version:8.6.2\r\n", true),
            ("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\n", false),
        ] {
            let hello = Hello::read(Value::BulkString(info.into())).unwrap();
            assert_eq!(hello.compares_digests(), compares, "{info}");
        }
    }

    #[test]
    fn info_is_equivalent_to_hello() {
        let info =
            "# Server\r\nredis_version:6.2.14\r\nredis_mode:cluster\r\n\r\n# Replication\r\nrole:slave\r\n";
        let hello = Hello::read(Value::BulkString(info.into())).unwrap();
        assert_eq!((hello.mode.as_str(), hello.role.as_str()), ("cluster", "slave"));
        assert!(Hello::read(Value::BulkString("redis_version:5.0.7\r\n".into())).is_err());
    }

    #[test]
    fn the_error_for_a_server_of_another_mode_names_the_right_engine() {
        for (mode, expected, says) in [
            ("cluster", "standalone", "redis_cluster"),
            ("sentinel", "standalone", "redis_sentinel"),
            ("standalone", "cluster", "`redis`"),
        ] {
            let fault = hello(&[("mode", mode)]).unwrap().expect_mode(expected).unwrap_err();
            assert!(fault.kind == ErrorKind::Config && fault.to_string().contains(says), "{fault}");
        }
        for mode in ["cluster", ""] {
            assert!(hello(&[("mode", mode)]).unwrap().expect_mode("cluster").is_ok());
        }
    }
}
