//! Acts: what the scenario does to nodes and to the network, when its time comes.

use std::sync::Arc;

use rumormill::core::{Command, EntryKey, Terms};

use super::pause::Still;
use super::world::World;
use crate::protocols::Simulated;
use crate::scenario::plan::{Action, Deed, Manner, NodeNo};

impl<P: Simulated> World<'_, P> {
    pub(super) fn act(&mut self, number: usize, action: &Action) {
        let cause = self.stage.act(number, action);
        match &action.deed {
            Deed::Crash(nodes) => self.exit(nodes, Manner::Crash, cause),
            Deed::Leave(nodes) => self.exit(nodes, Manner::Leave, cause),
            Deed::Restart { nodes, manner, .. } => self.exit(nodes, *manner, cause),
            Deed::Partition(_)
            | Deed::Isolate(_)
            | Deed::Link { .. }
            | Deed::Network(_)
            | Deed::Heal(_) => self.stage.paths(),
            Deed::Publish { node, data } => self.publish(*node, data),
            Deed::Write { node, key, put } => self.write(*node, key, put.as_ref()),
            Deed::Stop(nodes) => self.stop(nodes, cause),
            Deed::Start(nodes) => self.start(nodes, cause),
            Deed::Pause(nodes) => self.pause(nodes, Still::Paused, cause),
            Deed::Suspend(nodes) => self.pause(nodes, Still::Asleep(self.stage.now()), cause),
            Deed::Resume(nodes) => self.resume_all(nodes, cause),
            Deed::Starve { nodes, delay } => self.starve(nodes, number, delay),
            Deed::Slow { nodes, cost } => self.slow(nodes, number, *cost),
            Deed::Relieve { nodes, of } => self.relieve(nodes, *of),
            Deed::Update(said) => {
                for (node, said) in said {
                    self.command(*node, Command::Update(said.clone()));
                }
            }
            Deed::Drop { kind, nth, ends } => self.drop_one(&action.text, (kind, *nth), ends),
            Deed::Replay { ends, after, until } => {
                self.replay(&action.text, ends, (*after, *until));
            }
            Deed::Inject(injection) => self.inject_all(injection),
            // What clocks show follows from the plan; the engines see it with their next input. The
            // newcomers come by themselves.
            Deed::Clock { .. } | Deed::Join(_) => {}
        }
    }

    fn publish(&mut self, node: NodeNo, data: &Arc<[u8]>) {
        if let Some(value) = self.stage.publish(node, data, self.is_paused(node)) {
            self.command(node, Command::Publish(value));
        }
    }

    fn write(&mut self, node: NodeNo, key: &EntryKey, put: Option<&(Arc<[u8]>, Terms)>) {
        if self.is_paused(node) {
            return self.stage.remark_paused(node);
        }
        self.command(
            node,
            match put {
                Some((data, terms)) => Command::Put(key.clone(), Arc::clone(data), *terms),
                None => Command::Delete(key.clone()),
            },
        );
    }

    /// Nodes go down without more ado; with [`Manner::Leave`] they say goodbye first, which a
    /// paused process can't, and run until they are off.
    pub(super) fn exit(&mut self, nodes: &[NodeNo], manner: Manner, cause: &'static str) {
        let runs = |&&node: &&NodeNo| {
            let is_up = self.seats[node as usize].is_up();
            is_up && (manner == Manner::Crash || !self.is_paused(node))
        };
        let nodes: Vec<_> = nodes.iter().filter(runs).copied().collect();
        self.stage.exit(&nodes, manner, cause);
        for &node in &nodes {
            if manner == Manner::Leave {
                self.seats[node as usize].is_leaving = true;
                self.command(node, Command::Leave);
            } else {
                self.vacate(node);
            }
        }
    }
}
