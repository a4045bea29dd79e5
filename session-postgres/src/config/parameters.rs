//! The parameters of a URL or list: those of libpq, those of other clients that providers print,
//! and our own.

use session_core::{Error, Result};
use session_sql::{Place, Settings, file, is_host, number};
use sqlx::postgres::PgSslMode;

use super::PostgresConfig;

const NAMES: &str = "host, hostaddr, port, user, password, dbname, sslmode, sslrootcert, sslcert, sslkey, \
                     application_name, options, search_path, target_session_attrs, prepared_statements, \
                     pgbouncer, notices";

/// Parameters that only concern other clients, or that are the default here anyway.
const WITHOUT_EFFECT: [&str; 17] = [
    "fallback_application_name",
    "gssdelegation",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "reWriteBatchedInserts",
    "socketTimeout",
    "sslcompression",
    "sslsni",
    "supa",
    "tcpKeepAlive",
    "tcp_user_timeout",
    "uselibpqcompat",
    "workaround",
    "ApplicationName",
];

/// Unsupported parameters, and their replacements.
const UNSUPPORTED: [(&str, &str); 9] = [
    ("passfile", "give the password in the string, or by PostgresConfig::credentials"),
    ("service", "write host, port, user and dbname in the string"),
    ("sslcrl", "remove it"),
    ("sslcrldir", "remove it"),
    ("sslpassword", "store the key without a password"),
    ("sslcertmode", "leave sslcert and sslkey out, or set both"),
    ("ssl_min_protocol_version", "remove it: TLS 1.2 and 1.3 are used"),
    ("ssl_max_protocol_version", "remove it: TLS 1.2 and 1.3 are used"),
    ("require_auth", "remove it: the server chooses, SCRAM is supported"),
];

/// Collects parameters, some of which can only be interpreted together.
pub(super) struct Parameters {
    config: PostgresConfig,
    hosts: Vec<String>,
    ports: Vec<u16>,
    sslmode: Option<PgSslMode>,
    /// The server's certificate and name must be checked, whatever `sslmode` is.
    verify: bool,
}

