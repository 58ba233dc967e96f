//! A fast hash of values that is the same on every machine, in every process and for ever.
//!
//! It is not made to withstand an attacker: it tells runs apart, and gives names to streams of chance.

use std::fmt::{self, Write as _};

use serde::ser::{self, Serialize};

/// Hashes what is written to it, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u64);

/// Odd, with as many ones as zeros, without a pattern: the first digits of pi.
const MULTIPLIER: u64 = 0x2b7e_1516_28ae_d2a7;
const START: u64 = 0x243f_6a88_85a3_08d3;

impl Default for Digest {
    fn default() -> Self {
        Self(START)
    }
}

impl Digest {
    /// Takes in a number.
    pub fn write_u64(&mut self, word: u64) {
        // Both halves of the product: otherwise the high bits of a word would never reach the low ones.
        let product = u128::from(self.0 ^ word) * u128::from(MULTIPLIER);
        self.0 = (product as u64) ^ ((product >> 64) as u64) ^ MULTIPLIER.rotate_left(word as u32 & 63);
    }

    /// Takes in bytes and their number.
    pub fn write_bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        // Most texts are short: to copy the rest into a word of its own would cost more than all else.
        let last = match bytes.last_chunk() {
            Some(end) => u64::from_le_bytes(*end).checked_shr(64 - 8 * rest.len() as u32).unwrap_or(0),
            None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        self.write_u64(last);
        self.write_u64(bytes.len() as u64);
    }

    /// Takes in everything that `value` would write to a file.
    pub fn write(&mut self, value: &(impl Serialize + ?Sized)) {
        // Nothing below fails, and no `Serialize` of ours does by itself.
        let _ = value.serialize(&mut *self);
    }

    /// The hash of what was written so far.
    pub fn finish(self) -> u64 {
        self.0
    }

    /// The hash of `parts`: a seed for a stream of chance of this name.
    pub fn of(parts: &[&str]) -> u64 {
        let mut digest = Self::default();
        for part in parts {
            digest.write_bytes(part.as_bytes());
        }
        digest.finish()
    }
}

/// Takes in text as it is being formatted.
impl fmt::Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write_bytes(text.as_bytes());
        Ok(())
    }
}

/// Never happens. It says nothing, so that to look for it everywhere costs nothing.
#[derive(Debug, thiserror::Error)]
#[error("the value cannot be hashed")]
pub struct Unhashable;

impl ser::Error for Unhashable {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self
    }
}

macro_rules! write_number {
    ($($method:ident: $type:ty,)*) => {$(
        fn $method(self, value: $type) -> Result<(), Unhashable> {
            #[allow(clippy::cast_lossless, clippy::cast_sign_loss, clippy::cast_possible_truncation)]
            self.write_u64(value as u64);
            Ok(())
        }
    )*};
}

