//! Checks a history against the guarantees of sessions.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use session_core::ErrorKind;

use super::event::{Event, Found, Outcome, Seen, What};

/// A guarantee that a history can violate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Promise {
    /// Acknowledged changes stay: there is one sequence of writes, and every client saw a prefix of
    /// it.
    NoLostUpdate,
    /// Each write is applied at most once.
    AtMostOnce,
    /// A refused change is not applied, and every value was written by some client.
    RefusedIsNotApplied,
    /// The changes of one request are stored together or not at all, and keys of several clients
    /// coexist.
    Whole,
    /// A read that began after another read or a write was answered shows at least as much.
    Monotonic,
    /// After an acknowledged logout nothing is read, and nothing is written.
    LogoutIsFinal,
    /// After an acknowledged regeneration the old id no longer works, and of two regenerations of
    /// one id only one is acknowledged.
    OneId,
    /// A session that was neither ended nor given a new id exists.
    Kept,
    /// A healthy engine returns only network errors.
    HonestErrors,
}

/// A violated guarantee and its evidence.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Which.
    pub promise: Promise,
    /// A description.
    pub why: String,
    /// The calls that show it, as indices into the history.
    pub events: Vec<usize>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.promise, self.why)
    }
}

/// The quality of the connection between clients and engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// Every call arrived and was answered, so clients know every outcome.
    Good,
    /// Calls and responses were lost.
    Bad,
}

/// Checks the whole history of one session.
pub fn check(history: &[Event], line: Line) -> Result<(), Violation> {
    let seen = observations(history);
    errors(history, line)?;
    for observation in &seen {
        whole(observation)?;
    }
    // The most specific checks come first: a revived session also has another sequence of writes.
    ends(history)?;
    renewals(history)?;
    let chain = one_chain(&seen)?;
    only_what_was_written(history, &seen, chain, line)?;
    acknowledged(history)?;
    monotonic(&seen)?;
    kept(history)
}

/// An observation: the session had exactly this state at some moment during a call.
struct Observation<'a> {
    event: usize,
    begin: u64,
    end: u64,
    seen: &'a Seen,
}

fn observations(history: &[Event]) -> Vec<Observation<'_>> {
    let seen = |what| match what {
        &What::Load { found: Found::Session(ref seen), .. } | &What::Commit { after: Some(ref seen), .. } => {
            Some(seen)
        }
        _ => None,
    };
    let all = history.iter().enumerate();
    all.filter_map(|(event, &Event { begin, end, ref what, .. })| {
        Some(Observation { event, begin, end, seen: seen(what)? })
    })
    .collect()
}

fn broken<T>(promise: Promise, events: &[usize], why: impl Into<String>) -> Result<T, Violation> {
    Err(Violation { promise, why: why.into(), events: events.to_vec() })
}

fn errors(history: &[Event], line: Line) -> Result<(), Violation> {
    for (event, Event { end, what, .. }) in history.iter().enumerate() {
        let odd = match what {
            What::Commit { outcome: Outcome::Unknown, .. } | What::End { outcome: Outcome::Unknown, .. }
                if line == Line::Good && *end != u64::MAX =>
            {
                Some(ErrorKind::OutcomeUnknown)
            }
            What::Load { found: Found::Odd(kind), .. } => Some(*kind),
            What::Commit { outcome: Outcome::Refused(kind), .. }
            | What::End { outcome: Outcome::Refused(kind), .. } => {
                use ErrorKind::{Conflict, Expired, Gone, Unavailable};
                let fits =
                    matches!(kind, Conflict | Expired | Gone) || line == Line::Bad && *kind == Unavailable;
                (!fits).then_some(*kind)
            }
            _ => None,
        };
        if let Some(kind) = odd {
            return broken(Promise::HonestErrors, &[event], format!("a call ended with {kind:?}"));
        }
    }
    Ok(())
}

/// The client that added a number.
pub(crate) const fn client_of(number: u64) -> u64 {
    number / NUMBERS
}

/// The count of numbers of each client.
pub(crate) const NUMBERS: u64 = 1_000_000;

fn whole(Observation { event, seen, .. }: &Observation<'_>) -> Result<(), Violation> {
    let mut once = HashSet::new();
    if let Some(twice) = seen.log.iter().find(|number| !once.insert(**number)) {
        return broken(Promise::AtMostOnce, &[*event], format!("{twice} was added twice"));
    }
    if seen.counter != seen.log.len() as u64 {
        let why = format!("{} numbers and a counter of {}", seen.log.len(), seen.counter);
        return broken(Promise::Whole, &[*event], why);
    }
    let own: BTreeMap<u64, u64> = seen.log.iter().map(|number| (client_of(*number), *number)).collect();
    if own != seen.own {
        let why =
            format!("the last numbers of the clients are {own:?}, and their own keys hold {:?}", seen.own);
        return broken(Promise::Whole, &[*event], why);
    }
    Ok(())
}

