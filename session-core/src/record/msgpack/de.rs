//! Decoding.

mod access;

use std::cell::Cell;

use serde::Deserialize;
use serde::de::value::SeqDeserializer;
use serde::de::{Deserializer, Error as _, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::{CodecError, NIL, SOME, enter};
use access::{Elements, UnitVariant, Variant};

/// Decodes the output of [`encode`](super::encode), which must fill `bytes`.
pub fn decode<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, CodecError> {
    let mut decoder = Decoder::new(bytes, true);
    match T::deserialize(&mut decoder) {
        Ok(value) if decoder.rest.is_empty() => Ok(value),
        // Only a type with two forms asks which one to read.
        result if decoder.asked.get() => decode_compact(bytes).map_err(|_| failure(result)),
        result => Err(failure(result)),
    }
}

/// Decodes the output of an earlier version, which stored the compact form of types that have one.
#[cold]
fn decode_compact<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, CodecError> {
    let mut decoder = Decoder::new(bytes, false);
    match T::deserialize(&mut decoder) {
        Ok(value) if decoder.rest.is_empty() => Ok(value),
        result => Err(failure(result)),
    }
}

#[cold]
fn failure<T>(result: Result<T, CodecError>) -> CodecError {
    result.err().unwrap_or_else(|| CodecError::new("there are extra bytes after it"))
}

struct Decoder<'de> {
    rest: &'de [u8],
    /// Whether types are read in their human-readable form.
    human: bool,
    /// Whether a type asked for this.
    asked: Cell<bool>,
    /// The number of open arrays and maps.
    depth: u8,
    /// The number of open newtype variants, and options in options.
    wrappers: u8,
}

impl<'de> Decoder<'de> {
    const fn new(bytes: &'de [u8], human: bool) -> Self {
        Self { rest: bytes, human, asked: Cell::new(false), depth: 0, wrappers: 0 }
    }

    fn peek(&self) -> Result<u8, CodecError> {
        self.rest.first().copied().ok_or_else(CodecError::cut_short)
    }

    fn byte(&mut self) -> Result<u8, CodecError> {
        let (byte, rest) = self.rest.split_first().ok_or_else(CodecError::cut_short)?;
        self.rest = rest;
        Ok(*byte)
    }

