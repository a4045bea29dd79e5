//! One of several browsers that share a session: reads, changes, sign-ins and logouts, some of them
//! cancelled half-way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use session_core::id::Token;
use session_core::{ErrorKind, Manager, Result, Session};
use tokio::time::{sleep, timeout};

use super::check::NUMBERS;
use super::event::{Found, Outcome, Recorder, Seen, What};
use super::random::Random;

/// The session that all these clients use.
#[derive(Debug)]
pub(crate) struct Shared {
    pub recorder: Recorder,
    /// The ids that clients got, in order.
    tokens: Mutex<Vec<Token>>,
}

impl Shared {
    pub(crate) fn new(token: Token) -> Self {
        Self { recorder: Recorder::default(), tokens: Mutex::new(vec![token]) }
    }

    pub(crate) fn tokens(&self) -> MutexGuard<'_, Vec<Token>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One client, which sends one request after the other.
pub(crate) struct Client {
    pub shared: Arc<Shared>,
    pub manager: Manager,
    pub number: u64,
    pub random: Random,
    added: u64,
}

/// The work of a request with its session.
#[derive(Debug, Clone, Copy)]
struct Intent {
    adds: bool,
    renews: bool,
    ends: bool,
}

impl Client {
    pub(crate) fn new(shared: &Arc<Shared>, manager: &Manager, number: u64, random: Random) -> Self {
        Self { shared: Arc::clone(shared), manager: manager.clone(), number, random, added: 0 }
    }

    /// Sends this number of requests.
    pub(crate) async fn run(mut self, requests: u64) {
        for _ in 0..requests {
            let given_up = self.random.in_thousand(80).then(|| self.random.micros(3_000));
            match given_up {
                Some(patience) => drop(timeout(patience, self.request()).await),
                None => self.request().await,
            }
            let pause = self.random.micros(800);
            if self.random.in_thousand(500) {
                sleep(pause).await;
            }
        }
    }

    async fn request(&mut self) {
        let (token, id) = {
            let tokens = self.shared.tokens();
            let newest = tokens.len() - 1;
            let late = self.random.in_thousand(150);
            let at = if late { self.random.place(tokens.len()) } else { newest };
            (at, tokens[at].clone())
        };
        let dice = self.random.below(1_000);
        if dice < 12 {
            return self.end(token, self.manager.destroy(&id)).await;
        }
        let Some(session) = self.load(token, &id).await else { return };
        let intent = match dice {
            12..60 => Intent { adds: self.random.in_thousand(500), renews: true, ends: false },
            60..75 => Intent { adds: self.random.in_thousand(700), renews: false, ends: true },
            75..600 => Intent { adds: true, renews: false, ends: false },
            _ => Intent { adds: false, renews: false, ends: false },
        };
        if self.random.in_thousand(300) {
            // A slow handler.
            sleep(self.random.micros(1_500)).await;
        }
        if intent.adds || intent.renews {
            self.commit(token, &session, intent).await;
        } else {
            // Nothing to store, but perhaps a deadline to extend.
            let _ = session.release().await;
        }
        if intent.ends {
            self.end(token, session.destroy()).await;
        }
    }

    /// Loads the session and records the result.
    async fn load(&self, token: usize, id: &Token) -> Option<Session> {
        let recorder = &self.shared.recorder;
        let call = recorder.begin(self.number, What::Load { token, found: Found::Unheard });
        let loaded = self.manager.load(id).await;
        let found = match &loaded {
            Ok(Some(session)) => Found::Session(seen(session)),
            Ok(None) => Found::Nothing,
            Err(error) if error.kind() == ErrorKind::Unavailable => Found::Unheard,
            Err(error) => Found::Odd(error.kind()),
        };
        recorder.answered(call, |what| *what = What::Load { token, found });
        loaded.ok().flatten()
    }

    async fn commit(&mut self, token: usize, session: &Session, intent: Intent) {
        let number = intent.adds.then(|| {
            self.added += 1;
            self.number * NUMBERS + self.added
        });
        if let Some(number) = number {
            let added = session.update("log", move |old: Option<Vec<u64>>| {
                let mut log = old.unwrap_or_default();
                log.push(number);
                log
            });
            added.expect("an update of a session that was just loaded");
            session.update("counter", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
            session.set(&*own_key(self.number), &number).expect("a set");
        }
        if intent.renews {
            session.regenerate().expect("a new id");
        }
        let renews = intent.renews;
        let what = |outcome, renewed, after| What::Commit { token, number, renews, renewed, outcome, after };
        let call = self.shared.recorder.begin(self.number, what(Outcome::Unknown, None, None));
        let released = session.release().await;
        let outcome = outcome(&released);
        let done = outcome == Outcome::Done;
        let renewed = if done && renews { session.token() } else { None };
        // The others may use the new id once this client has it.
        let index = renewed.as_ref().map(|_| self.shared.tokens().len());
        let after = done.then(|| seen(session));
        self.shared.recorder.answered(call, |event| *event = what(outcome, index, after));
        if let Some(new) = renewed {
            self.shared.tokens().push(new);
        }
    }

    async fn end<T>(&self, token: usize, logout: impl Future<Output = Result<T>>) {
        let recorder = &self.shared.recorder;
        let call = recorder.begin(self.number, What::End { token, outcome: Outcome::Unknown });
        let outcome = outcome(&logout.await);
        recorder.answered(call, |what| *what = What::End { token, outcome });
    }

    /// Loads every id that was ever issued.
    pub(crate) async fn look(self) {
        let tokens = self.shared.tokens().clone();
        for (token, id) in tokens.iter().enumerate() {
            self.load(token, id).await;
        }
    }
}

fn outcome<T>(result: &Result<T>) -> Outcome {
    match result {
        Ok(_) => Outcome::Done,
        Err(error) if error.kind() == ErrorKind::OutcomeUnknown => Outcome::Unknown,
        Err(error) => Outcome::Refused(error.kind()),
    }
}

fn own_key(client: u64) -> String {
    format!("own-{client}")
}

fn seen(session: &Session) -> Seen {
    let number = |key: &str| session.get::<u64>(key).expect("a number");
    let own: BTreeMap<u64, u64> = session
        .keys()
        .iter()
        .filter_map(|key| Some((key.strip_prefix("own-")?.parse().ok()?, number(key)?)))
        .collect();
    Seen {
        log: session.get("log").expect("numbers").unwrap_or_default(),
        counter: number("counter").unwrap_or(0),
        own,
    }
}
