//! A TCP proxy in front of a server that simulates network failures: cut, refused and delayed
//! connections, lost responses. It also counts the traffic.
//!
//! It runs on its own threads instead of the test's runtime, so that it neither waits for a busy
//! runtime nor follows its paused clock.
//!
//! ```no_run
//! use session_servers::{postgres::Postgres, proxy::Proxy};
//!
//! # fn main() -> std::io::Result<()> {
//! let server = Postgres::start()?;
//! let proxy = Proxy::start(server.process().address())?;
//! let url = format!("postgres://session:session@{}/session", proxy.address());
//! // … connect to `url`, then: the server does the update, and the client never hears of it.
//! proxy.lose_answers(1, b"UPDATE");
//! # Ok(())
//! # }
//! ```

use crate::ports::Port;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

/// A proxy on a loopback port. Dropping it cuts its connections and closes the port.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    server: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

/// The traffic of a [`Proxy`]; subtract two values to get the traffic of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections that were opened.
    pub connections: u64,
    /// How often a client sent data after the server had sent some (or first) on its connection:
    /// data sent without waiting for a response counts once.
    pub round_trips: u64,
    /// Bytes from clients to the server.
    pub sent: u64,
    /// Bytes from the server to clients, lost ones included.
    pub received: u64,
}

impl std::ops::Sub for Counts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            connections: self.connections - earlier.connections,
            round_trips: self.round_trips - earlier.round_trips,
            sent: self.sent - earlier.sent,
            received: self.received - earlier.received,
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    refusing: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counts: Counts,
    delay: Duration,
    swallow: bool,
    /// The number of responses still to be lost, and the bytes in their requests.
    lose: (usize, Vec<u8>),
    /// The number of bytes of such a response that are still forwarded.
    keep: usize,
    connections: Vec<Weak<Connection>>,
}

#[derive(Debug)]
struct Connection {
    client: TcpStream,
    server: TcpStream,
    client_spoke_last: AtomicBool,
    lose_answer: AtomicBool,
    forgotten: AtomicBool,
}

