//! How a directory of sessions is set up: the builder, and the config string that fills it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use session_core::{Clock, Error, Result, SystemClock};

use crate::root::Root;
use crate::{ENGINE, FileProvider, blocking};

const EXPECTED: &str = "expected a directory as in `./tmp`, or a URL as in `file:./tmp?sync=true` or \
                        `file:///var/lib/app/sessions`";

/// Sets up a [`FileProvider`].
#[derive(Debug, Clone)]
pub struct Builder {
    directory: PathBuf,
    sync: bool,
    clock: Arc<dyn Clock>,
    lock_timeout: Duration,
}

impl Builder {
    pub(crate) fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            sync: false,
            clock: Arc::new(SystemClock),
            lock_timeout: Duration::from_secs(1),
        }
    }

    /// Reads the engine's config string: a directory, or a URL; see the crate's documentation.
    ///
    /// [`Config`](session_core::ErrorKind::Config) for anything else.
    pub fn parse(config: &str) -> Result<Self> {
        let config = config.trim();
        let Some(url) = config.strip_prefix("file:") else {
            return match config {
                "" => Err(refused("no directory is given")),
                remote if remote.contains("://") => Err(refused("it is the URL of something else")),
                options if options.contains('?') => Err(refused("options need the form of a URL")),
                directory => Self::at(directory.to_owned()),
            };
        };
        let (path, options) = url.split_once('?').unwrap_or((url, ""));
        let path = match path.strip_prefix("//") {
            None => path,
            Some(absolute) if absolute.starts_with('/') => absolute,
            Some(_) => return Err(refused("it names a host, but sessions lie on this machine")),
        };
        let mut builder = Self::at(decoded(path)?)?;
        let mut given = false;
        for option in options.split('&').filter(|option| !option.is_empty()) {
            builder.sync = match option {
                "sync=true" if !given => true,
                "sync=false" if !given => false,
                _ => return Err(refused("the only option is `sync`, given once, `true` or `false`")),
            };
            given = true;
        }
        Ok(builder)
    }

    fn at(directory: String) -> Result<Self> {
        match &*directory {
            "" => Err(refused("no directory is given")),
            path if path.contains('\0') => Err(refused("a path holds no NUL")),
            _ => Ok(Self::new(directory)),
        }
    }

    /// Brings every write and every logout to disk before it is acknowledged (`fsync` of file and directory): they
    /// then survive a loss of power, at the price of one wait for the disk each. Off by default.
    #[must_use]
    pub const fn sync(mut self, sync: bool) -> Self {
        self.sync = sync;
        self
    }

    /// Takes the time from another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// For how long a write waits for other processes before it fails with `Unavailable`, having changed nothing.
    /// Keep it below half of the manager's deadline, which cannot tell that nothing was changed. Default: one second.
    #[must_use]
    pub const fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// Creates the directory if it is missing, makes sure that it can be used, and gives the provider.
    ///
    /// [`Config`](session_core::ErrorKind::Config) when it cannot be created or written to, is a file or a symbolic
    /// link, or can be written to by every user of the machine; the message says what to change.
    pub async fn connect(self) -> Result<FileProvider> {
        let Self { directory, sync, clock, lock_timeout } = self;
        let root = blocking::run(false, move || Root::prepare(&directory, sync)).await?;
        Ok(FileProvider::new(root, clock, lock_timeout))
    }
}

/// Resolves `%20` and its like.
fn decoded(path: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte == b'%' {
            let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
            let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
            let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            bytes.push(code.ok_or_else(|| refused("in a URL `%` stands before two hexadecimal digits"))?);
            rest = &tail[2..];
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| refused("the path is not UTF-8"))
}

fn refused(why: &str) -> Error {
    Error::config(format!("{why}: {EXPECTED}")).in_engine(ENGINE)
}

#[cfg(test)]
mod tests {
    use session_core::ErrorKind;

    use super::*;

    #[test]
    fn the_config_string_is_a_directory_or_a_url() {
        for (config, directory, sync) in [
            ("./tmp", "./tmp", false),
            ("/var/lib/a b", "/var/lib/a b", false),
            ("file:./tmp", "./tmp", false),
            ("file:./tmp?sync=true", "./tmp", true),
            ("file:/tmp/s?sync=false", "/tmp/s", false),
            ("file:///var/lib/a%20b?sync=true", "/var/lib/a b", true),
        ] {
            let builder = Builder::parse(config).unwrap();
            assert_eq!((builder.directory, builder.sync), (directory.into(), sync), "{config}");
        }
    }

    #[test]
    fn any_other_config_string_is_an_error_that_shows_the_form() {
        for bad in [
            "",
            "file:",
            "file://host/tmp",
            "redis://127.0.0.1",
            "./tmp?sync=true",
            "file:./tmp?sync=yes",
            "file:./tmp?sync=true&sync=false",
            "file:./tmp?mode=0777",
            "file:./a%2",
            "file:./a%zz",
            "file:./a%+1",
            "file:./a%00",
            "file:./%ff",
            "a\0b",
        ] {
            let error = Builder::parse(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
            assert!(error.message().contains("file:./tmp?sync=true"), "{bad}: {error}");
        }
    }
}
