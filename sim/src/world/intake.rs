//! Intake: how a node takes in what comes to it, where that is not at once.
//!
//! What the network delivers lies with the kernel of a node until its process reads it. A paused
//! process reads nothing; a starved one gets each packet after a delay of its own, and none before
//! an earlier one; a slow one comes to the next thing once it is through with the last. What is
//! starved or slow is the machine: that lasts over restarts, while what waits is lost with the
//! process.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use rumormill::rng::Rng;
use rumormill::time::{Instant, nanos};

use super::alarm::Alarm;
use super::parcels::ParcelNo;
use super::pause::Still;
use super::world::{World, WorldEvent};
use crate::observe::cast::AddrNo;
use crate::observe::stage::Unread;
use crate::protocols::Simulated;
use crate::scenario::plan::NodeNo;

/// A packet that has arrived at a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    pub(super) from: AddrNo,
    pub(super) parcel: ParcelNo,
    /// Since when it has waited to be read.
    pub(super) at: Instant,
}

/// What a process comes to in its turn.
#[derive(Clone, Copy, Debug)]
enum Waiting {
    Packet(Arrived),
    /// A timer that was due.
    Timer,
}

/// What holds a node up, and what waits for it.
#[derive(Debug, Default)]
pub(super) struct Intake {
    /// How its process stands still, if it does.
    pub(super) still: Option<Still>,
    /// The newest one counts.
    starved: Vec<Starved>,
    slow: Vec<Slow>,
    /// What is not handed over yet, and when it will be, the oldest first.
    late: VecDeque<(Instant, Arrived)>,
    /// What the process has yet to come to, the oldest first.
    waiting: VecDeque<Waiting>,
    /// Until when it is at work.
    busy_until: Instant,
    alarm: Alarm,
}

/// By the action at a place of the plan, packets are handed over late.
#[derive(Debug)]
struct Starved {
    by: usize,
    delay: RangeInclusive<Duration>,
    chance: Rng,
}

/// By the action at a place of the plan, each input takes so much time.
#[derive(Clone, Copy, Debug)]
struct Slow {
    by: usize,
    cost: Duration,
}

impl Intake {
    /// How many packets were not read.
    pub(super) fn unread(&self) -> usize {
        let is_packet = |it: &&Waiting| matches!(it, Waiting::Packet(_));
        self.late.len() + self.waiting.iter().filter(is_packet).count()
    }

    /// How late a packet is that arrives now, where packets are.
    fn delay(&mut self) -> Option<Duration> {
        let Starved { delay, chance, .. } = self.starved.last_mut()?;
        let (least, most) = (nanos(*delay.start()), nanos(*delay.end()));
        Some(Duration::from_nanos(chance.between(least, most)))
    }

    /// Whether the process does not come at once to what it is handed.
    fn is_engaged(&self, now: Instant) -> bool {
        self.still.is_some() || !self.waiting.is_empty() || self.is_busy(now)
    }

    fn is_slow(&self) -> bool {
        !self.slow.is_empty()
    }

    fn is_busy(&self, now: Instant) -> bool {
        self.is_slow() && self.busy_until > now
    }

    /// The process does a piece of work.
    pub(super) fn work(&mut self, now: Instant) {
        if let Some(Slow { cost, .. }) = self.slow.last() {
            self.busy_until = self.busy_until.max(now) + *cost;
        }
    }

    /// The next packet that is handed over by now.
    fn take_late(&mut self, now: Instant) -> Option<Arrived> {
        let &(due, arrival) = self.late.front()?;
        (self.starved.is_empty() || due <= now).then(|| self.late.pop_front())?;
        Some(arrival)
    }

    /// What the process comes to next, if it can now.
    fn take_waiting(&mut self, now: Instant) -> Option<Waiting> {
        if self.still.is_some() || self.is_busy(now) { None } else { self.waiting.pop_front() }
    }

    /// When there will be something to do, as far as that is known.
    fn next_at(&self) -> Option<Instant> {
        let late = self.late.front().map(|&(due, _)| due);
        let waits = self.still.is_none() && !self.waiting.is_empty();
        let waiting = waits.then_some(self.busy_until);
        late.into_iter().chain(waiting).min()
    }

    /// Whether all that comes is read at once.
    fn is_over(&self) -> bool {
        let is_held_up = self.still.is_some() || !self.starved.is_empty() || self.is_slow();
        !is_held_up && self.late.is_empty() && self.waiting.is_empty()
    }
}