impl Proxy {
    /// Starts a proxy in front of this server, which need not be running yet.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        let proxy =
            Self { port: Port::reserve()?, server, shared: Arc::default(), acceptor: Mutex::default() };
        proxy.accept()?;
        Ok(proxy)
    }

    /// The address for clients.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// The traffic so far.
    pub fn counts(&self) -> Counts {
        self.shared.state().counts
    }

    /// Closes every open connection, at once and on both sides. New ones are accepted.
    pub fn cut(&self) {
        // Taken out first: closing wakes threads that need the lock.
        let connections = std::mem::take(&mut self.shared.state().connections);
        for connection in connections.iter().filter_map(Weak::upgrade) {
            connection.close();
        }
    }

    /// Refuses new connections from now on, like a machine without a server. Open ones are kept.
    pub fn refuse(&self) {
        let acceptor = self.acceptor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(acceptor) = acceptor {
            self.shared.refusing.store(true, SeqCst);
            // Wakes the accepting thread, which then closes the port.
            let _ = TcpStream::connect(self.address());
            let _ = acceptor.join();
            // A process forked meanwhile has the listener until its exec.
            let deadline = Instant::now() + Duration::from_secs(5);
            while TcpStream::connect(self.address()).is_ok() && Instant::now() < deadline {
                sleep(Duration::from_millis(1));
            }
        }
    }

    /// Ends a [`refuse`](Self::refuse).
    pub fn accept(&self) -> io::Result<()> {
        let mut acceptor = self.acceptor.lock().unwrap_or_else(PoisonError::into_inner);
        if acceptor.is_none() {
            self.shared.refusing.store(false, SeqCst);
            let listener = self.port.listen()?;
            let (shared, server) = (Arc::clone(&self.shared), self.server);
            *acceptor = Some(thread::spawn(move || shared.serve(&listener, server)));
        }
        Ok(())
    }

    /// Delays every response by this time. Zero ends it.
    pub fn delay_answers(&self, delay: Duration) {
        self.shared.state().delay = delay;
    }

    /// While on, requests reach the server but no response is forwarded: connections stay open and
    /// silent. Swallowed responses are lost, so cut the connections afterwards.
    pub fn swallow_answers(&self, on: bool) {
        self.shared.state().swallow = on;
    }

    /// All open connections die silently, as if dropped by a firewall: they stay open but pass no
    /// more data in either direction. New ones work.
    pub fn forget_connections(&self) {
        for connection in self.shared.state().connections.iter().filter_map(Weak::upgrade) {
            connection.forgotten.store(true, SeqCst);
        }
    }

    /// Loses the responses to this number of the next requests that contain these bytes (empty: any
    /// request): the server executes the request, but the connection is cut instead of forwarding
    /// the response.
    ///
    /// A request is the result of one read from the client, and its response the next data from the
    /// server on that connection: exact for connections with one request at a time.
    pub fn lose_answers(&self, count: usize, to_requests_with: &[u8]) {
        self.cut_answers_short(count, to_requests_with, 0);
    }

    /// The same, but this number of bytes of each response are forwarded before the connection is
    /// cut.
    pub fn cut_answers_short(&self, count: usize, to_requests_with: &[u8], keep: usize) {
        let mut state = self.shared.state();
        state.lose = (count, to_requests_with.to_vec());
        state.keep = keep;
    }

    /// The number of responses still to be lost by [`lose_answers`](Self::lose_answers).
    pub fn answers_to_lose(&self) -> usize {
        self.shared.state().lose.0
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.refuse();
        self.cut();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(self: &Arc<Self>, listener: &TcpListener, server: SocketAddr) {
        for client in listener.incoming() {
            if self.refusing.load(SeqCst) {
                return;
            }
            // The server is down: the client's connection is closed, as by a load balancer.
            let _ = client.and_then(|client| self.join(client, server));
        }
    }

    fn join(self: &Arc<Self>, client: TcpStream, server: SocketAddr) -> io::Result<()> {
        let server = TcpStream::connect(server)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let connection = Arc::new(Connection {
            client,
            server,
            client_spoke_last: AtomicBool::new(false),
            lose_answer: AtomicBool::new(false),
            forgotten: AtomicBool::new(false),
        });
        {
            let mut state = self.state();
            state.counts.connections += 1;
            state.connections.retain(|open| open.strong_count() > 0);
            state.connections.push(Arc::downgrade(&connection));
        }
        let (shared, same) = (Arc::clone(self), Arc::clone(&connection));
        thread::spawn(move || same.pump(&same.client, &same.server, |bytes| shared.request(&same, bytes)));
        let shared = Arc::clone(self);
        thread::spawn(move || {
            connection
                .pump(&connection.server, &connection.client, |bytes| shared.answer(&connection, bytes));
        });
        Ok(())
    }

    /// The treatment of data from the client.
    fn request(&self, connection: &Connection, bytes: &[u8]) -> Fate {
        let mut state = self.state();
        state.counts.sent += bytes.len() as u64;
        state.counts.round_trips += u64::from(!connection.client_spoke_last.swap(true, SeqCst));
        let (left, wanted) = &mut state.lose;
        if *left > 0 && (wanted.is_empty() || bytes.windows(wanted.len()).any(|window| window == wanted)) {
            *left -= 1;
            connection.lose_answer.store(true, SeqCst);
        }
        Fate::Pass
    }

    /// The treatment of data from the server.
    fn answer(&self, connection: &Connection, bytes: &[u8]) -> Fate {
        connection.client_spoke_last.store(false, SeqCst);
        let (delay, swallow, keep) = {
            let mut state = self.state();
            state.counts.received += bytes.len() as u64;
            (state.delay, state.swallow, state.keep)
        };
        sleep(delay);
        if connection.lose_answer.load(SeqCst) {
            Fate::Cut(keep.min(bytes.len()))
        } else if swallow {
            Fate::Lose
        } else {
            Fate::Pass
        }
    }
}

enum Fate {
    Pass,
    Lose,
    /// The connection ends after this number of bytes.
    Cut(usize),
}

impl Connection {
    /// Forwards bytes in one direction until either side closes.
    fn pump(&self, mut from: &TcpStream, mut to: &TcpStream, mut fate: impl FnMut(&[u8]) -> Fate) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let bytes = &buffer[..length];
            match fate(bytes) {
                _ if self.forgotten.load(SeqCst) => {}
                Fate::Lose => {}
                Fate::Pass if to.write_all(bytes).is_ok() => {}
                Fate::Pass => break,
                Fate::Cut(keep) => {
                    let _ = to.write_all(&bytes[..keep]);
                    break;
                }
            }
        }
        self.close();
    }

    fn close(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}
