//! The account data of a signed-in user's session: its handle, its device, and when the user
//! authenticated.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::clock::Timestamp;
use crate::id::StorageId;
use crate::{Error, ErrorKind, Result};

/// The name of one session of a user, for a "sign out this device" button.
///
/// It is random and stays the same when the session's id is replaced. It is not a token: it does
/// not give access to the session, and [`Manager::end`](crate::Manager::end) needs the owner's user
/// id as well. It prints as 22 URL-safe characters, and is parsed from them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(pub(crate) [u8; 16]);

impl Handle {
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    /// Derives the handle of a record that was stored before records had one.
    pub(crate) fn of_id(id: &StorageId) -> Self {
        let mut handle = [0; 16];
        handle.copy_from_slice(
            &Sha256::new().chain_update("handle").chain_update(id.as_bytes()).finalize()[..16],
        );
        Self(handle)
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({self})")
    }
}

impl FromStr for Handle {
    type Err = Error;

    /// [`Codec`](ErrorKind::Codec) when the text is not 22 URL-safe characters. Answer it like a
    /// handle that names no session: the text comes from a client.
    fn from_str(text: &str) -> Result<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        let message = "a session handle has 22 characters: letters, digits, `-` and `_`";
        bytes.map(Self).ok_or_else(|| Error::new(ErrorKind::Codec, message))
    }
}

/// The largest size of all texts of a [`Device`] together.
const MAX_DEVICE_BYTES: usize = 1_024;

/// The device of a sign-in, as the application describes it, for a list of the user's sessions.
///
/// ```
/// use session_core::accounts::Device;
///
/// let device = Device::new().label("Firefox on Linux").ip("192.0.2.7").place("Bergen, Norway");
/// assert_eq!(device.get_label(), Some("Firefox on Linux"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Device {
    pub(crate) texts: [Option<Box<str>>; 4],
}

const LABEL: usize = 0;
const USER_AGENT: usize = 1;
const IP: usize = 2;
const PLACE: usize = 3;

impl Device {
    /// Creates a device without any description.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the name that the user knows the device by.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        self.with(LABEL, label)
    }

    /// Sets the `User-Agent` of the sign-in.
    #[must_use]
    pub fn user_agent(self, user_agent: impl Into<String>) -> Self {
        self.with(USER_AGENT, user_agent)
    }

    /// Sets the address that the sign-in came from.
    #[must_use]
    pub fn ip(self, ip: impl Into<String>) -> Self {
        self.with(IP, ip)
    }

    /// Sets the place that the sign-in came from.
    #[must_use]
    pub fn place(self, place: impl Into<String>) -> Self {
        self.with(PLACE, place)
    }

    /// Returns the name that the user knows the device by.
    pub fn get_label(&self) -> Option<&str> {
        self.texts[LABEL].as_deref()
    }

    /// Returns the `User-Agent` of the sign-in.
    pub fn get_user_agent(&self) -> Option<&str> {
        self.texts[USER_AGENT].as_deref()
    }

    /// Returns the address that the sign-in came from.
    pub fn get_ip(&self) -> Option<&str> {
        self.texts[IP].as_deref()
    }

    /// Returns the place that the sign-in came from.
    pub fn get_place(&self) -> Option<&str> {
        self.texts[PLACE].as_deref()
    }

    fn with(mut self, which: usize, text: impl Into<String>) -> Self {
        self.texts[which] = Some(text.into().into_boxed_str());
        self
    }

    /// [`TooLarge`](ErrorKind::TooLarge) when the texts exceed 1 KB together.
    pub(crate) fn check(&self) -> Result<()> {
        let bytes: usize = self.texts.iter().flatten().map(|text| text.len()).sum();
        if bytes <= MAX_DEVICE_BYTES {
            return Ok(());
        }
        let message = format!(
            "a device has {bytes} bytes of text, {MAX_DEVICE_BYTES} are allowed: shorten the user agent"
        );
        Err(Error::new(ErrorKind::TooLarge, message))
    }
}

/// The account part of a record's header. Only a session with an owner has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub handle: Handle,
    /// When the user last authenticated.
    pub authenticated: Timestamp,
    /// The idle timeout as of the last write. Together with the deadline it gives the time of the
    /// last use.
    pub idle: Duration,
    pub device: Option<Box<Device>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_parsed_from_what_it_prints() {
        let handle = Handle::random();
        let text = handle.to_string();
        assert_eq!((text.len(), text.parse().ok()), (22, Some(handle)));
        assert_eq!(format!("{handle:?}"), format!("Handle({text})"));
        assert_eq!(text[1..].parse::<Handle>().unwrap_err().kind(), ErrorKind::Codec);
    }

    #[test]
    fn a_device_has_the_texts_that_were_set() {
        let texts = |device: &Device| {
            let texts = [device.get_label(), device.get_user_agent(), device.get_ip(), device.get_place()];
            texts.map(|text| text.map(ToOwned::to_owned))
        };
        assert_eq!(texts(&Device::new()), [const { None }; 4]);
        let device = Device::new().label("phone").user_agent("Firefox").ip("192.0.2.1").place("Graz");
        let set = ["phone", "Firefox", "192.0.2.1", "Graz"].map(|text| Some(text.to_owned()));
        assert_eq!(texts(&device), set);
    }

    #[test]
    fn the_texts_of_a_device_are_limited_together() {
        let device = |bytes: usize| Device::new().label("12345678").user_agent("x".repeat(bytes - 8));
        assert!(device(MAX_DEVICE_BYTES).check().is_ok());
        let error = device(MAX_DEVICE_BYTES + 1).check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }
}