impl ser::Serializer for &mut Digest {
    type Ok = ();
    type Error = Unhashable;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    write_number! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_char: char,
    }

    fn serialize_f32(self, value: f32) -> Result<(), Unhashable> {
        self.serialize_u32(value.to_bits())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Unhashable> {
        self.serialize_u64(value.to_bits())
    }

    fn serialize_str(self, value: &str) -> Result<(), Unhashable> {
        self.serialize_bytes(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unhashable> {
        self.write_bytes(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Unhashable> {
        self.serialize_u8(0)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unhashable> {
        self.write_u64(1);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Unhashable> {
        self.serialize_u8(2)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Unhashable> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
    ) -> Result<(), Unhashable> {
        self.serialize_u32(index)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Unhashable> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        value: &T,
    ) -> Result<(), Unhashable> {
        self.write_u64(u64::from(index));
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Unhashable> {
        self.write_u64(length.map_or(u64::MAX, |length| length as u64));
        Ok(self)
    }

    fn serialize_tuple(self, length: usize) -> Result<Self, Unhashable> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _name: &'static str, length: usize) -> Result<Self, Unhashable> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self, Unhashable> {
        self.serialize_seq(Some(index as usize))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self, Unhashable> {
        self.serialize_seq(length)
    }

    fn serialize_struct(self, _name: &'static str, length: usize) -> Result<Self, Unhashable> {
        self.serialize_seq(Some(length))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self, Unhashable> {
        self.serialize_seq(Some(index as usize))
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), Unhashable> {
        write!(self, "{value}").map_err(ser::Error::custom)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Compound values add nothing of their own: their length was written at their start.
macro_rules! write_elements {
    ($($trait:ident: $method:ident,)*) => {$(
        impl ser::$trait for &mut Digest {
            type Ok = ();
            type Error = Unhashable;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unhashable> {
                value.serialize(&mut **self)
            }

            fn end(self) -> Result<(), Unhashable> {
                Ok(())
            }
        }
    )*};
}

write_elements! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field,
}

impl ser::SerializeMap for &mut Digest {
    type Ok = ();
    type Error = Unhashable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unhashable> {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unhashable> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Unhashable> {
        Ok(())
    }
}

macro_rules! write_fields {
    ($($trait:ident,)*) => {$(
        impl ser::$trait for &mut Digest {
            type Ok = ();
            type Error = Unhashable;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                _name: &'static str,
                value: &T,
            ) -> Result<(), Unhashable> {
                value.serialize(&mut **self)
            }

            fn skip_field(&mut self, _name: &'static str) -> Result<(), Unhashable> {
                // A field that is left out must not look like the one after it.
                self.write_u64(3);
                Ok(())
            }

            fn end(self) -> Result<(), Unhashable> {
                Ok(())
            }
        }
    )*};
}

write_fields! {
    SerializeStruct,
    SerializeStructVariant,
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_core::model::mesos::{Call, Event};
    use podium_core::model::time::Timestamp;

    fn hash(value: &(impl Serialize + ?Sized)) -> u64 {
        let mut digest = Digest::default();
        digest.write(value);
        digest.finish()
    }

    /// A changed hash would give every seed another run.
    #[test]
    fn hashes_are_these_for_ever() {
        let offer = Event::Rescind("o1".into());
        let call = Call::Kill { task_id: "t".into(), agent_id: None, grace_period: None };
        let hashes = [hash(&offer), hash(&call), hash("podium"), Digest::of(&["a", "b"])];
        insta::assert_debug_snapshot!(hashes.map(|hash| format!("{hash:016x}")));
    }

    #[test]
    fn values_that_differ_hash_differently() {
        let values = [
            hash(&(1u8, 2u8)),
            hash(&(2u8, 1u8)),
            hash(&Some(1u8)),
            hash(&None::<u8>),
            hash(&1u8),
            hash("1"),
            hash(""),
            hash(&("a", "bc")),
            hash(&("ab", "c")),
            hash(&1.5f64),
            hash(&Timestamp::from_millis(1_000)),
            hash(&Timestamp::from_millis(2_000)),
        ];
        for (index, value) in values.iter().enumerate() {
            assert!(!values[..index].contains(value), "{index}");
        }
    }

    /// The last word of a text is what is left of it, and zeros.
    #[test]
    fn texts_of_all_lengths_hash_by_words() {
        let text: Vec<u8> = (1..=32).collect();
        for length in 0..=text.len() {
            let mut padded = text[..length].to_vec();
            padded.resize(length / 8 * 8 + 8, 0);
            let mut by_words = Digest::default();
            for word in padded.as_chunks().0 {
                by_words.write_u64(u64::from_le_bytes(*word));
            }
            by_words.write_u64(length as u64);
            let mut digest = Digest::default();
            digest.write_bytes(&text[..length]);
            assert_eq!(digest, by_words, "{length}");
        }
    }

    #[test]
    fn bits_spread() {
        let mut ones = [0u32; 64];
        for n in 0..1000u64 {
            let mut digest = Digest::default();
            digest.write_u64(n);
            for (bit, count) in ones.iter_mut().enumerate() {
                *count += u32::from(digest.finish() >> bit & 1 == 1);
            }
        }
        assert!(ones.iter().all(|count| (350..650).contains(count)), "{ones:?}");
    }
}
