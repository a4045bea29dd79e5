//! TLS, where it is compiled in.

use redis::ConnectionAddr;
use session_core::{Error, Result};

use crate::config::Tls;

/// What an address with TLS has beside host and port: the certificates, read once.
#[cfg(feature = "tls")]
pub(crate) fn template(tls: Option<&Tls>) -> Result<Option<ConnectionAddr>> {
    use redis::{Client, ClientTlsConfig, TlsCertificates};

    let Some(tls) = tls else { return Ok(None) };
    // The driver takes the process' provider of cryptography, and panics when there is none.
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
    let nowhere = ConnectionAddr::TcpTls { host: String::new(), port: 0, insecure: false, tls_params: None };
    let client =
        Client::build_with_tls(nowhere, TlsCertificates { client_tls, root_cert }).map_err(|error| {
            Error::config("a certificate or key file is no PEM").with_source(error.to_string())
        })?;
    Ok(Some(client.get_connection_info().addr().clone()))
}

#[cfg(not(feature = "tls"))]
pub(crate) fn template(tls: Option<&Tls>) -> Result<Option<ConnectionAddr>> {
    match tls {
        Some(_) => Err(Error::config("TLS is not compiled in: enable the feature `tls` of session-redis")),
        None => Ok(None),
    }
}

/// The template with its address filled in.
pub(crate) fn at(template: &ConnectionAddr, host: &str, port: u16) -> ConnectionAddr {
    let mut addr = template.clone();
    if let ConnectionAddr::TcpTls { host: to, port: to_port, .. } = &mut addr {
        host.clone_into(to);
        *to_port = port;
    }
    addr
}
