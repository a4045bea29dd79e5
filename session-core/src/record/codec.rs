//! The binary encoding of a record. The layout, with all numbers big-endian:
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 3 | `SSN` |
//! | 3 | 1 | format: 1, or 2 when there are details |
//! | 4 | 1 | state: 0 live, 1 moved to a hashed id, 2 moved to a plain id |
//! | 5 | 1 | 1 when there is an owner |
//! | 6 | 2 | the length of the details that follow the header; zero in format 1 |
//! | 8 | 8 | version token |
//! | 16 | 8 | created, Unix milliseconds |
//! | 24 | 8 | absolute deadline, Unix milliseconds |
//! | 32 | 8 | idle deadline, Unix milliseconds (not covered by the checksum, so that a touch can write it in place) |
//! | 40 | 32 | owner, or zeros |
//! | 72 | 56 | the seven previous version tokens, newest first |
//! | 128 | 4 | CRC-32 of everything else except the idle deadline |
//! | 132 | | format 2: the details, each a tag (1 byte), a length (2 bytes) and a value |
//! | | | live: the body; moved: the new storage id |
//!
//! | tag | bytes | value |
//! |---|---|---|
//! | 1 | 9 | when the id was renewed, Unix milliseconds, and 1 when the old id has a grace period |
//! | 2 | 32 | of a session with an owner: its handle (16), when the user authenticated, Unix milliseconds (8), its idle timeout in milliseconds (8) |
//! | 3 to 6 | | its device: label, user agent, address and place, UTF-8 |
//!
//! A session without details is written in format 1, so that processes of the previous version can
//! read it during a rollout. Tombstones have no details.

use std::time::Duration;

use super::body::corrupt;
use super::header::{Details, Renewed, VERSIONS};
use super::{Account, Body, Handle, Header, Owner, Record, State, Version};
use crate::clock::Timestamp;
use crate::id::StorageId;
use crate::{Error, ErrorKind, Result};

/// The length of everything before the body.
pub const HEADER_BYTES: usize = 132;

const MAGIC: &[u8; 3] = b"SSN";
const FORMAT: u8 = 1;
/// The newest format that this version writes and reads; older ones are read too.
pub const NEWEST_FORMAT: u8 = 2;
const CHECKSUM: usize = 128;

pub(super) fn encode(record: &Record) -> Result<Vec<u8>> {
    let Header { state, versions, created, absolute, deadline, owner, details } = &record.header;
    let details = details.as_ref().map(|details| encode_details(details)).unwrap_or_default();
    let mut out = Vec::with_capacity(HEADER_BYTES + 16 + record.body.bytes() + record.body.len() * 8);
    out.extend_from_slice(MAGIC);
    out.push(if details.is_empty() { FORMAT } else { NEWEST_FORMAT });
    out.push(match state {
        State::Live => 0,
        State::Moved(id) => 1 + u8::from(id.as_plain().is_some()),
    });
    out.push(u8::from(owner.is_some()));
    out.extend_from_slice(&u16::try_from(details.len()).unwrap_or(0).to_be_bytes());
    out.extend_from_slice(&versions[0].0.to_be_bytes());
    for time in [created, absolute, deadline] {
        out.extend_from_slice(&time.as_millis().to_be_bytes());
    }
    out.extend_from_slice(&owner.map_or([0; 32], |owner| owner.0));
    for version in &versions[1..] {
        out.extend_from_slice(&version.0.to_be_bytes());
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&details);
    match state {
        State::Live => record.body.encode_into(&mut out)?,
        State::Moved(id) => out.extend_from_slice(id.as_bytes()),
    }
    let checksum = checksum(&out);
    out[CHECKSUM..HEADER_BYTES].copy_from_slice(&checksum.to_be_bytes());
    Ok(out)
}

