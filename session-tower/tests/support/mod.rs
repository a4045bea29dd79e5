//! A small engine whose failures tests decide, and requests through a service without a network.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use session_core::{
    Capabilities, Clock, Condition, CookieSettings, DestroyOutcome, Error, ErrorKind, Manager,
    ManagerBuilder, Provider, Record, Result, Stamp, State, StorageId, SystemClock, Timestamp, Transport,
    WriteOutcome,
};
use tower::ServiceExt;

/// Records on a shelf. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Shelf(Arc<Inner>);

type Records = HashMap<StorageId, (Record, Timestamp)>;

#[derive(Debug, Default)]
struct Inner {
    records: Mutex<Records>,
    calls: AtomicU64,
    reads_fail: Mutex<Option<ErrorKind>>,
    writes_fail: Mutex<Option<ErrorKind>>,
}

impl Shelf {
    /// How many calls it had since it was last asked.
    pub fn calls(&self) -> u64 {
        self.0.calls.swap(0, Ordering::SeqCst)
    }

    pub fn fail_reads(&self, kind: impl Into<Option<ErrorKind>>) {
        *self.0.reads_fail.lock().unwrap() = kind.into();
    }

    pub fn fail_writes(&self, kind: impl Into<Option<ErrorKind>>) {
        *self.0.writes_fail.lock().unwrap() = kind.into();
    }

    /// How many sessions lie on it.
    pub fn sessions(&self) -> usize {
        self.0.records.lock().unwrap().values().filter(|(record, _)| record.is_live()).count()
    }

    /// Ends every session, as an administrator might.
    pub fn wipe(&self) {
        self.0.records.lock().unwrap().clear();
    }

    fn call(&self, fails: &Mutex<Option<ErrorKind>>) -> Result<()> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        let kind = *fails.lock().unwrap();
        kind.map_or(Ok(()), |kind| Err(Error::new(kind, "host db.internal:5432 is secret")))
    }

    fn live(&self, id: &StorageId) -> Option<Record> {
        Self::live_in(&self.0.records.lock().unwrap(), id)
    }

    fn live_in(records: &Records, id: &StorageId) -> Option<Record> {
        records.get(id).filter(|(_, end)| SystemClock.now() < *end).map(|(record, _)| record.clone())
    }
}

#[async_trait]
impl Provider for Shelf {
    fn engine(&self) -> &'static str {
        "shelf"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new().slides_on_read(true)
    }

    async fn read(&self, id: &StorageId, _: Duration) -> Result<Option<Record>> {
        self.call(&self.0.reads_fail)?;
        // Others get their turn between a read and a write, or nothing would ever conflict.
        tokio::task::yield_now().await;
        Ok(self.live(id))
    }

    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        when: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        self.call(&self.0.writes_fail)?;
        let mut records = self.0.records.lock().unwrap();
        let current = Self::live_in(&records, id);
        let allowed = match (&current, when) {
            (None, Condition::Absent) => true,
            (Some(current), Condition::Over(stamp)) => current.stamp() == stamp,
            _ => false,
        };
        if !allowed {
            return Ok(WriteOutcome::refused(current));
        }
        let end = SystemClock.now().after(ttl);
        records.insert(id.clone(), (record.clone(), end));
        Ok(WriteOutcome::stored())
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        self.call(&self.0.writes_fail)?;
        let mut records = self.0.records.lock().unwrap();
        let Some(record) = Self::live_in(&records, id) else { return Ok(DestroyOutcome::Absent) };
        if let State::Moved(new) = record.header.state {
            return Ok(DestroyOutcome::Moved(new));
        }
        if expected.is_some_and(|stamp| stamp != record.stamp()) {
            return Ok(DestroyOutcome::Refused(Box::new(record)));
        }
        records.remove(id);
        Ok(DestroyOutcome::Destroyed)
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        Ok(self.live(id).is_some())
    }

    async fn count(&self) -> Result<Option<u64>> {
        Ok(Some(self.sessions() as u64))
    }

    async fn gc(&self, _: usize) -> Result<usize> {
        Ok(0)
    }
}

/// The name of the session's cookie in these tests.
pub const NAME: &str = "__Host-session";

pub fn builder(shelf: &Shelf) -> ManagerBuilder {
    Manager::builder(shelf.clone()).operation_timeout(Duration::from_secs(10))
}

pub fn manager(shelf: &Shelf) -> Manager {
    builder(shelf).build().unwrap()
}

pub fn with_cookie(shelf: &Shelf, cookie: CookieSettings) -> Manager {
    builder(shelf).transport(Transport::cookie(cookie)).build().unwrap()
}

pub fn get(path: &str, cookie: &str) -> Request<Body> {
    let mut request = Request::get(path);
    if !cookie.is_empty() {
        request = request.header(COOKIE, cookie);
    }
    request.body(Body::empty()).unwrap()
}

pub async fn send(app: &Router, request: Request<Body>) -> Response<Body> {
    app.clone().oneshot(request).await.unwrap()
}

pub async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.into()).unwrap()
}

/// Every `Set-Cookie` of a response.
pub fn set_cookies(response: &Response<Body>) -> Vec<&str> {
    response.headers().get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect()
}

/// The `name=value` of the one session cookie that the response sets.
pub fn cookie_of(response: &Response<Body>) -> String {
    let ours: Vec<_> =
        set_cookies(response).into_iter().filter(|cookie| cookie.contains("session=")).collect();
    assert_eq!(ours.len(), 1, "one session cookie: {ours:?}");
    ours[0].split(';').next().unwrap().to_owned()
}

pub fn header<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    let all: Vec<_> = response.headers().get_all(name).iter().collect();
    assert!(all.len() <= 1, "{name} more than once: {all:?}");
    all.first().map(|value| value.to_str().unwrap())
}

/// That the answer is this status, with an empty body and no session cookie.
pub async fn assert_refused(response: Response<Body>, status: StatusCode) {
    assert_eq!(response.status(), status);
    assert_eq!(set_cookies(&response), Vec::<&str>::new());
    assert_eq!(text(response).await, "");
}
