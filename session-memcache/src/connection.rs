//! One connection: opens it, logs in, and runs one exchange at a time.
//!
//! The crate `memcache` encodes commands and decodes responses. Its own connections support only
//! TCP and no login, and return to the pool before the response is decoded.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use memcache::exp::{Error as ClientError, MetaCommandResult, MetaResponse, ReturnCode, parse_meta_result};
use session_core::Secret;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf};
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::net::{TcpStream, lookup_host};

#[cfg(unix)]
use crate::address;

/// The login for `-Y`: a user and a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: Secret,
}

/// Why an exchange failed. The connection is no longer usable.
pub(crate) enum Failure {
    /// The server's name cannot be resolved.
    Unresolved(io::Error),
    /// The request was not sent completely, so the server has done nothing. The number counts the
    /// bytes sent.
    Unsent(io::Error, usize),
    /// The request was sent, but no complete response was received.
    Unanswered(io::Error),
    /// The response does not follow the protocol.
    Unintelligible,
    /// The server refused the request with this message.
    Refused(ClientError),
}

/// A connection between two exchanges.
pub(crate) struct Connection(BufReader<Stream>);

impl Connection {
    /// Connects to a server by its name, and logs in if there is a login.
    pub(crate) async fn open(server: &str, login: Option<&Login>) -> Result<Self, Failure> {
        let stream = Stream::connect(server).await?;
        let mut connection = Self(BufReader::new(stream));
        if let Some(login) = login {
            connection.log_in(login).await?;
        }
        Ok(connection)
    }

    /// The text protocol's login: the first command is a `set` whose value is the user and the
    /// password.
    async fn log_in(&mut self, Login { user, password }: &Login) -> Result<(), Failure> {
        let length = user.len() + 1 + password.expose().len();
        // A server without a login stores it as an item. This lifetime expires it at once.
        let request = Secret::new(format!("set login 0 -1 {length}\r\n{user} {}\r\n", password.expose()));
        self.send(request.expose().as_bytes()).await?;
        match &*self.line().await? {
            b"STORED" => Ok(()),
            // `CLIENT_ERROR authentication failure` is a refusal.
            line => Err(MetaResponse::parse_header(line).map_or_else(refused, |_| Failure::Unintelligible)),
        }
    }

    /// Sends a request and reads its response. Dropping the future half-way drops the connection.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<MetaCommandResult, Failure> {
        self.send(request).await?;
        let line = self.line().await?;
        let response = MetaResponse::parse_header(&line).map_err(refused)?;
        let mut result = parse_meta_result(response).map_err(refused)?;
        if result.rc == ReturnCode::Va {
            let length = value_length(&line).ok_or(Failure::Unintelligible)?;
            result.value = Some(self.value(length).await?);
        }
        Ok(result)
    }

    /// Whether nothing has arrived since the last response, not even the end of the stream. No
    /// round trip.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut probe = [0; 1];
        let read = self.0.get_ref().try_read(&mut probe);
        self.0.buffer().is_empty() && read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    async fn send(&mut self, request: &[u8]) -> Result<(), Failure> {
        let mut sent = 0;
        while sent < request.len() {
            match self.0.write(&request[sent..]).await {
                Ok(0) => return Err(Failure::Unsent(io::ErrorKind::WriteZero.into(), sent)),
                Ok(more) => sent += more,
                Err(error) => return Err(Failure::Unsent(error, sent)),
            }
        }
        self.0.flush().await.map_err(Failure::Unanswered)
    }

    async fn line(&mut self) -> Result<Vec<u8>, Failure> {
        /// The longest line of a response: a key and its flags.
        const LONGEST: u64 = 2048;
        let mut line = Vec::new();
        (&mut self.0).take(LONGEST).read_until(b'\n', &mut line).await.map_err(Failure::Unanswered)?;
        match line.strip_suffix(b"\r\n") {
            Some(text) => Ok(text.to_owned()),
            None if line.len() as u64 == LONGEST || line.ends_with(b"\n") => Err(Failure::Unintelligible),
            None => Err(Failure::Unanswered(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    async fn value(&mut self, length: usize) -> Result<Vec<u8>, Failure> {
        let whole = length + 2;
        let mut value = Vec::with_capacity(whole.min(1 << 20));
        (&mut self.0).take(whole as u64).read_to_end(&mut value).await.map_err(Failure::Unanswered)?;
        if value.len() < whole {
            return Err(Failure::Unanswered(io::ErrorKind::UnexpectedEof.into()));
        }
        if !value.ends_with(b"\r\n") {
            return Err(Failure::Unintelligible);
        }
        value.truncate(length);
        Ok(value)
    }
}

/// A refusal with the server's message, or a malformed response.
fn refused(error: ClientError) -> Failure {
    match error {
        ClientError::Server(_) | ClientError::Rejected(_) => Failure::Refused(error),
        _ => Failure::Unintelligible,
    }
}

/// The length of the value that follows the line `VA length …`.
fn value_length(line: &[u8]) -> Option<usize> {
    let length = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).nth(1)?;
    str::from_utf8(length).ok()?.parse().ok()
}

/// The transport of the protocol.
enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Stream {
    async fn connect(server: &str) -> Result<Self, Failure> {
        let unsent = |error| Failure::Unsent(error, 0);
        #[cfg(unix)]
        if let Some(path) = address::socket(server) {
            return UnixStream::connect(path).await.map(Self::Unix).map_err(unsent);
        }
        // Resolved each time: a server that comes back may have another address.
        let addresses: Vec<_> = lookup_host(server).await.map_err(Failure::Unresolved)?.collect();
        let stream = TcpStream::connect(&*addresses).await.map_err(unsent)?;
        stream.set_nodelay(true).map_err(unsent)?;
        Ok(Self::Tcp(stream))
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(buffer),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_read(buffer),
        }
    }
}

/// Forwards each call to the inner stream.
macro_rules! delegate {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match $self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            #[cfg(unix)]
            Stream::Unix(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        delegate!(self.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self.poll_shutdown(cx))
    }
}
