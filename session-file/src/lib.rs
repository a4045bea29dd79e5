//! Sessions as files, in a directory that several processes of one machine may share.
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
//! By name, with the directory as the config string, or a URL (`file:./tmp?sync=true`, `file:///var/lib/app`). Both take the
//! options `sync` and `trust_directory`:
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
//! # What is where
//!
//! | path | what |
//! |---|---|
//! | `./tmp/x/s/xsnk…` | one session, in two levels by the first two characters of its name: the hash in hexadecimal, or the raw id (hashed after two characters when it is longer than 250; `_` stands for a missing second character, and for a dot) |
//! | `./tmp/x/s/.xsnk….tmp` | what is being written; swept when its writer was killed |
//! | `./tmp/.owners/ab/abcd…/xsnk…` | an empty file for each session of an owner, in the directory of the owner (its hash in hexadecimal) |
//! | `./tmp/.lock-00` to `.lock-ff` | locks, made at the start and never removed by this engine |
//!
//! Directories are created with mode 0700, files with 0600. No symbolic link is followed below the directory, nor
//! may the directory itself be one. Anything else in it is left alone.
//!
//! # Who may write to the directory
//!
//! Anyone who can write to the directory can plant sessions in it, and so be logged in as anybody. A directory that belongs to
//! another user, or that its group may write to, is therefore refused, at the start and later (it may have been replaced). The
//! switch [`trust_directory`](Builder::trust_directory) (`./tmp?trust_directory=true`, `file:./tmp?trust_directory=true`)
//! accepts both. One that every user of the machine may write to is always refused.
//!
//! # What it guarantees, and where
//!
//! - A file is replaced by renaming a complete one over it: a reader sees the old record or the new one, also
//!   when the writer is killed. Only the idle deadline, 8 bytes in the header, is moved in place.
//! - Reads take no lock. Writes hold one of 256 locks, and a lock on the session's own file, while they compare and replace.
//!   A write that waits for longer than the [lock timeout](Builder::lock_timeout) fails with `Unavailable` and has changed
//!   nothing, so that a process that was stopped while it held a lock does not hang the others. Lock files that somebody
//!   removes are made again, and no update is lost by it.
//! - After a loss of power the last writes and logouts may be undone, unless `sync` is on: then file and directory
//!   are on disk before a write is acknowledged. A moved deadline is not waited for; losing it ends a session early. Files that
//!   were left empty, zeroed or cut short read as `Corrupt` (the client gets a fresh session) and are collected after an hour.
//! - On a disk without space or inodes a write is `Full`, and the old record stays. Reading, sliding and logging out work.
//! - A directory that is gone is `Unavailable` until it is there again; it is not made again, because sessions that are
//!   stored behind the mount point of a missing disk would be hidden when the disk is back.
//! - A session that a newer version wrote is `Unsupported` (503) while a deployment is under way. A logout ends it.
//! - **Local file systems only**: locks and renames of network file systems do not keep these promises.
//!
//! # A user's sessions
//!
//! A session with an owner has an entry in the directory of the owner: made before the record that
//! needs it, and removed after the record is gone or somebody else's. What a killed process leaves is
//! an entry without a session, which lists leave out and remove, and collections too. A session that
//! a version without the index stored gets its entry at its next write. A list reads the names of all
//! sessions of the owner, and the records of one page. Sessions without an owner cost nothing more.
//!
//! # What it costs
//!
//! One `spawn_blocking` per operation, so that no async worker waits for a disk. On Linux a read of a session in use
//! needs none: the system is asked for what it has in memory, and the read goes to another thread only when that is
//! not all of it (or is more than 64 KiB, or the file system cannot say, as overlayfs and tmpfs cannot). Collecting and counting look at the
//! header of every file, in slices, holding no lock but that of the one file that is removed; a collection gives up
//! after a second and goes on from there the next time.

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

/// Under which name the engine is registered.
pub const ENGINE: &str = "file";

async fn connect(options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    Ok(Arc::new(Builder::parse(options.config.expose())?.clock(options.clock).connect().await?))
}

session_core::register_engine!(["file"], connect);
