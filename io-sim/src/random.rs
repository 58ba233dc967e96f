//! The only source of chance: a ChaCha8 generator with the few draws that a simulation needs.
//!
//! Everything is integer arithmetic, so a seed gives the same draws on every machine.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// A seeded generator. Cloning it forks the future: both copies draw the same from here on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The generator of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A generator of its own, so that one user's draws do not shift another's.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.bits())
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number from 0 to `n` - 1, each equally likely; 0 if `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        // Multiply and take the high half: the bias is below n / 2^64, far under anything a run can notice.
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included; `low` if the range is empty.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        match high.checked_sub(low) {
            None | Some(0) => low,
            Some(u64::MAX) => self.bits(),
            Some(width) => low + self.below(width + 1),
        }
    }

    /// True `per_mille` times out of a thousand.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < u64::from(per_mille)
    }

    /// A duration from `low` to `high`, both included, in whole milliseconds.
    pub fn duration(&mut self, low: Duration, high: Duration) -> Duration {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.between(millis(low), millis(high)))
    }

    /// An exponentially distributed duration with this mean, in whole milliseconds, at most sixteen times the
    /// mean: the waiting time until something that happens at a constant rate.
    pub fn exponential(&mut self, mean: Duration) -> Duration {
        let mean = u64::try_from(mean.as_millis()).unwrap_or(u64::MAX);
        // -ln(u) in units of 2^-32, from the leading zeros of u and a table-free logarithm of its fraction.
        let minus_ln = minus_ln_fixed(self.bits());
        let millis = (u128::from(mean) * u128::from(minus_ln)) >> 32;
        Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX).min(mean.saturating_mul(16)))
    }

    /// One of `items`, each equally likely.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = self.below(items.len() as u64);
        items.get(usize::try_from(index).unwrap_or(usize::MAX))
    }

    /// Puts `items` into a random order, each equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let other = self.below(end as u64 + 1);
            items.swap(end, usize::try_from(other).unwrap_or(end));
        }
    }

    /// A version 4 UUID.
    pub fn uuid(&mut self) -> uuid::Uuid {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// -ln(x / 2^64) in units of 2^-32, for x > 0; the largest value for x = 0.
///
/// ln is computed bit by bit: squaring the mantissa doubles its logarithm, and each overflow past 2 is a bit.
fn minus_ln_fixed(x: u64) -> u64 {
    const LN_2: u128 = 2_977_044_472; // ln 2 in units of 2^-32
    let x = x.max(1);
    let exponent = u128::from(x.leading_zeros()) + 1; // x = m * 2^(64 - exponent) with 1 <= m < 2
    let mut mantissa = u128::from(x) << x.leading_zeros() >> 32; // 1 <= m < 2 in units of 2^-31
    let mut log2: u128 = 0; // of the mantissa, in units of 2^-32
    for bit in (0..32).rev() {
        mantissa = (mantissa * mantissa) >> 31;
        if mantissa >= 1 << 32 {
            mantissa >>= 1;
            log2 |= 1 << bit;
        }
    }
    let minus_log2 = (exponent << 32) - log2;
    u64::try_from((minus_log2 * LN_2) >> 32).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A changed draw changes every seed's run, so it must never happen unnoticed.
    #[test]
    fn draws_are_these_for_ever() {
        let mut random = Random::new(7);
        let below: Vec<u64> = (0..8).map(|_| random.below(100)).collect();
        let waits: Vec<u128> =
            (0..6).map(|_| random.exponential(Duration::from_secs(10)).as_millis()).collect();
        let mut items = [1, 2, 3, 4, 5, 6];
        random.shuffle(&mut items);
        let drawn = (below, waits, items, random.uuid().to_string(), random.fork().bits());
        insta::assert_debug_snapshot!(drawn);
    }

    #[test]
    fn the_logarithm_is_one() {
        for x in [u64::MAX, 3 << 62, 1 << 63, 12_345_678_901_234, 1 << 32, 5, 1] {
            let got = minus_ln_fixed(x) as f64 / 4_294_967_296.0;
            let expected = -(x as f64 / 18_446_744_073_709_551_616.0).ln();
            assert!((got - expected).abs() < 1e-7, "-ln({x} / 2^64) = {got}, expected {expected}");
        }
    }

    #[test]
    fn ranges_include_their_ends() {
        let mut random = Random::new(1);
        let draws: Vec<u64> = (0..200).map(|_| random.between(3, 5)).collect();
        for expected in 3..=5 {
            assert!(draws.contains(&expected));
        }
        assert!(draws.iter().all(|draw| (3..=5).contains(draw)));
        assert_eq!((random.between(9, 2), random.below(0), random.between(4, 4)), (9, 0, 4));
        assert_eq!(random.pick::<u8>(&[]), None);
    }

    #[test]
    fn the_mean_is_about_right() {
        let mut random = Random::new(3);
        let sum: u128 = (0..10_000).map(|_| random.exponential(Duration::from_secs(1)).as_millis()).sum();
        assert!((9_700_000..10_300_000).contains(&sum), "{sum}");
        let hits = (0..10_000).filter(|_| random.chance(250)).count();
        assert!((2_350..2_650).contains(&hits), "{hits}");
    }
}
