//! A storage id as the 64 characters of a key column.

use session_core::id::{StorageId, Token};

/// How many characters the key column holds.
pub(crate) const LONGEST: usize = 64;

/// The storage id as text: 64 hexadecimal digits. A raw id stands as it is, or hashed when it is longer.
pub fn key(id: &StorageId) -> String {
    let key = id.to_text();
    if key.len() <= LONGEST {
        return key;
    }
    Token::new(&key).map_or(key, |token| StorageId::of(&token).to_text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_fits_the_column_and_has_a_key_of_its_own() {
        let plain = |text: &str| StorageId::plain(text).unwrap();
        assert_eq!(key(&plain("xsnkjklkjjkh27hjh78908")), "xsnkjklkjjkh27hjh78908");
        let ids = ["a", "A", &"a".repeat(64), &"a".repeat(65), &"a".repeat(66), &"a".repeat(4096)].map(plain);
        let keys: std::collections::HashSet<_> =
            ids.iter().map(key).chain([key(&StorageId::from_hash([0xa7; 32]))]).collect();
        assert_eq!(keys.len(), 7);
        assert!(keys.iter().all(|key| key.len() <= 64));
    }
}
