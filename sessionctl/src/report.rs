//! The result of a command, as text or as JSON.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value as Json;

/// Both forms of a result.
pub struct Report {
    pub json: Json,
    pub text: String,
    /// The exit code.
    pub code: u8,
}

impl Report {
    pub fn new(json: Json, text: impl Into<String>) -> Self {
        Self { json, text: text.into(), code: 0 }
    }

    /// Prints one of the two, text line by line. Stops if the reader has closed the pipe.
    pub fn print(&self, as_json: bool) {
        let _ = if as_json {
            writeln!(io::stdout(), "{}", self.json)
        } else {
            writeln!(io::stdout(), "{}", self.text.trim_end())
        };
    }
}

/// Colours, only on a terminal, and not if `NO_COLOR` is set.
#[derive(Debug, Clone, Copy)]
pub struct Paint(bool);

impl Paint {
    pub fn of_stdout() -> Self {
        Self(io::stdout().is_terminal() && may_color())
    }

    pub fn of_stderr() -> Self {
        Self(io::stderr().is_terminal() && may_color())
    }

    pub fn bold(self, text: impl AsRef<str>) -> String {
        self.with("1", text.as_ref())
    }

    pub fn dim(self, text: impl AsRef<str>) -> String {
        self.with("2", text.as_ref())
    }

    pub fn red(self, text: impl AsRef<str>) -> String {
        self.with("31", text.as_ref())
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// <https://no-color.org>
fn may_color() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A table with a header, each column as wide as its widest cell.
pub fn table(head: &[&str], rows: &[Vec<String>], paint: Paint) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut text = paint.bold(line(&mut head.iter().copied()));
    for row in rows {
        text.push('\n');
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["ba7816bf".to_owned(), "é".to_owned()], vec!["1".to_owned(), String::new()]];
        assert_eq!(table(&["id", "device"], &rows, Paint(false)), "id        device\nba7816bf  é\n1");
        assert_eq!(Paint(true).bold("x"), "\x1b[1mx\x1b[0m");
    }
}
