//! Engines by name, as in `sessionprovider = redis` in a configuration file.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use crate::clock::{Clock, SystemClock};
use crate::{Error, Provider, Result};

/// The options for connecting an engine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// The engine's own config string (`providerConfig`), Beego-compatible or a URL.
    pub config: crate::Secret,
    /// The clock for engines that have none of their own.
    pub clock: Arc<dyn Clock>,
}

impl ConnectOptions {
    /// Creates options with this config string and the system's clock.
    #[must_use]
    pub fn new(config: &str) -> Self {
        Self { config: crate::Secret::new(config), clock: Arc::new(SystemClock) }
    }

    /// Sets another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

/// The future of a connected engine.
pub type Connecting = Pin<Box<dyn Future<Output = Result<Arc<dyn Provider>>> + Send>>;

/// An engine that registers itself when its crate is linked; see
/// [`register_engine!`](crate::register_engine).
#[derive(Debug)]
pub struct Engine {
    /// The names of the engine.
    pub names: &'static [&'static str],
    /// The function that connects it.
    pub connect: fn(ConnectOptions) -> Connecting,
}

inventory::collect!(Engine);

/// Registers an engine by name wherever its crate is linked (`use session_redis as _;` is enough).
///
/// ```
/// # use std::sync::Arc;
/// # use session_core::{ConnectOptions, Provider, Result};
/// async fn connect(options: ConnectOptions) -> Result<Arc<dyn Provider>> {
///     # let _ = options;
///     # unimplemented!()
/// }
///
/// session_core::register_engine!(["mine", "my-engine"], connect);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! register_engine {
    ([$($name:literal),+ $(,)?], $connect:path) => {
        $crate::__private::inventory::submit! {
            $crate::engine::Engine { names: &[$($name),+], connect: |options| ::std::boxed::Box::pin($connect(options)) }
        }
    };
}

type Factory = Arc<dyn Fn(ConnectOptions) -> Connecting + Send + Sync>;

static REGISTERED: RwLock<BTreeMap<String, Factory>> = RwLock::new(BTreeMap::new());

/// Registers your own engine under a name, for the rest of the process's life.
///
/// [`Config`](crate::ErrorKind::Config) when the name is taken.
pub fn register<F, Fut>(name: &str, connect: F) -> Result<()>
where
    F: Fn(ConnectOptions) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Arc<dyn Provider>>> + Send + 'static,
{
    let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    if registered.contains_key(name) || linked(name).is_some() {
        return Err(Error::config(format!("an engine named `{name}` is already registered")));
    }
    registered.insert(name.to_owned(), Arc::new(move |options| Box::pin(connect(options))));
    Ok(())
}

/// Connects the engine that is registered under `name`. The cost depends on the engine.
///
/// [`Config`](crate::ErrorKind::Config) when there is none: the message says which feature or `use`
/// line is missing.
pub async fn connect(name: &str, options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
    if let Some(factory) = registered {
        return factory(options).await;
    }
    let Some((engine, name)) = linked(name) else { return Err(unknown(name)) };
    (engine.connect)(options).await.map_err(|error| error.during("connect").in_engine(name))
}

/// Returns the names of all available engines, sorted.
pub fn engines() -> Vec<String> {
    let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
    let linked = inventory::iter::<Engine>().flat_map(|engine| engine.names.iter().map(ToString::to_string));
    let mut names: Vec<_> = registered.keys().cloned().chain(linked).collect();
    names.sort();
    names
}

/// The engine with this name, and the name as it was registered.
fn linked(name: &str) -> Option<(&'static Engine, &'static str)> {
    inventory::iter::<Engine>()
        .find_map(|engine| Some((engine, *engine.names.iter().find(|known| **known == name)?)))
}

/// The engines of this project, with the features of session-kit that provide them: a crate, and a
/// feature of it after the hyphen. These crates depend on this one, so the list is kept by hand.
const KNOWN: [(&str, &str); 15] = [
    ("memory", "memory"),
    ("file", "file"),
    ("cookie", "cookie"),
    ("mysql", "mysql"),
    ("mariadb", "mysql"),
    ("postgresql", "postgres"),
    ("postgres", "postgres"),
    ("redis", "redis"),
    ("valkey", "redis"),
    ("redis_cluster", "redis-cluster"),
    ("redis_sentinel", "redis-sentinel"),
    ("sqlite", "sqlite"),
    ("memcache", "memcache"),
    ("memcached", "memcache"),
    ("couchbase", "couchbase"),
];

fn unknown(name: &str) -> Error {
    let linked = engines();
    let have = if linked.is_empty() { "none".to_owned() } else { linked.join(", ") };
    if let Some((_, feature)) = KNOWN.iter().find(|(known, _)| *known == name) {
        let (engine, part) = match feature.split_once('-') {
            Some((engine, part)) => (engine, format!(" with its feature `{part}`")),
            None => (*feature, String::new()),
        };
        return Error::config(format!(
            "the engine `{name}` is not linked: enable the feature `{feature}` of session-kit, or depend \
             on session-{engine}{part} and write `use session_{engine} as _;` (linked: {have})"
        ));
    }
    // The feature of a cluster has a hyphen, the name of its engine an underscore.
    let engine = KNOWN.iter().find(|(_, feature)| *feature == name).map(|(engine, _)| engine);
    let meant = engine.map_or_else(String::new, |engine| format!(": write `{engine}`"));
    Error::config(format!(
        "there is no engine named `{name}`{meant} (linked: {have}); register your own with \
         session_core::engine::register"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn nothing(_: ConnectOptions) -> Result<Arc<dyn Provider>> {
        Err(Error::config("reached"))
    }

    crate::register_engine!(["linked"], nothing);

    #[tokio::test]
    async fn engines_are_found_by_name_and_a_missing_one_says_which_line_to_add() {
        let message = |error: Error| error.message().to_owned();
        let of = async |name: &str| message(connect(name, ConnectOptions::new("")).await.unwrap_err());
        assert_eq!(of("linked").await, "reached");
        let cluster = of("redis_cluster").await;
        assert!(cluster.contains("the feature `redis-cluster` of session-kit"), "{cluster}");
        let line = "depend on session-redis with its feature `cluster` and write `use session_redis as _;`";
        assert!(cluster.contains(line), "{cluster}");
        assert!(of("redis").await.contains("feature `redis`"));
        assert!(of("nope").await.contains("no engine named `nope` (linked"));
        assert!(
            of("redis-cluster").await.contains("no engine named `redis-cluster`: write `redis_cluster` (")
        );

        register("own", nothing).unwrap();
        assert_eq!(of("own").await, "reached");
        assert!(message(register("own", nothing).unwrap_err()).contains("already"));
        assert!(message(register("linked", nothing).unwrap_err()).contains("already"));
    }

    #[tokio::test]
    async fn an_engine_that_does_not_connect_is_named() {
        let error = connect("linked", ConnectOptions::new("")).await.unwrap_err();
        assert_eq!((error.engine(), error.operation()), (Some("linked"), Some("connect")));
    }
}
