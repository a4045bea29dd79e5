//! Where new ids come from.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};

use super::Token;
use crate::{Error, ErrorKind, Result, Secret};

/// The least randomness an id may have (OWASP Session Management Cheat Sheet asks for 64, ASVS 7.2.3 for 128).
pub const MIN_ID_BITS: u32 = 128;

/// Draws ids for new sessions. Supply your own to give ids another form.
pub trait IdGenerator: Send + Sync + fmt::Debug + 'static {
    /// A new id that nobody can guess: text that [`Token::new`] takes.
    fn generate(&self) -> Result<Token>;

    /// How many bits of it are random. The manager refuses fewer than [`MIN_ID_BITS`].
    fn random_bits(&self) -> u32;

    /// How many characters an id has, so that anything else is refused before the store is asked.
    fn length(&self) -> usize;
}

/// With which function the seeds' configuration makes ids (`sessionIDHashFunc`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HashFunction {
    /// HMAC-SHA-1, 40 hexadecimal digits. Sound here: the output is only a pseudo-random name.
    Sha1,
    /// HMAC-SHA-256, 64 hexadecimal digits.
    Sha256,
}

/// Ids from the operating system's generator.
#[derive(Debug, Clone)]
pub struct RandomIds {
    form: Form,
    prefix: String,
}

#[derive(Debug, Clone)]
enum Form {
    Base64,
    Hex { bytes: usize },
    Hmac(HashFunction, Secret),
}

impl RandomIds {
    /// The default: 256 random bits as 43 URL-safe characters.
    #[must_use]
    pub const fn new() -> Self {
        Self { form: Form::Base64, prefix: String::new() }
    }

    /// `bytes` random bytes as twice as many hexadecimal digits (`sessionIDLength`).
    #[must_use]
    pub const fn hex(bytes: usize) -> Self {
        Self { form: Form::Hex { bytes }, prefix: String::new() }
    }

    /// HMAC under `key` of 32 fresh random bytes, in hexadecimal, as older documents describe ids.
    #[must_use]
    pub const fn hmac(function: HashFunction, key: Secret) -> Self {
        Self { form: Form::Hmac(function, key), prefix: String::new() }
    }

    /// Puts fixed text before every id (`sessionIDPrefix`).
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }
}

impl Default for RandomIds {
    fn default() -> Self {
        Self::new()
    }
}

impl IdGenerator for RandomIds {
    fn generate(&self) -> Result<Token> {
        let random = match &self.form {
            Form::Base64 => URL_SAFE_NO_PAD.encode(random_bytes()?),
            Form::Hex { bytes } => {
                let mut random = vec![0; *bytes];
                getrandom::fill(&mut random).map_err(no_randomness)?;
                hex(&random)
            }
            Form::Hmac(HashFunction::Sha1, key) => hex(&keyed::<Hmac<sha1::Sha1>>(key)?),
            Form::Hmac(HashFunction::Sha256, key) => hex(&keyed::<Hmac<sha2::Sha256>>(key)?),
        };
        let text = if self.prefix.is_empty() { random } else { format!("{}{random}", self.prefix) };
        Token::new(&text).ok_or_else(|| {
            Error::config(
                "the prefix of session ids may hold only A-Z a-z 0-9 _ - . and not begin with a dot",
            )
        })
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
            Form::Base64 => 43,
            Form::Hex { bytes } => bytes.saturating_mul(2),
            Form::Hmac(HashFunction::Sha1, _) => 40,
            Form::Hmac(HashFunction::Sha256, _) => 64,
        };
        random.saturating_add(self.prefix.len())
    }
}

/// 256 bits from the operating system.
pub(crate) fn random_bytes() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(no_randomness)?;
    Ok(bytes)
}

fn keyed<M: Mac + hmac::KeyInit>(key: &Secret) -> Result<Vec<u8>> {
    let mut mac = <M as hmac::KeyInit>::new_from_slice(key.expose().as_bytes())
        .map_err(|_| Error::config("the key for session ids has a length that HMAC does not take"))?;
    mac.update(&random_bytes()?);
    Ok(mac.finalize().into_bytes().to_vec())
}

fn no_randomness(error: getrandom::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the operating system gave no random bytes").with_source(error)
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

    /// Every bit of the default id is set about half of the time.
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
        // 1,000 expected, standard deviation 22: beyond 8 deviations nothing honest is found.
        assert!(ones.iter().all(|count| (820..=1_180).contains(count)), "{ones:?}");
    }
}
