//! The steps of a client between its calls: those of `replace`, `relocate`, `create`, `end`,
//! `merge` and `rename::by_writes`, with the decisions of the real `classify`, `classify_move` and
//! `follows`.

use super::super::classify::{Ending, Meaning, classify, classify_move};
use super::calling::{Calling, Phase, What};
use super::flaws::Flaw;
use super::store::{Answer, Id, Over, Rec, storage_id};
use super::world::{Action, Request, Scenario, Turn, World};
use crate::record::Version;
use crate::shared::follows;

/// The start of an operation, and the reaction to a missing answer.
impl Scenario {
    /// Loads the session if necessary, and begins the first action.
    pub fn start_client(&self, world: &mut World, at: usize) {
        if !matches!(self.clients[at].1[0], Action::Create | Action::Logout) {
            let Some(record) = world.slots[0].live().cloned() else {
                world.clients[at].phase = Phase::Done;
                return;
            };
            world.clients[at].handle = Some((0, record));
        }
        self.begin(world, at);
    }

    fn begin(&self, world: &mut World, at: usize) {
        let client = &world.clients[at];
        let Some(next) = self.clients[at].1.get(client.done) else {
            world.clients[at].phase = Phase::Done;
            return;
        };
        match (next, client.handle.clone()) {
            (Action::Change(_) | Action::Regenerate, Some((_, record))) => self.attempt(world, at, &record),
            (Action::Destroy, Some((id, record))) => {
                let stamp = Some(record.stamp());
                world.call(at, What::Destroy { id, stamp });
            }
            (Action::Logout, _) => world.call(at, What::Destroy { id: 0, stamp: None }),
            (Action::Create, _) => {
                let session = u8::try_from(at + 1).unwrap_or(u8::MAX);
                let record = Rec::first(world.draw(at), session);
                let first = world.new_id(self.tokens);
                let same = self.flaw == Some(Flaw::CreatesUnderTheSameId);
                let second = if same { first } else { world.new_id(self.tokens) };
                world.call(at, What::Create { ids: [first, second], record });
            }
            (Action::Change(_) | Action::Regenerate | Action::Destroy, None) => {
                unreachable!("nothing was loaded")
            }
        }
    }

    /// Makes one attempt to commit over a record.
    fn attempt(&self, world: &mut World, at: usize, base: &Rec) {
        let client = &world.clients[at];
        let id = client.handle.as_ref().map_or(0, |(id, _)| *id);
        let change = self.clients[at].1[client.done];
        let mut record = base.next(world.draw(at));
        if let Action::Change(number) = change {
            record.counts[number] += 1;
            return world.call(at, What::Write { id, over: Some(base.stamp()), record });
        }
        let ids = [world.new_id(self.tokens), world.new_id(self.tokens)];
        let tombstones = ids.map(|new| base.tombstone(new, world.draw(at)));
        world.call(at, What::Move { old: id, over: base.stamp(), ids, record, tombstones });
    }

    /// Neither attempt was answered: the request fails.
    pub fn give_up(&self, world: &mut World, at: usize) {
        world.clients[at].phase = Phase::Done;
        self.leave(world, at);
    }
}

