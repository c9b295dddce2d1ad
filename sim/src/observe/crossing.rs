//! What is sent over the links that a scenario describes under `[[link]]`, such as those between
//! two regions.

use rumormill::link::{NetworkChange, Ways};
use rumormill::time::{Instant, nanos};

use crate::bits::BitMatrix;
use crate::results::summary::LinkFigures;
use crate::scenario::plan::{NodeNo, Plan};

/// The counters of the described links.
#[derive(Clone, Debug)]
pub(crate) struct Crossing {
    /// Node by direction of a link: who sends in it, and who receives.
    senders: BitMatrix,
    receivers: BitMatrix,
    described: bool,
    /// The figure per second leaves out what was before.
    window: Instant,
    messages: u64,
    bytes: u64,
    bytes_in_window: u64,
}

impl Crossing {
    pub(crate) fn new(plan: &Plan) -> Self {
        let directions: Vec<_> = plan.links.iter().flat_map(directions).collect();
        let nodes = if directions.is_empty() { 0 } else { plan.nodes_ever as usize };
        let mut senders = BitMatrix::new(nodes, directions.len());
        let mut receivers = senders.clone();
        for (place, (from, to)) in (0..).zip(&directions) {
            for &node in *from {
                senders.set(node, place);
            }
            for &node in *to {
                receivers.set(node, place);
            }
        }
        let described = !directions.is_empty();
        let window = Instant::ZERO + plan.warmup;
        let (messages, bytes, bytes_in_window) = (0, 0, 0);
        Self { senders, receivers, described, window, messages, bytes, bytes_in_window }
    }

    /// A packet of this length with headers is sent, whatever becomes of it.
    pub(crate) fn sent(&mut self, at: Instant, from: NodeNo, to: NodeNo, bytes: u64) {
        if !self.described {
            return;
        }
        let mut both = self.senders.row(from).iter().zip(self.receivers.row(to));
        if both.any(|(sends, receives)| sends & receives != 0) {
            self.messages += 1;
            self.bytes += bytes;
            self.bytes_in_window += if at >= self.window { bytes } else { 0 };
        }
    }

    /// The figures of a run that ends now; none if the scenario describes no link.
    pub(crate) fn finish(&self, end: Instant) -> LinkFigures {
        let Self { messages, bytes, .. } = *self;
        let some = |figure: u64| self.described.then_some(figure);
        let lasts = nanos(end - self.window);
        let per_second = self.bytes_in_window as f64 * 1e9 / lasts as f64;
        LinkFigures {
            messages: some(messages),
            bytes: some(bytes),
            bytes_per_second: (self.described && lasts > 0).then_some(per_second),
        }
    }
}

/// The directions of a link, each as senders and receivers; what is no link has none.
fn directions(link: &NetworkChange) -> Vec<(&[NodeNo], &[NodeNo])> {
    match link {
        NetworkChange::Links { from, to, ways: Ways::One, .. } => vec![(from, to)],
        NetworkChange::Links { from, to, ways: Ways::Both, .. } => vec![(from, to), (to, from)],
        NetworkChange::Partition(_) | NetworkChange::Isolate(_) | NetworkChange::Everywhere(_) => {
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::world::testkit::{self, at_ms};
    use proptest::prelude::*;
    use rumormill::link::LinkChange;

    const NODES: u32 = 6;

    fn crossing(links: Vec<NetworkChange>) -> Crossing {
        let plan = testkit::plan(NODES, Duration::from_secs(10));
        Crossing::new(&Plan { links, warmup: Duration::from_secs(2), ..plan })
    }

    fn link(from: Vec<u32>, to: Vec<u32>, ways: Ways) -> NetworkChange {
        NetworkChange::Links { from, to, ways, change: LinkChange::default() }
    }

    #[test]
    fn a_rate_leaves_the_warm_up_out() {
        let mut crossing = crossing(vec![link(vec![0], vec![1], Ways::Both)]);
        crossing.sent(at_ms(1_000), 0, 1, 500);
        crossing.sent(at_ms(5_000), 1, 0, 800);
        crossing.sent(at_ms(5_000), 1, 2, 7);
        let figures = crossing.finish(at_ms(10_000));
        assert_eq!((figures.messages, figures.bytes), (Some(2), Some(1_300)));
        assert_eq!(figures.bytes_per_second, Some(100.0));
    }

    #[test]
    fn without_a_described_link_there_is_no_figure() {
        let mut crossing = crossing(Vec::new());
        crossing.sent(at_ms(1_000), 0, 1, 500);
        let figures = crossing.finish(at_ms(10_000));
        assert_eq!((figures.messages, figures.bytes, figures.bytes_per_second), (None, None, None));
    }

    fn sets() -> impl Strategy<Value = (Vec<u32>, Vec<u32>, bool)> {
        let set = || {
            prop::collection::btree_set(0..NODES, 0..4).prop_map(|set| set.into_iter().collect())
        };
        (set(), set(), any::<bool>())
    }

    proptest! {
        #[test]
        fn a_packet_counts_once_if_any_link_names_its_direction(
            links in prop::collection::vec(sets(), 1..4),
        ) {
            let ways = |both| if both { Ways::Both } else { Ways::One };
            let typed = links.iter().map(|(a, b, both)| link(a.clone(), b.clone(), ways(*both)));
            let mut crossing = crossing(typed.collect());
            let mut naive = 0;
            for (from, to) in (0..NODES).flat_map(|a| (0..NODES).map(move |b| (a, b))) {
                let named = |(a, b, both): &(Vec<u32>, Vec<u32>, bool)| {
                    (a.contains(&from) && b.contains(&to))
                        || (*both && a.contains(&to) && b.contains(&from))
                };
                naive += u64::from(links.iter().any(named));
                crossing.sent(at_ms(1), from, to, 10);
            }
            let figures = crossing.finish(at_ms(10_000));
            prop_assert_eq!((figures.messages, figures.bytes), (Some(naive), Some(naive * 10)));
        }
    }
}
