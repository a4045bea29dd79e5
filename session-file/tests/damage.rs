//! Files that are no record, or not one that this version reads.

mod common;

use std::fs;
use std::os::unix::fs::symlink;

use common::{DAY, MINUTE, create, id, path, record, store};
use session_core::engine::{Condition, DestroyOutcome};
use session_core::{ErrorKind, Provider as _};

const ID: &str = "xsnk";

#[tokio::test]
async fn a_record_that_cannot_be_read_is_corrupt_is_not_written_over_and_can_be_destroyed() {
    let (provider, _, directory) = store().await;
    let file = path(directory.path(), ID);
    create(&provider, ID, &record(7), MINUTE).await;
    let whole = fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    flipped[134] ^= 1;
    for damage in [&b""[..], b"SSN", b"text", &[0; 400], &whole[..whole.len() - 1], &whole[..100], &flipped] {
        fs::write(&file, damage).unwrap();
        let corrupt = |error: session_core::Error| {
            assert_eq!((error.kind(), error.engine()), (ErrorKind::Corrupt, Some("file")));
        };
        corrupt(provider.read(&id(ID), MINUTE).await.unwrap_err());
        corrupt(provider.write(&id(ID), &record(8), Condition::Absent, MINUTE).await.unwrap_err());
        let over = Condition::Over(record(7).stamp());
        corrupt(provider.write(&id(ID), &record(8), over, MINUTE).await.unwrap_err());
        assert_eq!(fs::read(&file).unwrap(), damage);

        let stamp = Some(record(7).stamp());
        assert!(matches!(provider.destroy(&id(ID), stamp).await.unwrap(), DestroyOutcome::Destroyed));
        assert!(!file.exists());
        assert!(matches!(provider.destroy(&id(ID), None).await.unwrap(), DestroyOutcome::Absent));
    }
}

#[tokio::test]
async fn a_record_of_a_newer_version_is_unsupported_and_outlives_everything_but_a_logout() {
    let (provider, clock, directory) = store().await;
    let file = path(directory.path(), ID);
    for with_stamp in [false, true] {
        let seen = record(7);
        create(&provider, ID, &seen, MINUTE).await;
        let mut newer = fs::read(&file).unwrap();
        newer[3] = 200;
        fs::write(&file, &newer).unwrap();
        for error in [
            provider.read(&id(ID), MINUTE).await.unwrap_err(),
            provider.write(&id(ID), &record(8), Condition::Absent, MINUTE).await.unwrap_err(),
            provider.write(&id(ID), &record(8), Condition::Over(seen.stamp()), MINUTE).await.unwrap_err(),
            provider.touch(&id(ID), &seen, MINUTE).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        }
        clock.advance(DAY);
        assert_eq!(provider.gc(10).await.unwrap(), 0);
        assert_eq!(fs::read(&file).unwrap(), newer);

        let ended = provider.destroy(&id(ID), with_stamp.then(|| seen.stamp())).await.unwrap();
        assert!(matches!(ended, DestroyOutcome::Destroyed), "{ended:?}");
        assert!(!file.exists());
    }
}

/// Without `sync` a loss of power leaves files that were renamed, and whose contents never reached the disk.
#[tokio::test]
async fn what_a_loss_of_power_leaves_is_collected_after_an_hour() {
    let (provider, clock, directory) = store().await;
    create(&provider, ID, &record(7), DAY).await;
    let whole = fs::read(path(directory.path(), ID)).unwrap();
    let torn = [&b""[..], &[0; 400], &[0; 1], b"SSN", b"SSN\x01", &whole[..50]];
    let names: Vec<_> = (0..torn.len()).map(|number| format!("xs-{number}")).collect();
    for (name, bytes) in names.iter().zip(torn) {
        fs::write(path(directory.path(), name), bytes).unwrap();
        assert_eq!(provider.read(&id(name), MINUTE).await.unwrap_err().kind(), ErrorKind::Corrupt);
    }
    // Not what a torn record looks like: it stays.
    fs::write(path(directory.path(), "xs-text"), "text").unwrap();
    clock.advance(MINUTE * 59);
    assert_eq!(provider.gc(100).await.unwrap(), 0, "somebody may want to look into it");
    clock.advance(MINUTE * 2);
    assert_eq!(provider.gc(100).await.unwrap(), torn.len());
    assert!(!names.iter().any(|name| path(directory.path(), name).exists()));
    assert!(path(directory.path(), "xs-text").exists());
    assert!(provider.exists(&id(ID)).await.unwrap());
}

#[tokio::test]
async fn a_file_that_is_far_too_large_fills_no_memory() {
    let (provider, _, directory) = store().await;
    create(&provider, ID, &record(7), MINUTE).await;
    fs::File::options().write(true).open(path(directory.path(), ID)).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(provider.read(&id(ID), MINUTE).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn what_is_no_file_is_corrupt_and_makes_nobody_wait() {
    let (provider, _, directory) = store().await;
    let file = path(directory.path(), ID);
    create(&provider, ID, &record(7), MINUTE).await;
    fs::remove_file(&file).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &file,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    assert_eq!(provider.read(&id(ID), MINUTE).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(!provider.exists(&id(ID)).await.unwrap());
    assert!(matches!(provider.destroy(&id(ID), None).await.unwrap(), DestroyOutcome::Destroyed));
    fs::create_dir(&file).unwrap();
    assert_eq!(provider.read(&id(ID), MINUTE).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(provider.gc(10).await.unwrap(), 0);
}

#[tokio::test]
async fn what_a_killed_writer_left_is_swept_and_not_counted_and_in_nobodys_way() {
    let (provider, _, directory) = store().await;
    create(&provider, ID, &record(7), MINUTE).await;
    let left = |text: &str| directory.path().join(format!("x/s/.{text}.tmp"));
    for text in [ID, "xs-other"] {
        fs::write(left(text), "SSN half of a rec").unwrap();
    }
    symlink("/etc/passwd", left("xs-link")).unwrap();
    assert_eq!(provider.count().await.unwrap(), Some(1));
    assert_eq!(provider.gc(10).await.unwrap(), 0);
    assert!(![ID, "xs-other", "xs-link"].iter().any(|text| left(text).symlink_metadata().is_ok()));
    assert!(provider.exists(&id(ID)).await.unwrap());

    fs::write(left("xs-new"), "SSN half of a rec").unwrap();
    create(&provider, "xs-new", &record(8), MINUTE).await;
    assert!(!left("xs-new").exists());
}
