//! `docker-compose.yml` matches the tests' default addresses.
#![allow(clippy::unwrap_used)] // helpers are test code too

use saphyr::{LoadableYamlNode, YamlOwned};
use session_servers::compose::{self, Service};
use std::collections::{BTreeMap, BTreeSet};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docker-compose.yml");

fn services() -> BTreeMap<String, YamlOwned> {
    let text = std::fs::read_to_string(FILE).unwrap();
    let file = YamlOwned::load_from_str(&text).unwrap().remove(0);
    let services = file.as_mapping_get("services").unwrap().as_mapping().unwrap();
    services.iter().map(|(name, service)| (name.as_str().unwrap().to_owned(), service.clone())).collect()
}

/// The strings of a list.
fn list<'a>(service: &'a YamlOwned, key: &str) -> Vec<&'a str> {
    let list = service.as_mapping_get(key).map(|list| list.as_sequence().unwrap());
    list.into_iter().flatten().map(|item| item.as_str().unwrap()).collect()
}

/// The ports on this machine that are mapped to a service: `127.0.0.1:8000-8001:80-81` is 8000 and
/// 8001.
fn ports(service: &YamlOwned) -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    for mapping in list(service, "ports") {
        let fields: Vec<&str> = mapping.split(':').collect();
        let [host, outside, _inside] = fields[..] else { panic!("not host:port:port: {mapping}") };
        assert_eq!(host, "127.0.0.1", "{mapping} can be reached from other machines");
        let (first, last) = outside.split_once('-').unwrap_or((outside, outside));
        ports.extend(first.parse::<u16>().unwrap()..=last.parse().unwrap());
    }
    ports
}

/// User (often empty), password and ports of an address: `scheme://user:password@127.0.0.1:1,…` or
/// `127.0.0.1:1;…`.
fn parts(address: &str) -> (&str, &str, BTreeSet<u16>) {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let (login, hosts) = rest.split_once('@').unwrap_or((":", rest));
    let (user, password) = login.split_once(':').unwrap();
    let hosts = hosts.split('/').next().unwrap().split([',', ';']);
    (user, password, hosts.map(|host| host.strip_prefix("127.0.0.1:").unwrap().parse().unwrap()).collect())
}

fn variable<'a>(service: &'a YamlOwned, name: &str) -> &'a str {
    service.as_mapping_get("environment").unwrap().as_mapping_get(name).unwrap().as_str().unwrap()
}

fn command(service: &YamlOwned) -> String {
    list(service, "command").join(" ")
}

/// The address leads to these services, and every port of it to one of them.
fn leads_to(service: Service, names: &[&str]) {
    let all = services();
    let open: BTreeSet<u16> = names.iter().flat_map(|name| ports(&all[*name])).collect();
    let used = parts(service.default).2;
    assert!(
        used.is_subset(&open) && !used.is_empty(),
        "{service:?} is not among the ports {open:?} of {names:?}"
    );
}

#[test]
fn every_address_leads_to_its_service() {
    leads_to(compose::POSTGRES, &["postgres"]);
    leads_to(compose::PGBOUNCER_SESSION, &["pgbouncer-session"]);
    leads_to(compose::PGBOUNCER_TRANSACTION, &["pgbouncer-transaction"]);
    leads_to(compose::MYSQL, &["mariadb"]);
    leads_to(compose::MYSQL_ADMIN, &["mariadb"]);
    leads_to(compose::MYSQL_ITSELF, &["mysql"]);
    leads_to(compose::REDIS, &["redis"]);
    leads_to(compose::REDIS_6_2, &["redis-6-2"]);
    leads_to(compose::REDIS_8_6, &["redis-8-6"]);
    leads_to(compose::VALKEY, &["valkey"]);
    leads_to(compose::REDIS_CLUSTER, &["redis-cluster"]);
    leads_to(compose::REDIS_SENTINEL, &["redis-sentinel"]);
    leads_to(compose::MEMCACHE, &["memcached-1"]);
    leads_to(compose::MEMCACHE_THREE, &["memcached-1", "memcached-2", "memcached-3"]);
    leads_to(compose::COUCHBASE, &["couchbase"]);
    assert!(ports(&services()["couchbase"]).contains(&11210), "where the node sends its clients to");
}

