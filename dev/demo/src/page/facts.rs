//! What an engine declares, in words for a person.

use session_kit::Capabilities;
use session_kit::engine::{Durability, OwnerIndex};

/// Each fact, and whether it is something to rely on or something to know.
pub fn facts(capabilities: &Capabilities) -> Vec<(bool, String)> {
    let mut facts = Vec::new();
    let mut fact = |good: bool, text: &str| facts.push((good, text.to_owned()));
    if capabilities.client_side {
        fact(true, "no session is stored on the server");
        fact(false, "of two requests at once the last one wins");
        if capabilities.revokes {
            fact(true, "a logout ends copies of the cookie too");
        } else {
            fact(false, "a logout takes the cookie away, and cannot recall a copy of it");
        }
        fact(false, "the browser may bring an earlier record back");
    } else {
        fact(true, "no update is lost, however many requests come at once");
        fact(true, "a logout is final, also for requests under way");
        fact(true, "expired sessions are gone at once, whenever they are collected");
    }
    if capabilities.slides_on_read {
        fact(true, "reading moves the idle deadline, for no extra call");
    } else if !capabilities.client_side {
        fact(true, "the idle deadline is moved by a call of its own, now and then");
    }
    match capabilities.durability {
        Durability::Process => fact(false, "sessions end with this process"),
        Durability::Crash => {
            fact(true, "sessions survive a crash of the process, not always a loss of power");
        }
        Durability::Disk => fact(true, "what is acknowledged is on disk"),
        Durability::Server => fact(true, "sessions are as durable as the server is configured to keep them"),
        _ => {}
    }
    match capabilities.owner_index {
        OwnerIndex::Exact => fact(true, "a user's sessions are listed, and ended from another device"),
        OwnerIndex::BestEffort => {
            fact(
                false,
                "a user's sessions are listed; a full server may forget some until they are used again",
            );
        }
        OwnerIndex::EndsAll => fact(true, "all sessions of a user can be ended, and not listed"),
        _ => fact(false, "the sessions of a user are not listed"),
    }
    if let Some(bytes) = capabilities.max_record_bytes.filter(|bytes| *bytes < 1 << 20) {
        facts.push((false, format!("a session has at most {bytes} bytes")));
    }
    facts
}
