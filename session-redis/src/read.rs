//! Reads a record, with or without extending its idle deadline.

use std::time::Duration;

use redis::{Cmd, Value, cmd};
use session_core::engine::TOMBSTONE_TTL;
use session_core::id::StorageId;
use session_core::record::Record;
use session_core::{Error, ErrorKind, Result};

use crate::RedisProvider;
use crate::error::Failure;
use crate::provider::millis;
use crate::script::READ;

impl RedisProvider {
    /// Reads a record and extends its idle deadline: one `GETEX`.
    pub(crate) async fn read_sliding(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        let key = self.key(id);
        let mut command = Cmd::with_capacity(4, key.len() + 40);
        command.arg("GETEX").arg(&key).arg("PX").arg(millis(idle));
        let answer = self.route.send(&key, &command).await.map_err(Failure::of_read)?;
        let Some(mut record) = self.record(answer, ErrorKind::Unavailable)? else { return Ok(None) };
        if record.is_live() {
            record.header.deadline = self.clock.now().after(idle);
        } else {
            self.unslide(key, idle.min(TOMBSTONE_TTL));
        }
        Ok(Some(record))
    }

    /// A read extends the life of a tombstone like that of a session. This restores its short life
    /// in the background: if it fails, the tombstone stays for one idle timeout, which does no
    /// harm.
    fn unslide(&self, key: String, life: Duration) {
        let route = self.route.clone();
        tokio::spawn(async move {
            let mut command = cmd("PEXPIRE");
            command.arg(&key).arg(millis(life));
            let _ = route.send(&key, &command).await;
        });
    }

    /// Reads a record without changing its time to live: one script.
    pub(crate) async fn read_still(&self, id: &StorageId) -> Result<Option<Record>> {
        let key = self.key(id);
        let unexpected = || Error::new(ErrorKind::Unavailable, "unexpected reply type");
        let asked = self.clock.now();
        let (value, left) = match self.run(&READ, &[&key], &[]).await.map_err(Failure::of_read)? {
            Value::Nil => return Ok(None),
            Value::Array(both) => match <[Value; 2]>::try_from(both) {
                Ok([value, Value::Int(left)]) => (value, left),
                _ => return Err(unexpected()),
            },
            _ => return Err(unexpected()),
        };
        let Some(mut record) = self.record(value, ErrorKind::Unavailable)? else { return Ok(None) };
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        record.header.deadline = asked.after(left).min(record.header.absolute);
        Ok(Some(record))
    }
}
