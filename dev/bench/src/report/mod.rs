//! What is printed and saved: sections with a table, what the figures say of the goals, and a plot.

pub mod machine;
pub mod plot;
mod row;

pub use row::Row;

use std::fmt::Write as _;

/// What was measured of one thing.
#[derive(Debug, Clone)]
pub struct Section {
    /// The name of its plot's file.
    pub name: &'static str,
    title: &'static str,
    notes: Vec<String>,
    table: Table,
    verdicts: Vec<Verdict>,
    pub plot: Option<Plot>,
}

/// Columns, and lines of as many cells.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<&'static str>,
    lines: Vec<Vec<String>>,
}

/// Whether a goal was reached.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub what: String,
    pub measured: String,
    pub goal: String,
    pub met: bool,
}

/// A picture of the figures.
#[derive(Debug, Clone)]
pub enum Plot {
    /// Groups of bars: work, and everybody's microseconds.
    Bars(Vec<(String, Vec<(&'static str, f64)>)>),
    /// Lines between logarithmic axes.
    Lines { across: &'static str, up: &'static str, lines: Vec<(&'static str, Vec<(f64, f64)>)> },
}

impl Table {
    /// An empty one. The first column is text, the others are figures.
    pub fn new(columns: impl Into<Vec<&'static str>>) -> Self {
        Self { columns: columns.into(), lines: Vec::new() }
    }

    /// Adds a line.
    pub fn line(&mut self, cells: impl Into<Vec<String>>) {
        self.lines.push(cells.into());
    }

    fn markdown(&self) -> String {
        let mut text = format!("| {} |\n|---|", self.columns.join(" | "));
        text.push_str(&"---:|".repeat(self.columns.len() - 1));
        text.push('\n');
        for line in &self.lines {
            let _ = writeln!(text, "| {} |", line.join(" | "));
        }
        text
    }
}

impl Section {
    /// A section with this table.
    pub fn new(name: &'static str, title: &'static str, table: Table) -> Self {
        Self { name, title, notes: Vec::new(), table, verdicts: Vec::new(), plot: None }
    }

    /// Adds a sentence that stands before the table.
    #[must_use]
    pub fn note(mut self, note: String) -> Self {
        self.notes.push(note);
        self
    }

    /// Adds what the figures say of the goals.
    #[must_use]
    pub fn verdicts(mut self, verdicts: impl IntoIterator<Item = Verdict>) -> Self {
        self.verdicts.extend(verdicts);
        self
    }

    /// Adds a picture.
    #[must_use]
    pub fn plot(mut self, plot: Plot) -> Self {
        self.plot = Some(plot);
        self
    }

    /// The section as Markdown; `picture` is where its plot lies.
    pub fn markdown(&self, picture: Option<&str>) -> String {
        let mut text = format!("## {}\n\n", self.title);
        if !self.notes.is_empty() {
            let _ = writeln!(text, "{}\n", self.notes.join(" "));
        }
        if let Some(picture) = picture {
            let _ = writeln!(text, "![{}]({picture})\n", self.title);
        }
        text.push_str(&self.table.markdown());
        if !self.verdicts.is_empty() {
            text.push_str("\n| goal for | measured | goal | |\n|---|---:|---:|---|\n");
        }
        for Verdict { what, measured, goal, met } in &self.verdicts {
            let met = if *met { "goal met" } else { "**goal not met**" };
            let _ = writeln!(text, "| {what} | {measured} | {goal} | {met} |");
        }
        text
    }
}
