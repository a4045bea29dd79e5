//! A websocket that lives for hours: it reads and changes the session while it is open, and ends when its user logs out.
//!
//! A logout in this process is told by the listener at once. Another process is noticed by `reload`, which every message does.

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use session_kit::accounts::Handle;
use session_kit::events::EventKind;
use session_kit::memory::MemoryProvider;
use session_kit::tower::{LazySession, Session, SessionError, SessionLayer};
use session_kit::{Manager, Result};
use tokio::sync::broadcast;

/// The handles of sessions that have ended.
type Ended = broadcast::Sender<Handle>;

/// The service.
pub fn app() -> Result<Router> {
    let ended: Ended = broadcast::channel(1_024).0;
    let tell = ended.clone();
    let manager = Manager::builder(MemoryProvider::new()).on_event(move |event| {
        if let (EventKind::Destroyed(_), Some(handle)) = (event.kind, event.handle) {
            // Nobody listens where there is no socket.
            let _ = tell.send(handle);
        }
    });
    Ok(Router::new()
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/chat", get(chat))
        .with_state(ended)
        .layer(SessionLayer::new(manager.build()?)))
}

async fn login(session: Session) -> Result<&'static str, SessionError> {
    session.sign_in("ada")?;
    Ok("welcome")
}

async fn logout(session: Session) -> Result<&'static str, SessionError> {
    session.destroy().await?;
    Ok("good bye")
}

async fn chat(
    State(ended): State<Ended>,
    lazy: LazySession,
    upgrade: WebSocketUpgrade,
) -> Result<Response, SessionError> {
    let session = lazy.session().await?.into_inner();
    let Some(handle) = session.handle() else {
        return Ok((StatusCode::UNAUTHORIZED, "sign in first").into_response());
    };
    let ended = ended.subscribe();
    Ok(upgrade.on_upgrade(move |socket| talk(socket, session, handle, ended)))
}

async fn talk(
    mut socket: WebSocket,
    session: session_kit::Session,
    handle: Handle,
    mut ended: broadcast::Receiver<Handle>,
) {
    loop {
        let message = tokio::select! {
            message = socket.recv() => message,
            event = ended.recv() => match event {
                Ok(other) if other != handle => continue,
                // It ended, or too many others did to know: `reload` tells.
                _ if session.reload().await.is_ok() => continue,
                _ => break,
            },
        };
        let Some(Ok(Message::Text(text))) = message else { break };
        let Ok(count) = note(&session).await else { break };
        if socket.send(Message::Text(format!("{count}: {text}").into())).await.is_err() {
            return;
        }
    }
    let _ = socket.send(Message::Close(None)).await;
}

/// Counts a message in the session, which is read anew before and stored after it.
async fn note(session: &session_kit::Session) -> Result<u64> {
    session.reload().await?;
    let count = session.update("messages", |count: Option<u64>| count.unwrap_or(0) + 1)?;
    session.save().await?;
    Ok(count)
}
