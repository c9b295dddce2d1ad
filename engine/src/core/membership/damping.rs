//! Damping: who is taken for dead time and again comes back later each time.
//!
//! A node that hears nothing for twenty seconds out of forty would be removed and listed again by
//! everybody each time, and every service would move its work about. Only the node itself knows
//! that it lives, and without a word of it nobody lists it: so it is the node that waits, tells
//! nobody of itself meanwhile, and all see the same. It comes back at once the first time, then
//! after 10, 40 and 160 s in which it was well; ten minutes without a removal take one time off.
//!
//! Whom nobody answers may have been removed and not have heard of it. It tells nobody of itself
//! until it has asked some of the others: what it says of itself would undo what they have done,
//! and nobody would count it.
//!
//! Who removes many at once was cut off from them, and so was whoever hears of its removal from
//! one that it had removed itself; neither counts. Nor does one observer alone, who may be sick.
//! Only where nodes ask who lives: whoever beats is listed again by its next beat.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::Membership;
use crate::core::context::{Context, Life, are_many, keep_last};
use crate::core::detection::Detection;
use crate::core::dissemination::Dissemination;
use crate::core::members::Absence;
use crate::core::timers::Timer;
use crate::time::Instant;

/// How often we were taken for dead, and how long we wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Damping {
    /// How often, less what was forgiven.
    flaps: usize,
    /// When that last changed.
    changed_at: Instant,
    removal: Option<Removal>,
    /// Whom we removed ourselves, the latest last; and since when so many in a row.
    lost: VecDeque<SocketAddr>,
    lost_in_a_row: (Instant, usize),
    /// When we last removed many at once.
    parted_at: Option<Instant>,
}

/// One time that we were taken for dead.
#[derive(Clone, Debug)]
struct Removal {
    since: Instant,
    /// Who told us, as far as it counts.
    observers: BTreeSet<SocketAddr>,
    counted: bool,
    /// How long we stay away.
    hold: Duration,
    /// We are back.
    is_over: bool,
}

impl Removal {
    /// When we come back: what we need is some time in which we were well, as far as we can know.
    fn end(&self, unwell_at: Instant, timeout: Duration) -> Instant {
        match self.counted {
            true => self.since.max(unwell_at) + self.hold,
            false if self.hold.is_zero() => self.since,
            // By then a second observer has said so, or there is none.
            false => self.since + timeout,
        }
    }
}

impl Damping {
    /// After so many removals before.
    const HOLDS: [Duration; 4] = [
        Duration::ZERO,
        Duration::from_secs(10),
        Duration::from_secs(40),
        Duration::from_secs(160),
    ];
    const FORGIVEN_AFTER: Duration = Duration::from_secs(600);
    const LOST_MAX: usize = 64;
    /// One observer alone may be the sick one, except where there are hardly any.
    const OBSERVERS: usize = 2;
    const FEW: usize = 3;

    fn forgive(&mut self, now: Instant) {
        while self.flaps > 0 && now - self.changed_at >= Self::FORGIVEN_AFTER {
            self.flaps -= 1;
            self.changed_at = self.changed_at + Self::FORGIVEN_AFTER;
        }
    }

    fn hold(&self) -> Duration {
        Self::HOLDS[self.flaps.min(Self::HOLDS.len() - 1)]
    }

    /// True when what this one says of our death tells of us, and not of a cut between us.
    fn counts(&self, now: Instant, from: SocketAddr) -> bool {
        let parted = self.parted_at.is_some_and(|at| now - at < Self::FORGIVEN_AFTER);
        !parted && !self.lost.contains(&from)
    }
}

impl Membership {
    /// We have removed a member that was silent.
    pub(crate) fn note_lost(&mut self, cx: &Context<'_>, addr: SocketAddr) {
        let (now, damping) = (cx.now.mono, &mut self.damping);
        let (since, count) = damping.lost_in_a_row;
        let goes_on = now - since < cx.config.timeout();
        damping.lost_in_a_row = if goes_on { (since, count + 1) } else { (now, 1) };
        if are_many(damping.lost_in_a_row.1, cx.members.len() + damping.lost_in_a_row.1) {
            damping.parted_at = Some(now);
        }
        keep_last(&mut damping.lost, addr, Damping::LOST_MAX);
    }

