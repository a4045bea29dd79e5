//! Rows that are no record, and a file that is damaged.
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

mod support;

use std::io::{Seek as _, SeekFrom, Write as _};

use session_core::engine::{Condition, DestroyOutcome};
use session_core::{ErrorKind, Provider as _};
use support::*;

#[tokio::test]
async fn a_row_that_cannot_be_read_is_corrupt_is_not_written_over_and_can_be_destroyed() {
    let (provider, clock, directory) = store().await;
    let whole = record(7).encode().unwrap();
    let mut flipped = whole.clone();
    flipped[134] ^= 1;
    let cut = whole[..whole.len() - 1].to_vec();
    for damage in [Vec::new(), b"SSN".to_vec(), b"text".to_vec(), vec![0; 400], cut, flipped] {
        put_raw(&file(&directory), &id("a"), damage, &clock).await;
        let corrupt = |error: session_core::Error| {
            assert_eq!((error.kind(), error.engine()), (ErrorKind::Corrupt, Some("sqlite")));
        };
        corrupt(provider.read(&id("a"), MINUTE).await.unwrap_err());
        corrupt(provider.write(&id("a"), &record(8), Condition::Absent, MINUTE).await.unwrap_err());
        let over = Condition::Over(record(7).stamp());
        corrupt(provider.write(&id("a"), &record(8), over, MINUTE).await.unwrap_err());
        let destroyed = provider.destroy(&id("a"), None).await.unwrap();
        assert!(matches!(destroyed, DestroyOutcome::Destroyed));
    }
}

#[tokio::test]
async fn a_record_of_a_newer_version_is_unsupported_and_stays() {
    let (provider, clock, directory) = store().await;
    let mut newer = record(7).encode().unwrap();
    newer[3] = 2;
    put_raw(&file(&directory), &id("a"), newer.clone(), &clock).await;
    for error in [
        provider.read(&id("a"), MINUTE).await.unwrap_err(),
        provider.write(&id("a"), &record(8), Condition::Absent, MINUTE).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    assert_eq!(ask::<Vec<u8>>(&file(&directory), "SELECT session_data FROM session").await, newer);
}

#[tokio::test]
async fn a_value_of_another_type_is_refused_by_the_table() {
    let (_, _, directory) = store().await;
    let mut connection = open(&file(&directory)).await;
    let wrong = "INSERT INTO session (session_key, session_data, session_expiry) VALUES ('a', x'00', 'soon')";
    let error = sqlx::raw_sql(wrong).execute(&mut connection).await.unwrap_err();
    assert!(error.to_string().contains("cannot store TEXT value in INTEGER column"), "{error}");
}

/// What else happens to a damaged file depends on which page it is; none of it may be a panic, or
/// look like a session that has ended.
#[tokio::test]
async fn a_damaged_file_is_unavailable_and_never_looks_like_a_logout() {
    let (provider, _, directory) = store().await;
    for number in 0..200 {
        create(&provider, &numbered(number), &with_filling(&record(number), 1_000), MINUTE).await;
    }
    drop(provider);
    sql(&file(&directory), "PRAGMA wal_checkpoint(TRUNCATE)").await;
    let length = std::fs::metadata(file(&directory)).unwrap().len();
    let mut damaged = std::fs::File::options().write(true).open(file(&directory)).unwrap();
    damaged.seek(SeekFrom::Start(4_096 * 8)).unwrap();
    damaged.write_all(&vec![0xa5; usize::try_from(length).unwrap() - 4_096 * 8]).unwrap();
    drop(damaged);
    let provider = connect(&file(&directory).to_string_lossy()).await.unwrap();
    let mut unavailable = 0;
    for number in 0..200 {
        match provider.read(&numbered(number), MINUTE).await {
            Ok(record) => assert!(record.is_some(), "session {number} looks as if it had ended"),
            Err(error) if error.kind() == ErrorKind::Corrupt => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                assert!(error.message().contains("damaged"), "{error}");
                unavailable += 1;
            }
        }
    }
    assert!(unavailable > 100, "{unavailable}");
}
