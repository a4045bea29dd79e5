//! Extends the idle deadline of an unchanged session, and renews its id, when it is time to.
//!
//! Nothing here fails a request, because the request only read.

use std::sync::Arc;
use std::time::Duration;

use super::next::Next;
use super::replace::{Attempt, store, with_record};
use crate::clock::Timestamp;
use crate::live::{Messenger, Plan, Stored};
use crate::shared::{Class, Operation, Shared};
use crate::{Result, observe};

impl Shared {
    /// Whether a request that only reads has nothing to do at its end.
    pub(super) fn is_fresh(&self, stored: &Stored, messenger: Messenger) -> bool {
        // The common case needs no look at the clock.
        if self.capabilities.slides_on_read && !self.renewal.possible {
            return true;
        }
        let now = self.now();
        !self.must_touch(stored, now) && !self.renewal_is_due(stored, messenger, now)
    }

    /// Returns whether the idle deadline was last extended long enough ago to be worth a write.
    fn must_touch(&self, stored: &Stored, now: Timestamp) -> bool {
        if self.capabilities.slides_on_read {
            return false;
        }
        let Class { idle, .. } = stored.class;
        let header = &stored.record.header;
        let target = now.after(idle).min(header.absolute);
        target.since(header.deadline) >= self.touch_after(idle)
    }
}

/// Moves the idle deadline by a touch or, where the client holds the record, by issuing it again;
/// renews the id when that is due. At most one call, at most once per `touch_after`.
pub(super) async fn slide(
    shared: &Arc<Shared>,
    whole: &Operation,
    stored: Arc<Stored>,
    messenger: Messenger,
) -> Arc<Stored> {
    let now = shared.now();
    let header = &stored.record.header;
    let is_over = now >= header.absolute || (shared.capabilities.client_side && now >= header.deadline);
    let renew = shared.renewal_is_due(&stored, messenger, now);
    if is_over || !(renew || shared.must_touch(&stored, now)) {
        return stored;
    }
    let moved = if renew || shared.capabilities.client_side {
        reissue(shared, whole, &stored, messenger, now).await
    } else {
        touch(shared, whole, &stored, now).await
    };
    match moved {
        Ok(Some(moved)) => Arc::new(moved),
        Ok(None) => stored,
        Err(error) => {
            observe::not_touched(&stored.id, &error);
            stored
        }
    }
}

async fn touch(
    shared: &Shared,
    whole: &Operation,
    stored: &Stored,
    now: Timestamp,
) -> Result<Option<Stored>> {
    let base = &stored.record;
    let ttl: Duration = stored.class.idle.min(base.header.absolute.since(now));
    let operation = whole.part("touch", false);
    let touched = operation.call(|| shared.provider.touch(&stored.id, base, ttl)).await?.value;
    Ok(touched.then(|| {
        let mut record = base.clone();
        record.header.deadline = now.after(ttl);
        with_record(stored, record, now)
    }))
}

/// Stores the same body again, under a new id or in a new token.
async fn reissue(
    shared: &Shared,
    whole: &Operation,
    stored: &Stored,
    messenger: Messenger,
    now: Timestamp,
) -> Result<Option<Stored>> {
    let base = &stored.record;
    let operation = whole.part("touch", true);
    let plan = (&Plan::default(), messenger);
    let mut next = Next::over(shared, stored, base, base.body.clone(), plan, now);
    match store(shared, &operation, stored, base, &mut next).await? {
        Attempt::Stored { token, id } => {
            Ok(Some(Stored { token, id, class: next.class, record: next.record, seen: now }))
        }
        // Another request is changing the session; a later one will renew it.
        Attempt::Superseded(_) | Attempt::Ended(_) => Ok(None),
    }
}
