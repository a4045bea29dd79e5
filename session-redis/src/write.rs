//! Writes a record: creates it, or replaces the one that was read.

use std::sync::atomic::Ordering;

use redis::{Cmd, ServerError, Value, cmd};
use session_core::Result;

use crate::RedisProvider;
use crate::compare;
use crate::error::Failure;
use crate::large::{self, LARGE, Replacement};
use crate::owners::{Changed, Entry};
use crate::script::{CREATE, CREATE_OWNED, REPLACE};

impl RedisProvider {
    /// One `SET … NX GET`, or one script if the server does not accept `NX` and `GET` together.
    pub(crate) async fn create(&self, key: &str, value: &[u8], ttl: i64) -> Result<Value, Failure> {
        if !self.before_7.load(Ordering::Relaxed) {
            let mut command = Cmd::with_capacity(7, value.len() + key.len() + 40);
            command.arg("SET").arg(key).arg(value).arg("NX").arg("GET").arg("PX").arg(ttl);
            match self.route.send(key, &command).await {
                Ok(Value::Nil) => return Ok(Value::Int(1)),
                Err(Failure::Refused(error)) if compare::is_unknown(&error) => {
                    self.before_7.store(true, Ordering::Relaxed);
                }
                answer => return answer,
            }
        }
        self.run(&CREATE, &[key], &[value, ttl.to_string().as_bytes()]).await
    }

    /// One script, which creates the entry as well. In a cluster an earlier call creates the entry.
    pub(crate) async fn create_owned(
        &self,
        key: &str,
        value: &[u8],
        ttl: i64,
        entry: &Entry,
    ) -> Result<Value> {
        if self.route.single().is_none() {
            self.enter(entry).await?;
            return self.create(key, value, ttl).await.map_err(Failure::of_write);
        }
        let ttl = ttl.to_string();
        let [member, deadline, past, life] = entry.arguments();
        let arguments = [value, ttl.as_bytes(), member, deadline, past, life];
        self.run(&CREATE_OWNED, &[key, &entry.key], &arguments).await.map_err(Failure::of_write)
    }

    /// Returns whether writes compare digests.
    pub(crate) fn compares_digests(&self) -> bool {
        self.route.compares_digests() && !self.no_digests.load(Ordering::Relaxed)
    }

    /// One `SET … IFDEQ`, and a `GET` if it is refused. Without digests one script; for a large
    /// record on a single server, a `SET` and a script in one packet.
    async fn replace(&self, replacement: &Replacement<'_>) -> Result<Value, Failure> {
        let &Replacement { key, over, value, ttl, entry, .. } = replacement;
        if let (1.., None) = (replacement.digest, entry)
            && self.compares_digests()
        {
            match self.route.send(key, &compare::set(key, value, replacement.digest, ttl)).await {
                Ok(Value::Nil) => {
                    let mut get = cmd("GET");
                    // Nothing was changed, even if this answer is lost.
                    let unchanged = |failure: Failure| Failure::NotSent(failure.into_fault());
                    let stored = self.route.send(key, get.arg(key)).await.map_err(unchanged)?;
                    if !compare::has_version(&stored, over) {
                        return Ok(stored);
                    }
                    // The server computes another digest, and would refuse this write for ever.
                    self.no_digests.store(true, Ordering::Relaxed);
                }
                Ok(Value::Okay) => return Ok(Value::Int(0)),
                Err(Failure::Refused(error)) if compare::is_unknown(&error) => {
                    self.no_digests.store(true, Ordering::Relaxed);
                }
                answer => return answer,
            }
        }
        if value.len() >= LARGE
            && let Some(link) = self.route.single()
            && !self.no_rename.load(Ordering::Relaxed)
        {
            match large::replace(link, replacement).await {
                Err(Failure::Refused(error)) if is_forbidden(&error) => {
                    self.no_rename.store(true, Ordering::Relaxed);
                }
                answer => return answer,
            }
        }
        let ttl = ttl.to_string();
        match entry.filter(|_| self.route.single().is_some()) {
            Some(entry) => {
                let arguments = replacement.arguments(&ttl, value, true);
                self.run(&REPLACE, &[key, &entry.key], &arguments).await
            }
            None => self.run(&REPLACE, &[key], &replacement.arguments(&ttl, value, false)).await,
        }
    }

    /// The same for a session whose owner or absolute deadline may have changed: in a cluster the
    /// entry is then created first, which takes two more round trips.
    pub(crate) async fn replace_entered(&self, replacement: Replacement<'_>) -> Result<Changed> {
        match Changed::of(self.replace(&replacement).await.map_err(Failure::of_write)?) {
            Changed::EnterFirst => {
                if let Some(entry) = replacement.entry {
                    self.enter(entry).await?;
                }
                let replacement = Replacement { entry: None, ..replacement };
                Ok(Changed::of(self.replace(&replacement).await.map_err(Failure::of_write)?))
            }
            changed => Ok(changed),
        }
    }
}

/// Returns whether the user lacks a permission, as reported by the server or by its scripts.
fn is_forbidden(error: &ServerError) -> bool {
    let says = |text: &str| error.details().is_some_and(|details| details.contains(text));
    error.code() == "NOPERM" || says("NOPERM") || says("no permissions") || says("can't run this command")
}
