//! A TCP proxy in front of a server, for what a network does to connections: cut, refuse, delay, lose an
//! answer. It counts what passes, too.
//!
//! It runs on threads of its own and not on the test's runtime, so that it neither waits for a busy
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

/// What has passed through a [`Proxy`]; subtract two of them to know what one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections that were opened.
    pub connections: u64,
    /// How often a client spoke after the server had spoken (or first of all) on its connection: what is
    /// sent without waiting for an answer counts once.
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
    /// How many answers are still to be lost, and to requests with which bytes in them.
    lose: (usize, Vec<u8>),
    /// How many bytes of such an answer are passed on all the same.
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
    /// Starts a proxy in front of that server, which need not be up yet.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        let proxy =
            Self { port: Port::reserve()?, server, shared: Arc::default(), acceptor: Mutex::default() };
        proxy.accept()?;
        Ok(proxy)
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// What has passed so far.
    pub fn counts(&self) -> Counts {
        self.shared.state().counts
    }

    /// Closes every open connection, at once and on both sides. New ones are accepted.
    pub fn cut(&self) {
        // Taken out first: closing wakes threads that want the lock.
        let connections = std::mem::take(&mut self.shared.state().connections);
        for connection in connections.iter().filter_map(Weak::upgrade) {
            connection.close();
        }
    }

    /// From now on new connections are refused, as by a machine where no server runs. Open ones stay.
    pub fn refuse(&self) {
        let acceptor = self.acceptor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(acceptor) = acceptor {
            self.shared.refusing.store(true, SeqCst);
            // Wakes the thread that waits for a connection; it sees the order and closes the port.
            let _ = TcpStream::connect(self.address());
            let _ = acceptor.join();
            // What was forked meanwhile has the listener until it becomes another program.
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

    /// Every answer is passed on that much later. Zero ends it.
    pub fn delay_answers(&self, delay: Duration) {
        self.shared.state().delay = delay;
    }

    /// While on, requests reach the server, and nothing comes back: connections stay open and silent. What
    /// was swallowed is lost, so cut the connections when it ends.
    pub fn swallow_answers(&self, on: bool) {
        self.shared.state().swallow = on;
    }

    /// Every connection that is open now dies in silence, as when a firewall has forgotten it: it stays open, and
    /// nothing passes it any more in either direction. New ones work.
    pub fn forget_connections(&self) {
        for connection in self.shared.state().connections.iter().filter_map(Weak::upgrade) {
            connection.forgotten.store(true, SeqCst);
        }
    }

    /// Loses the answers to the next so many requests with these bytes in them (empty: any request): the
    /// server gets the request and answers it, and then the connection is cut instead of passing the answer.
    ///
    /// "Request" is what one read from the client gives, and "its answer" the next that the server says on
    /// that connection: exact where a connection has one request under way.
    pub fn lose_answers(&self, count: usize, to_requests_with: &[u8]) {
        self.cut_answers_short(count, to_requests_with, 0);
    }

    /// The same, but so many bytes of each answer are passed on before the connection is cut.
    pub fn cut_answers_short(&self, count: usize, to_requests_with: &[u8], keep: usize) {
        let mut state = self.shared.state();
        state.lose = (count, to_requests_with.to_vec());
        state.keep = keep;
    }

    /// How many of the answers that [`lose_answers`](Self::lose_answers) ordered are still to be lost.
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
            // A server that is down: the client's connection is closed, as by a load balancer.
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

    /// What becomes of something that the client said.
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

    /// What becomes of something that the server said.
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
    /// The connection ends after so many of the bytes.
    Cut(usize),
}

impl Connection {
    /// Carries bytes in one direction until either side closes.
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
