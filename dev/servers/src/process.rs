//! One server process: a private directory, a free port, a log, and a life that ends with its handle.
//!
//! How a server is started is said in a [`Launch`]; [`Launch::start`] gives a running [`Process`].
//! All calls block; from an async test that is fine where nothing else has to move meanwhile.

use crate::dir::Dir;
use crate::ports::Port;
use crate::signals;
use crate::spawn::{User, command, spawn};
use rustix::process::Pid;
pub use rustix::process::Signal;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

type Hook<T> = Box<dyn Fn(&Place) -> T + Send + Sync>;

/// How a server is started, and when it counts as up.
pub struct Launch {
    name: &'static str,
    program: PathBuf,
    user: Option<&'static str>,
    ports: usize,
    timeout: Duration,
    stop_signal: Signal,
    prepare: Hook<io::Result<()>>,
    arguments: Hook<Vec<String>>,
    ready: Hook<io::Result<()>>,
}

impl Launch {
    /// A server of that name (it names the directory, the log and the errors) and the program to run.
    pub fn new(name: &'static str, program: impl Into<PathBuf>) -> Self {
        Self {
            name,
            program: program.into(),
            user: None,
            ports: 1,
            timeout: Duration::from_secs(60),
            stop_signal: Signal::TERM,
            prepare: Box::new(|_| Ok(())),
            arguments: Box::new(|_| Vec::new()),
            ready: Box::new(|place| std::net::TcpStream::connect(place.address()).map(drop)),
        }
    }

    /// Runs as that user (or `nobody` where there is none) when we are root. For servers that refuse
    /// to run as root. When we are not root it changes nothing.
    #[must_use]
    pub fn user(mut self, name: &'static str) -> Self {
        self.user = Some(name);
        self
    }

    /// How many ports the server needs; one by default.
    #[must_use]
    pub fn ports(mut self, count: usize) -> Self {
        self.ports = count;
        self
    }

    /// How long the server may take to come up; 60 s by default (machines that run tests are busy).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The signal of [`Process::stop`]; `SIGTERM` by default.
    #[must_use]
    pub fn stop_signal(mut self, signal: Signal) -> Self {
        self.stop_signal = signal;
        self
    }

    /// Runs once, before the first start: writes a configuration, sets up a data directory.
    #[must_use]
    pub fn prepare(mut self, hook: impl Fn(&Place) -> io::Result<()> + Send + Sync + 'static) -> Self {
        self.prepare = Box::new(hook);
        self
    }

    /// The server's arguments. It must stay in the foreground.
    #[must_use]
    pub fn arguments(mut self, hook: impl Fn(&Place) -> Vec<String> + Send + Sync + 'static) -> Self {
        self.arguments = Box::new(hook);
        self
    }

    /// Asks the server whether it is up, again and again until it is. An answer from the server is a
    /// better sign than an open port; by default, an open port is enough.
    #[must_use]
    pub fn ready(mut self, hook: impl Fn(&Place) -> io::Result<()> + Send + Sync + 'static) -> Self {
        self.ready = Box::new(hook);
        self
    }

    /// Starts the server and waits until it is ready. The error holds the end of the server's log.
    pub fn start(self) -> io::Result<Process> {
        let launch = Arc::new(self);
        let mut tries = 3;
        loop {
            tries -= 1;
            let place = Place::new(&launch)?;
            (launch.prepare)(&place)?;
            let child = launch.run(&place)?;
            let process = Process { launch: Arc::clone(&launch), place, child: Mutex::new(Some(child)) };
            match process.wait_until_ready() {
                Ok(()) => return Ok(process),
                // Somebody had the port between our look and the server's: again, elsewhere.
                Err(_) if tries > 0 && !process.is_running() && process.lost_a_port() => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn run(&self, place: &Place) -> io::Result<Child> {
        let log = File::options().create(true).append(true).open(place.log_file())?;
        let mut command = command(&self.program, place.user)?;
        command.args((self.arguments)(place)).current_dir(place.dir()).env("HOME", place.dir());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        spawn(command).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot start {}: {error}", self.program.display()))
        })
    }
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch")
            .field("name", &self.name)
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

/// Where a server lives: a private directory, removed with its server, and its ports.
#[derive(Debug)]
pub struct Place {
    dir: Dir,
    ports: Vec<Port>,
    user: Option<User>,
}

impl Place {
    fn new(launch: &Launch) -> io::Result<Self> {
        let user = launch.user.map(User::to_become).transpose()?.flatten();
        let dir = Dir::new(launch.name)?;
        if let Some(User { uid, gid }) = user {
            chown(dir.path(), Some(uid), Some(gid))?;
        }
        let ports = (0..launch.ports).map(|_| Port::reserve()).collect::<io::Result<_>>()?;
        Ok(Self { dir, ports, user })
    }

    /// The directory: mode 0700, owned by the user that the server runs as.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A path in the directory, as text for a command line.
    pub fn path(&self, name: &str) -> String {
        self.dir().join(name).display().to_string()
    }

    /// The first port.
    pub fn port(&self) -> u16 {
        self.port_at(0)
    }

    /// One of the ports that [`Launch::ports`] asked for; 0 (which no server listens on) beyond them.
    pub fn port_at(&self, index: usize) -> u16 {
        self.ports.get(index).map_or(0, Port::number)
    }

    /// Where the server listens on its first port.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port()).into()
    }

    /// Runs a program to its end in the directory, as the server's user, and returns what it printed.
    /// When it fails the error holds what it printed.
    pub fn run(&self, program: &Path, arguments: &[&str], input: &str) -> io::Result<String> {
        let mut command = command(program, self.user)?;
        command.args(arguments).current_dir(self.dir()).env("HOME", self.dir());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(command)?;
        if let Some(mut stdin) = child.stdin.take() {
            // Who does not read its input to the end says by its exit code whether that is bad.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output()?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if output.status.success() {
            return Ok(out.into_owned());
        }
        let name = program.file_name().unwrap_or_default().display();
        Err(io::Error::other(format!("{name}: {}: {} {}", output.status, err.trim(), out.trim())))
    }

    fn log_file(&self) -> PathBuf {
        self.dir().join("server.log")
    }
}

/// A server that was started, and may be stopped by now. Dropping it kills it and removes its directory.
#[derive(Debug)]
pub struct Process {
    launch: Arc<Launch>,
    // Before `place`: the directory goes last.
    child: Mutex<Option<Child>>,
    place: Place,
}

impl Process {
    /// Its directory and ports.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Where it listens on its first port.
    pub fn address(&self) -> SocketAddr {
        self.place.address()
    }

