//! What a node says of itself in its next life, or from now on in this one.

use std::net::SocketAddr;
use std::sync::Arc;

use rumormill::config::WireVersion;
use rumormill::{Config, Node, NodeBuilder};

use super::Walk;
use crate::scenario::addresses::address;
use crate::scenario::language::actions::{Address, Update};
use crate::scenario::language::groups::PLACE;
use crate::scenario::plan::NodeNo;

impl Walk<'_> {
    /// What each of these nodes says from now on, in this life and those that follow.
    pub(super) fn update(&mut self, update: &Update, nodes: &[NodeNo]) -> Vec<(NodeNo, Node)> {
        let mut said = Vec::with_capacity(nodes.len());
        for (place, &node) in nodes.iter().enumerate() {
            let was = self.public(node);
            let name = update.name.as_ref().map(|name| name.replace(PLACE, &place.to_string()));
            let mut public = NodeBuilder::from(was.clone())
                .name(name.as_deref().unwrap_or(was.name()))
                .private_data(update.private_data.as_deref().unwrap_or(was.private_data()));
            if let Some(tags) = &update.tags {
                public = tags.iter().fold(public.no_tags(), |node, (key, tag)| node.tag(key, tag));
            }
            let public = public.build().expect("the language limits texts");
            self.updated.insert(node, public.clone());
            said.push((node, public));
        }
        said
    }

    /// What a node says of itself when it comes back.
    pub(super) fn next_public(
        &mut self,
        node: NodeNo,
        at: Address,
        private_data: Option<&str>,
    ) -> Node {
        let addr = match at {
            Address::Same => Some(self.public(node).addr()),
            Address::New => None,
            Address::Former => self.former_addr(node),
        };
        let addr = addr.unwrap_or_else(|| {
            self.addresses += 1;
            address(self.addresses - 1)
        });
        let last = self.public(node);
        let public = NodeBuilder::from(last.with_addr(addr))
            .private_data(private_data.unwrap_or(last.private_data()))
            .build()
            .expect("the language limits private data");
        self.updated.remove(&node);
        public
    }

    /// The settings that a node comes back with: those of before, but for what it speaks.
    pub(super) fn next_config(&self, node: NodeNo, wire_max: Option<WireVersion>) -> Arc<Config> {
        let last = &self.incarnations[self.nodes[node as usize].last].config;
        match wire_max {
            Some(wire_max) => Arc::new(last.with_wire_max(wire_max)),
            None => Arc::clone(last),
        }
    }

    /// What a node said of itself last.
    fn public(&self, node: NodeNo) -> &Node {
        let last = self.nodes[node as usize].last;
        self.updated.get(&node).unwrap_or(&self.incarnations[last].public)
    }

    /// Where a node was before it came to its present address.
    fn former_addr(&self, node: NodeNo) -> Option<SocketAddr> {
        let (first, last) = (self.nodes[node as usize].first, self.nodes[node as usize].last);
        let present = self.incarnations[last].public.addr();
        let lives = self.incarnations[first..last].iter().rev().filter(|life| life.node == node);
        lives.map(|life| life.public.addr()).find(|&addr| addr != present)
    }
}
