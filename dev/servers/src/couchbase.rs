//! A private CouchbaseMock: Couchbase's own test server, through a launcher that the official SDK can use.
//!
//! It speaks the key-value protocol: connecting, insert, replace and remove with compare tokens, expiry. It has no
//! query service, no durability, and checks no password. The jar comes from Maven, once, into `target/couchbase-mock`.

use crate::packages::{Package, require};
use crate::process::{Launch, Process};
use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Where Java and Maven come from.
pub const PACKAGES: &[Package] = &[
    Package { name: "default-jdk-headless", binary: "javac" },
    Package { name: "default-jdk-headless", binary: "java" },
    Package { name: "maven", binary: "mvn" },
];

/// Which one it is.
pub const ARTIFACT: &str = "com.couchbase.mock:CouchbaseMock:1.5.25";
const JAR: &str = "CouchbaseMock-1.5.25.jar";
const LAUNCHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/couchbase-mock/Launcher.java");
const PREPARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/couchbase-mock");

/// A CouchbaseMock of one test, with one node or several, and the bucket `session`.
#[derive(Debug)]
pub struct CouchbaseMock {
    process: Process,
}

impl CouchbaseMock {
    /// Starts an empty server. The first start on a machine fetches the jar and compiles the launcher.
    pub fn start() -> io::Result<Self> {
        Self::start_nodes(1)
    }

    /// The same with so many nodes, each of which holds replicas of the others. [`url`](Self::url) names the first.
    pub fn start_nodes(nodes: usize) -> io::Result<Self> {
        let [javac, java, mvn] = [require(PACKAGES[0])?, require(PACKAGES[1])?, require(PACKAGES[2])?];
        let prepared = prepare(&javac, &mvn)?;
        let class_path = format!("{}:{}", prepared.display(), prepared.join(JAR).display());
        // Ports: key-value, HTTP, and the launcher's own.
        let launch = Launch::new("couchbase-mock", java)
            .ports(3)
            .arguments(move |place| {
                let jvm = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m", "-cp", &class_path];
                let mut arguments: Vec<String> = jvm.map(str::to_owned).into();
                arguments.push("com.couchbase.mock.memcached.Launcher".to_owned());
                let [key_value, http, control] = [0, 1, 2].map(|index| place.port_at(index).to_string());
                // Several nodes take free ports of their own.
                let key_value = if nodes == 1 { key_value } else { "0".to_owned() };
                arguments.extend([http, key_value, control, nodes.to_string()]);
                arguments
            })
            .ready(|place| ask((Ipv4Addr::LOCALHOST, place.port_at(2)).into(), "counts").map(drop));
        Ok(Self { process: launch.start()? })
    }

    /// How to connect: `couchbase://session:session@127.0.0.1:PORT/session`.
    pub fn url(&self) -> String {
        url(self.process.address())
    }

    /// How many key-value commands the server has executed, by name: `ADD`, `GET`, `REPLACE`, `DELETE`, …
    pub fn counts(&self) -> io::Result<BTreeMap<String, u64>> {
        let line = self.tell("counts")?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let pair = |pair: &[&str]| Some((pair[0].to_owned(), pair[1].parse().ok()?));
        Ok(words.chunks_exact(2).filter_map(pair).collect())
    }

    /// Answers so many of the next key-value commands with this status (`ETMPFAIL`, `LOCKED`, `E2BIG`, …), undone.
    pub fn fail(&self, status: &str, count: u32) -> io::Result<()> {
        self.tell(&format!("fail {status} {count}")).map(drop)
    }

    /// From now on lets nobody in, as with a wrong password; or lets everybody in again.
    pub fn deny_logins(&self, deny: bool) -> io::Result<()> {
        self.tell(if deny { "deny on" } else { "deny off" }).map(drop)
    }

    /// Where the nodes listen for the key-value protocol.
    pub fn nodes(&self) -> io::Result<Vec<SocketAddr>> {
        let ports = self.tell("ports")?;
        let ports = ports.split_whitespace().filter_map(|port| port.parse().ok());
        Ok(ports.map(|port: u16| (Ipv4Addr::LOCALHOST, port).into()).collect())
    }

    /// Has the cluster's map name a proxy's address instead of the first node's own, so that clients stay with the proxy.
    pub fn advertise(&self, proxy: SocketAddr) -> io::Result<()> {
        self.advertise_for(self.process.address(), proxy)
    }

    /// The same for one of several nodes.
    pub fn advertise_for(&self, node: SocketAddr, proxy: SocketAddr) -> io::Result<()> {
        self.tell(&format!("advertise {} {}", node.port(), proxy.port())).map(drop)
    }

    /// Fails a node over: it is shut down, and the others take its part.
    pub fn fail_over(&self, node: usize) -> io::Result<()> {
        self.tell(&format!("failover {node}")).map(drop)
    }

    /// The process, to stop, kill, hang and restart it. A restarted one is empty.
    pub fn process(&self) -> &Process {
        &self.process
    }

    fn tell(&self, order: &str) -> io::Result<String> {
        ask((Ipv4Addr::LOCALHOST, self.process.place().port_at(2)).into(), order)
    }
}

/// How to connect through a proxy.
pub fn url(address: SocketAddr) -> String {
    format!("couchbase://session:session@{address}/session")
}

/// A line to the launcher, and its answer.
fn ask(control: SocketAddr, order: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(control)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(format!("{order}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    if answer.is_empty() || answer == "unknown\n" {
        return Err(io::Error::other(format!("the launcher does not obey `{order}`")));
    }
    Ok(answer)
}

/// The directory with the jar and the compiled launcher, made by the first who comes.
fn prepare(javac: &Path, mvn: &Path) -> io::Result<PathBuf> {
    let prepared = Path::new(PREPARED);
    fs::create_dir_all(prepared)?;
    let lock = File::create(prepared.join("lock"))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    if !prepared.join(JAR).exists() {
        let copy = [format!("-Dartifact={ARTIFACT}"), format!("-DoutputDirectory={}", prepared.display())];
        run(Command::new(mvn).args(["-q", "-B", "dependency:copy"]).args(copy))?;
    }
    let compiled = prepared.join("compiled-from.java");
    if fs::read(&compiled).ok() != Some(fs::read(LAUNCHER)?) {
        run(Command::new(javac).arg("-cp").arg(prepared.join(JAR)).arg("-d").arg(prepared).arg(LAUNCHER))?;
        fs::copy(LAUNCHER, compiled)?;
    }
    Ok(prepared.to_owned())
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(io::Error::other(format!("{command:?}: {} {}", out.trim(), err.trim())))
}
