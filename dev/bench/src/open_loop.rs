//! Requests at a rate independent of the responses.
//!
//! A client that waits for each response sends no requests while the service is blocked, so a pause
//! of a second appears as one slow request. Here the times of requests are fixed in advance, and
//! latency is measured from them, so every request that waits behind a pause counts ("coordinated
//! omission").

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::measure::Client;

/// How many requests.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// All clients together.
    pub per_second: f64,
    pub how_long: Duration,
}

/// Lets the clients send in turn, each over its own connection: a request for a busy client is sent
/// when that becomes free. Returns the clients, and the latency of each request in microseconds.
pub async fn run<C: Client>(clients: Vec<C>, rate: Rate) -> (Vec<C>, Vec<f64>) {
    let (mut queues, mut tasks) = (Vec::new(), Vec::new());
    for mut client in clients {
        let (queue, mut due) = mpsc::unbounded_channel::<Instant>();
        queues.push(queue);
        tasks.push(tokio::task::spawn_local(async move {
            let mut times = Vec::new();
            while let Some(due) = due.recv().await {
                client.request().await;
                times.push(due.elapsed().as_secs_f64() * 1e6);
            }
            (client, times)
        }));
    }
    let begun = Instant::now();
    let requests = (rate.per_second * rate.how_long.as_secs_f64()) as usize;
    for number in 0..requests {
        let due = begun + Duration::from_secs_f64(number as f64 / rate.per_second);
        // Not a timer: its resolution of a millisecond would dominate the measurement.
        while Instant::now() < due {
            tokio::task::yield_now().await;
        }
        let _ = queues[number % queues.len()].send(due);
    }
    drop(queues);
    let (mut clients, mut times) = (Vec::new(), Vec::new());
    for task in tasks {
        let (client, of_client) = task.await.expect("a client's requests");
        clients.push(client);
        times.extend(of_client);
    }
    (clients, times)
}
