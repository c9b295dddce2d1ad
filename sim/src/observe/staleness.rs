//! How long nodes hold values that are out of date.

use std::time::Duration;

use rumormill::Version;
use rumormill::time::{Instant, nanos};

use crate::scenario::plan::NodeNo;

/// The time that each node lived, and of it the time in which a newer value than its own existed.
#[derive(Clone, Debug)]
pub(crate) struct Staleness {
    /// The newest version that anybody has published.
    newest: Option<Version>,
    nodes: Vec<Tenure>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tenure {
    held: Option<Version>,
    live_since: Option<Instant>,
    stale_since: Option<Instant>,
    lived: Duration,
    stale: Duration,
}

impl Staleness {
    pub(crate) fn new(nodes: u32) -> Self {
        Self { newest: None, nodes: vec![Tenure::default(); nodes as usize] }
    }

    /// A node begins to live, without a value.
    pub(crate) fn begin(&mut self, at: Instant, node: NodeNo) {
        self.nodes[node as usize].held = None;
        self.resume(at, node);
    }

    /// A node lives from now on.
    pub(crate) fn resume(&mut self, at: Instant, node: NodeNo) {
        let tenure = &mut self.nodes[node as usize];
        tenure.live_since = Some(at);
        tenure.look(at, self.newest);
    }

    /// A node ceases to live, for a while or for good.
    pub(crate) fn pause(&mut self, at: Instant, node: NodeNo) {
        self.nodes[node as usize].pause(at);
    }

    /// A node published this version.
    pub(crate) fn publish(&mut self, at: Instant, version: Version) {
        if self.newest < Some(version) {
            self.newest = Some(version);
            self.nodes.iter_mut().for_each(|tenure| tenure.look(at, Some(version)));
        }
    }

    /// A node holds another version.
    pub(crate) fn hold(&mut self, at: Instant, node: NodeNo, version: Version) {
        let tenure = &mut self.nodes[node as usize];
        tenure.held = Some(version);
        tenure.look(at, self.newest);
    }

    /// The mean over all nodes that lived, in order of their numbers; `None` if nobody published.
    pub(crate) fn finish(mut self, end: Instant) -> Option<f64> {
        self.newest?;
        self.nodes.iter_mut().for_each(|tenure| tenure.pause(end));
        let lived = self.nodes.iter().filter(|tenure| tenure.lived > Duration::ZERO);
        let shares: Vec<_> =
            lived.map(|tenure| nanos(tenure.stale) as f64 / nanos(tenure.lived) as f64).collect();
        (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
    }
}

impl Tenure {
    /// Begins or ends the time in which it is out of date.
    fn look(&mut self, at: Instant, newest: Option<Version>) {
        if self.live_since.is_some() && self.held < newest {
            self.stale_since.get_or_insert(at);
        } else if let Some(since) = self.stale_since.take() {
            self.stale += at - since;
        }
    }

    fn pause(&mut self, at: Instant) {
        if let Some(since) = self.live_since.take() {
            self.lived += at - since;
        }
        if let Some(since) = self.stale_since.take() {
            self.stale += at - since;
        }
    }
}

#[cfg(test)]
mod tests {
    use rumormill::node::NodeId;

    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(secs)
    }

    fn version(nanos: i64) -> Version {
        Version { nanos, writer: NodeId(1), digest: [0; 16] }
    }

    #[test]
    fn a_node_is_out_of_date_while_it_lives_and_a_newer_value_exists() {
        let mut staleness = Staleness::new(4);
        (0..3).for_each(|node| staleness.begin(at(0), node));
        staleness.publish(at(10), version(1));
        staleness.hold(at(10), 0, version(1));
        staleness.hold(at(12), 1, version(1));
        // An older one, which brings nobody up to date, and one that is overtaken on its way.
        staleness.publish(at(13), version(0));
        staleness.hold(at(13), 2, version(0));
        staleness.publish(at(14), version(3));
        staleness.hold(at(15), 0, version(2));
        staleness.hold(at(16), 0, version(3));
        // Node 2 is silent for a while, and then begins anew without a value.
        staleness.pause(at(15), 2);
        staleness.resume(at(17), 2);
        staleness.pause(at(18), 2);
        staleness.begin(at(19), 2);
        // Node 0 for 2 s of 20, node 1 for 2 and 6 of 20, node 2 for 5, 1 and 1 of 17.
        let want = (2.0 / 20.0 + 8.0 / 20.0 + 7.0 / 17.0) / 3.0;
        assert_eq!(staleness.finish(at(20)), Some(want), "and node 3 never lived");
    }

    #[test]
    fn without_a_publish_nobody_is_out_of_date_or_up_to_date() {
        let mut staleness = Staleness::new(1);
        staleness.begin(at(0), 0);
        assert_eq!(staleness.finish(at(20)), None);
    }
}
