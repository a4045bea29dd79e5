//! Dropping a future half-way, at each of its polls.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// Polls a future this number of times, then drops it; returns its output if it completed before.
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

/// The numbers of polls before the drop: one more each time, until the operation completes.
#[derive(Debug)]
pub struct Polls {
    next: usize,
    done: bool,
}

impl Polls {
    /// More polls than any operation takes.
    const MOST: usize = 80;

    /// The first number: 0 drops the future before its first poll.
    pub fn from(first: usize) -> Self {
        Self { next: first, done: false }
    }

    /// The next number of polls; `None` once the operation has completed.
    pub fn next_cut(&mut self) -> Option<usize> {
        assert!(self.next < Self::MOST, "not done after {} polls", Self::MOST);
        self.next += 1;
        (!self.done).then_some(self.next - 1)
    }

    /// Records the result of [`cut`].
    pub fn done<T>(&mut self, outcome: Option<T>) {
        self.done |= outcome.is_some();
    }
}
