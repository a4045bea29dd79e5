//! Interleaved repetitions: every subject of a row in turn, so that what else the machine does meets all of them.

use std::time::{Duration, Instant};

/// Something that can do `requests` pieces of work, one after the other.
pub struct Subject {
    /// How the table names it.
    pub name: String,
    run: Box<dyn FnMut(usize)>,
}

impl Subject {
    /// A subject that does its work by calling `run` with the number of requests.
    pub fn new(name: impl Into<String>, run: impl FnMut(usize) + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// How often.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// For how long one repetition of one subject lasts.
    pub batch: Duration,
    /// How many repetitions.
    pub repetitions: usize,
}

/// Microseconds per request.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Who.
    pub subject: String,
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
            let begun = Instant::now();
            (subject.run)(*size);
            times.push(micros(begun.elapsed(), *size));
        }
    }
    let figure = |(subject, mut times): (Subject, Vec<f64>)| {
        times.sort_by(f64::total_cmp);
        Figure { subject: subject.name, minimum: times[0], median: times[times.len() / 2] }
    };
    subjects.into_iter().zip(times).map(figure).collect()
}

/// How many requests fill a batch. It warms the subject up as well.
fn size(subject: &mut Subject, batch: Duration) -> usize {
    let mut size = 8;
    loop {
        let begun = Instant::now();
        (subject.run)(size);
        let took = begun.elapsed();
        if took >= batch / 4 {
            let wanted = size as f64 * batch.as_secs_f64() / took.as_secs_f64();
            return (wanted as usize).max(1);
        }
        size *= 2;
    }
}

fn micros(took: Duration, requests: usize) -> f64 {
    took.as_secs_f64() * 1e6 / requests as f64
}
