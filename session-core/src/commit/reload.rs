//! Reading a session anew under the handle that an application has.

use std::sync::Arc;

use super::find::{Trust, find};
use crate::live::{Live, LoadState, Phase};
use crate::{Error, ErrorKind, Result};

/// Drops what was not stored and shows the session as it is now; see [`Session::reload`](crate::Session::reload).
pub(crate) async fn reload(live: &Arc<Live>) -> Result<()> {
    let whole = live.shared.operation("reload", false);
    let _turn = live.turn(&whole).await?;
    let token = live.state().stored.as_ref().map(|stored| stored.token.clone());
    let found = match &token {
        Some(token) => Some(find(&live.shared, &whole, std::iter::once(token), Trust::Handle).await?),
        None => None,
    };
    let mut state = live.state();
    let session = found.as_ref().and_then(|found| found.session.clone());
    if let (Some(found), None) = (&found, &session) {
        let (kind, message) = match found.state {
            LoadState::Moved => (ErrorKind::Gone, "its id was replaced"),
            _ => (ErrorKind::Gone, "it has ended or expired"),
        };
        return Err(Error::new(kind, message).during("reload"));
    }
    state.show(session);
    state.closed = false;
    state.phase = Phase::Active;
    (state.unheard, state.lost) = (false, false);
    Ok(())
}