    /// Its first port.
    pub fn port(&self) -> u16 {
        self.place.port()
    }

    /// What it has logged so far, over all its restarts.
    pub fn log(&self) -> String {
        fs::read(self.place.log_file())
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .unwrap_or_default()
    }

    /// Whether the process is there (paused counts).
    pub fn is_running(&self) -> bool {
        self.child().as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Stops it as an administrator would, and waits until it is gone; after 20 s it is killed.
    /// Nothing to do when it is not running.
    pub fn stop(&self) -> io::Result<()> {
        let mut child = self.child();
        let Some(pid) = running(&mut child) else { return Ok(()) };
        signals::send_to_all(pid, Signal::CONT)?;
        signals::send(pid, self.launch.stop_signal)?;
        let deadline = Instant::now() + Duration::from_secs(20);
        while running(&mut child).is_some() {
            if Instant::now() > deadline {
                return kill(&mut child);
            }
            sleep(Duration::from_millis(5));
        }
        *child = None;
        Ok(())
    }

    /// Kills it and everything it has forked at once (`SIGKILL`), as a crash would.
    pub fn kill(&self) -> io::Result<()> {
        kill(&mut self.child())
    }

    /// Makes it hang (`SIGSTOP`, everything it has forked as well): the system still accepts connections
    /// for it, and nothing is answered.
    pub fn pause(&self) -> io::Result<()> {
        self.signal_all(Signal::STOP)
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) -> io::Result<()> {
        self.signal_all(Signal::CONT)
    }

    /// Stops it when it runs, starts it again with the same directory and ports, and waits until it is ready.
    pub fn restart(&self) -> io::Result<()> {
        self.stop()?;
        *self.child() = Some(self.launch.run(&self.place)?);
        self.wait_until_ready()
    }

    /// Whether it ended because somebody else listens on its port, or did a moment ago.
    fn lost_a_port(&self) -> bool {
        let can_bind = |port: &Port| TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).is_ok();
        !self.place.ports.iter().all(can_bind) || self.log().contains("Address already in use")
    }

    fn signal_all(&self, signal: Signal) -> io::Result<()> {
        let mut child = self.child();
        let pid = running(&mut child).ok_or_else(|| io::Error::other("the server is not running"))?;
        signals::send_to_all(pid, signal).map(drop)
    }

    fn wait_until_ready(&self) -> io::Result<()> {
        let deadline = Instant::now() + self.launch.timeout;
        loop {
            // The order matters: an answer counts only while it is our process that can have given it.
            let answer = (self.launch.ready)(&self.place);
            let up = self.is_running();
            match answer {
                Ok(()) if up => return Ok(()),
                _ if !up => return Err(self.failure("ended before it was ready")),
                Err(last) if Instant::now() > deadline => {
                    return Err(
                        self.failure(&format!("is not ready after {:?}: {last}", self.launch.timeout))
                    );
                }
                _ => sleep(Duration::from_millis(20)),
            }
        }
    }

    fn failure(&self, what: &str) -> io::Error {
        const LINES: usize = 40;
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(LINES)..].join("\n");
        io::Error::other(format!("the server {} {what}; its log ends:\n{end}", self.launch.name))
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = kill(&mut self.child());
    }
}

/// The process id, when the process has not ended yet.
fn running(child: &mut Option<Child>) -> Option<Pid> {
    let child = child.as_mut()?;
    matches!(child.try_wait(), Ok(None)).then(|| Pid::from_child(child))
}

fn kill(child: &mut Option<Child>) -> io::Result<()> {
    if let Some(pid) = running(child) {
        signals::kill_all(pid)?;
    }
    if let Some(mut child) = child.take() {
        child.wait()?;
    }
    Ok(())
}
