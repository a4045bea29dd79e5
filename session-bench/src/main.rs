//! Prints where this project stands: `cargo xtask bench [--only ROW,…] [--quick] [--save FILE]`.

#![allow(clippy::print_stdout, reason = "printing is what it does")]
#![allow(missing_docs, clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod measure;
mod peers;
mod report;
mod rows;
mod work;

use std::time::Duration;

use measure::Effort;
use report::Row;
use rows::{local, scale};

/// Measures the rows of a group.
type Measuring = fn(Effort) -> Vec<Row>;

/// The groups of rows, by the name that `--only` takes.
const GROUPS: [(&str, Measuring); 4] = [
    ("untouched", local::untouched),
    ("memory", local::memory),
    ("cookie", local::cookie),
    ("file", local::file),
];

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value =
        |name: &str| arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1)).cloned();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let only = value("--only");
    let wanted = |group: &str| only.as_ref().is_none_or(|only| only.split(',').any(|name| name == group));
    let effort = Effort {
        batch: Duration::from_millis(if quick { 20 } else { 100 }),
        repetitions: if quick { 5 } else { 25 },
    };
    let mut text = format!("{}\n", machine());
    let rows: Vec<Row> =
        GROUPS.iter().filter(|(name, _)| wanted(name)).flat_map(|(_, measure)| measure(effort)).collect();
    if !rows.is_empty() {
        text.push_str(&report::markdown(&rows));
    }
    if wanted("growth") {
        text.push('\n');
        text.push_str(&scale::memory(if quick { 100_000 } else { 1_000_000 }));
    }
    println!("{text}");
    value("--save").map_or(Ok(()), |path| std::fs::write(path, text))
}

/// On what it was measured.
fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{} cores,{}; one thread, requests in process\n",
        cores,
        model.trim_start_matches(['\t', ' ', ':']).trim()
    )
}
