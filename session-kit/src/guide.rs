//! Guides, one for each task. The same pages are in `docs/guide` in the repository.
#![allow(clippy::doc_markdown, reason = "the pages are read as Markdown, too")]

/// A guide: its page, whose examples are compiled if the features that they need are enabled.
macro_rules! guides {
    ($($name:ident, $page:literal, $features:meta;)+) => {$(
        #[cfg_attr(any($features, not(doctest)), doc = include_str!(concat!("../guide/", $page, ".md")))]
        #[cfg_attr(not(any($features, not(doctest))), doc = "Not compiled: a feature is off.")]
        pub mod $name {}
    )+};
}

guides! {
    sign_in, "sign-in", all(feature = "memory", feature = "tower");
    remember_me, "remember-me", feature = "memory";
    accounts, "accounts", all(feature = "memory", feature = "tower");
    concurrency, "concurrency", all();
    choosing_an_engine, "choosing-an-engine", all(feature = "sqlite", feature = "redis", feature = "postgres");
    axum, "axum", all(feature = "memory", feature = "tower");
    actix, "actix", all(feature = "memory", feature = "actix");
    poem, "poem", all(feature = "memory", feature = "poem");
    flash, "flash", all(feature = "memory", feature = "tower");
    csrf, "csrf", all(feature = "memory", feature = "tower");
    testing, "testing", all(feature = "test", feature = "tower", feature = "actix");
    renewal, "renewal", all();
    changing_types, "changing-types", all();
    operations, "operations", all();
    own_engine, "own-engine", all(feature = "test", feature = "tower");
    // `session-tower-sessions` compiles its examples.
    moving_from_tower_sessions, "moving-from-tower-sessions", any();
    moving_from_actix_session, "moving-from-actix-session", feature = "actix-session";
    moving_from_axum_session, "moving-from-axum-session", feature = "memory";
    moving_from_beego, "moving-from-beego", feature = "memory";
}
