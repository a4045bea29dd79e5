//! Adapts the heads of requests and responses to `session_core::adapter`.

use std::borrow::Cow;
use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::{
    CACHE_CONTROL, COOKIE, HeaderMap, HeaderName as Name, HeaderValue, REFERRER_POLICY, SET_COOKIE, VARY,
};
use actix_web::http::uri::Authority;
use session_core::Result;
use session_core::adapter::{HeaderName, RequestHead, ResponseHeaders, unfit_header};

pub(crate) struct Head<'a>(pub &'a HttpRequest);

impl RequestHead for Head<'_> {
    fn values(&self, name: HeaderName<'_>) -> impl Iterator<Item = &[u8]> {
        get_all(self.0.headers(), name).map(HeaderValue::as_bytes)
    }

    fn query(&self) -> Option<&str> {
        self.0.uri().query()
    }

    fn scheme(&self) -> Option<&str> {
        self.0.uri().scheme_str()
    }

    fn authority(&self) -> Option<&str> {
        self.0.uri().authority().map(Authority::as_str)
    }

    fn is_tls(&self) -> bool {
        self.0.app_config().secure()
    }

    fn peer(&self) -> Option<IpAddr> {
        self.0.peer_addr().map(|peer| peer.ip())
    }
}

pub(crate) struct Headers<'a>(pub &'a mut HeaderMap);

/// The framework's constants for the names of nearly every request, which need not be parsed.
fn known(name: HeaderName<'_>) -> Option<Name> {
    Some(match name {
        HeaderName::Cookie => COOKIE,
        HeaderName::SetCookie => SET_COOKIE,
        HeaderName::CacheControl => CACHE_CONTROL,
        HeaderName::Vary => VARY,
        HeaderName::ReferrerPolicy => REFERRER_POLICY,
        _ => return None,
    })
}

fn name(name: HeaderName<'_>) -> Result<Name> {
    let unfit = |_| unfit_header("name");
    known(name).map_or_else(|| Name::try_from(name.as_str()).map_err(unfit), Ok)
}

fn get_all<'a>(headers: &'a HeaderMap, name: HeaderName<'_>) -> impl Iterator<Item = &'a HeaderValue> {
    match known(name) {
        Some(known) => headers.get_all(known),
        None => headers.get_all(name.as_str()),
    }
}

impl ResponseHeaders for Headers<'_> {
    type Value = HeaderValue;

    fn value(text: Cow<'static, str>, is_sensitive: bool) -> Result<HeaderValue> {
        let unfit = |_| unfit_header("value");
        let mut value = match text {
            Cow::Borrowed(text) => HeaderValue::from_static(text),
            Cow::Owned(text) => HeaderValue::try_from(text).map_err(unfit)?,
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
        get_all(self.0, name)
    }

    fn entries(&self) -> impl Iterator<Item = (&str, &HeaderValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    fn insert(&mut self, of: HeaderName<'_>, value: HeaderValue) -> Result<()> {
        self.0.insert(name(of)?, value);
        Ok(())
    }

    fn append(&mut self, of: HeaderName<'_>, value: HeaderValue) -> Result<()> {
        self.0.append(name(of)?, value);
        Ok(())
    }

    fn remove(&mut self, name: HeaderName<'_>) {
        match known(name) {
            Some(known) => self.0.remove(known),
            None => self.0.remove(name.as_str()),
        };
    }
}
