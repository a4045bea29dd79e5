//! How a directory of sessions is set up: the builder, and the config string that fills it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use session_core::clock::{Clock, SystemClock};
use session_core::{Error, Result};

use crate::root::Root;
use crate::{ENGINE, FileProvider, blocking};

const EXPECTED: &str = "expected a directory as in `./tmp`, or a URL as in `file:./tmp?sync=true` or \
                        `file:///var/lib/app/sessions`, and as options `sync` and `trust_directory`";

/// Sets up a [`FileProvider`].
#[derive(Debug, Clone)]
pub struct Builder {
    directory: PathBuf,
    sync: bool,
    trust_directory: bool,
    clock: Arc<dyn Clock>,
    lock_timeout: Duration,
}

impl Builder {
    pub(crate) fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            sync: false,
            trust_directory: false,
            clock: Arc::new(SystemClock),
            lock_timeout: Duration::from_secs(1),
        }
    }

    /// Reads the engine's config string: a directory, or a URL; see the crate's documentation.
    ///
    /// [`Config`](session_core::ErrorKind::Config) for anything else.
    pub fn parse(config: &str) -> Result<Self> {
        let config = config.trim();
        let (place, options) = config.split_once('?').unwrap_or((config, ""));
        let builder = match place.strip_prefix("file:") {
            None if place.contains("://") => return Err(refused("it is the URL of something else")),
            None => Self::at(place.to_owned())?,
            Some(url) => match url.strip_prefix("//") {
                None => Self::at(decoded(url)?)?,
                Some(absolute) if absolute.starts_with('/') => Self::at(decoded(absolute)?)?,
                Some(_) => return Err(refused("it names a host, but sessions are on this machine")),
            },
        };
        builder.options(options)
    }

    fn options(mut self, options: &str) -> Result<Self> {
        let mut given = Vec::new();
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let switch = match value {
                "true" => true,
                "false" => false,
                _ => return Err(refused("an option is `true` or `false`")),
            };
            match name {
                _ if given.contains(&name) => return Err(refused("an option is given twice")),
                "sync" => self.sync = switch,
                "trust_directory" => self.trust_directory = switch,
                _ => {
                    return Err(refused(
                        "an option is neither `sync` nor `trust_directory` (a `?` in a directory's name is written \
                         `%3F`, in a URL)",
                    ));
                }
            }
            given.push(name);
        }
        Ok(self)
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

    /// Accepts a directory that belongs to another user, or that its group may write to. Off by default: anyone who can write
    /// to the directory can plant sessions in it, and so be logged in as anybody. One that every user of the machine may
    /// write to is refused all the same.
    #[must_use]
    pub const fn trust_directory(mut self, trust: bool) -> Self {
        self.trust_directory = trust;
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
    /// link, belongs to another user, or can be written to by others; the message says what to change.
    /// [`Full`](session_core::ErrorKind::Full) when there is no room for a file.
    pub async fn connect(self) -> Result<FileProvider> {
        let Self { directory, sync, trust_directory, clock, lock_timeout } = self;
        let root = blocking::run(false, move || Root::prepare(&directory, sync, trust_directory)).await?;
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
            ("./tmp?sync=true&trust_directory=false", "./tmp", true),
            ("/var/lib/a b", "/var/lib/a b", false),
            ("file:./tmp", "./tmp", false),
            ("file:./tmp?sync=true", "./tmp", true),
            ("file:/tmp/s?sync=false", "/tmp/s", false),
            ("file:///var/lib/a%20b?sync=true", "/var/lib/a b", true),
        ] {
            let builder = Builder::parse(config).unwrap();
            assert_eq!((builder.directory, builder.sync), (directory.into(), sync), "{config}");
            assert!(!builder.trust_directory);
        }
        for trusting in ["./tmp?trust_directory=true", "file:./tmp?sync=true&trust_directory=true"] {
            assert!(Builder::parse(trusting).unwrap().trust_directory);
        }
    }

    #[test]
    fn any_other_config_string_is_an_error_that_shows_the_form() {
        for bad in [
            "",
            "file:",
            "file://host/tmp",
            "redis://127.0.0.1",
            "?sync=true",
            "./tmp?x",
            "file:./tmp?sync=yes",
            "file:./tmp?trust_directory",
            "file:./tmp?trust_directory=true&trust_directory=true",
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
