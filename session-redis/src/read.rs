//! The two ways to read a record: with the idle deadline moved, and without.

use std::time::Duration;

use redis::{Cmd, Value, cmd};
use session_core::engine::TOMBSTONE_TTL;
use session_core::id::StorageId;
use session_core::record::Record;
use session_core::{Error, ErrorKind, Result};

use crate::RedisProvider;
use crate::error::Failure;
use crate::provider::{millis, record};
use crate::script::READ;

impl RedisProvider {
    /// A read that moves the idle deadline: one `GETEX`.
    pub(crate) async fn read_sliding(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        let key = self.key(id);
        let mut command = Cmd::with_capacity(4, key.len() + 40);
        command.arg("GETEX").arg(&key).arg("PX").arg(millis(idle));
        let answer = self.route.send(&key, &command).await.map_err(Failure::of_read)?;
        let Some(mut record) = record(answer, ErrorKind::Unavailable)? else { return Ok(None) };
        if record.is_live() {
            record.header.deadline = self.clock.now().after(idle);
        } else {
            self.unslide(key, idle.min(TOMBSTONE_TTL));
        }
        Ok(Some(record))
    }

    /// A tombstone that was read has slid like a session. This gives it back its short life, without anybody
    /// waiting: if it does not arrive, the tombstone stays for one idle time and does no harm.
    fn unslide(&self, key: String, life: Duration) {
        let route = self.route.clone();
        tokio::spawn(async move {
            let mut command = cmd("PEXPIRE");
            command.arg(&key).arg(millis(life));
            let _ = route.send(&key, &command).await;
        });
    }

    /// A read that leaves the time to live alone: one script.
    pub(crate) async fn read_still(&self, id: &StorageId) -> Result<Option<Record>> {
        let key = self.key(id);
        let odd = || Error::new(ErrorKind::Unavailable, "unexpected type of reply");
        let asked = self.clock.now();
        let (value, left) = match self.run(&READ, &[&key], &[]).await.map_err(Failure::of_read)? {
            Value::Nil => return Ok(None),
            Value::Array(both) => match <[Value; 2]>::try_from(both) {
                Ok([value, Value::Int(left)]) => (value, left),
                _ => return Err(odd()),
            },
            _ => return Err(odd()),
        };
        let Some(mut record) = record(value, ErrorKind::Unavailable)? else { return Ok(None) };
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        record.header.deadline = asked.after(left).min(record.header.absolute);
        Ok(Some(record))
    }
}
