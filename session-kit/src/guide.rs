//! Guides, one for each task. The same pages are in `docs/guide` in the repository.
#![allow(clippy::doc_markdown, reason = "the pages are read as Markdown, too")]

/// A guide: its page, compiled if the features of its examples are enabled.
macro_rules! guides {
    ($($name:ident, $page:literal, $features:meta;)+) => {$(
        #[cfg_attr($features, doc = include_str!(concat!("../guide/", $page, ".md")))]
        #[cfg_attr(not($features), doc = concat!("The page is `docs/guide/", $page, ".md` in the repository."))]
        pub mod $name {}
    )+};
}

guides! {
    sign_in, "sign-in", all(feature = "memory", feature = "tower");
    remember_me, "remember-me", feature = "memory";
    accounts, "accounts", all(feature = "memory", feature = "tower");
    concurrency, "concurrency", all();
    choosing_an_engine, "choosing-an-engine", all();
    axum, "axum", all(feature = "memory", feature = "tower");
    actix, "actix", all(feature = "memory", feature = "actix");
    poem, "poem", all(feature = "memory", feature = "poem");
    csrf, "csrf", feature = "tower";
    testing, "testing", all(feature = "test", feature = "tower", feature = "actix");
    renewal, "renewal", all();
    changing_types, "changing-types", all();
    operations, "operations", all();
    own_engine, "own-engine", all(feature = "test", feature = "tower");
    // `session-tower-sessions` compiles its examples.
    moving_from_tower_sessions, "moving-from-tower-sessions", not(doctest);
    moving_from_actix_session, "moving-from-actix-session", all(feature = "test", feature = "actix-session");
    moving_from_axum_session, "moving-from-axum-session", feature = "test";
    moving_from_beego, "moving-from-beego", feature = "test";
}
