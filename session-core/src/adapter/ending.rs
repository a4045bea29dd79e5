//! The end of a request: from the handler's response until its head is sent.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::slot::Opened;
use super::{HeaderName, ResponseHeaders, Slot};
use crate::manager::{Finish, Reply};
use crate::transport::{Caching, QUERY_MODE_HEADERS, SET_COOKIE, TARGETED_CACHE_HEADERS};
use crate::{Error, ErrorKind, Result};

/// The end of one request, kept by the layer until the response's head is sent.
///
/// Dropped before that (the client hung up, a timeout, a panic), it closes the session: nothing is
/// stored, and a handle that was kept accepts no more changes, because they would be lost. A
/// release that has begun continues.
pub struct Ending<M>(Slot<M>);

/// Marks a response that reports a session's error, in its extensions. The layer that sends such a
/// response adds it. For the layers of other managers around that one, the handler's changes do not
/// [count](Ending::answered) either: the response says that nothing was stored.
#[derive(Debug, Clone, Copy)]
pub struct Refused;

/// The action of an adapter on a handler's response.
#[derive(Debug)]
#[must_use]
pub enum End {
    /// Send it after [`Ending::guard`]: the session was not used.
    Untouched,
    /// Send it after [`Ending::apply`], or an error response instead: nothing is to be stored.
    Decided(Result<Reply>),
    /// Await the release, and handle its result in the same way.
    Release(Finish),
}

impl<M> Drop for Ending<M> {
    fn drop(&mut self) {
        if let Some(opened) = self.0.opened() {
            opened.request.close();
        }
    }
}

impl<M> Ending<M> {
    pub(super) const fn of(slot: Slot<M>) -> Self {
        Self(slot)
    }

    /// Returns whether the session was used.
    pub fn is_touched(&self) -> bool {
        self.0.opened().is_some()
    }

    /// Returns the reason why the session could not be [extracted](Slot::extract).
    pub fn hidden_failure(&self) -> Option<&Arc<Error>> {
        self.0.failed()
    }

    /// Decides what to do with a handler's response. `counts` means that the handler completed, so
    /// that its changes are to be stored; [`stores_changes`](crate::manager::stores_changes)
    /// decides by the status, and a response that reports a session's error never counts.
    pub fn answered(&self, status: u16, counts: bool) -> End {
        let Some(Opened { request, context }) = self.0.opened() else { return End::Untouched };
        let is_poisoned = self.0.is_poisoned();
        if counts && !is_poisoned {
            return End::Release(request.finish_in(context.clone()));
        }
        if !is_poisoned && let Some(under_way) = request.abandon_under_way(context) {
            return End::Release(under_way);
        }
        let owed = request.abandon_in(context);
        if is_poisoned && status < 500 {
            // Code that held the session panicked, and something inside the layer caught the panic.
            let message = "code that held the session panicked; its changes are not stored";
            return End::Decided(Err(Error::new(ErrorKind::Released, message)));
        }
        End::Decided(owed)
    }

    /// Adds the session's part to the headers of a response.
    pub fn apply(&self, reply: Reply, headers: &mut impl ResponseHeaders) -> Result<()> {
        self.add(reply, headers)?;
        self.guard(headers);
        Ok(())
    }

    /// Completes the headers of an error response that replaces the handler's response. It copies
    /// the cross-origin headers, or a script could not read the error, and the tokens of an inner
    /// layer of another manager, whose sessions are stored. It adds an id that the handler has
    /// saved itself, which is live whatever failed afterwards.
    pub fn apply_instead<H: ResponseHeaders>(&self, instead_of: &H, headers: &mut H) {
        let kept = keep(instead_of, headers);
        let owed = self
            .0
            .opened()
            .map_or_else(|| Ok(Reply::default()), |Opened { request, context }| request.owed_in(context));
        let added = owed.and_then(|owed| if owed.sets_token { self.add(owed, headers) } else { Ok(()) });
        if let Err(error) = kept.and(added) {
            tracing::warn!(%error, "the session's token cannot be sent");
        }
        self.guard(headers);
    }

    /// Adds the headers that every response needs when tokens are read from URLs: the address must
    /// stay out of caches and `Referer` headers.
    pub fn guard<H: ResponseHeaders>(&self, headers: &mut H) {
        if self.0.setup().manager().transport().query_mode() {
            for (name, value) in QUERY_MODE_HEADERS {
                let name = match name {
                    "cache-control" => HeaderName::CacheControl,
                    "referrer-policy" => HeaderName::ReferrerPolicy,
                    other => HeaderName::Other(other),
                };
                // The constants are valid values.
                let _ = H::value(Cow::Borrowed(value), false).and_then(|value| headers.insert(name, value));
            }
        }
    }

