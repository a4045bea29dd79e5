//! Lists and ends the sessions of a user, by the application's user id.

use std::sync::Arc;
use std::time::Duration;

use super::Manager;
use crate::clock::Timestamp;
use crate::provider::{Cursor, Listed};
use crate::record::{Device, Handle, Owner};
use crate::session::Session;
use crate::shared::Shared;
use crate::{Error, ErrorKind, Result, commit};

/// One session of a user, as [`Manager::sessions_of`] lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The session's name, for a "sign out this device" button with [`Manager::end`].
    pub handle: Handle,
    /// When the session was first stored.
    pub created: Timestamp,
    /// When the session was last used, with the precision of
    /// [`touch_after`](crate::ManagerBuilder::touch_after); `None` for a session that got its owner
    /// before records had this field.
    pub last_seen: Option<Timestamp>,
    /// When the user last authenticated; `None` as above.
    pub authenticated_at: Option<Timestamp>,
    /// When the session ends unless it is used.
    pub idle_deadline: Timestamp,
    /// When the session ends regardless of activity.
    pub absolute_deadline: Timestamp,
    /// The device, as set by the application.
    pub device: Option<Device>,
}

impl SessionInfo {
    /// Describes a session that an engine has listed, for tools that use an engine without a
    /// manager.
    pub fn of(listed: &Listed) -> Self {
        let header = &listed.record.header;
        let account = header.account();
        // Near the end of its life the idle deadline equals the absolute one, and the result is
        // less precise.
        let last_seen = |idle: Duration| {
            let idle = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
            Timestamp::from_millis(header.deadline.as_millis().saturating_sub(idle)).max(header.created)
        };
        Self {
            handle: commit::handle_of(&listed.id, &listed.record),
            created: header.created,
            last_seen: account.map(|account| last_seen(account.idle)),
            authenticated_at: account.map(|account| account.authenticated),
            idle_deadline: header.deadline.min(header.absolute),
            absolute_deadline: header.absolute,
            device: account.and_then(|account| account.device.as_deref().cloned()),
        }
    }

    /// Returns whether this is the session of the request.
    pub fn is_current(&self, session: &Session) -> bool {
        session.handle() == Some(self.handle)
    }
}

/// The sessions of a user, page by page; see [`Manager::sessions_of`].
pub struct Sessions {
    shared: Arc<Shared>,
    owner: Owner,
    after: Option<Cursor>,
    over: bool,
}

/// The largest number of sessions on a page.
const PAGE: usize = 100;

impl Sessions {
    /// Returns the next sessions, in no particular order; `None` at the end. One call of the engine
    /// for each page of a hundred.
    ///
    /// After an error it can be called again and continues where it was.
    pub async fn next_page(&mut self) -> Result<Option<Vec<SessionInfo>>> {
        while !self.over {
            let operation = self.shared.operation("sessions_of", false);
            let page = commit::list(&self.shared, &operation, &self.owner, self.after.as_ref(), PAGE).await?;
            self.over = page.next.is_none();
            self.after = page.next;
            if !page.sessions.is_empty() {
                return Ok(Some(page.sessions.iter().map(SessionInfo::of).collect()));
            }
        }
        Ok(None)
    }

