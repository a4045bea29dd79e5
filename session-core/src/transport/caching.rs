//! Decides how caches may store a response that uses a session.

/// Response headers that some shared caches obey instead of `Cache-Control` (RFC 9213 and its
/// vendors' forms). An adapter removes them from a response that carries a token.
pub const TARGETED_CACHE_HEADERS: [&str; 4] =
    ["cdn-cache-control", "surrogate-control", "cloudflare-cdn-cache-control", "vercel-cdn-cache-control"];

/// The action of an adapter on the `Cache-Control` of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Caching {
    /// Keeps the application's value.
    Keep,
    /// Keeps the value, and warns: the response depends on the session, and shared caches may serve
    /// it to other clients.
    KeepAndWarn,
    /// Replaces all values with this one.
    Replace(&'static str),
}

impl Caching {
    /// Decides from the application's `Cache-Control` values. The other arguments are those of
    /// [`Reply`](crate::manager::Reply): whether the handler used the session, and whether the
    /// response carries a token.
    ///
    /// A shared cache must never store a response that carries a token, or the next visitor would
    /// get this one's session: it gets `no-store`, unless the application set that, or a plain
    /// `private` that nothing contradicts. A response that only used the session gets `private`,
    /// unless the application set anything else.
    ///
    /// ```
    /// use session_core::transport::Caching;
    ///
    /// let public: &[u8] = b"public, max-age=600";
    /// assert_eq!(Caching::of([public], true, true), Caching::Replace("no-store"));
    /// assert_eq!(Caching::of([public], true, false), Caching::KeepAndWarn);
    /// assert_eq!(Caching::of([], true, false), Caching::Replace("private"));
    /// ```
    #[must_use]
    pub fn of<'a>(said: impl IntoIterator<Item = &'a [u8]>, loaded: bool, sets_token: bool) -> Self {
        if !loaded && !sets_token {
            return Self::Keep;
        }
        let mut said = said.into_iter().peekable();
        if said.peek().is_none() {
            return Self::Replace(if sets_token { "no-store" } else { "private" });
        }
        let said = said.fold(Directives::default(), Directives::with);
        let is_shared = said.public || said.s_maxage;
        // With `must-understand`, a cache that knows the status may ignore `no-store` (RFC 9111
        // section 5.2.2.3).
        let is_never_stored = said.no_store && !said.must_understand;
        if sets_token {
            let is_private = said.private && !is_shared && !said.is_malformed;
            return if is_never_stored || is_private { Self::Keep } else { Self::Replace("no-store") };
        }
        match said {
            Directives { any: false, .. } => Self::Replace("private"),
            _ if is_shared && !is_never_stored => Self::KeepAndWarn,
            _ => Self::Keep,
        }
    }
}

/// The directives that matter here.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate directive")]
struct Directives {
    any: bool,
    public: bool,
    private: bool,
    no_store: bool,
    s_maxage: bool,
    must_understand: bool,
    is_malformed: bool,
}

impl Directives {
    /// Adds the directives of one header.
    fn with(mut self, header: &[u8]) -> Self {
        let mut rest = Some(header);
        while let Some(all) = rest {
            let (directive, after, is_closed) = first_directive(all);
            rest = after;
            self.is_malformed |= !is_closed;
            self.add(directive);
        }
        self
    }

    fn add(&mut self, directive: &[u8]) {
        let mut halves = directive.splitn(2, |byte| *byte == b'=');
        let name = halves.next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        let has_value = halves.next().is_some();
        self.any |= !name.is_empty();
        match &*name {
            b"public" => self.public = true,
            // With a list of fields, only these are private, and the rest may be stored.
            b"private" if !has_value => self.private = true,
            b"no-store" if !has_value => self.no_store = true,
            b"s-maxage" => self.s_maxage = true,
            b"must-understand" => self.must_understand = true,
            _ => {}
        }
    }
}

/// Splits at the first comma outside of quotes. Returns the directive before it, the rest after it,
/// and whether all quotes are closed.
fn first_directive(header: &[u8]) -> (&[u8], Option<&[u8]>, bool) {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in header.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => return (&header[..at], Some(&header[at + 1..]), true),
            _ => {}
        }
    }
    (header, None, !is_quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(said: &[&str], sets_token: bool) -> Caching {
        Caching::of(said.iter().map(|value| value.as_bytes()), true, sets_token)
    }

    #[test]
    fn no_shared_cache_stores_a_response_with_a_token_whatever_the_application_says() {
        for said in [
            &[][..],
            &[""],
            &["public, max-age=600"],
            &["PUBLIC"],
            &["max-age=600"],
            &["s-maxage=60"],
            &["private, s-maxage=60"],
            &["private", "public"],
            &["private=\"set-cookie\""],
            &["private=set-cookie"],
            &["private = \"set-cookie\", max-age=60"],
            &["no-cache"],
            &["no-cache=\"set-cookie\""],
            &["x=\"private\""],
            &["x=\"a, private\""],
            &["x=\"a, no-store\""],
            &["x=\"a, no-store, b\""],
            &["x=\\\"a, no-store"],
            &["x=\"\\\", no-store, \\\"\""],
            &["x=\"\\\", no-store\""],
            &["privately"],
            &["no-store=1"],
            &["must-understand, no-store, max-age=600"],
            &["private, x=\"unclosed"],
            &["\u{e4}"],
        ] {
            assert_eq!(of(said, true), Caching::Replace("no-store"), "{said:?}");
        }
        assert_eq!(Caching::of([&b"\xff\x00public"[..]], true, true), Caching::Replace("no-store"));
        for said in [
            &["no-store"][..],
            &["public, No-Store"],
            &["max-age=60", "no-store"],
            &["private"],
            &["Private , max-age=60"],
        ] {
            assert_eq!(of(said, true), Caching::Keep, "{said:?}");
        }
    }

    #[test]
    fn a_response_that_used_the_session_is_private_unless_the_application_says_otherwise() {
        assert_eq!(of(&[], false), Caching::Replace("private"));
        assert_eq!(of(&[" ", ","], false), Caching::Replace("private"));
        for said in ["no-store", "private", "max-age=60", "no-cache", "public, no-store", "x=\"public\""] {
            assert_eq!(of(&[said], false), Caching::Keep, "{said}");
        }
        for said in ["public", "public, max-age=600", "s-maxage=60", "private, public"] {
            assert_eq!(of(&[said], false), Caching::KeepAndWarn, "{said}");
        }
    }

    #[test]
    fn a_response_without_a_session_is_left_alone() {
        assert_eq!(Caching::of([&b"public"[..]], false, false), Caching::Keep);
        assert_eq!(Caching::of([], false, false), Caching::Keep);
    }

    proptest::proptest! {
        #[test]
        fn no_value_makes_a_shared_cache_keep_a_token(said in "[a-z\", =\\\\-]{0,40}(public|s-maxage=1|private|no-store|max-age=9|\"|,| |=|must-understand){0,6}") {
            if Caching::of([said.as_bytes()], true, true) == Caching::Keep {
                proptest::prop_assert!(said.contains("no-store") || said.contains("private"));
            }
        }
    }
}
