//! Directories that cannot be used: each is an error that says what to change.
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use common::{MINUTE, create, id, record, store};
use session_core::{Condition, ConnectOptions, Error, ErrorKind, Provider as _};
use session_file::FileProvider;

async fn refused(path: impl AsRef<Path>) -> Error {
    let error = FileProvider::connect(path.as_ref()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    error
}

#[tokio::test]
async fn a_missing_directory_is_created_for_its_owner_only() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("a/b");
    FileProvider::connect(&directory).await.unwrap();
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o7777, 0o700);
    assert!(fs::read_dir(&directory).unwrap().next().is_none(), "nothing is left of the check");
}

#[tokio::test]
async fn a_file_in_the_place_of_the_directory_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("tmp");
    fs::write(&file, "mine").unwrap();
    assert!(refused(&file).await.message().contains("is a file"));
    assert!(refused(file.join("below")).await.message().contains("cannot be created"));
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[tokio::test]
async fn checklist_28_a_symbolic_link_in_the_place_of_the_directory_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let (target, link) = (parent.path().join("target"), parent.path().join("tmp"));
    fs::create_dir(&target).unwrap();
    symlink(&target, &link).unwrap();
    let slash = format!("{}/", link.display());
    for path in [link.clone(), slash.clone().into(), format!("{slash}.").into()] {
        assert!(refused(path).await.message().contains("is a symbolic link"));
    }
    symlink(parent.path().join("nowhere"), parent.path().join("dangling")).unwrap();
    assert!(refused(parent.path().join("dangling")).await.message().contains("is a symbolic link"));
}

/// `/proc` refuses new files to everybody, root included.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_directory_that_cannot_be_written_to_is_refused() {
    for (path, why) in
        [("/proc/sys", "cannot be written to"), ("/proc/session-file-test", "cannot be created")]
    {
        let error = refused(path).await;
        assert!(error.message().contains(why) && error.message().contains("0700"), "{error}");
    }
}

#[tokio::test]
async fn a_directory_that_everybody_can_write_to_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o1777)).unwrap();
    assert!(refused(directory.path()).await.message().contains("chmod 700"));
}

#[tokio::test]
async fn a_directory_that_is_away_is_unavailable_and_its_sessions_come_back_with_it() {
    let (provider, _, directory) = store().await;
    create(&provider, "xs", &record(7), MINUTE).await;
    let away = directory.path().with_extension("away");
    fs::rename(directory.path(), &away).unwrap();
    for file_in_its_place in [false, true] {
        if file_in_its_place {
            fs::write(directory.path(), "").unwrap();
        }
        for error in [
            provider.read(&id("xs"), MINUTE).await.unwrap_err(),
            provider.write(&id("xs"), &record(8), Condition::Absent, MINUTE).await.unwrap_err(),
            provider.destroy(&id("xs"), None).await.unwrap_err(),
            provider.gc(10).await.unwrap_err(),
            provider.count().await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        }
    }
    fs::remove_file(directory.path()).unwrap();
    fs::rename(&away, directory.path()).unwrap();
    assert!(provider.exists(&id("xs")).await.unwrap());
}

#[tokio::test]
async fn by_name_a_bad_config_string_shows_the_form() {
    use session_file as _;
    let error = session_core::connect("file", ConnectOptions::new("")).await.unwrap_err();
    assert_eq!((error.kind(), error.engine()), (ErrorKind::Config, Some("file")));
    assert!(error.message().contains("`./tmp`"));
}

#[test]
fn without_a_runtime_it_is_an_error_and_no_panic() {
    use std::task::{Context, Poll, Waker};
    let directory = tempfile::tempdir().unwrap();
    let connecting = std::pin::pin!(FileProvider::connect(directory.path()));
    match connecting.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Err(error)) => assert_eq!(error.kind(), ErrorKind::Config),
        other => panic!("{other:?}"),
    }
}
