//! Ctrl-C and its like end what is running, and not us: the servers are still to be stopped.

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::sleep;
use std::time::Duration;

/// Whether somebody has asked us to stop.
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on SIGINT, SIGTERM and SIGHUP are noted and do not end this process.
    pub fn listen() -> io::Result<Self> {
        let came = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&came))?;
        }
        Ok(Self(came))
    }

    /// Whether one came.
    pub fn came(&self) -> bool {
        self.0.load(SeqCst)
    }

    /// Waits for one.
    pub fn wait(&self) {
        while !self.came() {
            sleep(Duration::from_millis(50));
        }
    }

    /// Runs a command to its end; an interrupt ends it, and all that it has started.
    pub fn run(&self, command: &mut Command) -> io::Result<ExitStatus> {
        let mut child = command.stdin(Stdio::null()).process_group(0).spawn()?;
        let group = Pid::from_child(&child);
        let mut told = false;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if self.came() && !told {
                told = true;
                let _ = kill_process_group(group, Signal::TERM);
            }
            sleep(Duration::from_millis(20));
        }
    }
}
