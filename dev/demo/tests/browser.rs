//! The page in one or several real browsers.
//!
//! `SESSION_SCREENSHOTS=docs/pictures cargo xtask test -p session-demo --test browser` also creates
//! the pictures of the docs.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use session_servers::chromium::ChromeDriver;
use support::Demo;
use thirtyfour::prelude::*;
use thirtyfour::{ChromeCapabilities, ChromiumLikeCapabilities};

/// The timeout of any browser action, for busy machines.
const PATIENCE: Duration = Duration::from_mins(1);

/// A test's own demo and driver, and its browsers.
struct Stage {
    demo: Demo,
    chrome: ChromeDriver,
}

impl Stage {
    fn new(args: &[&str]) -> Self {
        Self { demo: Demo::start(args), chrome: ChromeDriver::start().unwrap() }
    }

    /// A browser with its own profile on the page, over plain http.
    async fn browser(&self, profile: &str) -> Browser {
        let mut wanted = ChromeCapabilities::new();
        wanted.set_binary(&self.chrome.browser()).unwrap();
        for argument in self.chrome.arguments(profile) {
            wanted.add_arg(&argument).unwrap();
        }
        for look in ["--window-size=1100,960", "--hide-scrollbars"] {
            wanted.add_arg(look).unwrap();
        }
        wanted.set("goog:loggingPrefs", json!({ "browser": "ALL" })).unwrap();
        let driver = WebDriver::new(self.chrome.url(), wanted).await.unwrap();
        driver.set_script_timeout(PATIENCE).await.unwrap();
        let (_, port) = self.demo.address.rsplit_once(':').unwrap();
        driver.goto(format!("http://localhost:{port}/")).await.unwrap();
        let browser = Browser(driver);
        browser.sees("Hello, visitor.").await;
        browser
    }
}

struct Browser(WebDriver);

impl Browser {
    /// The result of a script in the page.
    async fn look<T: serde::de::DeserializeOwned>(&self, script: &str) -> WebDriverResult<T> {
        self.0.execute(script, Vec::new()).await?.convert()
    }

