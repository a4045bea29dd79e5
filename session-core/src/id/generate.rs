//! The generation of new ids.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};

use super::Token;
use crate::{Error, ErrorKind, Result, Secret};

/// The smallest number of random bits in an id (the OWASP Session Management Cheat Sheet requires
/// 64, ASVS 7.2.3 requires 128).
pub const MIN_ID_BITS: u32 = 128;

/// Generates ids for new sessions. Implement it to give ids another form.
pub trait IdGenerator: Send + Sync + fmt::Debug + 'static {
    /// Returns a new unguessable id: text that [`Token::new`] accepts.
    fn generate(&self) -> Result<Token>;

    /// Returns the number of random bits. The manager refuses fewer than [`MIN_ID_BITS`].
    fn random_bits(&self) -> u32;

    /// Returns the number of characters of an id, so that other texts are refused without asking
    /// the store.
    fn length(&self) -> usize;
}

/// The hash function of Beego-compatible ids (`sessionIDHashFunc`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HashFunction {
    /// HMAC-SHA-1, 40 hexadecimal digits. Safe here, because the output is only a pseudo-random
    /// name.
    Sha1,
    /// HMAC-SHA-256, 64 hexadecimal digits.
    Sha256,
}

/// Generates ids with the operating system's generator.
#[derive(Debug, Clone)]
pub struct RandomIds {
    form: Form,
    prefix: String,
}

/// The number of Base64 characters of 256 bits.
const BASE64_LENGTH: usize = 43;

#[derive(Debug, Clone)]
enum Form {
    Base64,
    Hex { bytes: usize },
    Hmac(HashFunction, Secret),
}

impl RandomIds {
    /// Creates the default generator: 256 random bits as 43 URL-safe characters.
    #[must_use]
    pub const fn new() -> Self {
        Self { form: Form::Base64, prefix: String::new() }
    }

    /// Creates a generator of `bytes` random bytes in hexadecimal (`sessionIDLength`).
    #[must_use]
    pub const fn hex(bytes: usize) -> Self {
        Self { form: Form::Hex { bytes }, prefix: String::new() }
    }

    /// Creates a generator of the HMAC of 32 random bytes under `key`, in hexadecimal, as in older
    /// Beego documents.
    #[must_use]
    pub const fn hmac(function: HashFunction, key: Secret) -> Self {
        Self { form: Form::Hmac(function, key), prefix: String::new() }
    }

    /// Sets a fixed prefix of every id (`sessionIDPrefix`).
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    fn token(&self, random: &str) -> Result<Token> {
        let token = match &*self.prefix {
            "" => Token::new(random),
            prefix => Token::new(&format!("{prefix}{random}")),
        };
        token.ok_or_else(|| {
            Error::config(
                "the prefix of session ids may contain only A-Z a-z 0-9 _ - . and must not begin with a dot",
            )
        })
    }
}

impl Default for RandomIds {
    fn default() -> Self {
        Self::new()
    }
}

impl IdGenerator for RandomIds {
    fn generate(&self) -> Result<Token> {
        match &self.form {
            Form::Base64 => {
                // Only the token allocates. An array that was not filled is not a valid token.
                let mut text = [0; BASE64_LENGTH];
                let _ = URL_SAFE_NO_PAD.encode_slice(random_bytes()?, &mut text);
                self.token(str::from_utf8(&text).unwrap_or_default())
            }
            Form::Hex { bytes } => {
                let mut random = vec![0; *bytes];
                getrandom::fill(&mut random).map_err(no_randomness)?;
                self.token(&hex(&random))
            }
            Form::Hmac(HashFunction::Sha1, key) => self.token(&hex(&keyed::<Hmac<sha1::Sha1>>(key)?)),
            Form::Hmac(HashFunction::Sha256, key) => self.token(&hex(&keyed::<Hmac<sha2::Sha256>>(key)?)),
        }
    }

    fn random_bits(&self) -> u32 {
        match self.form {
            Form::Base64 | Form::Hmac(HashFunction::Sha256, _) => 256,
            Form::Hex { bytes } => u32::try_from(bytes.saturating_mul(8)).unwrap_or(u32::MAX),
            Form::Hmac(HashFunction::Sha1, _) => 160,
        }
    }

    fn length(&self) -> usize {
        let random = match self.form {
            Form::Base64 => BASE64_LENGTH,
            Form::Hex { bytes } => bytes.saturating_mul(2),
            Form::Hmac(HashFunction::Sha1, _) => 40,
            Form::Hmac(HashFunction::Sha256, _) => 64,
        };
        random.saturating_add(self.prefix.len())
    }
}

/// Returns 256 random bits from the operating system.
pub(crate) fn random_bytes() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(no_randomness)?;
    Ok(bytes)
}

fn keyed<M: Mac + hmac::KeyInit>(key: &Secret) -> Result<Vec<u8>> {
    let mut mac = <M as hmac::KeyInit>::new_from_slice(key.expose().as_bytes())
        .map_err(|_| Error::config("HMAC does not accept the length of the key for session ids"))?;
    mac.update(&random_bytes()?);
    Ok(mac.finalize().into_bytes().to_vec())
}

fn no_randomness(error: getrandom::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the operating system returned no random bytes").with_source(error)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_distinct_well_formed_and_as_long_as_declared() {
        for ids in [
            RandomIds::new(),
            RandomIds::hex(16).prefix("app-"),
            RandomIds::hmac(HashFunction::Sha1, Secret::new("k")),
            RandomIds::hmac(HashFunction::Sha256, Secret::new("k")),
        ] {
            let drawn: HashSet<_> = (0..1_000).map(|_| ids.generate().unwrap()).collect();
            assert_eq!(drawn.len(), 1_000);
            assert!(drawn.iter().all(|id| id.expose().len() == ids.length()));
            assert!(ids.random_bits() >= MIN_ID_BITS);
        }
    }

    /// Every bit of the default id is set about half the time.
    #[test]
    fn ids_come_from_the_os_generator_and_no_bit_is_fixed() {
        const DRAWS: u32 = 2_000;
        let mut ones = [0_u32; 256];
        for _ in 0..DRAWS {
            let id = RandomIds::new().generate().unwrap();
            let bytes = URL_SAFE_NO_PAD.decode(id.expose()).unwrap();
            for (bit, count) in ones.iter_mut().enumerate() {
                *count += u32::from(bytes[bit / 8] >> (bit % 8) & 1);
            }
        }
        // 1,000 are expected, with a standard deviation of 22; the limits are 8 deviations away.
        assert!(ones.iter().all(|count| (820..=1_180).contains(count)), "{ones:?}");
    }
}
