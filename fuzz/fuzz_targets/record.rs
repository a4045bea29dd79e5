//! A record and the values in it: what decodes is written back as it was, nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use session_core::Record;

fuzz_target!(|bytes: &[u8]| {
    let Ok(record) = Record::decode(bytes) else { return };
    for (_, value) in record.body.iter() {
        let _ = value.decode::<Vec<String>>();
        let _ = value.decode::<(u64, Option<String>)>();
    }
    let again = record.encode().and_then(Record::decode);
    assert_eq!(again.expect("it was decoded before"), record);
});
