//! Every config string, and both forms of the manager's configuration.

use session_cookie::CookieBuilder;
use session_core::ManagerConfig;
use session_core::id::Token;
use session_core::transport::{Connection, TrustedProxies};
use session_couchbase::CouchbaseConfig;
use session_memcache::MemcacheConfig;
use session_mysql::MySqlConfig;
use session_postgres::PostgresConfig;
use session_redis::RedisConfig;
use session_sqlite::SqliteConfig;

/// A text is an error, or something to connect with.
pub fn configs(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = text.parse::<MySqlConfig>();
    let _ = text.parse::<PostgresConfig>();
    let _ = text.parse::<RedisConfig>();
    let _ = text.parse::<SqliteConfig>();
    let _ = text.parse::<MemcacheConfig>();
    let _ = text.parse::<CouchbaseConfig>();
    let _ = session_memory::Builder::parse(text);
    let _ = CookieBuilder::from_json(text);
    let _ = TrustedProxies::parse(text.split(','));
    if let Ok(config) = ManagerConfig::from_json(text) {
        can_be_used(&config);
    }
    if let Ok(Some((config, _))) = ManagerConfig::from_app_conf(text) {
        can_be_used(&config);
    }
}

/// What was accepted makes a cookie in one line of visible characters.
fn can_be_used(config: &ManagerConfig) {
    let transport = config.transport().expect("it was checked");
    config.id_generator().expect("it was checked");
    let context = transport.context(Connection::default());
    let token = Token::new("0123456789abcdef").expect("a token");
    let headers = transport.set(&token, Some(config.idle()), &context).expect("it is short");
    for (name, value) in headers.chain(transport.remove(&context)) {
        assert!(!name.is_empty());
        assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')));
    }
}
