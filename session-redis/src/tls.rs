//! TLS, if it is compiled in.

use redis::ConnectionAddr;
use session_core::{Error, Result};

use crate::config::Tls;

/// Reads the certificate files into an address template, which [`at`] completes.
#[cfg(feature = "tls")]
pub(crate) fn template(tls: &Tls) -> Result<ConnectionAddr> {
    use redis::{Client, ClientTlsConfig, TlsCertificates};

    // The driver uses the process's crypto provider, and panics without one.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let read = |file: &std::path::Path| {
        std::fs::read(file).map_err(|error| {
            Error::config(format!("the certificate file {} cannot be read", file.display()))
                .with_source(error)
        })
    };
    let client_tls = match &tls.client {
        Some((certificate, key)) => {
            Some(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? })
        }
        None => None,
    };
    let root_cert = tls.ca.as_deref().map(read).transpose()?;
    let insecure = tls.any_certificate;
    let nowhere = ConnectionAddr::TcpTls { host: String::new(), port: 0, insecure, tls_params: None };
    let client =
        Client::build_with_tls(nowhere, TlsCertificates { client_tls, root_cert }).map_err(|error| {
            Error::config("a certificate or key file is not PEM").with_source(error.to_string())
        })?;
    Ok(client.get_connection_info().addr().clone())
}

#[cfg(not(feature = "tls"))]
pub(crate) fn template(_tls: &Tls) -> Result<ConnectionAddr> {
    Err(Error::config(
        "TLS is not compiled in: enable the feature `redis-tls` of session-kit, or `tls` of session-redis",
    ))
}

/// Completes the template with an address; the host is the name that the certificate must have.
pub(crate) fn at(mut template: ConnectionAddr, host: &str, port: u16) -> ConnectionAddr {
    if let ConnectionAddr::TcpTls { host: to, port: to_port, .. } = &mut template {
        host.clone_into(to);
        *to_port = port;
    }
    template
}
