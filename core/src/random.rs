//! All chance in the scheduler: a ChaCha generator, seeded from outside, equal on every machine.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// The scheduler's source of chance.
#[derive(Clone, Debug)]
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    /// A source that gives the same numbers for the same `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// The next number.
    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Fills `bytes`.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recordings and minimised failures are replayed years later: the numbers must never change.
    #[test]
    fn the_numbers_of_a_seed_are_fixed() {
        let mut random = Random::new(42);
        let numbers = [random.next_u64(), random.next_u64()];
        assert_eq!(numbers, [12_578_764_544_318_200_737, 17_529_487_244_874_322_312]);
    }
}
