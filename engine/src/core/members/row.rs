//! One row of the member table, in 16 bytes: what is held of one address.
//!
//! Every beat in the cluster reads one, in an order that no cache foresees, so four of them share
//! a cache line: the time takes 48 bits of a word, and what else there is to know the rest.

use std::fmt;

use super::roster::RecordIx;
use crate::core::packet::Cause;
use crate::time::Instant;

/// What is held of one address.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub record: RecordIx,
    pub counter: u32,
    /// From the lowest bit: [`State`] (2), standing (1), echoed (1), introducer (12), and in
    /// microseconds when, by our clock, the origin raised the counter (48: nine years).
    word: u64,
}

/// Whether the node of a row is a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing is held.
    Vacant,
    Listed,
    /// A tombstone.
    Gone(Cause),
}

/// Whether a member is known by more than somebody's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It answered at its address, or we had reason to believe whoever told us.
    Believed,
    /// Only its introducer spoke of it.
    Newcomer(Introducer),
}

/// Who first spoke of a member: 11 bits of a hash, enough to tell two senders apart, and one that
/// says whether a member vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Introducer(pub(crate) u16);

impl Introducer {
    const VOUCHES: u16 = 1 << 11;

    /// The sender with this hash.
    pub(super) fn new(hash: u32) -> Self {
        Self(hash as u16 & (Self::VOUCHES - 1))
    }

    /// The same, who is a member.
    pub(crate) fn who_vouches(self) -> Self {
        Self(self.0 | Self::VOUCHES)
    }

    pub(crate) fn vouches(self) -> bool {
        self.0 & Self::VOUCHES != 0
    }
}

impl Standing {
    /// True for a member that is no more than the word of somebody unknown.
    pub(crate) fn is_rumored(self) -> bool {
        matches!(self, Self::Newcomer(introducer) if !introducer.vouches())
    }
}

const STATE: u64 = 0b11;
const NEWCOMER: u64 = 1 << 2;
const ECHOED: u64 = 1 << 3;
const INTRODUCER_AT: u32 = 4;
const INTRODUCER: u64 = 0xfff << INTRODUCER_AT;
const TIME_AT: u32 = 16;
const MICROS_MAX: u64 = (1 << 48) - 1;

impl Row {
    pub(super) const VACANT: Self = Self { record: RecordIx::NONE, counter: 0, word: 0 };

    pub(super) fn new(
        record: RecordIx,
        state: State,
        standing: Standing,
        counter: u32,
        raised_at: Instant,
    ) -> Self {
        let mut row = Self { record, counter, word: 0 };
        row.set_state(state);
        row.set_raised_at(raised_at);
        if let Standing::Newcomer(Introducer(tag)) = standing {
            row.word |= NEWCOMER | (u64::from(tag) << INTRODUCER_AT);
        }
        row
    }

    pub(crate) fn state(self) -> State {
        match self.word & STATE {
            0 => State::Vacant,
            1 => State::Listed,
            2 => State::Gone(Cause::Timeout),
            _ => State::Gone(Cause::Left),
        }
    }

    pub(super) fn set_state(&mut self, state: State) {
        let bits = match state {
            State::Vacant => 0,
            State::Listed => 1,
            State::Gone(Cause::Timeout) => 2,
            State::Gone(Cause::Left) => 3,
        };
        self.word = (self.word & !STATE) | bits;
    }

    /// When, by our clock, the origin raised the counter, to the microsecond below.
    pub(crate) fn raised_at(self) -> Instant {
        Instant::from_nanos((self.word >> TIME_AT) * 1_000)
    }

    pub(super) fn set_raised_at(&mut self, at: Instant) {
        let micros = (at.as_nanos() / 1_000).min(MICROS_MAX);
        self.word = (self.word & ((1 << TIME_AT) - 1)) | (micros << TIME_AT);
    }

    /// True when a counter modulo 256 is no larger than the held one.
    pub(super) fn is_past(&self, counter: u8) -> bool {
        (self.counter as u8).wrapping_sub(counter) as i8 >= 0
    }

    pub(crate) fn standing(self) -> Standing {
        if self.word & NEWCOMER == 0 {
            return Standing::Believed;
        }
        Standing::Newcomer(Introducer(((self.word & INTRODUCER) >> INTRODUCER_AT) as u16))
    }

    /// Somebody else speaks of a newcomer.
    pub(super) fn introduce(&mut self, Introducer(tag): Introducer) {
        self.word = self.word & !INTRODUCER | (u64::from(tag) << INTRODUCER_AT);
    }

    pub(super) fn believe(&mut self) {
        self.word &= !(NEWCOMER | INTRODUCER);
    }

    /// True when the address has echoed a token of ours.
    pub(crate) fn has_echoed(self) -> bool {
        self.word & ECHOED != 0
    }

    pub(super) fn note_echo(&mut self) {
        self.word |= ECHOED;
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, standing) = (self.state(), self.standing());
        write!(f, "Row({state:?} {standing:?} {} at {})", self.counter, self.raised_at())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn four_rows_share_a_cache_line() {
        assert_eq!(size_of::<Row>(), 16);
    }

    fn any_state() -> impl Strategy<Value = State> {
        let states = [State::Listed, State::Gone(Cause::Timeout), State::Gone(Cause::Left)];
        prop::sample::select(states.to_vec())
    }

    proptest! {
        #[test]
        fn no_part_of_a_row_disturbs_another(
            micros in 0..=MICROS_MAX,
            later in 0..=MICROS_MAX,
            tag in 0..=0xfff_u16,
            (state, then) in (any_state(), any_state()),
        ) {
            let at = |micros: u64| Instant::from_nanos(micros * 1_000);
            let standing = Standing::Newcomer(Introducer(tag));
            let mut row = Row::new(RecordIx::NONE, state, standing, 7, at(micros));
            prop_assert_eq!((row.state(), row.standing()), (state, standing));
            prop_assert_eq!(row.raised_at(), at(micros));
            row.set_state(then);
            row.set_raised_at(at(later));
            prop_assert_eq!((row.state(), row.standing()), (then, standing));
            prop_assert!(!row.has_echoed());
            row.note_echo();
            prop_assert_eq!((row.state(), row.standing()), (then, standing));
            row.believe();
            prop_assert_eq!((row.raised_at(), row.standing()), (at(later), Standing::Believed));
            prop_assert_eq!((row.state(), row.counter), (then, 7));
            prop_assert!(row.has_echoed());
        }
    }
}
