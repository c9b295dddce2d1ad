//! Swaps that cannot agree: what has been tried in vain is tried less and less often.
//!
//! A swap that finds a difference is soon followed by another, for one exchange in a time of change
//! is rarely enough. But some differences no swap can repair: a node whose address another holds
//! lists itself and is listed by nobody, and lists that are full stay what they are. Then nodes
//! swapped every 82 ms for ever: 96 to 238 packets a second at a seed of which two to five nodes
//! claimed one address. A swap was in vain when afterwards both hold what they held before; any
//! change of either side, and any agreement, makes the partner worth trying again.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::AntiEntropy;
use crate::config::WireVersion;
use crate::core::context::Context;
use crate::core::packet::StateDigest;
use crate::time::Instant;

/// What came of the last swaps that ended without agreement.
#[derive(Clone, Debug, Default)]
pub(super) struct Discord {
    /// At most [`Discord::PARTNERS_MAX`], whom we tried last comes last.
    partners: VecDeque<Partner>,
    /// What we held when a swap last ended so, and how many did in a row since we hold it, with
    /// whomever: in a large cluster each may be with another partner.
    ours: Option<StateDigest>,
    in_row: u32,
}

#[derive(Clone, Copy, Debug)]
struct Partner {
    addr: SocketAddr,
    ours: StateDigest,
    theirs: StateDigest,
    in_vain: u32,
    /// Not tried again before, while neither side changes.
    until: Instant,
}

impl Discord {
    pub(crate) const PARTNERS_MAX: usize = 64;
    /// So many with one partner may be due to packets that got lost.
    pub(crate) const PATIENCE: u32 = 3;
    /// So many with whomever may be due to a change that only some have heard of.
    const PATIENCE_WITH_ALL: u32 = 8;
    /// The longest pause, in cycles.
    const CYCLES_MAX: u32 = 8;

    /// Twice as long with each swap beyond the first few, which follow at once.
    fn pause(in_vain: u32, patience: u32, first: Duration) -> Duration {
        match in_vain.checked_sub(patience) {
            None => Duration::ZERO,
            Some(more) => first.saturating_mul(2_u32.saturating_pow(more)),
        }
    }

    fn note(
        &mut self,
        now: Instant,
        addr: SocketAddr,
        ours: StateDigest,
        theirs: StateDigest,
        cycle: Duration,
    ) {
        let at = self.partners.iter().position(|partner| partner.addr == addr);
        let before = at.and_then(|at| self.partners.remove(at));
        let same = before.filter(|it| (it.ours, it.theirs) == (ours, theirs));
        let in_vain = same.map_or(0, |it| it.in_vain.saturating_add(1));
        let pause = Self::pause(in_vain, Self::PATIENCE, cycle / 4).min(cycle * Self::CYCLES_MAX);
        if self.partners.len() == Self::PARTNERS_MAX {
            self.partners.pop_front();
        }
        self.partners.push_back(Partner { addr, ours, theirs, in_vain, until: now + pause });
        self.in_row = if self.ours == Some(ours) { self.in_row.saturating_add(1) } else { 0 };
        self.ours = Some(ours);
    }

    fn forget(&mut self, addr: SocketAddr) {
        self.partners.retain(|partner| partner.addr != addr);
        self.in_row = 0;
    }
}

impl AntiEntropy {
    /// A swap is over; what the partner held is known.
    pub(super) fn note_swap(
        &mut self,
        cx: &mut Context<'_>,
        with: SocketAddr,
        theirs: StateDigest,
    ) {
        let ours = cx.holds(WireVersion::LATEST);
        match cx.holds(cx.wire()) == theirs {
            true => self.discord.forget(with),
            false => self.discord.note(cx.now.mono, with, ours, theirs, cx.config.cycle()),
        }
    }

    /// True when a swap would end as the last ones with this partner did, and was tried a short
    /// while ago; what the partner holds now may not be known.
    pub(crate) fn is_in_vain(
        &self,
        cx: &Context<'_>,
        with: SocketAddr,
        theirs: Option<StateDigest>,
    ) -> bool {
        let partner = self.discord.partners.iter().find(|partner| partner.addr == with);
        partner.is_some_and(|it| {
            cx.now.mono < it.until
                && it.ours == cx.holds(WireVersion::LATEST)
                && theirs.is_none_or(|theirs| theirs == it.theirs)
        })
    }

    /// Brings the next swap forward after one that found a difference.
    pub(super) fn swap_again_after_difference(&mut self, cx: &mut Context<'_>) {
        let soon = cx.config.relay_delay() / 4;
        let pause = Discord::pause(self.discord.in_row, Discord::PATIENCE_WITH_ALL, soon);
        cx.swap_again_in(soon.saturating_add(pause).min(Self::swap_period(cx)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_swaps_follow_at_once_and_each_further_one_after_twice_the_pause() {
        let pause = |in_vain| Discord::pause(in_vain, 3, Duration::from_secs(1)).as_secs();
        assert_eq!([0, 2, 3, 4, 5, 6].map(pause), [0, 0, 1, 2, 4, 8]);
        assert_eq!(pause(u32::MAX), u64::from(u32::MAX));
    }
}
