//! How a run ended: whether everybody has come to agree, and on what.

use rumormill::link::LinkModel;
use rumormill::time::Instant;

use super::Observer;
use crate::observe::entries::Entries;
use crate::observe::invariants::Law;
use crate::observe::settling::SettlingVerdict;

impl Observer {
    /// Whether everybody has come to agree by the end.
    pub(super) fn judge_settling(&mut self, end: Instant, links: &mut LinkModel) {
        self.judge_returned();
        let held = (&self.views, &self.agreement);
        self.settling.note(end, held.0, held.1, self.entries.as_ref());
        let verdict = match self.settling.judge(end, &self.cast, &self.truth, held, links) {
            SettlingVerdict::Settled => self.judge_entries(end, links),
            verdict => verdict,
        };
        let verdict = match verdict {
            SettlingVerdict::Settled => self.says.judge(&self.truth, &self.cast),
            verdict => verdict,
        };
        self.laws.settle(end, verdict);
    }

    /// Whether all read the same entries, and what they should. Over a limit values go by order,
    /// not by what was written last: nothing is asked then.
    fn judge_entries(&mut self, end: Instant, links: &mut LinkModel) -> SettlingVerdict {
        let Some(entries) = self.judged_entries().filter(|_| self.settling.has_had_time(end))
        else {
            return SettlingVerdict::Settled;
        };
        let zombie = entries.zombies(&self.truth).next();
        let lost = entries.lost(&self.truth, end).next();
        let loss = links.loss_max(self.cast.nodes());
        let verdict = self.settling.judge_entries(entries, &self.truth, loss);
        if let Some((node, detail)) = zombie {
            self.laws.breaks(Law::NoZombie, end, Some(node), &detail);
        }
        if let Some(detail) = lost {
            self.laws.breaks(Law::NoLoss, end, None, &detail);
        }
        verdict
    }

    /// Who reads again what it had seen the end of breaks a law at once, whatever happens later.
    fn judge_returned(&mut self) {
        let Some(entries) = self.judged_entries() else { return };
        for (at, node, detail) in entries.returned().to_vec() {
            self.laws.breaks(Law::NoZombie, at, Some(node), &detail);
        }
    }

    fn judged_entries(&self) -> Option<&Entries> {
        let is_over_limit = self.tally.engine()["entries_over_limit"] > 0;
        self.entries.as_ref().filter(|_| !is_over_limit)
    }
}
