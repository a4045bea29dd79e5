//! Connection strings in the formats of hosting providers: their meaning, and the errors for
//! unsupported ones.
#![allow(clippy::unwrap_used)] // the helpers are test code too

use std::time::Duration;

use session_core::ErrorKind;
use session_redis::{RedisConfig, Tls, Topology};

use Topology::{Cluster, Sentinel, Standalone};

fn at(address: &str) -> RedisConfig {
    RedisConfig::standalone(address).unwrap()
}

#[test]
fn connection_strings_mean_what_their_providers_mean() {
    let tls = Tls::new;
    let default = |address: &str, password: &str| at(address).user("default").password(password);
    let any = tls().danger_accept_any_certificate();
    #[rustfmt::skip]
    let rows: Vec<(&str, Topology, &str, RedisConfig)> = vec![
        ("Upstash", Standalone, "rediss://default:AX_sASQgODM5==@eu1-cat-38.upstash.io:6379",
            default("eu1-cat-38.upstash.io:6379", "AX_sASQgODM5==").tls(tls())),
        ("Fly", Standalone, "redis://default:3f9d5c@fly-shop-redis.upstash.io:6379",
            default("fly-shop-redis.upstash.io", "3f9d5c")),
        ("ElastiCache, primary endpoint", Standalone, "rediss://master.shop.abc123.euw1.cache.amazonaws.com:6379",
            at("master.shop.abc123.euw1.cache.amazonaws.com").tls(tls())),
        ("ElastiCache, cluster", Cluster, "rediss://clustercfg.shop.abc123.euw1.cache.amazonaws.com:6379",
            RedisConfig::cluster(["clustercfg.shop.abc123.euw1.cache.amazonaws.com"]).unwrap().tls(tls())),
        ("ElastiCache, serverless", Standalone,
            "valkeys+cluster://app:p@shop-abc.serverless.euw1.cache.amazonaws.com:6379",
            RedisConfig::cluster(["shop-abc.serverless.euw1.cache.amazonaws.com"]).unwrap()
                .user("app").password("p").tls(tls())),
        ("Aiven", Standalone, "rediss://default:AVNS_x-Y_z@redis-1a2b-shop.aivencloud.com:12991",
            default("redis-1a2b-shop.aivencloud.com:12991", "AVNS_x-Y_z").tls(tls())),
        ("Aiven, Valkey", Standalone, "valkeys://default:AVNS_x@valkey-1a2b-shop.aivencloud.com:12991",
            default("valkey-1a2b-shop.aivencloud.com:12991", "AVNS_x").tls(tls())),
        ("Redis Cloud", Standalone,
            "redis://default:Kz9@redis-14311.c59.eu-west-1-2.ec2.redns.redis-cloud.com:14311",
            default("redis-14311.c59.eu-west-1-2.ec2.redns.redis-cloud.com:14311", "Kz9")),
        ("Redis Cloud, endpoint alone", Standalone, "redis-14311.c59.eu-west-1-2.ec2.redns.redis-cloud.com:14311",
            at("redis-14311.c59.eu-west-1-2.ec2.redns.redis-cloud.com:14311")),
        ("Azure Managed Redis", Standalone,
            "shop.westeurope.redis.azure.net:10000,password=aB1+/c=,ssl=True,abortConnect=False",
            at("shop.westeurope.redis.azure.net:10000").password("aB1+/c=").tls(tls())),
        ("Azure Managed Redis, cluster", Cluster, "shop.westeurope.redis.azure.net:10000,password=k=,ssl=True",
            RedisConfig::cluster(["shop.westeurope.redis.azure.net:10000"]).unwrap().password("k=").tls(tls())),
        ("Azure Cache", Standalone,
            "shop.redis.cache.windows.net:6380,password=k=,ssl=True,abortConnect=False,connectTimeout=5000,\
             syncTimeout=3000,defaultDatabase=2",
            at("shop.redis.cache.windows.net:6380").password("k=").tls(tls()).db(2)
                .connect_timeout(Duration::from_secs(5)).response_timeout(Duration::from_secs(3))),
        ("Heroku", Standalone, "rediss://:p9f@ec2-34-1-2-3.eu-west-1.compute.amazonaws.com:17550#insecure",
            at("ec2-34-1-2-3.eu-west-1.compute.amazonaws.com:17550").password("p9f").tls(any.clone())),
        ("Heroku, as printed", Standalone, "rediss://:p9f@ec2-34-1-2-3.eu-west-1.compute.amazonaws.com:17550",
            at("ec2-34-1-2-3.eu-west-1.compute.amazonaws.com:17550").password("p9f").tls(tls())),
        ("Railway, private", Standalone, "redis://default:xYz@redis.railway.internal:6379",
            default("redis.railway.internal", "xYz")),
        ("Railway, public", Standalone, "redis://default:xYz@shuttle.proxy.rlwy.net:43561",
            default("shuttle.proxy.rlwy.net:43561", "xYz")),
        ("DigitalOcean", Standalone,
            "rediss://default:AVNS_q@db-redis-ams3-1-do-user-1-0.c.db.ondigitalocean.com:25061",
            default("db-redis-ams3-1-do-user-1-0.c.db.ondigitalocean.com:25061", "AVNS_q").tls(tls())),
        ("Render, internal", Standalone, "redis://red-ck1abc:6379", at("red-ck1abc")),
        ("Render, external", Standalone, "rediss://red-ck1abc:xQ@frankfurt-keyvalue.render.com:6379",
            at("frankfurt-keyvalue.render.com").user("red-ck1abc").password("xQ").tls(tls())),
        ("Scaleway, an address and a path", Standalone, "rediss://shop:p@51.15.0.1:6379/",
            at("51.15.0.1").user("shop").password("p").tls(tls())),
        ("a user without a password", Standalone, "redis://reader@10.0.0.1:6379/0", at("10.0.0.1").user("reader")),
        ("a user with an empty password", Standalone, "redis://reader:@10.0.0.1", at("10.0.0.1").user("reader")),
        ("an IPv6 address", Standalone, "redis://:p@[fd12:3456::1]:6380/1", at("[fd12:3456::1]:6380").password("p").db(1)),
        ("an IPv6 address without a port", Standalone, "valkey://[::1]", at("[::1]:6379")),
        ("a socket", Standalone, "unix:///run/redis/redis.sock", at("/run/redis/redis.sock")),
        ("a socket with a login", Standalone, "redis+unix://app:p@/run/redis.sock?db=3",
            at("/run/redis.sock").user("app").password("p").db(3)),
        ("a socket in Beego's string", Standalone, "/run/redis.sock,10,p", at("/run/redis.sock").password("p")),
        ("a password with what must be escaped", Standalone, "redis://:%40%3A%2F%23%3F%25%2C%20x@h", at("h").password("@:/#?%, x")),
        ("a password with an @ and a : as they are", Standalone, "redis://u:a@b:c@h", at("h").user("u").password("a@b:c")),
        ("a password with much in Beego's string", Standalone, "h:6379,10,@:/#?% x", at("h").password("@:/#?% x")),
        ("a comma, in JSON", Standalone, r#"{"save_path":"h:6379","password":"a,b@:/#?% c"}"#, at("h").password("a,b@:/#?% c")),
        ("pool size 0 and idle -1", Standalone, "h:6379,0,p,1,-1,-1", at("h").password("p").db(1)),
        ("pool size 0 and idle -1, in JSON", Standalone,
            r#"{"save_path":"h:6379","poolsize":0,"password":"p","idle_timeout":-1}"#, at("h").password("p")),
        ("sentinels", Sentinel, "valkey+sentinel://:p@a:26379,b/shop?sentinel_tls=off",
            RedisConfig::sentinel(["a", "b"], "shop").unwrap().password("p").sentinel_tls(None)),
        ("sentinels with certificates of their own", Sentinel, "rediss+sentinel://a/m?ca=/1&sentinel_ca=/2",
            RedisConfig::sentinel(["a"], "m").unwrap().tls(tls().ca("/1")).sentinel_tls(Some(tls().ca("/2")))),
        ("nodes under another name", Cluster, "rediss+cluster://a?tls_server_name=n&address_map=10.0.0.1:7000=b:1;10.0.0.2=c",
            RedisConfig::cluster(["a"]).unwrap().tls(tls().server_name("n"))
                .map_address("10.0.0.1:7000", "b:1").unwrap().map_address("10.0.0.2", "c").unwrap()),
        ("the protocol, as the driver's URLs have it", Standalone, "redis://h?protocol=resp2", at("h").resp2()),
    ];
    for (name, topology, text, expected) in rows {
        let parsed = RedisConfig::parse(topology, text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(parsed, expected, "{name}");
        if text.contains("ca=") || (!cfg!(feature = "tls") && text.contains("ss")) {
            continue;
        }
        parsed.provider().unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn errors_for_unsupported_options_say_what_to_do() {
    for (text, says) in [
        ("redis://:hunter2@h?family=0", "`family` of another client: leave it out"),
        ("rediss://:hunter2@h?ssl_cert_reqs=none", "#insecure"),
        ("redis://:hunter2@h?dial_timeout=3s", "`connect_timeout`"),
        ("redis://:hunter2@h?pool_size=10", "leave it out"),
        ("redis-sentinel://:hunter2@h:26379/0#mymaster", "%23"),
        ("redis-sentinel://:hunter2@h:26379/mymaster", "redis+sentinel://"),
        ("redis-cluster://:hunter2@h:7000", "redis+cluster://"),
        ("https://eu1-hunter2.upstash.io", "scheme"),
        ("redis://:hunter2@h#insecure", "without TLS"),
        ("rediss://:hunter2@h#other", "%23"),
        ("h:6380,password=hunter2,ssl=maybe", "`True` nor `False`"),
        ("h:6380,password=hunter2,ssl=True,allowAdmin=true", "leave it out"),
        ("h:6380,password=hunter2,connectTimeout=0", "milliseconds"),
        ("h:6380,password=hun,ter2", "comma"),
        ("rediss://:hunter2@h?sentinel_tls=off", "no sentinels"),
        ("redis+sentinel://:hunter2@h/m?sentinel_tls=off&sentinel_ca=/x", "without TLS"),
        ("redis://:hunter2@h?address_map=a", "address_map"),
        ("redis://:hunter2@h?count=some", "`approximate`"),
        ("redis://:hunter2@h?protocol=resp4", "`resp2`"),
    ] {
        let parsed = RedisConfig::parse(Standalone, text).and_then(RedisConfig::provider);
        let error = parsed.expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        assert!(error.message().contains(says), "{text}: {error}");
        assert!(!format!("{error:?}").contains("hun"), "{text}: {error:?}");
    }
}

#[test]
fn extreme_times_are_taken_or_refused_and_never_panic() {
    for time in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_nanos(1)] {
        at("h").connect_timeout(time).response_timeout(time).provider().unwrap();
    }
    for text in [
        "redis://h?connect_timeout=4294967295h&response_timeout=4294967295h",
        "h:6379,0,p,0,4294967295h,4294967295h,2147483647",
        "h:6379,password=p,connectTimeout=4294967295",
    ] {
        RedisConfig::parse(Standalone, text).and_then(RedisConfig::provider).unwrap();
    }
    for text in [
        "redis://h?connect_timeout=0",
        "redis://h?connect_timeout=0ms",
        "redis://h?response_timeout=99999999999999999999s",
        "redis://h?connect_timeout=-1",
        "h:6379,99999999999999999999,p",
        "h:6379,0,p,0,99999999999999999999",
    ] {
        let parsed = RedisConfig::parse(Standalone, text).and_then(RedisConfig::provider);
        assert_eq!(parsed.expect_err(text).kind(), ErrorKind::Config, "{text}");
    }
}
