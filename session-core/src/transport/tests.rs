use proptest::prelude::*;

use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef";

/// Accepts ids as a manager does: by alphabet and length.
fn accept(text: &str) -> bool {
    text.len() == ID.len() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn named(name: &str) -> Transport {
    Transport::cookie(CookieSettings::named(name))
}

fn found(transport: &Transport, incoming: Incoming<'_>) -> Vec<String> {
    transport.candidates(incoming, &accept).iter().map(|token| token.expose().to_owned()).collect()
}

fn in_cookies(transport: &Transport, cookies: &[&[u8]]) -> Vec<String> {
    found(transport, Incoming { cookies, ..Incoming::default() })
}

fn context(transport: &Transport) -> CookieContext {
    transport.context(Connection::default())
}

fn set_cookie(transport: &Transport, max_age: Option<Duration>) -> String {
    set_cookie_for(transport, max_age, Connection::default())
}

fn set_cookie_for(transport: &Transport, max_age: Option<Duration>, connection: Connection<'_>) -> String {
    let context = transport.context(connection);
    let mut headers = transport.set(&Token::new(ID).unwrap(), max_age, &context).unwrap();
    let (name, value) = headers.next().unwrap();
    assert_eq!(name, "set-cookie");
    assert!(headers.next().is_none(), "one Set-Cookie in a response");
    value
}

fn refusal(settings: CookieSettings) -> String {
    Transport::cookie(settings).check().unwrap_err().message().to_owned()
}

#[test]
fn the_default_cookie_is_host_bound_secure_http_only_and_lax() {
    let transport = Transport::default();
    transport.check().unwrap();
    assert!(transport.secure(Connection::default()), "Secure does not depend on the connection");
    assert_eq!(
        set_cookie(&transport, Some(Duration::from_secs(60))),
        format!("__Host-session={ID}; Path=/; HttpOnly; SameSite=Lax; Secure"),
    );
    let shared = Transport::cookie(CookieSettings::secure_prefixed("id").domain(".example.com"));
    shared.check().unwrap();
    assert_eq!(
        set_cookie(&shared, None),
        format!("__Secure-id={ID}; Path=/; Domain=example.com; HttpOnly; SameSite=Lax; Secure"),
    );
}

#[test]
fn a_transport_says_what_it_reads_and_writes() {
    let names = |transport: &Transport| {
        [transport.cookie_name(), transport.header_name(), transport.query_name()]
            .map(|name| name.map(ToOwned::to_owned).unwrap_or_default())
    };
    let all = named("id").with_header("X-Session").with_query("sid");
    assert_eq!(names(&all), ["id", "X-Session", "sid"]);
    assert_eq!((&*all.vary(), all.query_mode()), ("Cookie, X-Session", true));
    assert_eq!(all.cookie_settings(), Some(&CookieSettings::named("id")));
    let header = Transport::header("X-Session");
    assert_eq!(names(&header), ["", "X-Session", ""]);
    assert_eq!((&*header.vary(), header.query_mode()), ("X-Session", false));
    assert_eq!(names(&all.without_cookie()), ["", "X-Session", "sid"]);
    assert_eq!((&*named("id").vary(), header.cookie_settings()), ("Cookie", None));
}

#[test]
fn candidates_are_counted_and_given_out_in_the_order_of_the_request() {
    let transport = named("id");
    let ids = ["a", "b", "c"].map(|letter| letter.repeat(ID.len()));
    for number in 0..=3 {
        let cookies: Vec<_> = ids[..number].iter().map(|id| format!("id={id}")).collect();
        let cookies = [cookies.join("; ")];
        let cookies: Vec<_> = cookies.iter().map(String::as_bytes).collect();
        let candidates = transport.candidates(Incoming { cookies: &cookies, ..Incoming::default() }, &accept);
        assert_eq!((candidates.len(), candidates.is_empty()), (number, number == 0));
        let given: Vec<_> = candidates.into_iter().map(|token| token.expose().to_owned()).collect();
        assert_eq!(given, ids[..number]);
    }
}

#[test]
fn the_longest_path_and_the_longest_domain_are_allowed() {
    for (length, fits) in [(1_024, true), (1_025, false)] {
        let path = format!("/{}", "x".repeat(length - 1));
        assert_eq!(CookieSettings::named("id").path(path).check().is_ok(), fits, "a path of {length}");
    }
    for (length, fits) in [(1, true), (63, true), (64, false)] {
        let domain = format!("{}.example", "x".repeat(length));
        assert_eq!(CookieSettings::named("id").domain(&domain).check().is_ok(), fits, "a label of {length}");
    }
    for (last, fits) in [(61, true), (62, false)] {
        let label = "x".repeat(63);
        let domain = format!("{label}.{label}.{label}.{}", "x".repeat(last));
        assert_eq!(CookieSettings::named("id").domain(&domain).check().is_ok(), fits, "192 and {last}");
    }
}

#[test]
fn a_cookie_that_holds_the_record_is_sent_whatever_the_settings_say() {
    let transport = Transport::cookie(CookieSettings::named("id").send(false)).with_header("X-Session");
    let sent = transport.clone().always_sent();
    assert_eq!(sent.cookie_settings(), Some(&CookieSettings::named("id")));
    assert_eq!(sent.header_name(), Some("X-Session"));
    assert!(!transport.delivers_new_tokens() && sent.delivers_new_tokens());
    assert_eq!(Transport::header("X-Session").always_sent(), Transport::header("X-Session"));
}

#[test]
fn the_debug_output_of_a_request_has_the_number_of_its_parts() {
    let incoming = Incoming { cookies: &[b"a=1", b"b=2"], header: None, query: Some("sid=1") };
    assert_eq!(format!("{incoming:?}"), "Incoming { cookies: 2, header: false, query: true }");
    assert_eq!(format!("{:?}", Domains::of(["example.com"])), "Domains([\"example.com\"])");
    assert_eq!(format!("{:?}", Domains::by(|_| None)), "Domains(function)");
}

#[test]
fn a_context_says_what_was_chosen_for_its_request() {
    let auto = SecureMode::Auto(TrustedProxies::none());
    let cookie = CookieSettings::named("id").secure(auto).domains(Domains::of(["example.com"]));
    let transport = Transport::cookie(cookie);
    for tls in [false, true] {
        for (host, domain) in [("a.example.com", Some("example.com")), ("example.org", None)] {
            let host = Some(host.as_bytes());
            let context = transport.context(Connection { tls, host, ..Connection::default() });
            assert_eq!((context.secure(), context.domain()), (tls, domain));
        }
    }
    assert!(transport.depends_on_connection() && !named("id").depends_on_connection());
    let by_host = CookieSettings::named("id").domains(Domains::of(["example.com"]));
    let by_tls = CookieSettings::named("id").secure(SecureMode::Auto(TrustedProxies::none()));
    for settings in [by_host, by_tls] {
        assert!(Transport::cookie(settings).depends_on_connection());
    }
}

#[test]
fn a_prefix_that_browsers_would_not_honour_is_refused() {
    let host = CookieSettings::default();
    assert!(refusal(host.clone().secure(SecureMode::Never)).contains("Secure"));
    assert!(refusal(host.clone().secure(SecureMode::Auto(TrustedProxies::none()))).contains("Secure"));
    assert!(refusal(host.clone().domain("example.com")).contains("no domain"));
    assert!(refusal(host.clone().path("/app")).contains("path"));
    assert!(refusal(host.name("__hOsT-x").path("/app")).contains("path"), "whatever the case");
    assert!(refusal(CookieSettings::named("__SECURE-x").secure(SecureMode::Never)).contains("Secure"));
    assert!(refusal(CookieSettings::named("__Http-x").http_only(false)).contains("HttpOnly"));
    assert!(refusal(CookieSettings::named("__Host-Http-x").http_only(false)).contains("HttpOnly"));
}

#[test]
fn same_site_is_always_written_and_none_needs_secure() {
    for (same_site, text) in [(SameSite::Strict, "Strict"), (SameSite::Lax, "Lax"), (SameSite::None, "None")]
    {
        let transport = Transport::cookie(CookieSettings::default().same_site(same_site));
        transport.check().unwrap();
        assert!(set_cookie(&transport, None).contains(&format!("; SameSite={text}")));
    }
    let none = CookieSettings::named("id").same_site(SameSite::None);
    assert!(refusal(none.clone().secure(SecureMode::Never)).contains("SameSite=None needs Secure"));
    assert!(refusal(none.secure(SecureMode::Auto(TrustedProxies::none()))).contains("SameSite=None"));
}

#[test]
fn http_only_is_on_unless_switched_off() {
    let open = Transport::cookie(CookieSettings::default().http_only(false));
    assert!(!set_cookie(&open, None).contains("HttpOnly"));
    assert!(set_cookie(&Transport::default(), None).contains("; HttpOnly"));
}

#[test]
fn a_cookie_that_browsers_would_drop_is_an_error() {
    let transport = named("four");
    let token = |length: usize| Token::new(&"x".repeat(length)).unwrap();
    assert!(transport.set(&token(4_092), None, &context(&transport)).is_ok());
    let error = transport.set(&token(4_093), None, &context(&transport)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.message().contains("4097"), "{error}");
}

#[test]
fn max_age_is_at_most_400_days_and_never_zero() {
    let transport = Transport::cookie(CookieSettings::default().persistent(true));
    for (asked, written) in [
        (Duration::from_secs(3_600), "Max-Age=3600;"),
        (Duration::from_millis(1_500), "Max-Age=2;"),
        (Duration::ZERO, "Max-Age=1;"),
        (Duration::MAX, "Max-Age=34560000;"),
    ] {
        let line = set_cookie(&transport, Some(asked));
        assert!(line.contains(written), "{asked:?}: {line}");
    }
    assert!(!set_cookie(&Transport::default(), Some(Duration::MAX)).contains("Max-Age"));
}

#[test]
fn a_cookie_has_a_lifetime_of_its_own_which_never_exceeds_that_of_the_session() {
    let hour = Duration::from_secs(3_600);
    let settings = CookieSettings::default().max_age(hour);
    assert!(settings.persistent, "it outlives the browser then");
    let transport = Transport::cookie(settings);
    assert!(set_cookie(&transport, Some(12 * hour)).contains("; Max-Age=3600;"));
    assert!(set_cookie(&transport, Some(hour / 2)).contains("; Max-Age=1800;"));
    assert!(refusal(CookieSettings::default().max_age(Duration::ZERO)).contains("leave it out"));
    let endless = Transport::cookie(CookieSettings::default().max_age(Duration::MAX));
    endless.check().unwrap();
    assert!(set_cookie(&endless, Some(Duration::MAX)).contains("; Max-Age=34560000;"));
    assert!(!CookieSettings::default().max_age(None).persistent);
}

#[test]
fn partitioned_and_priority_are_written_and_removed_with_the_cookie() {
    let settings =
        CookieSettings::default().same_site(SameSite::None).partitioned(true).priority(Priority::High);
    let transport = Transport::cookie(settings.clone());
    transport.check().unwrap();
    let end = "HttpOnly; SameSite=None; Secure; Partitioned; Priority=High";
    assert!(set_cookie(&transport, None).ends_with(end));
    assert!(transport.remove(&context(&transport)).all(|(_, value)| value.ends_with(end)));
    let plain = settings.name("id").same_site(SameSite::Lax).secure(SecureMode::Never);
    assert!(refusal(plain).contains("Partitioned needs Secure"));
}

#[test]
fn the_domain_is_chosen_by_the_host_and_the_removal_names_the_same() {
    let settings = CookieSettings::secure_prefixed("id").domains(Domains::of(["example.com", "example.org"]));
    let transport = Transport::cookie(settings.clone());
    transport.check().unwrap();
    for (host, domain) in [
        (&b"a.example.com"[..], Some("example.com")),
        (b"example.org:443", Some("example.org")),
        (b"x.test", None),
    ] {
        let connection = Connection { host: Some(host), ..Connection::default() };
        let written = domain.map(|domain| format!("Path=/; Domain={domain};"));
        let set = set_cookie_for(&transport, None, connection);
        let (_, removed) = transport.remove(&transport.context(connection)).next().unwrap();
        for line in [set, removed] {
            match &written {
                Some(written) => assert!(line.contains(written), "{line}"),
                None => assert!(!line.contains("Domain"), "{line}"),
            }
        }
    }
    assert!(refusal(settings.clone().domain("example.com")).contains("one domain"));
    assert!(refusal(settings.clone().name("__Host-id")).contains("no domain"));
    assert!(refusal(settings.domains(Domains::of(["example.com", "a b"]))).contains("domain of a cookie"));
}

#[test]
fn the_removal_repeats_what_identifies_the_cookie() {
    let settings = CookieSettings::secure_prefixed("id").domain("example.com").path("/app");
    let transport = Transport::cookie(settings.same_site(SameSite::Strict));
    let removal: Vec<_> = transport.remove(&context(&transport)).collect();
    assert_eq!(
        removal,
        [(
            "set-cookie",
            "__Secure-id=; Path=/app; Domain=example.com; Max-Age=0; \
             Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Strict; Secure"
                .to_owned()
        )]
    );
}

#[test]
fn an_id_in_the_url_counts_only_when_configured_and_without_a_cookie() {
    let query = format!("a=1&id={ID}&id=short");
    let other = ID.replace('0', "f");
    let cookie = format!("id={other}");
    let both = Incoming { cookies: &[cookie.as_bytes()], query: Some(&query), ..Incoming::default() };
    let alone = Incoming { cookies: &[], ..both };
    assert!(found(&named("id"), alone).is_empty());
    let asked = named("id").with_query("id");
    assert!(asked.query_mode() && !named("id").query_mode());
    assert_eq!(asked.candidates(alone, &accept).source(), Some(Source::Query));
    assert_eq!(found(&asked, alone), [ID]);
    assert_eq!(asked.candidates(both, &accept).source(), Some(Source::Cookie));
    assert_eq!(found(&asked, both), [other]);
}

#[test]
fn the_header_transport_neither_reads_nor_writes_cookies() {
    let transport = Transport::header("X-Session");
    transport.check().unwrap();
    let cookie = format!("X-Session={ID}");
    let padded = format!(" {ID}\t");
    assert!(in_cookies(&transport, &[cookie.as_bytes()]).is_empty());
    let incoming = Incoming { header: Some(padded.as_bytes()), ..Incoming::default() };
    assert_eq!(found(&transport, incoming), [ID]);
    assert_eq!(transport.candidates(incoming, &accept).source(), Some(Source::Header));
    assert!(found(&named("id"), incoming).is_empty(), "a header that is not configured does not count");
    let bearer = format!("Bearer {ID}");
    let incoming = Incoming { header: Some(bearer.as_bytes()), ..Incoming::default() };
    assert!(found(&transport, incoming).is_empty(), "the token is the whole value");
    let token = Token::new(ID).unwrap();
    assert_eq!(
        transport.set(&token, None, &context(&transport)).unwrap().collect::<Vec<_>>(),
        [("X-Session", ID.to_owned())]
    );
    assert_eq!(transport.remove(&context(&transport)).collect::<Vec<_>>(), [("X-Session", String::new())]);
    assert!(!transport.secure(Connection { tls: true, ..Connection::default() }), "there is no cookie");
    assert_eq!(transport.vary(), "X-Session");
}

#[test]
fn with_both_transports_both_are_written_and_a_cookie_comes_first() {
    let transport = Transport::default().with_header("X-Session");
    let names: Vec<_> =
        transport.set(&Token::new(ID).unwrap(), None, &context(&transport)).unwrap().map(|it| it.0).collect();
    assert_eq!(names, ["set-cookie", "X-Session"]);
    assert_eq!(transport.vary(), "Cookie, X-Session");
    assert_eq!(transport.clone().without_cookie(), Transport::header("X-Session"));
    let header = ID.replace('0', "f");
    let cookie = format!("__Host-session={ID}");
    let incoming = Incoming { cookies: &[cookie.as_bytes()], header: Some(header.as_bytes()), query: None };
    assert_eq!(found(&transport, incoming), [ID]);
    assert_eq!(found(&transport, Incoming { cookies: &[b"__Host-session=x"], ..incoming }), [header]);
}

#[test]
fn a_cookie_that_something_else_sets_is_read_and_not_written() {
    let transport = Transport::cookie(CookieSettings::named("id").send(false));
    let token = Token::new(ID).unwrap();
    assert_eq!(transport.set(&token, None, &context(&transport)).unwrap().count(), 0);
    assert_eq!(transport.remove(&context(&transport)).count(), 0);
    assert_eq!(in_cookies(&transport, &[format!("id={ID}").as_bytes()]), [ID]);
    assert_eq!(transport.always_sent().set(&token, None, &CookieContext::default()).unwrap().count(), 1);
}

#[test]
fn cookie_headers_are_read_as_browsers_and_attackers_write_them() {
    let ids: Vec<String> = ('a'..='f').map(|letter| ID.replace('0', &letter.to_string())).collect();
    let [first, second, third, fourth, fifth, sixth] = &ids[..] else { panic!("six ids") };
    let long = format!("id={}", "x".repeat(10_000));
    let table: Vec<(Vec<Vec<u8>>, Vec<&String>)> = vec![
        (vec![format!("id={first}").into()], vec![first]),
        (vec![format!("x=1; id={first}; y=2").into()], vec![first]),
        (vec![format!("x=1;id={first};;").into()], vec![first]),
        (vec![format!(" id = \"{first}\" ").into()], vec![first]),
        (vec![format!("id=\"{first}").into()], vec![]),
        (vec![format!("x=1; id={first}").into(), format!("id={second}").into()], vec![first, second]),
        (vec![format!("id={first}; id={first}; id=junk; id={second}").into()], vec![first, second]),
        (
            vec![format!("id={first}; id={second}; id={third}; id={fourth}; id={fifth}; id={sixth}").into()],
            vec![first, second, third, fourth],
        ),
        (
            vec![
                format!("ID={first}; xid={first}; id2={first}; id x={first}; x=id={first}; =id={first}")
                    .into(),
            ],
            vec![],
        ),
        (vec![format!("id={first}=").into(), format!("id=={first}").into()], vec![]),
        (vec![b"id=../../../../etc/passwd/0000000".to_vec(), b"id=".to_vec(), b"id".to_vec()], vec![]),
        (vec![b"id=0123456789abcdef\x000123456789abcde".to_vec()], vec![]),
        (vec![b"id=0123456789abcdef\r\n123456789abcde".to_vec()], vec![]),
        (vec![b"id=0123456789abcdef 123456789abcdef".to_vec(), b"id=\xff\xfe".to_vec()], vec![]),
        (vec!["id=0123456789abcdef0123456789abcdé".into()], vec![]),
        (vec![[b"\xff=1; id=".as_slice(), first.as_bytes(), b"; \x00"].concat()], vec![first]),
        (vec![long.into_bytes()], vec![]),
    ];
    for (cookies, expected) in table {
        let cookies: Vec<&[u8]> = cookies.iter().map(Vec::as_slice).collect();
        let found = in_cookies(&named("id"), &cookies);
        assert!(found.iter().eq(expected), "{:?}", cookies.iter().map(|it| it.escape_ascii().to_string()));
    }
}

#[test]
fn names_paths_and_domains_cannot_break_out_of_the_header() {
    for name in ["", "a b", "a=b", "a;b", "a\r\nb", "ä", "a,b", "a\"b"] {
        assert!(refusal(CookieSettings::named(name)).contains("name of a cookie"), "{name:?}");
        let header = Transport::header(name).check().unwrap_err();
        assert!(header.message().contains("name of a header"), "{name:?}");
    }
    for path in ["", "app", "/a;b", "/a\r\nSet-Cookie: x=y", "/ä", "/a b", &"/x".repeat(600)] {
        assert!(refusal(CookieSettings::named("id").path(path)).contains("path of a cookie"), "{path:?}");
    }
    for domain in ["", ".", "a..b", "a b", "a;b", "exämple.com", "a/b", "a\nb", &"a.".repeat(200)] {
        let message = refusal(CookieSettings::named("id").domain(domain));
        assert!(message.contains("domain of a cookie"), "{domain:?}");
        assert!(!message.contains('\n'));
    }
    for name in ["Set-Cookie", "cookie", "HOST"] {
        assert!(Transport::header(name).check().unwrap_err().message().contains("standard meaning"));
    }
    assert!(named("id").with_query("a&b").check().is_err());
    assert!(Transport::default().without_cookie().check().is_err(), "nothing is left");
}

#[test]
fn the_scope_distinguishes_cookies_and_contains_the_name() {
    let of = |settings: CookieSettings| Transport::cookie(settings).scope();
    assert_eq!(of(CookieSettings::default()), "14:__Host-session0:");
    assert_eq!(of(CookieSettings::named("id").domain(".Example.com")), "2:id11:example.com");
    assert_ne!(of(CookieSettings::named("id").domain("ab")), of(CookieSettings::named("ida").domain("b")));
    assert_eq!(cookie_name_of_scope("14:__Host-session0:"), Some("__Host-session"));
    assert_eq!(Transport::header("X-Session").scope(), "9:X-Session0:");
    for bad in ["", "id", "9:id", ":id", "99999999999999999999:id", "1:ä"] {
        assert_eq!(cookie_name_of_scope(bad), None, "{bad:?}");
    }
}

#[test]
fn the_debug_output_of_the_headers_contains_no_token() {
    let headers = format!(
        "{:?}",
        Transport::default().set(&Token::new(ID).unwrap(), None, &CookieContext::default()).unwrap()
    );
    assert_eq!(headers, r#"["set-cookie"]"#);
}

#[test]
fn a_client_learns_of_a_new_token_from_a_cookie_or_a_header_and_not_from_the_url() {
    let unsent = Transport::cookie(CookieSettings::named("a").send(false));
    assert!(named("a").delivers_new_tokens());
    assert!(!unsent.delivers_new_tokens());
    assert!(unsent.always_sent().delivers_new_tokens());
    assert!(named("a").with_header("X-Session").delivers_new_tokens());
    assert!(!named("a").with_query("a").delivers_new_tokens());
}

proptest! {
    #[test]
    fn no_header_makes_the_parser_panic_or_yield_an_ill_formed_token(
        cookies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4),
        header in prop::collection::vec(any::<u8>(), 0..60),
        query in ".{0,100}",
    ) {
        let cookies: Vec<&[u8]> = cookies.iter().map(Vec::as_slice).collect();
        let incoming = Incoming { cookies: &cookies, header: Some(&header), query: Some(&query) };
        let transport = named("a").with_header("X-Session").with_query("a");
        for token in transport.candidates(incoming, &|_| true) {
            prop_assert!(Token::new(token.expose()).is_some());
        }
    }

    #[test]
    fn a_cookie_is_found_among_any_others(
        before in "[a-z=; \"\\\\,%]{0,60}",
        after in "[A-Za-z0-9=; \"]{0,60}",
        id in "[A-Za-z0-9]{32}",
    ) {
        let header = format!("{before}; __Host-session={id}; {after}");
        prop_assert_eq!(in_cookies(&Transport::default(), &[header.as_bytes()]), [id]);
    }

    #[test]
    fn no_setting_that_passes_the_check_can_write_a_second_attribute_or_line(
        name in "[a-z=;, \r\n_]{1,4}", path in "\\PC{0,4}", domain in "[a-z.;= \r\n]{1,4}",
    ) {
        let settings = CookieSettings::named(name).path(format!("/{path}")).domain(&domain);
        let transport = Transport::cookie(settings);
        if transport.check().is_ok() {
            let line = set_cookie(&transport, None);
            prop_assert_eq!(line.matches(';').count(), 5, "{}", line);
            prop_assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        }
    }
}
