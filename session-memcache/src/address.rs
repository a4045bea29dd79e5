//! The address of a server: `host:port`, or a Unix socket. Sessions are routed by this text.

use session_core::Result;

use crate::config::wrong;

const DEFAULT_PORT: u16 = 11211;

/// The prefix of the name of a server on a Unix socket; no host name has a colon there.
const UNIX: &str = "unix:";

/// The path of a server that listens on a Unix socket.
pub(crate) fn socket(server: &str) -> Option<&str> {
    server.strip_prefix(UNIX)
}

/// A configured server in canonical form: with its port, or as `unix:/path`.
pub(crate) fn parse(number: usize, text: &str) -> Result<String> {
    let path = socket(text).or_else(|| text.starts_with('/').then_some(text));
    path.map_or_else(|| host_and_port(number, text), |path| unix(number, path))
}

fn unix(number: usize, path: &str) -> Result<String> {
    // The system's limit for a socket path, without its final zero byte.
    const LONGEST: usize = 107;
    if !path.starts_with('/') || path.ends_with('/') || path.contains('\0') || path.len() > LONGEST {
        let why = format!(
            "server {number} is not a socket: `unix:` takes the absolute path of one, up to {LONGEST} bytes"
        );
        return Err(wrong(&why));
    }
    if cfg!(not(unix)) {
        return Err(wrong(&format!("server {number} is a Unix socket, which this system does not support")));
    }
    Ok(format!("{UNIX}{path}"))
}

/// `host`, `host:port`, `[::1]` or `[::1]:port`.
fn host_and_port(number: usize, text: &str) -> Result<String> {
    let bad = |why: &str| wrong(&format!("server {number} {why}"));
    let (host, port) = match text.rfind(':') {
        Some(colon) if !text.ends_with(']') => (&text[..colon], Some(&text[colon + 1..])),
        _ => (text, None),
    };
    if host.is_empty() {
        return Err(bad("has no host"));
    }
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_is_good = match bracketed {
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')),
    };
    if !host_is_good {
        return Err(bad("is not a host name or an IP address (IPv6 is written `[::1]:11211`)"));
    }
    match port.map_or(Ok(DEFAULT_PORT), str::parse) {
        Ok(port) if port != 0 => Ok(format!("{}:{port}", host.to_ascii_lowercase())),
        _ => Err(bad("has a port that is not a number from 1 to 65535")),
    }
}