    /// A member says that it has removed us; true when we may come back at once.
    pub(super) fn note_removed(&mut self, cx: &mut Context<'_>, from: SocketAddr) -> bool {
        let now = cx.now.mono;
        if !cx.config.liveness().asks() || !cx.lists(from) || !self.damping.counts(now, from) {
            return !cx.members.is_away();
        }
        let few = cx.members.len() <= Damping::FEW;
        let removal = self.removal(cx);
        if removal.observers.len() < Damping::OBSERVERS {
            removal.observers.insert(from);
        }
        if !removal.counted && (few || removal.observers.len() == Damping::OBSERVERS) {
            removal.counted = true;
            self.damping.flaps += 1;
            self.damping.changed_at = now;
        }
        let removal = self.damping.removal.as_mut().expect("it is there now");
        match removal.counted {
            true if removal.hold.is_zero() => {
                removal.is_over = true;
                cx.members.set_absence(Absence::Not);
            }
            true => {}
            // Before they hear that we live: else one alone would tell us each time, as chance
            // wills, and all would list and remove us for ever.
            false => Detection::ask_opinions(cx),
        }
        !cx.members.is_away()
    }

    /// The removal that is spoken of: a new one when the last is over, and all know that it is.
    fn removal(&mut self, cx: &mut Context<'_>) -> &mut Removal {
        let (now, timeout, damping) = (cx.now.mono, cx.config.timeout(), &mut self.damping);
        damping.forgive(now);
        damping.removal.take_if(|it| it.is_over && now - it.since >= it.hold + timeout);
        let hold = damping.hold();
        damping.removal.get_or_insert_with(|| {
            if !hold.is_zero() {
                cx.members.set_absence(Absence::Damped);
                cx.timers.set(Timer::Return, now + timeout);
            }
            let is_over = !cx.members.is_away();
            Removal { since: now, observers: BTreeSet::new(), counted: false, hold, is_over }
        })
    }

    /// True while one member alone has said that it has removed us, and says so again.
    pub(super) fn is_only_observer(&self, from: SocketAddr) -> bool {
        let removal = self.damping.removal.as_ref().filter(|removal| !removal.counted);
        removal.is_some_and(|it| it.observers.len() == 1 && it.observers.contains(&from))
    }

    /// Who was stopped wanted to be removed.
    pub(crate) fn on_restart(&mut self, cx: &mut Context<'_>) {
        self.damping.removal = None;
        cx.members.set_absence(Absence::Not);
    }

    /// The time may be over for which we stay away.
    pub(crate) fn on_return(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        detection: &Detection,
    ) {
        if !cx.members.is_away() || detection.keeps_still(cx) {
            return;
        }
        let timeout = cx.config.timeout();
        let removal = self.damping.removal.as_mut().filter(|removal| !removal.is_over);
        let end = removal.as_ref().map(|it| it.end(detection.unwell_at(), timeout));
        if let Some(end) = end.filter(|&end| cx.now.mono < end) {
            return cx.timers.set(Timer::Return, end);
        }
        cx.members.set_absence(Absence::Not);
        if let Some(removal) = removal {
            removal.is_over = true;
            if !removal.counted {
                // It was one observer's own fault.
                removal.hold = Duration::ZERO;
            }
            if *cx.life == Life::Running {
                cx.members.beat_once(cx.now.mono);
                spread.announce(cx, cx.members.me());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::core::tests::cluster::{Cluster, addr};

    #[test]
    fn who_has_removed_many_at_once_was_cut_off_and_counts_nobody_for_ten_minutes() {
        for (many, counts) in [(16, true), (17, false)] {
            let mut cluster = Cluster::of(3, Config::default());
            let (now, mut membership) = (cluster.clock(), Membership::default());
            cluster.engine(1).with(now, |cx| {
                (0..many).for_each(|lost| membership.note_lost(cx, addr(1_000 + lost)));
            });
            let counts_after = |time| membership.damping.counts(now.mono + time, addr(2));
            assert_eq!(counts_after(Duration::ZERO), counts, "{many} were lost");
            assert!(counts_after(Damping::FORGIVEN_AFTER));
        }
    }

    #[test]
    fn whom_we_have_removed_ourselves_does_not_count() {
        let mut cluster = Cluster::of(3, Config::default());
        let (now, mut membership) = (cluster.clock(), Membership::default());
        cluster.engine(1).with(now, |cx| membership.note_lost(cx, addr(2)));
        let counts = [2, 3].map(|by| membership.damping.counts(now.mono, addr(by)));
        assert_eq!(counts, [false, true]);
    }
}
