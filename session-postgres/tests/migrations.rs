//! Creating and upgrading the table, in place, concurrently and by hand; the errors for a wrong
//! table.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use session_core::accounts::Owner;
use session_core::engine::{Condition, Indexed};
use session_core::{ConnectOptions, ErrorKind, Provider};
use session_postgres::PostgresProvider;
use session_servers::packages::find;
use session_servers::postgres::Postgres as Server;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection};
use support::*;

/// The files that an administrator pipes into `psql`, in this order.
const FILES: [&str; 3] = [
    include_str!("../migrations/0001_session.sql"),
    include_str!("../migrations/0002_collect_after.sql"),
    include_str!("../migrations/0003_by_user.sql"),
];

/// A Beego-compatible table with two sessions.
const SEED: &str = "
    CREATE TABLE session (
        session_key char(64) NOT NULL,
        session_data bytea,
        session_expiry timestamp NOT NULL,
        CONSTRAINT session_key PRIMARY KEY (session_key)
    );
    INSERT INTO session VALUES
        ('xsnkjklkjjkh27hjh78908', '\\x0dff8104', '2030-07-01 12:00:00'),
        ('empty', '', '2020-01-01 00:00:00');";

/// The table of version 1.
const FIRST: &str = "
    CREATE TABLE session (
        session_key char(64) COLLATE \"C\" PRIMARY KEY,
        session_data bytea,
        session_expiry timestamptz NOT NULL,
        session_absolute timestamptz NOT NULL DEFAULT 'infinity',
        version bigint NOT NULL DEFAULT 0,
        moved boolean NOT NULL DEFAULT false,
        owner bytea
    );
    CREATE INDEX session_by_expiry ON session (session_expiry, moved);
    CREATE INDEX session_by_owner ON session (owner) WHERE owner IS NOT NULL;
    COMMENT ON TABLE session IS 'session-kit schema 1';";

const ROWS: &str = "SELECT session_key::text || ' ' || coalesce(encode(session_data, 'hex'), '-') || ' ' || \
                    session_expiry::text || ' ' || version || ' ' || (owner IS NULL) FROM session ORDER BY 1";

