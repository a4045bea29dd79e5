//! Starting a program so that it ends with us, and as a user who is not root.

use crate::packages;
use rustix::process::{getpid, getuid, set_child_subreaper};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// The user and group that a server runs as when we are root.
#[derive(Clone, Copy, Debug)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

impl User {
    /// The system's user of that name, else `nobody`. None when we are not root: then a server runs
    /// as whoever we are.
    pub fn to_become(name: &str) -> io::Result<Option<Self>> {
        if !getuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd")?;
        find(&users, name)
            .or_else(|| find(&users, "nobody"))
            .map(Some)
            .ok_or_else(|| io::Error::other(format!("neither the user {name} nor nobody is in /etc/passwd")))
    }
}

fn find(users: &str, name: &str) -> Option<User> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some(User { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
}

/// A command that runs as that user, in its own process group (a Ctrl-C in the terminal is ours to
/// handle), and that the kernel kills when we are gone.
pub fn command(program: &Path, user: Option<User>) -> io::Result<Command> {
    let mut command = match (packages::find("setpriv"), user) {
        (None, None) => Command::new(program),
        (None, Some(_)) => {
            return Err(io::Error::other(
                "setpriv is missing: apt-get install util-linux, or do not run as root",
            ));
        }
        (Some(setpriv), user) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL"]);
            if let Some(User { uid, gid }) = user {
                command.args([format!("--reuid={uid}"), format!("--regid={gid}")]).arg("--clear-groups");
            }
            command.arg("--").arg(program);
            command
        }
    };
    // What the caller's environment says of a server would reach into a private one.
    for (name, _) in std::env::vars_os() {
        let foreign = |prefix: &str| name.as_encoded_bytes().starts_with(prefix.as_bytes());
        if foreign("PG")
            || foreign("MYSQL_")
            || foreign("MARIADB_")
            || foreign("REDISCLI_")
            || name == OsStr::new("HOME")
        {
            command.env_remove(&name);
        }
    }
    command.env("LC_ALL", "C").process_group(0);
    Ok(command)
}

type Order = (Command, Sender<io::Result<Child>>);

/// Spawns on a thread that lives as long as this process.
///
/// The kernel sends the signal of `--pdeathsig` when the *thread* that spawned ends, and tests run on
/// threads that end with the test.
pub fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        // What a killed server leaves behind comes to us and not to init (in a container often nobody).
        let _ = set_child_subreaper(Some(getpid()));
        let (orders, inbox) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let gone = || io::Error::other("the thread that starts servers is gone");
    let (answer, child) = channel();
    spawner.send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}
