//! The states of the model and its steps: the stored records, the calls in flight, and the phase of
//! every client.

use session_search::Model;

use super::calling::{Client, Phase, UNAWAITED};
use super::flaws::Flaw;
use super::store::{Answer, CHANGES, Compare, Deadline, Id, Op, Rec, Slot};

/// One of the actions that a client performs on its session in sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Commits the change with this number.
    Change(usize),
    Regenerate,
    /// Ends the session under the id that the client presented, without a load.
    Logout,
    /// Ends the session of the handle, by its stamp.
    Destroy,
    /// Stores a session of its own.
    Create,
}

/// The clients of a model, each with its process and its actions, and the number of faults.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub clients: Vec<(u8, Vec<Action>)>,
    pub compare: Compare,
    pub flaw: Option<Flaw>,
    /// The number of answers that are lost, calls that a driver resends, and late calls that are
    /// considered lost.
    pub faults: u8,
    /// The number of deadlines that pass.
    pub deadlines: u8,
    /// The last compare token of the store of a new id: compare tokens are unique per id only,
    /// because each server of a cluster has its own counter.
    pub tokens: u8,
}

/// One call in flight to the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Request {
    pub client: usize,
    /// The number of the client's call, of its attempt, and of the write in a rename.
    pub call: (u8, usize, u8),
    /// The driver has sent this call before.
    pub resent: bool,
    pub op: Op,
}

/// The queue of one process for one id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Turn {
    pub key: (u8, Id),
    pub holder: usize,
    pub waiting: Vec<usize>,
    pub last: Option<Rec>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub slots: Vec<Slot>,
    pub wire: Vec<Request>,
    pub clients: Vec<Client>,
    pub turns: Vec<Turn>,
    pub faults: u8,
    pub deadlines: u8,
    /// The record that a collection has listed and not yet removed.
    pub listed: Option<Id>,
    /// Acknowledged operations: changes, with their session, and ended sessions.
    pub acked: [Option<u8>; CHANGES],
    pub ended: Vec<bool>,
    /// Per session: whether a client knows it, whether a logout was applied, and whether it
    /// expired.
    pub known: Vec<bool>,
    pub destroyed: Vec<bool>,
    pub expired: Vec<bool>,
    pub tombstone_expired: bool,
}

#[derive(Debug, Clone)]
#[expect(dead_code, reason = "the fields are printed in a counterexample")]
pub(super) enum Step {
    /// The client loads its session and sends the first call.
    Start(usize),
    /// A call is applied, and its caller receives the answer.
    Applied(Request),
    AppliedAnswerLost(Request),
    /// A call is applied, its answer is lost, and the driver resends it.
    AppliedThenResent(Request),
    SecondAttempt(usize),
    GivesUp(usize),
    DeadlineIsNear(Id),
    DeadlinePasses(Id),
    Collects(Id),
    Removes(Id),
}

impl Model for Scenario {
    type State = World;
    type Step = Step;

    fn start(&self) -> World {
        let mut slot = Slot::new(0, true);
        slot.put(self.compare, Rec::first(u8::MAX, 0));
        World {
            slots: vec![slot],
            wire: Vec::new(),
            clients: self.clients.iter().map(|_| Client::default()).collect(),
            turns: Vec::new(),
            faults: self.faults,
            deadlines: self.deadlines,
            listed: None,
            acked: [None; CHANGES],
            ended: vec![false; self.clients.len() + 1],
            known: (0..=self.clients.len()).map(|session| session == 0).collect(),
            destroyed: vec![false; self.clients.len() + 1],
            expired: vec![false; self.clients.len() + 1],
            tombstone_expired: false,
        }
    }

    fn steps(&self, world: &World) -> Vec<(Step, World)> {
        let mut steps = Vec::new();
        self.clients_act(world, &mut steps);
        self.calls_arrive(world, &mut steps);
        self.time_passes(world, &mut steps);
        steps
    }

    fn broken(&self, world: &World) -> Option<&'static str> {
        super::properties::broken(world)
    }

    fn is_done(&self, world: &World) -> bool {
        world.turns.is_empty() && world.clients.iter().all(|client| client.phase == Phase::Done)
    }
}

