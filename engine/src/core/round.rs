//! Rounds: each member once before any comes again, in an order that chance decides.

use crate::rng::Rng;

/// A walk around the ring by a stride that has no divisor in common with its length, so that it
/// meets every place once. A shuffled list would do the same with a word for each member.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Round {
    len: usize,
    at: usize,
    stride: usize,
    left: usize,
}

impl Round {
    /// The next place among `len`. A new round begins when one is over, and when the number of
    /// places has changed. Panics when there are none.
    pub(crate) fn next(&mut self, len: usize, rng: &mut Rng) -> usize {
        if self.left == 0 || self.len != len {
            *self = Self { len, at: rng.below(len), stride: Self::stride(len, rng), left: len };
        }
        self.left -= 1;
        self.at = (self.at + self.stride) % len;
        self.at
    }

    fn stride(len: usize, rng: &mut Rng) -> usize {
        loop {
            let stride = 1 + rng.below(len);
            if common_divisor(stride, len) == 1 {
                return stride;
            }
        }
    }
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_place_comes_once_in_a_round() {
        let mut rng = Rng::fork(1, "round", 0);
        for len in [1, 2, 3, 12, 97, 360] {
            let mut round = Round::default();
            for _ in 0..5 {
                let places: BTreeSet<_> = (0..len).map(|_| round.next(len, &mut rng)).collect();
                assert_eq!(places.len(), len);
            }
        }
    }

    #[test]
    fn two_rounds_go_in_different_orders() {
        let mut rng = Rng::fork(1, "round", 1);
        let mut round = Round::default();
        let mut walk = || (0..97).map(|_| round.next(97, &mut rng)).collect::<Vec<_>>();
        assert_ne!(walk(), walk());
    }

    #[test]
    fn a_change_of_length_begins_a_new_round() {
        let mut rng = Rng::fork(1, "round", 2);
        let mut round = Round::default();
        round.next(10, &mut rng);
        assert!((0..3).all(|_| round.next(3, &mut rng) < 3));
    }
}
