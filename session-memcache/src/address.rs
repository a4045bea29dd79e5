//! Where a server listens: `host:port`, or a Unix socket. The text is also the name that sessions are routed by.

use session_core::Result;

use crate::config::wrong;

const DEFAULT_PORT: u16 = 11211;

/// What the name of a server on a Unix socket begins with; no host name contains a colon there.
const UNIX: &str = "unix:";

/// The path of a server that listens on a Unix socket.
pub(crate) fn socket(server: &str) -> Option<&str> {
    server.strip_prefix(UNIX)
}

/// One server as it is configured, in the form that is always the same: with its port, or as `unix:/path`.
pub(crate) fn parse(number: usize, text: &str) -> Result<String> {
    let path = socket(text).or_else(|| text.starts_with('/').then_some(text));
    path.map_or_else(|| host_and_port(number, text), |path| unix(number, path))
}

fn unix(number: usize, path: &str) -> Result<String> {
    // The system's limit for the address of a socket, of which one byte is the end.
    const LONGEST: usize = 107;
    if !path.starts_with('/') || path.ends_with('/') || path.contains('\0') || path.len() > LONGEST {
        let why = format!(
            "server {number} is no socket: `unix:` takes the absolute path of one, up to {LONGEST} bytes"
        );
        return Err(wrong(&why));
    }
    if cfg!(not(unix)) {
        return Err(wrong(&format!("server {number} is a Unix socket, and this system has none")));
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
        return Err(bad("is no host name and no IP address (IPv6 is written `[::1]:11211`)"));
    }
    match port.map_or(Ok(DEFAULT_PORT), str::parse) {
        Ok(port) if port != 0 => Ok(format!("{}:{port}", host.to_ascii_lowercase())),
        _ => Err(bad("has a port that is not a number from 1 to 65535")),
    }
}
