//! Responses: what gets lost on the way to those who are asked in their turn, and back.
//!
//! Who does not answer in time is asked again. But whoever answers as often as it is asked is only
//! far away: nothing was lost. Without that, whoever is further away than the first wait would take
//! all others, and be taken, for sick.

use std::net::SocketAddr;
use std::time::Duration;

use crate::time::Instant;

/// What became of the last probes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Responses {
    /// The last one, be it that its turn is over.
    last: Option<Asked>,
    /// Of each of the last probes whether one time of asking was not enough, the newest lowest.
    missing: u16,
}

/// How often a member was asked, and how often it answered.
#[derive(Clone, Copy, Debug)]
struct Asked {
    to: SocketAddr,
    token: u32,
    since: Instant,
    times: u32,
    answers: u32,
}

impl Responses {
    /// Of the last sixteen probes, those that ask more than once where something is wrong with us:
    /// where a fifth is lost each way 11 or more do once in 127 times, where four fifths are lost
    /// nine times of ten.
    const UNWELL: u32 = 11;

    /// A member's turn has come, and it is asked.
    pub(crate) fn note_first(&mut self, to: SocketAddr, token: u32, now: Instant) {
        self.last = Some(Asked { to, token, since: now, times: 1, answers: 0 });
        self.missing <<= 1;
    }

    /// It is asked again.
    pub(crate) fn note_again(&mut self) {
        self.last.iter_mut().for_each(|last| last.times += 1);
        self.note_unanswered();
    }

    /// It did not answer in time.
    pub(crate) fn note_unanswered(&mut self) {
        self.missing |= 1;
    }

    /// Takes an answer, in time or not; how long ago its sender was asked first, if it was the last
    /// whose turn came.
    pub(crate) fn note(&mut self, now: Instant, from: SocketAddr, token: u32) -> Option<Duration> {
        let last = self.last.as_mut().filter(|it| (it.to, it.token) == (from, token))?;
        last.answers += 1;
        if last.answers == last.times {
            self.missing &= !1;
        }
        Some(now - last.since)
    }

    /// What was missing was so for a reason that is gone.
    pub(crate) fn forgive(&mut self) {
        self.missing = 0;
    }

    /// True while most of those whom we ask do not answer at once.
    pub(crate) fn are_missing(&self) -> bool {
        self.missing.count_ones() >= Self::UNWELL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(50);

    /// Asks a member so often, which answers so often.
    fn asked(responses: &mut Responses, times: u32, answered: u32) {
        let to = SocketAddr::from(([127, 0, 0, 1], 1));
        responses.note_first(to, 7, Instant::ZERO);
        (1..times).for_each(|_| responses.note_again());
        for _ in 0..answered {
            assert_eq!(responses.note(Instant::ZERO + WAIT, to, 7), Some(WAIT));
        }
    }

    #[test]
    fn who_answers_as_often_as_it_is_asked_is_far_away_and_nothing_is_missing() {
        for (answered, is_missing) in [(3, false), (2, true)] {
            let mut responses = Responses::default();
            (0..Responses::UNWELL).for_each(|_| asked(&mut responses, 3, answered));
            assert_eq!(responses.are_missing(), is_missing);
        }
    }
}
