//! `actix-session` under actix-web.

use std::rc::Rc;

use actix_session::storage::{CookieSessionStore, RedisSessionStore, SessionStore};
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{COOKIE, HeaderValue, SET_COOKIE};
use actix_web::test::TestRequest;
use actix_web::{App, test, web};

use super::{FOREIGN, pairs};
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
    let send = async move |request: TestRequest| answer(test::call_service(&app, request.to_request()).await);
    visitors(Role::Peer, ACTIX_SESSION, thread, send, job).await
}

/// The web framework without sessions.
pub fn floor(thread: &Thread, job: Job) -> Subject {
    thread.block_on(async {
        let app = Work::ALL
            .iter()
            .fold(App::new(), |app, work| app.route(work.path(), web::get().to(async || "ok")));
        let app = test::init_service(app).await;
        let send =
            async move |request: TestRequest| answer(test::call_service(&app, request.to_request()).await);
        visitors(Role::Floor, "actix-web", thread, send, job).await
    })
}

/// The status and cookies of a response.
pub fn answer<B>(response: ServiceResponse<B>) -> Answer {
    let status = response.status().as_u16();
    Answer { status, cookies: response.headers().get_all(SET_COOKIE).cloned().collect() }
}

/// The parts of a response that a browser uses.
pub struct Answer {
    status: u16,
    cookies: Vec<HeaderValue>,
}

impl Answer {
    /// The `Cookie` header of the next request; `None` if there are no cookies.
    fn cookies(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&pairs(self.cookies.iter().map(HeaderValue::as_bytes))?).ok()
    }
}

/// An application as a subject: requests go directly into its service, without a socket.
pub async fn visitors<F>(role: Role, name: &'static str, thread: &Thread, send: F, job: Job) -> Subject
where
    F: AsyncFn(TestRequest) -> Answer + 'static,
{
    let send = Rc::new(send);
    let mut visitors = Vec::new();
    for client in 0..job.clients {
        let (cookies, ready) = (None, Vec::new());
        // Staggered, so that they do not all write at the same time.
        let send = Rc::clone(&send);
        let follows = job.follows();
        let mut visitor = Visitor { send, work: job.work, cookies, follows, sent: client, ready };
        if job.work.has_session() {
            // Without sessions, the request is the same.
            visitor.cookies = match visitor.create().await {
                None => HeaderValue::from_str(&format!("session={FOREIGN}")).ok(),
                own => own,
            };
        }
        visitors.push(visitor);
    }
    Subject::of(role, name, thread, visitors)
}

struct Visitor<F> {
    send: Rc<F>,
    work: Work,
    cookies: Option<HeaderValue>,
    follows: bool,
    /// How many requests.
    sent: usize,
    /// Sessions to end.
    ready: Vec<HeaderValue>,
}

impl<F: AsyncFn(TestRequest) -> Answer + 'static> Visitor<F> {
    async fn create(&self) -> Option<HeaderValue> {
        (self.send)(TestRequest::get().uri(Work::Create.path())).await.cookies()
    }
}

impl<F: AsyncFn(TestRequest) -> Answer + 'static> Client for Visitor<F> {
    async fn prepare(&mut self, requests: usize) {
        if self.work == Work::Destroy {
            for _ in self.ready.len()..requests {
                let cookies = self.create().await;
                self.ready.extend(cookies);
            }
        }
    }

    async fn request(&mut self) {
        if let Some(cookies) = self.ready.pop() {
            self.cookies = Some(cookies);
        }
        let mut request = TestRequest::get().uri(self.work.of_request(self.sent).path());
        self.sent += 1;
        if let Some(cookies) = &self.cookies {
            request = request.insert_header((COOKIE, cookies.clone()));
        }
        let answer = (self.send)(request).await;
        assert_eq!(answer.status, 200, "{}", self.work.name());
        if self.follows
            && let Some(cookies) = answer.cookies()
        {
            self.cookies = Some(cookies);
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
