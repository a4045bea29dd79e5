//! The phase of a client, and its calls in flight: an operation has two attempts, and a rename has
//! several writes.

use super::store::{Id, Op, Over, Rec};
use super::world::{Request, World};

/// The number of a call whose answer no client waits for.
pub(super) const UNAWAITED: u8 = 0;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Client {
    pub phase: Phase,
    /// The number of calls that it has made.
    pub calls: u8,
    pub done: usize,
    pub handle: Option<(Id, Rec)>,
    drawn: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) enum Phase {
    #[default]
    New,
    Calling(Calling),
    /// The client waits for its turn, with the newest record that it has seen.
    Queued(Rec),
    Done,
}

/// One call of an operation, with its two attempts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Calling {
    pub what: What,
    pub tries: u8,
    /// The write that each attempt waits for; only a rename has more than one.
    pub stages: [Option<u8>; 2],
    /// For a rename: the compare token of the new record, and whether an earlier attempt had stored
    /// it.
    pub created: [(u8, bool); 2],
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum What {
    Write { id: Id, over: Option<Over>, record: Rec },
    Create { ids: [Id; 2], record: Rec },
    Move { old: Id, over: Over, ids: [Id; 2], record: Rec, tombstones: [Rec; 2] },
    Destroy { id: Id, stamp: Option<Over> },
}

impl What {
    fn op(&self, attempt: usize, stage: u8) -> Op {
        match self {
            Self::Write { id, over, record } => Op::Write { id: *id, record: record.clone(), over: *over },
            Self::Create { ids, record } => {
                Op::Write { id: ids[attempt], record: record.clone(), over: None }
            }
            Self::Move { ids, record, .. } if stage == 0 => {
                Op::Write { id: ids[attempt], record: record.clone(), over: None }
            }
            Self::Move { old, over, tombstones, .. } => {
                Op::Write { id: *old, record: tombstones[attempt].clone(), over: Some(*over) }
            }
            Self::Destroy { id, stamp } => Op::Destroy { id: *id, stamp: *stamp },
        }
    }
}

impl World {
    /// Draws a version that no other client draws.
    pub fn draw(&mut self, at: usize) -> u8 {
        let client = &mut self.clients[at];
        client.drawn += 1;
        u8::try_from(at + 1).unwrap_or(u8::MAX) * 64 + client.drawn
    }

    pub fn call(&mut self, at: usize, what: What) {
        let client = &mut self.clients[at];
        client.calls += 1;
        let calling = Calling { what, tries: 0, stages: [None; 2], created: [(0, false); 2] };
        client.phase = Phase::Calling(calling);
        self.next_attempt(at);
    }

    /// Sends the next attempt; the previous one may still be in flight.
    pub fn next_attempt(&mut self, at: usize) {
        if let Phase::Calling(calling) = &mut self.clients[at].phase {
            calling.tries += 1;
            let attempt = usize::from(calling.tries - 1);
            self.send_stage(at, attempt, 0);
        }
    }

    pub fn send_stage(&mut self, at: usize, attempt: usize, stage: u8) {
        let client = &mut self.clients[at];
        if let Phase::Calling(calling) = &mut client.phase {
            calling.stages[attempt] = Some(stage);
            let op = calling.what.op(attempt, stage);
            let call = (client.calls, attempt, stage);
            self.send(Request { client: at, call, resent: false, op });
        }
    }

    /// Removes a record that may exist under an id that no client knows. No client waits for this
    /// call, which allows it to interleave with all later ones.
    pub fn withdraw(&mut self, at: usize, id: Id) {
        let op = Op::Destroy { id, stamp: None };
        self.send(Request { client: at, call: (UNAWAITED, 0, 0), resent: false, op });
    }
}
