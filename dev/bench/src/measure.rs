//! Interleaved repetitions: every subject of a row in turn, so that what else the machine does meets all of them.

use std::time::{Duration, Instant};

use crate::thread::Thread;

/// What a subject is, which decides what it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The web framework without sessions.
    Floor,
    /// This project.
    Ours,
    /// Another session library.
    Peer,
    /// The least that could be done by hand.
    Raw,
    /// The same after a request to the web framework, without sessions.
    RawAndFloor,
}

/// Something that can do so many pieces of work.
pub struct Subject {
    role: Role,
    name: &'static str,
    /// Does about so many pieces of work, and says how many microseconds each took.
    run: Box<dyn FnMut(usize) -> f64>,
}

/// Somebody who sends requests, one after the other.
pub trait Client: 'static {
    /// Gets ready for so many requests. Not measured.
    async fn prepare(&mut self, requests: usize);
    /// Sends one, and waits for its answer.
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
    /// One that does its work by calling `run` with the number of requests.
    pub fn new(role: Role, name: &'static str, mut run: impl FnMut(usize) + 'static) -> Self {
        let run = move |requests| {
            let begun = Instant::now();
            run(requests);
            micros(begun.elapsed(), requests)
        };
        Self { role, name, run: Box::new(run) }
    }

    /// Clients who send their requests at the same time, on one thread.
    pub fn of<C: Client>(role: Role, name: &'static str, thread: &Thread, mut clients: Vec<C>) -> Self {
        let thread = thread.clone();
        let run = move |requests: usize| {
            let share = requests.div_ceil(clients.len());
            thread.block_on(async {
                for client in &mut clients {
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
        Self { role, name, run: Box::new(run) }
    }
}

/// How often.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Fewer repetitions, and smaller stores.
    pub quick: bool,
    /// For how long one repetition of one subject lasts.
    pub batch: Duration,
    /// How many repetitions.
    pub repetitions: usize,
}

impl Effort {
    /// For figures to publish, or for a look.
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

/// How many requests fill a batch. It warms the subject up as well.
fn size(subject: &mut Subject, batch: Duration) -> usize {
    let batch = batch.as_secs_f64() * 1e6;
    // The first requests open connections, and say nothing of those that follow.
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
