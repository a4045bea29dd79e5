//! The bus of one process: the notices in transit, the heartbeat, and the listener.

use super::flaws::Flaw;
use super::world::{Bus, Scenario, Steps, World};
use crate::rules::{Epoch, epoch_at};

/// How long an answer to the heartbeat counts.
pub(super) const GOOD_FOR: u64 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Link {
    exists: bool,
    stage: Stage,
    epoch: u64,
    last: u64,
    good_until: u64,
    wire: Vec<Message>,
    /// When the last heartbeat was sent.
    asked: Option<u64>,
    /// Since when nothing arrives, if the process could have noticed.
    pub cut: Option<u64>,
}

/// The position of the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    Lost,
    /// The server sends notices from now on.
    Listens,
    /// An epoch is about to begin, and older entries have been dropped.
    Begins,
    Follows,
    /// The epoch has ended, and older entries have not been dropped yet.
    Ends,
}

/// A message from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Message {
    Changed,
    Everything,
    /// The answer to the heartbeat of this time.
    Answer(u64),
}

#[derive(Debug, Clone, Copy)]
#[expect(dead_code, reason = "what a step carries is read by those who read a counterexample")]
pub(super) enum Step {
    Connects,
    BeginsFirstPart,
    BeginsSecondPart,
    Asks,
    Arrives(Message),
    IsCut,
    EndsEpoch,
    Drops,
}

impl Link {
    pub fn new(bus: Bus) -> Self {
        let is_connected = bus == Bus::Connected;
        Self {
            exists: bus != Bus::Absent,
            stage: if is_connected { Stage::Follows } else { Stage::Lost },
            epoch: u64::from(is_connected),
            last: u64::from(is_connected),
            good_until: GOOD_FOR,
            wire: Vec::new(),
            asked: None,
            cut: None,
        }
    }

    /// Like `Watch::epoch`.
    pub fn epoch(&self, now: u64) -> Option<Epoch> {
        if self.exists { epoch_at(self.epoch, now, self.good_until) } else { Some(Epoch::MIN) }
    }

    /// Like `Watch::begin`.
    fn begin(&mut self) {
        self.last += 1;
        self.epoch = self.last;
    }

    fn is_sent(&self) -> bool {
        self.exists && self.stage != Stage::Lost && self.cut.is_none()
    }
}

impl World {
    /// The server notifies all listeners of a change of the session.
    pub fn notify(&mut self, names_ids: bool) {
        let notice = if names_ids { Message::Changed } else { Message::Everything };
        for process in &mut self.processes {
            if process.link.is_sent() {
                process.link.wire.push(notice);
            }
        }
    }
}

impl Scenario {
    pub fn bus_acts(&self, steps: &mut Steps<'_>) {
        for at in 0..2 {
            if steps.world.processes[at].link.exists {
                self.connection_changes(steps, at);
                self.messages_arrive(steps, at);
            }
        }
    }

    fn connection_changes(&self, steps: &mut Steps<'_>, at: usize) {
        let World { now, faults, .. } = *steps.world;
        let link = &steps.world.processes[at].link;
        let mut step = |step, act: &dyn Fn(&mut World)| steps.push(super::world::Step::Bus(at, step), act);
        match link.stage {
            Stage::Lost => step(Step::Connects, &|next| {
                let link = &mut next.processes[at].link;
                (link.stage, link.asked, link.cut) = (Stage::Listens, None, None);
            }),
            Stage::Listens => step(Step::BeginsFirstPart, &|next| {
                let link = &mut next.processes[at].link;
                link.good_until = self.good_until(now);
                link.cut = link.cut.map(|_| now);
                self.begin_epoch(next, at);
            }),
            Stage::Begins => step(Step::BeginsSecondPart, &|next| {
                let process = &mut next.processes[at];
                match self.flaw {
                    Some(Flaw::BeginsBeforeItClears) => process.clear(self.flaw),
                    _ => process.link.begin(),
                }
                process.link.stage = Stage::Follows;
            }),
            Stage::Follows if link.cut.is_some() => step(Step::EndsEpoch, &|next| {
                let link = &mut next.processes[at].link;
                (link.epoch, link.stage) = (0, Stage::Ends);
            }),
            Stage::Follows if link.asked < Some(now) => step(Step::Asks, &|next| {
                let link = &mut next.processes[at].link;
                link.wire.push(Message::Answer(now));
                link.asked = Some(now);
            }),
            Stage::Follows => {}
            Stage::Ends => step(Step::Drops, &|next| {
                next.processes[at].clear(self.flaw);
                next.processes[at].link.stage = Stage::Lost;
            }),
        }
        if faults > 0 && link.is_sent() && link.stage != Stage::Ends {
            step(Step::IsCut, &|next| {
                next.faults -= 1;
                let link = &mut next.processes[at].link;
                link.wire.clear();
                link.cut = Some(now);
            });
        }
    }

    /// In any order, except that an answer arrives after the notices that were sent before it.
    fn messages_arrive(&self, steps: &mut Steps<'_>, at: usize) {
        let now = steps.world.now;
        let link = &steps.world.processes[at].link;
        if link.stage != Stage::Follows {
            return;
        }
        for (place, message) in link.wire.iter().enumerate() {
            if matches!(message, Message::Answer(_))
                && place > 0
                && !self.has(Flaw::CountsAnswersBeforeNotices)
            {
                continue;
            }
            steps.push(super::world::Step::Bus(at, Step::Arrives(*message)), |next| {
                let process = &mut next.processes[at];
                process.link.wire.remove(place);
                match *message {
                    Message::Changed => process.changed(self.flaw),
                    Message::Everything => self.begin_epoch(next, at),
                    Message::Answer(asked) => {
                        let since = if self.has(Flaw::CountsFromTheAnswer) { now } else { asked };
                        process.link.good_until = self.good_until(since);
                    }
                }
            });
        }
    }

    /// Like `Connected::begin`, in two steps.
    fn begin_epoch(&self, next: &mut World, at: usize) {
        let process = &mut next.processes[at];
        match self.flaw {
            Some(Flaw::BeginsWithoutClearing) => {}
            Some(Flaw::BeginsBeforeItClears) => process.link.begin(),
            _ => process.clear(self.flaw),
        }
        process.link.stage = Stage::Begins;
    }

    fn good_until(&self, asked: u64) -> u64 {
        if self.has(Flaw::HasNoHeartbeat) { u64::MAX } else { asked + GOOD_FOR }
    }
}
