//! The cache of one process, like `entries`: the kept records, and the calls in progress.

use std::time::Duration;

use session_core::clock::Timestamp;

use super::bus::Link;
use super::flaws::Flaw;
use super::world::{Bus, Scenario, State, World};
use crate::rules::{Asked, Busy};

/// The number of a read of the engine.
pub(super) type Number = usize;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pub kept: Option<Kept>,
    pub busy: Busy<Number>,
    /// When all sessions of the owner were ended.
    pub ended: Option<Timestamp>,
    /// The newest state that this process knows from the result of a write.
    pub floor: State,
    pub link: Link,
    /// For a flaw: the read that was detached last.
    detached: Option<Number>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Kept {
    pub state: State,
    pub asked: Asked,
}

/// A read of the engine in progress.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    pub process: usize,
    pub asked: Asked,
    /// The answer of the engine.
    pub answer: Option<State>,
    readers: u8,
}

impl Process {
    pub fn new(bus: Bus, reads: bool) -> Self {
        Self {
            kept: None,
            busy: Busy::default(),
            ended: None,
            floor: 0,
            link: Link::new(if reads { bus } else { Bus::Absent }),
            detached: None,
        }
    }

    /// Like `Entries::write`.
    pub fn write(&mut self, flaw: Option<Flaw>) {
        self.kept = None;
        self.note_detached(flaw);
        match flaw {
            Some(Flaw::RemovesWithoutDetaching) => {}
            Some(Flaw::DetachesOnlyBeforeAWrite) => {
                self.busy.write();
                self.busy.written();
            }
            _ => self.busy.write(),
        }
    }

    /// The end of a write.
    pub fn written(&mut self, flaw: Option<Flaw>) {
        self.note_detached(flaw);
        if !matches!(flaw, Some(Flaw::RemovesWithoutDetaching | Flaw::DetachesOnlyBeforeAWrite)) {
            self.busy.written();
        }
    }

    /// Like `Entries::changed`.
    pub fn changed(&mut self, flaw: Option<Flaw>) {
        self.write(flaw);
        self.written(flaw);
    }

    /// Like `Entries::clear`.
    pub fn clear(&mut self, flaw: Option<Flaw>) {
        self.note_detached(flaw);
        if flaw != Some(Flaw::ClearsWithoutDetaching) {
            self.busy.detach();
        }
        self.kept = None;
    }

    /// Like `Entries::ended`.
    pub fn end_all(&mut self, now: u64, flaw: Option<Flaw>) {
        self.ended = Some(Timestamp::from_millis(now));
        self.note_detached(flaw);
        if flaw != Some(Flaw::EndsAllWithoutDetaching) {
            self.busy.detach();
        }
    }

    fn note_detached(&mut self, flaw: Option<Flaw>) {
        if flaw == Some(Flaw::JoinsWhatWasDetached) {
            let flight = self.busy.clone().read(|_| true, || Number::MAX);
            self.detached = Some(flight).filter(|flight| *flight != Number::MAX).or(self.detached);
        }
    }
}

impl Scenario {
    pub fn max_stale(&self) -> Duration {
        Duration::from_millis(self.max_stale)
    }

    /// Like `Entries::get`.
    pub fn hit(&self, world: &World, at: usize) -> Option<State> {
        let process = &world.processes[at];
        let kept = process.kept.as_ref()?;
        let now = Timestamp::from_millis(world.now);
        let present = process.link.epoch(world.now);
        let is_watched = kept.asked.is_watched(present) || self.has(Flaw::ComparesNoEpochs);
        let is_alive = world.now < self.deadline || self.has(Flaw::LooksAtNoDeadline);
        let is_ended = process.ended.is_some_and(|ended| kept.asked.is_before(ended))
            && !self.has(Flaw::LooksAtNoEndOfAll);
        let may_be_shown = kept.asked.is_new(now, self.max_stale()) && is_watched && is_alive && !is_ended;
        may_be_shown.then_some(kept.state)
    }

    /// Like `Entries::read`: joins the read in progress, or begins one.
    pub fn join(&self, world: &mut World, at: usize) -> Number {
        let World { now, processes, flights, .. } = world;
        let (process, time) = (&mut processes[at], Timestamp::from_millis(*now));
        let is_new = |flight: &Number| {
            flights[*flight].as_ref().is_some_and(|flight| flight.asked.is_new(time, self.max_stale()))
        };
        let free = flights.iter().position(Option::is_none).unwrap_or(flights.len());
        let number = match process.detached.filter(is_new) {
            Some(detached) => detached,
            None => process.busy.read(is_new, || free),
        };
        if number == free {
            let asked = Asked { at: time, epoch: process.link.epoch(*now) };
            let flight = Some(Flight { process: at, asked, answer: None, readers: 0 });
            if free == flights.len() {
                flights.push(flight);
            } else {
                flights[free] = flight;
            }
        }
        if let Some(flight) = &mut flights[number] {
            flight.readers += 1;
        }
        number
    }

    /// Like the end of a `Reading`: keeps the answer if that is allowed, and returns it.
    pub fn leave(&self, world: &mut World, number: Number) -> Option<State> {
        let flight = world.flights[number].as_mut()?;
        flight.readers -= 1;
        let Flight { process, mut asked, answer, readers } = *flight;
        let process = &mut world.processes[process];
        let may_keep = process.busy.leave(|current| *current == number, answer.is_some() || readers == 0);
        if self.has(Flaw::CountsFromTheEndOfTheRead) {
            asked.at = Timestamp::from_millis(world.now);
        }
        let found = answer.filter(|state| world.engine.is_live(*state));
        if let (true, Some(state), Some(_)) = (may_keep, found, asked.epoch) {
            process.kept = Some(Kept { state, asked });
        }
        if readers == 0 {
            world.flights[number] = None;
            process.detached = process.detached.filter(|detached| *detached != number);
        }
        answer
    }
}
