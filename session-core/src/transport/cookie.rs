//! Reads the `Cookie` header and writes the `Set-Cookie` header (RFC 6265bis).

use std::time::Duration;

use super::{CookieContext, CookieSettings};

/// The longest life that browsers give a cookie (RFC 6265bis section 5.5).
const MAX_AGE_LIMIT: u64 = 400 * 24 * 60 * 60;

/// Returns the values of `name` in one `Cookie` header in order, without quotes. Values that are
/// not UTF-8 are skipped.
pub(super) fn values<'a>(header: &'a [u8], name: &'a str) -> impl Iterator<Item = &'a str> {
    pairs(header).filter_map(move |pair| {
        // The name first: most cookies belong to other applications.
        let value = pair.trim_ascii_start().strip_prefix(name.as_bytes())?;
        let value = value.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
        let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        std::str::from_utf8(unquoted.unwrap_or(value)).ok()
    })
}

/// Splits at semicolons. A sealed record is long, so `memchr` searches many bytes at a time.
fn pairs(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(header);
    std::iter::from_fn(move || {
        let all = rest?;
        let end = memchr::memchr(b';', all).unwrap_or(all.len());
        rest = all.get(end + 1..);
        Some(&all[..end])
    })
}

/// Returns the `Set-Cookie` value that sets the cookie to `value`. The cookie outlives the browser
/// when there is a `max_age`.
pub(super) fn set(
    cookie: &CookieSettings,
    value: &str,
    max_age: Option<Duration>,
    context: &CookieContext,
) -> String {
    let mut line = start(cookie, value, context);
    if let Some(max_age) = max_age {
        let max_age = cookie.max_age.map_or(max_age, |most| max_age.min(most));
        // Rounded up, so that the cookie does not expire before the session; zero would mean
        // "remove".
        let seconds = max_age.as_secs().saturating_add(u64::from(max_age.subsec_nanos() > 0));
        line.push_str("; Max-Age=");
        line.push_str(&seconds.clamp(1, MAX_AGE_LIMIT).to_string());
    }
    finish(cookie, line, context)
}

/// Returns the `Set-Cookie` value that removes the cookie. The attributes that identify it to
/// browsers are those of [`set`].
pub(super) fn remove(cookie: &CookieSettings, context: &CookieContext) -> String {
    let mut line = start(cookie, "", context);
    line.push_str("; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
    finish(cookie, line, context)
}

fn start(cookie: &CookieSettings, value: &str, context: &CookieContext) -> String {
    let domain = cookie.domain.as_deref().or(context.domain.as_deref()).unwrap_or_default();
    let mut line =
        String::with_capacity(cookie.name.len() + value.len() + cookie.path.len() + domain.len() + 112);
    line.push_str(&cookie.name);
    line.push('=');
    line.push_str(value);
    line.push_str("; Path=");
    line.push_str(&cookie.path);
    if !domain.is_empty() {
        line.push_str("; Domain=");
        line.push_str(domain);
    }
    line
}

fn finish(cookie: &CookieSettings, mut line: String, context: &CookieContext) -> String {
    if cookie.http_only {
        line.push_str("; HttpOnly");
    }
    line.push_str("; SameSite=");
    line.push_str(cookie.same_site.as_str());
    if context.secure {
        line.push_str("; Secure");
    }
    if cookie.partitioned {
        line.push_str("; Partitioned");
    }
    if let Some(priority) = cookie.priority {
        line.push_str("; Priority=");
        line.push_str(priority.as_str());
    }
    line
}
