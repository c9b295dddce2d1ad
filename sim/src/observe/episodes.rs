//! Episodes: the times from one change of truth to the next, and when the lists caught up.

use std::time::Duration;

use rumormill::time::Instant;

use super::ms;
use crate::results::summary::{Episode, NodeListFigures};

/// The episodes of a run.
#[derive(Clone, Debug)]
pub(crate) struct Episodes {
    /// Changes of truth that are nearer than this are one.
    merge: Duration,
    past: Vec<EpisodeSpan>,
    current: EpisodeSpan,
}

#[derive(Clone, Debug)]
struct EpisodeSpan {
    cause: &'static str,
    from: Instant,
    last_change: Instant,
    /// Since when all lists have been true without a break.
    true_since: Option<Instant>,
}

impl Episodes {
    /// The first one opens at once.
    pub(crate) fn new(merge: Duration) -> Self {
        Self { merge, past: Vec::new(), current: EpisodeSpan::open("start", Instant::ZERO) }
    }

    /// The truth changed.
    pub(crate) fn change(&mut self, at: Instant, cause: &'static str) {
        if at - self.current.last_change >= self.merge {
            let next = EpisodeSpan::open(cause, at);
            self.past.push(std::mem::replace(&mut self.current, next));
        }
        self.current.last_change = at;
        self.current.true_since = None;
    }

    /// Says whether all lists are true now.
    pub(crate) fn settle(&mut self, at: Instant, lists_are_true: bool) {
        let since = lists_are_true.then_some(self.current.true_since.unwrap_or(at));
        self.current.true_since = since;
    }

    /// How many have closed.
    pub(crate) fn closed(&self) -> usize {
        self.past.len()
    }

    /// When the truth last changed.
    pub(crate) fn last_change(&self) -> Instant {
        self.current.last_change
    }

    pub(crate) fn finish(mut self, end: Instant) -> NodeListFigures {
        self.past.push(self.current);
        let ends: Vec<_> = self.past.iter().skip(1).map(|span| span.from).chain([end]).collect();
        let episodes: Vec<_> =
            self.past.iter().zip(ends).map(|(span, end)| span.figures(end)).collect();
        let after = |episode: &Episode| episode.converged_after_ms;
        let all: Option<Vec<_>> = episodes.iter().map(after).collect();
        let last = episodes.last().and_then(after);
        NodeListFigures {
            converged: last.is_some(),
            converged_after_ms: last,
            converged_after_max_ms: all.map(|all| all.into_iter().fold(0.0, f64::max)),
            episodes,
        }
    }
}

impl EpisodeSpan {
    fn open(cause: &'static str, from: Instant) -> Self {
        Self { cause, from, last_change: from, true_since: None }
    }

    fn figures(&self, end: Instant) -> Episode {
        let after = self.true_since.map(|since| since - self.last_change);
        Episode {
            cause: self.cause.to_owned(),
            at_ms: ms(self.from),
            last_change_ms: ms(self.last_change),
            end_ms: ms(end),
            converged_after_ms: after.map(|after| ms(Instant::ZERO + after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn changes_nearer_than_a_cycle_are_one_and_the_last_of_them_counts() {
        let mut episodes = Episodes::new(Duration::from_secs(1));
        episodes.settle(at(100), true);
        episodes.change(at(999), "join");
        episodes.settle(at(999), false);
        episodes.settle(at(1_500), true);
        episodes.settle(at(1_600), true);
        episodes.change(at(1_999), "crash");
        episodes.settle(at(2_500), true);
        episodes.settle(at(2_600), false);
        episodes.change(at(3_000), "heal");
        episodes.settle(at(3_000), true);
        let figures = episodes.finish(at(5_000));
        let rows: Vec<_> = figures
            .episodes
            .iter()
            .map(|e| (e.cause.as_str(), e.at_ms, e.last_change_ms, e.end_ms, e.converged_after_ms))
            .collect();
        assert_eq!(
            rows,
            [
                ("start", 0.0, 999.0, 1_999.0, Some(501.0)),
                ("crash", 1_999.0, 1_999.0, 3_000.0, None),
                ("heal", 3_000.0, 3_000.0, 5_000.0, Some(0.0)),
            ]
        );
        assert_eq!((figures.converged, figures.converged_after_ms), (true, Some(0.0)));
        assert_eq!(figures.converged_after_max_ms, None, "an episode that never converged");
    }

    #[test]
    fn the_slowest_episode_is_the_maximum() {
        let mut episodes = Episodes::new(Duration::from_secs(1));
        episodes.settle(at(700), true);
        episodes.change(at(2_000), "stop");
        episodes.settle(at(2_300), true);
        let figures = episodes.finish(at(3_000));
        assert_eq!(figures.converged_after_ms, Some(300.0));
        assert_eq!(figures.converged_after_max_ms, Some(700.0));
    }
}
