//! Nodes that fall silent: stopped ones, and processes that are paused or whose machine sleeps, for
//! which what arrives waits.

use rumormill::core::{Command, Input};
use rumormill::time::Instant;

use super::world::World;
use crate::observe::rumors::Way;
use crate::protocols::Simulated;
use crate::scenario::plan::NodeNo;

/// How a process stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Still {
    /// It does not run; its clocks do.
    Paused,
    /// Its machine has slept since then, and with it the monotonic clock.
    Asleep(Instant),
}

impl<P: Simulated> World<'_, P> {
    /// Nodes fall silent, and go on listening.
    pub(super) fn stop(&mut self, nodes: &[NodeNo], cause: &'static str) {
        for node in self.awake(nodes) {
            self.command(node, Command::Stop);
            self.stage.stop(node);
        }
        self.stage.commit(cause);
    }

    /// They end their silence.
    pub(super) fn start(&mut self, nodes: &[NodeNo], cause: &'static str) {
        let nodes = self.awake(nodes);
        self.stage.start(&nodes, cause);
        nodes.iter().for_each(|&node| self.command(node, Command::Start));
    }

    /// The processes of these nodes stand still from now on, if they run.
    pub(super) fn pause(&mut self, nodes: &[NodeNo], still: Still, cause: &'static str) {
        for &node in nodes {
            if self.seats[node as usize].is_up() && !self.is_paused(node) {
                self.hold_up(node).still = Some(still);
                self.stage.pause(node);
            }
        }
        self.stage.commit(cause);
    }

    /// They go on.
    pub(super) fn resume_all(&mut self, nodes: &[NodeNo], cause: &'static str) {
        nodes.iter().for_each(|&node| self.resume(node));
        self.stage.commit(cause);
    }

    /// One goes on: timers fire that are overdue by the monotonic clock, and then what waited
    /// is read.
    pub(super) fn resume(&mut self, node: NodeNo) {
        let now = self.stage.now();
        let seat = &mut self.seats[node as usize];
        let still = seat.intake.as_mut().and_then(|intake| intake.still.take());
        let Some(still) = still else { return };
        if let Still::Asleep(since) = still {
            seat.oversleep(now - since);
        }
        self.stage.resume(node);
        self.ring(node);
        self.serve(node);
    }

    /// Whether a node's process stands still.
    pub(super) fn is_paused(&self, node: NodeNo) -> bool {
        let intake = self.seats[node as usize].intake.as_ref();
        intake.is_some_and(|intake| intake.still.is_some())
    }

    /// Those of these nodes whose processes do not stand still.
    pub(super) fn awake(&self, nodes: &[NodeNo]) -> Vec<NodeNo> {
        nodes.iter().copied().filter(|&node| !self.is_paused(node)).collect()
    }

    /// A timer that is due fires, late or not.
    pub(super) fn check_deadline(&mut self, node: NodeNo) {
        let deadline = self.seats[node as usize].deadline;
        if deadline.is_some_and(|deadline| deadline <= self.stage.now()) {
            self.trace.timeout(self.stage.now(), node);
            self.input(node, Input::Timeout, Way::Source);
        } else {
            self.arm(node);
        }
    }
}
