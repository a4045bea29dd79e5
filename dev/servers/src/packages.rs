//! The Debian packages of the servers' binaries.
//!
//! `cargo xtask test` installs missing ones ([`ensure`]); a test only checks ([`require`]), and
//! fails with the name of a missing package.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A Debian package and the required binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Package {
    /// The package's name, as `apt-get install` takes it.
    pub name: &'static str,
    /// A program from the package.
    pub binary: &'static str,
}

/// Finds a program in `PATH`, or in Debian's directories for servers.
pub fn find(binary: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(system).chain(postgres_folders()).map(|folder| folder.join(binary)).find(
        |file| file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0),
    )
}

/// `/usr/lib/postgresql/VERSION/bin`, newest first.
fn postgres_folders() -> Vec<PathBuf> {
    let mut versions: Vec<u32> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable();
    versions.iter().rev().map(|version| format!("/usr/lib/postgresql/{version}/bin").into()).collect()
}

/// The path of a package's binary, or an error that says what to install.
pub fn require(package: Package) -> io::Result<PathBuf> {
    find(package.binary).ok_or_else(|| missing(&[package], "it is not installed"))
}

/// Installs the packages whose binaries are missing, if running as root with `apt-get`; otherwise
/// the error says what to install. Packages missing from the release come from its backports. The
/// packages' system services are not started.
pub fn ensure(packages: &[Package]) -> io::Result<()> {
    let wanted = absent(packages);
    if wanted.is_empty() {
        return Ok(());
    }
    let Some(apt) = find("apt-get") else {
        return Err(missing(&wanted, "there is no apt-get here to install it with"));
    };
    if !rustix::process::getuid().is_root() {
        return Err(missing(&wanted, "only root can install it"));
    }
    let _no_services = NoServices::while_alive(Path::new("/usr/sbin/policy-rc.d"))?;
    let sources = with_backports(&apt)?;
    let sources = format!("Dir::Etc::SourceList={}", sources.path().display());
    // With stale lists or a concurrent update the install may still succeed.
    let _ = run(&apt, &["update", "-o", &sources]);
    let mut arguments = vec!["install", "-o", &sources, "-y", "--no-install-recommends"];
    arguments.extend(wanted.iter().map(|package| package.name));
    run(&apt, &arguments).map_err(|error| missing(&wanted, &error.to_string()))?;
    let still = absent(&wanted);
    if still.is_empty() { Ok(()) } else { Err(missing(&still, "its package does not contain it")) }
}

/// Unpacks packages of another release of Debian into a folder, without installing them.
pub fn unpack(release: &str, packages: &[&str], folder: &Path) -> io::Result<()> {
    let required = |tool| find(tool).ok_or_else(|| io::Error::other(format!("there is no {tool} here")));
    let (apt, dpkg) = (required("apt-get")?, required("dpkg-deb")?);
    let source = source(&targets(&apt)?, release)
        .ok_or_else(|| io::Error::other(format!("apt has no source next to which {release} could be")))?;
    let dir = tempfile::tempdir()?;
    fs::create_dir_all(dir.path().join("lists/partial"))?;
    let list = dir.path().join("sources.list");
    fs::write(&list, source)?;
    let options = [
        format!("Dir::Etc::SourceList={}", list.display()),
        "Dir::Etc::SourceParts=-".to_owned(),
        format!("Dir::State::Lists={}", dir.path().join("lists").display()),
        "APT::Sandbox::User=root".to_owned(),
    ];
    let options: Vec<&str> = options.iter().flat_map(|option| ["-o", option]).collect();
    run_in(dir.path(), &apt, &[&["update"], &options[..]].concat())?;
    run_in(dir.path(), &apt, &[&["download"], &options[..], packages].concat())?;
    for file in fs::read_dir(dir.path())? {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            let status = Command::new(&dpkg).arg("--extract").arg(&file).arg(folder).status()?;
            if !status.success() {
                return Err(io::Error::other(format!("dpkg-deb: {status}")));
            }
        }
    }
    Ok(())
}

/// Lists the places and releases of the machine's sources, one pair per line.
fn targets(apt: &Path) -> io::Result<String> {
    let question = ["indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Identifier: Packages"];
    let targets = Command::new(apt).args(question).stdin(Stdio::null()).output()?;
    Ok(String::from_utf8_lossy(&targets.stdout).into_owned())
}

