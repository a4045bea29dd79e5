//! An engine is known by name as soon as its feature is on, and only then.

/// The engines enabled by the features of this build.
fn enabled() -> Vec<&'static str> {
    let mut names = Vec::new();
    for (name, on) in [
        ("cookie", cfg!(feature = "cookie")),
        ("couchbase", cfg!(feature = "couchbase")),
        ("file", cfg!(feature = "file")),
        ("mariadb", cfg!(feature = "mysql")),
        ("memcache", cfg!(feature = "memcache")),
        ("memcached", cfg!(feature = "memcache")),
        ("memory", cfg!(feature = "memory")),
        ("mysql", cfg!(feature = "mysql")),
        ("postgres", cfg!(feature = "postgres")),
        ("postgresql", cfg!(feature = "postgres")),
        ("redis", cfg!(feature = "redis")),
        ("redis_cluster", cfg!(feature = "redis-cluster")),
        ("redis_sentinel", cfg!(feature = "redis-sentinel")),
        ("sqlite", cfg!(feature = "sqlite")),
        ("valkey", cfg!(feature = "redis")),
    ] {
        names.extend(on.then_some(name));
    }
    names
}

#[test]
fn every_enabled_engine_registers_itself_and_no_other() {
    assert_eq!(session_kit::engines(), enabled());
}

#[tokio::test]
async fn an_engine_that_is_not_enabled_is_an_error_that_names_the_feature() {
    let all = ["memory", "file", "cookie", "redis", "redis_cluster", "redis_sentinel", "mysql", "sqlite"];
    for name in all.into_iter().filter(|name| !enabled().contains(name)) {
        let error = session_kit::connect(name, session_kit::ConnectOptions::new("")).await.unwrap_err();
        assert!(error.message().contains(&format!("feature `{}`", name.replace('_', "-"))), "{error}");
    }
}

/// Without the feature, such an address would otherwise fail as a server that cannot be reached.
#[cfg(all(feature = "redis", not(feature = "redis-tls")))]
#[tokio::test]
async fn an_address_that_needs_a_missing_part_of_redis_is_an_error_that_names_the_feature() {
    let parts = [
        ("rediss://127.0.0.1:1", "redis-tls"),
        #[cfg(not(feature = "redis-cluster"))]
        ("redis+cluster://127.0.0.1:1", "redis-cluster"),
        #[cfg(not(feature = "redis-sentinel"))]
        ("redis+sentinel://127.0.0.1:1/mymaster", "redis-sentinel"),
    ];
    for (url, feature) in parts {
        let config: session_kit::redis::RedisConfig = url.parse().unwrap();
        let error = config.connect().await.unwrap_err();
        assert_eq!(error.kind(), session_kit::ErrorKind::Config, "{error}");
        assert!(error.message().contains(&format!("`{feature}` of session-kit")), "{error}");
    }
}
