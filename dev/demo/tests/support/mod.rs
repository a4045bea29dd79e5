//! The built program as a child process, and a client that is just large enough to talk to it.
#![allow(dead_code, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A running session-demo; ended when dropped.
pub struct Demo {
    process: Child,
    pub address: String,
}

impl Demo {
    pub fn start(args: &[&str]) -> Self {
        let mut process = command(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://").unwrap().to_owned();
        Self { process, address }
    }

    /// A browser that has not been here before.
    pub fn client(&self) -> Client {
        Client { address: self.address.clone(), cookie: None }
    }

    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill").arg(format!("-{name}")).arg(self.process.id().to_string()).status();
        assert!(kill.unwrap().success());
    }

    /// Waits until it has ended, for at most ten seconds.
    pub fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "it does not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The framework that this file of tests runs on.
fn framework() -> &'static str {
    if env!("CARGO_CRATE_NAME") == "on_actix" { "actix" } else { "axum" }
}

/// The program, on a free port of the loopback unless said otherwise.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_session-demo"));
    command.args(["--framework", framework()]);
    if !args.contains(&"--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command.args(args);
    command
}

/// Keeps one cookie, as a browser would.
#[derive(Clone)]
pub struct Client {
    pub address: String,
    pub cookie: Option<String>,
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Client {
    pub fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, "", "")
    }

    pub fn post(&mut self, path: &str, body: &str) -> Answer {
        self.send("POST", path, "application/json", body)
    }

    pub fn put(&mut self, path: &str, body: &str) -> Answer {
        self.send("PUT", path, "application/json", body)
    }

    pub fn delete(&mut self, path: &str) -> Answer {
        self.send("DELETE", path, "", "")
    }

    /// Submits a form of the page.
    pub fn submit(&mut self, path: &str, form: &str) -> Answer {
        self.send("POST", path, "application/x-www-form-urlencoded", form)
    }

    pub fn send(&mut self, method: &str, path: &str, kind: &str, body: &str) -> Answer {
        self.send_with(method, path, &[("Content-Type", kind)], body)
    }

    pub fn send_with(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        if let Some(cookie) = &self.cookie {
            write!(request, "Cookie: {cookie}\r\n").unwrap();
        }
        write!(request, "Content-Length: {}\r\n\r\n", body.len()).unwrap();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        // A server that refuses a large body may close before it has read it all.
        let _ = stream.write_all(body.as_bytes());
        let mut response = Vec::new();
        let _ = stream.read_to_end(&mut response);
        let answer = Answer::parse(&String::from_utf8(response).unwrap());
        self.keep(&answer);
        answer
    }

    /// Takes the session's cookie of an answer; an emptied one is forgotten.
    fn keep(&mut self, answer: &Answer) {
        for cookie in answer.all("set-cookie").filter(|cookie| !cookie.starts_with("demo-log=")) {
            let pair = cookie.split(';').next().unwrap();
            self.cookie = (!pair.ends_with('=')).then(|| pair.to_owned());
        }
    }
}

impl Answer {
    fn parse(response: &str) -> Self {
        let (head, body) = response.split_once("\r\n\r\n").expect("an answer");
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Self { status, headers, body: body.to_owned() }
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(other, _)| other == name).map(|(_, value)| &**value)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }

    /// The cookies that are set, other than the page's own list.
    pub fn session_cookies(&self) -> Vec<&str> {
        self.all("set-cookie").filter(|cookie| !cookie.starts_with("demo-log=")).collect()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// That the status is this one, and the body a JSON object with an error, and no cookie.
    #[track_caller]
    pub fn assert_error(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.body);
        assert!(self.json()["error"].is_string(), "{}", self.body);
        assert_eq!(self.session_cookies(), Vec::<&str>::new());
    }
}
