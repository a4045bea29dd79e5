//! Leaves zeros out of a record, so that the cookie is shorter.
//!
//! A record begins with a header of fixed width. In a session without an owner, or with few writes,
//! most of its words are zero: without them a new session's cookie is a fifth shorter.

/// The first byte of a record without its zero words. No record begins with it.
const COMPACT: u8 = 1;

const WORD: usize = 8;
/// The words that may be left out; each has a bit.
const WORDS: usize = 16;

/// Appends a record.
pub(crate) fn append(record: &[u8], to: &mut Vec<u8>) {
    let Some((head, rest)) = record.split_at_checked(WORDS * WORD) else {
        return to.extend_from_slice(record);
    };
    let is_zero = |word: &[u8]| word == [0; WORD];
    let words = || head.chunks_exact(WORD);
    let present = words().enumerate().fold(0, |bits, (at, word)| bits | u16::from(!is_zero(word)) << at);
    if present == u16::MAX {
        return to.extend_from_slice(record);
    }
    to.push(COMPACT);
    to.extend_from_slice(&present.to_be_bytes());
    for word in words().filter(|word| !is_zero(word)) {
        to.extend_from_slice(word);
    }
    to.extend_from_slice(rest);
}

/// Returns the record that was appended, or `None` if the bytes are not of this form.
pub(crate) fn restore(bytes: &[u8]) -> Option<Vec<u8>> {
    let Some((&COMPACT, rest)) = bytes.split_first() else { return Some(bytes.to_vec()) };
    let (present, mut rest) = rest.split_first_chunk()?;
    let present = u16::from_be_bytes(*present);
    let mut record = Vec::with_capacity(WORDS * WORD + rest.len());
    for at in 0..WORDS {
        let word = if present & 1 << at == 0 {
            &[0; WORD]
        } else {
            let (word, after) = rest.split_first_chunk()?;
            rest = after;
            word
        };
        record.extend_from_slice(word);
    }
    record.extend_from_slice(rest);
    Some(record)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn appended(record: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        append(record, &mut bytes);
        bytes
    }

    #[test]
    fn a_header_of_zeros_takes_three_bytes() {
        let mut record = vec![0; 200];
        record[0] = b'S';
        assert_eq!(appended(&record).len(), 200 - 15 * WORD + 3);
    }

    proptest! {
        #[test]
        fn every_record_is_restored_and_never_longer(
            words in prop::collection::vec(prop_oneof![Just(0), any::<u64>()], 0..20),
            rest in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let words: Vec<u8> = words.into_iter().flat_map(u64::to_be_bytes).collect();
            let record = [b"SSN\x01", &words[..], &rest].concat();
            let bytes = appended(&record);
            prop_assert!(bytes.len() <= record.len());
            prop_assert_eq!(restore(&bytes), Some(record));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(0..3_u8, 0..40)) {
            restore(&bytes);
        }
    }
}
