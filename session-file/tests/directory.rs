//! Directories that cannot be used: each is an error that says what to change.
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use common::{MINUTE, create, id, path, record, store};
use session_core::engine::Condition;
use session_core::{ConnectOptions, Error, ErrorKind, Provider as _};
use session_file::{Builder, FileProvider};

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
    let mut names = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.all(|name| name.to_string_lossy().starts_with(".lock-")), "nothing is left of the check");
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
async fn a_symbolic_link_in_the_place_of_the_directory_is_refused() {
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

/// By builder, config string and URL.
async fn trusting(path: &Path) -> [FileProvider; 3] {
    let at = path.display();
    let parse = |config: String| Builder::parse(&config).unwrap().connect();
    [
        FileProvider::builder(path).trust_directory(true).connect().await.unwrap(),
        parse(format!("{at}?trust_directory=true")).await.unwrap(),
        parse(format!("file:{at}?trust_directory=true")).await.unwrap(),
    ]
}

#[tokio::test]
async fn a_directory_that_its_group_can_write_to_is_refused_unless_it_is_trusted() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o770)).unwrap();
    let error = refused(directory.path()).await;
    for advice in ["by its group", "chmod 700", "trust_directory=true"] {
        assert!(error.message().contains(advice), "{error}");
    }
    for provider in trusting(directory.path()).await {
        create(&provider, "xs", &record(7), MINUTE).await;
        provider.destroy(&id("xs"), None).await.unwrap();
    }
    // One that everybody can write to cannot be trusted.
    fs::set_permissions(directory.path(), Permissions::from_mode(0o707)).unwrap();
    let error = FileProvider::builder(directory.path()).trust_directory(true).connect().await.unwrap_err();
    assert!(error.message().contains("every user"), "{error}");
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    FileProvider::connect(directory.path()).await.unwrap();
}

#[tokio::test]
async fn a_directory_of_another_user_is_refused_unless_it_is_trusted() {
    let directory = tempfile::tempdir().unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(directory.path(), Some(65_534), Some(65_534)).unwrap();
        let error = refused(directory.path()).await;
        for advice in ["another user", "chown", "trust_directory=true"] {
            assert!(error.message().contains(advice), "{error}");
        }
        for provider in trusting(directory.path()).await {
            create(&provider, "xs", &record(7), MINUTE).await;
            provider.destroy(&id("xs"), None).await.unwrap();
        }
    } else {
        // Only root can give a directory away; everybody else meets root's.
        assert!(refused("/").await.message().contains("another user"));
    }
}

/// A directory of somebody else may come in the place of ours while the service runs.
#[tokio::test]
async fn a_directory_that_others_can_write_to_by_now_is_not_used_any_more() {
    let (provider, _, directory) = store().await;
    create(&provider, "xs", &record(7), MINUTE).await;
    let mut modes = vec![(0o770, "its group"), (0o707, "every user")];
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        std::os::unix::fs::chown(path(directory.path(), "xs"), Some(65_534), None).unwrap();
        modes.push((0o700, "another user"));
    }
    for (mode, why) in modes {
        fs::set_permissions(directory.path(), Permissions::from_mode(mode)).unwrap();
        std::os::unix::fs::chown(directory.path(), (mode == 0o700).then_some(65_534), None).unwrap();
        let mut errors = vec![
            provider.write(&id("xs"), &record(8), Condition::Absent, MINUTE).await.unwrap_err(),
            provider.destroy(&id("xs"), None).await.unwrap_err(),
            provider.gc(10).await.unwrap_err(),
        ];
        if is_root {
            // The file, too, is another user's now, so that it may have been planted.
            errors.push(provider.read(&id("xs"), MINUTE).await.unwrap_err());
        }
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            assert!(error.message().contains(why), "{error}");
        }
    }
    std::os::unix::fs::chown(directory.path(), Some(rustix::process::geteuid().as_raw()), None).unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
    assert!(provider.read(&id("xs"), MINUTE).await.unwrap().is_some());
}

#[tokio::test]
async fn a_directory_that_was_removed_is_unavailable_until_somebody_makes_it_again() {
    let (provider, _, directory) = store().await;
    create(&provider, "xs", &record(7), MINUTE).await;
    for collected_before in [false, true] {
        fs::remove_dir_all(directory.path()).unwrap();
        let error = provider.write(&id("xs"), &record(8), Condition::Absent, MINUTE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.message().contains("create it again"), "{error}");
        assert_eq!(provider.read(&id("xs"), MINUTE).await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(!directory.path().exists(), "it may be a disk that is not mounted");
        if collected_before {
            assert_eq!(provider.gc(10).await.unwrap_err().kind(), ErrorKind::Unavailable);
        }
        fs::DirBuilder::new().create(directory.path()).unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
        assert!(provider.read(&id("xs"), MINUTE).await.unwrap().is_none());
        create(&provider, "xs", &record(9), MINUTE).await;
        assert_eq!((provider.count().await.unwrap(), provider.gc(10).await.unwrap()), (Some(1), 0));
        // The directories in it are made again by themselves.
        fs::remove_dir_all(directory.path().join("x")).unwrap();
        assert!(provider.read(&id("xs"), MINUTE).await.unwrap().is_none());
        create(&provider, "xs", &record(9), MINUTE).await;
    }
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
