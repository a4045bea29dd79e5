//! Sign-ins and logouts, with an owner and without.

use std::cell::Cell;

use session_core::Manager;
use session_core::id::Token;

use crate::measure::{Client, Role, Subject};
use crate::thread::Thread;
use crate::work::{COUNT, Shape, USER};

/// How many sessions an owner has.
const EACH: u64 = 3;

thread_local! {
    /// The number of sessions that got an owner, so that rows do not share owners.
    static OWNED: Cell<u64> = const { Cell::new(0) };
}

/// The kinds of visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// A session begins.
    Create,
    /// A visitor's session gets a new id.
    Login,
    /// A session ends.
    Logout,
}

impl Visit {
    pub const ALL: [Self; 3] = [Self::Create, Self::Login, Self::Logout];

    /// Its name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Login => "login",
            Self::Logout => "logout",
        }
    }
}

/// One client that does it.
pub fn subject(thread: &Thread, manager: Manager, visit: Visit, owned: bool) -> Subject {
    let name = if owned { "with an owner" } else { "without an owner" };
    Subject::of(Role::Ours, name, thread, vec![Visitor { manager, visit, owned, ready: Vec::new() }])
}

struct Visitor {
    manager: Manager,
    visit: Visit,
    owned: bool,
    /// Sessions to sign in or to end.
    ready: Vec<Token>,
}

impl Visitor {
    /// A stored session, with or without an owner.
    async fn create(&self, owned: bool) -> session_core::Result<Option<Token>> {
        let session = self.manager.create();
        session.set(USER, &Shape::USUAL.user())?;
        session.set(COUNT, &0_u64)?;
        if owned {
            session.sign_in(&next_owner())?;
        }
        session.release().await?;
        Ok(session.token())
    }

    async fn visit(&mut self) -> session_core::Result<()> {
        if self.visit == Visit::Create {
            return self.create(self.owned).await.map(drop);
        }
        let token = self.ready.pop().expect("a session that was prepared");
        let session = self.manager.load(&token).await?.expect("a session");
        match self.visit {
            Visit::Logout => return session.destroy().await,
            _ if self.owned => session.sign_in(&next_owner())?,
            _ => session.regenerate()?,
        }
        session.release().await
    }
}

impl Client for Visitor {
    async fn prepare(&mut self, requests: usize) {
        if self.visit != Visit::Create {
            for _ in self.ready.len()..requests {
                // A login starts from a visitor's session.
                let token = self.create(self.owned && self.visit == Visit::Logout).await;
                self.ready.extend(token.expect("stored"));
            }
        }
    }

    async fn request(&mut self) {
        self.visit().await.expect("an answer");
    }
}

fn next_owner() -> String {
    OWNED.with(|owned| {
        owned.set(owned.get() + 1);
        format!("user-{}", owned.get() / EACH)
    })
}
