//! A breadth-first search through every state of a model, which finds the shortest path to a bad
//! one. The models are in `session-core/src/commit/model` and `session-cache/src/model`.
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

/// The possible steps, and the properties that must hold.
pub trait Model {
    /// All that the future depends on.
    type State: Clone + Eq + Hash;
    /// A step; counterexamples show it.
    type Step: Clone + Debug;

    /// The state that everything begins with.
    fn start(&self) -> Self::State;
    /// Returns every possible next step, with the state that it leads to.
    fn steps(&self, state: &Self::State) -> Vec<(Self::Step, Self::State)>;
    /// Returns the property that a state breaks.
    fn broken(&self, state: &Self::State) -> Option<&'static str>;
    /// Returns whether no work is left.
    fn is_done(&self, state: &Self::State) -> bool;
}

/// The result of a search.
#[derive(Debug)]
pub struct Found {
    /// How many different states were reached.
    pub states: usize,
    /// The first property that does not hold, and the steps to the state that breaks it.
    pub broken: Option<(&'static str, String)>,
}

/// Broken by a state that is not done and in which nothing can happen.
pub const DEAD_END: &str = "every request ends: nothing can happen any more";
/// Broken by steps that lead back to a state before them.
pub const CYCLE: &str = "every request ends: the same steps repeat for ever";

/// Searches every state that can be reached, the nearest first, until one breaks a property.
pub fn search<M: Model>(model: &M) -> Found {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts up to four, by one or by two.
    struct Counting {
        wrong: Option<u64>,
        ends_at: u64,
        begins_again: bool,
    }

    impl Model for Counting {
        type State = u64;
        type Step = u64;

        fn start(&self) -> u64 {
            0
        }

        fn steps(&self, state: &u64) -> Vec<(u64, u64)> {
            if *state == 4 && self.begins_again {
                return vec![(0, 1)];
            }
            [1, 2].into_iter().map(|by| (by, state + by)).filter(|(_, to)| *to <= 4).collect()
        }

        fn broken(&self, state: &u64) -> Option<&'static str> {
            (self.wrong == Some(*state)).then_some("wrong")
        }

        fn is_done(&self, state: &u64) -> bool {
            *state == self.ends_at
        }
    }

    const RIGHT: Counting = Counting { wrong: None, ends_at: 4, begins_again: false };

    #[test]
    fn every_state_is_reached_once() {
        let found = search(&RIGHT);
        assert_eq!((found.states, found.broken), (5, None));
    }

    #[test]
    fn the_shortest_way_to_a_wrong_state_is_shown() {
        let (property, steps) = search(&Counting { wrong: Some(4), ..RIGHT }).broken.unwrap();
        assert_eq!((property, steps.as_str()), ("wrong", "  1. 2\n  2. 2\n"));
    }

    #[test]
    fn a_dead_end_and_a_cycle_are_found() {
        assert_eq!(search(&Counting { ends_at: 9, ..RIGHT }).broken.unwrap().0, DEAD_END);
        assert_eq!(search(&Counting { begins_again: true, ..RIGHT }).broken.unwrap().0, CYCLE);
    }
}
