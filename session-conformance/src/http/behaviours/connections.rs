//! Streamed bodies.

use std::sync::{Arc, Mutex};

use session_core::{ErrorKind, Session};
use tokio::sync::mpsc;

use super::super::{Adapter, Answer, Shelf};
use super::{NAME, usual};

pub async fn a_stream_is_not_buffered_and_the_session_is_stored_before_its_head_leaves<A: Adapter>() {
    let shelf = Shelf::default();
    let (chunks, receiver) = mpsc::channel(1);
    let receiver = Mutex::new(Some(receiver));
    let streams = move |session: Session| {
        let chunks = receiver.lock().expect("no panic").take().expect("one request");
        async move {
            session.set("n", &1)?;
            Ok(Answer::stream(chunks))
        }
    };
    let (_server, client) = usual(&shelf).get("/stream", streams).serve::<A>();
    let mut connection = client.open("/stream", b"").await;
    let head = connection.read_until("\r\n\r\n").await;
    assert!(head.contains(&format!("set-cookie: {NAME}=")), "{head}");
    assert_eq!(shelf.sessions(), 1, "stored before the body starts");
    for chunk in ["first", "second"] {
        chunks.send(chunk.to_owned()).await.expect("a stream that is read");
        let got = connection.read_until(chunk).await;
        assert!(got.contains(chunk), "{got}");
    }
}

/// Server-sent events: the head is sent with the cookie, and the stream can read but not set
/// values.
pub async fn a_stream_can_read_the_session_and_a_set_is_an_error<A: Adapter>() {
    let shelf = Shelf::default();
    let told = Arc::new(Mutex::new(None));
    let place = Arc::clone(&told);
    let (go, released) = mpsc::channel(1);
    let released = Arc::new(tokio::sync::Mutex::new(released));
    let streams = move |session: Session| {
        let (place, released) = (Arc::clone(&place), Arc::clone(&released));
        async move {
            session.set("n", &1_u64)?;
            let (chunks, receiver) = mpsc::channel(1);
            tokio::spawn(async move {
                released.lock().await.recv().await;
                let read = session.get::<u64>("n")?;
                let refused = session.set("n", &2_u64).expect_err("it could not be stored").kind();
                session.reload().await?;
                session.set("n", &3_u64)?;
                session.save().await?;
                *place.lock().expect("no panic") = Some((read, refused));
                drop(chunks);
                Ok::<_, session_core::Error>(())
            });
            Ok(Answer::stream(receiver))
        }
    };
    let (_server, client) = usual(&shelf).get("/stream", streams).serve::<A>();
    let mut connection = client.open("/stream", b"").await;
    let head = connection.read_until("\r\n\r\n").await;
    let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
    let cookie = cookie.split(';').next().unwrap_or_default();
    assert_eq!(client.get("/read", cookie).await.text, "Some(1)", "stored before the first byte");
    go.send(()).await.expect("a stream that waits");
    connection.read_until("0\r\n\r\n").await;
    assert_eq!(*told.lock().expect("no panic"), Some((Some(1), ErrorKind::Released)));
    assert_eq!(client.get("/read", cookie).await.text, "Some(3)");
}
