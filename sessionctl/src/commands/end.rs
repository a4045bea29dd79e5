//! `end`: one session, those of a user, or all.

use serde_json::json;
use session_kit::accounts::Owner;
use session_kit::engine::{DestroyOutcome, Listed, end_listed};
use session_kit::id::StorageId;

use crate::args::End;
use crate::engine::Engine;
use crate::failure::{Code, Failure, Result};
use crate::find::{Name, named, nothing};
use crate::report::Report;

/// How many sessions of an owner one call ends.
const BATCH: usize = 100;

/// How many regenerations in a row are followed.
const MOVES: usize = 8;

/// How often everything is walked over at most, until nothing is left.
const WALKS: usize = 10;

pub async fn run(engine: &Engine, end: &End) -> Result<Report> {
    if !engine.capabilities().revokes {
        return Err(Failure::unsupported(engine.name(), "cannot end a session: its client holds the record"));
    }
    let ended = match (&end.id, &end.owner) {
        (Some(id), owner) => end_one(engine, &Name::of(id, end.plain)?, owner.as_deref()).await?,
        (None, Some(user)) => end_owner(engine, user).await?,
        (None, None) => end_all(engine).await?,
    };
    let text = if ended == 1 { "1 session ended".to_owned() } else { format!("{ended} sessions ended") };
    Ok(Report::new(json!({ "engine": engine.name(), "ended": ended }), text))
}

/// A token needs no search, unless the session must be one of a user's.
async fn end_one(engine: &Engine, name: &Name, owner: Option<&str>) -> Result<u64> {
    let ended = match (name, owner) {
        (Name::Id(id), None) => destroy(engine, id).await?,
        (name, Some(user)) => {
            let listed = named(engine, name, owner).await?;
            end_of_owner(engine, &Owner::of(user), &listed).await?
        }
        (name, None) => destroy(engine, &named(engine, name, None).await?.id).await?,
    };
    if ended { Ok(1) } else { Err(nothing()) }
}

/// Ends a session, also when it gets a new id meanwhile.
async fn destroy(engine: &Engine, id: &StorageId) -> Result<bool> {
    let mut id = id.clone();
    for _ in 0..MOVES {
        match engine.call("destroy", engine.provider.destroy(&id, None)).await? {
            DestroyOutcome::Destroyed => return Ok(true),
            DestroyOutcome::Moved(new) => id = new,
            DestroyOutcome::Absent | DestroyOutcome::Refused(_) => return Ok(false),
        }
    }
    Err(Failure::new(Code::Failed, "it changes faster than it can be ended: try again"))
}

async fn end_of_owner(engine: &Engine, owner: &Owner, listed: &Listed) -> Result<bool> {
    Ok(engine.call("destroy", end_listed(&*engine.provider, owner, listed)).await?)
}

async fn end_owner(engine: &Engine, user: &str) -> Result<u64> {
    let owner = Owner::of(user);
    let mut ended = 0;
    if let Some(indexed) = engine.provider.as_indexed() {
        loop {
            match engine.work("end_owner", indexed.end_owner(&owner, BATCH)).await? {
                0 => return Ok(ended),
                some => ended += some as u64,
            }
        }
    }
    for _ in 0..WALKS {
        let before = ended;
        let mut walk = engine.sessions_of(Some(user))?;
        while let Some(page) = walk.next_page().await? {
            for listed in page.iter().filter(|listed| listed.record.is_live()) {
                ended += u64::from(end_of_owner(engine, &owner, listed).await?);
            }
        }
        if ended == before {
            break;
        }
    }
    Ok(ended)
}

/// Those that begin meanwhile may be left.
async fn end_all(engine: &Engine) -> Result<u64> {
    let mut ended = 0;
    for _ in 0..WALKS {
        let before = ended;
        let mut walk = engine.walk()?;
        while let Some(page) = walk.next_page().await? {
            for listed in page.iter().filter(|listed| listed.record.is_live()) {
                ended += u64::from(destroy(engine, &listed.id).await?);
            }
        }
        if ended == before {
            break;
        }
    }
    Ok(ended)
}
