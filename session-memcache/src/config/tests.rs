//! Config strings: the accepted ones, and the errors for the others.

use session_core::ErrorKind;

use super::*;

fn parse(text: &str) -> Result<MemcacheConfig> {
    text.parse()
}

#[test]
fn beegos_strings_and_urls_name_the_same_servers() {
    for (text, servers) in [
        ("127.0.0.1:7080", &["127.0.0.1:7080"][..]),
        (" Cache-1 ; [::1]:7 ", &["cache-1:11211", "[::1]:7"]),
        ("[::1]", &["[::1]:11211"]),
        ("[2001:db8::a]:1;b", &["[2001:db8::a]:1", "b:11211"]),
        ("memcache://a,b:2/", &["a:11211", "b:2"]),
        ("memcache://[::1],[::2]:7", &["[::1]:11211", "[::2]:7"]),
        ("/run/memcached.sock", &["unix:/run/memcached.sock"]),
        ("unix:/run/a.sock;unix:/run/b c.sock;c", &["unix:/run/a.sock", "unix:/run/b c.sock", "c:11211"]),
        ("memcache:///run/memcached.sock?timeout=1s", &["unix:/run/memcached.sock"]),
        ("memcache:///run/a%20b.sock", &["unix:/run/a b.sock"]),
        ("memcache://%2Frun%2Fa.sock,unix:%2Frun%2Fb.sock/", &["unix:/run/a.sock", "unix:/run/b.sock"]),
        ("user:secret@a:1;b", &["a:1", "b:11211"]),
        ("user:secret@/run/memcached.sock", &["unix:/run/memcached.sock"]),
        ("memcache://user:secret@a,b:2/?prefix=s", &["a:11211", "b:2"]),
        ("memcache://user:secret@/run/memcached.sock", &["unix:/run/memcached.sock"]),
    ] {
        assert_eq!(parse(text).unwrap().servers, servers, "{text}");
    }
}

#[test]
fn a_url_has_options() {
    let config = parse("memcache://a?prefix=shop/%40&timeout=250ms&connections=8&item_max=2097152").unwrap();
    assert_eq!(config.prefix, "shop/@");
    assert_eq!(config.timeout, Duration::from_millis(250));
    assert_eq!((config.connections, config.item_max), (8, 2_097_152));
    assert_eq!(parse("memcache://a?timeout=2s").unwrap().timeout, Duration::from_secs(2));
    let forever = parse("memcache://a?timeout=18446744073709551615s").unwrap().timeout;
    assert_eq!(forever, Duration::from_secs(u64::MAX));
}

#[test]
fn a_password_may_have_any_characters_plain_or_percent_encoded() {
    for (text, password) in [
        ("app:secret@a", "secret"),
        ("app:p@ss,w/rd?#@a;b", "p@ss,w/rd?#"),
        ("app:100%25@a", "100%"),
        ("memcache://app:p@ss,word@a,b/", "p@ss,word"),
        ("memcache://app:p%40s%2Fs%3F%23%25%2C@a?prefix=x", "p@s/s?#%,"),
        ("memcache://app:%C3%A9t%C3%A9@a", "été"),
    ] {
        let login = parse(text).unwrap().login.unwrap();
        assert_eq!((login.user.as_str(), login.password.expose()), ("app", password), "{text}");
        assert!(!format!("{:?}", parse(text).unwrap()).contains(password), "{text}");
    }
    assert_eq!(parse("a").unwrap().login, None);
}

#[test]
fn errors_say_what_is_wrong_and_show_no_password() {
    for (text, why) in [
        ("", "server 1 has no host"),
        (";", "server 1 has no host"),
        ("127.0.0.1:11211;", "server 2 has no host"),
        (":11211", "no host"),
        ("127.0.0.1:", "port"),
        ("127.0.0.1:0", "port"),
        ("127.0.0.1:-1", "port"),
        ("127.0.0.1:65536", "port"),
        ("127.0.0.1:eleven", "port"),
        ("127.0.0.1:11211,127.0.0.1:11212", "not a host name"),
        ("127.0.0.1:6379,100,hunter2", "port"),
        ("a;b;a:11211", "twice"),
        ("/run/a.sock;unix:/run/a.sock", "twice"),
        ("::1", "not a host name"),
        ("[::g]:11211", "not a host name"),
        ("cache one:11211", "not a host name"),
        ("./memcached.sock", "not a host name"),
        ("unix:memcached.sock", "absolute path"),
        ("unix:/run/", "absolute path"),
        ("cache\r\nflush_all:11211", "not a host name"),
        ("user@127.0.0.1:11211", "a user and a password"),
        (":hunter2@127.0.0.1:11211", "a user and a password"),
        ("user:hunter2 hunter2@127.0.0.1:11211", "spaces or colons"),
        ("user:hunter2%3Ahunter2@127.0.0.1:11211", "spaces or colons"),
        ("user:hunter2%0D%0Aflush_all@127.0.0.1", "spaces or colons"),
        ("user:hunter2%@127.0.0.1", "%25"),
        ("user:hunter2%zz@127.0.0.1", "%25"),
        ("user:hunter2%+1@127.0.0.1", "%25"),
        ("user:hunter2%ff@127.0.0.1", "%25"),
        ("memcache://user@127.0.0.1:11211", "a user and a password"),
        ("memcache://user:hunter2/hunter2@127.0.0.1", "%2F, %3F and %23"),
        ("memcache://user:hunter2?hunter2@127.0.0.1", "%2F, %3F and %23"),
        ("memcache://user:hunter2#hunter2@127.0.0.1", "%2F, %3F and %23"),
        ("memcache://a?prefix=a@b", "%40"),
        ("memcache://", "no host"),
        ("memcache://user:hunter2@", "no host"),
        ("memcache://a/0", "path"),
        ("memcache://a#0", "path"),
        ("memcached://a", "scheme"),
        ("memcaches://user:hunter2@a", "TLS"),
        ("redis://:hunter2@a", "scheme"),
        ("memcache://a?pool=3", "unknown option"),
        ("memcache://a?idle=-1", "unknown option"),
        ("memcache://a?prefix=a%20b", "prefix"),
        ("memcache://a?timeout=5", "timeout"),
        ("memcache://a?timeout=0s", "timeout"),
        ("memcache://a?timeout=-1s", "timeout"),
        ("memcache://a?timeout=99999999999999999999s", "timeout"),
        ("memcache://a?timeout", "timeout"),
        ("memcache://a?connections=0", "connections"),
        ("memcache://a?connections=-1", "connections"),
        ("memcache://a?connections=many", "connections"),
        ("memcache://a?item_max=1m", "item_max"),
        ("memcache://a?item_max=2147483648", "item_max"),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Config, "{text:?}");
        assert!(error.message().contains(why), "{text:?}: {error}");
        assert!(error.message().contains("expected `host:port;host:port`"), "{text:?}: {error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{text:?}: {error}");
    }
}
