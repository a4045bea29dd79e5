//! Derives the sealing key from a configured secret.

use std::fmt;

use hkdf::Hkdf;
use session_core::{Error, Result, Secret};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::aead::{Cipher, KEY_BYTES};
use crate::seal::FORMAT;

/// The minimum length of a key. A random key of this length cannot be guessed; a shorter text might
/// be.
pub(crate) const MIN_KEY_BYTES: usize = 32;

/// The example keys of Beego's documentation: anyone can forge sessions with them.
const PUBLISHED: [&str; 4] =
    ["beegocookiehashkey", "beegosessionkey", "beegoserversessionkey", "sessionidkey"];

const KEY_ID_BYTES: usize = 4;

/// Identifies the key that sealed a record, and reveals nothing about it.
pub(crate) type KeyId = [u8; KEY_ID_BYTES];

/// The secrets as they are configured.
#[derive(Clone, Debug)]
pub(crate) struct Material {
    pub security: Secret,
    /// A second secret, for compatibility with Beego; hashed into the key. Adds nothing to a good
    /// first one.
    pub block: Secret,
}

impl Material {
    /// The reason why this key must not be used, if any.
    pub(crate) fn weakness(&self) -> Option<String> {
        let key = self.security.expose();
        if PUBLISHED.contains(&key) {
            return Some("is printed in public documents, so anyone can forge sessions".to_owned());
        }
        (key.len() < MIN_KEY_BYTES)
            .then(|| format!("has {} bytes; a key of fewer than {MIN_KEY_BYTES} can be guessed", key.len()))
    }

    /// Derives the key and its id. Every input is preceded by its length, so no two configurations
    /// produce the same key.
    pub(crate) fn derive(&self, security_name: &str) -> Result<Key> {
        let inputs = [&self.security, &self.block].map(|secret| secret.expose().as_bytes());
        // Allocated in full size: growing would leave copies that are not wiped.
        let mut secrets =
            Zeroizing::new(Vec::with_capacity(inputs.iter().map(|input| 8 + input.len()).sum()));
        for input in inputs {
            frame(&mut secrets, input);
        }
        let hkdf = Hkdf::<Sha256>::new(Some(b"session-cookie"), &secrets);
        let expand = |purpose: &str, out: &mut [u8]| {
            let mut info = vec![FORMAT];
            frame(&mut info, purpose.as_bytes());
            frame(&mut info, security_name.as_bytes());
            hkdf.expand(&info, out).map_err(|_| Error::config("the key cannot be derived"))
        };
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        expand("seal", &mut *key)?;
        let mut id = [0; KEY_ID_BYTES];
        expand("key id", &mut id)?;
        Ok(Key { id, cipher: Cipher::new(key) })
    }
}

/// Appends the bytes, preceded by their length.
pub(crate) fn frame(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// A derived key.
#[derive(Clone)]
pub(crate) struct Key {
    pub id: KeyId,
    pub cipher: Cipher,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(security: &str, block: &str, name: &str) -> KeyId {
        let material = Material { security: Secret::new(security), block: Secret::new(block) };
        material.derive(name).unwrap().id
    }

    #[test]
    fn every_input_changes_the_key_and_none_runs_into_the_next() {
        let ids = [
            id("ab", "c", "n"),
            id("a", "bc", "n"),
            id("abc", "", "n"),
            id("ab", "c", ""),
            id("ab", "cn", ""),
        ];
        for (index, one) in ids.iter().enumerate() {
            assert!(!ids[..index].contains(one), "{index}");
        }
        assert_eq!(id("ab", "c", "n"), ids[0]);
    }

    #[test]
    fn the_derivation_does_not_change_between_versions() {
        // A changed derivation would end every session at the next deployment.
        assert_eq!(id("0123456789abcdef0123456789abcdef", "", ""), [137, 90, 0, 52]);
    }
}
