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

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

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

    #[test]
    fn a_reserved_port_is_not_even_looked_at_by_others() {
        let port = Port::reserve().unwrap();
        let number = port.number();
        let others = thread::spawn(move || (0..20_000).all(|_| Port::with(number).is_none()));
        while !others.is_finished() {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, number));
            assert!(listener.is_ok(), "{listener:?}");
        }
        assert!(others.join().unwrap());
    }
}
