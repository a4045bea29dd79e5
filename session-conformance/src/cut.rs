//! Dropping a future half-way, at each of its polls.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// Polls a future so many times, then drops it; its output when it was done before.
pub async fn cut<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// After how many polls to cut: one more each time, until the operation was done before it was cut.
#[derive(Debug)]
pub struct Polls {
    next: usize,
    done: bool,
}

impl Polls {
    /// More polls than any operation takes.
    const MOST: usize = 80;

    /// The first number: 0 is a future that is dropped before it was polled.
    pub fn from(first: usize) -> Self {
        Self { next: first, done: false }
    }

    /// The next number of polls; `None` when the operation was done.
    pub fn next_cut(&mut self) -> Option<usize> {
        assert!(self.next < Self::MOST, "not done after {} polls", Self::MOST);
        self.next += 1;
        (!self.done).then_some(self.next - 1)
    }

    /// Says what [`cut`] returned.
    pub fn done<T>(&mut self, outcome: Option<T>) {
        self.done |= outcome.is_some();
    }
}
