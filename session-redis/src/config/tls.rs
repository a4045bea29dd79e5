//! The certificates for TLS, and the name that a certificate must have.

use std::path::{Path, PathBuf};

/// The certificates for TLS. Without a CA of your own, the system's root certificates are used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    pub(crate) ca: Option<PathBuf>,
    pub(crate) client: Option<(PathBuf, PathBuf)>,
    pub(crate) server_name: Option<String>,
    pub(crate) any_certificate: bool,
}

impl Tls {
    /// Uses the system's root certificates, and no client certificate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the certificates in this PEM file, and no others.
    #[must_use]
    pub fn ca(mut self, file: impl AsRef<Path>) -> Self {
        self.ca = Some(file.as_ref().to_owned());
        self
    }

    /// Presents this certificate with its key, both PEM files, to servers that ask for one. The
    /// files are read for each connection, so that a renewed certificate is used without a restart.
    #[must_use]
    pub fn client(mut self, certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        self.client = Some((certificate.as_ref().to_owned(), key.as_ref().to_owned()));
        self
    }

    /// Sets the name that every server's certificate must have, whatever the server's address. For
    /// clusters and sentinels whose nodes announce IP addresses but have a certificate with a name.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Accepts any certificate: the traffic is encrypted, but any server at the address is trusted,
    /// and receives the password. For providers with self-signed certificates; prefer
    /// [`ca`](Self::ca) if there is one.
    #[must_use]
    pub const fn danger_accept_any_certificate(mut self) -> Self {
        self.any_certificate = true;
        self
    }
}

/// The TLS setting of the sentinels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum SentinelTls {
    /// The setting of the servers that they watch.
    #[default]
    Same,
    /// No TLS.
    Off,
    /// Separate certificates.
    Own(Tls),
}