#[test]
fn users_and_passwords_are_those_of_the_file() {
    let all = services();
    let login = |service: Service| (parts(service.default).0, parts(service.default).1);

    let postgres = &all["postgres"];
    assert_eq!(
        login(compose::POSTGRES),
        (variable(postgres, "POSTGRES_USER"), variable(postgres, "POSTGRES_PASSWORD"))
    );
    assert!(compose::POSTGRES.default.ends_with(&format!("/{}", variable(postgres, "POSTGRES_DB"))));

    let mysql = &all["mysql"];
    assert_eq!(
        login(compose::MYSQL_ITSELF),
        (variable(mysql, "MYSQL_USER"), variable(mysql, "MYSQL_PASSWORD"))
    );
    for pooler in [compose::PGBOUNCER_SESSION, compose::PGBOUNCER_TRANSACTION] {
        let behind = format!("postgres://{}:{}@postgres:5432/session", login(pooler).0, login(pooler).1);
        assert_eq!(variable(&all["pgbouncer-session"], "DATABASE_URL"), behind);
    }

    let mariadb = &all["mariadb"];
    assert_eq!(
        login(compose::MYSQL),
        (variable(mariadb, "MARIADB_USER"), variable(mariadb, "MARIADB_PASSWORD"))
    );
    assert_eq!(login(compose::MYSQL_ADMIN), ("root", variable(mariadb, "MARIADB_ROOT_PASSWORD")));
    for address in [compose::MYSQL.default, compose::MYSQL_ADMIN.default] {
        assert!(address.ends_with(&format!("/{}", variable(mariadb, "MARIADB_DATABASE"))));
    }

    for (service, name) in [
        (compose::REDIS, "redis"),
        (compose::REDIS_6_2, "redis-6-2"),
        (compose::REDIS_8_6, "redis-8-6"),
        (compose::VALKEY, "valkey"),
        (compose::REDIS_CLUSTER, "redis-cluster"),
        (compose::REDIS_SENTINEL, "redis-sentinel"),
    ] {
        let (user, password) = login(service);
        assert_eq!(user, "", "the servers have no named users");
        assert!(command(&all[name]).contains(&format!("--requirepass {password}")), "{name}");
    }
    let sentinel = command(&all["redis-sentinel"]);
    assert!(sentinel.contains(&format!("sentinel auth-pass mymaster {}", login(compose::REDIS_SENTINEL).1)));
    assert!(compose::REDIS_SENTINEL.default.ends_with("/mymaster"));

    let (user, password) = login(compose::COUCHBASE);
    let couchbase = command(&all["couchbase"]);
    assert!(couchbase.contains(&format!("--rbac-username {user} --rbac-password {password}")));
    assert!(couchbase.contains(&format!("--bucket {user} ")), "the bucket has the user's name");
}

#[test]
fn every_service_is_pinned_checks_its_health_and_keeps_nothing() {
    let all = services();
    assert!(all.len() >= 10);
    let mut seen = BTreeSet::new();
    for (name, service) in &all {
        let image = service.as_mapping_get("image").unwrap().as_str().unwrap();
        let tag = image.split_once(':').map(|(_, tag)| tag);
        assert!(
            tag.is_some_and(|tag| tag.contains(|c: char| c.is_ascii_digit())),
            "{name}: no version in {image}"
        );
        assert!(service.as_mapping_get("healthcheck").unwrap().as_mapping_get("test").is_some(), "{name}");
        assert!(service.as_mapping_get("volumes").is_none(), "{name} keeps data");
        for port in ports(service) {
            assert!(seen.insert(port), "{port} is given twice");
        }
    }
}

#[test]
fn every_service_has_its_own_variable() {
    let variables: BTreeSet<&str> = compose::ALL.iter().map(|service| service.variable).collect();
    assert_eq!(variables.len(), compose::ALL.len());
    assert!(variables.iter().all(|name| name.starts_with("SESSION_TEST_")));
}
