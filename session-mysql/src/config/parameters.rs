//! The parameters of a URL or of Go's format: MySQL's, those of other clients in providers'
//! strings, and this engine's.

use session_core::{Error, Result};
use session_sql::{Settings, duration, file, number};
use sqlx::mysql::MySqlSslMode;

use super::MySqlConfig;

const NAMES: &str =
    "tls, ssl-mode, ssl-ca, ssl-cert, ssl-key, sslaccept, charset, collation, timeout, socket";

/// Options that concern other clients only, or that match this engine's behaviour anyway.
const WITHOUT_EFFECT: [&str; 35] = [
    // Go
    "allowAllFiles",
    "allowCleartextPasswords",
    "allowFallbackToPlaintext",
    "allowNativePasswords",
    "allowOldPasswords",
    "checkConnLiveness",
    "clientFoundRows",
    "columnsWithAlias",
    "compress",
    "connectionAttributes",
    "interpolateParams",
    "loc",
    "maxAllowedPacket",
    "multiStatements",
    "parseTime",
    "readTimeout",
    "rejectReadOnly",
    "writeTimeout",
    // JDBC, Node, Rails, Prisma
    "allowPublicKeyRetrieval",
    "autoReconnect",
    "characterEncoding",
    "connectTimeout",
    "enabledTLSProtocols",
    "encoding",
    "reconnect",
    "rewriteBatchedStatements",
    "serverTimezone",
    "socketTimeout",
    "socket_timeout",
    "supportBigNumbers",
    "timezone",
    "useLegacyDatetimeCode",
    "useUnicode",
    "waitForConnections",
    "zeroDateTimeBehavior",
];

/// System variables in Go's format that the engine sets itself.
const OURS: [&str; 7] = [
    "sql_mode",
    "time_zone",
    "transaction_isolation",
    "transaction_read_only",
    "tx_isolation",
    "tx_read_only",
    "max_execution_time",
];

/// System variables with a whole number that are passed on.
const PASSED_ON: [&str; 5] =
    ["wait_timeout", "interactive_timeout", "net_read_timeout", "net_write_timeout", "lock_wait_timeout"];

/// Collects parameters, since some have a meaning only in combination.
pub(super) struct Parameters {
    config: MySqlConfig,
    mode: Option<MySqlSslMode>,
    /// JDBC has two parameters for TLS and a third for checking the certificate.
    verify: bool,
}

