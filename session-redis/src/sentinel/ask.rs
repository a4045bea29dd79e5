//! Asks one sentinel for the master.

use std::collections::HashMap;

use redis::{Value, cmd};
use session_core::ErrorKind;

use crate::config::Address;
use crate::connection::{Connection, answer};
use crate::error::{Failure, Fault};
use crate::server::Server;

/// The master that a sentinel names.
pub(super) struct Answer {
    /// The epoch of the failover that made it the master; zero if the user may not ask for it.
    pub epoch: u64,
    pub address: Address,
}

/// Connects to a sentinel and asks it.
pub(super) async fn ask(sentinel: &Server, master: &str) -> Result<Answer, Fault> {
    let (connection, hello) = sentinel.connect().await?;
    hello.expect_mode("sentinel")?;
    ask_over(&connection, master).await
}

/// Asks a connected sentinel. One round trip.
///
/// `SENTINEL MASTER` returns the epoch. Its address is not used: between the promotion of a replica
/// and the end of the failover it is the old address with the new epoch. The other command already
/// names the promoted replica then (`sentinelGetCurrentMasterAddress`). The epoch is requested
/// first, so that an address is at least as new as its epoch.
pub(super) async fn ask_over(connection: &Connection, master: &str) -> Result<Answer, Fault> {
    let questions = ["MASTER", "GET-MASTER-ADDR-BY-NAME"].map(|question| {
        let mut command = cmd("SENTINEL");
        command.arg(question).arg(master);
        command
    });
    let answers = connection.send_all(questions.into_iter()).await.map_err(Failure::into_fault)?;
    let [state, address] = <[Value; 2]>::try_from(answers).map_err(|_| unreadable())?;
    let epoch = match answer(Ok(state)) {
        Ok(state) => epoch(state).ok_or_else(unreadable)?,
        // The user lacks the permission.
        Err(failure) if failure.code() == Some("NOPERM") => 0,
        Err(Failure::Refused(error))
            if error.details().is_some_and(|said| said.contains("No such master")) =>
        {
            return Err(unknown_master());
        }
        Err(failure) => return Err(failure.into_fault()),
    };
    match answer(Ok(address)).map_err(Failure::into_fault)? {
        Value::Nil => Err(unknown_master()),
        address => {
            let (host, port) = redis::from_redis_value(address).map_err(|_| unreadable())?;
            Ok(Answer { epoch, address: Address::Tcp(host, port) })
        }
    }
}

/// Returns the configuration epoch from a sentinel's fields of a master.
fn epoch(answer: Value) -> Option<u64> {
    let fields: HashMap<String, String> = redis::from_redis_value(answer).ok()?;
    fields.get("config-epoch")?.parse().ok()
}

fn unreadable() -> Fault {
    Fault::unavailable("unexpected reply of a sentinel")
}

fn unknown_master() -> Fault {
    Fault::new(
        ErrorKind::Config,
        "the sentinels watch no master with this name: use the name in `sentinel monitor`",
    )
}