/// The reaction to an answer.
impl Scenario {
    pub fn receive(&self, world: &mut World, request: &Request, answer: Answer) {
        let at = request.client;
        if !world.is_awaited(request, at) {
            return;
        }
        let (_, attempt, stage) = request.call;
        let Phase::Calling(calling) = &mut world.clients[at].phase else { return };
        let Calling { what, tries, .. } = calling.clone();
        let resent = tries > 1;
        match what {
            What::Move { ref ids, ref record, .. } if stage == 0 => {
                calling.created[attempt] = match &answer {
                    Answer::Stored { cas } => (*cas, false),
                    Answer::Refused { current: Some(current), .. }
                        if current.has_version(record.version()) =>
                    {
                        (if current.version() == record.version() { current.cas } else { 0 }, true)
                    }
                    _ => {
                        return self.moved(
                            world,
                            at,
                            attempt,
                            &Answer::Refused { current: None, resent: false },
                        );
                    }
                };
                if self.flaw == Some(Flaw::TellsTooEarly) {
                    world.slots[usize::from(ids[attempt])].disclosed = true;
                }
                world.send_stage(at, attempt, 1);
            }
            What::Move { ids, tombstones, .. } => {
                let (cas, repeated) = calling.created[attempt];
                let outcome = match answer {
                    Answer::Refused { current, resent } => {
                        let version = tombstones[attempt].version();
                        let is_ours = current.as_ref().is_some_and(|current| current.has_version(version));
                        if is_ours && (repeated || resent) {
                            Answer::Stored { cas }
                        } else {
                            world.withdraw(at, ids[attempt]);
                            let current = current.filter(|_| !is_ours);
                            Answer::Refused { current, resent: resent && !is_ours }
                        }
                    }
                    _ => Answer::Stored { cas },
                };
                self.moved(world, at, attempt, &outcome);
            }
            What::Write { over, record, .. } => self.written(world, at, over, record, &answer, resent),
            What::Create { ids, record } => self.created(world, at, (attempt, ids), record, &answer, resent),
            What::Destroy { id, .. } => self.destroyed(world, at, id, &answer),
        }
    }

    /// Mirrors `replace::store` and the loop around it.
    fn written(
        &self,
        world: &mut World,
        at: usize,
        over: Option<Over>,
        mut record: Rec,
        answer: &Answer,
        resent: bool,
    ) {
        let own = [Version(record.version().into())];
        let base = over.map(|over| Version(over.version.into()));
        match self.meaning(answer, classify(answer.real(), &own, base, resent)) {
            Meaning::Applied { stored, .. } => {
                record.cas = u8::try_from(stored.cas).unwrap_or(u8::MAX);
                match current(answer) {
                    Some(current) if current.moved.is_none() => {
                        if self.flaw == Some(Flaw::MixesCas) {
                            record.cas = current.cas;
                        } else {
                            record = current.clone();
                        }
                    }
                    _ => {}
                }
                let id = world.clients[at].handle.as_ref().map_or(0, |(id, _)| *id);
                self.stored(world, at, id, record);
            }
            Meaning::Ended(Ending::Gone)
                if self.flaw == Some(Flaw::ContinuesAfterDestroy) && over.is_some() =>
            {
                let id = world.clients[at].handle.as_ref().map_or(0, |(id, _)| *id);
                world.call(at, What::Write { id, over: None, record });
            }
            Meaning::Superseded(_) => self.superseded(world, at, answer),
            Meaning::Ended(_) | Meaning::Unknown => self.give_up(world, at),
        }
    }

    /// Mirrors `relocate`.
    fn moved(&self, world: &mut World, at: usize, attempt: usize, answer: &Answer) {
        let Phase::Calling(Calling { what: What::Move { over, ids, mut record, .. }, tries, .. }) =
            world.clients[at].phase.clone()
        else {
            return;
        };
        let (repeated, base) = (tries > 1, Version(over.version.into()));
        let drawn = ids.map(storage_id);
        let (moved_to, meaning) = classify_move(answer.real(), [&drawn[0], &drawn[1]], base, repeated);
        let meaning = if moved_to.is_some() { meaning } else { self.meaning(answer, meaning) };
        let index = moved_to.unwrap_or(attempt);
        if repeated {
            let keep = matches!(meaning, Meaning::Applied { .. });
            for (other, id) in ids.into_iter().enumerate() {
                if !keep || other != index {
                    world.withdraw(at, id);
                }
            }
        }
        match meaning {
            Meaning::Applied { stored, .. } => {
                record.cas = u8::try_from(stored.cas).unwrap_or(u8::MAX);
                self.stored(world, at, ids[index], record);
            }
            Meaning::Superseded(_) => self.superseded(world, at, answer),
            Meaning::Ended(_) | Meaning::Unknown => self.give_up(world, at),
        }
    }

