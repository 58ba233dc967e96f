//! RecordIO: how the master cuts its endless answer to `SUBSCRIBE` into events.
//!
//! ```text
//!  1 2 1 \n  <121 bytes>  2 0 \n  <20 bytes>  …
//!  ─────────  ──────────
//!  length in   one event
//!  decimal
//! ```
//!
//! The boundaries of HTTP chunks and TCP segments mean nothing: a chunk may hold half a length or a hundred
//! records. [`Decoder`] therefore takes bytes in whatever pieces they come and hands out whole records.

use bytes::{Buf, Bytes, BytesMut};

/// The cap on a record's length unless told otherwise. One `OFFERS` event may hold the offers of all agents,
/// which is megabytes in a big cluster; the cap is only there to notice a broken length.
pub const DEFAULT_MAX_RECORD: usize = 256 << 20;

/// More digits than any 64-bit length has.
const MAX_HEADER: usize = 20;

/// The bytes are no RecordIO stream. Nothing after them can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The length is not a decimal number, or never ends.
    #[error("a record must begin with its length in decimal and a newline, not with {0:?}")]
    Header(String),
    /// The length is greater than what this decoder accepts.
    #[error("a record of {length} bytes is longer than the accepted {max} bytes")]
    TooLong {
        /// The length that was announced.
        length: u64,
        /// The greatest that is accepted.
        max: usize,
    },
}

/// Puts one record around `payload`.
pub fn encode(payload: &[u8]) -> Bytes {
    let mut record = payload.len().to_string().into_bytes();
    record.reserve_exact(1 + payload.len());
    record.push(b'\n');
    record.extend_from_slice(payload);
    record.into()
}

/// Cuts a byte stream into records: [`feed`](Self::feed) it what came, then call
/// [`next_record`](Self::next_record) until it has no more.
#[derive(Clone, Debug)]
pub struct Decoder {
    buffer: BytesMut,
    /// The length of the record that has begun, once its header is complete.
    length: Option<usize>,
    max: usize,
    failed: Option<RecordError>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_RECORD)
    }
}

impl Decoder {
    /// A decoder that accepts records of up to `max` bytes.
    pub fn new(max: usize) -> Self {
        Self { buffer: BytesMut::new(), length: None, max, failed: None }
    }

    /// Takes the next bytes of the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole record, or nothing until more bytes are fed. Empty records are skipped.
    ///
    /// # Errors
    /// The stream is broken; so is every later call.
    pub fn next_record(&mut self) -> Result<Option<Bytes>, RecordError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        loop {
            let length = match self.length {
                Some(length) => length,
                None => match self.header() {
                    Ok(Some(length)) => length,
                    Ok(None) => return Ok(None),
                    Err(error) => {
                        self.failed = Some(error.clone());
                        self.buffer = BytesMut::new();
                        return Err(error);
                    }
                },
            };
            self.length = Some(length);
            if self.buffer.len() < length {
                return Ok(None);
            }
            self.length = None;
            if length > 0 {
                return Ok(Some(self.buffer.split_to(length).freeze()));
            }
        }
    }

    /// Whether the bytes fed so far end between two records.
    pub fn is_at_boundary(&self) -> bool {
        self.length.is_none() && self.buffer.is_empty() && self.failed.is_none()
    }

    /// Takes a complete header off the buffer.
    fn header(&mut self) -> Result<Option<usize>, RecordError> {
        let window = &self.buffer[..self.buffer.len().min(MAX_HEADER + 1)];
        let digits = window.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(window.len());
        let broken = || RecordError::Header(String::from_utf8_lossy(window).into_owned());
        match window.get(digits) {
            None if digits <= MAX_HEADER => Ok(None),
            Some(b'\n') if digits > 0 => {
                let text = str::from_utf8(&window[..digits]).map_err(|_| broken())?;
                let length: u64 = text.parse().map_err(|_| broken())?;
                let max = self.max;
                let accepted = usize::try_from(length)
                    .ok()
                    .filter(|length| *length <= max)
                    .ok_or(RecordError::TooLong { length, max })?;
                self.buffer.advance(digits + 1);
                Ok(Some(accepted))
            }
            _ => Err(broken()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records(decoder: &mut Decoder) -> Result<Vec<Bytes>, RecordError> {
        std::iter::from_fn(|| decoder.next_record().transpose()).collect()
    }

    fn decode(bytes: &[u8]) -> Result<Vec<Bytes>, RecordError> {
        let mut decoder = Decoder::new(100);
        decoder.feed(bytes);
        records(&mut decoder)
    }

    #[test]
    fn whole_records_come_out_and_empty_ones_do_not() {
        assert_eq!(decode(b"3\nabc0\n005\nhello7\nhalf"), Ok(vec!["abc".into(), "hello".into()]));
        assert_eq!(&encode(b"hello")[..], b"5\nhello");
    }

    #[test]
    fn a_broken_header_is_an_error_for_good() {
        for bytes in ["\n", "x\n", "-1\n", "+1\na", " 1\na", "1 \na", "HTTP/1.1 500", "999999999999999999999"]
        {
            assert_eq!(
                decode(bytes.as_bytes()),
                Err(RecordError::Header(bytes[..bytes.len().min(21)].into()))
            );
        }
        assert!(
            matches!(decode(b"99999999999999999999\n"), Err(RecordError::Header(_))),
            "more than 64 bits"
        );
        let mut decoder = Decoder::default();
        decoder.feed(b"1\na?");
        assert_eq!(decoder.next_record(), Ok(Some("a".into())));
        let error = decoder.next_record().unwrap_err();
        decoder.feed(b"\n1\na");
        assert_eq!(decoder.next_record(), Err(error));
        assert!(!decoder.is_at_boundary());
    }

    #[test]
    fn a_record_above_the_cap_is_an_error_before_it_is_buffered() {
        assert_eq!(decode(b"101\n"), Err(RecordError::TooLong { length: 101, max: 100 }));
        assert_eq!(decode(b"100\n"), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_records(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let stream: Vec<u8> = payloads.iter().flat_map(|payload| encode(payload)).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let mut decoder = Decoder::default();
            let mut decoded = Vec::new();
            for piece in cuts.windows(2) {
                decoder.feed(&stream[piece[0]..piece[1]]);
                decoded.extend(records(&mut decoder).unwrap());
            }
            let expected: Vec<Bytes> = payloads.into_iter().filter(|p| !p.is_empty()).map(Bytes::from).collect();
            prop_assert_eq!(decoded, expected);
            prop_assert!(decoder.is_at_boundary());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }
    }
}
