//! The table: created, upgraded in place, by many processes at once and by hand; and the errors for
//! a wrong one.
#![allow(clippy::unwrap_used)] // helpers are test code too

mod support;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use session_core::engine::Condition;
use session_core::{ConnectOptions, ErrorKind, Provider};
use session_mysql::MySqlProvider;
use session_servers::compose;
use session_servers::mariadb::MariaDb;
use session_servers::packages::find;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::{Connection, MySqlConnection};
use support::*;

/// The files in the order in which they are piped into the client.
const FILES: [&str; 2] =
    [include_str!("../migrations/0001_session.sql"), include_str!("../migrations/0002_collect_after.sql")];

/// Beego's table as its documentation creates it, with two sessions.
fn seed(table: &str) -> String {
    format!(
        "CREATE TABLE `{table}` (
            `session_key` char(64) NOT NULL,
            `session_data` blob,
            `session_expiry` int(11) unsigned NOT NULL,
            PRIMARY KEY (`session_key`)
        ) ENGINE=MyISAM DEFAULT CHARSET=utf8;
        INSERT INTO `{table}` VALUES
            ('xsnkjklkjjkh27hjh78908', x'0dff8104', 1909137600),
            ('empty', '', 1577836800);"
    )
}

/// The contents of Beego's columns, and of two new ones.
fn rows(table: &str) -> String {
    format!(
        "SELECT CONCAT_WS(' ', session_key, HEX(session_data), session_expiry, version, owner IS NULL) \
         FROM {table} ORDER BY 1"
    )
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn beegos_table_is_upgraded_in_place() {
    let url = empty("seed").await;
    sql(&url, &seed("seed")).await;
    let sessions = connect(&url).await;
    let write = sessions.write(&id("a"), &record("a"), Condition::Absent, MINUTE).await;
    assert_eq!(write.unwrap_err().kind(), ErrorKind::Config);
    let error = sessions.check().await.unwrap_err();
    assert!(error.to_string().contains("session_data of the table seed is blob"), "{error}");

    sessions.migrate().await.unwrap();
    sessions.check().await.unwrap();
    let upgraded = ["empty  1577836800000 0 1", "xsnkjklkjjkh27hjh78908 0DFF8104 1909137600000 0 1"];
    assert_eq!(ask(&url, &rows("seed")).await, upgraded);
    let engine =
        "SELECT CONCAT(engine, ' ', table_comment) FROM information_schema.tables WHERE table_name = 'seed'";
    assert_eq!(ask(&url, engine).await, ["InnoDB session-kit schema 2"]);

    // As if it had been interrupted and restarted: nothing is multiplied twice.
    sql(&url, "ALTER TABLE seed COMMENT = ''").await;
    sessions.migrate().await.unwrap();
    assert_eq!(ask(&url, &rows("seed")).await, upgraded);
    // Another library's record is unreadable, and distinguished from a missing session.
    let error = sessions.read(&id("xsnkjklkjjkh27hjh78908"), MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(is_stored(&create(&sessions, &id("empty"), &record("new")).await), "it has expired");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_table_of_version_1_is_upgraded_in_place() {
    let url = empty("first_version").await;
    let first = FILES[0].replace("`session`", "`first_version`").replace("'session'", "'first_version'");
    sql(&url, &first).await;
    let insert =
        "INSERT INTO first_version (session_key, session_expiry) VALUES ('old', 1000), ('live', 4e12)";
    sql(&url, insert).await;
    let sessions = connect(&url).await;
    let error = sessions.write(&id("a"), &record("a"), Condition::Absent, MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("collect_after"), "{error}");

    sessions.migrate().await.unwrap();
    sessions.check().await.unwrap();
    let rounded = "SELECT CONCAT_WS(' ', session_key, collect_after) FROM first_version ORDER BY 1";
    assert_eq!(ask(&url, rounded).await, ["live 4000000000000", "old 1000"]);
    assert_eq!(sessions.count().await.unwrap(), Some(1));
    assert_eq!(sessions.gc(10).await.unwrap(), 1);
    // The first file again, and all following ones.
    sql(&url, &first).await;
    sessions.migrate().await.unwrap();
    assert_eq!(ask(&url, rounded).await, ["live 4000000000000"]);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn ten_processes_may_migrate_at_once() {
    let first = FILES[0].replace("`session`", "`ten_first`").replace("'session'", "'ten_first'");
    let rows = "INSERT INTO ten_first (session_key, session_expiry) \
                SELECT CONCAT('k', seq), 4000000000000 + seq FROM seq_1_to_3000";
    for (place, before) in [
        ("ten_new", "DO 0".to_owned()),
        ("ten_seed", seed("ten_seed")),
        ("ten_first", format!("{first}{rows}")),
    ] {
        let url = empty(place).await;
        sql(&url, &before).await;
        let tasks = (0..10).map(|_| {
            let url = url.clone();
            tokio::spawn(async move { connect(&url).await.migrate().await })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap().unwrap();
        }
        connect(&url).await.check().await.unwrap();
        let indexes = format!(
            "SELECT DISTINCT CAST(index_name AS CHAR) FROM information_schema.statistics WHERE table_name = '{place}'"
        );
        let indexes = ask(&url, &indexes).await;
        assert_eq!(indexes.len(), 3, "{indexes:?}");
        let late =
            format!("SELECT CAST(session_key AS CHAR) FROM {place} WHERE collect_after <> session_expiry");
        assert_eq!(ask(&url, &late).await, [""; 0]);
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn the_files_can_be_piped_into_the_client_and_again() {
    let server = MariaDb::start().unwrap();
    for _ in 0..2 {
        let mut client = Command::new(find("mariadb").unwrap())
            .args(["--no-defaults", "--host=127.0.0.1", "--user=session", "--password=session"])
            .args([format!("--port={}", server.process().port()), "session".to_owned()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        client.stdin.take().unwrap().write_all(FILES.concat().as_bytes()).unwrap();
        assert!(client.wait().unwrap().success());
    }
    let sessions = connect(&server.url()).await;
    sessions.check().await.unwrap();
    assert!(is_stored(&create(&sessions, &id("a"), &record("a")).await));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn table_and_database_can_have_other_names() {
    let server = compose::MYSQL.address();
    let admin = compose::MYSQL_ADMIN.address();
    sql(&admin, "DROP DATABASE IF EXISTS Web; CREATE DATABASE Web; GRANT ALL ON Web.* TO session@'%'").await;
    for table in ["web_session", "Web.Sessions", &format!("t{}", "x".repeat(62))] {
        sql(&server, &format!("DROP TABLE IF EXISTS {table}")).await;
        let sessions = connect(&format!("{server}?table={table}")).await;
        sessions.migrate().await.unwrap();
        sessions.migrate().await.unwrap();
        sessions.check().await.unwrap();
        assert!(is_stored(&create(&sessions, &id("a"), &record("a")).await));
        assert_eq!(sessions.count().await.unwrap(), Some(1), "{table}");
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_missing_table_names_the_migration() {
    let url = empty("no_table").await;
    let sessions = connect(&url).await;
    for error in [
        sessions.read(&id("a"), MINUTE).await.unwrap_err(),
        sessions.check().await.unwrap_err(),
        session_core::connect("mysql", ConnectOptions::new(&url)).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = error.to_string();
        assert!(text.contains("no_table") && text.contains("migrations/mysql/*.sql"), "{text}");
    }
    let made = session_core::connect("mysql", ConnectOptions::new(&format!("{url}&migrate=true"))).await;
    assert_eq!(made.unwrap().count().await.unwrap(), Some(0));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_column_of_the_wrong_type_is_explained() {
    for (column, kind, expected) in [
        ("session_data", "text CHARACTER SET utf8mb4", "is text, but must be longblob"),
        ("session_data", "varbinary(9)", "is varbinary(9), but must be longblob"),
        ("version", "int unsigned", "is int unsigned, but must be bigint unsigned"),
        ("owner", "int", "is int, but must be binary(32)"),
    ] {
        let (url, sessions) = start("wrong_column").await;
        sql(&url, &format!("ALTER TABLE wrong_column MODIFY {column} {kind}")).await;
        let error = sessions.check().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(expected), "{error}");
        let mut first = record("a");
        first.header.owner = Some(session_core::accounts::Owner::of("ada"));
        let error = sessions.write(&id("a"), &first, Condition::Absent, MINUTE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{column}: {error}");
        assert!(error.to_string().contains("MySqlProvider::check()"), "{error}");
    }
    let (url, sessions) = start("wrong_column").await;
    sql(&url, "ALTER TABLE wrong_column DROP COLUMN moved").await;
    let error = sessions.destroy(&id("a"), None).await.unwrap_err();
    assert!(error.to_string().contains("moved"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn sessions_work_while_the_table_is_altered() {
    let (url, sessions) = start("altered").await;
    let first = record("a");
    create(&sessions, &id("a"), &first).await;
    assert!(sessions.read(&id("a"), MINUTE).await.unwrap().is_some());
    sql(&url, "ALTER TABLE altered MODIFY session_data mediumblob, ADD COLUMN more int FIRST").await;
    sql(&url, "ALTER TABLE altered MODIFY session_data longblob").await;
    assert!(sessions.read(&id("a"), MINUTE).await.unwrap().is_some(), "statements are prepared again");
    assert!(is_stored(&replace(&sessions, &id("a"), &first, &changed(&first, "b")).await));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn no_right_to_change_the_table_is_needed_at_run_time() {
    let (url, sessions) = start("rights").await;
    let admin = compose::MYSQL_ADMIN.address();
    let user = "DROP USER IF EXISTS session_web@'%'; CREATE USER session_web@'%' IDENTIFIED BY 'web'; \
                GRANT SELECT ON session.entrance TO session_web@'%'";
    sql(&empty_table(&admin).await, user).await;
    let web = connect(&url.replace("session:session@", "session_web:web@")).await;
    let error = web.read(&id("a"), MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("SELECT, INSERT, UPDATE and DELETE"), "{error}");

    sql(&admin, "GRANT SELECT, INSERT, UPDATE, DELETE ON session.rights TO session_web@'%'").await;
    let web = connect(&url.replace("session:session@", "session_web:web@")).await;
    let first = record("a");
    create(&web, &id("a"), &first).await;
    let moved = Move::new(&id("a"), &id("b"), &first);
    assert!(is_stored(&web.rename(&moved.as_rename()).await.unwrap()));
    web.gc(10).await.unwrap();
    web.check().await.unwrap();
    assert_eq!(sessions.count().await.unwrap(), Some(1));
    web.migrate().await.unwrap(); // an up-to-date table needs no rights
    web.destroy(&id("b"), None).await.unwrap();
}

/// A user needs some right to log in.
async fn empty_table(admin: &str) -> String {
    sql(admin, "CREATE TABLE IF NOT EXISTS session.entrance (n int)").await;
    admin.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn sessions_are_read_while_a_migration_waits_for_an_idle_transaction() {
    let url = empty("idle_transaction").await;
    let own = |file: &str| {
        file.replace("`session`", "`idle_transaction`").replace("'session'", "'idle_transaction'")
    };
    sql(&url, &own(FILES[0])).await;
    let rows = "INSERT INTO idle_transaction (session_key, session_data, session_expiry) \
                SELECT CONCAT('k', seq), '', 4000000000000 + seq FROM seq_1_to_20000";
    sql(&url, rows).await;
    let mut idle = MySqlConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT COUNT(*) FROM idle_transaction").execute(&mut idle).await.unwrap();
    let sessions = Arc::new(connect(&url).await);
    let migrating = {
        let sessions = Arc::clone(&sessions);
        tokio::spawn(async move { sessions.migrate().await })
    };
    let until = tokio::time::Instant::now() + Duration::from_secs(3);
    let mut read = 0;
    while tokio::time::Instant::now() < until {
        let found = tokio::time::timeout(Duration::from_secs(4), sessions.exists(&id("k1"))).await;
        assert!(found.is_ok_and(|found| found.unwrap()), "a load waits for the migration, after {read}");
        read += 1;
    }
    assert!(read > 20, "{read} loads were answered");
    assert!(!migrating.is_finished(), "the table is still held");
    sqlx::raw_sql("COMMIT").execute(&mut idle).await.unwrap();
    migrating.await.unwrap().unwrap();
    sessions.check().await.unwrap();
    let filled = "SELECT CAST(COUNT(*) AS CHAR) FROM idle_transaction WHERE collect_after = session_expiry";
    assert_eq!(ask(&url, filled).await, ["20000"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_step_that_waits_does_not_repeat_the_steps_before_it() {
    let server = MariaDb::start().unwrap();
    let (url, admin) = (server.url(), server.admin_url());
    sql(&url, FILES[0]).await;
    let rows = "INSERT INTO session (session_key, session_data, session_expiry) \
                SELECT CONCAT('k', seq), '', 4000000000000 + seq FROM seq_1_to_30000";
    sql(&url, rows).await;
    let updates = async |connection: &mut MySqlConnection| {
        let status = "SELECT CAST(variable_value AS UNSIGNED) FROM information_schema.global_status \
                      WHERE variable_name = 'COM_UPDATE'";
        sqlx::query_scalar::<_, u64>(status).fetch_one(connection).await.unwrap()
    };
    let mut idle = MySqlConnection::connect(&admin).await.unwrap();
    let before = updates(&mut idle).await;
    let sessions = connect(&url).await;
    let migrating = tokio::spawn(async move { sessions.migrate().await });
    while updates(&mut idle).await == before {
        assert!(!migrating.is_finished(), "the migration updates rows");
    }
    // The steps after the update wait for this transaction.
    sqlx::raw_sql("BEGIN; SELECT COUNT(*) FROM session").execute(&mut idle).await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!migrating.is_finished(), "the table is still held");
    sqlx::raw_sql("COMMIT").execute(&mut idle).await.unwrap();
    migrating.await.unwrap().unwrap();
    // Batches of a hundred rows, the first one without an end included.
    let sent = updates(&mut idle).await - before;
    assert!((300..350).contains(&sent), "{sent} updates");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn connecting_can_check_the_table_without_changing_it() {
    let url = empty("check_only").await;
    let checked = || async { connect_result(&format!("{url}&migrate=check")).await.map(drop) };
    let error = checked().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("there is no table"), "{error}");
    sql(&url, &FILES[0].replace("`session`", "`check_only`").replace("'session'", "'check_only'")).await;
    assert!(checked().await.unwrap_err().to_string().contains("collect_after"));
    connect(&url).await.migrate().await.unwrap();
    checked().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_migration_that_is_given_up_keeps_no_lock_and_no_settings() {
    let server = MariaDb::start().unwrap();
    let (url, admin) = (server.url(), server.admin_url());
    sql(&url, FILES[0]).await;
    let mut idle = MySqlConnection::connect(&admin).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT COUNT(*) FROM session").execute(&mut idle).await.unwrap();
    let pool = MySqlPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
    let (own, given) = (connect(&url).await, MySqlProvider::with_pool(pool.clone(), "session").unwrap());
    for sessions in [&own, &given] {
        let migrating = tokio::time::timeout(Duration::from_secs(1), sessions.migrate()).await;
        assert!(migrating.is_err(), "the table is held");
    }
    let waits: i64 =
        sqlx::query_scalar("SELECT CAST(@@lock_wait_timeout AS SIGNED)").fetch_one(&pool).await.unwrap();
    assert!(waits > 1, "the application's own statements would wait for {waits} s only");
    sqlx::raw_sql("COMMIT").execute(&mut idle).await.unwrap();
    let another = connect(&url).await;
    tokio::time::timeout(Duration::from_secs(20), another.migrate())
        .await
        .expect("it gets the lock")
        .unwrap();
}

/// The names of locks are shared by all databases of a server.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_migration_does_not_wait_for_that_of_another_table() {
    let (one, other) = (empty("one_of_two").await, empty("other_of_two").await);
    sql(&one, &FILES[0].replace("`session`", "`one_of_two`").replace("'session'", "'one_of_two'")).await;
    let mut idle = MySqlConnection::connect(&one).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT COUNT(*) FROM one_of_two").execute(&mut idle).await.unwrap();
    let sessions = connect(&one).await;
    let migrating = tokio::spawn(async move { sessions.migrate().await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let sessions = connect(&other).await;
    tokio::time::timeout(Duration::from_secs(20), sessions.migrate()).await.expect("it waits").unwrap();
    assert!(!migrating.is_finished(), "the table is still held");
    sqlx::raw_sql("COMMIT").execute(&mut idle).await.unwrap();
    migrating.await.unwrap().unwrap();
}
