//! Settings of peers that do not go with ours.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::Membership;
use crate::config::Liveness;
use crate::core::context::Context;
use crate::core::io::Event;
use crate::core::packet::{Packet, StateSummary};
use crate::core::settings::Difference;

/// What was told of differences already.
#[derive(Clone, Debug, Default)]
pub(super) struct ConfigMismatches {
    told: BTreeSet<(SocketAddr, Difference)>,
    /// Somebody probes, whose records say nothing of its age.
    probers: bool,
}

impl ConfigMismatches {
    pub(crate) const TOLD_MAX: usize = 64;

    /// True when somebody probes.
    pub(super) fn has_probers(&self) -> bool {
        self.probers
    }
}

impl Membership {
    /// Looks at what a packet says of its sender's settings.
    pub(crate) fn compare_settings(
        &mut self,
        cx: &mut Context<'_>,
        from: SocketAddr,
        packet: &Packet,
    ) {
        let Some(StateSummary { settings, entries, .. }) = packet.body.summary() else { return };
        self.mismatches.probers |= settings.liveness == Liveness::Probes;
        if !cx.lists(from) {
            // Of strangers there may be more than we tell of.
            return;
        }
        if settings.liveness == Liveness::Beats {
            cx.note_judge_by_beats();
        }
        for difference in Difference::all(cx.config, packet.step, *settings, entries.room) {
            let told = &mut self.mismatches.told;
            if told.len() < ConfigMismatches::TOLD_MAX && told.insert((from, difference)) {
                cx.out.event(Event::SettingsDiffer { peer: from, difference });
            }
        }
    }
}
