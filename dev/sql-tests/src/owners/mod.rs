//! The sessions of an owner: with concurrent changes, and in large numbers.
#![allow(missing_docs)] // a test's name says what it shows

pub mod changes;
pub mod lists;

use session_core::accounts::Owner;
use session_core::engine::Indexed;

/// Ends all sessions of the owner; returns how many there were.
async fn end_all(sessions: &impl Indexed, owner: &Owner) -> usize {
    let mut ended = 0;
    loop {
        let some = sessions.end_owner(owner, 5_000).await.unwrap();
        assert!(some <= 5_000);
        ended += some;
        if some == 0 {
            return ended;
        }
    }
}