impl Parameters {
    pub(super) const fn new(config: PostgresConfig) -> Self {
        Self { config, hosts: Vec::new(), ports: Vec::new(), sslmode: None, verify: false }
    }

    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let options = self.config.options.clone();
        let config = &mut self.config;
        match name {
            "host" | "hostaddr" => self.hosts = value.split(',').map(host).collect::<Result<_>>()?,
            "port" => self.ports = value.split(',').map(port).collect::<Result<_>>()?,
            "user" => config.options = options.username(not_empty("user", value)?),
            "password" if value.starts_with("[YOUR") => {
                return Err(Error::config("the password is still the provider's placeholder"));
            }
            "password" => config.options = options.password(value),
            "dbname" => config.options = options.database(not_empty("dbname", value)?),
            "sslmode" => self.sslmode = Some(sslmode(value)?),
            "ssl" => self.sslmode = Some(ssl(value)?),
            "requiressl" if value == "1" => self.sslmode = Some(PgSslMode::Require),
            "sslrootcert" if value == "system" => self.verify = true,
            "sslrootcert" => config.options = options.ssl_root_cert(file("sslrootcert", value)?),
            "sslcert" => config.options = options.ssl_client_cert(file("sslcert", value)?),
            "sslkey" => config.options = options.ssl_client_key(file("sslkey", value)?),
            // The driver cannot bind the login to the channel. Checking the certificate prevents
            // the same attack, a man in the middle.
            "channel_binding" => {
                self.verify |= one_of("channel_binding", value, &["require"], &["prefer", "disable"])?;
            }
            "sslnegotiation" => only("sslnegotiation", value, &["postgres"])?,
            "gssencmode" => only("gssencmode", value, &["disable", "prefer"])?,
            "client_encoding" => {
                only("client_encoding", &value.to_ascii_lowercase(), &["utf8", "utf-8", "auto"])?;
            }
            "load_balance_hosts" => only("load_balance_hosts", value, &["disable"])?,
            // A server that accepts no writes is never used.
            "target_session_attrs" | "targetServerType" => {
                only("target_session_attrs", value, &["any", "read-write", "primary", "master"])?;
            }
            "application_name" => config.options = options.application_name(value),
            "options" => self.server_options(value)?,
            "search_path" | "schema" | "currentSchema" => {
                config.server_options.push(("search_path".into(), value.to_owned()));
            }
            "pgbouncer"
            | "prepared_statements"
            | "prepareThreshold"
            | "statement_cache_capacity"
            | "statement_cache_size"
            | "statement-cache-capacity"
            | "statement_cache_mode"
            | "default_query_exec_mode" => config.unprepared |= unprepared(name, value),
            "notices" => config.notices = one_of("notices", value, &["true", "on"], &["false", "off"])?,
            _ if WITHOUT_EFFECT.contains(&name) => {}
            _ if config.settings.set(name, value)? => {}
            _ => return Err(unknown(name)),
        }
        Ok(())
    }

    /// Parses `-c name=value`, repeated, as in most of libpq's `options`; or Neon's
    /// `endpoint=name`.
    fn server_options(&mut self, text: &str) -> Result<()> {
        let bad = || Error::config("`options` must be `-c name=value`, repeated, or `endpoint=name`");
        let mut words = text.split_whitespace();
        while let Some(word) = words.next() {
            let pair = match word.strip_prefix("-c") {
                Some("") => words.next(),
                Some(pair) => Some(pair),
                None => word.strip_prefix("--").or_else(|| is_of_the_proxy(word).then_some(word)),
            };
            let (name, value) = pair.and_then(|pair| pair.split_once('=')).ok_or_else(bad)?;
            if is_of_the_proxy(word) {
                self.config.options = self.config.options.clone().options([(name, value)]);
            } else {
                self.config.server_options.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(())
    }

    /// Combines the hosts of the URL, or of the parameters, with their ports.
    pub(super) fn finish(mut self, places: Vec<Place>) -> Result<PostgresConfig> {
        let mut config = self.config;
        let mode = if self.verify { Some(PgSslMode::VerifyFull) } else { self.sslmode };
        if let Some(mode) = mode {
            config.options = config.options.ssl_mode(mode);
        }
        // Hosts in parameters replace those before the path.
        if self.hosts.is_empty() {
            if places.is_empty() {
                if let Some(port) = self.ports.first() {
                    config.options = config.options.port(*port);
                }
                return Ok(config);
            }
            config.addresses = places;
        } else {
            config.addresses = self.hosts.drain(..).map(place).collect();
        }
        let ports = self.ports.len();
        if ports > 1 && ports != config.addresses.len() {
            return Err(Error::config("`port` must be one number, or as many as there are hosts"));
        }
        for (index, place) in config.addresses.iter_mut().enumerate() {
            let port = self.ports.get(if ports == 1 { 0 } else { index });
            if let (Place::Host(_, own @ None), Some(port)) = (&mut *place, port) {
                *own = Some(*port);
            }
        }
        if let (Some(Place::Socket(_)), Some(port)) = (config.addresses.first(), self.ports.first()) {
            config.options = config.options.port(*port);
        }
        // The configuration prints the first address.
        config.options = match &config.addresses[0] {
            Place::Socket(path) => config.options.socket(path),
            Place::Host(host, port) => {
                let port = port.unwrap_or_else(|| config.options.get_port());
                config.options.host(host).port(port)
            }
        };
        if config.addresses.len() == 1 {
            config.addresses.clear();
        }
        Ok(config)
    }
}

fn place(text: String) -> Place {
    if text.starts_with('/') { Place::Socket(text) } else { Place::Host(text, None) }
}

fn host(text: &str) -> Result<String> {
    let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if text.starts_with('/') || is_host(text) {
        return Ok(text.to_owned());
    }
    Err(Error::config("the host must be a name, address or socket path, or several separated by `,`"))
}

fn port(text: &str) -> Result<u16> {
    let port = number::<u16>("port", text).ok().filter(|port| *port > 0);
    port.ok_or_else(|| Error::config("the port must be a number from 1 to 65535"))
}

fn sslmode(value: &str) -> Result<PgSslMode> {
    // This is node-postgres's name for libpq's `require`.
    let value = if value == "no-verify" { "require" } else { value };
    value.parse().map_err(|_| {
        Error::config("`sslmode` must be disable, allow, prefer, require, verify-ca or verify-full")
    })
}

/// Interprets `ssl` as JDBC and node-postgres do.
fn ssl(value: &str) -> Result<PgSslMode> {
    Ok(if one_of("ssl", value, &["true", "1"], &["false", "0"])? {
        PgSslMode::VerifyFull
    } else {
        PgSslMode::Disable
    })
}

/// Returns whether an option is for Neon's proxy, which selects the database by it and does not
/// pass it on.
fn is_of_the_proxy(word: &str) -> bool {
    ["endpoint=", "project=", "reference="].iter().any(|name| word.starts_with(name))
}

/// Returns whether a client's parameter means that statements must not be prepared.
fn unprepared(name: &str, value: &str) -> bool {
    match name {
        "pgbouncer" => value == "true",
        "prepared_statements" => value == "false",
        "statement_cache_mode" => value == "describe",
        "default_query_exec_mode" => !value.starts_with("cache_"),
        _ => value == "0",
    }
}

/// Returns whether the value is one of `yes`; fails if it is in neither list.
fn one_of(name: &str, value: &str, yes: &[&str], no: &[&str]) -> Result<bool> {
    if yes.contains(&value) || no.contains(&value) {
        return Ok(yes.contains(&value));
    }
    Err(Error::config(format!("`{name}` must be {}", [yes, no].concat().join(", "))))
}

fn only(name: &str, value: &str, words: &[&str]) -> Result<()> {
    if words.contains(&value) {
        return Ok(());
    }
    Err(Error::config(format!("`{name}` is supported only as {}: remove it", words.join(", "))))
}

fn not_empty<'a>(name: &'static str, value: &'a str) -> Result<&'a str> {
    if value.is_empty() { Err(Error::config(format!("`{name}` is empty"))) } else { Ok(value) }
}

/// Names the parameter only if it cannot be part of an unencoded password.
fn unknown(name: &str) -> Error {
    let which = match UNSUPPORTED.iter().find(|(known, _)| *known == name) {
        Some((name, instead)) => format!("`{name}` is not supported: {instead}"),
        None => "a parameter is unknown".into(),
    };
    Error::config(format!("{which}; known parameters are {NAMES}, {}", Settings::NAMES))
}
