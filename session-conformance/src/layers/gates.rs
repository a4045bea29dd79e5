//! Requests that run in a given order, one step at a time; a step ends before and after each call
//! of the engine.

use std::sync::Arc;
use std::time::Duration;

use session_core::{Provider, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::{Around, Call, Layer};

tokio::task_local! {
    /// The request of a task, and its channel for permission to continue.
    static REQUEST: (usize, mpsc::UnboundedSender<Event>);
}

/// The messages of a request.
#[derive(Debug)]
enum Event {
    Stopped(usize, oneshot::Sender<()>),
    Ended(usize),
}

/// Reports the end of a request, even by a panic.
struct End(usize, mpsc::UnboundedSender<Event>);

impl Drop for End {
    fn drop(&mut self) {
        let _ = self.1.send(Event::Ended(self.0));
    }
}

/// If a request takes longer to its next stop, it counts as waiting for the other one.
const STUCK: Duration = Duration::from_millis(250);

/// A gate before and after each call. Calls outside of [`Orders::play`] pass.
#[derive(Debug)]
pub struct Gates;

impl Gates {
    /// The engine behind gates.
    pub fn on(inner: Arc<dyn Provider>) -> Arc<dyn Provider> {
        Layer::over(inner, &Arc::new(Self))
    }
}

#[crate::async_trait]
impl Around for Gates {
    type Memo = ();

    async fn before(&self, _: &Call) -> Result<()> {
        stop().await;
        Ok(())
    }

    async fn after(&self, _: &Call, (): ()) -> Result<()> {
        stop().await;
        Ok(())
    }
}

async fn stop() {
    let Ok((request, events)) = REQUEST.try_with(Clone::clone) else { return };
    let (pass, passed) = oneshot::channel();
    // After the play the remaining calls run freely.
    if events.send(Event::Stopped(request, pass)).is_ok() {
        let _ = passed.await;
    }
}

/// Every order of the steps of two requests, one after the other.
///
/// Make one, and [`play`](Self::play) the same two requests on a fresh session as long as there is
/// [`another`](Self::another) order.
#[derive(Debug, Default)]
pub struct Orders {
    /// The choices where both could continue: the first or the second.
    turns: Vec<bool>,
    at: usize,
    played: usize,
}

impl Orders {
    /// Moves to the next order; returns whether there is one.
    pub fn another(&mut self) -> bool {
        if self.played > 0 {
            while self.turns.pop_if(|second| *second).is_some() {}
            match self.turns.last_mut() {
                Some(turn) => *turn = true,
                None => return false,
            }
        }
        self.at = 0;
        self.played += 1;
        true
    }

    /// The number of played orders.
    pub fn played(&self) -> usize {
        self.played
    }

    /// The choices as text: `0` or `1` at each point where both could continue.
    pub fn name(&self) -> String {
        self.turns.iter().map(|second| if *second { '1' } else { '0' }).collect()
    }

    fn turn(&mut self) -> usize {
        if self.at == self.turns.len() {
            self.turns.push(false);
        }
        self.at += 1;
        usize::from(self.turns[self.at - 1])
    }

    /// Runs both requests in the current order and returns their outcomes.
    pub async fn play<T: Send + 'static>(
        &mut self,
        first: impl Future<Output = T> + Send + 'static,
        second: impl Future<Output = T> + Send + 'static,
    ) -> [T; 2] {
        let (sender, mut events) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        let mut enter = |number: usize, request: std::pin::Pin<Box<dyn Future<Output = T> + Send>>| {
            let sender = sender.clone();
            tasks.spawn(REQUEST.scope((number, sender.clone()), async move {
                let _end = End(number, sender);
                (number, request.await)
            }));
        };
        enter(0, Box::pin(first));
        enter(1, Box::pin(second));

        let mut running = [true, true];
        let mut stopped: [Option<oneshot::Sender<()>>; 2] = [None, None];
        let mut ended = [false, false];
        while ended != [true, true] {
            while running != [false, false] {
                let somebody_can_go = stopped.iter().any(Option::is_some);
                let patience = if somebody_can_go { STUCK } else { STUCK * 40 };
                match tokio::time::timeout(patience, events.recv()).await {
                    Ok(Some(Event::Stopped(request, pass))) => {
                        running[request] = false;
                        stopped[request] = Some(pass);
                    }
                    Ok(Some(Event::Ended(request))) => {
                        running[request] = false;
                        ended[request] = true;
                    }
                    Ok(None) => break,
                    Err(_) => {
                        assert!(
                            somebody_can_go,
                            "the requests wait for each other in the order {}",
                            self.name()
                        );
                        break;
                    }
                }
            }
            let next = match &stopped {
                [Some(_), Some(_)] => self.turn(),
                [Some(_), None] => 0,
                [None, Some(_)] => 1,
                [None, None] => continue,
            };
            if let Some(pass) = stopped[next].take() {
                running[next] = true;
                let _ = pass.send(());
            }
        }
        let mut outcomes = tasks.join_all().await;
        outcomes.sort_by_key(|(number, _)| *number);
        let outcomes: Vec<T> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
        outcomes.try_into().unwrap_or_else(|_| unreachable!("two requests were played"))
    }
}