pub(super) fn decode(bytes: &[u8]) -> Result<Record> {
    if !bytes.starts_with(MAGIC) || bytes.len() <= MAGIC.len() {
        return Err(corrupt("it is not a session record"));
    }
    let format = bytes[3];
    let details = bytes.get(6..8).map_or(0, |length| usize::from(u16::from_be_bytes([length[0], length[1]])));
    // Format 2 always has details, in full.
    let has_details = details > 0 && bytes.len() >= HEADER_BYTES + details;
    if format > NEWEST_FORMAT || (format == NEWEST_FORMAT && !has_details) {
        return Err(newer(format));
    }
    if format == 0 || bytes.len() < HEADER_BYTES {
        return Err(corrupt("its header is truncated or damaged"));
    }
    if u32::from_be_bytes(array(bytes, CHECKSUM)) != checksum(bytes) {
        return Err(corrupt("its checksum does not match"));
    }
    let number = |offset| u64::from_be_bytes(array(bytes, offset));
    let time = |offset| Timestamp::from_millis(number(offset));
    let mut versions = [Version(number(8)); VERSIONS];
    for (index, version) in versions.iter_mut().enumerate().skip(1) {
        *version = Version(number(64 + index * 8));
    }
    let rest = &bytes[HEADER_BYTES..];
    let details = if format == FORMAT { 0 } else { details };
    let (details, rest) =
        rest.split_at_checked(details).ok_or_else(|| corrupt("its header is truncated or damaged"))?;
    let details = if details.is_empty() { None } else { Some(Box::new(decode_details(details, format)?)) };
    let (state, body) = match bytes[4] {
        0 => (State::Live, Body::decode(rest)?),
        1 if rest.len() == 32 => (State::Moved(StorageId::from_hash(array(rest, 0))), Body::default()),
        2 => {
            let id = std::str::from_utf8(rest).ok().and_then(|id| StorageId::plain(id).ok());
            (State::Moved(id.ok_or_else(|| corrupt("it moved to an invalid id"))?), Body::default())
        }
        _ => return Err(corrupt("its state is unknown")),
    };
    let owner = match bytes[5] {
        0 => None,
        1 => Some(Owner(array(bytes, 40))),
        _ => return Err(corrupt("its owner is damaged")),
    };
    let header =
        Header { state, versions, created: time(16), absolute: time(24), deadline: time(32), owner, details };
    Ok(Record::new(header, body))
}

fn newer(format: u8) -> Error {
    let message = format!(
        "the record has format {format}, this version reads up to {NEWEST_FORMAT}: finish the upgrade"
    );
    Error::new(ErrorKind::Unsupported, message)
}

const RENEWED: u8 = 1;
const ACCOUNT: u8 = 2;
/// The tag of a device's first text.
const DEVICE: u8 = 3;

fn encode_details(details: &Details) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(Renewed { at, with_grace }) = details.renewed {
        detail(&mut out, RENEWED, &[&at.as_millis().to_be_bytes(), &[u8::from(with_grace)]]);
    }
    if let Some(Account { handle, authenticated, idle, device }) = &details.account {
        let idle = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        let times = [authenticated.as_millis().to_be_bytes(), idle.to_be_bytes()];
        detail(&mut out, ACCOUNT, &[&handle.0, &times[0], &times[1]]);
        let texts = device.iter().flat_map(|device| &device.texts);
        for (text, tag) in texts.zip(DEVICE..) {
            if let Some(text) = text {
                detail(&mut out, tag, &[text.as_bytes()]);
            }
        }
    }
    out
}

fn detail(out: &mut Vec<u8>, tag: u8, value: &[&[u8]]) {
    let length: usize = value.iter().map(|part| part.len()).sum();
    // `Device::check` has limited the texts to far less.
    let length = u16::try_from(length).unwrap_or_default();
    out.push(tag);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend(value.iter().copied().flatten());
}

/// Decodes the details; an unknown tag was written by a newer version.
fn decode_details(mut bytes: &[u8], format: u8) -> Result<Details> {
    let cut = || corrupt("its details are truncated or damaged");
    let mut details = Details::default();
    while let [tag, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        let number = |offset| u64::from_be_bytes(array(value, offset));
        match (*tag, value.len()) {
            (RENEWED, 9) => {
                let at = Timestamp::from_millis(number(0));
                details.renewed = Some(Renewed { at, with_grace: value[8] != 0 });
            }
            (ACCOUNT, 32) => {
                details.account = Some(Account {
                    handle: Handle(array(value, 0)),
                    authenticated: Timestamp::from_millis(number(16)),
                    idle: Duration::from_millis(number(24)),
                    device: None,
                });
            }
            (tag @ DEVICE..=6, _) => {
                let text = std::str::from_utf8(value).map_err(|_| cut())?;
                let account = details.account.as_mut().ok_or_else(cut)?;
                account.device.get_or_insert_default().texts[usize::from(tag - DEVICE)] = Some(text.into());
            }
            _ => return Err(newer(format)),
        }
        bytes = rest;
    }
    if bytes.is_empty() { Ok(details) } else { Err(cut()) }
}

