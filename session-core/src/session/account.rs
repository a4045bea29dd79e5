//! The session's id, owner and class.

use super::Session;
use crate::Result;
use crate::live::NewOwner;
use crate::record::Owner;

impl Session {
    /// Gives the session a new id at the release and makes the old one useless, keeping the data. Call it at sign-in and
    /// whenever rights change (OWASP "session fixation", ASVS 7.2.4).
    ///
    /// With a new owner or class it begins a new absolute time: the time that a visitor has spent does not count
    /// against a user who signs in. Costs nothing now; the release then takes two round trips instead of one, one
    /// on SQL engines.
    #[doc(alias = "cycle_id")]
    #[doc(alias = "renew")]
    pub fn regenerate(&self) -> Result<()> {
        let mut state = self.0.state();
        state.must_be_active("regenerate")?;
        state.plan.regenerate = true;
        Ok(())
    }

    /// A sign-in in one call: a new id, this owner, and a new absolute time.
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
        state.plan.regenerate = true;
        state.plan.owner = Some(NewOwner(Some(Owner::of(user_id))));
        state.plan.new_lifetime = true;
        Ok(())
    }

    /// Begins a new absolute time at the release, with the same id: for a user who has just proved again who they
    /// are.
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
        state.plan.owner = Some(NewOwner(user_id.map(Owner::of)));
        Ok(())
    }

    /// The owner: a hash of the user id that was given to [`sign_in`](Self::sign_in) or
    /// [`set_owner`](Self::set_owner). Shows this request's own change.
    pub fn owner(&self) -> Option<Owner> {
        let state = self.0.state();
        state.plan.owner_after(state.stored.as_ref().and_then(|stored| stored.record.header.owner))
    }

    /// Gives the session one of the classes that the manager was configured with, by name (`"remember"`);
    /// `"default"` is the ordinary one. The id is regenerated, and a new absolute time begins; a session that has the
    /// class already is left as it is.
    ///
    /// [`Config`](crate::ErrorKind::Config) when there is no such class.
    pub fn set_class(&self, name: &str) -> Result<()> {
        let class = self.0.shared.classes.by_name(name)?;
        let mut state = self.0.state();
        state.must_be_active("set_class")?;
        state.plan.class = Some(class);
        Ok(())
    }

    /// The name of the session's class. Shows this request's own change.
    pub fn class(&self) -> String {
        let classes = &self.0.shared.classes;
        let state = self.0.state();
        let stored = state.stored.as_ref().map(|stored| stored.class);
        let begins = || classes.for_owner(state.plan.owner_after(None).is_some());
        classes.name(state.plan.class.or(stored).unwrap_or_else(begins)).to_owned()
    }
}
