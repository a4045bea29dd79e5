//! What a client sends: cookies, the header and the query, with bytes of any kind in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use session_core::{CookieSettings, Incoming, MAX_CANDIDATES, Transport};

fuzz_target!(|input: (Vec<Vec<u8>>, Option<Vec<u8>>, Option<String>)| {
    let (cookies, header, query) = input;
    let cookies: Vec<&[u8]> = cookies.iter().map(Vec::as_slice).collect();
    let transport =
        Transport::cookie(CookieSettings::host_prefixed("id")).with_header("X-Session").with_query("id");
    let incoming = Incoming { cookies: &cookies, header: header.as_deref(), query: query.as_deref() };
    let found = transport.candidates(incoming, &|_| true);
    assert!(found.len() <= MAX_CANDIDATES);
    for token in found.iter() {
        assert!(session_core::Token::new(token.expose()).is_some());
    }
});
