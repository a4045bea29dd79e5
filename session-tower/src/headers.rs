//! Adapts the headers of a response to `session_core::adapter`.

use std::borrow::Cow;

use http::header::{CACHE_CONTROL, Entry, REFERRER_POLICY, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderName as Name, HeaderValue};
use session_core::Result;
use session_core::adapter::{HeaderName, ResponseHeaders, unfit_header};

pub(crate) struct Headers<'a>(pub &'a mut HeaderMap);

fn name(name: HeaderName<'_>) -> Result<Name> {
    Ok(match name {
        HeaderName::SetCookie => SET_COOKIE,
        HeaderName::CacheControl => CACHE_CONTROL,
        HeaderName::Vary => VARY,
        HeaderName::ReferrerPolicy => REFERRER_POLICY,
        other => {
            let unfit = |_| unfit_header("name");
            Name::try_from(other.as_str()).map_err(unfit)?
        }
    })
}

/// Returns the header's value; the usual ones are validated at compile time.
fn constant(value: &'static str) -> HeaderValue {
    const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
    const PRIVATE: HeaderValue = HeaderValue::from_static("private");
    const COOKIE: HeaderValue = HeaderValue::from_static("Cookie");
    match value {
        "private" => PRIVATE,
        "no-store" => NO_STORE,
        "Cookie" => COOKIE,
        other => HeaderValue::from_static(other),
    }
}

impl ResponseHeaders for Headers<'_> {
    type Value = HeaderValue;

    fn value(text: Cow<'static, str>, is_sensitive: bool) -> Result<HeaderValue> {
        let unfit = |_| unfit_header("value");
        let mut value = match text {
            Cow::Borrowed(value) => constant(value),
            Cow::Owned(value) => HeaderValue::try_from(value).map_err(unfit)?,
        };
        value.set_sensitive(is_sensitive);
        Ok(value)
    }

    fn bytes(value: &HeaderValue) -> &[u8] {
        value.as_bytes()
    }

    fn is_sensitive(value: &HeaderValue) -> bool {
        value.is_sensitive()
    }

    fn all(&self, name: HeaderName<'_>) -> impl Iterator<Item = &HeaderValue> {
        let values = match name {
            HeaderName::SetCookie => self.0.get_all(SET_COOKIE),
            HeaderName::CacheControl => self.0.get_all(CACHE_CONTROL),
            HeaderName::Vary => self.0.get_all(VARY),
            other => self.0.get_all(other.as_str()),
        };
        values.iter()
    }

    fn entries(&self) -> impl Iterator<Item = (&str, &HeaderValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    fn insert(&mut self, of: HeaderName<'_>, value: HeaderValue) -> Result<()> {
        self.0.insert(name(of)?, value);
        Ok(())
    }

    fn insert_first(&mut self, of: HeaderName<'_>, value: HeaderValue) -> Result<bool> {
        let Entry::Vacant(entry) = self.0.entry(name(of)?) else { return Ok(false) };
        entry.insert(value);
        Ok(true)
    }

    fn append(&mut self, of: HeaderName<'_>, value: HeaderValue) -> Result<()> {
        self.0.append(name(of)?, value);
        Ok(())
    }

    fn remove(&mut self, name: HeaderName<'_>) {
        match name {
            HeaderName::SetCookie => self.0.remove(SET_COOKIE),
            other => self.0.remove(other.as_str()),
        };
    }
}