    /// Returns up to `limit` sessions, the most recently used first. One call of the engine for
    /// each hundred of the user's sessions: all are read, and at most `limit` and a page are kept
    /// in memory.
    pub async fn latest(mut self, limit: usize) -> Result<Vec<SessionInfo>> {
        let mut latest: Vec<SessionInfo> = Vec::new();
        while let Some(page) = self.next_page().await? {
            latest.extend(page);
            latest.sort_by_key(|info| std::cmp::Reverse((info.last_seen, info.created, info.handle)));
            latest.truncate(limit);
        }
        Ok(latest)
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions")
            .field("owner", &self.owner)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

/// The sessions of a user. The engine must keep an index of owners
/// ([`Capabilities::owner_index`](crate::Capabilities::owner_index)); otherwise every method fails
/// with [`Unsupported`](ErrorKind::Unsupported).
impl Manager {
    /// Lists where a user is signed in: every live session of the user id that was passed to
    /// [`Session::sign_in`]. An unknown user has none.
    ///
    /// ```
    /// # async fn demo(manager: session_core::Manager, session: session_core::Session) -> session_core::Result<()> {
    /// for info in manager.sessions_of("ada").latest(20).await? {
    ///     let name = info.device.as_ref().and_then(|device| device.get_label()).unwrap_or("a device");
    ///     println!("{name}{}", if info.is_current(&session) { " (this one)" } else { "" });
    /// }
    /// # Ok(()) }
    /// ```
    pub fn sessions_of(&self, user_id: &str) -> Sessions {
        Sessions { shared: Arc::clone(&self.0), owner: Owner::of(user_id), after: None, over: false }
    }

    /// Ends every session of a user, and returns their number: an administrator's "sign out
    /// everywhere". A sign-in that is stored meanwhile is either ended or listed afterwards.
    /// Returns zero if the engine ends the sessions without counting them
    /// ([`OwnerIndex::EndsAll`](crate::capabilities::OwnerIndex::EndsAll)).
    ///
    /// The timeout is [`maintenance_timeout`](crate::ManagerBuilder::maintenance_timeout). An error
    /// says how many sessions were already ended; call it again for the others. A handler of the
    /// user's own request calls [`sign_out_everywhere`](Self::sign_out_everywhere), which removes
    /// the cookie as well.
    pub async fn end_all(&self, user_id: &str) -> Result<u64> {
        self.end_owner(Owner::of(user_id)).await
    }

    /// Ends the session of this request and every other session of its user, and returns the number
    /// of others.
    pub async fn sign_out_everywhere(&self, session: &Session) -> Result<u64> {
        const OPERATION: &str = "sign_out_everywhere";
        commit::require_index(&self.0, OPERATION, false)?;
        let owner = owner_of(session, OPERATION)?;
        session.destroy().await?;
        self.end_owner(owner).await
    }

    async fn end_owner(&self, owner: Owner) -> Result<u64> {
        let shared = Arc::clone(&self.0);
        commit::detached(async move { commit::end_owner(&shared, &owner).await }).await
    }

    /// Ends every other session of this session's user, and returns their number.
    ///
    /// It does not store changes of this session. Errors are those of [`end_all`](Self::end_all),
    /// and [`Gone`](ErrorKind::Gone) when the session has no owner.
    pub async fn end_others(&self, session: &Session) -> Result<u64> {
        let owner = owner_of(session, "end_others")?;
        let keep = session.handle().ok_or_else(|| no_owner("end_others"))?;
        let shared = Arc::clone(&self.0);
        commit::detached(async move { commit::end_others(&shared, &owner, keep).await }).await
    }

    /// Call this after a change of the password, or of another credential. It gives this session a
    /// new id, records that the user has authenticated, stores both with the request's other
    /// changes, and ends every other session of the user (ASVS 7.4.3). Returns the number of ended
    /// sessions.
    ///
    /// If the engine cannot list sessions, nothing is stored.
    pub async fn credentials_changed(&self, session: &Session) -> Result<u64> {
        const OPERATION: &str = "credentials_changed";
        commit::require_index(&self.0, OPERATION, true)?;
        owner_of(session, OPERATION)?;
        session.elevate()?;
        session.save().await?;
        self.end_others(session).await
    }

    /// Ends one session of a user, and returns whether there was one: another user's handle finds
    /// nothing.
    ///
    /// Costs one call for each hundred of the user's sessions until the session is found, and one
    /// to end it.
    pub async fn end(&self, user_id: &str, handle: &Handle) -> Result<bool> {
        let (shared, owner, handle) = (Arc::clone(&self.0), Owner::of(user_id), *handle);
        commit::detached(async move { commit::end_by_handle(&shared, &owner, handle).await }).await
    }
}

fn owner_of(session: &Session, operation: &'static str) -> Result<Owner> {
    session.owner().ok_or_else(|| no_owner(operation))
}

fn no_owner(operation: &'static str) -> Error {
    let message = "the session has no owner: call `sign_in` first";
    Error::new(ErrorKind::Gone, message).during(operation)
}
