//! A cluster: finds the node that has a key, and follows redirections.
//!
//! The driver's cluster client is not used: it resends a command whose answer was lost (so the
//! number of applications is unknown), keeps calling a hanging master long after its replica was
//! promoted, and meanwhile stalls the commands for the other masters (docs/redis.md has the
//! measurement). This module resends a command only when a node has answered that it did nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use redis::{Cmd, Value, cmd};
use session_core::Result;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::config::{Address, RedisConfig};
use crate::dialer::Dialer;
use crate::error::{Failure, Fault};
use crate::link::{Direct, Link};

/// The number of redirections that a command follows.
const REDIRECTIONS: usize = 6;
/// When a node has not answered within this time with its map of slots, the next node is asked too.
const PATIENCE: Duration = Duration::from_millis(50);

/// The number of nodes without slots that are remembered.
const MOST_OTHERS: usize = 32;

/// The connections to a cluster. Clones share them.
#[derive(Clone)]
pub(crate) struct Cluster(Arc<Shared>);

struct Shared {
    dialer: Dialer,
    seeds: Vec<Arc<Node>>,
    map: RwLock<Arc<Map>>,
    /// Nodes without slots that other nodes have named: they are taking over their first slots.
    others: Mutex<HashMap<Address, Arc<Node>>>,
    /// Held while the map is read. Contains the time and the result of the last read.
    reading: tokio::sync::Mutex<Option<(Instant, Result<(), Fault>)>>,
    /// Rotates the node that is asked first.
    turn: AtomicUsize,
}

/// A node and its connections.
struct Node {
    address: Address,
    link: Link,
}

/// The assignment of slots to masters.
#[derive(Default)]
struct Map {
    /// Sorted by the last slot.
    ranges: Vec<(u16, u16, Arc<Node>)>,
    masters: HashMap<Address, Arc<Node>>,
}

impl Cluster {
    /// Creates a cluster of which only some nodes are known yet.
    pub fn new(config: &RedisConfig) -> Result<Self> {
        let dialer = Dialer::new(config)?;
        let seeds = config.addresses.iter().map(|address| Node::new(&dialer, address)).collect();
        let (map, others) = (RwLock::default(), Mutex::default());
        let (reading, turn) = (tokio::sync::Mutex::default(), AtomicUsize::new(0));
        Ok(Self(Arc::new(Shared { dialer, seeds, map, others, reading, turn })))
    }

    /// Returns whether the nodes compare digests, as far as is known.
    pub fn compares_digests(&self) -> bool {
        self.0.dialer.compares_digests()
    }

