//! URL-safe base64 without padding (RFC 4648 section 5), vectorized where the processor supports
//! it.

use base64::engine::general_purpose::NO_PAD;

#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")))]
pub(crate) type Base64Url = base64::engine::Simd;
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))))]
pub(crate) type Base64Url = base64::engine::GeneralPurpose;

/// Detects the processor's features, so create it only once.
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")))]
pub(crate) fn engine() -> Base64Url {
    Base64Url::url_safe(NO_PAD)
}

#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))))]
pub(crate) fn engine() -> Base64Url {
    Base64Url::new(&base64::alphabet::URL_SAFE, NO_PAD)
}
