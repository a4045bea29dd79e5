//! The table, and what the figures say of the goals.

use std::fmt::Write as _;

use crate::measure::Figure;

/// What a row promises: `ours` (less a base line, where named) is at most `ratio` of `other` (less the same).
#[derive(Debug, Clone)]
pub struct Goal {
    pub ratio: f64,
    pub other: &'static str,
    pub less: Option<&'static str>,
}

impl Goal {
    /// At most `ratio` of what `other` takes.
    pub const fn of(ratio: f64, other: &'static str) -> Self {
        Self { ratio, other, less: None }
    }

    /// At most `ratio` of what `other` adds to `floor`.
    pub const fn added(ratio: f64, other: &'static str, floor: &'static str) -> Self {
        Self { ratio, other, less: Some(floor) }
    }
}

/// One kind of work, everybody's figures, and the goals.
#[derive(Debug, Clone)]
pub struct Row {
    pub title: String,
    pub figures: Vec<Figure>,
    pub goals: Vec<Goal>,
}

/// The name of this project in the tables.
pub const OURS: &str = "session-kit";

impl Row {
    fn minimum(&self, subject: &str) -> Option<f64> {
        self.figures.iter().find(|figure| figure.subject == subject).map(|figure| figure.minimum)
    }

    /// The measured ratio of a goal; `None` when one side was not measured.
    fn ratio(&self, goal: &Goal) -> Option<f64> {
        let base = goal.less.map_or(Some(0.0), |floor| self.minimum(floor))?;
        Some((self.minimum(OURS)? - base) / (self.minimum(goal.other)? - base))
    }
}

/// The rows as Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::from("| work | subject | µs/request (min) | median |\n|---|---|---:|---:|\n");
    for row in rows {
        for figure in &row.figures {
            let _ = writeln!(
                text,
                "| {} | {} | {:.2} | {:.2} |",
                row.title, figure.subject, figure.minimum, figure.median
            );
        }
    }
    text.push_str("\n| work | measured | goal | |\n|---|---:|---:|---|\n");
    for row in rows {
        for goal in &row.goals {
            let Some(ratio) = row.ratio(goal) else { continue };
            let less = goal.less.map(|floor| format!(", both less {floor}")).unwrap_or_default();
            let met = if ratio <= goal.ratio { "goal met" } else { "goal not met" };
            let _ = writeln!(
                text,
                "| {} | {ratio:.2} x {}{less} | <= {} x | {met} |",
                row.title, goal.other, goal.ratio
            );
        }
    }
    text
}
