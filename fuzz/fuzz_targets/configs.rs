//! Every config string, and both forms of the manager's configuration: an error, or something to connect with.
#![no_main]

use libfuzzer_sys::fuzz_target;
use session_cookie::CookieBuilder;
use session_core::ManagerConfig;
use session_couchbase::CouchbaseConfig;
use session_memcache::MemcacheConfig;
use session_mysql::MySqlConfig;
use session_postgres::PostgresConfig;
use session_redis::RedisConfig;

fuzz_target!(|text: &str| {
    let _ = text.parse::<MySqlConfig>();
    let _ = text.parse::<PostgresConfig>();
    let _ = text.parse::<RedisConfig>();
    let _ = text.parse::<MemcacheConfig>();
    let _ = text.parse::<CouchbaseConfig>();
    let _ = session_memory::Builder::parse(text);
    let _ = CookieBuilder::from_json(text);
    let _ = ManagerConfig::from_json(text);
    let _ = ManagerConfig::from_app_conf(text);
});
