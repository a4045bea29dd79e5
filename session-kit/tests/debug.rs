//! The `{:?}` of a manager fits into a line of a log, with any engine and any contents.
#![cfg(all(feature = "memory", feature = "file", feature = "cookie", feature = "sqlite"))]

use session_kit::{ConnectOptions, Manager, connect};

#[tokio::test]
async fn a_manager_prints_a_line_and_not_its_store() {
    let directory = tempfile::tempdir().unwrap();
    let key = r#"{"securityKey":"dGhpcyBpcyBvbmx5IGZvciB0aGlzIHRlc3Qgb2Yga2V5"}"#;
    let database = directory.path().join("sessions.db");
    let files = directory.path().join("sessions");
    for (engine, config) in [
        ("memory", ""),
        ("sqlite", database.to_str().unwrap()),
        ("file", files.to_str().unwrap()),
        ("cookie", key),
    ] {
        let provider = connect(engine, ConnectOptions::new(config)).await.expect("the engine connects");
        let manager = Manager::builder_shared(provider).build().expect("a manager");
        for number in 0..10 {
            let session = manager.create();
            session.set("number", &number).expect("a value");
            session.release().await.expect("stored");
        }
        let printed = format!("{manager:?}");
        assert!(printed.len() < 4_000, "{engine}: {} bytes\n{printed:.1000}", printed.len());
    }
}
