//! The same application on each framework: the middleware and the framework-specific parts.

pub mod actix;
pub mod axum;
pub mod poem;

use clap::ValueEnum;
use session_kit::{Manager, Result, Session};

/// A framework to serve the demo with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Framework {
    /// axum, with session-tower
    Axum,
    /// actix-web, with session-actix
    Actix,
    /// poem, with session-poem
    Poem,
}

/// The maximum length of a request body.
const MAX_BODY: usize = 4 << 20;

/// Whether a form was sent by a page of this site, according to the browser's headers; see
/// `docs/guide/csrf.md`. For frameworks without a middleware for this. `header` returns the value
/// of a header.
fn is_of_this_site<'a>(header: impl Fn(&str) -> Option<&'a [u8]>) -> bool {
    match (header("sec-fetch-site"), header("origin")) {
        (Some(b"same-origin" | b"none"), _) | (None, None) => true,
        (Some(_), _) => false,
        (None, Some(origin)) => {
            let origin = origin.strip_prefix(b"https://").or(origin.strip_prefix(b"http://"));
            origin.is_some() && origin == header("host")
        }
    }
}

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
sessions!(poem);
sessions!(tower);
