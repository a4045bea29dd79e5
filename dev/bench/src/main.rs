//! Prints where this project stands: `cargo xtask bench [--only NAME,…] [--quick] [--save DIR]`.

#![allow(clippy::print_stdout, reason = "printing is what it does")]
#![allow(missing_docs, clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod cores;
mod goals;
mod measure;
mod peers;
mod report;
mod rows;
mod stored;
mod thread;
mod work;

use std::io;
use std::path::Path;

use measure::Effort;
use report::{Section, machine, plot};
use rows::{collect, contention, crowd, local, others, scale, servers};

/// Measures a group, starting the servers that it needs.
type Measuring = fn(Effort) -> io::Result<Vec<Section>>;

/// The groups, by the name that `--only` takes.
const GROUPS: [(&str, Measuring); 17] = [
    ("untouched", local::untouched),
    ("memory", local::memory),
    ("cookie", local::cookie),
    ("file", local::file),
    ("sqlite", local::sqlite),
    ("redis", servers::redis),
    ("postgres", servers::postgres),
    ("mysql", servers::mysql),
    ("memcached", servers::memcached),
    ("couchbase", servers::couchbase),
    ("work", others::work),
    ("shapes", others::shapes),
    ("collect", collect::sql),
    ("growth", scale::memory),
    ("stores", scale::stores),
    ("clients", crowd::clients),
    ("contention", contention::writers),
];

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [scale::FILL, sessions] = [0, 1].map(|at| arguments.get(at).map_or("", String::as_str)) {
        println!("{}", scale::fill(sessions.parse().map_err(io::Error::other)?));
        return Ok(());
    }
    let value =
        |name: &str| arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1)).cloned();
    let only = value("--only");
    let wanted = |group: &str| only.as_ref().is_none_or(|only| only.split(',').any(|name| name == group));
    if let Some(unknown) = only.iter().flat_map(|only| only.split(',')).find(|name| !is_group(name)) {
        let names = GROUPS.map(|(name, _)| name).join(", ");
        return Err(io::Error::other(format!("there is no group `{unknown}`: there are {names}")));
    }
    let effort = Effort::new(arguments.iter().any(|argument| argument == "--quick"));
    // What is started outside of a `Thread` is a server.
    cores::be_server();
    let mut sections = Vec::new();
    for (_, measure) in GROUPS.iter().filter(|(name, _)| wanted(name)) {
        for section in measure(effort)? {
            println!("{}", section.markdown(None));
            sections.push(section);
        }
    }
    let head = head(&arguments, effort);
    println!("{head}");
    value("--save").map_or(Ok(()), |directory| save(Path::new(&directory), &head, &sections))
}

fn is_group(name: &str) -> bool {
    GROUPS.iter().any(|(group, _)| *group == name)
}

/// How and on what it was measured.
fn head(arguments: &[String], effort: Effort) -> String {
    format!(
        "Measured with `cargo xtask bench {}`, built with `lto = \"fat\"` and `codegen-units = 1`: sessions with a user of \
         240 bytes and a counter unless said, requests in process, on one thread; {} interleaved repetitions of {} ms each, of which the fastest and the middle one are \
         shown. Ratios and goals compare the fastest. Times of another machine are others, the ratios hardly.\n\n{}\n",
        arguments.join(" "),
        effort.repetitions,
        effort.batch.as_millis(),
        machine::description()
    )
}

/// Writes `benchmarks.md`, and its plots into the folder `benchmarks` beside it.
fn save(directory: &Path, head: &str, sections: &[Section]) -> io::Result<()> {
    let plots = directory.join("benchmarks");
    std::fs::create_dir_all(&plots)?;
    let mut text = format!("# Benchmarks\n\n{head}");
    for section in sections {
        let file = format!("{}.svg", section.name);
        let picture = section.plot.as_ref().map(|plot| {
            let saved = plot::save(plot, &plots.join(&file));
            saved.map(|()| format!("benchmarks/{file}")).map_err(|error| io::Error::other(error.to_string()))
        });
        text.push('\n');
        text.push_str(&section.markdown(picture.transpose()?.as_deref()));
    }
    std::fs::write(directory.join("benchmarks.md"), text)
}