/// The machine's sources and the backports of its release, for one call of apt. If both have a
/// package, apt prefers the release.
fn with_backports(apt: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut sources = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
    if let Some(backports) = backports(&targets(apt)?) {
        sources.push_str(&backports);
    }
    let mut file = tempfile::Builder::new().prefix("session-servers-").suffix(".list").tempfile()?;
    io::Write::write_all(&mut file, sources.as_bytes())?;
    // apt fetches the lists as another user than root.
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644))?;
    Ok(file)
}

/// The source line of the backports: next to the release.
fn backports(targets: &str) -> Option<String> {
    let (_, release) = release(targets)?;
    source(targets, &format!("{release}-backports"))
}

/// The source line of another release: next to that of the machine.
fn source(targets: &str, other: &str) -> Option<String> {
    let (place, _) = release(targets)?;
    Some(format!("\ndeb {place} {other} main\n"))
}

/// The place and the name of the machine's release. Only its name has no suffix.
fn release(targets: &str) -> Option<(&str, &str)> {
    let mut targets = targets.lines().filter_map(|target| target.split_once(' '));
    targets.find(|(_, release)| !release.is_empty() && !release.contains('-'))
}

fn absent(packages: &[Package]) -> Vec<Package> {
    packages.iter().copied().filter(|package| find(package.binary).is_none()).collect()
}

fn missing(packages: &[Package], why: &str) -> io::Error {
    let binaries: Vec<&str> = packages.iter().map(|package| package.binary).collect();
    let names: Vec<&str> = packages.iter().map(|package| package.name).collect();
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("the tests need {}: {why}; apt-get install {}", binaries.join(", "), names.join(" ")),
    )
}

fn run(apt: &Path, arguments: &[&str]) -> io::Result<()> {
    run_in(Path::new("/"), apt, arguments)
}

fn run_in(folder: &Path, apt: &Path, arguments: &[&str]) -> io::Result<()> {
    // Waits for a concurrent installation.
    let output = Command::new(apt)
        .current_dir(folder)
        .args(["-q", "-o", "DPkg::Lock::Timeout=300"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("apt-get {} failed: {}", arguments[0], text.trim())))
}

/// Debian's mechanism to prevent an installation from starting the server.
struct NoServices<'a>(Option<&'a Path>);

impl<'a> NoServices<'a> {
    fn while_alive(policy: &'a Path) -> io::Result<Self> {
        match fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(policy) {
            Ok(mut file) => {
                io::Write::write_all(&mut file, b"#!/bin/sh\nexit 101\n")?;
                Ok(Self(Some(policy)))
            }
            // An existing policy is kept.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Self(None)),
            Err(error) => Err(error),
        }
    }
}

impl Drop for NoServices<'_> {
    fn drop(&mut self) {
        if let Some(policy) = self.0 {
            let _ = fs::remove_file(policy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHELL: Package = Package { name: "dash", binary: "sh" };
    const NOWHERE: Package = Package { name: "no-such-package", binary: "no-such-binary" };

    #[test]
    fn an_existing_binary_is_found_and_not_installed_again() {
        assert!(require(SHELL).unwrap().is_absolute());
        ensure(&[SHELL]).unwrap();
    }

    #[test]
    fn a_missing_binary_is_an_error_that_says_what_to_install() {
        let error = require(NOWHERE).unwrap_err().to_string();
        assert!(error.contains("apt-get install no-such-package"), "{error}");
    }

    #[test]
    fn backports_are_next_to_the_release() {
        let targets = "http://one/security/ tulip-security\nhttp://two/debian/ tulip\nhttp://three/ lily\n";
        assert_eq!(backports(targets).unwrap(), "\ndeb http://two/debian/ tulip-backports main\n");
        assert_eq!(backports("http://one/security/ tulip-security\n"), None);
        assert_eq!(backports(""), None);
    }

    #[test]
    fn services_are_forbidden_only_during_an_installation_and_an_existing_policy_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let policy = dir.path().join("policy-rc.d");
        let ours = NoServices::while_alive(&policy).unwrap();
        assert_eq!(Command::new(&policy).status().unwrap().code(), Some(101));
        drop(NoServices::while_alive(&policy).unwrap());
        assert!(policy.exists());
        drop(ours);
        assert!(!policy.exists());
    }
}
