//! An array or a map whose elements are being written.

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::Encoder;
use crate::record::msgpack::{CodecError, enter};

/// The kind of a compound: the header of an empty array or map.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Array = 0x90,
    Map = 0x80,
}

pub(super) struct Compound<'a, 'b> {
    encoder: &'a mut Encoder<'b>,
    kind: Kind,
    /// The position of the first element, if the header is written at the end because the length is
    /// unknown.
    late: Option<usize>,
    /// The number of missing elements; if the length is unknown, the number of written elements,
    /// negated.
    missing: usize,
}

impl<'a, 'b> Compound<'a, 'b> {
    /// Begins an array or a map.
    #[inline]
    pub(super) fn open(
        encoder: &'a mut Encoder<'b>,
        kind: Kind,
        length: Option<usize>,
    ) -> Result<Self, CodecError> {
        enter(&mut encoder.depth)?;
        let late = match length {
            Some(length) => {
                header(encoder, kind, length)?;
                None
            }
            None => Some(encoder.out.len()),
        };
        Ok(Self { encoder, kind, late, missing: length.unwrap_or_default() })
    }

    #[inline]
    pub(super) fn close(self) -> Result<(), CodecError> {
        self.encoder.depth -= 1;
        if self.missing == 0 && self.late.is_none() { Ok(()) } else { self.close_late() }
    }

    #[cold]
    fn close_late(self) -> Result<(), CodecError> {
        let Self { encoder, kind, late, missing } = self;
        let start = late.ok_or_else(|| {
            CodecError::new("its Serialize wrote a different number of elements than it announced")
        })?;
        let bytes = encoder.out.len() - start;
        encoder.prepend(bytes, |encoder| header(encoder, kind, missing.wrapping_neg()))
    }

    /// Writes elements, sorted by their bytes.
    pub(super) fn sorted<I: Iterator>(
        &mut self,
        elements: I,
        mut write: impl FnMut(&mut Self, I::Item) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        let first = self.encoder.out.len();
        let mut starts = Vec::with_capacity(elements.size_hint().0);
        for element in elements {
            starts.push(self.encoder.out.len());
            write(self, element)?;
        }
        let written = &self.encoder.out[..];
        let ends = starts.iter().skip(1).copied().chain([written.len()]);
        let mut parts: Vec<&[u8]> = starts.iter().zip(ends).map(|(from, to)| &written[*from..to]).collect();
        if !parts.is_sorted() {
            parts.sort_unstable();
            let sorted = parts.concat();
            self.encoder.out[first..].copy_from_slice(&sorted);
        }
        Ok(())
    }

    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        self.missing = self.missing.wrapping_sub(1);
        value.serialize(&mut *self.encoder)
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), CodecError> {
        self.encoder.text(name)?;
        self.element(value)
    }
}

#[inline]
fn header(encoder: &mut Encoder<'_>, kind: Kind, length: usize) -> Result<(), CodecError> {
    match u8::try_from(length) {
        Ok(length @ 0..=15) => {
            encoder.out.push(kind as u8 | length);
            Ok(())
        }
        _ => long_header(encoder, kind, length),
    }
}

fn long_header(encoder: &mut Encoder<'_>, kind: Kind, length: usize) -> Result<(), CodecError> {
    let length = u32::try_from(length).map_err(|_| CodecError::too_long())?;
    let (medium, large) = if kind == Kind::Array { (0xdc, 0xdd) } else { (0xde, 0xdf) };
    match u16::try_from(length) {
        Ok(length) => encoder.number(medium, length.to_be_bytes()),
        Err(_) => encoder.number(large, length.to_be_bytes()),
    }
    Ok(())
}

impl SerializeSeq for Compound<'_, '_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        self.element(value)
    }

    fn end(self) -> Result<(), CodecError> {
        self.close()
    }
}

impl SerializeTuple for Compound<'_, '_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        self.element(value)
    }

    fn end(self) -> Result<(), CodecError> {
        self.close()
    }
}

impl SerializeTupleStruct for Compound<'_, '_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        self.element(value)
    }

    fn end(self) -> Result<(), CodecError> {
        self.close()
    }
}

impl SerializeTupleVariant for Compound<'_, '_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        self.element(value)
    }

    fn end(self) -> Result<(), CodecError> {
        self.close()
    }
}

impl SerializeMap for Compound<'_, '_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), CodecError> {
        key.serialize(&mut *self.encoder)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        self.element(value)
    }

    fn end(self) -> Result<(), CodecError> {
        self.close()
    }
}

impl SerializeStruct for Compound<'_, '_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), CodecError> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), CodecError> {
        self.close()
    }
}

impl SerializeStructVariant for Compound<'_, '_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), CodecError> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), CodecError> {
        self.close()
    }
}
