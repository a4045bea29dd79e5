//! Who is measured. Every peer in its own idioms, with its best settings.

pub mod actix;
pub mod axum_session;
pub mod floor;
pub mod kit;
pub mod raw;
pub mod tower_sessions;

use std::rc::Rc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use crate::measure::Subject;
use crate::work::Work;

/// The runtime on which everything in-process runs: one thread.
pub fn runtime() -> Rc<Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Rc::new(runtime.expect("a runtime"))
}

/// An axum application as a subject: requests go straight into the router, without a socket.
pub fn axum(runtime: &Rc<Runtime>, name: &str, app: Router, work: Work) -> Subject {
    let cookie = match work {
        Work::Untouched | Work::Create => None,
        Work::Read | Work::ReadModifyWrite => Some(runtime.block_on(cookie_of(app.clone()))),
    };
    let runtime = Rc::clone(runtime);
    Subject::new(name, move |requests| {
        runtime.block_on(async {
            for _ in 0..requests {
                let mut request = Request::get(work.path());
                if let Some(cookie) = &cookie {
                    request = request.header(header::COOKIE, cookie);
                }
                let request = request.body(Body::empty()).expect("a request");
                let response = app.clone().oneshot(request).await.expect("an answer");
                assert_eq!(response.status(), 200, "{name}", name = work.name());
            }
        });
    })
}

/// The cookie of a new session.
async fn cookie_of(app: Router) -> String {
    let request = Request::get(Work::Create.path()).body(Body::empty()).expect("a request");
    let response = app.oneshot(request).await.expect("an answer");
    let cookies = response.headers().get_all(header::SET_COOKIE).iter();
    let pairs = cookies.filter_map(|cookie| cookie.to_str().ok()?.split(';').next().map(ToOwned::to_owned));
    pairs.collect::<Vec<_>>().join("; ")
}
