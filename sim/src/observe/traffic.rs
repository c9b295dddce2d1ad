//! How many packets and bytes nodes send, and what became of the packets.

use std::time::Duration;

use rumormill::time::{Instant, nanos};

use super::{ms, rank};
use crate::results::summary::{Bytes, Messages, NodeTraffic, PerNodePerSecond, RunResult};
use crate::scenario::plan::NodeNo;

/// UDP and IPv4 headers of one packet, in bytes.
pub(crate) const HEADERS: u64 = 28;

/// The counters of a run.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    /// Figures per second leave out what was before.
    window: Instant,
    /// A node that ran for less than a cycle counts as if it had run for one: a single burst is no
    /// rate.
    ran_min: Duration,
    messages: Messages,
    bytes: Bytes,
    nodes: Vec<TrafficTally>,
    packet_bytes_max: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct TrafficTally {
    messages: u64,
    /// With headers.
    bytes: u64,
    ran: Duration,
    up_since: Option<Instant>,
}

impl Traffic {
    pub(crate) fn new(nodes: u32, warmup: Duration, cycle: Duration) -> Self {
        Self {
            window: Instant::ZERO + warmup,
            ran_min: cycle,
            messages: Messages::default(),
            bytes: Bytes::default(),
            nodes: vec![TrafficTally::default(); nodes as usize],
            packet_bytes_max: 0,
        }
    }

    pub(crate) fn up(&mut self, at: Instant, node: NodeNo) {
        self.nodes[node as usize].up_since = Some(at.max(self.window));
    }

    pub(crate) fn down(&mut self, at: Instant, node: NodeNo) {
        let tally = &mut self.nodes[node as usize];
        if let Some(since) = tally.up_since.take() {
            tally.ran += at - since;
        }
    }

    /// A node sent a packet of this encoded length.
    pub(crate) fn sent(&mut self, at: Instant, node: NodeNo, payload: u64) {
        let bytes = payload + HEADERS;
        self.messages.sent += 1;
        self.bytes.payload += payload;
        self.bytes.with_headers += bytes;
        self.packet_bytes_max = self.packet_bytes_max.max(payload);
        if at >= self.window {
            let tally = &mut self.nodes[node as usize];
            tally.messages += 1;
            tally.bytes += bytes;
        }
    }

    /// What became of packets, for the world to count.
    pub(crate) fn fates(&mut self) -> &mut Messages {
        &mut self.messages
    }

    pub(crate) fn messages(&self) -> Messages {
        self.messages
    }

    pub(crate) fn bytes(&self) -> Bytes {
        self.bytes
    }

    /// Fills in what was sent, and what became of it.
    pub(crate) fn finish(mut self, end: Instant, run: &mut RunResult) {
        let summary = &mut run.summary;
        summary.per_node_per_second = self.per_second(end);
        summary.messages = self.messages;
        summary.bytes = self.bytes;
        summary.peaks.packet_bytes = self.packet_bytes_max;
        run.node_traffic = self.by_node();
    }

    /// What each node that ran in the window sent, over its own time; after
    /// [`Traffic::per_second`].
    fn by_node(&self) -> Vec<NodeTraffic> {
        let ran = (0..).zip(&self.nodes).filter(|(_, tally)| tally.ran > Duration::ZERO);
        let rates = ran.map(|(node, tally)| {
            let seconds = nanos(tally.ran.max(self.ran_min)) as f64 / 1e9;
            NodeTraffic {
                node,
                messages_per_second: tally.messages as f64 / seconds,
                bytes_per_second: tally.bytes as f64 / seconds,
            }
        });
        rates.collect()
    }

    /// Rates of the nodes that ran in the window, each over its own time.
    fn per_second(&mut self, end: Instant) -> PerNodePerSecond {
        (0..self.nodes.len() as u32).for_each(|node| self.down(end, node));
        let ran: Vec<_> = self.nodes.iter().filter(|tally| tally.ran > Duration::ZERO).collect();
        let rates = |count: fn(&TrafficTally) -> u64| {
            let rate = |tally: &&TrafficTally| {
                count(tally) as f64 * 1e9 / nanos(tally.ran.max(self.ran_min)) as f64
            };
            let mut rates: Vec<_> = ran.iter().map(rate).collect();
            rates.sort_by(f64::total_cmp);
            move |percent| rank(percent, rates.len()).map(|rank| rates[rank])
        };
        let (messages, bytes) = (rates(|tally| tally.messages), rates(|tally| tally.bytes));
        PerNodePerSecond {
            messages_p50: messages(50),
            bytes_p50: bytes(50),
            bytes_p99: bytes(99),
            bytes_max: bytes(100),
            window_ms: ms(Instant::ZERO + (end - self.window)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(secs)
    }

    #[test]
    fn rates_leave_the_warm_up_out_and_go_by_each_nodes_own_time() {
        let mut traffic = Traffic::new(4, Duration::from_secs(2), Duration::from_secs(1));
        (0..3).for_each(|node| traffic.up(at(0), node));
        traffic.sent(at(1), 0, 100);
        (0..8).for_each(|_| traffic.sent(at(5), 0, 72));
        traffic.down(at(6), 1);
        (0..8).for_each(|_| traffic.sent(at(5), 1, 72));
        let mut run = RunResult::default();
        traffic.finish(at(10), &mut run);
        let rates = run.summary.per_node_per_second;
        assert_eq!(rates.window_ms, 8_000.0);
        // Node 0 sent 8 packets in 8 s, node 1 as many in 4 s, node 2 none; node 3 never ran.
        assert_eq!(rates.messages_p50, Some(1.0));
        assert_eq!((rates.bytes_p50, rates.bytes_p99), (Some(100.0), Some(200.0)));
        assert_eq!(rates.bytes_max, Some(200.0));
        let by_node: Vec<_> =
            run.node_traffic.iter().map(|n| (n.node, n.bytes_per_second)).collect();
        assert_eq!(by_node, [(0, 100.0), (1, 200.0), (2, 0.0)]);
        let (bytes, peaks) = (run.summary.bytes, run.summary.peaks);
        assert_eq!((bytes.with_headers, run.summary.messages.sent), (1_728, 17));
        assert_eq!((bytes.payload, peaks.packet_bytes), (1_252, 100));
    }

    #[test]
    fn a_short_life_is_no_rate_and_nobody_has_none() {
        let mut traffic = Traffic::new(1, Duration::ZERO, Duration::from_secs(1));
        assert_eq!(traffic.clone().per_second(at(10)).bytes_max, None);
        traffic.up(at(1), 0);
        traffic.sent(at(1), 0, 72);
        traffic.down(at(1) + Duration::from_millis(1), 0);
        assert_eq!(traffic.per_second(at(10)).bytes_max, Some(100.0));
    }
}
