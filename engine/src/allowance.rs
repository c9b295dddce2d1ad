//! Allowances: so much of something in each period, whoever asks for it.

use std::time::Duration;

use crate::time::Instant;

/// What was taken in the period under way, which begins with the first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowance {
    taken: usize,
    until: Instant,
}

impl Allowance {
    /// Takes one of `max` in a period; false when all are taken.
    pub(crate) fn take(&mut self, now: Instant, period: Duration, max: usize) -> bool {
        if now >= self.until {
            *self = Self { taken: 0, until: now + period };
        }
        let is_left = self.taken < max;
        self.taken += usize::from(is_left);
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_may_be_taken_in_each_period() {
        let mut allowance = Allowance::default();
        let mut take = |second| {
            let now = Instant::ZERO + Duration::from_secs(second);
            allowance.take(now, Duration::from_secs(5), 2)
        };
        let taken = [1, 2, 3, 5, 6, 7, 20, 24, 25].map(&mut take);
        assert_eq!(taken, [true, true, false, false, true, true, true, true, true]);
    }
}
