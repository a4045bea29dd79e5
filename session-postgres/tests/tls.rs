//! TLS with a real server: trusted and untrusted certificates, and the error messages.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use session_core::{ErrorKind, Provider};
use session_postgres::{PostgresConfig, PostgresProvider};
use session_servers::postgres::Postgres as Server;
use session_sql_tests::certificates;
use support::{ask, connect, id, sql, start_private};

/// Installs a certificate for `localhost`, and writes its authority and another one to files.
async fn with_certificate() -> Server {
    let (server, _) = start_private(&[]).await;
    let dir = server.process().place().dir().to_owned();
    let owner = fs::metadata(&dir).unwrap();
    for (name, text) in certificates() {
        let file = dir.join(name);
        fs::write(&file, text).unwrap();
        // The server refuses a key that others can read.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let path = |name: &str| dir.join(name).display().to_string();
    for (name, value) in
        [("ssl_cert_file", path("cert.pem")), ("ssl_key_file", path("key.pem")), ("ssl", "on".into())]
    {
        sql(&server.url(), &format!("ALTER SYSTEM SET {name} = '{value}'")).await;
    }
    server.process().restart().unwrap();
    server
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn the_certificate_is_checked_as_far_as_sslmode_says() {
    let server = with_certificate().await;
    let path = |name: &str| server.process().place().dir().join(name).display().to_string();
    let by_name = server.url().replace("127.0.0.1", "localhost");
    for (url, mode, authority) in [
        (&by_name, "verify-full", "ours.pem"),
        (&server.url(), "verify-ca", "ours.pem"),
        (&server.url(), "require", "other.pem"),
    ] {
        let config = format!("{url}?sslmode={mode}&sslrootcert={}", path(authority));
        let sessions = connect(&config).await;
        assert!(!sessions.exists(&id("a")).await.unwrap());
        let encrypted = "SELECT count(*)::text FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                         WHERE ssl AND query LIKE 'SELECT 1 FROM%'";
        assert_ne!(ask(&server.url(), encrypted).await, ["0"], "{mode}");
    }
    for (url, mode, authority) in [
        (&by_name, "verify-full", "other.pem"),
        (&by_name, "verify-ca", "other.pem"),
        (&server.url(), "verify-full", "ours.pem"),
    ] {
        let config = format!("{url}?sslmode={mode}&sslrootcert={}", path(authority));
        let config: PostgresConfig = config.parse().unwrap();
        let error = PostgresProvider::connect(config).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{mode}: {error:?}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}
