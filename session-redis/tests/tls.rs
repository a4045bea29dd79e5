//! TLS with a real server: trusted and untrusted certificates, and the error messages.
#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::fs;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use session_core::{ErrorKind, Provider};
use session_servers::ports::Port;
use session_servers::redis::Redis;
#[cfg(feature = "sentinel")]
use session_servers::redis::Sentinels;
use support::{config, stored};
use tempfile::TempDir;

/// An authority, and a certificate that it issued for a name.
struct Certificates {
    dir: TempDir,
}

impl Certificates {
    fn new(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.distinguished_name.push(DnType::CommonName, "authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        for (file, text) in
            [("ca", authority.pem()), ("cert", certificate.pem()), ("key", key.serialize_pem())]
        {
            fs::write(dir.path().join(file), text).unwrap();
        }
        Self { dir }
    }

    fn path(&self, file: &str) -> String {
        self.dir.path().join(file).display().to_string()
    }

    /// A server with this certificate, and its TLS port.
    fn server(&self, ask_clients: &str) -> (Redis, Port) {
        let port = Port::reserve().unwrap();
        let options = self.options(&port.number().to_string(), ask_clients);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        (Redis::start_with(&options).unwrap(), port)
    }

    fn options(&self, port: &str, ask_clients: &str) -> Vec<String> {
        let options = [
            ["--tls-port", port],
            ["--tls-cert-file", &self.path("cert")],
            ["--tls-key-file", &self.path("key")],
            ["--tls-ca-cert-file", &self.path("ca")],
            ["--tls-auth-clients", ask_clients],
        ];
        options.as_flattened().iter().map(ToString::to_string).collect()
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_is_trusted_by_its_authority_and_name() {
    let certificates = Certificates::new("127.0.0.1");
    let (server, port) = certificates.server("no");
    let (tls, plain) = (port.number(), server.process().port());
    let ca = certificates.path("ca");
    let provider = config(&format!("rediss://:session@127.0.0.1:{tls}?ca={ca}")).connect().await.unwrap();
    stored(&provider).await;
    assert_eq!(provider.count().await.unwrap(), Some(1));

    let other = Certificates::new("127.0.0.1");
    for (url, says) in [
        // An untrusted certificate, without and with another authority.
        (format!("rediss://:session@127.0.0.1:{tls}"), "TLS"),
        (format!("rediss://:session@127.0.0.1:{tls}?ca={}", other.path("ca")), "TLS"),
        // A name that is not the certificate's.
        (format!("rediss://:session@localhost:{tls}?ca={ca}"), "TLS"),
        // A certificate in place of a key.
        (format!("rediss://:session@127.0.0.1:{tls}?ca={ca}&cert={ca}&key={ca}"), "PEM"),
    ] {
        let error = config(&url).connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}: {error:?}");
        assert!(error.message().contains(says), "{url}: {error:?}");
    }
    // TLS to a port without TLS: the server waits for the end of what it parses as a command.
    let error = config(&format!("rediss://:session@127.0.0.1:{plain}?ca={ca}")).connect().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.message().contains("TLS"), "{error:?}");
    // No TLS to a TLS port: the server closes the connection.
    let error = config(&format!("redis://:session@127.0.0.1:{tls}")).connect().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Config | ErrorKind::Unavailable), "{error:?}");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_that_asks_for_a_certificate_gets_it() {
    let certificates = Certificates::new("127.0.0.1");
    let (_server, port) = certificates.server("yes");
    let [ca, cert, key] = ["ca", "cert", "key"].map(|file| certificates.path(file));
    let url = format!("rediss://:session@127.0.0.1:{}?ca={ca}", port.number());
    assert!(config(&url).connect().await.is_err());
    let provider = config(&format!("{url}&cert={cert}&key={key}")).connect().await.unwrap();
    stored(&provider).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_certificate_with_a_name_is_right_for_a_server_at_an_ip_address() {
    let certificates = Certificates::new("sessions.example");
    let (_server, port) = certificates.server("no");
    let url = format!("rediss://:session@127.0.0.1:{}?ca={}", port.number(), certificates.path("ca"));
    let error = config(&url).connect().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.message().contains("TLS"), "{error:?}");
    for name in ["sessions.example", "other.example"] {
        let connected = config(&format!("{url}&tls_server_name={name}")).connect().await;
        assert_eq!(connected.is_ok(), name == "sessions.example", "{name}");
    }
    // The same for an address that a node might announce.
    let mapped = format!(
        "{url}&address_map=10.9.8.7:7000=localhost:{}&tls_server_name=sessions.example",
        port.number()
    );
    let announced = mapped.replace(&format!("127.0.0.1:{}?", port.number()), "10.9.8.7:7000?");
    stored(&config(&announced).connect().await.unwrap()).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn any_certificate_is_accepted_only_when_that_is_asked_for() {
    let certificates = Certificates::new("sessions.example");
    let (_server, port) = certificates.server("no");
    let url = format!("rediss://:session@127.0.0.1:{}", port.number());
    assert_eq!(config(&url).connect().await.unwrap_err().kind(), ErrorKind::Config);
    stored(&config(&format!("{url}#insecure")).connect().await.unwrap()).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_renewed_client_certificate_is_used_by_the_next_connection() {
    let certificates = Certificates::new("127.0.0.1");
    let (_server, port) = certificates.server("yes");
    // A certificate of an authority that the server does not trust.
    let files = Certificates::new("127.0.0.1");
    let url = format!(
        "rediss://:session@127.0.0.1:{}?ca={}&cert={}&key={}",
        port.number(),
        certificates.path("ca"),
        files.path("cert"),
        files.path("key"),
    );
    let provider = config(&url).provider().unwrap();
    assert!(provider.count().await.is_err());
    for file in ["cert", "key"] {
        fs::copy(certificates.path(file), files.path(file)).unwrap();
    }
    tokio::time::sleep(Duration::from_millis(250)).await;
    stored(&provider).await;
    // Missing files cause an error that names them, not a panic.
    fs::remove_file(files.path("key")).unwrap();
    let error = config(&url).provider().unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.message().contains(&files.path("key")), "{error:?}");
}

/// Like managed clusters: one name for the first connection, nodes that announce IP addresses, and
/// certificates for the name.
#[cfg(feature = "cluster")]
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn nodes_that_announce_ip_addresses_are_trusted_by_the_clusters_name() {
    let certificates = Certificates::new("sessions.example");
    let port = Port::reserve().unwrap();
    let mut options = certificates.options(&port.number().to_string(), "no");
    let cluster = ["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1", "--tls-cluster", "yes"];
    options.extend(cluster.map(str::to_owned));
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let node = Redis::start_with(&options).unwrap();
    node.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).unwrap();
    for _ in 0..200 {
        if node.cli(&["CLUSTER", "INFO"]).unwrap().contains("cluster_state:ok") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ca = certificates.path("ca");
    let url = format!("rediss+cluster://:session@localhost:{}?ca={ca}", port.number());
    let named = format!("{url}&tls_server_name=sessions.example");
    let provider = config(&named).connect().await.unwrap();
    stored(&provider).await;
    assert_eq!(provider.count().await.unwrap(), Some(1));
    assert!(config(&url).connect().await.is_err());
}

#[cfg(feature = "sentinel")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn sentinels_without_tls_name_a_master_that_has_it() {
    let certificates = Certificates::new("sessions.example");
    let port = Port::reserve().unwrap();
    let number = port.number().to_string();
    let options = certificates.options(&number, "no");
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let set_up = Sentinels::start_with(&options).unwrap();
    let master = set_up.servers()[0].process().address();
    let url = set_up.url().replace("redis+sentinel", "rediss+sentinel");
    let url = format!("{url}?ca={}&tls_server_name=sessions.example", certificates.path("ca"));
    let url = format!("{url}&address_map={master}=127.0.0.1:{number}");
    assert!(config(&url).connect().await.is_err(), "the sentinels do not speak TLS");
    let provider = config(&format!("{url}&sentinel_tls=off&connect_timeout=30s")).connect().await.unwrap();
    stored(&provider).await;
}
