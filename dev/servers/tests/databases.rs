//! The private database servers come up, keep what they were told over a restart, and hang on demand.
#![allow(clippy::unwrap_used)] // the helpers are test code too

use session_servers::mariadb::MariaDb;
use session_servers::packages::find;
use session_servers::postgres::Postgres;
use session_servers::process::Process;
use std::process::Command;

fn psql(server: &Postgres, sql: &str) -> String {
    let mut command = Command::new(find("psql").unwrap());
    output(command.args(["-qXAt", "-c", sql, &server.url()]))
}

fn mariadb(server: &MariaDb, who: &str, sql: &str) -> String {
    let mut command = Command::new(find("mariadb").unwrap());
    let port = format!("--port={}", server.process().port());
    output(command.args([
        "--no-defaults",
        "-h127.0.0.1",
        &port,
        &format!("-u{who}"),
        "-psession",
        "-N",
        "-e",
        sql,
        "session",
    ]))
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn crash(server: &Process) {
    server.pause().unwrap();
    server.kill().unwrap();
    server.restart().unwrap();
}

#[test]
#[ignore = "needs a server: cargo xtask test"]
fn postgres_keeps_its_rows_over_a_crash() {
    let server = Postgres::start_with(&["max_connections=7"]).unwrap();
    psql(&server, "create table t (n int); insert into t values (42)");
    crash(server.process());
    assert_eq!(psql(&server, "select n from t"), "42");
    assert_eq!(psql(&server, "show max_connections"), "7");
    server.process().restart().unwrap();
    assert_eq!(psql(&server, "select current_user || current_database()"), "sessionsession");
}

#[test]
#[ignore = "needs a server: cargo xtask test"]
fn mariadb_keeps_its_rows_over_a_crash() {
    let server = MariaDb::start_with(&["--max-connections=17"]).unwrap();
    mariadb(&server, "session", "create table t (n int); insert into t values (42)");
    crash(server.process());
    assert_eq!(mariadb(&server, "session", "select n from t"), "42");
    assert_eq!(mariadb(&server, "root", "select @@max_connections"), "17");
    server.process().restart().unwrap();
    assert_eq!(mariadb(&server, "session", "select database()"), "session");
}
