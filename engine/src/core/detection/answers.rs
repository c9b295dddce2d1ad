//! Answers: how long those who are asked in their turn take, and what gets lost on the way.
//!
//! Who does not answer in time is asked again, and which of the times an answer answers nobody can
//! tell (Karn's rule). But whoever answers as often as it is asked is only far away: nothing was
//! lost, and its first answer is one to the first time of asking. Without that, whoever is further
//! away than the first wait would be asked again and again for ever, and all would take themselves
//! to be sick.

use std::net::SocketAddr;
use std::time::Duration;

use crate::config::Config;
use crate::core::rtt::Rtt;
use crate::time::Instant;

/// What became of the last probes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answers {
    rtt: Rtt,
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
    /// How long the first answer took.
    first: Duration,
}

impl Answers {
    /// Of the last sixteen probes, those that ask more than once where something is wrong with us:
    /// where a fifth is lost each way 11 or more do once in 127 times, where four fifths are lost
    /// nine times of ten.
    const UNWELL: u32 = 11;

    /// A member's turn has come, and it is asked.
    pub(crate) fn note_first(&mut self, to: SocketAddr, token: u32, now: Instant) {
        let (times, answers, first) = (1, 0, Duration::ZERO);
        self.last = Some(Asked { to, token, since: now, times, answers, first });
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

    /// Takes an answer, in time or not; how long it took, once that is known.
    pub(crate) fn note(&mut self, now: Instant, from: SocketAddr, token: u32) -> Option<Duration> {
        let last = self.last.as_mut().filter(|it| (it.to, it.token) == (from, token))?;
        last.answers += 1;
        if last.answers == 1 {
            last.first = now - last.since;
        }
        if last.answers != last.times {
            return None;
        }
        self.missing &= !1;
        self.rtt.sample(last.first);
        Some(last.first)
    }

    /// What was missing was so for a reason that is gone.
    pub(crate) fn forgive(&mut self) {
        self.missing = 0;
    }

    /// True while most of those whom we ask do not answer at once.
    pub(crate) fn are_missing(&self) -> bool {
        self.missing.count_ones() >= Self::UNWELL
    }

    /// How long an answer to a datagram may take.
    pub(crate) fn rto(&self, config: &Config) -> Duration {
        self.rtt.timeout(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(50);

    /// Asks a member so often; when each of its answers shows how long it took.
    fn asked<const N: usize>(answers: &mut Answers, times: u32) -> [Option<Duration>; N] {
        let to = SocketAddr::from(([127, 0, 0, 1], 1));
        answers.note_first(to, 7, Instant::ZERO);
        (1..times).for_each(|_| answers.note_again());
        std::array::from_fn(|at| answers.note(Instant::ZERO + WAIT * (3 + at as u32), to, 7))
    }

    #[test]
    fn who_answers_as_often_as_it_is_asked_is_far_away_and_how_far_is_known() {
        let mut answers = Answers::default();
        for _ in 0..Answers::UNWELL {
            assert_eq!(asked(&mut answers, 3), [None, None, Some(WAIT * 3)]);
        }
        assert!(!answers.are_missing());
        assert!(answers.rto(&Config::default()) > WAIT * 3);
    }

    #[test]
    fn while_an_answer_is_missing_nobody_knows_which_time_was_answered() {
        let mut answers = Answers::default();
        for _ in 0..Answers::UNWELL {
            assert_eq!(asked(&mut answers, 2), [None]);
        }
        assert!(answers.are_missing() && answers.rto(&Config::default()) == WAIT);
    }
}
