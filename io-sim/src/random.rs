//! The only sources of chance, with the few draws that a simulation needs.
//!
//! ```text
//!   plans:  seed of a part ──► ChaCha8, one draw after the other
//!   runs:   seed, name, how many of that name came before ──► hash ──► SplitMix64
//! ```
//!
//! In a run everything draws by its name ([`Named`]): how long a message takes depends on what it says, and not on how
//! many others were sent before it. So one more message, or a draw that code no longer makes, changes nobody else's
//! chance. A name is hashed with [`Digest`] and mixed with SplitMix64's last step; a generator is then worth two words,
//! and making one costs less than drawing from ChaCha8.
//!
//! Everything is integer arithmetic, so a seed gives the same draws on every machine.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use podium_core::model::ids::{ExecutorId, TaskId};
use podium_core::model::time::Timestamp;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng, TryRng};
use rustc_hash::FxHashMap;
use uuid::Uuid;

use crate::digest::Digest;

/// A seeded generator. Cloning it forks the future: both copies draw the same from here on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random<G = ChaCha8Rng>(G);

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
}

impl<G: Rng> Random<G> {
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
    pub fn uuid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// What one name draws.
pub type Draw = Random<SplitMix64>;

/// Chance by name: what is drawn depends on the seed and on what it is for, not on what else was drawn.
#[derive(Clone)]
pub struct Named {
    seed: u64,
    /// How often each name has come.
    counts: FxHashMap<u64, u32>,
}

impl Named {
    /// The chance of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, counts: FxHashMap::default() }
    }

    /// For the next thing of this name.
    pub fn next(&mut self, key: Key) -> Draw {
        let name = key.0.finish();
        let count = self.counts.entry(name).or_default();
        *count += 1;
        let nth = u64::from(*count);
        self.draw(name, nth)
    }

    /// For the only thing of this name.
    pub fn only(&self, key: Key) -> Draw {
        self.draw(key.0.finish(), 0)
    }

    fn draw(&self, name: u64, nth: u64) -> Draw {
        Random(SplitMix64(mix(mix(self.seed ^ name).wrapping_add(nth))))
    }
}

/// Nothing of it is part of what a state is: states with the same future have counted differently.
impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Named")
    }
}

/// The name of something that is left to chance.
#[derive(Clone, Copy)]
pub struct Key(Digest);

impl Key {
    /// Something of this kind.
    pub fn of(kind: &str) -> Self {
        Self(Digest::default()).text(kind)
    }

    /// Of the thing with this number.
    #[must_use]
    pub fn number(mut self, number: impl Into<u64>) -> Self {
        self.0.write_u64(number.into());
        self
    }

    /// Of the thing with this name.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.0.write_bytes(text.as_bytes());
        self
    }

    /// Of the status update with this UUID, which is itself drawn by name.
    #[must_use]
    pub fn uuid(self, uuid: &Uuid) -> Self {
        let (high, low) = uuid.as_u64_pair();
        self.number(high).number(low)
    }

    /// At this time: for what has no name of its own.
    #[must_use]
    pub fn moment(self, at: Timestamp) -> Self {
        self.number(at.as_millis().cast_unsigned())
    }

    /// Of a task, by its pod, container and launch: its UUID depends on what else the scheduler has drawn.
    #[must_use]
    pub fn task(self, id: &TaskId) -> Self {
        let text = id.as_str();
        let mut dots = text.bytes().enumerate().rev().filter(|(_, byte)| *byte == b'.').map(|(at, _)| at);
        let end = (dots.next(), dots.next()).1.unwrap_or(0);
        match end.checked_sub(UUID_LENGTH).and_then(|begin| text.get(..begin)) {
            Some(pod) => self.text(pod).text(&text[end..]),
            None => self.text(text),
        }
    }

    /// Of an executor, by its pod, likewise.
    #[must_use]
    pub fn executor(self, id: &ExecutorId) -> Self {
        let text = id.as_str();
        self.text(text.len().checked_sub(UUID_LENGTH).and_then(|begin| text.get(..begin)).unwrap_or(text))
    }
}

/// As [`Named`], it is nothing that states differ in.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// The length of a UUID as text.
const UUID_LENGTH: usize = 36;

/// Steele, Lea and Flood's generator: a counter and a mixing function.
#[derive(Clone, PartialEq, Eq)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
}

/// As ChaCha8's, it does not tell.
impl fmt::Debug for SplitMix64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SplitMix64")
    }
}

impl TryRng for SplitMix64 {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// SplitMix64's last step: every bit of `z` reaches every bit of the result.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
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
    fn names_draw_these_for_ever() {
        let mut named = Named::new(7);
        let mut bits = |key| named.next(key).bits();
        let drawn = [Key::of("a"), Key::of("a"), Key::of("b"), Key::of("a").number(1_u32)].map(&mut bits);
        assert_eq!(
            drawn,
            [
                6_156_805_389_489_360_808,
                16_970_267_482_021_969_313,
                14_133_696_835_886_781_630,
                2_598_520_313_619_076_974
            ]
        );
        let uuid = Named::new(7).only(Key::of("a")).uuid();
        assert_eq!(uuid.to_string(), "ac6391fb-d4ff-4823-81cd-687ad7f88dc9");
    }

    #[test]
    fn a_name_draws_the_same_whatever_else_is_drawn() {
        let (mut alone, mut busy) = (Named::new(7), Named::new(7));
        let key = Key::of("message").number(3_u32);
        let draws = |named: &mut Named| [0; 3].map(|_| named.next(key).below(1000));
        busy.next(Key::of("message").number(4_u32)).bits();
        assert_eq!(draws(&mut alone), draws(&mut busy));
        assert_ne!(draws(&mut alone), draws(&mut Named::new(8)));
    }

    #[test]
    fn tasks_and_executors_are_known_by_their_pods() {
        let name = |text: &str| Named::new(1).only(Key::of("x").task(&TaskId::new(text))).bits();
        let a = "shop_cart.instance-0190163d-8694-739b-aea5-966c26f8ad91.web.2";
        assert_eq!(name(a), name("shop_cart.instance-0190163d-0000-739b-aea5-966c26f8ad91.web.2"));
        for other in [
            "shop_card.instance-0190163d-8694-739b-aea5-966c26f8ad91.web.2",
            "shop_cart.instance-0190163d-8694-739b-aea5-966c26f8ad91.wet.2",
            "shop_cart.instance-0190163d-8694-739b-aea5-966c26f8ad91.web.3",
            "a.b",
            "",
        ] {
            assert_ne!(name(a), name(other), "{other}");
        }
        let name = |text: &str| Named::new(1).only(Key::of("x").executor(&ExecutorId::new(text))).bits();
        let a = "instance-shop_cart.0190163d-8694-739b-aea5-966c26f8ad91";
        assert_eq!(name(a), name("instance-shop_cart.0190163d-0000-739b-aea5-966c26f8ad91"));
        assert_ne!(name(a), name("instance-shop_card.0190163d-8694-739b-aea5-966c26f8ad91"));
    }

    #[test]
    fn names_draw_evenly() {
        let named = Named::new(3);
        let key = |n: u32| Key::of("latency").number(n);
        let mut hits = [0_u32; 10];
        for n in 0..10_000 {
            hits[named.only(key(n)).below(10) as usize] += 1;
        }
        assert!(hits.iter().all(|count| (900..1100).contains(count)), "{hits:?}");
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
