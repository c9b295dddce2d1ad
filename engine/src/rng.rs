//! The only names for chance: seeded streams that are forked by label and key.
//!
//! Every component draws from a stream of its own, so that one more draw in one place moves
//! nothing in another. The streams are ChaCha8, whose words a standard fixes; what is made of the
//! words is made here and nowhere else, so that no update of a library moves a draw, and a golden
//! test holds it.

use md5::{Digest, Md5};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};

/// A deterministic stream of random numbers. Until the first is drawn it takes a few words of
/// memory and no time: most streams of a large simulation are never drawn from.
#[derive(Clone, Debug)]
pub struct Rng(Stream);

#[derive(Clone, Debug)]
enum Stream {
    Named { seed: u64, label: &'static str, key: u64 },
    Flowing(Box<ChaCha8Rng>),
}

impl Rng {
    /// The stream of the component `label` with number `key` in a run seeded with `seed`.
    pub fn fork(seed: u64, label: &'static str, key: u64) -> Self {
        Self(Stream::Named { seed, label, key })
    }

    /// A number for those who need no more than one of them, and no stream.
    pub(crate) fn word(seed: u64, label: &str, key: u64) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = hash(seed, label, key);
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// The same stream behind its first `count` words of 64 bits.
    pub(crate) fn behind(mut self, count: u64) -> Self {
        self.take(|stream| stream.set_word_pos(2 * u128::from(count)));
        self
    }

    /// Takes something from the stream, which flows from the first time on.
    fn take<T>(&mut self, take: impl FnOnce(&mut ChaCha8Rng) -> T) -> T {
        match &mut self.0 {
            Stream::Flowing(stream) => take(stream),
            &mut Stream::Named { seed, label, key } => {
                let mut bytes = [0; 32];
                bytes[..16].copy_from_slice(&hash(seed, label, key));
                bytes[16..24].copy_from_slice(&seed.to_le_bytes());
                bytes[24..].copy_from_slice(&key.to_le_bytes());
                let mut stream = Box::new(ChaCha8Rng::from_seed(bytes));
                let taken = take(&mut stream);
                self.0 = Stream::Flowing(stream);
                taken
            }
        }
    }

    /// Any 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.take(ChaCha8Rng::next_u64)
    }

    /// A number in `0..n`, uniform. Panics when `n` is zero.
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "there is no number below zero");
        // As u64 whatever the platform's usize, so that every machine draws alike.
        self.under(n as u64) as usize
    }

    /// A number in `low..=high`, uniform. Panics when `low` is above `high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "there is no number from {low} to {high}");
        match (high - low).checked_add(1) {
            Some(count) => low + self.under(count),
            None => self.bits(),
        }
    }

    /// The whole part of `bound` times a fraction of 64 random bits. Where more bits could change
    /// it, 64 more are drawn (Canon's method): what is left of a bias is below 2^-64.
    fn under(&mut self, bound: u64) -> u64 {
        let scaled = |bits: u64| u128::from(bits) * u128::from(bound);
        let product = scaled(self.bits());
        let (whole, rest) = ((product >> 64) as u64, product as u64);
        if rest <= bound.wrapping_neg() {
            return whole;
        }
        let more = (scaled(self.bits()) >> 64) as u64;
        whole + u64::from(rest.checked_add(more).is_none())
    }

    /// The same of 32 bits.
    fn under_u32(&mut self, bound: u32) -> u32 {
        let scaled = |bits: u32| u64::from(bits) * u64::from(bound);
        let product = scaled(self.take(ChaCha8Rng::next_u32));
        let (whole, rest) = ((product >> 32) as u32, product as u32);
        if rest <= bound.wrapping_neg() {
            return whole;
        }
        let more = (scaled(self.take(ChaCha8Rng::next_u32)) >> 32) as u32;
        whole + u32::from(rest.checked_add(more).is_none())
    }

    /// True with the given probability. Draws nothing when the answer is certain.
    pub fn chance(&mut self, probability: Probability) -> bool {
        match probability.0 {
            0 => false,
            Probability::ALWAYS => true,
            threshold => self.take(ChaCha8Rng::next_u32) < threshold,
        }
    }

    /// Puts a slice in random order. Panics when it has 2^32 items or more.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        assert!(items.len() < u32::MAX as usize, "an order of that many takes other draws");
        let mut places = Places { next: 1, digits: 0, left: 0 };
        for at in 1..items.len() {
            items.swap(at, places.draw(self));
        }
    }
}

/// Where the next item of a shuffle goes: among two places, then three, and so on. One draw serves
/// several, as a number whose digits have these bases.
struct Places {
    /// Items that are placed already.
    next: u32,
    digits: u32,
    left: u32,
}

impl Places {
    fn draw(&mut self, rng: &mut Rng) -> usize {
        let base = self.next + 1;
        if self.left == 0 {
            let (bound, count) = Self::digits_from(base);
            (self.digits, self.left) = (rng.under_u32(bound), count);
        }
        let place = self.digits % base;
        self.digits /= base;
        self.left -= 1;
        self.next = base;
        place as usize
    }

    /// As many bases from this one on as 32 bits have room for: their product, and how many.
    fn digits_from(base: u32) -> (u32, u32) {
        let (mut bound, mut count) = (base, 1);
        while let Some(more) = bound.checked_mul(base + count) {
            (bound, count) = (more, count + 1);
        }
        (bound, count)
    }
}

