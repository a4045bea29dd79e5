//! Prepared statements, each client on its own connection.

use std::rc::Rc;

use sqlx::{Connection, Database, Decode, Encode, Executor, IntoArguments, Row as _, Type};

use tokio::sync::Mutex;

use super::key;
use crate::measure::{Calls, Client};
use crate::work::{Job, Work};

/// The SQL of a database.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    table: &'static str,
    create: &'static str,
    read: &'static str,
    write: &'static str,
    /// Whether only one connection can write at a time: then all clients write over the same one
    /// and queue in the process, instead of retrying with pauses.
    one_writer: bool,
}

/// PostgreSQL.
pub const POSTGRES: Dialect = Dialect {
    table: "CREATE TABLE IF NOT EXISTS raw (id text PRIMARY KEY, data bytea NOT NULL)",
    create: "INSERT INTO raw (id, data) VALUES ($1, $2)",
    read: "SELECT data FROM raw WHERE id = $1",
    write: "UPDATE raw SET data = $1 WHERE id = $2",
    one_writer: false,
};

/// MySQL and MariaDB.
pub const MYSQL: Dialect = Dialect {
    table: "CREATE TABLE IF NOT EXISTS raw (id varchar(64) CHARACTER SET ascii PRIMARY KEY, data longblob)",
    create: "INSERT INTO raw (id, data) VALUES (?, ?)",
    read: "SELECT data FROM raw WHERE id = ?",
    write: "UPDATE raw SET data = ? WHERE id = ?",
    one_writer: false,
};

/// SQLite, with the same settings as the others: the first statement applies to the file, the
/// second to the connection.
pub const SQLITE: Dialect = Dialect {
    table: "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
            CREATE TABLE IF NOT EXISTS raw (id TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT",
    create: "INSERT INTO raw (id, data) VALUES (?1, ?2)",
    read: "SELECT data FROM raw WHERE id = ?1",
    write: "UPDATE raw SET data = ?1 WHERE id = ?2",
    one_writer: true,
};

/// The same, where every write waits for the disk.
pub const SQLITE_FULL: Dialect = Dialect {
    table: "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
            CREATE TABLE IF NOT EXISTS raw (id TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT",
    ..SQLITE
};

/// Reads and writes by the clients, each on its own row.
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
    let mut shared = None;
    for client in 0..job.clients {
        let mut held = DB::Connection::connect(url).await.expect("connected");
        sqlx::query::<DB>(dialect.table).execute(&mut held).await.expect("a table");
        let key = key(client);
        let create = sqlx::query::<DB>(dialect.create).bind(key.clone()).bind(stored.clone());
        create.execute(&mut held).await.expect("stored");
        let held = Rc::new(Mutex::new(held));
        let writer = if dialect.one_writer { shared.get_or_insert(Rc::clone(&held)) } else { &held };
        let (writer, stored, mut number) = (Rc::clone(writer), stored.clone(), client as u64);
        clients.push(Calls(async move || {
            number += 1;
            if job.work == Work::Create {
                let create = sqlx::query::<DB>(dialect.create).bind(format!("{key}:{number}"));
                let create = create.bind(stored.clone());
                create.execute(&mut *writer.lock().await).await.expect("stored");
                return;
            }
            let read = sqlx::query::<DB>(dialect.read).bind(key.clone());
            let read = read.fetch_one(&mut *held.lock().await).await;
            let mut read: Vec<u8> = read.expect("read").get(0);
            assert_eq!(read.len(), stored.len());
            if job.work.of_request(number as usize) == Work::ReadModifyWrite {
                // MariaDB skips writes that change nothing.
                read[..8].copy_from_slice(&number.to_be_bytes());
                let write = sqlx::query::<DB>(dialect.write).bind(read).bind(key.clone());
                write.execute(&mut *writer.lock().await).await.expect("stored");
            }
        }));
    }
    clients
}
