//! One kind of work, and everybody's figures.

use super::{Plot, Section, Table, Verdict};
use crate::goals::Goal;
use crate::measure::{Effort, Figure, Role, Subject, measure};

/// Everybody's figures for the same work.
#[derive(Debug, Clone)]
pub struct Row {
    title: String,
    figures: Vec<Figure>,
}

impl Row {
    /// Measures these subjects together.
    pub fn measured(title: &str, subjects: Vec<Subject>, effort: Effort) -> Self {
        eprintln!("measuring {title}");
        Self { title: title.into(), figures: measure(subjects, effort) }
    }

    fn verdicts(&self) -> impl Iterator<Item = Verdict> {
        Goal::of(&self.title).filter_map(|goal| {
            let (other, ratio) = goal.measured(&self.figures)?;
            Some(Verdict {
                what: self.title.clone(),
                measured: format!("{ratio:.2} x {other}"),
                goal: format!("<= {:.2} x", goal.ratio),
                met: ratio <= goal.ratio,
            })
        })
    }
}

impl Section {
    /// A section of rows.
    pub fn of_rows(name: &'static str, title: &'static str, rows: Vec<Row>) -> Self {
        let columns = [
            "work",
            "subject",
            "µs/request (min)",
            "median",
            "x best peer",
            "x raw driver",
            "x axum and raw",
        ];
        let mut table = Table::new(columns);
        let mut groups = Vec::new();
        for Row { title, figures } in &rows {
            let best = |role| {
                let figures = figures.iter().filter(|figure| figure.role == role);
                figures.map(|figure| figure.minimum).min_by(f64::total_cmp)
            };
            let others = [Role::Peer, Role::Raw, Role::RawAndFloor].map(best);
            for figure in figures {
                let times = |other: Option<f64>| match other {
                    Some(other) if figure.role == Role::Ours => format!("{:.2}", figure.minimum / other),
                    _ => String::new(),
                };
                table.line([
                    title.clone(),
                    figure.subject.to_owned(),
                    format!("{:.2}", figure.minimum),
                    format!("{:.2}", figure.median),
                    times(others[0]),
                    times(others[1]),
                    times(others[2]),
                ]);
            }
            let bars = figures.iter().map(|figure| (figure.subject, figure.median)).collect();
            groups.push((title.clone(), bars));
        }
        let verdicts: Vec<_> = rows.iter().flat_map(Row::verdicts).collect();
        Self::new(name, title, table).verdicts(verdicts).plot(Plot::Bars(groups))
    }
}
