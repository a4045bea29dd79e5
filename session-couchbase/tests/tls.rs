//! TLS: accepted certificates and names. CouchbaseMock does not support TLS, so a proxy terminates
//! it.
#![allow(clippy::unwrap_used)] // helpers are test code too

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use session_conformance::samples::{IDLE, create, id, session};
use session_core::{Error, ErrorKind, Provider};
use session_couchbase::{CouchbaseConfig, CouchbaseProvider};
use session_servers::couchbase::CouchbaseMock;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A server behind a TLS proxy with its own certificate authority.
struct Tls {
    server: CouchbaseMock,
    authority: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

impl Tls {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), authority.pem()).unwrap();
        Self { server: CouchbaseMock::start().unwrap(), authority, directory }
    }

    fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// A proxy whose certificate has this name, and which the cluster's map names as `127.0.0.1`.
    async fn proxy_named(&self, name: &str) -> SocketAddr {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &self.authority).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config =
            config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, server) = (listener.local_addr().unwrap(), self.server.process().address());
        self.server.advertise(address).unwrap();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut client = acceptor.accept(client).await.ok()?;
                    let mut server = TcpStream::connect(server).await.ok()?;
                    copy_bidirectional(&mut client, &mut server).await.ok()
                });
            }
        });
        address
    }
}

async fn connect(host: &str, port: u16, ca: Option<PathBuf>) -> Result<CouchbaseProvider, Error> {
    let url = format!("couchbases://session:session@{host}:{port}/session?connect_timeout=4s");
    let config: CouchbaseConfig = url.parse().unwrap();
    let config = match ca {
        Some(file) => config.tls_ca(file)?,
        None => config,
    };
    CouchbaseProvider::connect(config.timeout(Duration::from_secs(4)).unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn a_certificate_of_a_trusted_authority_for_the_nodes_name_is_accepted() {
    let tls = Tls::new();
    let address = tls.proxy_named("127.0.0.1").await;
    let provider = connect("127.0.0.1", address.port(), Some(tls.ca())).await.unwrap();
    let id = id();
    create(&provider, &id, &session("x")).await.unwrap();
    assert!(provider.read(&id, IDLE).await.unwrap().is_some());
}

/// The certificate must name the nodes as the cluster's map does, not only as the connection string
/// does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn an_untrusted_certificate_or_one_for_other_names_is_refused_and_nothing_is_sent() {
    let tls = Tls::new();
    for (certificate_for, host, ca) in [
        ("127.0.0.1", "127.0.0.1", None),
        ("db.internal", "127.0.0.1", Some(tls.ca())),
        ("localhost", "127.0.0.1", Some(tls.ca())),
        ("localhost", "localhost", Some(tls.ca())),
    ] {
        let address = tls.proxy_named(certificate_for).await;
        let error = connect(host, address.port(), ca).await.unwrap_err();
        println!("{certificate_for} {host}: {error:?}");
        assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Config), "{error:?}");
        assert!(error.message().contains("certificate"), "{error:?}");
    }
    assert!(!tls.server.counts().unwrap().contains_key("GET"), "no session was asked for");
}

#[tokio::test]
async fn a_file_without_certificates_is_a_configuration_error_that_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let [empty, missing] = ["empty.pem", "missing.pem"].map(|name| directory.path().join(name));
    std::fs::write(&empty, "").unwrap();
    for (file, why) in [(empty, "has no certificate"), (missing, "cannot be read")] {
        let error = connect("127.0.0.1", 1, Some(file)).await.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Config, Some("connect")));
        assert!(error.message().contains(why), "{error}");
    }
}
