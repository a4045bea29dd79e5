//! This project in actix-web.

use actix_web::test::TestRequest;
use actix_web::{App, test, web};
use session_actix::{Session, SessionError, SessionMiddleware};
use session_core::Manager;

use super::actix::{answer, visitors};
use super::kit::job;
use crate::measure::{Role, Subject};
use crate::thread::Thread;
use crate::work::{Job, Shape, Work};

/// The application over any engine.
pub async fn subject(thread: &Thread, manager: Manager, job: Job) -> Subject {
    let app = App::new()
        .app_data(web::Data::new(job.shape))
        .route(Work::Untouched.path(), web::get().to(async || "ok"))
        .route(Work::Anonymous.path(), web::get().to(anonymous))
        .route(Work::Create.path(), web::get().to(create))
        .route(Work::Read.path(), web::get().to(read))
        .route(Work::ReadModifyWrite.path(), web::get().to(read_modify_write))
        .route(Work::Regenerate.path(), web::get().to(regenerate))
        .route(Work::Destroy.path(), web::get().to(destroy))
        .wrap(SessionMiddleware::new(manager));
    let app = test::init_service(app).await;
    let send = async move |request: TestRequest| answer(test::call_service(&app, request.to_request()).await);
    visitors(Role::Ours, "session-kit", thread, send, job).await
}

async fn anonymous(session: Session) -> Result<&'static str, SessionError> {
    Ok(job::anonymous(&session)?)
}

async fn create(shape: web::Data<Shape>, session: Session) -> Result<&'static str, SessionError> {
    Ok(job::create(&session, **shape)?)
}

async fn read(session: Session) -> Result<&'static str, SessionError> {
    Ok(job::read(&session)?)
}

async fn read_modify_write(session: Session) -> Result<&'static str, SessionError> {
    Ok(job::read_modify_write(&session)?)
}

async fn regenerate(session: Session) -> Result<&'static str, SessionError> {
    Ok(job::regenerate(&session)?)
}

async fn destroy(session: Session) -> Result<&'static str, SessionError> {
    Ok(job::destroy(&session).await?)
}
