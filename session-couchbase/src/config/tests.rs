//! Config strings: the accepted ones, and the errors for the others.

use session_core::ErrorKind;

use super::*;

fn parse(text: &str) -> Result<CouchbaseConfig> {
    text.parse()
}

#[test]
fn beegos_strings_and_urls_are_equivalent() {
    let expected = CouchbaseConfig::new("couchbase://db1", "sessions", "p@ss,w%rd", "sessions").unwrap();
    assert_eq!(parse("http://sessions:p@ss,w%25rd@DB1:8091").unwrap(), expected);
    assert_eq!(parse(" http://sessions:p@ss,w%25rd@db1:8091/, default, sessions ").unwrap(), expected);
    assert_eq!(parse("couchbase://sessions:p%40ss%2Cw%25rd@db1/sessions").unwrap(), expected);
    let other = parse("http://app:secret@db1/,,sessions").unwrap();
    assert_eq!((other.user.as_str(), other.bucket.as_str()), ("app", "sessions"));
    assert_eq!(other.connection_string(), "couchbase://db1");
}

#[test]
fn a_url_has_all_options_and_the_sdks_string_has_no_password() {
    let config = parse(
        "couchbases://app:secret@db1,[::1]:11207/shop?scope=web&collection=sessions&durability=majority\
         &prefix=s/&timeout=250ms&connections=4&network=external",
    );
    let config = config.unwrap();
    assert_eq!(config.connection_string(), "couchbases://db1,[::1]:11207?network=external");
    assert_eq!((config.bucket.as_str(), config.scope.as_str()), ("shop", "web"));
    assert_eq!((config.collection.as_str(), config.prefix.as_str()), ("sessions", "s/"));
    assert_eq!((config.durability, config.connections), (Durability::Majority, 4));
    assert_eq!(config.timeout, Duration::from_millis(250));
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn a_password_may_have_any_characters_plain_or_percent_encoded() {
    for (text, password) in [
        ("http://app:p@s:s/w,r d#?@db1:8091,,shop", "p@s:s/w,r d#?"),
        ("couchbase://app:p@s:s/w,r d#@db1/shop", "p@s:s/w,r d#"),
        ("couchbase://app:p%40s%3As%2Fw%2Cr%20d%23%3F%25@db1/shop?prefix=x", "p@s:s/w,r d#?%"),
        ("couchbase://app:%C3%A9t%C3%A9@db1/shop", "été"),
    ] {
        let config = parse(text).unwrap();
        assert_eq!((config.user.as_str(), config.password.expose()), ("app", password), "{text}");
        assert_eq!((config.hosts.len(), config.bucket.as_str()), (1, "shop"), "{text}");
        assert!(!format!("{config:?}").contains(password), "{text}");
    }
}

#[test]
fn ipv6_addresses_are_accepted_in_both_forms() {
    for text in [
        "http://app:secret@[::1]:8091,,shop",
        "http://app:secret@[::1],,shop",
        "couchbase://app:secret@[::1]/shop",
    ] {
        assert_eq!(parse(text).unwrap().connection_string(), "couchbase://[::1]", "{text}");
    }
}

#[test]
fn timeouts_of_any_length_are_accepted() {
    let url =
        "couchbase://app:secret@db1/shop?timeout=18446744073709551615s&connect_timeout=18446744073709551615s";
    let config = parse(url).unwrap();
    assert_eq!([config.timeout, config.connect_timeout], [Duration::from_secs(u64::MAX); 2]);
}

#[test]
fn errors_say_what_is_wrong_and_show_no_password() {
    for (text, why) in [
        ("", "no scheme"),
        ("db1:8091", "no scheme"),
        ("db1,11210,hunter2", "no scheme"),
        ("https://b:hunter2@db1:18091", "its scheme"),
        ("couchbase2://b:hunter2@db1/b", "its scheme"),
        ("redis://:hunter2@db1", "its scheme"),
        ("http://db1:8091", "user or the password"),
        ("http://b@db1:8091", "user or the password"),
        ("http://:hunter2@db1:8091", "user or the password"),
        ("http://b:hunter2@db1:9000", "not 8091"),
        ("http://b:hunter2@", "host 1 is empty"),
        ("http://b:hunter2@db1:8091,default", "three parts"),
        ("http://b:hunter2@db1:8091,default,b,c", "three parts"),
        ("http://b:hunter2@db1:8091,mine,b", "pool"),
        ("http://b:hunter2@db1:8091,default,", "bucket"),
        ("http://b:hunter2%@db1:8091", "%25"),
        ("http://b:hunter2%zz@db1:8091", "%25"),
        ("http://b:hunter2%ff@db1:8091", "%25"),
        ("couchbase://db1/b", "user or the password"),
        ("couchbase://b:hunter2@db1", "bucket"),
        ("couchbase://b:hunter2@db1/", "bucket"),
        ("couchbase://b:hunter2@db1/a/b", "bucket"),
        ("couchbase://b:hunter2@/b", "host 1 is empty"),
        ("couchbase://b:hunter2@db1,/b", "host 2 is empty"),
        ("couchbase://b:hunter2@db 1/b", "not a host name"),
        ("couchbase://b:hunter2@::1/b", "not a host name"),
        ("couchbase://b:hunter2@db1:8091/b", "web console"),
        ("couchbase://b:hunter2@db1:0/b", "port"),
        ("couchbase://b:hunter2@db1:kv/b", "port"),
        ("couchbase://b:hunter2@db1/b?durability=two", "durability"),
        ("couchbase://b:hunter2@db1/b?scope=", "scope"),
        ("couchbase://b:hunter2@db1/b?collection=a b", "collection"),
        ("couchbase://b:hunter2@db1/b?timeout=5", "timeout"),
        ("couchbase://b:hunter2@db1/b?connect_timeout=0s", "connect_timeout"),
        ("couchbase://b:hunter2@db1/b?connections=0", "connections"),
        ("couchbase://b:hunter2@db1/b?prefix=a b", "prefix"),
        ("couchbase://b:hunter2@db1/b?kv_timeout=5s", "the options are `scope`"),
        ("couchbase://b:hunter2@db1/b?tls_ca=/etc/ca.pem", "tls_ca"),
        ("couchbases://b:hunter2@db1/b?tls_ca=", "tls_ca"),
        ("couchbase://b:hunter2?hunter2@db1/b", "%3F"),
        ("couchbase://b:hunter2@db1/b?prefix=a@b", "%40"),
        ("couchbase://b@db1/b", "user or the password"),
        ("couchbase://b:hunter2@/run/couchbase.sock/b", "host 1 is empty"),
        ("couchbase://b:hunter2@[::g]/b", "not a host name"),
        ("http://b:hunter2@[::1]:9000", "not 8091"),
        ("couchbase://b:hunter2@db1/b?connections=-1", "connections"),
        ("couchbase://b:hunter2@db1/b?idle=-1", "the options are `scope`"),
        ("couchbase://b:hunter2@db1/b?timeout=-1s", "timeout"),
        ("couchbase://b:hunter2@db1/b?timeout=99999999999999999999s", "timeout"),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Config, "{text:?}");
        assert!(error.message().contains(why), "{text:?}: {error}");
        assert!(error.message().contains("expected `http://bucket:password@host:8091`"), "{text:?}: {error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{text:?}: {error}");
    }
}