    /// Waits until the page has the expected content.
    async fn until<T: serde::de::DeserializeOwned + std::fmt::Debug>(
        &self,
        script: &str,
        wanted: impl Fn(&T) -> bool,
    ) {
        let begun = Instant::now();
        loop {
            // While the next page is loading there may be no document.
            let seen = self.look(script).await;
            if seen.as_ref().is_ok_and(&wanted) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "the page still shows: {seen:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn sees(&self, text: &str) {
        self.until("return document.body.innerText", |page: &String| page.contains(text)).await;
    }

    /// Waits until the list of devices is this one. A `*` marks the browser's own.
    async fn sees_devices(&self, labels: &[&str]) {
        let script = "return Array.from(document.querySelectorAll('.devices tr'), row => {
            const name = row.querySelector('th');
            return (name.querySelector('.tag') ? '*' : '') + name.firstChild.textContent.trim();
        }).sort()";
        self.until(script, |seen: &Vec<String>| seen == labels).await;
    }

    async fn click(&self, button: &str) {
        self.press(&format!("//button[normalize-space()='{button}']")).await;
    }

    /// Signs out one device of the list.
    async fn sign_out(&self, device: &str) {
        self.press(&format!(
            "//section[contains(@class, 'devices')]//tr[th[contains(., '{device}')]]//button"
        ))
        .await;
    }

    async fn press(&self, xpath: &str) {
        let every = Duration::from_millis(20);
        let button = self.0.query(By::XPath(xpath)).wait(PATIENCE, every).single().await.unwrap();
        button.click().await.unwrap();
    }

    async fn sign_in(&self, user: &str, device: &str) {
        for (field, text) in [("user", user), ("label", device)] {
            self.0.find(By::Name(field)).await.unwrap().send_keys(text).await.unwrap();
        }
        self.click("Sign in").await;
        self.sees(&format!("Hello, {user}.")).await;
    }

    /// The session's cookie, if the browser has it.
    async fn has_session(&self) -> bool {
        let cookies = self.0.get_all_cookies().await.unwrap();
        cookies.iter().any(|cookie| cookie.name == "session")
    }

    /// A picture for the docs, if requested: of the window or a part of it.
    async fn picture(&self, name: &str, part: Option<&str>) {
        let Some(folder) = std::env::var_os("SESSION_SCREENSHOTS") else { return };
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let file = root.join(folder).join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        match part {
            Some(part) => self.0.find(By::Css(part)).await.unwrap().screenshot(&file).await.unwrap(),
            None => self.0.screenshot(&file).await.unwrap(),
        }
    }

    /// Closes the browser after checking that it has logged no errors.
    async fn close(self) {
        let console = self.0.browser_log().await.unwrap();
        assert!(console.is_empty(), "{console:?}");
        self.0.quit().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a browser: cargo xtask test"]
async fn two_browsers_of_one_user_see_each_other_and_sign_each_other_out() {
    let stage = Stage::new(&[]);
    let (laptop, phone) = tokio::join!(stage.browser("laptop"), stage.browser("phone"));
    assert!(!laptop.has_session().await, "reading stores nothing");

    laptop.click("Count a visit").await;
    laptop.sees("visit in this session").await;
    laptop.sign_in("ada", "Laptop").await;
    assert!(laptop.has_session().await, "the cookie is kept over plain http on localhost");
    phone.sign_in("ada", "Phone").await;
    phone.sees_devices(&["*Phone", "Laptop"]).await;
    laptop.0.refresh().await.unwrap();
    laptop.sees_devices(&["*Laptop", "Phone"]).await;
    laptop.picture("demo.png", None).await;
    laptop.picture("devices-laptop.png", Some(".devices")).await;
    phone.picture("devices-phone.png", Some(".devices")).await;

    laptop.sign_out("Phone").await;
    laptop.sees_devices(&["*Laptop"]).await;
    phone.click("Renew the session id").await;
    phone.sees("Hello, visitor.").await;
    phone.sees_devices(&[]).await;

    phone.sign_in("ada", "Phone again").await;
    phone.sees_devices(&["*Phone again", "Laptop"]).await;
    phone.click("Sign out all other devices").await;
    phone.sees_devices(&["*Phone again"]).await;
    laptop.0.refresh().await.unwrap();
    laptop.sees("Hello, visitor.").await;
    laptop.sees_devices(&[]).await;

    phone.sign_out("Phone again").await;
    phone.sees("Hello, visitor.").await;
    assert!(!phone.has_session().await, "its own session: the cookie goes as well");
    laptop.close().await;
    phone.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a browser: cargo xtask test"]
async fn a_third_sign_in_ends_the_oldest_of_two() {
    let stage = Stage::new(&["--max-sessions", "2"]);
    let (first, second, third) =
        tokio::join!(stage.browser("first"), stage.browser("second"), stage.browser("third"));
    first.sign_in("ada", "First").await;
    first.sees("You can be signed in on 2 devices at a time.").await;
    second.sign_in("ada", "Second").await;
    third.sign_in("ada", "Third").await;
    third.sees_devices(&["*Third", "Second"]).await;
    first.click("Count a visit").await;
    first.sees("Hello, visitor.").await;
    second.click("Count a visit").await;
    second.sees("visit in this session").await;
    second.sees_devices(&["*Second", "Third"]).await;
    first.close().await;
    second.close().await;
    third.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a browser: cargo xtask test"]
async fn the_back_button_shows_nothing_of_a_session_that_was_signed_out() {
    let stage = Stage::new(&[]);
    let browser = stage.browser("only").await;
    browser.sign_in("ada", "Laptop").await;
    let page = browser.0.current_url().await.unwrap();
    // A distinct URL, so that the back button returns to it.
    browser.0.goto(format!("{page}?again")).await.unwrap();
    browser.sees_devices(&["*Laptop"]).await;
    browser.press("//form[@action='/logout']/button").await;
    browser.sees("Hello, visitor.").await;
    assert!(!browser.has_session().await);
    browser.0.back().await.unwrap();
    browser.until("return location.search", |query: &String| query == "?again").await;
    browser.sees("Hello, visitor.").await;
    browser.sees_devices(&[]).await;
    browser.close().await;
}
