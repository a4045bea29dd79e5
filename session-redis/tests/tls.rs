//! TLS against a real server: who is trusted, who is not, and what is said about it.
#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use session_core::{ErrorKind, Provider};
use session_servers::ports::Port;
use session_servers::redis::Redis;
use support::{config, stored};
use tempfile::TempDir;

/// An authority, and a certificate of it for a name.
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
        let (number, cert, key, ca) =
            (port.number().to_string(), self.path("cert"), self.path("key"), self.path("ca"));
        let options = [
            ["--tls-port", &number],
            ["--tls-cert-file", &cert],
            ["--tls-key-file", &key],
            ["--tls-ca-cert-file", &ca],
            ["--tls-auth-clients", ask_clients],
        ];
        (Redis::start_with(options.as_flattened()).unwrap(), port)
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
        // Nobody vouches for it, or somebody else.
        (format!("rediss://:session@127.0.0.1:{tls}"), "TLS"),
        (format!("rediss://:session@127.0.0.1:{tls}?ca={}", other.path("ca")), "TLS"),
        // Another name than the certificate's.
        (format!("rediss://:session@localhost:{tls}?ca={ca}"), "TLS"),
        // A key where a certificate should be.
        (format!("rediss://:session@127.0.0.1:{tls}?ca={ca}&cert={ca}&key={ca}"), "PEM"),
    ] {
        let error = config(&url).connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}: {error:?}");
        assert!(error.message().contains(says), "{url}: {error:?}");
    }
    // TLS where there is none: the server waits for the end of what it takes for a command.
    let error = config(&format!("rediss://:session@127.0.0.1:{plain}?ca={ca}")).connect().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.message().contains("TLS"), "{error:?}");
    // None where there is TLS: the server hangs up on what it cannot read.
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
