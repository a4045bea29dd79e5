//! A cookie that claims to be a sealed record.

use std::sync::LazyLock;
use std::time::Duration;

use session_cookie::CookieProvider;
use session_core::id::StorageId;
use session_core::transport::Transport;
use session_core::{Provider, Secret};
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

static PROVIDER: LazyLock<CookieProvider> = LazyLock::new(|| {
    let key = Secret::new("a key of 32 bytes or more, for fuzzing only");
    let provider = CookieProvider::builder().key(key).build().expect("a sound configuration");
    provider.bind(&Transport::default().scope()).expect("a cookie");
    provider
});

/// Nobody without the key makes one.
pub fn sealed(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(id) = StorageId::plain(text) else { return };
    let read = RUNTIME.block_on(PROVIDER.read(&id, Duration::from_mins(1)));
    assert_eq!(read.expect("no error, only nothing"), None);
}
