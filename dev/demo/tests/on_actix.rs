//! All of it once more, with the demo on actix-web.
#![allow(clippy::duplicate_mod, reason = "each file of tests brings its client")]

#[path = "api.rs"]
mod api;
#[path = "devices.rs"]
mod devices;
#[path = "page.rs"]
mod page;
#[path = "process.rs"]
mod process;
