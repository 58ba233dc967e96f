//! All chance in the scheduler: drawn from a ChaCha generator that is seeded from outside, equal on every machine.
//!
//! Everything is drawn by its name and by how often that name was drawn before, and not one after the other: each name
//! has a stream of the generator of its own. So what one pod draws changes nothing for the others, and a draw that is
//! added to the code changes none of those that were there. A recorded run or a minimised failure stays what it was.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use rustc_hash::FxHashMap;

use crate::model::ids::Uuid;

/// The scheduler's source of chance.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    source: ChaCha8Rng,
    /// How often each name was drawn, by its hash. Never iterated.
    drawn: FxHashMap<u64, u64>,
    /// What [`Self::number_of`] begins with.
    key: u64,
}

/// A draw takes one block of the generator, which is so many words.
const WORDS_OF_DRAW: u128 = 16;

impl Random {
    /// A source that gives the same for the same `seed` and the same names.
    pub(crate) fn new(seed: u64) -> Self {
        let mut source = ChaCha8Rng::seed_from_u64(seed);
        let key = source.next_u64();
        Self { source, drawn: FxHashMap::default(), key }
    }

    /// The next random part of an id, for what `name` says.
    pub(crate) fn id_part(&mut self, name: &[&str]) -> [u8; 10] {
        let stream = hash(name);
        let drawn = self.drawn.entry(stream).or_default();
        let mut source = self.source.clone();
        source.set_stream(stream);
        source.set_word_pos(u128::from(*drawn) * WORDS_OF_DRAW);
        *drawn += 1;
        let mut part = [0; 10];
        source.fill_bytes(&mut part);
        part
    }

    /// The number of a launch: always the same for the same one. It costs next to nothing, and is no better than that: it
    /// spreads things, and keeps no secrets.
    pub(crate) fn number_of(&self, instance: Uuid, incarnation: u32) -> u64 {
        let (high, low) = instance.as_u64_pair();
        [high, low, u64::from(incarnation)].iter().fold(self.key, |mixed, word| mix(mixed ^ word))
    }
}

/// FNV-1a over the names and their ends.
fn hash(names: &[&str]) -> u64 {
    let bytes = names.iter().flat_map(|name| name.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The last step of SplitMix64.
fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recordings and minimised failures are replayed years later: what is drawn must never change.
    #[test]
    fn what_a_seed_gives_is_fixed() {
        let mut random = Random::new(42);
        let parts = [random.id_part(&["pod", "/p"]), random.id_part(&["pod", "/p"])];
        assert_eq!(
            parts,
            [[87, 216, 47, 179, 240, 70, 1, 116, 128, 69], [82, 34, 12, 118, 180, 58, 8, 52, 218, 197]]
        );
        assert_eq!(random.number_of(Uuid::from_u128(7), 1), 9309192938961892107);
    }

    #[test]
    fn what_others_draw_changes_nothing() {
        let [mut alone, mut among] = [Random::new(1), Random::new(1)];
        for _ in 0..3 {
            among.id_part(&["pod", "/q"]);
            among.id_part(&["pod/p"]);
            assert_eq!(alone.id_part(&["pod", "/p"]), among.id_part(&["pod", "/p"]));
        }
        assert_ne!(alone.id_part(&["pod", "/p"]), alone.id_part(&["pod", "/p"]));
        assert_ne!(Random::new(2).id_part(&["pod", "/p"]), Random::new(1).id_part(&["pod", "/p"]));
    }
}
