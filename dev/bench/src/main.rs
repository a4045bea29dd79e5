//! Measures and prints the benchmarks: `cargo xtask bench [--only NAME,…] [--quick] [--save DIR]`.

#![allow(clippy::print_stdout, reason = "printing is what it does")]
#![allow(missing_docs, clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod cores;
mod goals;
mod measure;
mod open_loop;
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
use rows::{
    actix, build, cache, collect, contention, crowd, local, migrate, others, owners, scale, servers, tail,
};

/// Measures a group, starting the servers it needs.
type Measuring = fn(Effort) -> io::Result<Vec<Section>>;

/// The group that is measured only if named.
const ON_REQUEST: &str = "build";

/// The groups, by the name that `--only` takes.
const GROUPS: [(&str, Measuring); 24] = [
    ("untouched", local::untouched),
    ("memory", local::memory),
    ("cookie", local::cookie),
    ("actix", actix::rows),
    ("file", local::file),
    ("sqlite", local::sqlite),
    ("redis", servers::redis),
    ("redis-8", servers::redis_8),
    ("cache", cache::rows),
    ("postgres", servers::postgres),
    ("mysql", servers::mysql),
    ("memcached", servers::memcached),
    ("couchbase", servers::couchbase),
    ("work", others::work),
    ("shapes", others::shapes),
    ("owners", owners::rows),
    ("collect", collect::sql),
    ("migrate", migrate::sql),
    ("growth", scale::memory),
    ("stores", scale::stores),
    ("clients", crowd::clients),
    ("tail", tail::rows),
    ("contention", contention::writers),
    (ON_REQUEST, build::rows),
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
    let wanted = |group: &str| match &only {
        Some(only) => only.split(',').any(|name| name == group),
        None => group != ON_REQUEST,
    };
    if let Some(unknown) = only.iter().flat_map(|only| only.split(',')).find(|name| !is_group(name)) {
        let names = GROUPS.map(|(name, _)| name).join(", ");
        return Err(io::Error::other(format!("there is no group `{unknown}`: there are {names}")));
    }
    let effort = Effort::new(arguments.iter().any(|argument| argument == "--quick"));
    // Everything started outside a `Thread` is a server.
    cores::be_server();
    let (mut sections, mut failed) = (Vec::new(), Vec::new());
    for (name, measure) in GROUPS.iter().filter(|(name, _)| wanted(name)) {
        match measure(effort) {
            Ok(measured) => {
                for section in &measured {
                    println!("{}", section.markdown(None));
                }
                sections.extend(measured);
            }
            // The other groups take a quarter of an hour, so they are kept.
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    let head = head(&arguments, effort);
    println!("{head}");
    if let Some(directory) = value("--save") {
        save(Path::new(&directory), &head, &sections)?;
    }
    if failed.is_empty() { Ok(()) } else { Err(io::Error::other(failed.join("\n"))) }
}

fn is_group(name: &str) -> bool {
    GROUPS.iter().any(|(group, _)| *group == name)
}

/// The method and the machine.
fn head(arguments: &[String], effort: Effort) -> String {
    format!(
        "Measured with `cargo xtask bench {}`, built with `lto = \"fat\"` and `codegen-units = 1`: sessions with a user of \
         240 bytes and a counter unless noted, requests in process, on one thread; {} interleaved \
         repetitions of {} ms each, of which the fastest and the middle one are \
         shown. Ratios and goals compare the fastest. Times differ on other machines, ratios hardly \
         do.\n\n{}\n",
        arguments.join(" "),
        effort.repetitions,
        effort.batch.as_millis(),
        machine::description()
    )
}

/// Writes `benchmarks.md`, and its plots into the folder `benchmarks` next to it.
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
