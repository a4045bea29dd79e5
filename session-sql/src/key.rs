//! A storage id as the 64 characters of a key column, and back.

use session_core::{Error, Result, StorageId};

/// How many characters the key column holds.
const LONGEST: usize = 64;

/// The storage id as text: 64 hexadecimal digits, or a raw id of at most as many characters.
pub fn key(id: &StorageId) -> Result<String> {
    let key = id.to_text();
    if key.len() > LONGEST {
        return Err(Error::config(format!(
            "a raw session id may have {LONGEST} characters here: use shorter ids, or let the manager hash them"
        )));
    }
    Ok(key)
}

/// The storage id that a key column shows; `like` is one of the same kind, hashed or raw.
pub fn storage_id(key: &str, like: &StorageId) -> Result<StorageId> {
    if like.as_plain().is_some() {
        return StorageId::plain(key);
    }
    let digit = |at: usize| key.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let mut hash = [0; 32];
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = digit(2 * index)
            .ok_or_else(|| Error::new(session_core::ErrorKind::Corrupt, "a key is no hash"))?;
    }
    Ok(StorageId::from_hash(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back_as_the_ids_they_were() {
        let hashed = StorageId::from_hash([0xa7; 32]);
        let plain = StorageId::plain("xsnkjklkjjkh27hjh78908").unwrap();
        for id in [&hashed, &plain, &StorageId::plain(&"a".repeat(64)).unwrap()] {
            assert_eq!(&storage_id(&key(id).unwrap(), id).unwrap(), id);
        }
        assert!(storage_id("xsnk", &hashed).is_err());
        assert!(key(&StorageId::plain(&"a".repeat(65)).unwrap()).is_err());
    }
}
