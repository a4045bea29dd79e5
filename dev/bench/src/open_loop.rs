//! Requests at a rate that does not depend on the answers.
//!
//! A client that sends its next request when it has the answer to the last one sends none while the
//! service stands still, and a pause of a second is one slow request. Here the times at which
//! requests are sent are fixed before, and each is measured from that time on: what waits behind a
//! pause counts ("coordinated omission").

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

/// Lets the clients send in turn, each over a connection of its own: what comes to a client that
/// still waits is sent after that. Gives them back, and how many microseconds after its time each
/// request was answered.
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
        // Not a timer: its grain of a millisecond would be most of what is measured.
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
