//! The record that a commit wants to store.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::live::{Messenger, Plan, Stored};
use crate::record::{Body, Record, Renewed};
use crate::shared::{Class, Shared};

pub(super) struct Next {
    pub record: Record,
    pub class: Class,
    pub ttl: Duration,
    /// Whether the record differs from the one that it is built on.
    pub changed: bool,
    /// Whether the session gets a new id.
    pub renew: bool,
}

impl Next {
    /// Builds the record that follows `base` with this body and plan.
    pub(super) fn over(
        shared: &Shared,
        stored: &Stored,
        base: &Record,
        body: Body,
        (plan, messenger): (&Plan, Messenger),
        now: Timestamp,
    ) -> Self {
        let before = base.header.owner;
        let owner = plan.owner_after(before);
        // Only the request's own calls change the class, never a changed configuration.
        let class = match (plan.class, &plan.owner) {
            (Some(class), _) => class,
            (None, Some(_)) => shared.classes.after(stored.class, owner.is_some()),
            (None, None) => stored.class,
        };
        let due = shared.renewal_is_due(stored, messenger, now);
        let renew = plan.regenerate || class != stored.class || due;
        let signs_in = renew && (class != stored.class || (owner.is_some() && owner != before));
        let new_lifetime = plan.new_lifetime || signs_in;
        let account = plan.account_after(&base.header, class, now);
        let changed = renew
            || new_lifetime
            || owner != before
            || account.as_ref() != base.header.account()
            || body != base.body;
        let mut header = base.header.next();
        if new_lifetime {
            header.absolute = now.after(shared.classes.absolute(class));
        }
        let ttl = class.idle.min(header.absolute.since(now));
        header.deadline = now.after(ttl);
        header.owner = owner;
        header.set_account(account);
        if renew {
            // The origin of the old id does not apply to the new one.
            let with_grace = due && !plan.regenerate && class == stored.class;
            header.set_renewed(shared.renews(class).map(|_| Renewed { at: now, with_grace }));
        }
        Self { record: Record::new(header, body), class, ttl, changed, renew }
    }
}

/// The longest life that browsers give a cookie is 400 days (RFC 6265bis section 5.5): a cookie
/// that is to last longer is reissued, with a new id, long before that.
const COOKIE_RENEWAL: Duration = Duration::from_secs(200 * 24 * 3_600);
const COOKIE_LIMIT: Duration = Duration::from_secs(400 * 24 * 3_600);

impl Shared {
    /// Returns the interval after which the ids of a class are renewed automatically.
    fn renews(&self, class: Class) -> Option<Duration> {
        let outlives_cookie = self.classes.absolute(class) > COOKIE_LIMIT && self.is_persistent(class);
        let cookie = outlives_cookie.then_some(COOKIE_RENEWAL);
        self.renewal.every.into_iter().chain(cookie).min()
    }

    /// Returns whether any id is renewed automatically.
    pub(crate) fn renews_ids(&self) -> bool {
        self.classes.all().any(|class| self.renews(class).is_some())
    }

    /// Whether the id has been in use for so long that it is to be renewed, by a request whose
    /// response tells the client.
    pub(super) fn renewal_is_due(&self, stored: &Stored, messenger: Messenger, now: Timestamp) -> bool {
        if !self.renewal.possible || messenger != Messenger::Response {
            return false;
        }
        let Some(every) = self.renews(stored.class) else { return false };
        let header = &stored.record.header;
        let since = header.renewed().map_or(header.created, |renewed| renewed.at);
        !self.capabilities.client_side && now.since(since) >= every
    }

    /// Returns whether the cookie of a class outlives the browser.
    pub(crate) fn is_persistent(&self, class: Class) -> bool {
        let by_cookie = || self.transport.cookie_settings().is_some_and(|cookie| cookie.persistent);
        self.classes.persistent(class).unwrap_or_else(by_cookie)
    }
}
