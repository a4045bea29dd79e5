//! This project.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use session_core::Manager;
use session_tower::{Session, SessionError, SessionLayer};

use crate::work::{Shape, Work};

/// The application over any engine.
pub fn app(manager: Manager, shape: Shape) -> Router {
    Router::new()
        .route(Work::Untouched.path(), get(async || "ok"))
        .route(Work::Anonymous.path(), get(anonymous))
        .route(Work::Create.path(), get(create))
        .route(Work::Read.path(), get(read))
        .route(Work::ReadModifyWrite.path(), get(read_modify_write))
        .route(Work::Regenerate.path(), get(regenerate))
        .route(Work::Destroy.path(), get(destroy))
        .layer(SessionLayer::new(manager))
        .with_state(shape)
}

async fn anonymous(session: Session) -> Result<&'static str, SessionError> {
    Ok(job::anonymous(&session)?)
}

async fn create(State(shape): State<Shape>, session: Session) -> Result<&'static str, SessionError> {
    Ok(job::create(&session, shape)?)
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

/// The work of the handlers that every framework has.
pub(super) mod job {
    use session_core::{Result, Session};

    use crate::work::{COUNT, Shape, USER, User};

    pub fn anonymous(session: &Session) -> Result<&'static str> {
        let user: Option<User> = session.get(USER)?;
        Ok(if user.is_none() { "ok" } else { "" })
    }

    pub fn create(session: &Session, shape: Shape) -> Result<&'static str> {
        for key in shape.keys() {
            session.set(key.as_str(), &shape.user())?;
        }
        session.set(COUNT, &0_u64)?;
        Ok("ok")
    }

    pub fn read(session: &Session) -> Result<&'static str> {
        let user: User = session.get(USER)?.expect("a user");
        let count: u64 = session.get(COUNT)?.expect("a counter");
        Ok(if user.id > count { "ok" } else { "" })
    }

    pub fn read_modify_write(session: &Session) -> Result<&'static str> {
        let user: User = session.get(USER)?.expect("a user");
        session.update(COUNT, |count: Option<u64>| count.unwrap_or(0) + 1)?;
        Ok(if user.id > 0 { "ok" } else { "" })
    }

    pub fn regenerate(session: &Session) -> Result<&'static str> {
        let user: User = session.get(USER)?.expect("a user");
        session.regenerate()?;
        Ok(if user.id > 0 { "ok" } else { "" })
    }

    pub async fn destroy(session: &Session) -> Result<&'static str> {
        let user: User = session.get(USER)?.expect("a user");
        session.destroy().await?;
        Ok(if user.id > 0 { "ok" } else { "" })
    }
}
