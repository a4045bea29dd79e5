//! A model of the commit protocol.

mod client;
mod histories;
mod properties;
mod rules;
mod search;
mod store;
mod world;

use rules::Flaw;
use search::{Found, search};
use store::Compare;
use world::{Do, Scenario};

const BOTH: [Compare; 2] = [Compare::Versions, Compare::Cas];

fn scenarios() -> Vec<Scenario> {
    let new = |name, clients: &[(u8, &[Do])], faults, deadlines| Scenario {
        name,
        clients: clients.iter().map(|(process, things)| (*process, things.to_vec())).collect(),
        compare: Compare::Versions,
        flaw: None,
        faults,
        deadlines,
        tokens: 0,
    };
    use Do::{Change, Create, Destroy, Logout, Regenerate};
    vec![
        new("queue", &[(0, &[Change(0)]), (0, &[Change(1)]), (1, &[Change(2), Change(3)])], 1, 0),
        new("saves", &[(0, &[Change(0), Change(1)]), (1, &[Change(2)])], 2, 0),
        new("regenerate", &[(0, &[Change(0)]), (0, &[Regenerate, Change(1)]), (1, &[Change(2), Destroy])], 1, 0),
        new("regenerations", &[(0, &[Regenerate]), (1, &[Regenerate]), (1, &[Logout])], 1, 0),
        new("create", &[(0, &[Create, Change(0), Destroy]), (1, &[Change(1)])], 2, 0),
        new("expire", &[(0, &[Change(0)]), (1, &[Regenerate]), (1, &[Logout])], 1, 1),
    ]
}

#[test]
fn explore() {
    for scenario in scenarios() {
        for compare in BOTH {
            let begun = std::time::Instant::now();
            let found = search(&Scenario { compare, ..scenario.clone() });
            println!("{} {compare:?}: {} states {:?}", scenario.name, found.states, begun.elapsed());
            if let Some((p, path)) = found.broken {
                println!("{p}\n{path}");
            }
        }
    }
}

#[test]
fn tokens() {
    use Do::{Change, Create, Destroy, Logout, Regenerate};
    for tokens in 0..4 {
        let clients = vec![(0, vec![Change(0)]), (0, vec![Regenerate]), (1, vec![Change(2)])];
        let scenario = Scenario { name: "tokens", clients, compare: Compare::Cas, flaw: None, faults: 0, deadlines: 0, tokens };
        let found = search(&scenario);
        println!("{tokens}: {} states {:?}", found.states, found.broken.as_ref().map(|b| b.0));
        if let Some((p, path)) = found.broken { println!("{path}"); }
    }
}

#[test]
fn flaws() {
    use Flaw::*;
    for flaw in [MixesCas, ConflictAfterResend, CreatesUnderTheSameId, TellsTooEarly, IgnoresTombstones, ContinuesAfterDestroy, CollectsLiveSessions, CollectsWithoutCondition] {
        for scenario in scenarios() {
            for compare in BOTH {
                let found = search(&Scenario { compare, flaw: Some(flaw), ..scenario.clone() });
                println!("{flaw:?} {} {compare:?}: {} states {:?}", scenario.name, found.states, found.broken.map(|b| b.0));
            }
        }
    }
}
