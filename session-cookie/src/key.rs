//! From a configured secret to the key that seals.

use std::fmt;

use hkdf::Hkdf;
use session_core::{Error, Result, Secret};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::aead::{Cipher, KEY_BYTES};
use crate::seal::FORMAT;

/// The least length of a key. A random one of this length cannot be guessed; of a shorter text nobody can tell.
pub(crate) const MIN_KEY_BYTES: usize = 32;

/// Keys that documents of Beego print as examples: anyone can forge sessions with them.
const PRINTED: [&str; 4] = ["beegocookiehashkey", "beegosessionkey", "beegoserversessionkey", "sessionidkey"];

const KEY_ID_BYTES: usize = 4;

/// Tells which key sealed a record; says nothing about the key.
pub(crate) type KeyId = [u8; KEY_ID_BYTES];

/// The secrets as they are configured.
#[derive(Clone, Debug)]
pub(crate) struct Material {
    pub security: Secret,
    /// A second secret, as older configurations have it; hashed into the key. Adds nothing to a good first one.
    pub block: Secret,
}

impl Material {
    /// Why this key must not be used, if so.
    pub(crate) fn weakness(&self) -> Option<String> {
        let key = self.security.expose();
        if PRINTED.contains(&key) {
            return Some("is printed in public documents, so that anyone can forge sessions".to_owned());
        }
        (key.len() < MIN_KEY_BYTES)
            .then(|| format!("has {} bytes, and fewer than {MIN_KEY_BYTES} may be guessed", key.len()))
    }

    /// Derives the key for one purpose. Every input has its length before it, so that no two configurations
    /// give the same key.
    pub(crate) fn derive(&self, security_name: &str) -> Result<Key> {
        let inputs = [&self.security, &self.block].map(|secret| secret.expose().as_bytes());
        // With its full size from the start: growing would leave copies behind that are not wiped.
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

/// Appends the length of the bytes, and them.
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
