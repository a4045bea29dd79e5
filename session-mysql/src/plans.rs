//! The server's plans: every statement finds its rows by an index, regardless of the number of
//! rows.

use session_servers::compose;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, Row};

use crate::schema::MIGRATIONS;
use crate::statements::Statements;

/// The owner of many sessions.
const MANY: &str = "UNHEX(SHA2('many', 256))";

/// A table of 20,000 live and 500 expired sessions, of which some are tombstones. A quarter has one
/// owner.
fn rows() -> String {
    const NOW: &str = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000";
    let row = |n: u32| {
        format!(
            "(SHA2({n}, 256), REPEAT(SHA2({n}, 256), 6), {NOW} + {n}000 - 500000, {NOW} + {n}000 - 500000, {n}, \
             {}, {})",
            n.is_multiple_of(100),
            match n % 4 {
                0 => MANY.to_owned(),
                2 => format!("UNHEX(SHA2({n}, 256))"),
                _ => "NULL".to_owned(),
            }
        )
    };
    let rows: Vec<String> = (1..=20_500).map(row).collect();
    format!(
        "INSERT INTO plans (session_key, session_data, session_expiry, collect_after, version, moved, owner) \
         VALUES {}",
        rows.join(",")
    )
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn every_statement_uses_an_index() {
    let mut connection = MySqlConnection::connect(&compose::MYSQL.address()).await.unwrap();
    let table = MIGRATIONS.concat().replace("`session`", "`plans`").replace("'session'", "'plans'");
    for sql in ["DROP TABLE IF EXISTS plans", &table, &rows(), "ANALYZE TABLE plans"] {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
    let statements = Statements::new(&"plans".parse().unwrap());
    let cases = [
        ("read", &statements.read, &["PRIMARY"][..]),
        ("revive", &statements.revive, &["PRIMARY"]),
        ("replace", &statements.replace, &["PRIMARY"]),
        ("touch", &statements.touch, &["PRIMARY"]),
        ("rename", &statements.rename, &["PRIMARY"]),
        ("destroy", &statements.destroy, &["PRIMARY"]),
        ("destroy_version", &statements.destroy_version, &["PRIMARY"]),
        ("exists", &statements.exists, &["PRIMARY"]),
        ("count", &statements.count, &["by_ending", "by_ending"]),
        ("ended", &statements.ended, &["by_ending"]),
        ("collect", &statements.collect[0], &["PRIMARY"]),
        ("list", &statements.list, &["by_owner"]),
        ("end_owner", &statements.end_owner, &["by_owner"]),
        ("scan", &statements.scan, &["PRIMARY"]),
    ];
    for (name, statement, indexes) in cases {
        // An existing key: without a row the server has no plan to explain.
        let mut sql = statement.0.replace("LIMIT ?", "LIMIT 500");
        sql = sql.replace("session_key = ?", "session_key = SHA2(601, 256)");
        // Also for the owner of many sessions, and wherever the page begins.
        sql = sql.replace("owner = ?", &format!("owner = {MANY}"));
        sql = sql.replace("session_key > ?", "session_key > SHA2(601, 256)");
        if name == "collect" {
            sql = sql.replace('?', "SHA2(601, 256)");
        }
        let sql = format!("EXPLAIN FORMAT=TRADITIONAL {}", sql.replace('?', "601"));
        let plan = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        let mut used = Vec::new();
        for line in &plan {
            let table: Option<String> = line.get("table");
            // MySQL also explains that an INSERT has a table.
            let is_read = line.get::<Option<String>, _>("select_type").as_deref() != Some("INSERT");
            if is_read && table.as_deref().is_some_and(|table| matches!(table, "plans" | "there")) {
                let (kind, key): (Option<String>, Option<String>) = (line.get("type"), line.get("key"));
                assert!(!matches!(kind.as_deref(), Some("ALL" | "index") | None), "{name}: {kind:?}");
                assert!(
                    !line.get::<Option<String>, _>("Extra").unwrap_or_default().contains("filesort"),
                    "{name}"
                );
                used.push(key.unwrap());
            }
        }
        assert_eq!(used, indexes, "{name}");
    }
}
