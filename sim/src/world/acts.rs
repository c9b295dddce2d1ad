//! Acts: what the scenario does to nodes and to the network, when its time comes.

use std::sync::Arc;

use rumormill::core::{Command, Value};

use super::fault;
use super::world::World;
use crate::observe::observer::Exit;
use crate::scenario::plan::{Action, Deed, Manner, NodeNo};

impl World<'_> {
    pub(super) fn act(&mut self, number: usize, action: &Action) {
        let (at, cause) = (self.now, fault::kind(&action.deed));
        self.recorder.action(at, &action.text);
        self.timeline.push((at.as_nanos() as f64 / 1e6, action.text.clone()));
        if let Some(changes) = fault::network_changes(&action.deed) {
            self.faults.count(cause, 1);
            self.faults.change(number, action, changes, &mut self.links);
            self.recorder.paths(at, &self.links, self.plan.nodes_ever);
            self.observer.commit(at, &self.links, cause);
            return;
        }
        match &action.deed {
            Deed::Heal(heal) => {
                self.faults.heal(at, heal, &mut self.links);
                self.recorder.paths(at, &self.links, self.plan.nodes_ever);
                self.observer.commit(at, &self.links, cause);
            }
            Deed::Publish { node, data } => self.publish(*node, data),
            Deed::Crash(nodes) => {
                self.faults.count(cause, nodes.len() as u64);
                self.exit(nodes, Exit::Crash, cause);
            }
            Deed::Leave(nodes) => {
                self.faults.count(cause, nodes.len() as u64);
                self.exit(nodes, Exit::Leave, cause);
            }
            Deed::Restart { nodes, manner, .. } => {
                self.faults.count(cause, nodes.len() as u64);
                self.faults.strike(at, &action.text, nodes, fault::Recovery::Begins);
                let exit = match manner {
                    Manner::Crash => Exit::Crash,
                    Manner::Leave => Exit::Leave,
                };
                self.exit(nodes, exit, cause);
            }
            Deed::Stop(_)
            | Deed::Start(_)
            | Deed::Pause(_)
            | Deed::Suspend(_)
            | Deed::Resume(_) => {
                self.silence(action, cause);
                self.observer.commit(at, &self.links, cause);
            }
            Deed::Update(said) => {
                self.faults.count(cause, said.len() as u64);
                for (node, said) in said {
                    self.command(*node, Command::Update(said.clone()));
                }
            }
            Deed::Drop { .. } | Deed::Replay { .. } | Deed::Inject(_) => self.meddle(action),
            // What clocks show follows from the plan; the engines see it with their next input.
            Deed::Clock { nodes, change } if fault::is_new(*change) => {
                self.faults.count(cause, nodes.len() as u64);
            }
            Deed::Clock { .. } => {}
            // The newcomers come by themselves.
            Deed::Join(newcomers) => self.faults.count(cause, newcomers.len() as u64),
            Deed::Partition(_) | Deed::Isolate(_) | Deed::Link { .. } | Deed::Network(_) => {
                unreachable!("changes of the network are done above")
            }
        }
    }

    fn publish(&mut self, node: NodeNo, data: &Arc<[u8]>) {
        let why = match Value::new(Arc::clone(data), self.cast.config(node)) {
            Ok(value) if !self.is_paused(node) => {
                return self.command(node, Command::Publish(value));
            }
            Ok(_) => "its process is paused".to_owned(),
            Err(error) => error.to_string(),
        };
        let line = format!("node {node} can't publish: {why}");
        self.timeline.push((self.now.as_nanos() as f64 / 1e6, line));
    }

    /// Nodes go down without more ado; with [`Exit::Leave`] they say goodbye first, which a paused
    /// process can't, and run until they are off.
    pub(super) fn exit(&mut self, nodes: &[NodeNo], exit: Exit, cause: &'static str) {
        let runs = |&&node: &&NodeNo| {
            let seat = &self.seats[node as usize];
            seat.is_up() && (exit == Exit::Crash || seat.inbox.is_none())
        };
        let nodes: Vec<_> = nodes.iter().filter(runs).copied().collect();
        if nodes.is_empty() {
            return;
        }
        for &node in &nodes {
            self.recorder.down(self.now, node, cause);
            self.observer.on_exit(self.now, node, exit);
        }
        self.observer.commit(self.now, &self.links, cause);
        for &node in &nodes {
            self.forget_inbox(node);
            self.faults.recover(self.now, node, fault::Recovery::Wakes);
            if exit == Exit::Leave {
                self.seats[node as usize].is_leaving = true;
                self.command(node, Command::Leave);
            } else {
                self.vacate(node);
            }
        }
    }
}
