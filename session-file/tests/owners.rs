//! The entries of owners: where they are, what a killed process leaves, and who removes it.
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{DAY, MINUTE, create, id, next, on_clock, path, record, store, tombstone};
use rustix::fs::{FlockOperation, flock};
use session_core::accounts::Owner;
use session_core::clock::Clock as _;
use session_core::engine::{Condition, Cursor, Indexed as _, Scan as _, TOMBSTONE_TTL, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Record, State};
use session_core::{ErrorKind, Provider as _};
use session_file::FileProvider;

fn owned(value: u64, owner: Owner) -> Record {
    let mut record = record(value);
    record.header.owner = Some(owner);
    record
}

/// The directory of an owner.
fn folder(directory: &Path, owner: &Owner) -> PathBuf {
    let digits = StorageId::from_hash(owner.0).to_text();
    directory.join(".owners").join(&digits[..2]).join(digits)
}

fn entries(directory: &Path, owner: &Owner) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder(directory, owner)) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn listed(provider: &FileProvider, owner: &Owner) -> Vec<String> {
    let page = provider.list(owner, None, 100).await.unwrap();
    page.sessions.iter().map(|listed| listed.id.to_text()).collect()
}

/// Writes over what is there, as a request does.
async fn replace(provider: &FileProvider, text: &str, change: impl FnOnce(&mut Record)) {
    let seen = provider.read(&id(text), DAY).await.unwrap().unwrap();
    let mut record = next(&seen, 2);
    change(&mut record);
    let outcome = provider.write(&id(text), &record, Condition::Over(seen.stamp()), DAY).await.unwrap();
    assert!(matches!(outcome, WriteOutcome::Stored(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_session_of_an_owner_has_an_entry_for_as_long_as_it_is_theirs() {
    let (provider, clock, directory) = store().await;
    let (directory, ada, bob) = (directory.path(), Owner::of("ada"), Owner::of("bob"));
    create(&provider, "nobodys", &record(1), DAY).await;
    assert!(!directory.join(".owners").exists(), "sessions without an owner need no index");
    create(&provider, "xsnk", &owned(1, ada), DAY).await;
    create(&provider, "xtra", &owned(1, ada), DAY).await;
    assert_eq!(entries(directory, &ada), ["xsnk", "xtra"]);
    let entry = fs::metadata(folder(directory, &ada).join("xsnk")).unwrap();
    assert_eq!(entry.len(), 0);

    replace(&provider, "xsnk", |record| record.header.owner = Some(bob)).await;
    assert_eq!(
        (entries(directory, &ada), entries(directory, &bob)),
        (vec!["xtra".into()], vec!["xsnk".into()])
    );
    replace(&provider, "xsnk", |record| record.header.owner = None).await;
    assert!(!folder(directory, &bob).exists(), "a directory that is empty is removed");
    replace(&provider, "xsnk", |record| record.header.owner = Some(ada)).await;
    provider.destroy(&id("xsnk"), None).await.unwrap();
    assert_eq!(entries(directory, &ada), ["xtra"]);

    let seen = provider.read(&id("xtra"), DAY).await.unwrap().unwrap();
    let grave = tombstone(&seen, &id("new"), clock.now().after(TOMBSTONE_TTL));
    assert_eq!(grave.header.owner, Some(ada));
    provider.write(&id("xtra"), &grave, Condition::Over(seen.stamp()), TOMBSTONE_TTL).await.unwrap();
    assert!(entries(directory, &ada).is_empty(), "a tombstone has no entry");
    let walk = provider.scan(None, 100).await.unwrap();
    let states: Vec<_> = walk.sessions.iter().map(|listed| &listed.record.header.state).collect();
    assert_eq!(states, [&State::Live, &State::Moved(id("new"))]);

    create(&provider, "brief", &owned(1, ada), MINUTE).await;
    clock.advance(MINUTE);
    assert!(listed(&provider, &ada).await.is_empty());
    assert_eq!(entries(directory, &ada), ["brief"], "a clock that is set back brings it back");
    provider.gc(10).await.unwrap();
    assert!(entries(directory, &ada).is_empty(), "what is collected has no entry");
}

/// What is left when a process is killed between the entry and the record, or between the record
/// and the entry.
#[tokio::test]
async fn an_entry_of_which_nothing_is_left_is_removed_by_its_next_reader() {
    let (provider, _, directory) = store().await;
    let (directory, ada, bob) = (directory.path(), Owner::of("ada"), Owner::of("bob"));
    create(&provider, "lives", &owned(1, ada), DAY).await;
    create(&provider, "bobs", &owned(1, bob), DAY).await;
    create(&provider, "nobodys", &record(1), DAY).await;
    let plant = || {
        for name in ["killed", "bobs", "nobodys", "a b", "xs~"] {
            fs::write(folder(directory, &ada).join(name), "").unwrap();
        }
    };
    plant();
    assert_eq!(listed(&provider, &ada).await, ["lives"]);
    assert_eq!(entries(directory, &ada), ["a b", "lives", "xs~"], "what nobody can have made stays");
    plant();
    assert_eq!(provider.end_owner(&ada, 100).await.unwrap(), 1);
    assert_eq!(entries(directory, &ada), ["a b", "xs~"]);
    assert_eq!(listed(&provider, &bob).await, ["bobs"]);
    assert!(provider.exists(&id("nobodys")).await.unwrap());
    plant();
    assert_eq!(provider.end_owner(&ada, 100).await.unwrap(), 0);
}

#[tokio::test]
async fn a_collection_removes_entries_and_directories_that_were_left() {
    let (provider, _, directory) = store().await;
    let (directory, ada, bob) = (directory.path(), Owner::of("ada"), Owner::of("bob"));
    create(&provider, "lives", &owned(1, ada), DAY).await;
    for number in 0..3_000 {
        fs::write(folder(directory, &ada).join(format!("killed-{number}")), "").unwrap();
    }
    fs::create_dir_all(folder(directory, &bob)).unwrap();
    fs::create_dir_all(directory.join(".owners/notes")).unwrap();
    assert_eq!(provider.gc(10).await.unwrap(), 0, "an entry is no record");
    // One that takes long is gone on with.
    for _ in 0..100 {
        if entries(directory, &ada).len() > 1 || folder(directory, &bob).exists() {
            provider.gc(10).await.unwrap();
        }
    }
    assert_eq!(entries(directory, &ada), ["lives"]);
    assert!(!folder(directory, &bob).exists());
    assert!(directory.join(".owners/notes").exists(), "what is not of this engine is left alone");
    assert_eq!(listed(&provider, &ada).await, ["lives"]);
}

/// The entry is there before the record, which its writer is about to store under the lock.
#[tokio::test]
async fn an_entry_whose_session_is_being_written_stays() {
    let (provider, _, directory) = store().await;
    let ada = Owner::of("ada");
    create(&provider, "lives", &owned(1, ada), DAY).await;
    fs::write(folder(directory.path(), &ada).join("coming"), "").unwrap();
    let locks: Vec<_> = (0..=255)
        .map(|lock| fs::File::create(directory.path().join(format!(".lock-{lock:02x}"))).unwrap())
        .inspect(|file| flock(file, FlockOperation::NonBlockingLockExclusive).unwrap())
        .collect();
    assert_eq!(listed(&provider, &ada).await, ["lives"]);
    provider.gc(10).await.unwrap();
    assert_eq!(entries(directory.path(), &ada), ["coming", "lives"]);
    drop(locks);
    assert_eq!(listed(&provider, &ada).await, ["lives"]);
    assert_eq!(entries(directory.path(), &ada), ["lives"]);
}

/// As the version before this one stored it.
#[tokio::test]
async fn a_session_without_an_entry_gets_it_at_its_next_write() {
    let (provider, _, directory) = store().await;
    let ada = Owner::of("ada");
    create(&provider, "old", &owned(1, ada), DAY).await;
    fs::remove_dir_all(directory.path().join(".owners")).unwrap();
    assert!(listed(&provider, &ada).await.is_empty());
    replace(&provider, "old", |_| ()).await;
    assert_eq!(listed(&provider, &ada).await, ["old"]);
}

#[tokio::test]
async fn a_damaged_session_is_not_listed_and_ends_with_the_others() {
    let (provider, _, directory) = store().await;
    let ada = Owner::of("ada");
    create(&provider, "damaged", &owned(1, ada), DAY).await;
    let place = path(directory.path(), "damaged");
    let mut bytes = fs::read(&place).unwrap();
    bytes.truncate(bytes.len() - 1);
    fs::write(&place, bytes).unwrap();
    assert!(listed(&provider, &ada).await.is_empty());
    assert_eq!(provider.end_owner(&ada, 10).await.unwrap(), 1);
    assert!(!place.exists());
}

/// In pages of any size, also of directories whose first characters are the same.
#[tokio::test]
async fn a_walk_meets_each_record_once_in_pages_of_any_size() {
    let (provider, clock, _directory) = store().await;
    let names = ["-_", "A-b", "a", "a.b", "ab", "abc", "b", "ba", "x", "x.", "xs", "xsnk", "xt", "z"];
    for name in names {
        create(&provider, name, &record(1), DAY).await;
    }
    create(&provider, "brief", &record(1), MINUTE).await;
    clock.advance(MINUTE);
    for limit in [1, 2, 3, 7, 14, 15, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = provider.scan(after.as_ref(), limit).await.unwrap();
            assert!(page.sessions.len() <= limit);
            found.extend(page.sessions.into_iter().map(|listed| listed.id.to_text()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        found.sort();
        assert_eq!(found, names, "in pages of {limit}");
    }
    let error = provider.scan(Some(&Cursor(Box::from(*b"a b"))), 1).await.unwrap_err();
    assert_eq!((error.kind(), error.engine()), (ErrorKind::Config, Some("file")));
}

/// Directories of owners are made and removed all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_providers_that_make_and_remove_the_same_directory_lose_no_entry() {
    let (first, clock, directory) = store().await;
    let second = on_clock(FileProvider::builder(directory.path()), &clock).await;
    let ada = Owner::of("ada");
    let workers: Vec<_> = [first, second]
        .into_iter()
        .map(Arc::new)
        .enumerate()
        .flat_map(|(which, provider)| (0..4).map(move |worker| (which * 4 + worker, Arc::clone(&provider))))
        .map(|(worker, provider)| {
            tokio::spawn(async move {
                for round in 0..50 {
                    let name = format!("w{worker}-{round}");
                    create(&provider, &name, &owned(1, ada), DAY).await;
                    assert!(listed(&provider, &ada).await.contains(&name), "{name}");
                    provider.destroy(&id(&name), None).await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert!(entries(directory.path(), &ada).is_empty());
}

/// A session gets other ids while its owner's sessions are ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_of_an_owner_is_left_after_zero_while_ids_are_replaced() {
    let (provider, clock, _directory) = store().await;
    let provider = Arc::new(provider);
    for round in 0..20 {
        let ada = Owner::of(&format!("ada-{round}"));
        for number in 0..8 {
            create(&provider, &format!("r{round}-{number}"), &owned(1, ada), DAY).await;
        }
        let renames: Vec<_> = (0..8)
            .map(|number| {
                let (provider, clock) = (Arc::clone(&provider), clock.clone());
                tokio::spawn(async move {
                    let (old, new) = (id(&format!("r{round}-{number}")), id(&format!("n{round}-{number}")));
                    let Some(over) = provider.read(&old, DAY).await.unwrap() else { return };
                    let grave = tombstone(&over, &new, clock.now().after(TOMBSTONE_TTL));
                    let moved = next(&over, 2);
                    let arguments =
                        session_core::engine::Rename::new((&old, over.stamp()), (&new, &moved, DAY), &grave);
                    provider.rename(&arguments).await.unwrap();
                })
            })
            .collect();
        while provider.end_owner(&ada, 3).await.unwrap() > 0 {}
        for rename in renames {
            rename.await.unwrap();
        }
        assert!(listed(&provider, &ada).await.is_empty(), "round {round}");
    }
}
