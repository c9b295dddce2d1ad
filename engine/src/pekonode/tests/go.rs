//! A node that behaves as pekonode in Go does, faults included.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::node::{Node, NodeId};
use crate::pekonode::{Carried, Kind, LegacyPacket, SecretDigest, mark};
use crate::time::Now;

/// What it sends.
pub(super) type Sent = Vec<(SocketAddr, Arc<LegacyPacket>)>;

#[derive(Clone, Debug)]
pub(super) struct Go {
    pub(super) node: Node,
    pub(super) metadata: Carried,
    pub(super) is_stopped: bool,
    amount: usize,
    timeout_secs: i64,
    /// Keyed by all that a node says of itself, so that a changed one is a second one; in an order
    /// that differs from node to node and never changes, as the map of new Go versions has it.
    /// With each the wall clock's second in which it was heard.
    list: BTreeMap<(NodeId, String), (Node, i64)>,
}

impl Go {
    pub(super) fn new(node: Node, amount: usize, timeout_secs: i64) -> Self {
        let metadata = Carried { data: Some([].into()), update: 0 };
        Self { node, metadata, is_stopped: false, amount, timeout_secs, list: BTreeMap::new() }
    }

    pub(super) fn set(&mut self, now: Now, node: &Node) {
        let place = NodeId(NodeId::of(node.addr()).0.rotate_left(self.node.addr().port().into()));
        let key = (place, format!("{node:?}"));
        self.list.insert(key, (node.clone(), seconds(now)));
    }

    pub(super) fn list(&self, now: Now) -> Vec<Node> {
        let fresh = |(_, seen): &&(Node, i64)| seen + self.timeout_secs > seconds(now);
        self.list.values().filter(fresh).map(|(node, _)| node.clone()).collect()
    }

    pub(super) fn on_cycle(&mut self, now: Now) -> Sent {
        if self.is_stopped {
            return Sent::new();
        }
        self.set(now, &self.node.clone());
        let mut sent = self.spread(now, self.packet(Kind::Beat, Carried::NONE));
        let me = self.node.addr();
        if let Some(partner) = self.list(now).iter().find(|node| node.addr() != me) {
            let request = self.packet(Kind::SwapRequest, self.metadata.clone());
            sent.push((partner.addr(), request.into()));
        }
        sent
    }

    pub(super) fn publish(&mut self, now: Now, data: &[u8]) -> Sent {
        self.metadata = Carried { data: Some(data.into()), update: now.wall.0 };
        self.spread(now, self.packet(Kind::Publish, self.metadata.clone()))
    }

    pub(super) fn on_packet(&mut self, now: Now, packet: &LegacyPacket) -> Sent {
        let (theirs, ours) = (packet.metadata.update, self.metadata.update);
        match packet.kind {
            Kind::SwapRequest | Kind::SwapAnswer if theirs > ours => {
                self.metadata = packet.metadata.clone();
                Sent::new()
            }
            Kind::SwapRequest if theirs < ours => {
                let answer = self.packet(Kind::SwapAnswer, self.metadata.clone());
                vec![(packet.node.addr(), answer.into())]
            }
            Kind::SwapRequest | Kind::SwapAnswer => Sent::new(),
            Kind::Beat | Kind::Publish => {
                self.set(now, &packet.node);
                if packet.kind == Kind::Publish && theirs > ours {
                    self.metadata = packet.metadata.clone();
                }
                self.spread(now, packet.clone())
            }
        }
    }

    /// To the first `amount` that are not marked; each of them gets the same marks.
    fn spread(&self, now: Now, mut packet: LegacyPacket) -> Sent {
        let mut targets = Vec::new();
        for node in self.list(now) {
            if targets.len() < self.amount && packet.infected.insert(mark(node.addr())) {
                targets.push(node.addr());
            }
        }
        let packet = Arc::new(packet);
        targets.into_iter().map(|to| (to, Arc::clone(&packet))).collect()
    }

    fn packet(&self, kind: Kind, metadata: Carried) -> LegacyPacket {
        let infected = match kind {
            Kind::Beat | Kind::Publish => [mark(self.node.addr())].into(),
            Kind::SwapRequest | Kind::SwapAnswer => [].into(),
        };
        let secret_key = SecretDigest::default();
        LegacyPacket { node: self.node.clone(), infected, metadata, kind, secret_key }
    }
}

fn seconds(now: Now) -> i64 {
    now.wall.0.div_euclid(1_000_000_000)
}
