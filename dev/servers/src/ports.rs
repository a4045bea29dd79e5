//! Free loopback ports that stay reserved, also while the server behind them is down.
//!
//! Two rules make a port safe to come back to after a restart. It lies below the range from which the
//! system picks the ports of outgoing connections, so that no client (not even one that tries to
//! reach the stopped server) is given it. And the UDP port of the same number is bound for as long as
//! the reservation lives, so that no other test process hands the port out; no server here uses UDP.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Below the usual `ip_local_port_range` (from 32768), above what daemons are configured to.
const FIRST: u16 = 15_000;
const COUNT: u16 = 17_000;

/// A loopback port that no other test is given while this value lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _udp_twin: UdpSocket,
}

impl Port {
    /// Reserves a port on which nobody listens.
    pub fn reserve() -> io::Result<Self> {
        let start = RandomState::new().hash_one(std::process::id());
        let numbers = (0..u64::from(COUNT)).map(|step| (start.wrapping_add(step)) % u64::from(COUNT));
        let mut numbers = numbers.map(|offset| FIRST + u16::try_from(offset).unwrap_or_default());
        numbers
            .find_map(Self::with)
            .ok_or_else(|| io::Error::other(format!("no free port from {FIRST} to {}", FIRST + COUNT - 1)))
    }

    /// This port, unless somebody has it.
    fn with(number: u16) -> Option<Self> {
        // First, so that nobody's reserved port is looked at: for that moment its server could not listen.
        let udp_twin = UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        // A listener on any address would get in the way of a server that binds all of them.
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).ok()?;
        Some(Self { number, _udp_twin: udp_twin })
    }

    /// Listens on it.
    pub fn listen(&self) -> io::Result<TcpListener> {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            match TcpListener::bind((Ipv4Addr::LOCALHOST, self.number)) {
                // A process that was forked while somebody listened here (we, when we looked whether it is free)
                // has that listener too, until it becomes another program.
                Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {
                    sleep(Duration::from_millis(1));
                }
                result => return result,
            }
        }
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_port_is_free_and_is_not_given_twice() {
        let ports: Vec<Port> = (0..50).map(|_| Port::reserve().unwrap()).collect();
        assert!(ports[0].listen().is_ok());
        let mut numbers: Vec<u16> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 50);
    }
}