    /// Sends a command about one key to the node that has it.
    pub async fn send(&self, key: &[u8], command: &Cmd) -> Result<Value, Failure> {
        let slot = slot(key);
        let mut node = self.owner(slot).await?;
        let mut asking = false;
        for _ in 0..REDIRECTIONS {
            let begun = Instant::now();
            let answer =
                if asking { node.link.send_asking(command).await } else { node.link.send(command).await };
            let failure = match answer {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            asking = failure.code() == Some("ASK");
            match (&failure, failure.code()) {
                (Failure::Refused(error), Some("MOVED" | "ASK")) => {
                    let to = redirection(error.details().unwrap_or_default(), &node.address)
                        .ok_or(failure.clone())?;
                    if !asking {
                        drop(self.reading(begun));
                    }
                    node = self.node(to, begun).await;
                }
                // The node did nothing, and may no longer be the right one.
                (Failure::NotSent(_), _)
                | (_, Some("READONLY" | "CLUSTERDOWN" | "MASTERDOWN" | "LOADING")) => {
                    let _ = self.read_map(begun).await;
                    let owner = self.owner(slot).await?;
                    if owner.address == node.address {
                        return Err(failure);
                    }
                    node = owner;
                }
                (Failure::Lost(_), _) => {
                    drop(self.reading(begun));
                    return Err(failure);
                }
                _ => return Err(failure),
            }
        }
        Err(Failure::NotSent(Fault::unavailable(
            "the cluster is changing: its nodes redirect to each other in a circle",
        )))
    }

    /// Returns the connections to all masters.
    pub async fn masters(&self) -> Result<Vec<Link>, Failure> {
        self.read_map(Instant::now()).await.map_err(Failure::NotSent)?;
        Ok(self.map().masters.values().map(|node| node.link.clone()).collect())
    }

    fn map(&self) -> Arc<Map> {
        Arc::clone(&self.0.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn owner(&self, slot: u16) -> Result<Arc<Node>, Failure> {
        if let Some(node) = self.map().owner(slot) {
            return Ok(node);
        }
        self.read_map(Instant::now()).await.map_err(Failure::NotSent)?;
        let unassigned = || Failure::NotSent(Fault::unavailable("no node of the cluster has the key's slot"));
        self.map().owner(slot).ok_or_else(unassigned)
    }

    /// Returns the node at an address that another node named.
    async fn node(&self, address: Address, begun: Instant) -> Arc<Node> {
        if let Some(node) = self.map().masters.get(&address) {
            return Arc::clone(node);
        }
        if let Some(node) = self.others().get(&address) {
            return Arc::clone(node);
        }
        let _ = self.read_map(begun).await;
        if let Some(node) = self.map().masters.get(&address) {
            return Arc::clone(node);
        }
        let node = || Node::new(&self.0.dialer, &address);
        Arc::clone(self.others().entry(address.clone()).or_insert_with(node))
    }

    fn others(&self) -> MutexGuard<'_, HashMap<Address, Arc<Node>>> {
        self.0.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the map of slots, unless it was read since `asked`.
    async fn read_map(&self, asked: Instant) -> Result<(), Fault> {
        Fault::of_task(self.reading(asked).await)
    }

    /// The same on a separate task: callers that give up, or do not wait, must not restart it.
    fn reading(&self, asked: Instant) -> JoinHandle<Result<(), Fault>> {
        let cluster = self.clone();
        tokio::spawn(async move {
            let mut last = cluster.0.reading.lock().await;
            if let Some((when, result)) = &*last
                && (*when > asked || when.elapsed() < PATIENCE)
            {
                return result.clone();
            }
            let result = cluster.ask_in_turn().await.map(|map| {
                tracing::debug!(masters = map.masters.len(), "the cluster's map of slots was read");
                *cluster.0.map.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(map);
            });
            *last = Some((Instant::now(), result.clone()));
            result
        })
    }

    /// Asks one node after another, without waiting long for any, and uses the first answer.
    async fn ask_in_turn(&self) -> Result<Map, Fault> {
        let old = self.map();
        let mut nodes: Vec<Arc<Node>> = old.masters.values().cloned().collect();
        let first = self.0.turn.fetch_add(1, Ordering::Relaxed).checked_rem(nodes.len()).unwrap_or(0);
        nodes.rotate_left(first);
        nodes.extend(self.0.seeds.iter().filter(|seed| !old.masters.contains_key(&seed.address)).cloned());
        let mut questions = JoinSet::new();
        for (place, node) in (0..).zip(nodes) {
            questions.spawn(async move {
                tokio::time::sleep(PATIENCE * place).await;
                ask(&node).await
            });
        }
        let mut fault = None;
        while let Some(answer) = questions.join_next().await {
            match Fault::of_task(answer) {
                Ok(slots) => return Ok(self.map_of(slots, &old)),
                Err(new) => fault = Some(new),
            }
        }
        Err(fault.unwrap_or_else(|| Fault::unavailable("the cluster has no known node")))
    }

    fn map_of(&self, slots: Vec<(u16, u16, Address)>, old: &Map) -> Map {
        let mut map = Map::default();
        let mut others = self.others();
        for (first, last, address) in slots {
            // Existing connections are kept.
            let known = map.masters.get(&address).or_else(|| old.masters.get(&address)).cloned();
            let node = known
                .or_else(|| others.remove(&address))
                .unwrap_or_else(|| Node::new(&self.0.dialer, &address));
            map.masters.insert(address, Arc::clone(&node));
            map.ranges.push((first, last, node));
        }
        // A node that is no longer named is not kept for ever.
        if others.len() > MOST_OTHERS {
            others.clear();
        }
        map.ranges.sort_unstable_by_key(|(_, last, _)| *last);
        map
    }
}

impl Map {
    fn owner(&self, slot: u16) -> Option<Arc<Node>> {
        let at = self.ranges.partition_point(|(_, last, _)| *last < slot);
        self.ranges.get(at).filter(|(first, _, _)| *first <= slot).map(|(_, _, node)| Arc::clone(node))
    }
}

impl Node {
    fn new(dialer: &Dialer, address: &Address) -> Arc<Self> {
        let link = Link::new(Direct { server: dialer.at(address), mode: "cluster" });
        Arc::new(Self { address: address.clone(), link })
    }
}

/// Asks one node for its map of slots.
async fn ask(node: &Node) -> Result<Vec<(u16, u16, Address)>, Fault> {
    let mut question = cmd("CLUSTER");
    question.arg("SLOTS");
    let answer = node.link.send(&question).await.map_err(Failure::into_fault)?;
    let slots = read_slots(answer, &node.address);
    if slots.is_empty() { Err(Fault::unavailable("a node of the cluster knows no slots")) } else { Ok(slots) }
}

/// `[[first, last, [host, port, …], replica…]…]`. A node without a host has the host that the
/// answer came from.
fn read_slots(answer: Value, asked: &Address) -> Vec<(u16, u16, Address)> {
    let Value::Array(ranges) = answer else { return Vec::new() };
    let range = |range: Value| {
        let Value::Array(fields) = range else { return None };
        let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = fields.as_slice() else {
            return None;
        };
        let [host, Value::Int(port), ..] = master.as_slice() else { return None };
        let host = match host {
            Value::BulkString(host) => String::from_utf8(host.clone()).ok()?,
            Value::SimpleString(host) => host.clone(),
            _ => String::new(),
        };
        Some((
            (*first).try_into().ok()?,
            (*last).try_into().ok()?,
            located(&host, (*port).try_into().ok()?, asked),
        ))
    };
    ranges.into_iter().filter_map(range).collect()
}

/// `slot host:port`, where the host may be missing.
fn redirection(details: &str, asked: &Address) -> Option<Address> {
    let (host, port) = details.split_whitespace().nth(1)?.rsplit_once(':')?;
    Some(located(host, port.parse().ok()?, asked))
}

fn located(host: &str, port: u16, asked: &Address) -> Address {
    match asked {
        Address::Tcp(same, _) if matches!(host, "" | "?") => Address::Tcp(same.clone(), port),
        _ => Address::Tcp(host.to_owned(), port),
    }
}

/// Returns a key's slot: the CRC-16 (XMODEM) of the text between its first braces, or of the whole
/// key.
fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        rest.iter().position(|byte| *byte == b'}').filter(|length| *length > 0).map(|length| &rest[..length])
    });
    let mut crc = 0_u16;
    for byte in tag.unwrap_or(key) {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
    }
    crc % 16_384
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        // From the cluster specification, and `CLUSTER KEYSLOT`.
        for (key, expected) in [
            ("123456789", 0x31C3),
            ("foo", 12_182),
            ("{foo}bar", 12_182),
            ("bar{foo}{zap}", 12_182),
            ("foo{}{bar}", 8_363),
            ("", 0),
        ] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
    }

    #[test]
    fn a_node_without_a_host_has_the_host_of_the_answer() {
        let asked = Address::Tcp("10.0.0.1".into(), 7_000);
        let at = |host: &str, port| Some(Address::Tcp(host.into(), port));
        assert_eq!(redirection("3999 127.0.0.1:6381", &asked), at("127.0.0.1", 6_381));
        assert_eq!(redirection("3999 :6381", &asked), at("10.0.0.1", 6_381));
        assert_eq!(redirection("3999 ::1:6381", &asked), at("::1", 6_381));
        assert_eq!(redirection("3999", &asked), None);

        let answer = b"*1\r\n*3\r\n:0\r\n:100\r\n*2\r\n$-1\r\n:7001\r\n";
        let slots = read_slots(redis::parse_redis_value(answer).unwrap(), &asked);
        assert_eq!(slots, [(0, 100, Address::Tcp("10.0.0.1".into(), 7_001))]);
    }
}