    fn bytes(&mut self, length: usize) -> Result<&'de [u8], CodecError> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(CodecError::cut_short)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or_else(CodecError::cut_short)?;
        self.rest = rest;
        Ok(*array)
    }

    /// Reads a length of one, two or four bytes.
    fn length(&mut self, width: u8) -> Result<usize, CodecError> {
        let length = match width {
            0 => self.byte()?.into(),
            1 => u16::from_be_bytes(self.array()?).into(),
            _ => u32::from_be_bytes(self.array()?),
        };
        usize::try_from(length).map_err(|_| CodecError::cut_short())
    }

    /// Reads any value. `bytes_are_lists` is for list types that may have been written as bytes.
    fn any<V: Visitor<'de>>(&mut self, visitor: V, bytes_are_lists: bool) -> Result<V::Value, CodecError> {
        let mark = self.byte()?;
        self.marked(mark, visitor, bytes_are_lists)
    }

    fn marked<V: Visitor<'de>>(
        &mut self,
        mark: u8,
        visitor: V,
        bytes_are_lists: bool,
    ) -> Result<V::Value, CodecError> {
        match mark {
            0x80..=0x8f => self.map((mark & 0x0f).into(), visitor),
            0x90..=0x9f => self.list((mark & 0x0f).into(), visitor),
            0xa0..=0xbf => self.text((mark & 0x1f).into(), visitor),
            0xd9..=0xdb => {
                let length = self.length(mark - 0xd9)?;
                self.text(length, visitor)
            }
            0xc4..=0xc6 => {
                let length = self.length(mark - 0xc4)?;
                let bytes = self.bytes(length)?;
                if bytes_are_lists {
                    visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied()))
                } else {
                    visitor.visit_borrowed_bytes(bytes)
                }
            }
            0xdc | 0xdd => {
                let length = self.length(mark - 0xdb)?;
                self.list(length, visitor)
            }
            0xde | 0xdf => {
                let length = self.length(mark - 0xdd)?;
                self.map(length, visitor)
            }
            0xc7 | 0xd4 => self.some(mark, visitor),
            _ => self.scalar(mark, visitor),
        }
    }

    /// Reads a value that is most likely a small number.
    #[inline]
    fn number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, CodecError> {
        let mark = self.byte()?;
        if mark < 0x80 { visitor.visit_u8(mark) } else { self.marked(mark, visitor, false) }
    }

    /// Reads a value that is most likely a short text.
    #[inline]
    fn short_text<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, CodecError> {
        let mark = self.byte()?;
        match mark {
            0xa0..=0xbf => self.text((mark & 0x1f).into(), visitor),
            _ => self.marked(mark, visitor, false),
        }
    }

    fn text<V: Visitor<'de>>(&mut self, length: usize, visitor: V) -> Result<V::Value, CodecError> {
        let text = std::str::from_utf8(self.bytes(length)?);
        visitor.visit_borrowed_str(text.map_err(|_| CodecError::new("a text in it is not UTF-8"))?)
    }

    fn list<V: Visitor<'de>>(&mut self, length: usize, visitor: V) -> Result<V::Value, CodecError> {
        // Every element takes at least one byte, so a false length allocates nothing.
        if length > self.rest.len() {
            return Err(CodecError::cut_short());
        }
        enter(&mut self.depth)?;
        let mut elements = Elements { decoder: self, left: length };
        let value = visitor.visit_seq(&mut elements)?;
        elements.end()?;
        Ok(value)
    }

    fn map<V: Visitor<'de>>(&mut self, length: usize, visitor: V) -> Result<V::Value, CodecError> {
        if length > self.rest.len() / 2 {
            return Err(CodecError::cut_short());
        }
        enter(&mut self.depth)?;
        let mut entries = Elements { decoder: self, left: length };
        let value = visitor.visit_map(&mut entries)?;
        entries.end()?;
        Ok(value)
    }

    /// Reads the content of a `Some` that would read as `None` without its mark.
    fn some<V: Visitor<'de>>(&mut self, mark: u8, visitor: V) -> Result<V::Value, CodecError> {
        let length = if mark == 0xd4 { 1 } else { self.length(0)? };
        if self.byte()? != SOME || length > self.rest.len() {
            return Err(CodecError::new("there is an extension value of an unknown type in it"));
        }
        enter(&mut self.wrappers)?;
        let value = visitor.visit_some(&mut *self)?;
        self.wrappers -= 1;
        Ok(value)
    }

    #[inline(never)]
    fn scalar<V: Visitor<'de>>(&mut self, mark: u8, visitor: V) -> Result<V::Value, CodecError> {
        match mark {
            0x00..=0x7f => visitor.visit_u8(mark),
            0xe0..=0xff => visitor.visit_i8(i8::from_be_bytes([mark])),
            NIL => visitor.visit_unit(),
            0xc2 => visitor.visit_bool(false),
            0xc3 => visitor.visit_bool(true),
            0xca => visitor.visit_f32(f32::from_be_bytes(self.array()?)),
            0xcb => visitor.visit_f64(f64::from_be_bytes(self.array()?)),
            0xcc => visitor.visit_u8(self.byte()?),
            0xcd => visitor.visit_u16(u16::from_be_bytes(self.array()?)),
            0xce => visitor.visit_u32(u32::from_be_bytes(self.array()?)),
            0xcf => visitor.visit_u64(u64::from_be_bytes(self.array()?)),
            0xd0 => visitor.visit_i8(i8::from_be_bytes(self.array()?)),
            0xd1 => visitor.visit_i16(i16::from_be_bytes(self.array()?)),
            0xd2 => visitor.visit_i32(i32::from_be_bytes(self.array()?)),
            0xd3 => visitor.visit_i64(i64::from_be_bytes(self.array()?)),
            _ => Err(CodecError::new("there is an extension value of an unknown type in it")),
        }
    }

    /// Reads the sixteen bytes of a wide 128-bit integer; `None` if an ordinary number follows.
    fn wide(&mut self) -> Result<Option<[u8; 16]>, CodecError> {
        if !self.rest.starts_with(&[0xc4, 16]) {
            return Ok(None);
        }
        self.rest = &self.rest[2..];
        self.array().map(Some)
    }

    /// Skips one value, without recursion.
    fn skip(&mut self) -> Result<(), CodecError> {
        let mut values = 1_usize;
        while values > 0 {
            values -= 1;
            let mark = self.byte()?;
            let (bytes, inside) = match mark {
                0x00..=0x7f | 0xe0..=0xff | NIL | 0xc2 | 0xc3 => (0, 0),
                0x80..=0x8f => (0, usize::from(mark & 0x0f) * 2),
                0x90..=0x9f => (0, usize::from(mark & 0x0f)),
                0xa0..=0xbf => (usize::from(mark & 0x1f), 0),
                0xc4..=0xc6 => (self.length(mark - 0xc4)?, 0),
                0xd9..=0xdb => (self.length(mark - 0xd9)?, 0),
                0xcc | 0xd0 => (1, 0),
                0xcd | 0xd1 => (2, 0),
                0xca | 0xce | 0xd2 => (4, 0),
                0xcb | 0xcf | 0xd3 => (8, 0),
                0xdc | 0xdd => (0, self.length(mark - 0xdb)?),
                0xde | 0xdf => (0, self.length(mark - 0xdd)?.saturating_mul(2)),
                // Extension values. We write only those of one byte, or with a length.
                0xc7..=0xc9 => (self.length(mark - 0xc7)?.saturating_add(1), 0),
                0xd4..=0xd8 => ((1 << (mark - 0xd4)) + 1, 0),
                0xc1 => return Err(CodecError::new("there is a byte in it that MessagePack does not use")),
            };
            self.bytes(bytes)?;
            values = values.saturating_add(inside);
        }
        Ok(())
    }
}

impl<'de> Deserializer<'de> for &mut Decoder<'de> {
    type Error = CodecError;

    fn is_human_readable(&self) -> bool {
        self.asked.set(true);
        self.human
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.any(visitor, false)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.peek()? {
            NIL => {
                self.byte()?;
                visitor.visit_none()
            }
            mark @ (0xc7 | 0xd4) => {
                self.byte()?;
                self.some(mark, visitor)
            }
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        match self.byte()? {
            NIL | 0x90 => visitor.visit_unit(),
            _ => Err(CodecError::invalid_type(Unexpected::Other("a value"), &visitor)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        let mark = self.peek()?;
        if mark != 0x81 {
            return visitor.visit_enum(UnitVariant(self));
        }
        self.byte()?;
        visitor.visit_enum(Variant(self))
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.wide()? {
            Some(bytes) => visitor.visit_i128(i128::from_be_bytes(bytes)),
            None => self.any(visitor, false),
        }
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.wide()? {
            Some(bytes) => visitor.visit_u128(u128::from_be_bytes(bytes)),
            None => self.any(visitor, false),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.any(visitor, true)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, CodecError> {
        self.any(visitor, true)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.any(visitor, true)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.any(visitor, true)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.skip()?;
        visitor.visit_unit()
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.number(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.number(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.number(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.number(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.short_text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.short_text(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.short_text(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 u8 u16 f32 f64 char bytes byte_buf unit map
    }
}
