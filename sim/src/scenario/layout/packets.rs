//! What is done to single packets, with the nodes that were drawn.

use super::Walk;
use super::fit::Wanted;
use crate::scenario::errors::Mistake;
use crate::scenario::language::actions::At;
use crate::scenario::language::actions::packets::{self, Inject, ReplaySpec, Sender};
use crate::scenario::language::nodes::Nodes;
use crate::scenario::plan::{Content, Deed, Ends, Injection, NodeNo, Speaker};

impl Walk<'_> {
    pub(super) fn drop_one(&mut self, drop: &packets::Drop) -> Result<Deed, Mistake> {
        Ok(Deed::Drop { kind: drop.kind, nth: drop.nth, ends: self.ends(&drop.ends)? })
    }

    pub(super) fn replay(&mut self, at: &At, replay: &ReplaySpec) -> Result<Deed, Mistake> {
        let until = at.hold.map(|hold| self.now + hold);
        Ok(Deed::Replay { ends: self.ends(&replay.ends)?, after: replay.after, until })
    }

    pub(super) fn inject(&mut self, at: &At, inject: &Inject) -> Result<Deed, Mistake> {
        let to = self.fit(at, &inject.to, Wanted::Awake)?;
        let from = match &inject.from {
            Sender::Node(nodes) => Speaker::Node(self.single(nodes)?),
            Sender::Addr(addr) => Speaker::Stranger(*addr),
        };
        let content = match &inject.content {
            packets::ContentSpec::Bytes(bytes) => Content::Bytes(bytes.as_slice().into()),
            packets::ContentSpec::Of { lie, of, claim } => {
                let of = of.as_ref().map(|of| self.single(of)).transpose()?;
                Content::Of { lie: *lie, of: of.map_or(from, Speaker::Node), claim: *claim }
            }
        };
        Ok(Deed::Inject(Injection { to, from, content }))
    }

    fn ends(&mut self, ends: &packets::EndsSpec) -> Result<Ends, Mistake> {
        let from = ends.from.as_ref().map(|nodes| nodes.evaluate(self)).transpose()?;
        let to = ends.to.as_ref().map(|nodes| nodes.evaluate(self)).transpose()?;
        Ok(Ends { from, to })
    }

    fn single(&mut self, nodes: &Nodes) -> Result<NodeNo, Mistake> {
        match nodes.evaluate(self)?.as_slice() {
            &[node] => Ok(node),
            more => {
                let text = format!(
                    "one node is meant here, {nodes} are {}: \
                     write {{ random = 1, from = {nodes} }}",
                    more.len()
                );
                Err(Mistake::new(nodes.at, text))
            }
        }
    }
}
