//! Input of clients: cookies, the header, the query and the host; and cache headers of an
//! application.

use session_core::id::Token;
use session_core::transport::{
    Caching, Connection, CookieSettings, Domains, Incoming, MAX_CANDIDATES, Transport,
};

/// The bytes are split at line feeds: the first line is the header, the query, the host and the
/// rest cookies.
pub fn cookies(bytes: &[u8]) {
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let first = lines.first().copied().unwrap_or_default();
    let transport =
        Transport::cookie(CookieSettings::host_prefixed("id")).with_header("X-Session").with_query("id");
    let query = std::str::from_utf8(first).ok();
    for incoming in [
        Incoming { cookies: &lines, header: Some(first), query },
        Incoming { cookies: &[], header: Some(first), query },
        Incoming { cookies: &[], header: None, query },
    ] {
        let found = transport.candidates(incoming, &|_| true);
        assert!(found.len() <= MAX_CANDIDATES);
        for token in found.iter() {
            assert!(Token::new(token.expose()).is_some());
        }
    }
    answer(first);
    for (loaded, sets_token) in [(false, false), (true, false), (true, true)] {
        let caching = Caching::of(lines.iter().copied(), loaded, sets_token);
        if sets_token && caching == Caching::Keep {
            let is_word =
                |word: &[u8]| bytes.to_ascii_lowercase().windows(word.len()).any(|part| part == word);
            assert!(is_word(b"no-store") || is_word(b"private"));
        }
    }
}

/// For every host, the result is one line without attributes from the client.
fn answer(host: &[u8]) {
    let domains = Domains::by(|host| Some(host.split_once('.')?.1.to_owned()));
    let transport = Transport::cookie(CookieSettings::named("id").domains(domains));
    let connection = Connection {
        host: Some(host),
        forwarded: Some(host),
        forwarded_proto: Some(host),
        ..Connection::default()
    };
    for (_, value) in transport.remove(&transport.context(connection)) {
        assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        assert!(value.matches(';').count() <= 7);
    }
}
