//! A proxy in a process that forks all the time, as one does whose tests start servers. In a program of its own:
//! whatever is forked has for an instant what the other threads have open.
#![allow(clippy::unwrap_used)] // test code

use session_servers::proxy::Proxy;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[test]
fn a_proxy_starts_and_refuses_also_while_others_fork() {
    let (stop, server) = (AtomicBool::new(false), SocketAddr::from((Ipv4Addr::LOCALHOST, 9)));
    let start_and_refuse = || -> io::Result<bool> {
        let proxy = Proxy::start(server)?;
        proxy.refuse();
        let refused = TcpStream::connect(proxy.address());
        Ok(refused.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused))
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    Command::new("true").status().unwrap();
                }
            });
        }
        let refused: io::Result<Vec<bool>> = (0..300).map(|_| start_and_refuse()).collect();
        stop.store(true, Ordering::Relaxed);
        assert!(refused.unwrap().into_iter().all(|refused| refused));
    });
}