/// Of every two observations, one is a prefix of the other. Returns the longest.
fn one_chain<'a>(seen: &'a [Observation<'_>]) -> Result<&'a [u64], Violation> {
    let mut by_length: Vec<_> = seen.iter().collect();
    by_length.sort_by_key(|observation| observation.seen.log.len());
    for pair in by_length.windows(2) {
        let (shorter, longer) = (&pair[0].seen.log, &pair[1].seen.log);
        if !longer.starts_with(shorter) {
            let lost: Vec<_> = shorter.iter().filter(|number| !longer.contains(number)).collect();
            let why = format!(
                "one call saw {shorter:?}, and another {longer:?}: without {lost:?}, or in another order"
            );
            return broken(Promise::NoLostUpdate, &[pair[0].event, pair[1].event], why);
        }
    }
    Ok(by_length.last().map_or(&[], |longest| &longest.seen.log))
}

fn only_what_was_written(
    history: &[Event],
    seen: &[Observation<'_>],
    chain: &[u64],
    line: Line,
) -> Result<(), Violation> {
    let commits: HashMap<u64, usize> = history
        .iter()
        .enumerate()
        .filter_map(|(event, Event { what, .. })| match what {
            What::Commit { number: Some(number), .. } => Some((*number, event)),
            _ => None,
        })
        .collect();
    for number in chain {
        let shows = seen.iter().find(|observation| observation.seen.log.contains(number));
        let shows = shows.map_or(0, |observation| observation.event);
        let Some(event) = commits.get(number) else {
            return broken(Promise::RefusedIsNotApplied, &[shows], format!("no client added {number}"));
        };
        if let What::Commit { outcome: Outcome::Refused(kind), .. } = history[*event].what {
            // An attempt without a response may have been applied before the session ended, which
            // the next attempt cannot see.
            if line == Line::Bad && matches!(kind, ErrorKind::Gone | ErrorKind::Expired) {
                continue;
            }
            let why = format!("{number} is stored, though its release ended with {kind:?}");
            return broken(Promise::RefusedIsNotApplied, &[*event, shows], why);
        }
    }
    Ok(())
}

/// A request whose change was acknowledged sees it.
fn acknowledged(history: &[Event]) -> Result<(), Violation> {
    for (event, Event { what, .. }) in history.iter().enumerate() {
        if let What::Commit { number: Some(number), outcome: Outcome::Done, after: Some(after), .. } = what
            && !after.log.contains(number)
        {
            let why = format!("{number} was acknowledged but is not stored");
            return broken(Promise::NoLostUpdate, &[event], why);
        }
    }
    Ok(())
}

fn monotonic(seen: &[Observation<'_>]) -> Result<(), Violation> {
    let mut by_begin: Vec<_> = seen.iter().collect();
    by_begin.sort_by_key(|observation| observation.begin);
    let mut by_end: Vec<_> = seen.iter().collect();
    by_end.sort_by_key(|observation| observation.end);
    let mut ended = by_end.into_iter().peekable();
    let mut most: Option<&Observation<'_>> = None;
    for later in by_begin {
        while let Some(earlier) = ended.next_if(|earlier| earlier.end < later.begin) {
            if most.is_none_or(|most| most.seen.log.len() < earlier.seen.log.len()) {
                most = Some(earlier);
            }
        }
        if let Some(most) = most.filter(|most| most.seen.log.len() > later.seen.log.len()) {
            let why =
                format!("{:?} was seen, and by a call that began later {:?}", most.seen.log, later.seen.log);
            return broken(Promise::Monotonic, &[most.event, later.event], why);
        }
    }
    Ok(())
}

fn ends(history: &[Event]) -> Result<(), Violation> {
    let logouts = history.iter().enumerate();
    let logouts = logouts.filter(|(_, event)| matches!(event.what, What::End { outcome: Outcome::Done, .. }));
    let Some((ended, logout)) = logouts.min_by_key(|(_, logout)| logout.end) else { return Ok(()) };
    for (event, later) in history.iter().enumerate().filter(|(_, later)| later.begin > logout.end) {
        let why = match &later.what {
            What::Load { found: Found::Session(_), .. } => "a session was read after its logout",
            What::Commit { outcome: Outcome::Done, .. } => {
                "a write that began after the logout was acknowledged"
            }
            _ => continue,
        };
        return broken(Promise::LogoutIsFinal, &[ended, event], why);
    }
    Ok(())
}

fn renewals(history: &[Event]) -> Result<(), Violation> {
    let mut dead: HashMap<usize, (usize, u64)> = HashMap::new();
    for (event, Event { end, what, .. }) in history.iter().enumerate() {
        if let What::Commit { token, renews: true, renewed: Some(_), outcome: Outcome::Done, .. } = what
            && let Some((first, _)) = dead.insert(*token, (event, *end))
        {
            return broken(Promise::OneId, &[first, event], format!("id {token} was given two new ids"));
        }
    }
    for (event, later) in history.iter().enumerate() {
        let (token, why) = match &later.what {
            What::Load { token, found: Found::Session(_) } => (token, "was read"),
            What::Commit { token, outcome: Outcome::Done, .. } => (token, "accepted a write"),
            _ => continue,
        };
        if let Some((renewal, _)) = dead.get(token).filter(|(_, end)| later.begin > *end) {
            let why = format!("id {token} {why} after it had been replaced");
            return broken(Promise::OneId, &[*renewal, event], why);
        }
    }
    Ok(())
}

/// A session is missing only if a logout or a new id explains it.
fn kept(history: &[Event]) -> Result<(), Violation> {
    for (event, Event { end, what, .. }) in history.iter().enumerate() {
        let (What::Load { token, found: Found::Nothing }
        | What::Commit { token, outcome: Outcome::Refused(ErrorKind::Gone | ErrorKind::Expired), .. }) = what
        else {
            continue;
        };
        let is_reason = |other: &Event| {
            other.begin < *end
                && match &other.what {
                    What::End { outcome, .. } => !matches!(outcome, Outcome::Refused(_)),
                    What::Commit { token: of, renews, outcome, .. } => {
                        of == token && *renews && !matches!(outcome, Outcome::Refused(_))
                    }
                    What::Load { .. } => false,
                }
        };
        if !history.iter().any(is_reason) {
            let why = format!("there is no session under id {token}, though it was neither ended nor moved");
            return broken(Promise::Kept, &[event], why);
        }
    }
    Ok(())
}
