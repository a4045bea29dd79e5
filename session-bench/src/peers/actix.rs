//! `actix-session` under actix-web, which has a runtime of its own.

use actix_session::storage::CookieSessionStore;
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::{App, test, web};

use crate::measure::Subject;
use crate::work::{COUNT, USER, User, Work};

/// The application with sessions in encrypted cookies, its default.
pub fn cookie(work: Work) -> Subject {
    let system = actix_web::rt::System::new();
    let key = Key::generate();
    let sessions = SessionMiddleware::new(CookieSessionStore::default(), key);
    let app = system.block_on(test::init_service(routes().wrap(sessions)));
    let cookies: Vec<_> = system.block_on(async {
        let request = test::TestRequest::get().uri(Work::Create.path()).to_request();
        let response = test::call_service(&app, request).await;
        response.response().cookies().map(actix_web::cookie::Cookie::into_owned).collect()
    });
    let cookies = if matches!(work, Work::Untouched | Work::Create) { Vec::new() } else { cookies };
    Subject::new("actix-session", move |requests| {
        system.block_on(async {
            for _ in 0..requests {
                let request = test::TestRequest::get().uri(work.path());
                let request = cookies.iter().fold(request, |request, cookie| request.cookie(cookie.clone()));
                let response = test::call_service(&app, request.to_request()).await;
                assert_eq!(response.status(), 200, "{}", work.name());
            }
        });
    })
}

fn routes() -> App<
    impl actix_web::dev::ServiceFactory<
        actix_web::dev::ServiceRequest,
        Config = (),
        Response = actix_web::dev::ServiceResponse,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    App::new()
        .route(Work::Untouched.path(), web::get().to(async || "ok"))
        .route(Work::Create.path(), web::get().to(create))
        .route(Work::Read.path(), web::get().to(read))
        .route(Work::ReadModifyWrite.path(), web::get().to(read_modify_write))
}

async fn create(session: Session) -> &'static str {
    session.insert(USER, User::sample()).expect("stored");
    session.insert(COUNT, 0_u64).expect("stored");
    "ok"
}

async fn read(session: Session) -> &'static str {
    let user: User = session.get(USER).expect("read").expect("a user");
    let count: u64 = session.get(COUNT).expect("read").expect("a counter");
    if user.id > count { "ok" } else { "" }
}

async fn read_modify_write(session: Session) -> &'static str {
    let user: User = session.get(USER).expect("read").expect("a user");
    let count: u64 = session.get(COUNT).expect("read").expect("a counter");
    session.insert(COUNT, count + 1).expect("stored");
    if user.id > 0 { "ok" } else { "" }
}
