//! A hash of a state that is the same for states with the same future.
//!
//! The state is written out as `Debug` has it. Two things in it depend on how it was reached and not on what comes
//! of it: points in time, which are made relative to now, and random names, which are numbered in the order in which
//! they appear.
//!
//! ```text
//!   Timestamp(1577836800123)                  ──►  Timestamp(+123)     now = …800000
//!   p.instance-0f9c2f6e-….a.1, 0f9c2f6e-…     ──►  p.instance-#0.a.1, #0
//! ```

use std::fmt;

use podium_core::model::time::Timestamp;
use rustc_hash::FxHashMap;

use crate::digest::Digest;

const UUID: usize = 36;
const TIMESTAMP: &str = "Timestamp(";

/// Takes in text, and hashes it in canonical form.
pub(super) struct Canonical {
    now: i64,
    text: String,
}

impl Canonical {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { now: now.as_millis(), text: String::new() }
    }

    /// The hash of what was taken in.
    pub(super) fn finish(self) -> u64 {
        let text = self.text.as_str();
        let mut names = FxHashMap::default();
        let mut digest = Digest::default();
        let (mut copied, mut at) = (0, 0);
        // Where the next of each is; most of the text is neither.
        let (mut dash, mut time) = (None, None);
        loop {
            let dash_at = *dash.get_or_insert_with(|| find(text, at, |rest| rest.find('-')));
            let time_at = *time.get_or_insert_with(|| find(text, at, |rest| rest.find(TIMESTAMP)));
            let next = dash_at.min(time_at);
            if next == text.len() {
                break;
            }
            let found = if next == time_at {
                time = None;
                timestamp_at(text, next)
                    .map(|(millis, length)| (next, millis.saturating_sub(self.now), length))
            } else {
                dash = None;
                // The first dash of a UUID comes after its first eight digits.
                let begin = next.checked_sub(8).filter(|begin| *begin >= copied);
                begin.and_then(|begin| {
                    let name = uuid_at(text, begin)?;
                    let number = names.len();
                    let number = *names.entry(name).or_insert(number);
                    Some((begin, i64::try_from(number).unwrap_or(i64::MAX), UUID))
                })
            };
            at = next + 1;
            if let Some((begin, value, length)) = found {
                digest.write_bytes(&text.as_bytes()[copied..begin]);
                digest.write_u64(value.cast_unsigned());
                copied = begin + length;
                at = copied;
                dash = dash.filter(|dash| *dash >= at);
                time = time.filter(|time| *time >= at);
            }
        }
        digest.write_bytes(&text.as_bytes()[copied..]);
        digest.finish()
    }
}

impl fmt::Write for Canonical {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text.push_str(text);
        Ok(())
    }
}

/// Where something is from `at` on; at the end if nowhere.
fn find(text: &str, at: usize, search: impl Fn(&str) -> Option<usize>) -> usize {
    text.get(at..).and_then(search).map_or(text.len(), |found| at + found)
}

/// The UUID that begins at `at`.
fn uuid_at(text: &str, at: usize) -> Option<&str> {
    let candidate = text.get(at..at + UUID)?;
    let fits = |(index, byte): (usize, u8)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    candidate.bytes().enumerate().all(fits).then_some(candidate)
}

/// The milliseconds of the `Timestamp(…)` that begins at `at`, and its length.
fn timestamp_at(text: &str, at: usize) -> Option<(i64, usize)> {
    let digits = text.get(at + TIMESTAMP.len()..)?;
    let length = digits.find(')')?;
    Some((digits[..length].parse().ok()?, TIMESTAMP.len() + length + 1))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn hash(now: i64, text: &str) -> u64 {
        let mut canonical = Canonical::new(Timestamp::from_millis(now));
        let _ = canonical.write_str(text);
        canonical.finish()
    }

    #[test]
    fn neither_the_time_nor_names_count() {
        let a = "0f9c2f6e-0000-7000-8000-000000000001";
        let b = "0f9c2f6e-0000-7000-8000-000000000002";
        let early = hash(1000, &format!("x.{a}.y {b} {a} at Timestamp(1500)"));
        assert_eq!(early, hash(4000, &format!("x.{b}.y {a} {b} at Timestamp(4500)")));
        assert_ne!(early, hash(1000, &format!("x.{a}.y {b} {b} at Timestamp(1500)")));
        assert_ne!(early, hash(1000, &format!("x.{a}.y {b} {a} at Timestamp(1501)")));
        assert_ne!(early, hash(1000, &format!("x.{a}.z {b} {a} at Timestamp(1500)")));
    }
}