    fn add<H: ResponseHeaders>(&self, reply: Reply, headers: &mut H) -> Result<()> {
        for (name, value) in reply.headers {
            if name == SET_COOKIE {
                let value = H::value(Cow::Owned(value), true)?;
                remove_cookie(headers, cookie_name(H::bytes(&value)))?;
                headers.append(HeaderName::SetCookie, value)?;
            } else {
                headers.insert(HeaderName::Other(&name), H::value(Cow::Owned(value), true)?)?;
            }
        }
        keep_from_caches(headers, reply.loaded, reply.sets_token)?;
        if reply.sets_token {
            // A response has few headers, so one pass is cheaper than a lookup for each of these.
            if headers.entries().any(|(name, _)| TARGETED_CACHE_HEADERS.contains(&name)) {
                for name in TARGETED_CACHE_HEADERS {
                    headers.remove(HeaderName::Other(name));
                }
            }
        }
        if reply.loaded { vary(headers, self.0.setup().vary.clone()) } else { Ok(()) }
    }
}

impl<M> fmt::Debug for Ending<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ending").field(&self.0).finish()
    }
}

/// Sets how caches may store the response.
fn keep_from_caches<H: ResponseHeaders>(headers: &mut H, loaded: bool, sets_token: bool) -> Result<()> {
    // Usually the application has not set the header.
    if let Caching::Replace(value) = Caching::of([], loaded, sets_token)
        && headers.insert_first(HeaderName::CacheControl, H::value(Cow::Borrowed(value), false)?)?
    {
        return Ok(());
    }
    let said = headers.all(HeaderName::CacheControl).map(H::bytes);
    match Caching::of(said, loaded, sets_token) {
        Caching::Replace(value) => {
            headers.insert(HeaderName::CacheControl, H::value(Cow::Borrowed(value), false)?)
        }
        Caching::KeepAndWarn => {
            tracing::warn!(
                "public_session_response: a response that used the session says that shared caches may keep it"
            );
            Ok(())
        }
        Caching::Keep => Ok(()),
    }
}

fn keep<H: ResponseHeaders>(from: &H, to: &mut H) -> Result<()> {
    for (name, value) in from.entries() {
        let added = match name {
            "vary" => to.append(HeaderName::Vary, value.clone()),
            SET_COOKIE if H::is_sensitive(value) => to.append(HeaderName::SetCookie, value.clone()),
            name if name.starts_with("access-control-") => {
                let name = HeaderName::Other(name);
                if to.all(name).next().is_some() { Ok(()) } else { to.append(name, value.clone()) }
            }
            _ => Ok(()),
        };
        added?;
    }
    Ok(())
}

/// Removes the lines that the application or an inner layer wrote for the cookie of this name (RFC
/// 6265bis section 4.1.1).
fn remove_cookie<H: ResponseHeaders>(headers: &mut H, name: &[u8]) -> Result<()> {
    let of_others = |value: &&H::Value| cookie_name(H::bytes(value)) != name;
    if headers.all(HeaderName::SetCookie).all(|value| of_others(&value)) {
        return Ok(());
    }
    let others: Vec<_> = headers.all(HeaderName::SetCookie).filter(of_others).cloned().collect();
    headers.remove(HeaderName::SetCookie);
    others.into_iter().try_for_each(|value| headers.append(HeaderName::SetCookie, value))
}

/// Returns the part before the value, without scanning the value: a sealed record is long.
fn cookie_name(cookie: &[u8]) -> &[u8] {
    cookie.split(|byte| matches!(byte, b'=' | b';')).next().unwrap_or_default().trim_ascii()
}

fn vary<H: ResponseHeaders>(headers: &mut H, names: Cow<'static, str>) -> Result<()> {
    // Usually the response has no such header.
    if names.is_empty() || headers.insert_first(HeaderName::Vary, H::value(names.clone(), false)?)? {
        return Ok(());
    }
    let said = headers.all(HeaderName::Vary).filter_map(|value| std::str::from_utf8(H::bytes(value)).ok());
    let said: Vec<&str> = said.flat_map(|value| value.split(',')).map(str::trim_ascii).collect();
    let is_said = |name: &str| said.iter().any(|word| *word == "*" || word.eq_ignore_ascii_case(name));
    if names.split(", ").all(is_said) {
        return Ok(());
    }
    headers.append(HeaderName::Vary, H::value(names, false)?)
}
