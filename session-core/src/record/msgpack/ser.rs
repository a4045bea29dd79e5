//! Encoding.

mod compound;

use std::fmt::{self, Display, Write as _};

use serde::Serialize;
use serde::ser::{SerializeMap as _, SerializeSeq as _, Serializer};

use super::{CodecError, NIL, SOME, enter};
use compound::{Compound, Kind};

/// Appends the encoded form of a value.
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    value.serialize(&mut Encoder { out, depth: 0, wrappers: 0 })
}

struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    /// The number of open arrays and maps.
    depth: u8,
    /// The number of open newtype variants.
    wrappers: u8,
}

impl Encoder<'_> {
    fn unsigned(&mut self, number: u64) {
        if number < 0x80 {
            self.out.push(number.to_be_bytes()[7]);
        } else if let Ok(number) = u8::try_from(number) {
            self.out.extend_from_slice(&[0xcc, number]);
        } else if let Ok(number) = u16::try_from(number) {
            self.number(0xcd, number.to_be_bytes());
        } else if let Ok(number) = u32::try_from(number) {
            self.number(0xce, number.to_be_bytes());
        } else {
            self.number(0xcf, number.to_be_bytes());
        }
    }

    fn signed(&mut self, number: i64) {
        if let Ok(number) = u64::try_from(number) {
            self.unsigned(number);
        } else if number >= -32 {
            self.out.push(number.to_be_bytes()[7]);
        } else if let Ok(number) = i8::try_from(number) {
            self.number(0xd0, number.to_be_bytes());
        } else if let Ok(number) = i16::try_from(number) {
            self.number(0xd1, number.to_be_bytes());
        } else if let Ok(number) = i32::try_from(number) {
            self.number(0xd2, number.to_be_bytes());
        } else {
            self.number(0xd3, number.to_be_bytes());
        }
    }

    fn number<const N: usize>(&mut self, mark: u8, bytes: [u8; N]) {
        self.out.push(mark);
        self.out.extend_from_slice(&bytes);
    }

    #[inline]
    fn text(&mut self, text: &str) -> Result<(), CodecError> {
        self.text_header(text.len())?;
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    #[inline]
    fn text_header(&mut self, length: usize) -> Result<(), CodecError> {
        match u8::try_from(length) {
            Ok(length @ 0..=31) => {
                self.out.push(0xa0 | length);
                Ok(())
            }
            _ => self.long([0xd9, 0xda, 0xdb], length),
        }
    }

    /// Writes the header of a long value: the mark for a length of one, two or four bytes, and the
    /// length.
    fn long(&mut self, marks: [u8; 3], length: usize) -> Result<(), CodecError> {
        if let Ok(length) = u8::try_from(length) {
            self.number(marks[0], [length]);
        } else if let Ok(length) = u16::try_from(length) {
            self.number(marks[1], length.to_be_bytes());
        } else {
            let length = u32::try_from(length).map_err(|_| CodecError::too_long())?;
            self.number(marks[2], length.to_be_bytes());
        }
        Ok(())
    }

    /// Inserts a prefix before the last `written` bytes.
    fn prepend(
        &mut self,
        written: usize,
        write: impl FnOnce(&mut Self) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        let end = self.out.len();
        write(self)?;
        let added = self.out.len() - end;
        self.out[end - written..].rotate_right(added);
        Ok(())
    }

    /// Begins a variant with a value: a map of its name to the value.
    fn variant(&mut self, name: &str) -> Result<(), CodecError> {
        self.out.push(0x81);
        self.text(name)
    }
}

/// Returns whether `I` iterates over a map or set in an arbitrary order, which differs between
/// equal ones. An unrecognised type keeps its order, which is always correct and at worst costs a
/// rewrite.
fn is_unordered<I>() -> bool {
    let name = std::any::type_name::<I>();
    name.starts_with("&std::collections::hash::map::HashMap<")
        || name.starts_with("&std::collections::hash::set::HashSet<")
        || name.starts_with("&hashbrown::map::HashMap<")
        || name.starts_with("&hashbrown::set::HashSet<")
}

/// Returns the number of elements, if the iterator knows it.
fn exact<I: Iterator>(iterator: &I) -> Option<usize> {
    match iterator.size_hint() {
        (low, Some(high)) if low == high => Some(low),
        _ => None,
    }
}

impl<'a, 'b> Serializer for &'a mut Encoder<'b> {
    type Ok = ();
    type Error = CodecError;
    type SerializeSeq = Compound<'a, 'b>;
    type SerializeTuple = Compound<'a, 'b>;
    type SerializeTupleStruct = Compound<'a, 'b>;
    type SerializeTupleVariant = Compound<'a, 'b>;
    type SerializeMap = Compound<'a, 'b>;
    type SerializeStruct = Compound<'a, 'b>;
    type SerializeStructVariant = Compound<'a, 'b>;

