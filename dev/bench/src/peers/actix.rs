//! `actix-session` under actix-web.

use std::rc::Rc;

use actix_session::storage::{CookieSessionStore, RedisSessionStore, SessionStore};
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::{Cookie, Key};
use actix_web::test::TestRequest;
use actix_web::{App, test, web};

use crate::goals::ACTIX_SESSION;
use crate::measure::{Client, Role, Subject};
use crate::thread::Thread;
use crate::work::{COUNT, Job, Shape, USER, User, Work};

/// The application with sessions in encrypted cookies, its default.
pub fn cookie(thread: &Thread, job: Job) -> Subject {
    thread.block_on(subject(thread, CookieSessionStore::default(), job))
}

/// The application with sessions in Redis, over one connection that reconnects.
pub fn redis(thread: &Thread, url: &str, job: Job) -> Subject {
    thread.block_on(async {
        let store = RedisSessionStore::new(url).await.expect("connected");
        subject(thread, store, job).await
    })
}

async fn subject<S: SessionStore + 'static>(thread: &Thread, store: S, job: Job) -> Subject {
    let app = App::new()
        .app_data(web::Data::new(job.shape))
        .route(Work::Untouched.path(), web::get().to(async || "ok"))
        .route(Work::Anonymous.path(), web::get().to(anonymous))
        .route(Work::Create.path(), web::get().to(create))
        .route(Work::Read.path(), web::get().to(read))
        .route(Work::ReadModifyWrite.path(), web::get().to(read_modify_write))
        .route(Work::Regenerate.path(), web::get().to(regenerate))
        .route(Work::Destroy.path(), web::get().to(destroy))
        .wrap(SessionMiddleware::new(store, Key::generate()));
    let app = test::init_service(app).await;
    // The service's own type has a private part: a function over it has not.
    let send = Rc::new(async move |request: TestRequest| {
        let response = test::call_service(&app, request.to_request()).await;
        let cookies: Vec<_> = response.response().cookies().map(Cookie::into_owned).collect();
        (response.status().as_u16(), cookies)
    });
    let visitor =
        || Visitor { send: Rc::clone(&send), work: job.work, cookies: Vec::new(), ready: Vec::new() };
    let mut visitors: Vec<_> = (0..job.clients).map(|_| visitor()).collect();
    if job.work.has_session() {
        for visitor in &mut visitors {
            visitor.cookies = visitor.create().await;
        }
    }
    Subject::of(Role::Peer, ACTIX_SESSION, thread, visitors)
}

type Cookies = Vec<Cookie<'static>>;

struct Visitor<F> {
    send: Rc<F>,
    work: Work,
    cookies: Cookies,
    /// Sessions to end.
    ready: Vec<Cookies>,
}

impl<F: AsyncFn(TestRequest) -> (u16, Cookies) + 'static> Visitor<F> {
    async fn create(&self) -> Cookies {
        (self.send)(TestRequest::get().uri(Work::Create.path())).await.1
    }
}

impl<F: AsyncFn(TestRequest) -> (u16, Cookies) + 'static> Client for Visitor<F> {
    async fn prepare(&mut self, requests: usize) {
        if self.work == Work::Destroy {
            for _ in self.ready.len()..requests {
                let cookies = self.create().await;
                self.ready.push(cookies);
            }
        }
    }

    async fn request(&mut self) {
        if let Some(cookies) = self.ready.pop() {
            self.cookies = cookies;
        }
        let request = TestRequest::get().uri(self.work.path());
        let request = self.cookies.iter().fold(request, |request, cookie| request.cookie(cookie.clone()));
        let (status, cookies) = (self.send)(request).await;
        assert_eq!(status, 200, "{}", self.work.name());
        if self.work == Work::Regenerate {
            self.cookies = cookies;
        }
    }
}

async fn anonymous(session: Session) -> &'static str {
    let user: Option<User> = session.get(USER).expect("read");
    if user.is_none() { "ok" } else { "" }
}

async fn create(shape: web::Data<Shape>, session: Session) -> &'static str {
    for key in shape.keys() {
        session.insert(key, shape.user()).expect("stored");
    }
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

async fn regenerate(session: Session) -> &'static str {
    let user: User = session.get(USER).expect("read").expect("a user");
    session.renew();
    if user.id > 0 { "ok" } else { "" }
}

async fn destroy(session: Session) -> &'static str {
    let user: User = session.get(USER).expect("read").expect("a user");
    session.purge();
    if user.id > 0 { "ok" } else { "" }
}