/// So many that filling the new column takes longer than the time limits of requests.
const MANY_ROWS: &str = "INSERT INTO session (session_key, session_expiry) \
                         SELECT 'k' || n, now() + interval '1 hour' FROM generate_series(1, 30000) AS n";

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_table_of_beego_is_upgraded_with_its_rows_in_place() {
    for (schema, zone, noon) in
        [("seed_utc", "UTC", "12:00:00+00"), ("seed_berlin", "Europe/Berlin", "10:00:00+00")]
    {
        let url = empty(schema).await;
        sql(&url, SEED).await;
        let sessions = connect(&url).await;
        let write = sessions.write(&id("a"), &record("a"), Condition::Absent, MINUTE).await;
        assert_eq!(write.unwrap_err().kind(), ErrorKind::Config);
        let error = sessions.check().await.unwrap_err();
        assert!(
            error.to_string().contains("session_expiry of the table \"session\" is timestamp without"),
            "{error}"
        );

        sessions.migrate_from(zone).await.unwrap();
        sessions.check().await.unwrap();
        let rows = ask(&url, ROWS).await;
        let first = format!("xsnkjklkjjkh27hjh78908 0dff8104 2030-07-01 {noon} 0 true");
        assert_eq!(rows.last(), Some(&first));
        assert_eq!(rows.len(), 2);

        sessions.migrate_from("Asia/Tokyo").await.unwrap();
        assert_eq!(ask(&url, ROWS).await, rows, "the second time nothing is read in another zone");
        // A record of another library cannot be read; it is distinguished from a missing session.
        let error = sessions.read(&id("xsnkjklkjjkh27hjh78908"), MINUTE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(is_stored(&create(&sessions, &id("empty"), &record("new")).await), "it has expired");
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_table_of_version_1_is_upgraded_with_its_rows_in_place() {
    let url = empty("first_version").await;
    sql(&url, FIRST).await;
    let insert = "INSERT INTO session (session_key, session_expiry) \
                  VALUES ('old', '2020-01-01Z'), ('live', '2100-01-01Z')";
    sql(&url, insert).await;
    let sessions = connect(&url).await;
    let error = sessions.write(&id("a"), &record("a"), Condition::Absent, MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("collect_after"), "{error}");

    sessions.migrate().await.unwrap();
    sessions.check().await.unwrap();
    let rounded = "SELECT session_key::text FROM session WHERE collect_after = session_expiry ORDER BY 1";
    assert_eq!(ask(&url, rounded).await, ["live", "old"]);
    assert_eq!(sessions.count().await.unwrap(), Some(1));
    assert_eq!(sessions.gc(10).await.unwrap(), 1);
    // The first file again, and all later ones.
    pipe(&url, FILES[0]);
    sessions.migrate().await.unwrap();
    assert_eq!(ask(&url, rounded).await, ["live"]);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_table_of_version_2_lacks_the_index_on_owners_and_gets_it() {
    let url = empty("second_version").await;
    sql(&url, FIRST).await;
    pipe(&url, FILES[1]);
    let sessions = connect(&url).await;
    let ada = Owner::of("ada");
    create(&sessions, &hashed(1), &owned("a", ada)).await;
    let error = sessions.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("no index on (owner, session_key)"), "{error}");
    assert_eq!(sessions.list(&ada, None, 10).await.unwrap().sessions.len(), 1, "it is only slower");

    sessions.migrate().await.unwrap();
    sessions.check().await.unwrap();
    let indexes = "SELECT indexname::text FROM pg_indexes WHERE tablename = 'session' \
                   AND schemaname = current_schema() ORDER BY 1";
    assert_eq!(ask(&url, indexes).await, ["session_by_ending", "session_by_user", "session_pkey"]);
    assert_eq!(sessions.list(&ada, None, 10).await.unwrap().sessions.len(), 1);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn ten_processes_may_migrate_at_once() {
    let first = format!(
        "{FIRST} INSERT INTO session (session_key, session_expiry) \
         SELECT 'k' || n, now() + interval '1 hour' FROM generate_series(1, 3000) AS n"
    );
    for (schema, before) in [("ten_new", ""), ("ten_seed", SEED), ("ten_first", &first)] {
        let url = empty(schema).await;
        sql(&url, before).await;
        let tasks = (0..10).map(|_| {
            let url = url.clone();
            tokio::spawn(async move { connect(&url).await.migrate().await })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap().unwrap();
        }
        connect(&url).await.check().await.unwrap();
        let indexes = "SELECT indexname::text FROM pg_indexes WHERE tablename = 'session' \
                       AND schemaname = current_schema() ORDER BY 1";
        let indexes = ask(&url, indexes).await;
        assert_eq!(indexes.len(), 3, "{indexes:?}");
        let late = "SELECT session_key::text FROM session WHERE collect_after <> session_expiry LIMIT 3";
        assert_eq!(ask(&url, late).await, [""; 0]);
    }
}

/// As an administrator does.
fn pipe(url: &str, file: &str) {
    let psql = find("psql").unwrap();
    let mut psql = Command::new(psql)
        .args(["-q", "-v", "ON_ERROR_STOP=1", url])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    psql.stdin.take().unwrap().write_all(file.as_bytes()).unwrap();
    assert!(psql.wait().unwrap().success());
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn the_files_can_be_piped_into_psql_and_again() {
    let url = empty("piped").await;
    for _ in 0..2 {
        pipe(&url, &FILES.concat());
    }
    let sessions = connect(&url).await;
    sessions.check().await.unwrap();
    assert!(is_stored(&create(&sessions, &id("a"), &record("a")).await));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn table_and_schema_can_have_other_names() {
    let url = empty("Other_Names").await;
    sql(&url, "DROP SCHEMA IF EXISTS \"Web\" CASCADE; CREATE SCHEMA \"Web\"").await;
    for table in ["web_session", "Web.Sessions", &format!("t{}", "x".repeat(52))] {
        let sessions = connect(&format!("{url}&table={table}")).await;
        sessions.migrate().await.unwrap();
        sessions.migrate().await.unwrap();
        sessions.check().await.unwrap();
        assert!(is_stored(&create(&sessions, &id("a"), &record("a")).await));
        assert_eq!(sessions.count().await.unwrap(), Some(1), "{table}");
    }
    let longer = connect(&format!("{url}&table=t{}", "x".repeat(53))).await;
    assert_eq!(longer.migrate().await.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_missing_table_names_the_migration() {
    let url = empty("no_table").await;
    let sessions = connect(&url).await;
    for error in [
        sessions.read(&id("a"), MINUTE).await.unwrap_err(),
        sessions.check().await.unwrap_err(),
        session_core::connect("postgres", ConnectOptions::new(&url)).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = error.to_string();
        assert!(text.contains("session") && text.contains("migrations/postgres/*.sql"), "{text}");
    }
    let made = session_core::connect("postgresql", ConnectOptions::new(&format!("{url}&migrate=true"))).await;
    assert_eq!(made.unwrap().count().await.unwrap(), Some(0));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_column_of_the_wrong_type_is_explained() {
    for (column, change, expected) in [
        ("session_data", "TYPE text USING ''", "is text, but must be bytea"),
        ("owner", "TYPE text USING ''", "is text, but must be bytea"),
        ("version", "TYPE text", "is text, but must be bigint"),
    ] {
        let (url, sessions) = start("wrong_column").await;
        let first = record("a");
        create(&sessions, &id("a"), &first).await;
        sql(&url, &format!("ALTER TABLE session ALTER COLUMN {column} {change}")).await;
        let error = sessions.check().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(expected), "{error}");
        // PostgreSQL converts any value to text, so not every operation fails.
        let over = Condition::Over(first.stamp());
        let error = match column {
            "session_data" => sessions.read(&id("a"), MINUTE).await.unwrap_err(),
            "version" => sessions.write(&id("a"), &changed(&first, "b"), over, MINUTE).await.unwrap_err(),
            _ => continue,
        };
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains("PostgresProvider::check()"), "{error}");
    }
    let (url, sessions) = start("wrong_column").await;
    sql(&url, "ALTER TABLE session DROP COLUMN moved").await;
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
    sql(&url, "ALTER TABLE session ALTER COLUMN session_expiry TYPE timestamp").await;
    sql(&url, "ALTER TABLE session ALTER COLUMN session_expiry TYPE timestamptz").await;
    assert!(
        sessions.read(&id("a"), MINUTE).await.unwrap().is_some(),
        "statements prepared before are made anew"
    );
    assert!(is_stored(&replace(&sessions, &id("a"), &first, &changed(&first, "b")).await));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn no_right_to_change_the_table_is_needed_at_run_time() {
    let (url, sessions) = start("rights").await;
    sql(
        &url,
        "DO $$ BEGIN CREATE ROLE session_web LOGIN PASSWORD 'web'; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
         GRANT USAGE ON SCHEMA rights TO session_web",
    )
    .await;
    let web = connect(&url.replace("session:session@", "session_web:web@")).await;
    let error = web.read(&id("a"), MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("SELECT, INSERT, UPDATE and DELETE"), "{error}");

    sql(&url, "GRANT SELECT, INSERT, UPDATE, DELETE ON session TO session_web").await;
    let first = record("a");
    create(&web, &id("a"), &first).await;
    let moved = Move::new(&id("a"), &id("b"), &first);
    assert!(is_stored(&web.rename(&moved.as_rename()).await.unwrap()));
    web.gc(10).await.unwrap();
    web.check().await.unwrap();
    assert_eq!(sessions.count().await.unwrap(), Some(1));
    assert_eq!(web.migrate().await.unwrap(), (), "nothing to do needs no right");
    web.destroy(&id("b"), None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_step_that_waits_does_not_repeat_the_steps_before_it() {
    let url = empty("waiting_step").await;
    sql(&url, FIRST).await;
    sql(&url, MANY_ROWS).await;
    let scans = async || {
        let scans = "SELECT idx_scan::text FROM pg_stat_user_indexes WHERE indexrelname = 'session_pkey' \
                     AND schemaname = 'waiting_step'";
        ask(&url, scans).await[0].parse::<u64>().unwrap()
    };
    let before = scans().await;
    let mut idle = PgConnection::connect(&url).await.unwrap();
    let sessions = connect(&url).await;
    let migrating = tokio::spawn(async move { sessions.migrate().await });
    // The column is there, so the rows are being updated or will be next.
    let column =
        "SELECT FROM pg_attribute WHERE attrelid = 'session'::regclass AND attname = 'collect_after'";
    while sqlx::raw_sql(column).fetch_optional(&mut idle).await.unwrap().is_none() {
        assert!(!migrating.is_finished(), "the migration adds a column");
    }
    // The drop of the old index waits for this transaction, and so does the build of the new one.
    sqlx::raw_sql("BEGIN; SELECT count(*) FROM session").execute(&mut idle).await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!migrating.is_finished(), "the table is still held");
    sqlx::raw_sql("COMMIT").execute(&mut idle).await.unwrap();
    migrating.await.unwrap().unwrap();
    // One for each row, and two to three for each batch of five hundred. A session reports them
    // when it ends.
    let mut scanned = 0;
    for _ in 0..100 {
        scanned = scans().await - before;
        if scanned >= 30_000 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!((30_000..30_200).contains(&scanned), "{scanned} scans");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn sessions_are_read_while_a_migration_waits_for_an_idle_transaction() {
    let url = empty("idle_transaction").await;
    sql(&url, FIRST).await;
    let rows = "INSERT INTO session (session_key, session_data, session_expiry) \
                SELECT 'k' || n, '\\x00', now() + interval '1 hour' FROM generate_series(1, 20000) n";
    sql(&url, rows).await;
    let mut idle = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT count(*) FROM session").execute(&mut idle).await.unwrap();
    let sessions = Arc::new(connect(&format!("{url}&lock_timeout=10s")).await);
    let migrating = {
        let sessions = Arc::clone(&sessions);
        tokio::spawn(async move { sessions.migrate().await })
    };
    let until = tokio::time::Instant::now() + Duration::from_secs(3);
    let mut read = 0;
    while tokio::time::Instant::now() < until {
        let found = tokio::time::timeout(Duration::from_secs(2), sessions.exists(&id("k1"))).await;
        assert!(found.is_ok(), "a load waits for the migration, after {read}");
        read += 1;
    }
    assert!(read > 20, "{read} loads were answered");
    assert!(!migrating.is_finished(), "the table is still held");
    sqlx::raw_sql("COMMIT").execute(&mut idle).await.unwrap();
    migrating.await.unwrap().unwrap();
    sessions.check().await.unwrap();
    let filled = "SELECT count(*)::text FROM session WHERE collect_after = session_expiry";
    assert_eq!(ask(&url, filled).await, ["20000"]);
    let valid = "SELECT count(*)::text FROM pg_index WHERE indrelid = 'session'::regclass AND indisvalid";
    assert_eq!(ask(&url, valid).await, ["3"]);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn an_incomplete_index_is_rebuilt() {
    let url = empty("half_an_index").await;
    sql(&url, FIRST).await;
    // The state after a cancelled build.
    let half = "ALTER TABLE session ADD COLUMN collect_after timestamptz NOT NULL DEFAULT '-infinity';
                CREATE INDEX session_by_ending ON session (collect_after, moved);
                CREATE INDEX session_by_user ON session (owner, session_key) WHERE owner IS NOT NULL;
                UPDATE pg_index SET indisvalid = false
                WHERE indexrelid IN ('session_by_ending'::regclass, 'session_by_user'::regclass)";
    sql(&url, half).await;
    connect(&url).await.migrate().await.unwrap();
    let valid = "SELECT count(*)::text FROM pg_index WHERE indrelid = 'session'::regclass AND indisvalid";
    assert_eq!(ask(&url, valid).await, ["3"]);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn connecting_can_check_the_table_without_changing_it() {
    let url = empty("check_only").await;
    let checked = || async { connect_result(&format!("{url}&migrate=check")).await.map(drop) };
    let error = checked().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("there is no table"), "{error}");
    sql(&url, FIRST).await;
    assert!(checked().await.unwrap_err().to_string().contains("collect_after"));
    connect(&url).await.migrate().await.unwrap();
    checked().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_migration_that_is_given_up_keeps_no_lock_and_no_settings() {
    let url = empty("given_up").await;
    sql(&url, FIRST).await;
    let mut idle = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT count(*) FROM session").execute(&mut idle).await.unwrap();
    let options = url.parse::<PgConnectOptions>().unwrap();
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let (own, given) = (connect(&url).await, PostgresProvider::with_pool(pool.clone(), "session").unwrap());
    for sessions in [&own, &given] {
        let migrating = sessions.migrate_from("Europe/Berlin");
        let migrating = tokio::time::timeout(Duration::from_secs(1), migrating).await;
        assert!(migrating.is_err(), "the table is held");
    }
    let zone: String =
        sqlx::query_scalar("SELECT current_setting('TimeZone')").fetch_one(&pool).await.unwrap();
    assert_ne!(zone, "Europe/Berlin", "the application's own statements would use it");
    sqlx::raw_sql("COMMIT").execute(&mut idle).await.unwrap();
    let another = connect(&url).await;
    tokio::time::timeout(Duration::from_secs(20), another.migrate())
        .await
        .expect("it gets the lock")
        .unwrap();
}

/// The name of an index is unique in its schema, and a table that is renamed keeps its indexes.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn an_index_that_another_table_has_under_its_name_is_explained() {
    let (url, sessions) = start("renamed_away").await;
    sql(&url, "ALTER TABLE session RENAME TO session_of_yesterday").await;
    let error = sessions.migrate().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(format!("{error:?}").contains("session_by_ending"), "{error:?}");
    sql(&url, "ALTER INDEX session_by_ending RENAME TO yesterday_by_ending").await;
    sql(&url, "ALTER INDEX session_by_user RENAME TO yesterday_by_user").await;
    sessions.migrate().await.unwrap();
    sessions.check().await.unwrap();
    let indexes = "SELECT indexname::text FROM pg_indexes WHERE tablename = 'session' \
                   AND schemaname = current_schema() ORDER BY 1";
    assert_eq!(ask(&url, indexes).await, ["session_by_ending", "session_by_user", "session_pkey1"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn autovacuum_gives_way_to_a_migration() {
    // It runs all the time, and pauses after every page.
    let server = Server::start_with(&[
        "autovacuum_naptime=1s",
        "autovacuum_vacuum_threshold=1",
        "autovacuum_vacuum_scale_factor=0",
        "autovacuum_vacuum_cost_limit=1",
        "autovacuum_vacuum_cost_delay=100ms",
    ])
    .unwrap();
    let url = server.url();
    sql(&url, FIRST).await;
    let rows = "INSERT INTO session (session_key, session_data, session_expiry) \
                SELECT 'k' || n, '\\x00', now() + interval '1 hour' FROM generate_series(1, 20000) n; \
                DELETE FROM session WHERE session_key LIKE 'k%7'";
    sql(&url, rows).await;
    let vacuums = "SELECT pid::text FROM pg_stat_progress_vacuum WHERE relid = 'session'::regclass";
    while ask(&url, vacuums).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let sessions = connect(&url).await;
    tokio::time::timeout(Duration::from_secs(30), sessions.migrate()).await.expect("it waits").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_migration_does_not_wait_for_that_of_another_table() {
    let (one, other) = (empty("one_of_two").await, empty("other_of_two").await);
    sql(&one, FIRST).await;
    let mut idle = PgConnection::connect(&one).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT count(*) FROM session").execute(&mut idle).await.unwrap();
    let sessions = connect(&one).await;
    let migrating = tokio::spawn(async move { sessions.migrate().await });
    let locks = "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND granted";
    while ask(&one, locks).await == ["0"] {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let sessions = connect(&other).await;
    tokio::time::timeout(Duration::from_secs(20), sessions.migrate()).await.expect("it waits").unwrap();
    assert!(!migrating.is_finished(), "the table is still held");
    sqlx::raw_sql("COMMIT").execute(&mut idle).await.unwrap();
    migrating.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn the_time_limits_of_requests_do_not_end_a_migration() {
    let url = empty("limited").await;
    sql(&url, FIRST).await;
    sql(&url, MANY_ROWS).await;
    let limits = "%20-c%20statement_timeout%3D100ms%20-c%20lock_timeout%3D100ms";
    connect(&format!("{url}{limits}")).await.migrate().await.unwrap();
}
