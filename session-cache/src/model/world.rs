//! The states of the model and its steps: the engine, the processes, and the position of every
//! client.

use session_search::Model;

use super::client::Phase;
use super::flaws::Flaw;
use super::process::{Flight, Process};

/// The number of a state of the session: each change at the engine makes a new one.
pub(super) type State = u8;

/// The calls of a client, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Do {
    /// Reads through the cache.
    Read,
    /// Reads at the engine.
    Fresh,
    /// Writes over the record that the client has read.
    Change,
    Logout,
    /// Replaces the id: later calls use the old one.
    Regenerate,
    /// Ends all sessions of the owner.
    EndAll,
}

/// The bus at the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bus {
    Absent,
    Lost,
    Connected,
}

/// The calls of two processes, and the number of faults.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    /// Each with its process.
    pub clients: Vec<(usize, Vec<Do>)>,
    pub bus: Bus,
    /// A notice names the session that has changed.
    pub names_ids: bool,
    pub max_stale: u64,
    /// The last tick of the clock.
    pub ticks: u64,
    /// When the session expires.
    pub deadline: u64,
    /// How often a client disconnects, or the bus is cut.
    pub faults: u8,
    pub flaw: Option<Flaw>,
}

/// The history of the record in the engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Engine {
    pub history: Vec<Was>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Was {
    pub is_live: bool,
    /// When it changed.
    pub until: Option<u64>,
}

impl Engine {
    pub fn present(&self) -> State {
        State::try_from(self.history.len() - 1).unwrap_or(State::MAX)
    }

    pub fn is_live(&self, state: State) -> bool {
        self.history[usize::from(state)].is_live
    }

    pub fn put(&mut self, is_live: bool, now: u64) {
        if let Some(last) = self.history.last_mut() {
            last.until = Some(now);
        }
        self.history.push(Was { is_live, until: None });
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Client {
    pub phase: Phase,
    pub done: usize,
    /// The record that it has read or written, over which it writes.
    pub seen: State,
    /// Of its current read: when it began, and the newest state that its process knew then.
    pub begun: u64,
    pub floor: State,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub now: u64,
    pub engine: Engine,
    pub processes: [Process; 2],
    pub clients: Vec<Client>,
    /// Reads of the engine that clients wait for.
    pub flights: Vec<Option<Flight>>,
    /// Writes whose clients have disconnected.
    pub late: Vec<(Do, State)>,
    pub faults: u8,
    pub broken: Option<&'static str>,
}

#[derive(Debug, Clone)]
#[expect(dead_code, reason = "what a step carries is read by those who read a counterexample")]
pub(super) enum Step {
    /// Time passes, and the session may expire.
    Tick,
    /// A client begins its next call.
    Begins(usize, Do),
    /// The cache has no usable entry, so the client reads from the engine. A fresh read detaches
    /// the earlier one first.
    Asks(usize),
    /// The engine answers a read, or a write.
    ReadAtEngine(usize),
    WrittenAtEngine(usize),
    WrittenLate(Do),
    /// A client gets its answer.
    Answered(usize),
    GoesAway(usize),
    Bus(usize, super::bus::Step),
}

impl Model for Scenario {
    type State = World;
    type Step = Step;

    fn start(&self) -> World {
        let client = |_: &_| Client { phase: Phase::Idle, done: 0, seen: 0, begun: 0, floor: 0 };
        World {
            now: 0,
            engine: Engine { history: vec![Was { is_live: true, until: None }] },
            processes: [0, 1].map(|process| Process::new(self.bus, self.reads(process))),
            clients: self.clients.iter().map(client).collect(),
            flights: Vec::new(),
            late: Vec::new(),
            faults: self.faults,
            broken: None,
        }
    }

    fn steps(&self, world: &World) -> Vec<(Step, World)> {
        if self.is_done(world) {
            return Vec::new();
        }
        let mut steps = Steps { world, steps: Vec::new() };
        self.time_passes(&mut steps);
        self.clients_act(&mut steps);
        self.bus_acts(&mut steps);
        steps.steps
    }

    fn broken(&self, world: &World) -> Option<&'static str> {
        world.broken
    }

    fn is_done(&self, world: &World) -> bool {
        world.clients.iter().all(|client| client.phase == Phase::Done)
    }
}

impl Scenario {
    /// Returns whether a process reads: others need no cache.
    pub fn reads(&self, process: usize) -> bool {
        let reads = |(of, things): &(usize, Vec<Do>)| {
            *of == process && things.iter().any(|it| matches!(it, Do::Read | Do::Fresh))
        };
        self.clients.iter().any(reads)
    }

    pub fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn time_passes(&self, steps: &mut Steps<'_>) {
        if steps.world.now < self.ticks {
            steps.push(Step::Tick, |next| {
                next.now += 1;
                if next.now == self.deadline && next.engine.is_live(next.engine.present()) {
                    next.engine.put(false, next.now);
                }
            });
        }
    }
}

/// The possible next steps.
pub(super) struct Steps<'a> {
    pub world: &'a World,
    pub steps: Vec<(Step, World)>,
}

impl Steps<'_> {
    pub fn push(&mut self, step: Step, act: impl FnOnce(&mut World)) {
        let mut next = self.world.clone();
        act(&mut next);
        self.steps.push((step, next));
    }
}
