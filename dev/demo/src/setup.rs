//! From the command line to a manager.

use std::sync::Arc;
use std::time::Duration;

use session_kit::accounts::Excess;
use session_kit::transport::{CookieSettings, SecureMode, Transport};
use session_kit::{ConnectOptions, Error, Lifetime, Manager, ManagerConfig, Result, connect};

use crate::api::REMEMBER;
use crate::args::Args;
use crate::meter::Counted;

/// The manager that the command line describes. `loopback`: this process is reached from this machine only.
pub async fn manager(args: &Args, loopback: bool) -> Result<Manager> {
    let (config, configured_engine) = configuration(args)?;
    let engine = args.engine.clone().or(configured_engine).unwrap_or_else(|| "memory".into());
    let configured = config.as_ref().map(|config| config.provider_config.expose());
    let engine_config = args.engine_config.as_deref().or(configured).unwrap_or_default();

    let provider = connect(&engine, ConnectOptions::new(&with_table(&engine, engine_config))).await?;
    let mut builder = Manager::builder(Counted(Arc::clone(&provider)));
    builder = match &config {
        Some(config) => builder.configure(config)?,
        None => builder.transport(default_transport(&engine, engine_config, loopback)),
    };
    let configured_idle = config.as_ref().map(ManagerConfig::idle);
    let idle = args.lifetime.map(Duration::from_secs).or(configured_idle).unwrap_or(DEFAULT_IDLE);
    // Where only one of the two lifetimes is named, the other one gives way.
    let absolute = args.absolute_lifetime.map_or_else(|| DEFAULT_ABSOLUTE.max(idle), Duration::from_secs);
    builder = builder.idle_timeout(idle.min(absolute)).absolute_timeout(absolute);
    if !provider.capabilities().client_side {
        builder = builder.class(REMEMBER, Lifetime::idle(MONTH).absolute(MONTH).persistent(true));
    }
    if let Some(sessions) = args.max_sessions {
        builder = builder.max_sessions_per_owner(sessions, Excess::EndOldest);
    }
    builder.build()
}

/// The config string of a SQL engine that also makes the table: a demo should start with an empty database.
fn with_table(engine: &str, config: &str) -> String {
    let sql = matches!(engine, "mysql" | "postgres" | "postgresql");
    if !sql || config.contains("migrate=") {
        return config.to_owned();
    }
    let separator = match (config.contains('?'), config.contains('/')) {
        (true, _) => '&',
        (false, true) => '?',
        // `host=… user=…`
        (false, false) => ' ',
    };
    format!("{config}{separator}migrate=true")
}

const DEFAULT_IDLE: Duration = Duration::from_hours(1);
/// How long a session is remembered.
const MONTH: Duration = Duration::from_hours(30 * 24);

const DEFAULT_ABSOLUTE: Duration = Duration::from_hours(12);

/// What `--manager-config` or `--app-conf` say, and the engine that the latter names.
fn configuration(args: &Args) -> Result<(Option<ManagerConfig>, Option<String>)> {
    if let Some(json) = &args.manager_config {
        return Ok((Some(ManagerConfig::from_json(json)?), None));
    }
    let Some(path) = &args.app_conf else { return Ok((None, None)) };
    let unread = |error| Error::config(format!("cannot read {}", path.display())).with_source(error);
    let text = std::fs::read_to_string(path).map_err(|error: std::io::Error| unread(error))?;
    match ManagerConfig::from_app_conf(&text)? {
        Some((config, engine)) => Ok((Some(config), Some(engine))),
        None => Err(Error::config(format!(
            "{}: sessions are off; this app needs `sessionon = true`",
            path.display()
        ))),
    }
}

/// Browsers drop `Secure` cookies (and so `__Host-` ones) that come over plain http from `127.0.0.1`: on loopback,
/// and there only, the cookie goes without.
fn default_transport(engine: &str, engine_config: &str, loopback: bool) -> Transport {
    // The config string of the cookie engine may name the cookie, as in the older documents.
    let named = serde_json::from_str::<serde_json::Value>(engine_config).ok().filter(|_| engine == "cookie");
    let named = named.and_then(|config| Some(config.get("cookieName")?.as_str()?.to_owned()));
    Transport::cookie(match (named, loopback) {
        (Some(name), true) => CookieSettings::named(name).secure(SecureMode::Never),
        (Some(name), false) => CookieSettings::named(name),
        (None, true) => CookieSettings::named("session").secure(SecureMode::Never),
        (None, false) => CookieSettings::default(),
    })
}

/// Whether the cookie travels over TLS only, in words for a person.
pub fn about_secure(manager: &Manager) -> String {
    let Some(cookie) = manager.transport().cookie_settings() else {
        return "no cookie: the session's token travels in a header or in the URL".into();
    };
    let name = &cookie.name;
    match cookie.secure {
        SecureMode::Always => format!(
            "the cookie “{name}” is Secure: browsers send it over https only, so put a server that ends TLS in front"
        ),
        SecureMode::Never => format!(
            "the cookie “{name}” is not Secure, so that browsers take it over plain http: right on your own machine, \
             wrong on a network"
        ),
        _ => format!(
            "the cookie “{name}” is Secure when the request came over TLS, or a trusted proxy says so"
        ),
    }
}
