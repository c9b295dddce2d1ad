//! Waiting until the cluster agrees: what a service does before it relies on what it reads.

use std::time::Duration;

use tokio::time::Instant;

use super::NodeList;
use crate::core::{Agreement, Reach};

impl NodeList {
    /// How many of the members that spoke with this node lately hold the same node list and the
    /// same metadata as it does. Nobody of whom nothing was heard counts: before the first swap,
    /// and with `wire = "pekonode"` or `swap = "off"`, there are no peers. Its `reach` tells a node
    /// that is the first of its cluster from one that can't find it: see [`NodeList::seeds`].
    pub fn agreement(&self) -> Agreement {
        self.shared.view.borrow().agreement
    }

    /// Waits until all peers report the same as this node holds: at least `min`, so that those
    /// that are still to come can, and at most `max`. Returns what the agreement is then. A node
    /// that is the first of its cluster has nobody to wait for, and waits for `min`; one that
    /// reaches none of its seeds waits for `max`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rumormill::NodeList;
    /// # use rumormill::core::Reach;
    /// # async fn start_work(list: &NodeList) {
    /// let agreement = list.settled(Duration::from_secs(1), Duration::from_secs(30)).await;
    /// match agreement.reach {
    ///     Reach::First => eprintln!("the first node of a cluster"),
    ///     Reach::Others if agreement.is_full() => {}
    ///     Reach::Others => {
    ///         eprintln!("{} of {} peers agree so far", agreement.same, agreement.peers);
    ///     }
    ///     _ => eprintln!("no seed answers: {:?}", list.seeds()),
    /// }
    /// # }
    /// ```
    pub async fn settled(&self, min: Duration, max: Duration) -> Agreement {
        let (start, pause) = (Instant::now(), self.config.cycle() / 4);
        loop {
            let (agreement, waited) = (self.agreement(), start.elapsed());
            let is_settled = agreement.is_full() || agreement.reach == Reach::First;
            if waited >= max || (waited >= min && is_settled) {
                return agreement;
            }
            let until = if waited < min { min.min(max) } else { max };
            tokio::time::sleep(pause.min(until - waited)).await;
        }
    }
}
