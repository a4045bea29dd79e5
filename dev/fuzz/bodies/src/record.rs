//! A record, as it comes from a store.

use session_core::record::{HEADER_BYTES, Record};

/// What decodes is written back as it was.
pub fn record(bytes: &[u8]) {
    read(bytes);
    // With a checksum that fits, or nothing behind it is ever reached.
    if bytes.len() >= HEADER_BYTES {
        read(&sealed(bytes));
    }
}

fn read(bytes: &[u8]) {
    let Ok(record) = Record::decode(bytes) else { return };
    for (_, value) in record.body.iter() {
        super::value(value.as_encoded());
    }
    let again = record.encode().and_then(Record::decode);
    assert_eq!(again.expect("it was decoded before"), record);
}

/// The bytes as a record of ours: `docs/record.md` has the layout.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[..3].copy_from_slice(b"SSN");
    let mut sum = crc32fast::Hasher::new();
    sum.update(&bytes[..32]);
    sum.update(&bytes[40..HEADER_BYTES - 4]);
    sum.update(&bytes[HEADER_BYTES..]);
    bytes[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&sum.finalize().to_be_bytes());
    bytes
}
