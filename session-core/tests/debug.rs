//! No public type prints a token, a secret or a value that it holds.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fmt::Debug;

use session_core::clock::{Clock, SystemClock};
use session_core::engine::Stored;
use session_core::id::{StorageId, Token};
use session_core::record::{Body, Header, Record, State, Value};
use session_core::transport::{Connection, CookieContext, CookieSettings, Domains, Incoming, Transport};
use session_core::{ManagerConfig, Secret};

/// Alphanumeric, so that it is a token, a cookie, a password and a value.
const SECRET: &str = "hunter2hunter2hunter2hunter2hunter2hunter2";

fn hides(what: &dyn Debug) {
    let printed = [format!("{what:?}"), format!("{what:#?}")].concat();
    assert!(!printed.contains(SECRET), "{printed}");
    assert!(!printed.contains("hunter2"), "{printed}");
    // Bytes print as a list of numbers.
    let numbers = format!("{:?}", SECRET.as_bytes());
    assert!(!printed.replace([' ', '\n'], "").contains(&numbers[1..40].replace(' ', "")), "{printed}");
}

#[test]
fn tokens_of_a_request_are_not_printed() {
    let cookie = format!("id={SECRET}; other={SECRET}");
    let query = format!("id={SECRET}");
    let incoming =
        Incoming { cookies: &[cookie.as_bytes()], header: Some(SECRET.as_bytes()), query: Some(&query) };
    hides(&incoming);
    let ways = Transport::cookie(CookieSettings::named("id")).with_header("X-Session").with_query("id");
    let found = ways.candidates(incoming, &|_| true);
    assert_eq!(found.len(), 1);
    hides(&found);
    hides(&found.into_iter());
}

#[test]
fn tokens_of_a_response_are_not_printed() {
    let token = Token::new(SECRET).unwrap();
    hides(&token);
    let transport = Transport::default().with_header("X-Session");
    let context = transport.context(Connection::default());
    hides(&context);
    let mut headers = transport.set(&token, None, &context).unwrap();
    hides(&headers);
    headers.next();
    hides(&headers);
    hides(&transport.remove(&CookieContext::default()));
    let by_host = Domains::by(|_| Some(SECRET.to_owned()));
    hides(&Transport::cookie(CookieSettings::named("id").domains(by_host)));
}

#[test]
fn stored_values_are_not_printed() {
    let value = Value::encode(SECRET).unwrap();
    hides(&value);
    let mut body = Body::default();
    body.insert("password", value);
    hides(&body);
    let now = SystemClock.now();
    let mut record = Record::new(Header::new(now, now, now), body);
    hides(&record);
    let id = StorageId::plain(SECRET).unwrap();
    hides(&id);
    record.header.state = State::Moved(id);
    hides(&record);
    hides(&record.header);
    let mut stored = Stored::default();
    stored.token = Token::new(SECRET);
    hides(&stored);
}

#[test]
fn secrets_of_a_configuration_are_not_printed() {
    hides(&Secret::new(SECRET));
    let json = format!(r#"{{"providerConfig":"redis://:{SECRET}@host","sessionIDHashKey":"{SECRET}"}}"#);
    let config = ManagerConfig::from_json(&json).unwrap();
    hides(&config);
    hides(&config.id_generator().unwrap());
    let error =
        ManagerConfig::from_json(&format!(r#"{{"providerConfig":"{SECRET}","gclifetime":"{SECRET}"}}"#));
    hides(&error.unwrap_err());
}
