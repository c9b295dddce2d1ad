//! Following a node: what is the case, then each change, in order, once.

use std::collections::VecDeque;

use tokio::sync::broadcast;

use super::NodeList;
use crate::core::Event;
use crate::net::Notice;

impl NodeList {
    /// What is the case now, as events, and then the changes, across joins and leaves of this
    /// handle: first [`Event::Joined`] for each listed member in order of address, this node
    /// among them, and [`Event::Published`] if there is metadata; of a node that has ended
    /// [`Notice::Ended`]. Nothing comes twice, and nothing is left out without a word: see
    /// [`Notice::Missed`].
    ///
    /// A leave tells [`Notice::Left`], and the members that were listed are gone with it; the next
    /// join begins with its own `Joined`.
    pub fn subscribe(&self) -> Events {
        // In this order: what happens between the two is in both, and told once by its number.
        let notices = self.notices.subscribe();
        let view = self.shared.view.borrow();
        let joined = view.records.iter().cloned().map(Event::Joined);
        let published = view.metadata.iter().cloned().map(Event::Published);
        let present = joined.chain(published).map(Notice::Event);
        let ahead = present.chain(view.ended.clone().map(Notice::Ended)).collect();
        Events { ahead, notices, told: view.told }
    }
}

/// The changes of one node, from [`NodeList::subscribe`].
#[derive(Debug)]
pub struct Events {
    /// What comes before anything that is still to be received.
    ahead: VecDeque<Notice>,
    notices: broadcast::Receiver<(u64, Notice)>,
    /// The number of the last notice that was told, by itself or in the state at the beginning.
    told: u64,
}

impl Events {
    /// Waits for the next change; `None` once the [`NodeList`] is dropped, whatever has become of
    /// its task and runtime. Nothing is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Notice> {
        loop {
            if let Some(notice) = self.ahead.pop_front() {
                return Some(notice);
            }
            match self.notices.recv().await {
                Ok((number, notice)) if number > self.told => {
                    let missed = number - self.told - 1;
                    self.told = number;
                    self.ahead.extend((missed > 0).then_some(Notice::Missed(missed)));
                    self.ahead.push_back(notice);
                }
                // It is in the state that was told at the beginning.
                Ok(_) => {}
                // How many were missed shows in the number of the next one.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
