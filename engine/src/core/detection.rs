//! Detection: who lives, by the beats that come or by asking.
//!
//! There are three ways, and [`Liveness`] says which is ours: none, heartbeats (`silence.rs`,
//! `roll_call.rs`) and probes (`probes.rs`, `suspects.rs`, `slow.rs`). What others ask is answered
//! whichever is ours. Who is suspected the list of members says, and whether we are fit to judge
//! `doubt.rs`.

mod calls;
mod corrections;
mod doubt;
mod probes;
mod responses;
mod roll_call;
mod silence;
mod slow;
mod suspects;

pub(crate) use self::silence::Sleep;
pub(crate) use self::suspects::{Grounds, Relevance};

use self::calls::Calls;
use self::corrections::Corrections;
use self::doubt::Doubt;
use self::probes::Prober;
use self::roll_call::RollCall;
use self::silence::Watch;
use self::suspects::Suspects;
use super::context::Context;
use super::dissemination::Dissemination;
use super::timers::Timer;
use crate::config::Liveness;
use crate::time::Instant;

/// What is known of those who are silent, and how far we trust ourselves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Detection {
    /// What is left of the calls of a cycle, whichever our way is.
    calls: Calls,
    watch: Watch,
    roll_call: RollCall,
    prober: Prober,
    suspects: Suspects,
    corrections: Corrections,
    doubt: Doubt,
}

impl Detection {
    /// Begins: with beats by the first of ours, which is what the others list us by.
    pub(crate) fn start(&mut self, cx: &mut Context<'_>, spread: &mut Dissemination) {
        self.doubt_nothing(cx.now.mono);
        let first = match cx.config.liveness() {
            Liveness::Beats => {
                spread.raise(cx);
                Timer::Cycle
            }
            Liveness::Probes | Liveness::Auto => {
                *cx.beats_until = Instant::ZERO;
                cx.members.beat_once(cx.now.mono);
                Timer::Probe
            }
            Liveness::Off => return,
        };
        let phase = cx.part_of(cx.config.cycle());
        cx.timers.set(first, cx.now.mono + phase);
        cx.timers.set(Timer::Check, cx.now.mono + cx.config.timeout());
    }

    /// Says that we are back after a stop, where no beat does: the others have removed us, or are
    /// about to.
    pub(crate) fn on_restart(cx: &mut Context<'_>, spread: &mut Dissemination) {
        if cx.config.liveness().asks() {
            spread.relay_news(cx, cx.members.me());
        }
    }

    /// Looks who is silent, and removes those whose time is over.
    pub(crate) fn on_check(&mut self, cx: &mut Context<'_>, spread: &mut Dissemination) {
        self.look_at_ourselves(cx);
        match cx.config.liveness() {
            Liveness::Beats | Liveness::Off => self.check_beats(cx),
            Liveness::Probes | Liveness::Auto => self.check_suspects(cx, spread),
        }
    }

    /// Looks at the silent again then. Where somebody's time is over already, and we are in no
    /// state to judge, after a while.
    fn look_again(cx: &mut Context<'_>, next: Instant) {
        let is_over = next <= cx.now.mono;
        let next = if is_over { cx.now.mono + cx.config.cycle() / 4 } else { next };
        cx.timers.set(Timer::Check, next);
    }

    /// Begins a cycle of ours where nodes beat.
    pub(crate) fn new_cycle(&mut self, cx: &mut Context<'_>) {
        self.corrections.new_cycle();
        self.calls.new_cycle();
        self.look_at_ourselves(cx);
    }

    #[cfg(test)]
    pub(crate) fn relayed_len(&self) -> usize {
        self.prober.relayed_len()
    }

    #[cfg(test)]
    pub(crate) fn health_factor(&self) -> u32 {
        self.prober.health_factor()
    }
}
