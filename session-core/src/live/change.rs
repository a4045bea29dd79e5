//! What a request did to its session, kept so that it can be done again on a newer record.

use std::fmt;

use smol_str::SmolStr;

use crate::record::{Body, Value};
use crate::{Error, ErrorKind, Result};

type Updating = Box<dyn FnMut(Option<&Value>) -> Result<Value> + Send>;

/// One change. Applying the same list to a newer body is how concurrent requests are merged.
pub(crate) enum Change {
    Set(SmolStr, Value),
    Delete(SmolStr),
    /// Delete, if the value is still the one that was handed out.
    Take(SmolStr, Value),
    Update(SmolStr, Updating),
    Flush,
}

impl Change {
    /// Does it to `body`. [`Conflict`](ErrorKind::Conflict) when somebody else took the value.
    pub(crate) fn apply(&mut self, body: &mut Body) -> Result<()> {
        match self {
            Self::Set(key, value) => body.insert(key, value.clone()),
            Self::Delete(key) => {
                body.remove(key);
            }
            Self::Take(key, taken) => {
                if body.get(key) != Some(taken) {
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        "another request took or changed the value first",
                    ));
                }
                body.remove(key);
            }
            Self::Update(key, function) => {
                let value = function(body.get(key))?;
                body.insert(key, value);
            }
            Self::Flush => body.clear(),
        }
        Ok(())
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(key, _) => write!(f, "Set({key:?})"),
            Self::Delete(key) => write!(f, "Delete({key:?})"),
            Self::Take(key, _) => write!(f, "Take({key:?})"),
            Self::Update(key, _) => write!(f, "Update({key:?})"),
            Self::Flush => f.write_str("Flush"),
        }
    }
}
