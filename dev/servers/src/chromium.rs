//! Chromium behind its `WebDriver`, for tests in a real browser.

use crate::packages::{Package, require};
use crate::process::{Launch, Process};
use rustix::process::getuid;
use std::io;
use std::path::PathBuf;

/// The packages of the browser and its driver.
pub const PACKAGES: &[Package] = &[
    Package { name: "chromium", binary: "chromium" },
    Package { name: "chromium-driver", binary: "chromedriver" },
];

/// A chromedriver for one test. It starts browsers for `WebDriver` clients; they end with it.
#[derive(Debug)]
pub struct ChromeDriver {
    process: Process,
    browser: PathBuf,
}

impl ChromeDriver {
    /// Starts the driver, without a browser.
    pub fn start() -> io::Result<Self> {
        let browser = require(PACKAGES[0])?;
        let launch = Launch::new("chromium", require(PACKAGES[1])?)
            .arguments(|place| vec![format!("--port={}", place.port())]);
        Ok(Self { process: launch.start()?, browser })
    }

    /// The address for `WebDriver` clients: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.process.address())
    }

    /// The program of the browser, for the client's `goog:chromeOptions`.
    pub fn browser(&self) -> String {
        self.browser.display().to_string()
    }

    /// The browser's arguments, for the client's `goog:chromeOptions`. Browsers with the same
    /// profile share their cookies; each profile is a directory that is removed with the driver.
    pub fn arguments(&self, profile: &str) -> Vec<String> {
        let mut arguments: Vec<String> = [
            "--headless",
            // A pipe instead of a port: the browser ends with the driver, even if that was killed.
            "--remote-debugging-pipe",
            // Containers have a /dev/shm of 64 MB, in which a browser crashes.
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--no-first-run",
            // No requests to other machines.
            "--disable-background-networking",
            "--disable-component-update",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
        ]
        .map(str::to_owned)
        .into();
        arguments.push(format!("--user-data-dir={}", self.process.place().path(profile)));
        if getuid().is_root() {
            // The sandbox of Chromium refuses to run as root.
            arguments.push("--no-sandbox".to_owned());
        }
        arguments
    }

    /// The process, to stop and kill it.
    pub fn process(&self) -> &Process {
        &self.process
    }
}
