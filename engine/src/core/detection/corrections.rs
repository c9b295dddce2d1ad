//! Corrections: who spoke of what is out of date is told how it is.

use std::net::SocketAddr;

use super::Detection;
use crate::core::context::Context;
use crate::core::members::NodeIx;

/// What is to be put right, and whom we told.
#[derive(Clone, Debug, Default)]
pub(super) struct Corrections {
    /// Members of which the packet at hand said something that is out of date.
    outdated: Vec<NodeIx>,
    /// Whom we told this cycle that what it says is outranked.
    told: Vec<SocketAddr>,
}

impl Corrections {
    /// More senders than these are not told in one cycle.
    pub(crate) const TOLD_MAX: usize = 64;

    pub(crate) fn new_cycle(&mut self) {
        self.told.clear();
    }
}

impl Detection {
    /// The packet at hand said something of a member that is out of date.
    pub(crate) fn note_outdated(&mut self, node: NodeIx) {
        self.corrections.outdated.push(node);
    }

    /// True the first time in a cycle that this sender is to be told.
    pub(crate) fn may_correct(&mut self, sender: SocketAddr) -> bool {
        let told = &mut self.corrections.told;
        if told.len() == Corrections::TOLD_MAX || told.contains(&sender) {
            return false;
        }
        told.push(sender);
        true
    }

    /// Tells the sender of what was out of date how it really is.
    pub(crate) fn correct(&mut self, cx: &mut Context<'_>, sender: SocketAddr) {
        if self.corrections.outdated.is_empty() {
            return;
        }
        let mut nodes = std::mem::take(&mut self.corrections.outdated);
        nodes.sort_unstable_by_key(|&node| cx.members.addr(node));
        nodes.dedup();
        let news = nodes.iter().filter_map(|&node| cx.news_of(node));
        let pages = cx.record_pages(news);
        cx.send_records(sender, pages);
    }
}
