//! Notices sent by the test, and a read that the test can pause: for orders of events that no
//! server can be made to produce.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use session_conformance::layers::{Around, Call, Layer, Method};
use session_core::engine::{Listener, Notice};
use session_core::{Error, ErrorKind, Provider, Result};
use tokio::sync::{Notify, mpsc};

/// The bus of a test. Clones share its state.
#[derive(Debug, Clone, Default)]
pub struct Hand(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_up: AtomicBool,
    is_silent: AtomicBool,
    sender: Mutex<Option<mpsc::UnboundedSender<Notice>>>,
    sent: AtomicUsize,
    /// The number of notices that the listener has handled: it has asked for the next one.
    done: AtomicUsize,
    listeners: AtomicUsize,
    before: Hook,
}

/// A check that a test makes before a notice is passed on.
#[derive(Default)]
struct Hook(Mutex<Option<Box<dyn Fn() + Send>>>);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").finish_non_exhaustive()
    }
}

impl Hand {
    /// Listeners can connect.
    pub fn up(&self) {
        self.0.is_up.store(true, Ordering::SeqCst);
    }

    /// Breaks the connection, and refuses a new one.
    pub fn down(&self) {
        self.0.is_up.store(false, Ordering::SeqCst);
        self.0.sender.lock().unwrap().take();
    }

    /// The server stops answering.
    pub fn silence(&self) {
        self.0.is_silent.store(true, Ordering::SeqCst);
    }

    pub fn listeners(&self) -> usize {
        self.0.listeners.load(Ordering::SeqCst)
    }

    /// Looks at something whenever a notice has arrived that is not followed yet.
    pub fn before_notices(&self, look: impl Fn() + Send + 'static) {
        *self.0.before.0.lock().unwrap() = Some(Box::new(look));
    }

    /// Sends a notice.
    pub fn post(&self, notice: Notice) {
        self.0.sent.fetch_add(1, Ordering::SeqCst);
        self.0.sender.lock().unwrap().as_ref().unwrap().send(notice).unwrap();
    }

    /// Sends a notice, and waits until the listener has done what it asks for.
    pub async fn send(&self, notice: Notice) {
        self.post(notice);
        let sent = self.0.sent.load(Ordering::SeqCst);
        super::until("the notice has arrived", async || self.0.done.load(Ordering::SeqCst) == sent).await;
    }

    pub fn listen(&self) -> Result<Box<dyn Listener>> {
        if !self.0.is_up.load(Ordering::SeqCst) {
            return Err(lost());
        }
        let (sender, notices) = mpsc::unbounded_channel();
        *self.0.sender.lock().unwrap() = Some(sender);
        self.0.listeners.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Listening { state: Arc::clone(&self.0), notices, taken: 0 }))
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Unavailable, "the bus is down")
}

struct Listening {
    state: Arc<State>,
    notices: mpsc::UnboundedReceiver<Notice>,
    taken: usize,
}

#[async_trait]
impl Listener for Listening {
    async fn next(&mut self) -> Result<Notice> {
        self.state.done.fetch_add(std::mem::take(&mut self.taken), Ordering::SeqCst);
        let notice = self.notices.recv().await.ok_or_else(lost)?;
        self.taken = 1;
        if let Some(look) = &*self.state.before.0.lock().unwrap() {
            look();
        }
        Ok(notice)
    }

    async fn check(&mut self) -> Result<()> {
        if self.state.is_silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.state.listeners.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Holds back the answer to one read.
#[derive(Debug, Default)]
pub struct Holding {
    next: AtomicBool,
    answered: Notify,
    go_on: Notify,
}

impl Holding {
    pub fn on(inner: Arc<dyn Provider>) -> (Arc<dyn Provider>, Arc<Self>) {
        let holding = Arc::default();
        (Layer::over(inner, &holding), holding)
    }

    /// Holds back the answer to the next read.
    pub fn hold_next(&self) {
        self.next.store(true, Ordering::SeqCst);
    }

    /// Waits until the engine has answered the held read.
    pub async fn answered(&self) {
        self.answered.notified().await;
    }

    /// Releases the answer.
    pub fn release(&self) {
        self.go_on.notify_one();
    }
}

#[async_trait]
impl Around for Holding {
    type Memo = ();

    async fn before(&self, _: &Call) -> Result<()> {
        Ok(())
    }

    async fn after(&self, call: &Call, (): ()) -> Result<()> {
        if call.method == Method::Read && self.next.swap(false, Ordering::SeqCst) {
            self.answered.notify_one();
            self.go_on.notified().await;
        }
        Ok(())
    }
}
