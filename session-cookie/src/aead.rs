//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), composed of its two parts.
//!
//! `HChaCha20` derives the key of one message from the key and 16 bytes of the nonce;
//! ChaCha20-Poly1305 (RFC 8439) seals with that key and the remaining 8 bytes. The second part
//! takes most of the time, so it is `ring`'s, which is fast on every processor without compiler
//! flags.
//!
//! Random nonces are safe while two of them are unlikely to be equal. NIST SP 800-38D (section 8)
//! allows a probability of 2^-32, which is reached after 2^32 messages with 96-bit nonces, and
//! after 2^80 with these of 192 bits.

use std::fmt;

use chacha20::{R20, hchacha};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, UnboundKey};
use zeroize::Zeroizing;

pub(crate) const KEY_BYTES: usize = 32;
pub(crate) const NONCE_BYTES: usize = 24;
pub(crate) const TAG_BYTES: usize = 16;

pub(crate) type Nonce = [u8; NONCE_BYTES];
pub(crate) type Tag = [u8; TAG_BYTES];

/// A key for any number of messages, each with its own nonce.
#[derive(Clone)]
pub(crate) struct Cipher(Zeroizing<[u8; KEY_BYTES]>);

impl Cipher {
    pub(crate) const fn new(key: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self(key)
    }

    /// Encrypts in place, and returns the tag that authenticates the message and the associated
    /// data. `None` if the message exceeds the cipher's limit of 256 GiB.
    pub(crate) fn seal(&self, nonce: &Nonce, aad: &[u8], message: &mut [u8]) -> Option<Tag> {
        let (key, nonce) = self.message_key(nonce)?;
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), message).ok()?;
        tag.as_ref().try_into().ok()
    }

    /// Decrypts in place. `None` if the message was not sealed with this key, nonce and associated
    /// data; its contents are then unusable.
    pub(crate) fn open(&self, nonce: &Nonce, aad: &[u8], message: &mut [u8], tag: Tag) -> Option<()> {
        let (key, nonce) = self.message_key(nonce)?;
        key.open_in_place_separate_tag(nonce, Aad::from(aad), tag.into(), message, 0..).ok()?;
        Some(())
    }

    /// Returns ChaCha20-Poly1305's key and nonce for the message with this nonce.
    fn message_key(&self, nonce: &Nonce) -> Option<(LessSafeKey, ring::aead::Nonce)> {
        let (for_key, rest) = nonce.split_first_chunk::<16>()?;
        let key = Zeroizing::new(<[u8; KEY_BYTES]>::from(hchacha::<R20>((&*self.0).into(), for_key.into())));
        let key = UnboundKey::new(&CHACHA20_POLY1305, &*key).ok()?;
        let mut short = [0; ring::aead::NONCE_LEN];
        short[4..].copy_from_slice(rest);
        Some((LessSafeKey::new(key), ring::aead::Nonce::assume_unique_for_key(short)))
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appendix A.3.1 of the draft.
    #[test]
    fn the_documented_example_is_sealed_as_documented() {
        let consecutive = |first: u8| move |at: usize| first + u8::try_from(at).unwrap();
        let cipher = Cipher::new(Zeroizing::new(std::array::from_fn(consecutive(0x80))));
        let nonce = std::array::from_fn(consecutive(0x40));
        let aad = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
        let plain =
            b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                      sunscreen would be it.";
        let sealed = "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39\
                      ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9\
                      21f9664c97637da9768812f615c68b13b52e";
        let tag = "c0875924c1c7987947deafd8780acf49";
        let bytes = |hex: &str| -> Vec<u8> {
            hex.as_bytes()
                .chunks(2)
                .map(|digits| u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap())
                .collect()
        };

        let mut message = plain.to_vec();
        let made = cipher.seal(&nonce, &aad, &mut message).unwrap();
        assert_eq!((&message, &made[..]), (&bytes(sealed), &bytes(tag)[..]));
        assert!(cipher.open(&nonce, &aad, &mut message, made).is_some());
        assert_eq!(message, plain);
    }
}
