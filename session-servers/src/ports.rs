//! Free loopback ports that stay reserved, also while the server behind them is down.
//!
//! Two rules make a port safe to come back to after a restart. It lies below the range from which the
//! system picks the ports of outgoing connections, so that no client (not even one that tries to
//! reach the stopped server) is given it. And the UDP port of the same number is bound for as long as
//! the reservation lives, so that no other test process hands the port out; no server here uses UDP.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

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
        for step in 0..u64::from(COUNT) {
            let offset = (start.wrapping_add(step)) % u64::from(COUNT);
            let number = FIRST + u16::try_from(offset).unwrap_or_default();
            // A listener on any address would get in the way of a server that binds all of them.
            let free = TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).is_ok();
            if let (true, Ok(udp_twin)) = (free, UdpSocket::bind((Ipv4Addr::LOCALHOST, number))) {
                return Ok(Self { number, _udp_twin: udp_twin });
            }
        }
        Err(io::Error::other(format!("no free port from {FIRST} to {}", FIRST + COUNT - 1)))
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
        let mut numbers: Vec<u16> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 50);
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, numbers[0])).is_ok());
    }
}