impl<P: Simulated> World<'_, P> {
    /// What holds a node up, to which more is added.
    pub(super) fn hold_up(&mut self, node: NodeNo) -> &mut Intake {
        self.seats[node as usize].intake.get_or_insert_default()
    }

    fn intake(&mut self, node: NodeNo) -> Option<&mut Intake> {
        self.seats[node as usize].intake.as_deref_mut()
    }

    /// What comes to these nodes is handed over late, by the action at this place of the plan.
    pub(super) fn starve(&mut self, nodes: &[NodeNo], by: usize, delay: &RangeInclusive<Duration>) {
        for &node in nodes {
            let key = (by as u64) << 32 | u64::from(node);
            let chance = Rng::fork(self.plan.seed, "starve", key);
            let delay = delay.clone();
            self.hold_up(node).starved.push(Starved { by, delay, chance });
        }
    }

    /// Each input costs these nodes so much time, by the action at this place of the plan.
    pub(super) fn slow(&mut self, nodes: &[NodeNo], by: usize, cost: Duration) {
        nodes.iter().for_each(|&node| self.hold_up(node).slow.push(Slow { by, cost }));
    }

    /// What an action did to nodes is over: if nothing else holds them up, they come at once to all
    /// that waits.
    pub(super) fn relieve(&mut self, nodes: &[NodeNo], of: usize) {
        for &node in nodes {
            if let Some(intake) = self.intake(node) {
                intake.starved.retain(|starved| starved.by != of);
                intake.slow.retain(|slow| slow.by != of);
            }
            self.serve(node);
        }
    }

    /// A packet arrives at a node that runs.
    pub(super) fn take_in(&mut self, node: NodeNo, arrival: Arrived) {
        let now = self.stage.now();
        let Some(intake) = self.intake(node) else { return self.read(node, arrival) };
        match intake.delay() {
            None => self.hand_over(node, arrival),
            Some(delay) => {
                let earlier = intake.late.back().map(|&(due, _)| due);
                let due = earlier.map_or(now + delay, |earlier| earlier.max(now + delay));
                intake.late.push_back((due, arrival));
            }
        }
        self.plan_intake(node);
    }

    /// Hands a packet to a process, which keeps as many as its socket has room for: as many as the
    /// engine's `buffer`.
    fn hand_over(&mut self, node: NodeNo, arrival: Arrived) {
        let (now, room) = (self.stage.now(), self.cast.config(node).buffer());
        match self.intake(node).filter(|intake| intake.is_engaged(now)) {
            None => self.read(node, arrival),
            Some(intake) if intake.waiting.len() < room => {
                intake.waiting.push_back(Waiting::Packet(arrival));
            }
            Some(_) => self.lose(node, arrival.parcel, Unread::Overflow),
        }
    }

    /// The next thing may be due of what a node has not come to.
    pub(super) fn on_serve(&mut self, node: NodeNo, stamp: u32) {
        if self.intake(node).is_some_and(|intake| intake.alarm.rings(stamp)) {
            self.serve(node);
        }
    }

    /// A node comes to what it can by now.
    pub(super) fn serve(&mut self, node: NodeNo) {
        let now = self.stage.now();
        while let Some(arrival) = self.intake(node).and_then(|intake| intake.take_late(now)) {
            self.hand_over(node, arrival);
        }
        while let Some(next) = self.intake(node).and_then(|intake| intake.take_waiting(now)) {
            match next {
                Waiting::Packet(arrival) => self.read(node, arrival),
                Waiting::Timer => self.check_deadline(node),
            }
        }
        self.plan_intake(node);
    }

    /// A timer may be due: a slow process comes to it in its turn.
    pub(super) fn ring(&mut self, node: NodeNo) {
        let now = self.stage.now();
        let is_due = self.seats[node as usize].deadline.is_some_and(|deadline| deadline <= now);
        let waits = |intake: &&mut Intake| is_due && intake.is_slow() && intake.is_engaged(now);
        match self.intake(node).filter(waits) {
            None => self.check_deadline(node),
            Some(intake) => {
                if !intake.waiting.iter().any(|it| matches!(it, Waiting::Timer)) {
                    intake.waiting.push_back(Waiting::Timer);
                }
                self.plan_intake(node);
            }
        }
    }

    /// Sees to it that a node comes in time to what waits, or that nothing holds it up any more.
    fn plan_intake(&mut self, node: NodeNo) {
        let now = self.stage.now();
        let Some(intake) = self.intake(node) else { return };
        if intake.is_over() {
            self.seats[node as usize].intake = None;
            return;
        }
        let next_at = intake.next_at();
        if let Some((at, stamp)) = intake.alarm.set(now, next_at) {
            self.queue.push(at, WorldEvent::Serve { node, stamp });
        }
    }

    /// What waits for a node is never read: its process is no more.
    pub(super) fn forget_intake(&mut self, node: NodeNo) {
        let Some(intake) = self.intake(node) else { return };
        (intake.still, intake.busy_until) = (None, Instant::ZERO);
        let waiting = std::mem::take(&mut intake.waiting).into_iter();
        let waiting = waiting.filter_map(|it| match it {
            Waiting::Packet(arrival) => Some(arrival),
            Waiting::Timer => None,
        });
        let late = std::mem::take(&mut intake.late).into_iter().map(|(_, arrival)| arrival);
        for Arrived { parcel, .. } in waiting.chain(late).collect::<Vec<_>>() {
            self.lose(node, parcel, Unread::ToDead);
        }
        self.plan_intake(node);
    }
}
