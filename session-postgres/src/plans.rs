//! Tests the server's query plans: every statement finds its rows by an index, whatever the size of
//! the table.

use session_servers::compose;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use session_sql::statements_of;

use crate::request::Statement;
use crate::schema::MIGRATIONS;
use crate::statements::Statements;

/// A table of 20,000 live and 500 expired sessions, of which some are tombstones. A quarter has one
/// owner.
const TABLE: &str = "
    DROP SCHEMA IF EXISTS plans CASCADE;
    CREATE SCHEMA plans;
    SET search_path = plans;
    SET plan_cache_mode = force_generic_plan;";
const ROWS: &str = "
    INSERT INTO session (session_key, session_data, session_expiry, collect_after, version, moved)
    SELECT encode(sha256(n::text::bytea), 'hex'), decode(repeat(md5(n::text), 12), 'hex'),
        now() + (n - 500) * interval '1 second', now() + (n - 500) * interval '1 second', n, n % 100 = 0
    FROM generate_series(1, 20500) n;
    UPDATE session SET owner = sha256(CASE WHEN version % 4 = 0 THEN 'many' ELSE session_data END)
    WHERE version % 2 = 0;";

/// A page is found by owner and key, so its cost does not depend on its position.
const BY_USER: &str = "Index Cond: ((owner = $1) AND (session_key > ($2)::bpchar))";

async fn plan(connection: &mut PgConnection, statement: &Statement, types: &str, arguments: &str) -> String {
    let prepare = format!("DEALLOCATE ALL; PREPARE plan{types} AS {}", statement.0);
    sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *connection).await.unwrap();
    let explain = format!("EXPLAIN EXECUTE plan{arguments}");
    let lines = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut *connection).await.unwrap();
    lines.iter().map(|line| line.get::<String, _>(0) + "\n").collect()
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn every_statement_uses_an_index() {
    let mut connection = PgConnection::connect(&compose::POSTGRES.address()).await.unwrap();
    sqlx::raw_sql(TABLE).execute(&mut connection).await.unwrap();
    for sql in statements_of(&MIGRATIONS.concat()) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
    for sql in [ROWS, "VACUUM ANALYZE session"] {
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    }
    let statements = Statements::new(&"session".parse().unwrap(), false);
    let key = "(text)";
    let row = "text, bytea, interval, interval, bigint, bytea, boolean, interval";
    let (k, r) = ("('k')", "'k', '', '1 s', '1 s', 1, NULL, true, '1 s'");
    let primary = &["session_pkey"][..];
    let both = (format!("({row}, bigint, {row})"), format!("({r}, 1, {r})"));
    let cases = [
        ("read", &statements.read, key.to_owned(), k.to_owned(), primary),
        ("replace", &statements.replace, format!("({row}, bigint)"), format!("({r}, 1)"), primary),
        (
            "touch",
            &statements.touch,
            "(text, interval, interval)".to_owned(),
            "('k', '1 s', '1 s')".to_owned(),
            primary,
        ),
        ("rename", &statements.rename, both.0, both.1, primary),
        ("destroy", &statements.destroy, key.to_owned(), k.to_owned(), primary),
        (
            "destroy_version",
            &statements.destroy_version,
            "(text, bigint)".to_owned(),
            "('k', 1)".to_owned(),
            primary,
        ),
        ("exists", &statements.exists, key.to_owned(), k.to_owned(), primary),
        (
            "count",
            &statements.count,
            String::new(),
            String::new(),
            &["Index Only Scan using session_by_ending"],
        ),
        ("ended", &statements.ended, "(bigint)".to_owned(), "(500)".to_owned(), &["session_by_ending"]),
        (
            "ended_from",
            &statements.ended_from,
            "(bigint, interval)".to_owned(),
            "(500, '1 s')".to_owned(),
            &["session_by_ending"],
        ),
        (
            "collect",
            &statements.collect,
            "(text[])".to_owned(),
            "(ARRAY['k', 'l'])".to_owned(),
            &["session_pkey"],
        ),
        (
            "list",
            &statements.list[0],
            "(bytea, text, bigint)".to_owned(),
            "('', 'k', 100)".to_owned(),
            &[BY_USER],
        ),
        (
            "list_text",
            &statements.list[1],
            "(bytea, text, bigint)".to_owned(),
            "('', 'k', 9)".to_owned(),
            &[BY_USER],
        ),
        (
            "end_owner",
            &statements.end_owner,
            "(bytea, bigint)".to_owned(),
            "('', 100)".to_owned(),
            &["session_by_user", "session_pkey"],
        ),
        ("scan", &statements.scan[0], "(text, bigint)".to_owned(), "('k', 100)".to_owned(), primary),
        ("scan_text", &statements.scan[1], "(text, bigint)".to_owned(), "('k', 100)".to_owned(), primary),
    ];
    for (name, statement, types, arguments, indexes) in cases {
        let plan = plan(&mut connection, statement, &types, &arguments).await;
        assert!(!plan.contains("Seq Scan") && !plan.contains("Sort"), "{name}:\n{plan}");
        for index in indexes {
            assert!(plan.contains(index), "{name} does not use {index}:\n{plan}");
        }
    }
}
