//! Several managers in one application.

use std::sync::Arc;

use session_core::transport::CookieSettings;
use session_core::{ErrorKind, Session};

use super::super::application::boxed;
use super::super::{Adapter, Application, Handler, Shelf};
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

/// What fails for one does not lose what was stored for the other.
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

/// Both in the same scope: handlers see the inner one, and middleware between them the outer one.
pub async fn two_managers_one_inside_of_the_other_keep_two_sessions<A: Adapter>() {
    let (ours, theirs) = (Shelf::default(), Shelf::default());
    let mut application =
        usual(&ours).before(|session: Session| async move { session.set("m", "middleware") });
    application.inner = Some(theirs.manager_with(CookieSettings::host_prefixed("other")));
    let (_server, client) = application.serve::<A>();
    let response = client.get("/count", "").await;
    assert_eq!(names(&response.set_cookies()), ["__Host-other", "__Host-session"]);
    assert_eq!((ours.sessions(), theirs.sessions()), (1, 1));
}
