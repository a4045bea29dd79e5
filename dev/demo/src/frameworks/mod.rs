//! The same application on each framework: what is around the routes, and what only the framework can do.

pub mod actix;
pub mod axum;

use clap::ValueEnum;
use session_kit::{Manager, Result, Session};

/// A framework to serve the demo with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Framework {
    /// axum, by session-tower
    Axum,
    /// actix-web, by session-actix
    Actix,
}

/// How long a request body may be.
const MAX_BODY: usize = 4 << 20;

/// The session of a request, not loaded yet: the adapter's own `LazySession`.
pub trait Sessions {
    fn load(&self) -> impl Future<Output = Result<Session>>;
    fn destroy(&self) -> impl Future<Output = Result<()>>;
    fn manager(&self) -> &Manager;
}

macro_rules! sessions {
    ($adapter:ident) => {
        impl Sessions for session_kit::$adapter::LazySession {
            async fn load(&self) -> Result<Session> {
                Ok(self.session().await?.into_inner())
            }

            async fn destroy(&self) -> Result<()> {
                Self::destroy(self).await
            }

            fn manager(&self) -> &Manager {
                Self::manager(self)
            }
        }
    };
}

sessions!(actix);
sessions!(tower);
