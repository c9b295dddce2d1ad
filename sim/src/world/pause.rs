//! Nodes that fall silent: stopped ones, and processes that are paused or whose machine sleeps, for
//! which what arrives waits.

use std::collections::VecDeque;

use rumormill::core::{Command, Input};
use rumormill::time::Instant;

use super::parcels::ParcelNo;
use super::world::World;
use crate::observe::cast::AddrNo;
use crate::observe::rumors::Way;
use crate::observe::stage::Unread;
use crate::protocols::Simulated;
use crate::scenario::plan::NodeNo;

/// What came to a socket while nobody read it.
#[derive(Debug)]
pub(super) struct Inbox {
    /// Sender and packet, the oldest first.
    waiting: VecDeque<(AddrNo, ParcelNo)>,
    still: Still,
}

/// How a process stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Still {
    /// It does not run; its clocks do.
    Paused,
    /// Its machine has slept since then, and with it the monotonic clock.
    Asleep(Instant),
}

impl Inbox {
    fn new(still: Still) -> Self {
        Self { waiting: VecDeque::new(), still }
    }

    /// How many packets wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
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
            let seat = &mut self.seats[node as usize];
            if seat.is_up() && seat.inbox.is_none() {
                seat.inbox = Some(Inbox::new(still));
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
        let Some(inbox) = seat.inbox.take() else { return };
        if let Still::Asleep(since) = inbox.still {
            seat.oversleep(now - since);
        }
        self.stage.resume(node);
        self.check_deadline(node);
        for (from, parcel) in inbox.waiting {
            self.read(node, from, parcel);
        }
    }

    /// Keeps a packet that arrived for a paused node, as long as its socket has room: as many
    /// packets as the engine's `buffer`. True when the node is paused.
    pub(super) fn keep_for_later(&mut self, node: NodeNo, from: AddrNo, parcel: ParcelNo) -> bool {
        let room = self.cast.config(node).buffer();
        let Some(inbox) = &mut self.seats[node as usize].inbox else { return false };
        if inbox.len() < room {
            inbox.waiting.push_back((from, parcel));
        } else {
            self.lose(node, parcel, Unread::Overflow);
        }
        true
    }

    /// What waits for a node will never be read: it dies in its sleep.
    pub(super) fn forget_inbox(&mut self, node: NodeNo) {
        let inbox = self.seats[node as usize].inbox.take();
        for (_, parcel) in inbox.map(|inbox| inbox.waiting).unwrap_or_default() {
            self.lose(node, parcel, Unread::ToDead);
        }
    }

    /// Whether a node's process stands still.
    pub(super) fn is_paused(&self, node: NodeNo) -> bool {
        self.seats[node as usize].inbox.is_some()
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