impl Scenario {
    fn clients_act(&self, world: &World, steps: &mut Vec<(Step, World)>) {
        let mut step = |step, act: &dyn Fn(&mut World)| {
            let mut next = world.clone();
            act(&mut next);
            steps.push((step, next));
        };
        for (at, client) in world.clients.iter().enumerate() {
            match &client.phase {
                Phase::New => step(Step::Start(at), &|next| self.start_client(next, at)),
                Phase::Calling(calling) => {
                    // Giving up on a call in flight costs a fault; giving up when no call is in
                    // flight does not.
                    let is_lost = !world.wire.iter().any(|request| world.is_awaited(request, at));
                    if is_lost || world.faults > 0 {
                        let faults = world.faults - u8::from(!is_lost);
                        let act: &dyn Fn(&mut World) = if calling.tries == 1 {
                            &|next| {
                                next.faults = faults;
                                next.next_attempt(at);
                            }
                        } else {
                            &|next| {
                                next.faults = faults;
                                self.give_up(next, at);
                            }
                        };
                        let name =
                            if calling.tries == 1 { Step::SecondAttempt(at) } else { Step::GivesUp(at) };
                        step(name, act);
                    }
                }
                Phase::Queued(_) | Phase::Done => {}
            }
        }
    }

    fn calls_arrive(&self, world: &World, steps: &mut Vec<(Step, World)>) {
        for (at, request) in world.wire.iter().enumerate() {
            let mut next = world.clone();
            let request = request.clone();
            next.wire.remove(at);
            let (Op::Write { id, .. } | Op::Destroy { id, .. }) = request.op;
            let slot = &mut next.slots[usize::from(id)];
            let session = slot.record.as_ref().map_or(0, |record| usize::from(record.session));
            let answer = slot.apply(self.compare, &request.op, request.resent);
            next.destroyed[session] |= answer == Answer::Destroyed && request.call.0 != UNAWAITED;
            if world.faults > 0 && world.is_awaited(&request, request.client) {
                let mut lost = next.clone();
                lost.faults -= 1;
                let mut resent = lost.clone();
                resent.send(Request { resent: true, ..request.clone() });
                steps.push((Step::AppliedThenResent(request.clone()), resent));
                steps.push((Step::AppliedAnswerLost(request.clone()), lost));
            }
            self.receive(&mut next, &request, answer);
            steps.push((Step::Applied(request), next));
        }
    }

    fn time_passes(&self, world: &World, steps: &mut Vec<(Step, World)>) {
        let mut step = |step, act: &dyn Fn(&mut World)| {
            let mut next = world.clone();
            act(&mut next);
            steps.push((step, next));
        };
        for (at, slot) in world.slots.iter().enumerate() {
            let Some(record) = &slot.record else { continue };
            let id = Id::try_from(at).unwrap_or(Id::MAX);
            let session = usize::from(record.session);
            if world.deadlines > 0 && slot.deadline == Deadline::Far {
                step(Step::DeadlineIsNear(id), &|next| {
                    next.deadlines -= 1;
                    next.slots[at].deadline = Deadline::Near;
                });
            }
            if slot.deadline == Deadline::Near {
                step(Step::DeadlinePasses(id), &|next| {
                    next.slots[at].deadline = Deadline::Passed;
                    next.expire(record.moved, session);
                });
            }
            let flawed = self.flaw == Some(Flaw::CollectsLiveSessions) && world.deadlines > 0;
            if world.listed.is_none() && (slot.deadline != Deadline::Far || flawed) {
                step(Step::Collects(id), &|next| {
                    next.listed = Some(id);
                    next.deadlines -= u8::from(flawed && slot.deadline == Deadline::Far);
                });
            }
        }
        if let Some(id) = world.listed {
            step(Step::Removes(id), &|next| {
                next.listed = None;
                let slot = &mut next.slots[usize::from(id)];
                let is_due = slot.deadline != Deadline::Far;
                let looks =
                    !matches!(self.flaw, Some(Flaw::CollectsLiveSessions | Flaw::CollectsWithoutCondition));
                if (is_due || !looks)
                    && let Some(record) = slot.record.take()
                {
                    slot.deadline = Deadline::Far;
                    if is_due {
                        next.expire(record.moved, record.session.into());
                    }
                }
            });
        }
    }
}

impl World {
    pub fn send(&mut self, request: Request) {
        let at = self.wire.binary_search(&request).unwrap_or_else(|at| at);
        self.wire.insert(at, request);
    }

    /// Returns whether the client waits for the answer to this call.
    pub fn is_awaited(&self, request: &Request, by: usize) -> bool {
        let (call, attempt, stage) = request.call;
        let client = &self.clients[request.client];
        request.client == by
            && client.calls == call
            && matches!(&client.phase, Phase::Calling(calling) if calling.stages[attempt] == Some(stage))
    }

    fn expire(&mut self, moved: Option<Id>, session: usize) {
        match moved {
            None => self.expired[session] = true,
            Some(_) => self.tombstone_expired = true,
        }
    }

    /// Draws an unused id.
    pub fn new_id(&mut self, tokens: u8) -> Id {
        self.slots.push(Slot::new(tokens, false));
        Id::try_from(self.slots.len() - 1).unwrap_or(Id::MAX)
    }
}
