//! Alarms: when a node wakes up next to look at its deadline.

use rumormill::time::Instant;

/// The wake-up of one node that counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Alarm {
    rings_at: Option<Instant>,
    /// That of the newest wake-up: older ones are void.
    stamp: u32,
}

impl Alarm {
    /// Sees to it that the alarm rings no later than the deadline: when and with what stamp, if
    /// that takes another wake-up. One that comes too early finds the deadline moved and is put
    /// off then.
    pub(super) fn set(
        &mut self,
        now: Instant,
        deadline: Option<Instant>,
    ) -> Option<(Instant, u32)> {
        let deadline = deadline?;
        if self.rings_at.is_some_and(|rings_at| rings_at <= deadline) {
            return None;
        }
        self.stamp += 1;
        self.rings_at = Some(deadline);
        Some((deadline.max(now), self.stamp))
    }

    /// A wake-up comes; false for one that is void.
    pub(super) fn rings(&mut self, stamp: u32) -> bool {
        let counts = self.stamp == stamp;
        if counts {
            self.rings_at = None;
        }
        counts
    }

    /// Makes the wake-up that is under way void.
    pub(super) fn silence(&mut self) {
        self.stamp += 1;
        self.rings_at = None;
    }
}
