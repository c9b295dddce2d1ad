//! What befalls packets on the network: their fate by the links between two nodes, and what a
//! scenario does to single ones, which are lost, handed over once more, or made up.
//!
//! No chance is drawn for the latter, and which bit flips in a packet has a stream of its own, so
//! that nothing else in a run changes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rumormill::core::{Carrier, Class, Input, Record};
use rumormill::link::Fate;
use rumormill::node::Generation;
use rumormill::rng::Rng;
use rumormill::time::Instant;
use rumormill::{Node, wire};

use super::measure::WorldMeasure;
use super::parcels::ParcelNo;
use super::world::{World, WorldEvent};
use crate::observe::cast::AddrNo;
use crate::observe::rumors::Way;
use crate::observe::traffic::HEADERS;
use crate::observe::weather::Weather;
use crate::protocols::{Claim, Forgery, Lie, Passage, Simulated};
use crate::scenario::plan::{Content, Ends, Injection, NodeNo, Speaker};

/// What is done to packets that are still to be sent.
#[derive(Debug, Default)]
pub(super) struct Meddling {
    drops: Vec<DropRule>,
    replays: Vec<ReplayRule>,
    /// Packets in which a bit flipped so far.
    flips: u64,
}

#[derive(Debug)]
struct DropRule {
    kind: &'static str,
    /// Such packets that still pass, and then this one.
    nth: u64,
    ends: Ends,
    /// Its number among the faults.
    window: usize,
}

#[derive(Debug)]
struct ReplayRule {
    ends: Ends,
    after: Duration,
    until: Option<Instant>,
}

impl Meddling {
    /// A packet is sent: the faults that have it lost.
    fn lose(&mut self, kind: &str, from: NodeNo, to: NodeNo) -> Vec<usize> {
        let due = |drop: &mut DropRule| {
            let counts = drop.kind == kind && drop.ends.have(from, to);
            drop.nth -= u64::from(counts);
            drop.nth == 0
        };
        self.drops.extract_if(.., due).map(|drop| drop.window).collect()
    }

    /// After how long a packet that is sent now arrives once more.
    fn replays(
        &self,
        now: Instant,
        from: NodeNo,
        to: NodeNo,
    ) -> impl Iterator<Item = Duration> + '_ {
        let plays = move |replay: &&ReplayRule| {
            replay.until.is_none_or(|until| now < until) && replay.ends.have(from, to)
        };
        self.replays.iter().filter(plays).map(|replay| replay.after)
    }
}

