//! A private memcached.

use crate::packages::{Package, require};
use crate::process::{Launch, Place, Process};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Where the server comes from.
pub const PACKAGES: &[Package] = &[Package { name: "memcached", binary: "memcached" }];

const SOCKET: &str = "socket";

/// A memcached of one test.
#[derive(Debug)]
pub struct Memcached {
    process: Process,
}

impl Memcached {
    /// Starts an empty server.
    pub fn start() -> io::Result<Self> {
        Self::start_with(&[])
    }

    /// The same with further arguments, as in `&["-m", "1"]` for one megabyte of memory.
    pub fn start_with(arguments: &[&str]) -> io::Result<Self> {
        let more: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let launch = launch(move |place| {
            let port = place.port().to_string();
            let own = ["-l", "127.0.0.1", "-p", &port].map(str::to_owned);
            own.into_iter().chain(more.iter().cloned()).collect()
        })?;
        let launch = launch.ready(|place| ask(place.address(), "version").map(drop));
        Ok(Self { process: launch.start()? })
    }

    /// A server that lets in those who know this user and password (`-Y`), and nobody else.
    pub fn start_with_login(user: &str, password: &str) -> io::Result<Self> {
        const FILE: &str = "login";
        let line = format!("{user}:{password}\n");
        let login = format!("{user} {password}");
        let launch = launch(|place| {
            let port = place.port().to_string();
            ["-l", "127.0.0.1", "-p", &port, "-Y", &place.path(FILE)].map(str::to_owned).into()
        })?;
        let launch =
            launch.prepare(move |place| std::fs::write(place.path(FILE), &line)).ready(move |place| {
                let command = format!("set login 0 -1 {}\r\n{login}", login.len());
                match ask(place.address(), &command)? {
                    answer if answer == ["STORED"] => Ok(()),
                    answer => Err(io::Error::other(answer.concat())),
                }
            });
        Ok(Self { process: launch.start()? })
    }

    /// A server that listens on a Unix socket only, whose path is [`socket`](Self::socket).
    #[cfg(unix)]
    pub fn start_on_socket() -> io::Result<Self> {
        let launch = launch(|place| ["-s", &place.path(SOCKET)].map(str::to_owned).into())?;
        let launch =
            launch.ready(|place| std::os::unix::net::UnixStream::connect(place.path(SOCKET)).map(drop));
        Ok(Self { process: launch.start()? })
    }

    /// The path of the Unix socket of a server that was started [on one](Self::start_on_socket).
    pub fn socket(&self) -> String {
        self.process.place().path(SOCKET)
    }

    /// How to connect: `memcache://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("memcache://{}", self.process.address())
    }

    /// What the server counts, as in `cmd_touch`; counters of text are left out.
    pub fn stats(&self) -> io::Result<BTreeMap<String, u64>> {
        stats(self.process.address())
    }

    /// The process, to stop, kill, hang and restart it.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

fn launch(arguments: impl Fn(&Place) -> Vec<String> + Send + Sync + 'static) -> io::Result<Launch> {
    let launch = Launch::new("memcached", require(PACKAGES[0])?).user("memcache");
    Ok(launch.arguments(move |place| {
        let threads = ["-t", "2"].map(str::to_owned);
        arguments(place).into_iter().chain(threads).collect()
    }))
}

/// What the memcached at that address counts; counters of text are left out.
pub fn stats(server: SocketAddr) -> io::Result<BTreeMap<String, u64>> {
    let lines = ask(server, "stats")?;
    let number = |line: &String| {
        let (name, value) = line.strip_prefix("STAT ")?.split_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    Ok(lines.iter().filter_map(number).collect())
}

/// Sends one line (or a line and its data) to the memcached at that address and returns the lines it answers.
pub fn ask(server: SocketAddr, command: &str) -> io::Result<Vec<String>> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    // `mn` is answered with `MN` once everything before it is.
    stream.write_all(format!("{command}\r\nmn\r\n").as_bytes())?;
    let mut answer = Vec::new();
    for line in BufReader::new(stream).lines() {
        match line? {
            line if line == "MN" => return Ok(answer),
            line => answer.push(line),
        }
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "memcached closed the connection"))
}