fn hash(seed: u64, label: &str, key: u64) -> [u8; 16] {
    let mut hasher = Md5::new();
    hasher.update(seed.to_le_bytes());
    hasher.update(key.to_le_bytes());
    hasher.update(label.as_bytes());
    hasher.finalize().into()
}

/// A probability as an exact threshold on 32 random bits: no floats where results must repeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Probability(u32);

impl Probability {
    const ALWAYS: u32 = u32::MAX;

    /// Never.
    pub const ZERO: Self = Self(0);
    /// Always.
    pub const ONE: Self = Self(Self::ALWAYS);

    /// A share of one given in parts per billion; more than one is one.
    pub const fn from_ppb(ppb: u64) -> Self {
        if ppb >= 1_000_000_000 {
            return Self::ONE;
        }
        Self(((ppb << 32) / 1_000_000_000) as u32)
    }

    /// True for that share of all numbers: the answer to bits that were drawn elsewhere.
    pub(crate) const fn covers(self, bits: u32) -> bool {
        self.0 == Self::ALWAYS || bits < self.0
    }

    /// As a number from 0 to 1.
    pub(crate) fn share(self) -> f64 {
        self.as_ppb() as f64 / 1e9
    }

    /// The nearest number of parts per billion.
    pub const fn as_ppb(self) -> u64 {
        if self.0 == Self::ALWAYS {
            return 1_000_000_000;
        }
        (self.0 as u64 * 1_000_000_000 + (1 << 31)) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_hold_their_golden_values() {
        let mut stream = Rng::fork(7, "engine", 3);
        let drawn = [stream.bits(), stream.between(10, 99), stream.below(1000) as u64];
        let mut order = [0, 1, 2, 3, 4, 5, 6, 7];
        stream.shuffle(&mut order);
        assert_eq!((drawn, order), (GOLDEN_DRAWS, GOLDEN_ORDER));
    }

    #[test]
    fn bounds_of_every_size_hold_their_golden_values() {
        let mut stream = Rng::fork(7, "bounds", 0);
        let mut fold = 0_u64;
        for n in 1..=2_000_u64 {
            // Half of these bounds are near the end of the scale, where a draw takes more bits.
            let high = if n % 2 == 0 { n * n } else { u64::MAX / (1 + n % 5) - n };
            fold = fold.rotate_left(7) ^ stream.between(n, high.max(n));
        }
        let mut order: Vec<u64> = (0..1_500).collect();
        stream.shuffle(&mut order);
        let fold = order.iter().fold(fold, |fold, it| fold.rotate_left(7) ^ it);
        assert_eq!((fold, stream.between(0, u64::MAX)), GOLDEN_FOLD);
    }

    const GOLDEN_FOLD: (u64, u64) = (17_203_921_702_003_504_870, 9_435_644_034_934_903_656);
    const GOLDEN_DRAWS: [u64; 3] = [4_497_571_203_511_349_905, 60, 705];
    const GOLDEN_ORDER: [u32; 8] = [2, 4, 5, 0, 3, 1, 7, 6];

    #[test]
    fn a_stream_goes_on_where_one_says() {
        let mut whole = Rng::fork(7, "engine", 3);
        let all: Vec<u64> = (0..100).map(|_| whole.bits()).collect();
        for behind in [0, 1, 31, 32, 33, 64, 99] {
            let mut rest = Rng::fork(7, "engine", 3).behind(behind);
            assert_eq!(rest.bits(), all[behind as usize]);
        }
    }

    #[test]
    fn what_was_not_drawn_from_takes_a_few_words() {
        assert!(size_of::<Rng>() <= 32, "{}", size_of::<Rng>());
    }

    #[test]
    fn a_word_depends_on_seed_label_and_key() {
        let first = Rng::word(1, "a", 0);
        assert_eq!(first, Rng::word(1, "a", 0));
        for other in [Rng::word(2, "a", 0), Rng::word(1, "b", 0), Rng::word(1, "a", 1)] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn a_fork_depends_on_seed_label_and_key() {
        let first = Rng::fork(1, "a", 0).bits();
        assert_eq!(first, Rng::fork(1, "a", 0).bits());
        assert_ne!(first, Rng::fork(2, "a", 0).bits());
        assert_ne!(first, Rng::fork(1, "b", 0).bits());
        assert_ne!(first, Rng::fork(1, "a", 1).bits());
    }

    #[test]
    fn chance_is_exact_at_the_ends_and_close_between() {
        let mut rng = Rng::fork(1, "chance", 0);
        assert!((0..1000).all(|_| !rng.chance(Probability::ZERO)));
        assert!((0..1000).all(|_| rng.chance(Probability::ONE)));
        let fifth = Probability::from_ppb(200_000_000);
        let hits = (0..100_000).filter(|_| rng.chance(fifth)).count();
        assert!((19_500..20_500).contains(&hits), "{hits} of 100000 at 20 %");
    }

    #[test]
    fn parts_per_billion_survive_the_round_trip() {
        for ppb in [0, 1, 10_000_000, 333_333_333, 999_999_999, 1_000_000_000] {
            assert_eq!(Probability::from_ppb(ppb).as_ppb(), ppb);
        }
    }
}
