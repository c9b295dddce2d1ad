//! A fixed table of timers: what an engine waits for.

use crate::time::Instant;

/// The things that happen at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// Raise our counter.
    Cycle,
    /// Relay what advanced.
    Relay,
    /// Judge silence.
    Check,
    /// Tell again what was not acknowledged.
    Retransmit,
    /// Begin a swap.
    Swap,
    /// Repeat a swap request that was not answered.
    SwapRetry,
    /// Look for seeds and lost members.
    Dial,
    /// Judge members that share a name.
    Names,
    /// See whether a value that is being fetched should have come.
    Fetch,
    /// Verify the metadata that is held.
    Scrub,
    /// Probe the next member.
    Probe,
    /// See whether the probe was answered.
    ProbeWait,
    /// See whether those answered whom we probed for others.
    Relayed,
    /// Answer publishers who have waited long enough.
    Confirm,
    /// See whether everybody has our goodbye.
    Leave,
    /// Tell of the list as a whole.
    View,
    /// Come back from having been taken for dead.
    Return,
    /// Tell entries that were written one after the other.
    Gather,
    /// See which entries have become too old.
    Ages,
}

impl Timer {
    /// Those of what only a running node does.
    const OF_THE_RUNNING: [Self; 7] = [
        Self::Cycle,
        Self::Swap,
        Self::SwapRetry,
        Self::Dial,
        Self::Probe,
        Self::ProbeWait,
        Self::Return,
    ];
    /// All of them, in the order in which they are served when several are due.
    const ALL: [Self; 19] = [
        Self::Cycle,
        Self::ProbeWait,
        Self::Probe,
        Self::Relayed,
        Self::Check,
        Self::Names,
        Self::Fetch,
        Self::Scrub,
        Self::Retransmit,
        Self::Dial,
        Self::Swap,
        Self::SwapRetry,
        Self::Relay,
        Self::Confirm,
        Self::Leave,
        Self::View,
        Self::Return,
        Self::Gather,
        Self::Ages,
    ];
}

/// When each timer is due, if it is set: a driver asks for the earliest after every input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timers {
    due: [Instant; Timer::ALL.len()],
}

impl Default for Timers {
    fn default() -> Self {
        Self { due: [Self::NEVER; Timer::ALL.len()] }
    }
}

impl Timers {
    /// When a timer is due that is not set.
    const NEVER: Instant = Instant::from_nanos(u64::MAX);

    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.due[timer as usize] = at;
    }

    /// Sets a timer unless it is due earlier already.
    pub(crate) fn set_earlier(&mut self, timer: Timer, at: Instant) {
        let due = &mut self.due[timer as usize];
        *due = at.min(*due);
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        self.due[timer as usize] = Self::NEVER;
    }

    pub(crate) fn clear_all(&mut self) {
        *self = Self::default();
    }

    /// Clears all others.
    pub(crate) fn keep_only(&mut self, kept: &[Timer]) {
        for timer in Timer::ALL.into_iter().filter(|timer| !kept.contains(timer)) {
            self.clear(timer);
        }
    }

    /// The earliest of all.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let earliest = self.due.iter().fold(Self::NEVER, |earliest, &due| earliest.min(due));
        (earliest != Self::NEVER).then_some(earliest)
    }

    /// The first timer that is due, which is cleared.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        if self.deadline()? > now {
            return None;
        }
        let timer = Timer::ALL.into_iter().find(|&timer| self.due[timer as usize] <= now)?;
        self.clear(timer);
        Some(timer)
    }

    /// Clears what a node that is stopped leaves undone.
    pub(crate) fn stop(&mut self) {
        for timer in Timer::OF_THE_RUNNING {
            self.clear(timer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_timers_are_served_once_each_in_a_fixed_order() {
        let at = Instant::from_nanos;
        let mut timers = Timers::default();
        assert_eq!(timers.deadline(), None);
        timers.set(Timer::Relay, at(5));
        timers.set(Timer::Cycle, at(7));
        timers.set_earlier(Timer::Cycle, at(9));
        assert_eq!(timers.deadline(), Some(at(5)));
        assert_eq!(timers.take_due(at(4)), None);
        assert_eq!(timers.take_due(at(8)), Some(Timer::Cycle));
        assert_eq!(timers.take_due(at(8)), Some(Timer::Relay));
        assert_eq!(timers.take_due(at(8)), None);
    }
}
