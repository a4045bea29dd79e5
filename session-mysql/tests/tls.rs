//! TLS against a real server: accepted and refused certificates, and the errors.
#![allow(clippy::unwrap_used)] // helpers are test code too

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use session_core::{ErrorKind, Provider};
use session_mysql::{MySqlConfig, MySqlProvider};
use session_servers::mariadb::MariaDb;
use session_sql_tests::certificates;
use support::{ask, connect, id};
use tempfile::TempDir;

/// A server with a certificate for `localhost`; the directory has its authority and another one.
fn with_certificate() -> (MariaDb, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for (name, text) in certificates() {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let option = |name: &str, file: &str| format!("--{name}={}", dir.path().join(file).display());
    let server =
        MariaDb::start_with(&[&option("ssl-cert", "cert.pem"), &option("ssl-key", "key.pem")]).unwrap();
    (server, dir)
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn the_certificate_is_checked_according_to_ssl_mode() {
    let (server, dir) = with_certificate();
    connect(&server.url()).await.migrate().await.unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let by_name = server.url().replace("127.0.0.1", "localhost");
    for (url, mode, authority) in [
        (&by_name, "VERIFY_IDENTITY", "ours.pem"),
        (&server.url(), "VERIFY_CA", "ours.pem"),
        (&server.url(), "REQUIRED", "other.pem"),
    ] {
        let config = format!("{url}?ssl-mode={mode}&ssl-ca={}", path(authority));
        let sessions = connect(&config).await;
        assert!(!sessions.exists(&id("a")).await.unwrap());
    }
    let encrypted = "SELECT variable_value FROM information_schema.global_status \
                     WHERE variable_name = 'Ssl_finished_accepts'";
    assert_ne!(ask(&server.admin_url(), encrypted).await, ["0"]);
    for (url, mode, authority) in [
        (&by_name, "VERIFY_IDENTITY", "other.pem"),
        (&by_name, "VERIFY_CA", "other.pem"),
        (&server.url(), "VERIFY_IDENTITY", "ours.pem"),
    ] {
        let config = format!("{url}?ssl-mode={mode}&ssl-ca={}", path(authority));
        let config: MySqlConfig = config.parse().unwrap();
        let error = MySqlProvider::connect(config).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{mode}: {error:?}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}