impl<P: Simulated> World<'_, P> {
    /// Puts a parcel on the network. An address that nobody ever has is a dead one.
    pub(super) fn send(
        &mut self,
        node: NodeNo,
        to: Option<AddrNo>,
        number: ParcelNo,
        class: Class,
    ) {
        let parcel = self.parcels.get(number);
        self.stage.send(&parcel.told(None), &**parcel.packet());
        let from = self.seats[node as usize].running.as_ref().map(|running| running.addr);
        let (Some(from), Some(to)) = (from, to) else {
            return self.stage.sent_to_nobody(&parcel.told(None));
        };
        let (len, kind, receiver) = (parcel.len, parcel.nature.kind, self.cast.node_at(to));
        let (now, links) = (self.stage.now(), &mut self.stage.weather.links);
        let mut fate = match class {
            Class::Datagram => links.fate(now, node, receiver, len + HEADERS as usize),
            Class::Stream => links.stream(now, node, receiver, len),
        };
        if self.is_dropped(kind, node, receiver) {
            fate = Fate::Lost;
        }
        let mut arrives = number;
        if fate == Fate::Corrupted
            && let Some((at, flipped)) = self.flip((node, receiver), number)
        {
            (fate, arrives) = (Fate::Delivered { at, again: None }, flipped);
        }
        let replays = match fate {
            Fate::Delivered { at, .. } => self.play_back((node, receiver), at, (from, to, arrives)),
            _ => 0,
        };
        let parcel = self.parcels.get(number);
        self.stage.sent(&parcel.told(Some(receiver)), receiver, fate, replays);
        if let Fate::Delivered { at, again } = fate {
            let arrive = WorldEvent::Arrive { from, to, parcel: arrives };
            for at in again.into_iter().chain([at]) {
                self.parcels.hold(arrives);
                self.queue.push(at, arrive);
            }
        }
    }

    /// Has one packet lost that is sent from now on: the nth of a kind.
    pub(super) fn drop_one(&mut self, text: &str, (kind, nth): (&'static str, u64), ends: &Ends) {
        let window = self.stage.weather.faults.begin(self.stage.now(), text, None);
        self.meddling.drops.push(DropRule { kind, nth, ends: ends.clone(), window });
    }

    /// Has what is sent from now on handed over once more.
    pub(super) fn replay(
        &mut self,
        text: &str,
        ends: &Ends,
        (after, until): (Duration, Option<Instant>),
    ) {
        self.stage.weather.faults.begin(self.stage.now(), text, until);
        self.meddling.replays.push(ReplayRule { ends: ends.clone(), after, until });
    }

    /// Sends a packet that nobody sent to each of some nodes.
    pub(super) fn inject_all(&mut self, injection: &Injection) {
        injection.to.iter().for_each(|&to| self.inject(to, injection));
    }

    /// A bit flips in a packet on its way: when what arrives, if it passes all checks as another.
    fn flip(
        &mut self,
        (sender, receiver): (NodeNo, NodeNo),
        number: ParcelNo,
    ) -> Option<(Instant, ParcelNo)> {
        self.meddling.flips += 1;
        let noise = Rng::fork(self.plan.seed, "corrupt", self.meddling.flips).bits();
        let (run, parcel) = (self.guard_run(sender), self.parcels.get(number));
        let [by, to] = [sender, receiver].map(|node| self.cast.config(node).as_ref());
        let passage = Passage { class: parcel.class, run: &run, sender: by, receiver: to };
        let packet = P::flip(parcel.packet(), noise, &passage)?;
        Some(self.land(packet, (sender, receiver), parcel.class))
    }

    /// Has another packet arrive than was sent, as soon as any could.
    fn land(
        &mut self,
        packet: P::Packet,
        (sender, receiver): (NodeNo, NodeNo),
        class: Class,
    ) -> (Instant, ParcelNo) {
        let packet = Arc::new(packet);
        let WorldMeasure { len, content } =
            WorldMeasure::take::<P>(&packet, self.cast.config(receiver));
        let number = self.parcels.add(packet, class, sender, self.stage.now());
        // Until all that this input sends is on its way.
        self.batch.push(number);
        let parcel = self.parcels.get_mut(number);
        (parcel.len, parcel.content) = (len, content);
        let Weather { links, faults } = &mut self.stage.weather;
        faults.count("corrupt", 1);
        let soonest = links.latency_min();
        (self.stage.now() + soonest, number)
    }

    fn guard_run(&self, node: NodeNo) -> wire::Run {
        let (addr, now) = (self.cast.addr(self.current_addr(node)), self.clocks_of(node));
        wire::Run { addr, random: [0; 8], now }
    }

    /// Whether the scenario has a packet lost that is sent now.
    pub(super) fn is_dropped(&mut self, kind: &str, from: NodeNo, to: NodeNo) -> bool {
        if self.meddling.drops.is_empty() {
            return false;
        }
        let due = self.meddling.lose(kind, from, to);
        let (now, faults) = (self.stage.now(), &mut self.stage.weather.faults);
        for &window in &due {
            faults.end(now, window);
            faults.count("drop", 1);
        }
        !due.is_empty()
    }

    /// Has a packet that will arrive arrive once more, as often as the scenario wants.
    pub(super) fn play_back(
        &mut self,
        (sender, receiver): (NodeNo, NodeNo),
        arrives: Instant,
        (from, to, parcel): (AddrNo, AddrNo, ParcelNo),
    ) -> u32 {
        let mut times = 0;
        for after in self.meddling.replays(self.stage.now(), sender, receiver) {
            self.parcels.hold(parcel);
            self.queue.push(arrives + after, WorldEvent::Arrive { from, to, parcel });
            times += 1;
        }
        self.stage.weather.faults.count("replay", u64::from(times));
        times
    }

    /// Hands a node that runs and reads a packet that nobody sent, at once. One that does not gets
    /// nothing.
    fn inject(&mut self, to: NodeNo, injection: &Injection) {
        let from = self.addr_of(injection.from);
        let packet = match &injection.content {
            Content::Bytes(bytes) => P::decode(bytes, Class::Datagram).ok(),
            Content::Of { lie, of, claim } => self.forge(to, *lie, *of, *claim),
        };
        self.stage.fates().sent += 1;
        let Some(packet) = packet else {
            self.stage.fates().corrupted += 1;
            return;
        };
        if self.seats[to as usize].running.is_none() || self.is_paused(to) {
            self.stage.fates().to_dead += 1;
            return;
        }
        self.stage.delivered_unsent(to);
        let WorldMeasure { len, content } = WorldMeasure::take::<P>(&packet, self.cast.config(to));
        self.trace.injected(self.stage.now(), to, from, content);
        let (carrier, packet) = (Carrier::Datagram(len), Arc::new(packet));
        self.give(to, Input::Packet { from, carrier, packet }, Way::Source);
    }

    /// What a liar says of somebody; nothing where the protocol has no such lie.
    fn forge(&self, to: NodeNo, lie: Lie, of: Speaker, claim: Claim) -> Option<P::Packet> {
        let present = self.record_of(of);
        let generation = match claim {
            Claim::Present => present.generation(),
            Claim::Next => {
                Generation::new(present.generation().get() + 1).unwrap_or(Generation::MAX)
            }
            Claim::Max => Generation::MAX,
        };
        let of = Arc::new(Record::new(present.node().clone(), generation));
        let (receiver, wall) = (self.cast.config(to).as_ref(), self.clocks_of(to).wall);
        P::forge(&Forgery { lie, of, receiver, wall })
    }

    /// What somebody says of itself, or last said.
    fn record_of(&self, speaker: Speaker) -> Arc<Record> {
        match speaker {
            Speaker::Stranger(addr) => {
                let generation =
                    Generation::start(None, self.cast.clocks().true_time(self.stage.now()));
                Arc::new(Record::new(Node::at(addr), generation))
            }
            Speaker::Node(node) => match &self.seats[node as usize].running {
                Some(running) => Arc::clone(running.engine.inspect().me),
                None => Arc::clone(&self.last_part(node).record),
            },
        }
    }

    fn addr_of(&self, speaker: Speaker) -> SocketAddr {
        match speaker {
            Speaker::Stranger(addr) => addr,
            Speaker::Node(node) => self.cast.addr(self.current_addr(node)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rumormill::core::packet::{Body, LastCall};
    use rumormill::core::{AgeStep, Engine, Packet};

    use super::*;
    use crate::world::{Options, testkit};

    /// No single bit passes the checks that there are, so that this is done by hand.
    #[test]
    fn what_passes_the_checks_arrives_in_place_of_what_was_sent() {
        let plan = testkit::plan(2, Duration::from_secs(1));
        let options = Options::default();
        let mut world = World::<Engine>::new(&plan, &options);
        let body = Body::LastCall(LastCall::default());
        let packet = Packet::new(AgeStep(25_000), body);
        let (at, number) = world.land(packet, (0, 1), Class::Datagram);
        assert_eq!(at.since(Instant::ZERO), Duration::from_millis(1));
        let parcel = world.parcels.get(number);
        assert_eq!((parcel.from, parcel.nature.kind), (0, "last_call"));
        assert!(parcel.len > 10 && parcel.content != 0);
        assert_eq!(
            (world.stage.weather.faults.counts()["corrupt"], &*world.batch),
            (1, &[number][..])
        );
    }
}