fn checksum(record: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&record[..32]);
    hasher.update(&record[40..CHECKSUM]);
    hasher.update(&record[HEADER_BYTES..]);
    hasher.finalize()
}

/// Returns the `N` bytes at `offset`. The caller has checked the length.
fn array<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[offset..offset + N]);
    array
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Device, Value};
    use super::*;

    fn sample(entries: &[(&str, &str)]) -> Record {
        let time = Timestamp::from_millis;
        let mut header = Header::new(time(1), time(2_000), time(3_000)).next();
        header.owner = Some(Owner::of("ada"));
        let mut body = Body::default();
        for (key, value) in entries {
            body.insert(key, Value::encode(value).unwrap());
        }
        Record::new(header, body)
    }

    #[test]
    fn an_encoded_record_is_decoded() {
        let mut record = sample(&[("b", "2"), ("a", "1")]);
        assert_eq!(Record::decode(record.encode().unwrap()).unwrap(), record);
        record.header.owner = None;
        assert_eq!(Record::decode(record.encode().unwrap()).unwrap(), record);
        record.body.clear();
        for id in [StorageId::from_hash([7; 32]), StorageId::plain("xsnk").unwrap()] {
            record.header.state = State::Moved(id);
            assert_eq!(Record::decode(record.encode().unwrap()).unwrap(), record);
        }
    }

    #[test]
    fn details_follow_the_header_and_change_the_format() {
        let mut record = sample(&[("a", "1")]);
        assert_eq!(record.encode().unwrap()[3], 1);
        for with_grace in [false, true] {
            record.header.set_renewed(Some(Renewed { at: Timestamp::from_millis(7), with_grace }));
            record.header.set_account(with_grace.then(|| Account {
                handle: Handle::random(),
                authenticated: Timestamp::from_millis(9),
                idle: Duration::from_secs(3_600),
                device: Some(Box::new(
                    Device::new().label("Firefox").user_agent("x".repeat(900)).place("Bergen"),
                )),
            }));
            let bytes = record.encode().unwrap();
            assert_eq!(bytes[3], 2);
            assert_eq!(Record::decode(&bytes).unwrap(), record);
            for length in 0..bytes.len() {
                assert!(Record::decode(&bytes[..length]).is_err(), "cut to {length}");
            }
        }
    }

    #[test]
    fn a_newer_format_is_unsupported_and_not_corrupt() {
        let mut bytes = sample(&[]).encode().unwrap();
        bytes[3] = 2;
        assert_eq!(Record::decode(&bytes).unwrap_err().kind(), ErrorKind::Unsupported, "without details");
        bytes[3] = 3;
        assert_eq!(Record::decode(bytes).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(Record::decode(&b"SSN\x09"[..]).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_corrupt() {
        let record = sample(&[("user", "ada"), ("visits", "7")]);
        let bytes = record.encode().unwrap();
        for length in 0..bytes.len() {
            let error = Record::decode(&bytes[..length]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "cut to {length}");
        }
        for bit in (0..bytes.len() * 8).filter(|bit| !(32..40).contains(&(bit / 8)) && bit / 8 != 3) {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::decode(damaged).unwrap_err().kind(), ErrorKind::Corrupt, "bit {bit}");
        }
    }

    #[test]
    fn a_record_that_claims_to_be_huge_does_not_allocate() {
        let mut bytes = sample(&[]).encode().unwrap();
        bytes.truncate(HEADER_BYTES);
        bytes.extend_from_slice(&[253, 255, 255, 255, 255, 255, 255, 255, 127]);
        let sum = checksum(&bytes);
        bytes[CHECKSUM..HEADER_BYTES].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(Record::decode(bytes).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..600), fix: bool) {
            let mut bytes = body;
            if fix && bytes.len() >= HEADER_BYTES {
                bytes[..4].copy_from_slice(b"SSN\x01");
                bytes[4] %= 3;
                bytes[5] %= 2;
                let sum = checksum(&bytes);
                bytes[CHECKSUM..HEADER_BYTES].copy_from_slice(&sum.to_be_bytes());
            }
            if let Err(error) = Record::decode(bytes) {
                prop_assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported));
            }
        }

        #[test]
        fn any_session_survives_the_round_trip(entries in prop::collection::btree_map(".{0,20}", ".{0,80}", 0..20)) {
            let entries: Vec<_> = entries.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let record = sample(&entries);
            prop_assert_eq!(Record::decode(record.encode().unwrap()).unwrap(), record);
        }
    }
}
