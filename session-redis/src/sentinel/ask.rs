//! What one sentinel says.

use std::collections::HashMap;

use redis::{Value, cmd};
use session_core::ErrorKind;

use crate::config::Address;
use crate::connection::Connection;
use crate::error::{Failure, Fault};
use crate::server::Server;

/// The master that a sentinel names.
pub(super) struct Told {
    /// Of the failover that made it the master; zero where the sentinel may not be asked for it.
    pub epoch: u64,
    pub address: Address,
}

/// Connects to a sentinel and asks it.
pub(super) async fn ask(sentinel: &Server, master: &str) -> Result<Told, Fault> {
    let (connection, hello) = sentinel.connect().await?;
    hello.expect_mode("sentinel")?;
    ask_over(&connection, master).await
}

/// Asks a sentinel that is connected to.
pub(super) async fn ask_over(connection: &Connection, master: &str) -> Result<Told, Fault> {
    let mut question = cmd("SENTINEL");
    question.arg("MASTER").arg(master);
    match connection.send(&question).await {
        Ok(answer) => state(answer).ok_or_else(unreadable),
        // A user with few rights.
        Err(failure) if failure.code() == Some("NOPERM") => ask_for_address(connection, master).await,
        Err(Failure::Refused(error))
            if error.details().is_some_and(|said| said.contains("No such master")) =>
        {
            Err(unknown_master())
        }
        Err(failure) => Err(failure.into_fault()),
    }
}

async fn ask_for_address(connection: &Connection, master: &str) -> Result<Told, Fault> {
    let mut question = cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    match connection.send(&question).await.map_err(Failure::into_fault)? {
        Value::Nil => Err(unknown_master()),
        answer => {
            let (host, port): (String, u16) = redis::from_redis_value(answer).map_err(|_| unreadable())?;
            Ok(Told { epoch: 0, address: Address::Tcp(host, port) })
        }
    }
}

/// From the fields that a sentinel has of a master.
fn state(answer: Value) -> Option<Told> {
    let fields: HashMap<String, String> = redis::from_redis_value(answer).ok()?;
    Some(Told {
        epoch: fields.get("config-epoch")?.parse().ok()?,
        address: Address::Tcp(fields.get("ip")?.clone(), fields.get("port")?.parse().ok()?),
    })
}

fn unreadable() -> Fault {
    Fault::unavailable("the sentinel's answer cannot be read")
}

fn unknown_master() -> Fault {
    Fault::new(
        ErrorKind::Config,
        "the sentinels watch no master of this name: it is what `sentinel monitor` calls it",
    )
}
