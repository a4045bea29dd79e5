//! Interleaved repetitions: every subject of a row in turn, so that other load on the machine
//! affects all of them.

use std::cell::RefCell;
use std::mem;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::open_loop::{self, Rate};
use crate::thread::Thread;

/// The role of a subject in comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The web framework without sessions.
    Floor,
    /// This project.
    Ours,
    /// Another session library.
    Peer,
    /// The minimum that could be written by hand.
    Raw,
    /// The same after a request to the web framework, without sessions.
    RawAndFloor,
}

/// A subject of a measurement.
pub struct Subject {
    role: Role,
    pub name: &'static str,
    /// Does about this number of pieces of work, and returns the microseconds per piece.
    run: Box<dyn FnMut(usize) -> f64>,
    /// Sends requests at a rate; a subject without clients cannot.
    at_rate: Option<Box<dyn FnMut(Rate) -> Vec<f64>>>,
}

/// A client that sends requests one after the other.
pub trait Client: 'static {
    /// Prepares for this number of requests. Not measured.
    async fn prepare(&mut self, requests: usize);
    /// Sends one request and waits for its response.
    async fn request(&mut self);
}

/// A client that needs no preparation: a function that is called for each request.
pub struct Calls<F>(pub F);

impl<F: AsyncFnMut() + 'static> Client for Calls<F> {
    async fn prepare(&mut self, _requests: usize) {}

    async fn request(&mut self) {
        (self.0)().await;
    }
}

impl Subject {
    /// A subject that does its work by calling `run` with the number of requests.
    pub fn new(role: Role, name: &'static str, mut run: impl FnMut(usize) + 'static) -> Self {
        let run = move |requests| {
            let begun = Instant::now();
            run(requests);
            micros(begun.elapsed(), requests)
        };
        Self { role, name, run: Box::new(run), at_rate: None }
    }

    /// Clients that send their requests concurrently, on one thread.
    pub fn of<C: Client>(role: Role, name: &'static str, thread: &Thread, clients: Vec<C>) -> Self {
        let clients = Rc::new(RefCell::new(clients));
        let (same_thread, same_clients) = (thread.clone(), Rc::clone(&clients));
        let at_rate = move |rate| {
            let mut clients = same_clients.borrow_mut();
            let (same, times) = same_thread.block_on(open_loop::run(mem::take(&mut *clients), rate));
            *clients = same;
            times
        };
        let thread = thread.clone();
        let run = move |requests: usize| {
            let mut clients = clients.borrow_mut();
            let share = requests.div_ceil(clients.len());
            thread.block_on(async {
                for client in &mut *clients {
                    client.prepare(share).await;
                }
                let begun = Instant::now();
                if let [only] = &mut clients[..] {
                    for _ in 0..share {
                        only.request().await;
                    }
                } else {
                    let at_work = |mut client: C| async move {
                        for _ in 0..share {
                            client.request().await;
                        }
                        client
                    };
                    let tasks: Vec<_> =
                        clients.drain(..).map(|client| tokio::task::spawn_local(at_work(client))).collect();
                    for task in tasks {
                        clients.push(task.await.expect("a client's requests"));
                    }
                }
                micros(begun.elapsed(), share * clients.len())
            })
        };
        Self { role, name, run: Box::new(run), at_rate: Some(Box::new(at_rate)) }
    }

    /// Sends requests at this rate, independent of the responses. Returns the latency of each in
    /// microseconds from its scheduled time.
    pub fn at_rate(&mut self, rate: Rate) -> Vec<f64> {
        self.at_rate.as_mut().expect("a subject that has clients")(rate)
    }
}

/// How often.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Fewer repetitions, and smaller stores.
    pub quick: bool,
    /// The duration of one repetition of one subject.
    pub batch: Duration,
    /// How many repetitions.
    pub repetitions: usize,
}

impl Effort {
    /// For published figures, or for a quick look.
    pub const fn new(quick: bool) -> Self {
        let (batch, repetitions) = if quick { (20, 5) } else { (60, 15) };
        Self { quick, batch: Duration::from_millis(batch), repetitions }
    }
}

/// Microseconds per request.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What they are.
    pub role: Role,
    /// Who.
    pub subject: &'static str,
    /// The fastest repetition: the least disturbed one.
    pub minimum: f64,
    /// The repetition in the middle.
    pub median: f64,
}

/// Measures all subjects of a row.
pub fn measure(mut subjects: Vec<Subject>, effort: Effort) -> Vec<Figure> {
    let sizes: Vec<usize> = subjects.iter_mut().map(|subject| size(subject, effort.batch)).collect();
    let mut times = vec![Vec::new(); subjects.len()];
    for _ in 0..effort.repetitions {
        for ((subject, size), times) in subjects.iter_mut().zip(&sizes).zip(&mut times) {
            times.push((subject.run)(*size));
        }
    }
    let figure = |(subject, mut times): (Subject, Vec<f64>)| {
        times.sort_by(f64::total_cmp);
        Figure {
            role: subject.role,
            subject: subject.name,
            minimum: times[0],
            median: times[times.len() / 2],
        }
    };
    subjects.into_iter().zip(times).map(figure).collect()
}

/// The number of requests in a batch. Also warms the subject up.
fn size(subject: &mut Subject, batch: Duration) -> usize {
    let batch = batch.as_secs_f64() * 1e6;
    // The first requests open connections, so they are not representative.
    (subject.run)(64);
    let mut size = 16;
    loop {
        let each = (subject.run)(size);
        if each * size as f64 >= batch / 4.0 {
            return ((batch / each) as usize).max(1);
        }
        size *= 2;
    }
}

fn micros(took: Duration, requests: usize) -> f64 {
    took.as_secs_f64() * 1e6 / requests as f64
}
