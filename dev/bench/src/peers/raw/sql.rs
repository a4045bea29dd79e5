//! Prepared statements, each client on a connection that it holds.

use sqlx::{Connection, Database, Decode, Encode, Executor, IntoArguments, Row as _, Type};

use super::key;
use crate::measure::{Calls, Client};
use crate::work::{Job, Work};

/// How a database says it.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    table: &'static str,
    create: &'static str,
    read: &'static str,
    write: &'static str,
}

/// PostgreSQL.
pub const POSTGRES: Dialect = Dialect {
    table: "CREATE TABLE IF NOT EXISTS raw (id text PRIMARY KEY, data bytea NOT NULL)",
    create: "INSERT INTO raw (id, data) VALUES ($1, $2)",
    read: "SELECT data FROM raw WHERE id = $1",
    write: "UPDATE raw SET data = $1 WHERE id = $2",
};

/// MySQL and MariaDB.
pub const MYSQL: Dialect = Dialect {
    table: "CREATE TABLE IF NOT EXISTS raw (id varchar(64) CHARACTER SET ascii PRIMARY KEY, data longblob)",
    create: "INSERT INTO raw (id, data) VALUES (?, ?)",
    read: "SELECT data FROM raw WHERE id = ?",
    write: "UPDATE raw SET data = ? WHERE id = ?",
};

/// SQLite, with the settings of everybody else here: the first statement belongs to the file, the second to the connection.
pub const SQLITE: Dialect = Dialect {
    table: "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
            CREATE TABLE IF NOT EXISTS raw (id TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT",
    create: "INSERT INTO raw (id, data) VALUES (?1, ?2)",
    read: "SELECT data FROM raw WHERE id = ?1",
    write: "UPDATE raw SET data = ?1 WHERE id = ?2",
};

/// Reads and writes by the clients, each on a row of its own.
pub async fn clients<DB>(url: &str, dialect: Dialect, job: Job) -> Vec<impl Client + use<DB>>
where
    DB: Database,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    DB::Arguments: IntoArguments<DB>,
    String: Type<DB> + for<'q> Encode<'q, DB>,
    Vec<u8>: Type<DB> + for<'q> Encode<'q, DB> + for<'r> Decode<'r, DB>,
    usize: sqlx::ColumnIndex<DB::Row>,
{
    let stored = job.shape.bytes();
    let mut clients = Vec::new();
    for client in 0..job.clients {
        let mut held = DB::Connection::connect(url).await.expect("connected");
        sqlx::query::<DB>(dialect.table).execute(&mut held).await.expect("a table");
        let key = key(client);
        let create = sqlx::query::<DB>(dialect.create).bind(key.clone()).bind(stored.clone());
        create.execute(&mut held).await.expect("stored");
        let (stored, mut number) = (stored.clone(), 0_u64);
        clients.push(Calls(async move || {
            if job.work == Work::Create {
                number += 1;
                let create = sqlx::query::<DB>(dialect.create).bind(format!("{key}:{number}"));
                create.bind(stored.clone()).execute(&mut held).await.expect("stored");
                return;
            }
            let read = sqlx::query::<DB>(dialect.read).bind(key.clone()).fetch_one(&mut held).await;
            let mut read: Vec<u8> = read.expect("read").get(0);
            assert_eq!(read.len(), stored.len());
            if job.work == Work::ReadModifyWrite {
                // MariaDB writes nothing where nothing is changed.
                number += 1;
                read[..8].copy_from_slice(&number.to_be_bytes());
                let write = sqlx::query::<DB>(dialect.write).bind(read).bind(key.clone());
                write.execute(&mut held).await.expect("stored");
            }
        }));
    }
    clients
}
