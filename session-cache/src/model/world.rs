//! The states of the model and its steps: the engine, the processes, and where every client is.

use session_search::Model;

use super::client::Phase;
use super::flaws::Flaw;
use super::process::{Flight, Process};

/// The number of a state of the session: each change at the engine makes a new one.
pub(super) type State = u8;

/// What a client does, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Do {
    /// Reads through the cache.
    Read,
    /// Reads at the engine.
    Fresh,
    /// Writes over what the client has read.
    Change,
    Logout,
    /// Replaces the id: what follows is about the old one.
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

/// What two processes do with a session, and how much may go wrong.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    /// Each with its process.
    pub clients: Vec<(usize, Vec<Do>)>,
    pub bus: Bus,
    /// A notice says which session has changed.
    pub names_ids: bool,
    pub max_stale: u64,
    /// How far time goes.
    pub ticks: u64,
    /// When the session expires.
    pub deadline: u64,
    /// How often a client goes away, or the bus is cut.
    pub faults: u8,
    pub flaw: Option<Flaw>,
}

/// What the engine has held under the id.
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
    /// What it has read or written, over which it writes.
    pub seen: State,
    /// Of its present read: when it began, and what its process had been told of then.
    pub begun: u64,
    pub floor: State,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub now: u64,
    pub engine: Engine,
    pub processes: [Process; 2],
    pub clients: Vec<Client>,
    /// Reads of the engine that somebody waits for.
    pub flights: Vec<Option<Flight>>,
    /// Writes whose clients have gone away.
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
    /// The cache has no usable entry, so the client reads from the engine. A fresh read detaches the
    /// earlier one first.
    Asks(usize),
    /// The engine answers a read, or a write.
    ReadAtEngine(usize),
    WrittenAtEngine(usize),
    WrittenLate(Do),
    /// A client has its answer.
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
    /// Whether a process reads: another one needs no cache.
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

/// The steps that can be next.
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
