//! Every fuzz target as an ordinary test: its corpus, and what random changes make of it for a while.
//!
//! `FUZZ_SECONDS` says for how long each target runs, `FUZZ_SEED` repeats a run.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use session_fuzz::{TARGETS, Target};

#[test]
fn record_refuses_or_reads_any_bytes() {
    run("record");
}

#[test]
fn value_refuses_or_reads_any_bytes() {
    run("value");
}

#[test]
fn cookies_are_refused_or_read_whatever_a_client_sends() {
    run("cookies");
}

#[test]
fn sealed_cookies_cannot_be_made_without_the_key() {
    run("sealed");
}

#[test]
fn configs_refuse_or_read_any_text() {
    run("configs");
}

#[test]
fn every_target_has_a_corpus_and_a_program() {
    for (name, _) in TARGETS {
        assert!(!corpus(name).is_empty(), "{name}");
        let program = root().join("fuzz_targets").join(name).with_extension("rs");
        assert!(program.exists(), "{}", program.display());
    }
}

fn run(name: &str) {
    let (_, target) = TARGETS.into_iter().find(|(other, _)| *other == name).unwrap();
    let corpus = corpus(name);
    for input in &corpus {
        check(name, target, input);
    }
    let seconds = env::var("FUZZ_SECONDS").ok().map_or(2, |seconds| seconds.parse().expect("a number"));
    let seed = env::var("FUZZ_SEED").ok().map_or_else(rand::random, |seed| seed.parse().expect("a number"));
    let mut random = StdRng::seed_from_u64(seed);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut inputs = 0_u64;
    while Instant::now() < end {
        check(name, target, &mutated(&corpus, &mut random));
        inputs += 1;
    }
    // Shown with `--nocapture`.
    eprintln!("{name}: {inputs} inputs, FUZZ_SEED={seed}");
}

fn check(name: &str, target: Target, input: &[u8]) {
    if catch_unwind(|| target(input)).is_err() {
        let bytes = input.escape_ascii();
        panic!(
            "the target {name} fails with b\"{bytes}\": put these bytes into a file in dev/fuzz/corpus/{name}"
        );
    }
}

/// An input of the corpus with a few changes: bits, bytes, lengths, parts of it and of others.
fn mutated(corpus: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let any = |random: &mut StdRng| corpus[random.random_range(0..corpus.len())].clone();
    let mut input = any(random);
    for _ in 0..random.random_range(1..=6) {
        let at = random.random_range(0..=input.len());
        let part = at..random.random_range(at..=input.len().min(at + 16));
        match random.random_range(0..8) {
            0 if at < input.len() => input[at] ^= 1 << random.random_range(0..8),
            1 if at < input.len() => input[at] = random.random(),
            2 => input.insert(at, random.random()),
            3 => drop(input.drain(part)),
            4 => {
                let copy = input[part].to_vec();
                input.splice(at..at, copy);
            }
            5 => {
                let other = any(random);
                let from = random.random_range(0..=other.len());
                let to = random.random_range(from..=other.len().min(from + 32));
                input.splice(part, other[from..to].iter().copied());
            }
            6 => input.truncate(at),
            _ => {
                let edges = [0, 1, 0x7f, 0x80, 0x90, 0xc0, 0xc1, 0xc4, 0xc7, 0xd4, 0xdb, 0xdd, 0xdf, 0xff];
                let mut bytes = [edges[random.random_range(0..edges.len())]; 4];
                let same = random.random_range(1..4);
                random.fill_bytes(&mut bytes[same..]);
                input.splice(at..at, bytes);
            }
        }
    }
    input
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = root().join("corpus").join(name);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
