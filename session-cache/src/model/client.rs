//! The steps of clients: those of `Cached`, with the work of the engine in between.

use super::flaws::Flaw;
use super::process::{Kept, Number};
use super::properties::{self, CONDITION, Shown};
use super::world::{Client, Do, Scenario, State, Step, Steps, World};
use crate::rules::Asked;
use session_core::clock::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Idle,
    /// The entry must not be returned.
    Misses,
    /// A fresh read has detached the others.
    IsFresh,
    Waits(Number),
    /// Reads the engine itself, while the bus is lost.
    Alone,
    /// Over the record that it has read; and the state in the answer of the engine.
    Writes(State, Option<State>),
    Done,
}

impl Scenario {
    pub fn clients_act(&self, steps: &mut Steps<'_>) {
        for (number, flight) in steps.world.flights.iter().enumerate() {
            if flight.as_ref().is_some_and(|flight| flight.answer.is_none()) {
                steps.push(Step::ReadAtEngine(number), |next| {
                    let present = next.engine.present();
                    if let Some(flight) = &mut next.flights[number] {
                        flight.answer = Some(present);
                    }
                });
            }
        }
        for (number, (what, base)) in steps.world.late.iter().enumerate() {
            steps.push(Step::WrittenLate(*what), |next| {
                next.late.remove(number);
                self.apply(next, *what, *base);
            });
        }
        for at in 0..self.clients.len() {
            self.client_acts(steps, at);
            if steps.world.faults > 0 {
                self.client_goes_away(steps, at);
            }
        }
    }

    fn client_acts(&self, steps: &mut Steps<'_>, at: usize) {
        let world = steps.world;
        let (process, things) = &self.clients[at];
        let (process, client) = (*process, &world.clients[at]);
        match client.phase {
            Phase::Idle => {
                let what = things[client.done];
                steps.push(Step::Begins(at, what), |next| self.begin(next, at, what));
            }
            Phase::Misses => steps.push(Step::Asks(at), |next| {
                let is_lost = next.processes[process].link.epoch(next.now).is_none();
                next.clients[at].phase =
                    if is_lost { Phase::Alone } else { Phase::Waits(self.join(next, process)) };
            }),
            Phase::IsFresh => steps.push(Step::Asks(at), |next| {
                next.clients[at].phase = Phase::Waits(self.join(next, process));
            }),
            Phase::Alone => {
                steps.push(Step::Answered(at), |next| self.show(next, at, next.engine.present(), false));
            }
            Phase::Waits(flight) => {
                if world.flights[flight].as_ref().is_some_and(|flight| flight.answer.is_some()) {
                    steps.push(Step::Answered(at), |next| {
                        if let Some(state) = self.leave(next, flight) {
                            self.show(next, at, state, false);
                        }
                    });
                }
            }
            Phase::Writes(base, None) => steps.push(Step::WrittenAtEngine(at), |next| {
                let told = self.apply(next, things[client.done], base);
                next.clients[at].phase = Phase::Writes(base, Some(told));
            }),
            Phase::Writes(_, Some(told)) => {
                steps.push(Step::Answered(at), |next| self.written(next, at, told));
            }
            Phase::Done => {}
        }
    }

    /// Like the lookup in `Cached::read`, and the beginning of a write.
    fn begin(&self, world: &mut World, at: usize, what: Do) {
        let process = self.clients[at].0;
        let client = &mut world.clients[at];
        (client.begun, client.floor) = (world.now, world.processes[process].floor);
        match what {
            Do::Read => match self.hit(world, process) {
                Some(state) => self.show(world, at, state, true),
                None => world.clients[at].phase = Phase::Misses,
            },
            Do::Fresh => {
                world.processes[process].changed(self.flaw);
                world.clients[at].phase = Phase::IsFresh;
            }
            Do::Change | Do::Logout | Do::Regenerate | Do::EndAll => {
                client.phase = Phase::Writes(client.seen, None);
                if what != Do::EndAll {
                    world.processes[process].write(self.flaw);
                }
            }
        }
    }

    /// A read gets its answer, from the engine or from memory.
    fn show(&self, world: &mut World, at: usize, state: State, from_memory: bool) {
        let Client { begun, floor, .. } = world.clients[at];
        let cut = world.processes[self.clients[at].0].link.cut.filter(|_| from_memory);
        let shown = Shown { state, begun, floor, from_memory, cut };
        world.broken = world.broken.or(properties::of_read(self, &world.engine, shown));
        self.go_on(world, at, state);
    }

    /// A write gets its answer: later calls know of it.
    fn written(&self, world: &mut World, at: usize, told: State) {
        let what = self.clients[at].1[world.clients[at].done];
        let (now, is_live) = (world.now, world.engine.is_live(told));
        let process = &mut world.processes[self.clients[at].0];
        if what == Do::EndAll {
            process.end_all(now, self.flaw);
        } else {
            process.written(self.flaw);
        }
        if self.has(Flaw::KeepsWhatWasWritten) && is_live {
            let asked = Asked { at: Timestamp::from_millis(now), epoch: process.link.epoch(now) };
            process.kept = Some(Kept { state: told, asked });
        }
        if self.reads(self.clients[at].0) {
            process.floor = process.floor.max(told);
        }
        self.go_on(world, at, told);
    }

    fn go_on(&self, world: &mut World, at: usize, seen: State) {
        let client = &mut world.clients[at];
        client.done += 1;
        let left = &self.clients[at].1[client.done..];
        // Values that no longer matter are equal in all states, so that fewer states differ.
        let is_needed = left.iter().any(|it| matches!(it, Do::Change | Do::Regenerate));
        client.seen = if is_needed { seen } else { 0 };
        (client.begun, client.floor) = (0, 0);
        client.phase = if left.is_empty() { Phase::Done } else { Phase::Idle };
    }

    /// One step of the engine: compares and sets. Returns the state of the session then.
    fn apply(&self, world: &mut World, what: Do, base: State) -> State {
        let present = world.engine.present();
        let is_over_base = present == base || self.has(Flaw::WritesWithoutACondition);
        let (is_stored, stays) = match what {
            Do::Change => (is_over_base, true),
            Do::Regenerate => (is_over_base, false),
            _ => (true, false),
        };
        if is_stored && world.engine.is_live(present) {
            if matches!(what, Do::Change | Do::Regenerate) && present != base {
                world.broken = Some(CONDITION);
            }
            world.engine.put(stays, world.now);
            world.notify(self.names_ids);
        }
        world.engine.present()
    }

    /// A client has disconnected, and its request was given up. The engine may still do its call.
    fn client_goes_away(&self, steps: &mut Steps<'_>, at: usize) {
        let (process, things) = &self.clients[at];
        let client = &steps.world.clients[at];
        match client.phase {
            Phase::Waits(flight) => steps.push(Step::GoesAway(at), |next| {
                // The answer was meant for this client, so another client must ask again. If the
                // answer had arrived, the read would end like any other.
                if let Some(flight) = &mut next.flights[flight] {
                    flight.answer = None;
                }
                self.leave(next, flight);
                next.go_away(at);
            }),
            Phase::Writes(base, told) => {
                let what = things[client.done];
                steps.push(Step::GoesAway(at), |next| {
                    if told.is_none() {
                        next.late.push((what, base));
                    }
                    if what != Do::EndAll {
                        next.processes[*process].written(self.flaw);
                    }
                    next.go_away(at);
                });
            }
            _ => {}
        }
    }
}

impl World {
    fn go_away(&mut self, at: usize) {
        self.faults -= 1;
        self.clients[at].phase = Phase::Done;
    }
}
