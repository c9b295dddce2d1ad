//! Remembers which of a sender's last packets came already, in one bit each.

/// How far back a packet may come late, in packets of its sender.
pub(super) const WINDOW_LEN: u32 = 2_048;

const WORD_BITS: u32 = u64::BITS;
const WORDS: usize = (WINDOW_LEN / WORD_BITS) as usize;

/// What a window says about a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sighted {
    /// It is new.
    New,
    /// It came before.
    Before,
    /// It is too old to tell.
    Forgotten,
}

/// The numbers seen among the `WINDOW_LEN` up to the largest.
#[derive(Clone, Debug)]
pub(super) struct Window {
    newest: u32,
    /// The bit of a number stands at the number modulo the length.
    bits: [u64; WORDS],
}

impl Window {
    /// A window in which `first` was seen, and what lies before it may still come.
    pub(super) fn new(first: u32) -> Self {
        let mut window = Self { newest: first, bits: [0; WORDS] };
        window.set(first);
        window
    }

    pub(super) fn look(&self, number: u32) -> Sighted {
        if number > self.newest {
            return Sighted::New;
        }
        if self.newest - number >= WINDOW_LEN {
            return Sighted::Forgotten;
        }
        let (word, bit) = place(number);
        if self.bits[word] & bit == 0 { Sighted::New } else { Sighted::Before }
    }

    /// Notes a number that was found to be new.
    pub(super) fn note(&mut self, number: u32) {
        if number > self.newest {
            self.advance(number);
        }
        self.set(number);
    }

    /// The places between take the turn of older numbers, whose bits must go.
    fn advance(&mut self, newest: u32) {
        if newest - self.newest >= WINDOW_LEN {
            self.bits = [0; WORDS];
        } else {
            for number in self.newest + 1..newest {
                let (word, bit) = place(number);
                self.bits[word] &= !bit;
            }
        }
        self.newest = newest;
    }

    fn set(&mut self, number: u32) {
        let (word, bit) = place(number);
        self.bits[word] |= bit;
    }
}

fn place(number: u32) -> (usize, u64) {
    let place = number % WINDOW_LEN;
    ((place / WORD_BITS) as usize, 1 << (place % WORD_BITS))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The same by a set of all that was ever seen.
    struct Brute(BTreeSet<u32>);

    impl Brute {
        fn look(&self, number: u32) -> Sighted {
            let newest = *self.0.last().unwrap();
            if self.0.contains(&number) && newest - number < WINDOW_LEN {
                Sighted::Before
            } else if number <= newest && newest - number >= WINDOW_LEN {
                Sighted::Forgotten
            } else {
                Sighted::New
            }
        }
    }

    fn numbers() -> impl Strategy<Value = Vec<u32>> {
        let near = 0..6_000_u32;
        let anywhere = prop_oneof![8 => near, 1 => any::<u32>(), 1 => Just(u32::MAX)];
        prop::collection::vec(anywhere, 1..400)
    }

    proptest! {
        #[test]
        fn a_window_sees_what_a_set_of_everything_sees(numbers in numbers()) {
            let mut window = Window::new(numbers[0]);
            let mut brute = Brute([numbers[0]].into());
            for &number in &numbers {
                prop_assert_eq!(window.look(number), brute.look(number), "{}", number);
                if window.look(number) == Sighted::New {
                    window.note(number);
                    brute.0.insert(number);
                }
            }
        }
    }

    #[test]
    fn the_last_2_048_are_remembered_and_no_more() {
        let mut window = Window::new(5_000);
        window.note(5_000 - (WINDOW_LEN - 1));
        assert_eq!(window.look(5_000 - (WINDOW_LEN - 1)), Sighted::Before);
        assert_eq!(window.look(5_000 - (WINDOW_LEN - 2)), Sighted::New);
        assert_eq!(window.look(5_000 - WINDOW_LEN), Sighted::Forgotten);
    }
}