    /// Mirrors `create`.
    fn created(
        &self,
        world: &mut World,
        at: usize,
        (attempt, ids): (usize, [Id; 2]),
        mut record: Rec,
        answer: &Answer,
        repeated: bool,
    ) {
        if repeated && ids[0] != ids[1] {
            world.withdraw(at, ids[1 - attempt]);
        }
        let own = [Version(record.version().into())];
        match classify(answer.real(), &own, None, false) {
            Meaning::Applied { stored, .. } => {
                record.cas = u8::try_from(stored.cas).unwrap_or(u8::MAX);
                if let Some(current) = current(answer).filter(|current| current.moved.is_none()) {
                    record = current.clone();
                }
                self.stored(world, at, ids[attempt], record);
            }
            _ => self.give_up(world, at),
        }
    }

    /// Mirrors `end`.
    fn destroyed(&self, world: &mut World, at: usize, id: Id, answer: &Answer) {
        match answer {
            Answer::Moved(to) if self.flaw != Some(Flaw::IgnoresTombstones) => {
                world.call(at, What::Destroy { id: *to, stamp: None });
            }
            Answer::Refused { .. } => world.call(at, What::Destroy { id, stamp: None }),
            // Such a destroy fails: the tombstone that led to the session's current id has expired.
            Answer::Absent if world.tombstone_expired => self.give_up(world, at),
            _ => {
                let session = world.clients[at].handle.as_ref().map_or(0, |(_, record)| record.session);
                world.ended[usize::from(session)] = true;
                world.clients[at].handle = None;
                self.go_on(world, at);
            }
        }
    }

    /// Applies the flaw that treats every refusal with a live record as a conflict.
    fn meaning(&self, answer: &Answer, meaning: Meaning) -> Meaning {
        match current(answer) {
            Some(current) if self.flaw == Some(Flaw::ConflictAfterResend) && current.moved.is_none() => {
                Meaning::Superseded(Box::new(current.real()))
            }
            _ => meaning,
        }
    }

    /// A commit is acknowledged.
    fn stored(&self, world: &mut World, at: usize, id: Id, record: Rec) {
        let client = &mut world.clients[at];
        if let Action::Change(number) = self.clients[at].1[client.done] {
            world.acked[number] = Some(record.session);
        }
        client.handle = Some((id, record.clone()));
        world.slots[usize::from(id)].disclosed = true;
        world.known[usize::from(record.session)] = true;
        if let Some(turn) = world.turns.iter_mut().find(|turn| turn.holder == at) {
            let is_of_this_id = turn.key.1 == id || self.flaw == Some(Flaw::QueuesAnotherId);
            turn.last = is_of_this_id.then_some(record);
        }
        self.leave(world, at);
        self.go_on(world, at);
    }

    fn go_on(&self, world: &mut World, at: usize) {
        world.clients[at].done += 1;
        self.begin(world, at);
    }

    /// Mirrors `Merging::wait`: the first conflict queues, later ones retry immediately.
    fn superseded(&self, world: &mut World, at: usize, answer: &Answer) {
        let Some(found) = current(answer).cloned() else { return self.give_up(world, at) };
        if world.turns.iter().any(|turn| turn.holder == at) {
            return self.attempt(world, at, &found);
        }
        let id = world.clients[at].handle.as_ref().map_or(0, |(id, _)| *id);
        let key = (self.clients[at].0, id);
        if let Some(turn) = world.turns.iter_mut().find(|turn| turn.key == key) {
            turn.waiting.push(at);
            world.clients[at].phase = Phase::Queued(found);
        } else {
            world.turns.push(Turn { key, holder: at, waiting: Vec::new(), last: None });
            self.attempt(world, at, &found);
        }
    }

    /// Ends a turn; the next client in the queue starts from the record that was stored in it.
    fn leave(&self, world: &mut World, at: usize) {
        let Some(number) = world.turns.iter().position(|turn| turn.holder == at) else { return };
        let turn = &mut world.turns[number];
        if turn.waiting.is_empty() {
            world.turns.remove(number);
            return;
        }
        let next = turn.waiting.remove(0);
        turn.holder = next;
        let last = turn.last.clone();
        let Phase::Queued(found) = world.clients[next].phase.clone() else { return };
        let newer = last.filter(|last| follows(&last.real(), &found.real()));
        self.attempt(world, next, &newer.unwrap_or(found));
    }
}

fn current(answer: &Answer) -> Option<&Rec> {
    if let Answer::Refused { current, .. } = answer { current.as_ref() } else { None }
}
