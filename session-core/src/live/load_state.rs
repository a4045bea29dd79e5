//! The result of a load.

/// The result of looking up the tokens that a client presented; see
/// [`Session::load_state`](crate::Session::load_state).
///
/// ```
/// # use session_core::{LoadState, Session};
/// fn greeting(session: &Session) -> &'static str {
///     match session.load_state() {
///         LoadState::Live => "welcome back",
///         LoadState::Expired => "your session has expired, please sign in again",
///         _ => "hello, visitor",
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LoadState {
    /// The client presented no token that this manager could have issued, or nothing was loaded.
    #[default]
    None,
    /// One live session, which is in use.
    Live,
    /// The id was replaced a moment ago (a sign-in in another request): the client has, or is about
    /// to get, a newer one. A request that writes fails with [`Gone`](crate::ErrorKind::Gone), so
    /// that its cookie does not overwrite the newer one.
    Moved,
    /// The client presented a well-formed token without a session: it expired, was ended, or never
    /// existed. Engines keep no trace that would distinguish these cases.
    Expired,
    /// The client presented several live sessions. None is used; a new session ends them.
    Ambiguous,
    /// The stored record could not be read; it was reported and removed.
    Unreadable,
}
