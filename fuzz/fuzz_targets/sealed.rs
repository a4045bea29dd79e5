//! A cookie that claims to be a sealed record: nobody without the key makes one.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use session_cookie::CookieProvider;
use session_core::{Provider, Secret, StorageId, Transport};
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

static PROVIDER: LazyLock<CookieProvider> = LazyLock::new(|| {
    let key = Secret::new("a key of 32 bytes or more, for fuzzing only");
    let provider = CookieProvider::builder().key(key).build().expect("a sound configuration");
    provider.bind(&Transport::default().scope()).expect("a cookie");
    provider
});

fuzz_target!(|text: &str| {
    let Ok(id) = StorageId::plain(text) else { return };
    let read = RUNTIME.block_on(PROVIDER.read(&id, Duration::from_secs(60)));
    assert_eq!(read.expect("no error, only nothing"), None);
});
