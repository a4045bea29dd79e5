//! The engine's capabilities as sentences.

use session_kit::Capabilities;
use session_kit::engine::{Durability, OwnerIndex};

/// Each fact, and whether it is a guarantee or a limitation.
pub fn facts(capabilities: &Capabilities) -> Vec<(bool, String)> {
    let mut facts = Vec::new();
    let mut fact = |good: bool, text: &str| facts.push((good, text.to_owned()));
    if capabilities.client_side {
        fact(true, "Nothing is stored on the server.");
        fact(false, "When two requests change the session at once, the last one wins.");
        if capabilities.revokes {
            fact(true, "Signing out also ends copies of the cookie.");
        } else {
            fact(false, "Signing out removes the cookie, but a copy of it still works.");
        }
        fact(false, "The browser can send back an older version of the session.");
    } else {
        fact(true, "No update is lost, however many requests come at once.");
        fact(true, "Signing out is final, also for requests in progress.");
        fact(true, "A session ends at its deadline, even if it is deleted later.");
    }
    if capabilities.slides_on_read {
        fact(true, "Reading a session extends it without an extra call.");
    } else if !capabilities.client_side {
        fact(true, "An extra call extends the session from time to time.");
    }
    match capabilities.durability {
        Durability::Process => fact(false, "All sessions are lost when the server restarts."),
        Durability::Crash => {
            fact(true, "Sessions survive a crash of the process, but not always a power failure.");
        }
        Durability::Disk => fact(true, "Saved sessions survive a power failure."),
        Durability::Server => {
            fact(true, "How well sessions survive failures depends on how the storage server is configured.");
        }
        _ => {}
    }
    match capabilities.owner_index {
        OwnerIndex::Exact => fact(true, "Users can see their sessions and end them from another device."),
        OwnerIndex::BestEffort => {
            fact(
                false,
                "Users can see their sessions; a full storage server may omit some until they are used again.",
            );
        }
        OwnerIndex::EndsAll => fact(true, "All sessions of a user can be ended, but not listed."),
        _ => fact(false, "Users cannot see a list of their sessions."),
    }
    if let Some(bytes) = capabilities.max_record_bytes.filter(|bytes| *bytes < 1 << 20) {
        facts.push((false, format!("A session can hold at most {bytes} bytes.")));
    }
    facts
}
