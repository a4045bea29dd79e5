//! SQLite's plans: every statement finds its rows by an index, regardless of the number of rows.

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use crate::schema::MIGRATION;
use crate::statements::{Statement, Statements};

async fn plan(connection: &mut SqliteConnection, statement: &Statement) -> String {
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", statement.0));
    let lines = sqlx::raw_sql(explain).fetch_all(connection).await.unwrap();
    lines.iter().map(|line| line.get::<String, _>("detail") + "\n").collect()
}

#[tokio::test]
async fn every_statement_uses_an_index() {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    sqlx::raw_sql(MIGRATION).execute(&mut connection).await.unwrap();
    let statements = Statements::new(&"session".parse().unwrap());
    let primary = "INDEX sqlite_autoindex_session_1 (session_key=?)";
    for (name, statement, expected) in [
        ("read", &statements.read, primary),
        ("replace_data", &statements.replace_data, primary),
        ("replace", &statements.replace, primary),
        ("touch", &statements.touch, primary),
        ("rename", &statements.rename, primary),
        ("destroy", &statements.destroy, primary),
        ("destroy_version", &statements.destroy_version, primary),
        ("exists", &statements.exists, primary),
        ("count", &statements.count, "COVERING INDEX session_by_ending (collect_after>?)"),
        ("collect", &statements.collect, "INDEX session_by_ending (collect_after<?)"),
        ("list", &statements.list, "INDEX session_by_user (owner=? AND session_key>?)"),
        ("end_owner", &statements.end_owner, "INDEX session_by_user (owner=?)"),
        ("scan", &statements.scan, "INDEX sqlite_autoindex_session_1 (session_key>?)"),
    ] {
        let plan = plan(&mut connection, statement).await;
        assert!(plan.contains(expected), "{name} does not use {expected}:\n{plan}");
        let scans = plan.lines().filter(|line| line.starts_with("SCAN session")).count();
        assert!(scans == 0 && !plan.contains("TEMP B-TREE"), "{name}:\n{plan}");
    }
}
