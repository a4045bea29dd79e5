//! Several managers in one application.

use std::sync::Arc;

use session_core::transport::{CookieSettings, Transport};
use session_core::{ErrorKind, Session};

use super::super::application::boxed;
use super::super::{Adapter, Answer, Application, Handler, Shelf};
use super::{usual, with_routes};

fn names(cookies: &[&str]) -> Vec<String> {
    cookies.iter().map(|cookie| cookie.split('=').next().unwrap_or_default().to_owned()).collect()
}

fn of_two(users: &Shelf, admins: &Shelf) -> Application {
    let named = |shelf: &Shelf, name: &str| shelf.manager_with(CookieSettings::host_prefixed(name));
    let mut application = with_routes(Application::new(named(users, "usersession")));
    application.admins = Some(named(admins, "adminsession"));
    application
}

pub async fn a_handler_reaches_the_sessions_of_both_managers<A: Adapter>() {
    let both = async |user: Session, admin: Session| {
        user.set("user", "ada")?;
        admin.set("admin", "grace")?;
        Ok("stored")
    };
    let known = Handler::OptionalBoth(Arc::new(|user, admin| {
        boxed(async move {
            let user = user.map(|session| session.get::<String>("user")).transpose()?.flatten();
            let admin = admin.map(|session| session.get::<String>("admin")).transpose()?.flatten();
            Ok(format!("{user:?} {admin:?}"))
        })
    }));
    let (users, admins) = (Shelf::default(), Shelf::default());
    let application = of_two(&users, &admins).both("/both", both).route("/known", known);
    let (_server, client) = application.serve::<A>();
    let response = client.get("/both", "").await;
    assert_eq!((users.sessions(), admins.sessions()), (1, 1));
    let cookies: Vec<_> = response
        .set_cookies()
        .iter()
        .filter_map(|cookie| cookie.split(';').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(cookies.len(), 2);
    assert_eq!(client.get("/known", &cookies.join("; ")).await.text, r#"Some("ada") Some("grace")"#);
    assert_eq!(client.get("/known", "").await.text, "None None", "a visitor has no session");
}

/// A failure of one scope does not lose the changes of the other.
pub async fn a_failure_of_one_scope_does_not_lose_the_new_id_of_the_other<A: Adapter>() {
    let both = async |user: Session, admin: Session| {
        user.regenerate()?;
        admin.set("name", "grace")?;
        Ok("")
    };
    let (users, admins) = (Shelf::default(), Shelf::default());
    let (_server, client) = of_two(&users, &admins).both("/both", both).serve::<A>();
    let before = client.get("/count", "").await.cookie();
    admins.fail_writes(ErrorKind::Unavailable);
    let response = client.get("/both", &before).await;
    assert_eq!(response.status, 503);
    let after = response.cookie();
    assert_eq!(client.get("/read", &after).await.text, "Some(1)", "the user is still known");
}

/// Both in the same scope: handlers use the inner one, and middleware between them the outer one.
pub async fn two_nested_managers_keep_two_sessions<A: Adapter>() {
    let (ours, theirs) = (Shelf::default(), Shelf::default());
    let mut application =
        usual(&ours).before(|session: Session| async move { session.set("m", "middleware") });
    application.inner = Some(theirs.manager_with(CookieSettings::host_prefixed("other")));
    let (_server, client) = application.serve::<A>();
    let response = client.get("/count", "").await;
    assert_eq!(names(&response.set_cookies()), ["__Host-other", "__Host-session"]);
    assert_eq!((ours.sessions(), theirs.sessions()), (1, 1));
}

/// The users' scope is inside the administrators' one, which sees the finished response. The client
/// gets the error that nothing was stored.
pub async fn after_an_error_of_one_scope_no_other_scope_stores<A: Adapter>() {
    let both = async |user: Session, admin: Session| {
        admin.set("admin", "grace")?;
        user.set("user", &"x".repeat(100_000))?;
        Ok("stored")
    };
    let (users, admins) = (Shelf::default(), Shelf::default());
    let on = users.clone();
    let ended = move |user: Session, admin: Session| {
        let users = on.clone();
        async move {
            admin.set("admin", "grace")?;
            user.set("user", "ada")?;
            users.wipe();
            Ok("stored")
        }
    };
    let small = users.builder().max_bytes(10_000);
    let small = small.transport(Transport::cookie(CookieSettings::host_prefixed("usersession")));
    let mut application = of_two(&users, &admins).both("/too_large", both).both("/ended", ended);
    application.sessions = Some(small.build().expect("a manager"));
    for has_hook in [false, true] {
        let application = application.clone();
        let application =
            if has_hook { application.on_error(|_, _| Answer::new(409, "refused")) } else { application };
        let (_server, client) = application.serve::<A>();
        let cookie = client.get("/count", "").await.cookie();
        for (path, status) in [("/too_large", 413), ("/ended", 409)] {
            let response = client.get(path, &cookie).await;
            let expected = if has_hook { (409, "refused") } else { (status, "") };
            assert_eq!((response.status, &*response.text), expected, "{path}: the inner scope responds");
            assert_eq!(response.set_cookies(), Vec::<&str>::new(), "{path}");
            assert_eq!(admins.sessions(), 0, "{path}: the outer scope has stored nothing");
        }
    }
}

/// Their cookies would overwrite each other. A handler that requests one of the sessions fails.
pub async fn two_scopes_with_one_cookie_name_are_refused<A: Adapter>() {
    let (users, admins) = (Shelf::default(), Shelf::default());
    let mut application = usual(&users)
        .both("/both", async |_: Session, _: Session| Ok("both"))
        .on_error(|error, _| Answer::new(500, format!("{} {error}", error.kind())));
    application.admins = Some(admins.manager());
    let (_server, client) = application.serve::<A>();
    assert_eq!(client.get("/untouched", "").await.text, "ok");
    for path in ["/count", "/logout", "/both"] {
        let response = client.get(path, "").await;
        assert_eq!(response.status, 500, "{path}");
        assert!(response.text.contains("`__Host-session`"), "{path}: {}", response.text);
        assert_eq!(response.set_cookies(), Vec::<&str>::new(), "{path}");
    }
    let mut same_scope = usual(&users);
    same_scope.inner = Some(admins.manager());
    let (_server, client) = same_scope.serve::<A>();
    client.get("/count", "").await.assert_refused(500);
    assert_eq!((users.sessions(), admins.sessions()), (0, 0));
}
