//! A breadth-first search through every state of a model, which finds the shortest path to a bad
//! one.
//!
//! Why not `stateright` 0.31, the best-known checker for Rust: its last release and commit are from
//! July 2025; it has no optional features, so every build of the tests would include a web server,
//! actors and its own hash map; it identifies states by a 64-bit hash; and its `eventually` is
//! known to miss counterexamples in states that are reached twice. This file is all that is needed.
//! It compares whole states, and proves that every request ends by the absence of dead ends and
//! cycles.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::{Debug, Write as _};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::rc::Rc;

pub(super) trait Model {
    type State: Clone + Eq + Hash;
    type Step: Clone + Debug;

    fn start(&self) -> Self::State;
    /// Returns every possible next step, with the state that it leads to.
    fn steps(&self, state: &Self::State) -> Vec<(Self::Step, Self::State)>;
    /// Returns the property that a state breaks.
    fn broken(&self, state: &Self::State) -> Option<&'static str>;
    /// Returns whether no work is left.
    fn is_done(&self, state: &Self::State) -> bool;
}

#[derive(Debug)]
pub(super) struct Found {
    pub states: usize,
    /// The first property that does not hold, and the steps to the state that breaks it.
    pub broken: Option<(&'static str, String)>,
}

pub(super) const DEAD_END: &str = "every request ends: nothing can happen any more";
pub(super) const CYCLE: &str = "every request ends: the same steps repeat for ever";

pub(super) fn search<M: Model>(model: &M) -> Found {
    let start = Rc::new(model.start());
    let mut numbers = HashMap::with_hasher(Hashing::default());
    numbers.insert(Rc::clone(&start), 0_usize);
    let mut states = vec![start];
    let mut from: Vec<Option<(usize, M::Step)>> = vec![None];
    let mut edges: Vec<Vec<usize>> = Vec::new();
    let found = |states: usize, broken| Found { states, broken };
    let mut at = 0;
    while at < states.len() {
        let state = Rc::clone(&states[at]);
        if let Some(property) = model.broken(&state) {
            return found(states.len(), Some((property, path(&from, at))));
        }
        let steps = model.steps(&state);
        if steps.is_empty() && !model.is_done(&state) {
            return found(states.len(), Some((DEAD_END, path(&from, at))));
        }
        let mut next = Vec::with_capacity(steps.len());
        for (step, state) in steps {
            let number = match numbers.entry(Rc::new(state)) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    states.push(Rc::clone(new.key()));
                    from.push(Some((at, step)));
                    *new.insert(states.len() - 1)
                }
            };
            next.push(number);
        }
        edges.push(next);
        at += 1;
    }
    let broken = in_a_cycle(&edges).map(|at| (CYCLE, path(&from, at)));
    found(states.len(), broken)
}

/// A hash with one multiplication per word, which is faster than the standard one in an unoptimized
/// build.
#[derive(Default)]
struct Words(u64);

type Hashing = BuildHasherDefault<Words>;

impl Hasher for Words {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u8(*byte);
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

/// Returns a state that is part of a cycle, or follows one: a state that remains after repeatedly
/// removing all states without a predecessor.
fn in_a_cycle(edges: &[Vec<usize>]) -> Option<usize> {
    let mut ways = vec![0_usize; edges.len()];
    edges.iter().flatten().for_each(|to| ways[*to] += 1);
    let mut free: Vec<usize> = (0..edges.len()).filter(|at| ways[*at] == 0).collect();
    while let Some(at) = free.pop() {
        for to in &edges[at] {
            ways[*to] -= 1;
            if ways[*to] == 0 {
                free.push(*to);
            }
        }
    }
    ways.iter().position(|ways| *ways > 0)
}

fn path<S: Debug>(from: &[Option<(usize, S)>], mut at: usize) -> String {
    let mut steps = Vec::new();
    while let Some((before, step)) = &from[at] {
        steps.push(step);
        at = *before;
    }
    steps.iter().rev().enumerate().fold(String::new(), |mut text, (number, step)| {
        let _ = writeln!(text, "{:>3}. {step:?}", number + 1);
        text
    })
}
