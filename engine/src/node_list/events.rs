//! Following a node: what is the case, then each change, in order, once.

use std::collections::VecDeque;

use tokio::sync::broadcast;

use super::NodeList;
use crate::core::{Event, Reach};
use crate::net::{Notice, Queued, SeedState};

impl NodeList {
    /// What is the case now, as events, and then the changes, across joins and leaves of this
    /// handle: first [`Event::Joined`] for each listed member in order of address, this node
    /// among them, and [`Event::Published`] if there is metadata; then [`Notice::Seed`] for each
    /// seed of which something is known, and [`Notice::Alone`] where nobody else is listed; of a
    /// node that has ended [`Notice::Ended`]. Nothing comes twice, and nothing is left out without
    /// a word: see [`Notice::Missed`]. A subscription that is forgotten holds one value at most.
    ///
    /// A leave tells [`Notice::Left`], and the members that were listed are gone with it; the next
    /// join begins with its own `Joined`.
    pub fn subscribe(&self) -> Events {
        // In this order: what happens between the two is in both, and told once by its number.
        let notices = self.notices.subscribe();
        let view = self.shared.view.borrow();
        let joined = view.records.iter().cloned().map(Event::Joined).map(Notice::Event);
        let seeds = view.seeds.iter().filter(|seed| seed.state != SeedState::Seeking);
        let seeds = seeds.cloned().map(Notice::Seed);
        let reach = view.agreement.reach;
        let alone = matches!(reach, Reach::First | Reach::Nobody).then_some(Notice::Alone(reach));
        let ended = view.ended.clone().map(Notice::Ended);
        let present = joined.map(Queued::Small).chain(self.shared.held(&view));
        let ahead = present.chain(seeds.chain(alone).chain(ended).map(Queued::Small)).collect();
        Events { ahead, notices, told: view.told, missed: 0 }
    }
}

/// The changes of one node, from [`NodeList::subscribe`].
#[derive(Debug)]
pub struct Events {
    /// What comes before anything that is still to be received.
    ahead: VecDeque<Queued>,
    notices: broadcast::Receiver<(u64, Queued)>,
    /// The number of the last notice that was taken, by itself or in the state at the beginning.
    told: u64,
    /// How many were missed right before the first one ahead.
    missed: u64,
}

impl Events {
    /// Waits for the next change; `None` once the [`NodeList`] is dropped, whatever has become of
    /// its task and runtime. Nothing is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Notice> {
        loop {
            match self.ahead.front().map(Queued::told) {
                None => {
                    let next = self.next().await?;
                    self.ahead.push_back(next);
                }
                Some(None) => {
                    self.missed += 1;
                    self.ahead.pop_front();
                }
                Some(_) if self.missed > 0 => {
                    return Some(Notice::Missed(std::mem::take(&mut self.missed)));
                }
                Some(notice) => {
                    self.ahead.pop_front();
                    return notice;
                }
            }
        }
    }

    /// The next that is not in the state that was told at the beginning.
    async fn next(&mut self) -> Option<Queued> {
        loop {
            match self.notices.recv().await {
                Ok((number, queued)) if number > self.told => {
                    self.missed += number - self.told - 1;
                    self.told = number;
                    return Some(queued);
                }
                Ok(_) => {}
                // How many were missed shows in the number of the next one.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