impl Parameters {
    pub(super) const fn new(config: MySqlConfig) -> Self {
        Self { config, mode: None, verify: false }
    }

    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let options = self.config.options.clone();
        let config = &mut self.config;
        match name {
            "tls" => self.mode = Some(tls(value)?),
            "ssl-mode" | "sslmode" | "ssl_mode" | "sslMode" => self.mode = Some(ssl_mode(value)?),
            "sslaccept" => self.mode = Some(sslaccept(value)?),
            "ssl" => self.mode = Some(ssl(value)?),
            "useSSL" | "requireSSL" if value == "true" => {
                self.mode.get_or_insert(MySqlSslMode::Required);
            }
            "useSSL" | "requireSSL" => {}
            "verifyServerCertificate" => self.verify = value == "true",
            "ssl-ca" | "sslca" | "ssl_ca" => config.options = options.ssl_ca(file("ssl-ca", value)?),
            // In Prisma's format this is the authority.
            "ssl-cert" | "ssl_cert" => config.options = options.ssl_client_cert(file("ssl-cert", value)?),
            "sslcert" => config.options = options.ssl_ca(file("sslcert", value)?),
            "ssl-key" | "ssl_key" | "sslkey" => {
                config.options = options.ssl_client_key(file("ssl-key", value)?);
            }
            // Go's driver accepts several and tries them in order.
            "charset" => {
                let first = value.split(',').next().unwrap_or_default();
                config.options = options.charset(word("charset", first)?);
            }
            "collation" => config.options = options.collation(word("collation", value)?),
            "socket" | "unix_socket" => config.options = options.socket(not_empty("socket", value)?),
            "timeout" => config.settings.connect_timeout = duration("timeout", value)?,
            "innodb_lock_wait_timeout" => {
                config.settings.lock_timeout = duration("innodb_lock_wait_timeout", value)?;
            }
            "max_statement_time" => {
                config.settings.statement_timeout = duration("max_statement_time", value)?;
            }
            "autocommit" if matches!(value, "1" | "true" | "ON") => {}
            "autocommit" => {
                return Err(Error::config("`autocommit` must be on, or no write is kept: remove it"));
            }
            "serverRSAPublicKeyPath" | "serverPubKey" => {
                return Err(Error::config(format!("`{name}` is not supported: use TLS, as in tls=true")));
            }
            "sslidentity" | "sslpassword" => {
                return Err(Error::config(format!(
                    "`{name}` is not supported: set ssl-cert and ssl-key to PEM files"
                )));
            }
            _ if WITHOUT_EFFECT.contains(&name) || OURS.contains(&name) => {}
            _ if config.settings.set(name, value)? => {}
            _ => {
                let Some(variable) = PASSED_ON.iter().find(|variable| **variable == name) else {
                    return Err(Error::config(format!(
                        "unknown parameter; the known ones are {NAMES}, {} and those of Go's driver",
                        Settings::NAMES
                    )));
                };
                config.variables.push((variable, number(variable, value)?));
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> MySqlConfig {
        let mut config = self.config;
        let mode = match self.mode {
            Some(MySqlSslMode::Required) if self.verify => Some(MySqlSslMode::VerifyIdentity),
            mode => mode,
        };
        if let Some(mode) = mode {
            config.options = config.options.ssl_mode(mode);
        }
        config
    }
}

/// `tls` as Go's driver spells it.
fn tls(value: &str) -> Result<MySqlSslMode> {
    match value {
        "true" | "1" => Ok(MySqlSslMode::VerifyIdentity),
        "false" | "0" => Ok(MySqlSslMode::Disabled),
        "skip-verify" => Ok(MySqlSslMode::Required),
        "preferred" => Ok(MySqlSslMode::Preferred),
        "tidb" | "custom" | "azure" | "rds" => Err(Error::config(
            "`tls` names a configuration that a program in Go has registered: use tls=true, and ssl-ca for an \
             authority of your own",
        )),
        _ => Err(Error::config("`tls` must be true, false, skip-verify or preferred")),
    }
}

/// With the names of MySQL, JDBC or libpq.
fn ssl_mode(value: &str) -> Result<MySqlSslMode> {
    let word = value.to_ascii_uppercase().replace('-', "_");
    match word.as_str() {
        "DISABLE" | "DISABLED" => Ok(MySqlSslMode::Disabled),
        "PREFER" | "PREFERRED" => Ok(MySqlSslMode::Preferred),
        "REQUIRE" | "REQUIRED" => Ok(MySqlSslMode::Required),
        "VERIFY_CA" => Ok(MySqlSslMode::VerifyCa),
        "VERIFY_IDENTITY" | "VERIFY_FULL" => Ok(MySqlSslMode::VerifyIdentity),
        _ => Err(Error::config(
            "`ssl-mode` must be DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY",
        )),
    }
}

/// As in Prisma.
fn sslaccept(value: &str) -> Result<MySqlSslMode> {
    match value {
        "strict" => Ok(MySqlSslMode::VerifyIdentity),
        "accept_invalid_certs" => Ok(MySqlSslMode::Required),
        _ => Err(Error::config("`sslaccept` must be strict or accept_invalid_certs")),
    }
}

/// As in Node's clients, which also accept JSON.
fn ssl(value: &str) -> Result<MySqlSslMode> {
    let value: String = value.chars().filter(|letter| !letter.is_whitespace()).collect();
    match value.as_str() {
        "true" | "1" | "{}" | r#"{"rejectUnauthorized":true}"# => Ok(MySqlSslMode::VerifyIdentity),
        r#"{"rejectUnauthorized":false}"# => Ok(MySqlSslMode::Required),
        "false" | "0" => Ok(MySqlSslMode::Disabled),
        _ => Err(Error::config(
            "`ssl` must be true, false or {\"rejectUnauthorized\":true}; else use ssl-mode",
        )),
    }
}

fn not_empty<'a>(name: &'static str, value: &'a str) -> Result<&'a str> {
    if value.is_empty() { Err(Error::config(format!("`{name}` is empty"))) } else { Ok(value) }
}

/// A name that becomes part of the first statement of a connection.
fn word<'a>(name: &'static str, value: &'a str) -> Result<&'a str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if value.is_empty() || !value.bytes().all(allowed) {
        return Err(Error::config(format!("`{name}` must be one word such as utf8mb4")));
    }
    Ok(value)
}