    fn is_human_readable(&self) -> bool {
        true
    }

    fn serialize_bool(self, value: bool) -> Result<(), CodecError> {
        self.out.push(0xc2 | u8::from(value));
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), CodecError> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), CodecError> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), CodecError> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<(), CodecError> {
        self.signed(value);
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Result<(), CodecError> {
        // A number that fits is written as an ordinary one, so that the type of a field may change.
        if let Ok(number) = i64::try_from(value) {
            self.signed(number);
            return Ok(());
        }
        self.serialize_bytes(&value.to_be_bytes())
    }

    fn serialize_u8(self, value: u8) -> Result<(), CodecError> {
        self.serialize_u64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), CodecError> {
        self.serialize_u64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), CodecError> {
        self.serialize_u64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<(), CodecError> {
        self.unsigned(value);
        Ok(())
    }

    fn serialize_u128(self, value: u128) -> Result<(), CodecError> {
        if let Ok(number) = u64::try_from(value) {
            self.unsigned(number);
            return Ok(());
        }
        self.serialize_bytes(&value.to_be_bytes())
    }

    fn serialize_f32(self, value: f32) -> Result<(), CodecError> {
        self.number(0xca, value.to_be_bytes());
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<(), CodecError> {
        self.number(0xcb, value.to_be_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), CodecError> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), CodecError> {
        self.text(value)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), CodecError> {
        struct Text<'a>(&'a mut Vec<u8>);
        impl fmt::Write for Text<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
        let start = self.out.len();
        write!(Text(self.out), "{value}").map_err(|_| CodecError::new("its Display failed"))?;
        let length = self.out.len() - start;
        self.prepend(length, |encoder| encoder.text_header(length))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), CodecError> {
        self.long([0xc4, 0xc5, 0xc6], value.len())?;
        self.out.extend_from_slice(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), CodecError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), CodecError> {
        let start = self.out.len();
        value.serialize(&mut *self)?;
        let written = &self.out[start..];
        if !matches!(written, [NIL] | [0xd4, SOME, ..] | [0xc7, _, SOME, ..]) {
            return Ok(());
        }
        let length = written.len();
        let short = u8::try_from(length).map_err(|_| CodecError::too_deep())?;
        self.prepend(length, |encoder| {
            match short {
                1 => encoder.out.extend_from_slice(&[0xd4, SOME]),
                _ => encoder.out.extend_from_slice(&[0xc7, short, SOME]),
            }
            Ok(())
        })
    }

    fn serialize_unit(self) -> Result<(), CodecError> {
        self.out.push(NIL);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), CodecError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), CodecError> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), CodecError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), CodecError> {
        enter(&mut self.wrappers)?;
        self.variant(variant)?;
        value.serialize(&mut *self)?;
        self.wrappers -= 1;
        Ok(())
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Compound<'a, 'b>, CodecError> {
        Compound::open(self, Kind::Array, length)
    }

    fn serialize_tuple(self, length: usize) -> Result<Compound<'a, 'b>, CodecError> {
        Compound::open(self, Kind::Array, Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Compound<'a, 'b>, CodecError> {
        Compound::open(self, Kind::Array, Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Compound<'a, 'b>, CodecError> {
        self.variant(variant)?;
        Compound::open(self, Kind::Array, Some(length))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Compound<'a, 'b>, CodecError> {
        Compound::open(self, Kind::Map, length)
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Compound<'a, 'b>, CodecError> {
        Compound::open(self, Kind::Map, Some(length))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Compound<'a, 'b>, CodecError> {
        self.variant(variant)?;
        Compound::open(self, Kind::Map, Some(length))
    }

    fn collect_seq<I>(self, elements: I) -> Result<(), CodecError>
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        let is_unordered = is_unordered::<I>();
        let mut elements = elements.into_iter();
        let mut list = self.serialize_seq(exact(&elements))?;
        if is_unordered {
            list.sorted(elements, |list, element| list.serialize_element(&element))?;
        } else {
            elements.try_for_each(|element| list.serialize_element(&element))?;
        }
        list.close()
    }

    fn collect_map<K, V, I>(self, entries: I) -> Result<(), CodecError>
    where
        K: Serialize,
        V: Serialize,
        I: IntoIterator<Item = (K, V)>,
    {
        let is_unordered = is_unordered::<I>();
        let mut entries = entries.into_iter();
        let mut map = self.serialize_map(exact(&entries))?;
        if is_unordered {
            map.sorted(entries, |map, (key, value)| map.serialize_entry(&key, &value))?;
        } else {
            entries.try_for_each(|(key, value)| map.serialize_entry(&key, &value))?;
        }
        map.close()
    }
}
