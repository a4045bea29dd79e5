//! The session's id, owner and class.

use std::time::Duration;

use super::{Session, csrf};
use crate::Result;
use crate::clock::Timestamp;
use crate::live::NewOwner;
use crate::record::{Device, Handle, Owner};

impl Session {
    /// Gives the session a new id at the release, makes the old one useless, and keeps the data.
    /// Call it at sign-in and whenever privileges change (OWASP "session fixation", ASVS 7.2.4).
    /// Earlier CSRF tokens become invalid.
    ///
    /// With a new owner or class it starts a new absolute lifetime: the time before a sign-in does
    /// not count against the user. It costs nothing now; the release then takes two round trips
    /// instead of one, or one on SQL engines.
    #[doc(alias = "cycle_id")]
    #[doc(alias = "renew")]
    pub fn regenerate(&self) -> Result<()> {
        let mut state = self.0.state();
        state.must_be_active("regenerate")?;
        csrf::renew(&mut state);
        state.plan.regenerate = true;
        Ok(())
    }

    /// Signs a user in: a new id, this owner, and a new absolute lifetime.
    ///
    /// ```
    /// # fn demo(session: &session_core::Session) -> session_core::Result<()> {
    /// session.sign_in("ada")?;
    /// session.set_class("remember")?; // only where the user asked for it
    /// # Ok(()) }
    /// ```
    #[doc(alias = "login")]
    pub fn sign_in(&self, user_id: &str) -> Result<()> {
        let mut state = self.0.state();
        state.must_be_active("sign_in")?;
        csrf::renew(&mut state);
        state.plan.regenerate = true;
        state.plan.owner = Some(Box::new(NewOwner::new(Some(Owner::of(user_id)))));
        state.plan.new_lifetime = true;
        state.plan.elevate = true;
        Ok(())
    }

    /// Records that the user has just authenticated again: see [`is_fresh`](Self::is_fresh). The
    /// session gets a new id at the release (OWASP: renew the id after any change of privilege).
    ///
    /// It has no effect on a session without an owner.
    pub fn elevate(&self) -> Result<()> {
        let mut state = self.0.state();
        state.must_be_active("elevate")?;
        state.plan.regenerate = true;
        state.plan.elevate = true;
        Ok(())
    }

    /// Returns when the user last authenticated: at the sign-in, or at [`elevate`](Self::elevate).
    /// `None` for a session without an owner. This is the stored value, without this request's own
    /// change.
    pub fn authenticated_at(&self) -> Option<Timestamp> {
        self.0.state().account(|account| account.authenticated)
    }

    /// Returns whether the user authenticated within this time, for pages that ask for the password
    /// again ("sudo mode"; ASVS 7.5.1). This request's own sign-in counts. No I/O: a session that
    /// another request has ended since the load still shows the loaded values, and its release
    /// fails. With a cache, call [`fresh`](Self::fresh) first.
    pub fn is_fresh(&self, within: Duration) -> bool {
        let now = self.0.shared.now();
        let state = self.0.state();
        let has_owner = state.owner().is_some();
        let proved = state.account(|account| now.since(account.authenticated) < within);
        has_owner && (state.plan.elevate || proved.unwrap_or(false))
    }

    /// Describes the device of a sign-in, for the list of the user's sessions. It is stored with
    /// the session, separately from its values; a session without an owner has none.
    ///
    /// [`TooLarge`](crate::ErrorKind::TooLarge) when its texts exceed 1 KB together.
    pub fn set_device(&self, device: Device) -> Result<()> {
        device.check()?;
        let mut state = self.0.state();
        state.must_be_active("set_device")?;
        state.plan.device = Some(Box::new(device));
        Ok(())
    }

    /// Returns the device, as set by [`set_device`](Self::set_device).
    pub fn device(&self) -> Option<Device> {
        let state = self.0.state();
        let planned = state.plan.device.clone();
        planned.or_else(|| state.account(|account| account.device.clone()).flatten()).map(|device| *device)
    }

    /// Returns the session's name in the list of its user's sessions; `None` for a session without
    /// an owner. It stays the same when the id is replaced, and is not a token. It includes this
    /// request's own sign-in.
    pub fn handle(&self) -> Option<Handle> {
        self.0.state().handle()
    }

    /// Starts a new absolute lifetime at the release, with the same id: for a user who has just
    /// authenticated again.
    pub fn renew_lifetime(&self) -> Result<()> {
        let mut state = self.0.state();
        state.must_be_active("renew_lifetime")?;
        state.plan.new_lifetime = true;
        Ok(())
    }

    /// Sets the owner by the application's user id, which is stored as a hash; `None` clears it.
    pub fn set_owner(&self, user_id: Option<&str>) -> Result<()> {
        let mut state = self.0.state();
        state.must_be_active("set_owner")?;
        state.plan.owner = Some(Box::new(NewOwner::new(user_id.map(Owner::of))));
        Ok(())
    }

    /// Returns the owner: a hash of the user id that was passed to [`sign_in`](Self::sign_in) or
    /// [`set_owner`](Self::set_owner). It includes this request's own change.
    pub fn owner(&self) -> Option<Owner> {
        self.0.state().owner()
    }

    /// Gives the session one of the manager's configured classes, by name (`"remember"`);
    /// `"default"` is the ordinary one. The id is regenerated, and a new absolute lifetime starts;
    /// a session that already has the class is left as it is.
    ///
    /// [`Config`](crate::ErrorKind::Config) when there is no such class.
    pub fn set_class(&self, name: &str) -> Result<()> {
        let class = self.0.shared.classes.by_name(name)?;
        let mut state = self.0.state();
        state.must_be_active("set_class")?;
        state.plan.class = Some(class);
        Ok(())
    }

    /// Returns the name of the session's class. It includes this request's own change.
    pub fn class(&self) -> String {
        let classes = &self.0.shared.classes;
        let state = self.0.state();
        let stored = state.stored.as_ref().map(|stored| stored.class);
        let begins = || classes.for_owner(state.plan.owner_after(None).is_some());
        classes.name(state.plan.class.or(stored).unwrap_or_else(begins)).to_owned()
    }
}
