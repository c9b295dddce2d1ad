//! Anti-entropy: once a cycle with one random member, find what differs and repair it.
//!
//! Nothing else in the protocol has to be reliable: what any of it loses, a swap brings. What two
//! hold in common is compared by digests (`swap.rs`), what differs is found by buckets of the ring
//! (`difference.rs`), and where nothing does the beats go by place on it (`vectors.rs`).

mod difference;
mod discord;
mod swap;
mod vectors;

use self::discord::Discord;
use self::swap::Swaps;
use super::context::Context;
use super::record::Digest;
use super::timers::Timer;
use crate::config::Swap;

/// The swap under way, and what came of those before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct AntiEntropy {
    swaps: Swaps,
    discord: Discord,
    /// What we listed when a partner last answered.
    listed: Digest,
}

impl AntiEntropy {
    /// Begins to swap, at a random phase.
    pub(crate) fn start(cx: &mut Context<'_>) {
        if cx.config.swap() == Swap::On {
            let phase = cx.part_of(cx.config.cycle());
            cx.timers.set(Timer::Swap, cx.now.mono + phase);
        }
    }
}
