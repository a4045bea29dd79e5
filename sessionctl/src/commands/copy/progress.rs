//! The progress of a pass, on a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// A repeatedly drawn line on standard error. Draws nothing if that is not a terminal.
pub struct Progress {
    on: bool,
    total: Option<u64>,
    done: u64,
    pass: u32,
    verb: &'static str,
    drawn: Option<Instant>,
}

/// The interval of drawing.
const PAUSE: Duration = Duration::from_millis(100);

const WIDTH: u64 = 30;

impl Progress {
    /// `total`: the approximate number, if the source can count.
    pub fn new(total: Option<u64>, quiet: bool) -> Self {
        let on = !quiet && io::stderr().is_terminal();
        Self { on, total, done: 0, pass: 0, verb: "", drawn: None }
    }

    pub fn begin(&mut self, pass: u32, verify: bool) {
        (self.done, self.pass, self.drawn) = (0, pass, None);
        self.verb = if verify { "verifying" } else { "copying" };
    }

    pub fn add(&mut self, count: usize) {
        self.done += count as u64;
        if self.on && self.drawn.is_none_or(|drawn| drawn.elapsed() >= PAUSE) {
            self.drawn = Some(Instant::now());
            let _ = write!(io::stderr(), "\r{}\x1b[K", self.line());
        }
    }

    /// Removes the line.
    pub fn end(&mut self) {
        if self.on && self.drawn.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn line(&self) -> String {
        let Self { total, done, pass, verb, .. } = self;
        match total {
            Some(total @ 1..) => {
                let part = done.min(total) * WIDTH / total;
                let bar = "#".repeat(usize::try_from(part).unwrap_or(0));
                format!("{verb}, pass {pass} [{bar:30}] {}% {done}", done.min(total) * 100 / total)
            }
            _ => format!("{verb}, pass {pass}: {done}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_shows_the_progress_and_never_more_than_100_percent() {
        let mut progress = Progress::new(Some(200), true);
        progress.begin(1, false);
        progress.add(100);
        assert_eq!(progress.line(), format!("copying, pass 1 [{:30}] 50% 100", "#".repeat(15)));
        progress.add(150);
        assert!(progress.line().ends_with("100% 250"));
        progress.total = None;
        assert_eq!(progress.line(), "copying, pass 1: 250");
    }
}
