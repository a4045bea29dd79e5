//! Sessions as files, in a directory that several processes on one machine may share.
//!
//! ```no_run
//! use session_file::FileProvider;
//!
//! # async fn example() -> session_core::Result<()> {
//! let provider = FileProvider::connect("./tmp").await?;
//! let durable = FileProvider::builder("/var/lib/app/sessions").sync(true).connect().await?;
//! # let _ = (provider, durable);
//! # Ok(())
//! # }
//! ```
//!
//! By name, with the directory as the config string, or a URL (`file:./tmp?sync=true`,
//! `file:///var/lib/app`). Both take the options `sync` and `trust_directory`:
//!
//! ```
//! use session_core::{ConnectOptions, Provider as _};
//! use session_file as _;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> session_core::Result<()> {
//! # let directory = tempfile::tempdir().map_err(|_| session_core::Error::config("no directory"))?;
//! # let directory = directory.path().to_string_lossy();
//! let provider = session_core::connect("file", ConnectOptions::new(&format!("file:{directory}"))).await?;
//! assert_eq!(provider.count().await?, Some(0));
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//!
//! | path | content |
//! |---|---|
//! | `./tmp/x/s/xsnk…` | one session, in two levels by the first two characters of its name: the hash in hexadecimal, or the plain id (hashed after two characters if it is longer than 250; `_` replaces a missing second character and a dot) |
//! | `./tmp/x/s/.xsnk….tmp` | the temporary file of a write; removed if its writer was killed |
//! | `./tmp/.owners/ab/abcd…/xsnk…` | an empty file for each session of an owner, in the directory of the owner (its hash in hexadecimal) |
//! | `./tmp/.lock-00` to `.lock-ff` | locks, created at the start and never removed by this engine |
//!
//! Directories are created with mode 0700, files with 0600. No symbolic link is followed below the
//! directory, and the directory itself must not be one. Other files in it are left alone.
//!
//! # Permissions
//!
//! Anyone who can write to the directory can plant sessions in it and log in as any user. A
//! directory that belongs to another user or is group-writable is therefore refused, at the start
//! and later (it may have been replaced). The option [`trust_directory`](Builder::trust_directory)
//! (`./tmp?trust_directory=true`, `file:./tmp?trust_directory=true`) accepts both. A world-writable
//! directory is always refused.
//!
//! # Guarantees
//!
//! - A file is replaced by renaming a complete one over it: a reader sees the old record or the new
//!   one, even if the writer is killed. Only the idle deadline, 8 bytes in the header, is updated
//!   in place.
//! - Reads take no lock. Writes hold one of 256 locks, and a lock on the session's own file, while
//!   they compare and replace. A write that waits for longer than the
//!   [lock timeout](Builder::lock_timeout) fails with `Unavailable` and has changed nothing, so a
//!   process that was stopped while it held a lock does not hang the others. Removed lock files are
//!   recreated, and no update is lost.
//! - After a power loss the last writes and logouts may be undone, unless `sync` is on: then file
//!   and directory are on disk before a write is acknowledged. An extended deadline is not flushed;
//!   losing it ends a session early. Empty, zeroed or truncated files read as `Corrupt` (the client
//!   gets a new session) and are collected after an hour.
//! - On a full disk (space or inodes) a write fails with `Full`, and the old record is kept. Reads,
//!   touches and logouts work.
//! - A directory that is gone is `Unavailable` until it is there again; it is not recreated,
//!   because sessions stored under the mount point of a missing disk would be hidden when the disk
//!   is back.
//! - A session written by a newer version is `Unsupported` (503) during a rolling deployment. A
//!   logout ends it.
//! - **Local file systems only**: locks and renames on network file systems do not give these
//!   guarantees.
//!
//! # A user's sessions
//!
//! A session with an owner has an entry in the directory of the owner: created before the record
//! that needs it, and removed after the record is gone or has another owner. A killed process
//! leaves at most an entry without a session, which lists skip and remove, and collections remove
//! as well. A session stored by a version without the index gets its entry at its next write. A
//! list reads the names of all sessions of the owner, and the records of one page. Sessions without
//! an owner cost nothing extra.
//!
//! # Cost
//!
//! One `spawn_blocking` per operation, so that no async worker waits for a disk. On Linux a read of
//! a session in use needs none: a non-blocking read of the page cache is tried first, and another
//! thread is used only if the file is not fully cached, is larger than 64 KiB, or is on a file
//! system without such reads (overlayfs, tmpfs). Collecting and counting read the header of every
//! file, in slices, and lock only a file that is removed; a collection stops after a second and
//! continues from there the next time.

#[cfg(not(unix))]
compile_error!("session-file needs a Unix system: openat, flock and rename as POSIX defines them");

mod blocking;
mod cached;
mod collect;
mod config;
mod error;
mod file;
mod head;
mod index;
mod lock;
mod name;
mod owners;
mod provider;
mod root;
mod walk;

use std::sync::Arc;

pub use config::Builder;
pub use provider::FileProvider;
use session_core::{ConnectOptions, Provider, Result};

/// The name under which the engine is registered.
pub const ENGINE: &str = "file";

async fn connect(options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    Ok(Arc::new(Builder::parse(options.config.expose())?.clock(options.clock).connect().await?))
}

session_core::register_engine!(["file"], connect);
