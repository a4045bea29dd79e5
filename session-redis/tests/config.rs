//! Faults of a configuration are explained, and no message shows the password.
#![allow(clippy::unwrap_used)] // the helpers are test code too

use proptest::prelude::*;
use session_core::{Error, ErrorKind};
use session_redis::{RedisConfig, Tls, Topology};

use Topology::{Cluster, Sentinel, Standalone};

/// The error of parsing a configuration, or of building a provider from it.
fn error(topology: Topology, text: &str) -> Error {
    let result = RedisConfig::parse(topology, text).and_then(RedisConfig::provider);
    result.err().unwrap_or_else(|| panic!("accepted: {text}"))
}

#[test]
fn errors_explain_a_wrong_string_and_never_show_the_password() {
    for (topology, text, says) in [
        // Beego-compatible strings.
        (Standalone, "", "names no server"),
        (Standalone, ",100,hunter2", "names no server"),
        (Standalone, "127.0.0.1:port,100,hunter2", "from 1 to 65535"),
        (Standalone, "127.0.0.1:0,100,hunter2", "from 1 to 65535"),
        (Standalone, "127.0.0.1:65536,100,hunter2", "from 1 to 65535"),
        (Standalone, ":6379,100,hunter2", "no host"),
        (Standalone, "::1,100,hunter2", "IPv6"),
        (Standalone, "[::1,100,hunter2", "`]`"),
        (Standalone, "[::1]6379,100,hunter2", "`:` after its `]`"),
        (Standalone, "my host:6379,100,hunter2", "no host"),
        (Standalone, "app:hunter2@127.0.0.1:6379,100", "URL"),
        (Standalone, "127.0.0.1:6379,many,hunter2", "pool size (field 2)"),
        (Standalone, "127.0.0.1:6379,-1,hunter2", "pool size (field 2)"),
        (Standalone, "127.0.0.1:6379,100,hunter2,-1", "db (field 4)"),
        (Standalone, "127.0.0.1:6379,100,hun,ter2,0", "db (field 4)"),
        (Standalone, "127.0.0.1:6379,100,hunter2,0,soon", "idle timeout (field 5)"),
        (Standalone, "127.0.0.1:6379,100,hunter2,0,30,30,few", "retries (field 7)"),
        (Standalone, "127.0.0.1:6379,100,hunter2,0,30,30,3,more", "more than 7 fields"),
        (Standalone, "127.0.0.1:6379;127.0.0.2:6379,100,hunter2", "redis_cluster"),
        (Cluster, "127.0.0.1:7000;127.0.0.2:x,100,hunter2", "address 2"),
        (Cluster, "127.0.0.1:7000,100,hunter2,3", "database 0"),
        (Cluster, "/tmp/redis.sock,100,hunter2", "host:port"),
        (Sentinel, "127.0.0.1:26379,100,hunter2,0,my master", "master name (field 5)"),
        (Sentinel, ";,100,hunter2", "no address"),
        // JSON.
        (Standalone, r#"{"save_path":"127.0.0.1:6379","password":"hunter2""#, "not JSON"),
        (Standalone, r#"{"save_path":"127.0.0.1:6379","pasword":"hunter2"}"#, "unknown or ill-typed"),
        (Standalone, r#"{"save_path":"127.0.0.1:6379","password":["hunter2"]}"#, "unknown or ill-typed"),
        (Standalone, r#"{"db_num":"one","password":"hunter2"}"#, "`db_num`"),
        (Standalone, r#"{"idle_timeout":"30 parsecs","password":"hunter2"}"#, "`idle_timeout`"),
        (Standalone, r#"{"poolsize":-3,"password":"hunter2"}"#, "`poolsize`"),
        // URLs.
        (Standalone, "http://:hunter2@127.0.0.1", "scheme"),
        (Standalone, "redis://", "names no host"),
        (Standalone, "redis://:hunter2@", "names no host"),
        (Standalone, "redis://:hunter2@127.0.0.1:many", "from 1 to 65535"),
        (Standalone, "redis://:hunter2@127.0.0.1/first", "database"),
        (Standalone, "redis://:hunter2@127.0.0.1?pool=3", "unknown option"),
        (Standalone, "redis://:hunter2@127.0.0.1?prefix", "without a `=`"),
        (Standalone, "redis://:hunter2@127.0.0.1?connect_timeout=soon", "time"),
        (Standalone, "redis://:hunter2@127.0.0.1?response_timeout=0", "longer than zero"),
        (Standalone, "redis://:hunter2@127.0.0.1?ca=/ca.pem", "without TLS"),
        (Standalone, "redis://:hunter2@127.0.0.1?cert=/a.pem&key=/b.pem", "without TLS"),
        (Standalone, "rediss://:hunter2@127.0.0.1?cert=/a.pem", "without the other"),
        (Standalone, "redis://:hunter2%ff@127.0.0.1", "UTF-8"),
        (Standalone, "redis://:hunt#er2@127.0.0.1", "%23"),
        // A password with characters that must be escaped.
        (Standalone, "redis://:hunter2/x@127.0.0.1", "the URL is invalid"),
        (Standalone, "redis://:hunter2?x@127.0.0.1", "the URL is invalid"),
        (Standalone, "redis://:hunter2@127.0.0.1,127.0.0.2", "redis_cluster"),
        (Standalone, "unix://tmp/redis.sock?password=hunter2", "three slashes"),
        (Cluster, "redis+sentinel://:hunter2@127.0.0.1", "other way round"),
        (Sentinel, "redis+cluster://:hunter2@127.0.0.1", "other way round"),
        (Cluster, "redis+cluster://:hunter2@127.0.0.1/2", "database 0"),
        (Sentinel, "redis+sentinel://:hunter2@127.0.0.1/my%20master", "sentinel monitor"),
    ] {
        let error = error(topology, text);
        assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        assert!(error.message().contains(says), "{text}: {error}");
        let shown =
            format!("{error} {error:?} {:?}", std::error::Error::source(&error).map(ToString::to_string));
        assert!(!shown.contains("hun"), "{text}: {shown}");
    }
}

#[test]
fn every_form_means_the_same() {
    let built = RedisConfig::standalone("10.0.0.1:6380").unwrap().password("a b").db(3);
    for text in [
        "10.0.0.1:6380,100,a b,3,30,30,3",
        "10.0.0.1:6380,100,a b,3",
        r#"{"save_path":"10.0.0.1:6380","poolsize":100,"password":"a b","db_num":3,"idle_timeout":"30s"}"#,
        r#"{"save_path":"10.0.0.1:6380","password":"a b","db_num":"3"}"#,
        "redis://:a%20b@10.0.0.1:6380/3",
        "redis://:a%20b@10.0.0.1:6380/3/",
    ] {
        assert_eq!(RedisConfig::parse(Standalone, text).unwrap(), built, "{text}");
    }
    let built = RedisConfig::cluster(["a:7000", "b"]).unwrap().password("p");
    for text in ["a:7000;b:6379,100,p,0", "redis+cluster://:p@a:7000,b", "redis://:p@a:7000,b:6379"] {
        assert_eq!(RedisConfig::parse(Cluster, text).unwrap(), built, "{text}");
    }
    let built = RedisConfig::sentinel(["a:26379", "b"], "main").unwrap().user("u").password("p").db(1);
    for text in [
        r#"{"save_path":"a;b","username":"u","password":"p","db_num":1,"master_name":"main"}"#,
        "redis+sentinel://u:p@a,b:26379/main/1",
    ] {
        assert_eq!(RedisConfig::parse(Sentinel, text).unwrap(), built, "{text}");
    }
    let seed = RedisConfig::parse(Sentinel, "a:26379;b,100,p,1,main,30").unwrap();
    assert_eq!(seed, RedisConfig::sentinel(["a", "b"], "main").unwrap().password("p").db(1));
    assert_eq!(RedisConfig::parse(Sentinel, "a").unwrap(), RedisConfig::sentinel(["a"], "mymaster").unwrap());
    assert_eq!(RedisConfig::parse(Standalone, "{}").unwrap(), "127.0.0.1".parse().unwrap());
    assert_eq!(
        RedisConfig::parse(Standalone, "unix:///run/redis.sock?db=1&password=p").unwrap(),
        RedisConfig::parse(Standalone, "/run/redis.sock,,p,1").unwrap()
    );
    assert_eq!(
        RedisConfig::parse(Standalone, "rediss://[::1]?ca=/ca.pem&cert=/c.pem&key=/k.pem").unwrap(),
        RedisConfig::standalone("[::1]:6379")
            .unwrap()
            .tls(Tls::new().ca("/ca.pem").client("/c.pem", "/k.pem"))
    );
    for (word, on) in [("on", true), ("true", true), ("off", false), ("false", false)] {
        let built = RedisConfig::standalone("a").unwrap().notices(on);
        assert_eq!(RedisConfig::parse(Standalone, &format!("redis://a?notices={word}")).unwrap(), built);
    }
    // A specific scheme overrides the name `redis`, and a specific name overrides `redis://`.
    let cluster: RedisConfig = "redis+cluster://a".parse().unwrap();
    assert_eq!(cluster, RedisConfig::parse(Cluster, "redis://a").unwrap());
}

#[test]
fn a_configuration_does_not_show_its_passwords() {
    let text = "redis+sentinel://u:hunter2@a,b/main?sentinel_user=s&sentinel_password=hunter3";
    let config: RedisConfig = text.parse().unwrap();
    let provider = config.clone().provider();
    assert!(!format!("{config:?} {provider:?}").contains("hunter"), "{config:?}");
}

#[cfg(feature = "tls")]
#[test]
fn a_missing_file_is_named() {
    let error = error(Standalone, "rediss://:hunter2@127.0.0.1?ca=/nowhere/ca.pem");
    assert!(error.kind() == ErrorKind::Config && error.message().contains("/nowhere/ca.pem"), "{error}");
}

#[tokio::test]
async fn a_failed_connection_names_the_engine() {
    let config = RedisConfig::parse(Standalone, "unix:///nowhere/redis.sock").unwrap();
    let error = config.connect().await.unwrap_err();
    assert_eq!((error.engine(), error.operation()), (Some("redis"), Some("connect")), "{error}");
}

proptest! {
    #[test]
    fn hostile_configurations_never_panic(
        text in prop_oneof![
            any::<String>(),
            "(rediss?|redis\\+(cluster|sentinel)|unix)://[a-z0-9:@,/?=&%#\\[\\]é.]{0,40}",
            "[a-z0-9:;,/@\\[\\] .-]{0,40}",
            "\\{(\"(save_path|db_num|poolsize|idle_timeout)\":[-a-z0-9\":;.\\[\\]]{0,20},?){0,3}\\}",
        ],
    ) {
        for topology in [Standalone, Cluster, Sentinel] {
            if let Err(error) = RedisConfig::parse(topology, &text).and_then(RedisConfig::provider) {
                prop_assert_eq!(error.kind(), ErrorKind::Config);
            }
        }
    }
}

#[test]
fn the_error_for_an_unknown_option_lists_the_known_ones() {
    let parse =
        |option: &str| RedisConfig::parse(Sentinel, &format!("rediss+sentinel://127.0.0.1/m?{option}"));
    let error = parse("pool=3").unwrap_err();
    let (_, listed) = error.message().split_once("the options are ").unwrap();
    let names: Vec<_> = listed.split_once(';').unwrap().0.split(", ").collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let unknown =
            parse(&format!("{name}=x")).is_err_and(|error| error.message().contains("unknown option"));
        assert!(!unknown, "{name}");
    }
}
