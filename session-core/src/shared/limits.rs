//! How large a session may become.

use crate::{Error, ErrorKind, Result};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub keys: usize,
    pub bytes: usize,
}

impl Limits {
    pub(crate) fn check(self, keys: usize, bytes: usize) -> Result<()> {
        if keys > self.keys {
            let message = format!("more than {} keys; raise max_keys, or store them elsewhere", self.keys);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        if bytes > self.bytes {
            let message = format!("more than {} bytes; raise max_bytes, or store them elsewhere", self.bytes);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(())
    }
}
