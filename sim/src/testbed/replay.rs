//! Tells the stage of virtual runs what happened in a real one, in the order of time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rumormill::Event;
use rumormill::core::{Engine, Packet, Record};
use rumormill::link::Fate;
use rumormill::time::Instant;

use super::flights::{Flight, Flights};
use super::log::{Arrival, Happening, LogEntry, LogVerdict};
use super::{TestbedError, TestbedNet};
use crate::observe::cast::{Cast, IncarnationNo};
use crate::observe::observer::Knows;
use crate::observe::rumors::Way;
use crate::observe::stage::{Driven, Stage, Unread};
use crate::observe::trace::{Nature, Recorder, Tape, TracedParcel};
use crate::observe::weather::Whims;
use crate::results::summary::RunResult;
use crate::scenario::plan::{Deed, Manner, NodeNo, Plan};
use crate::world::trace::content;

/// The result of a run of which this is the log.
///
/// # Errors
/// When a node of the plan never started.
pub(super) fn replay(
    plan: &Plan,
    net: TestbedNet,
    entries: Vec<LogEntry>,
    whims: Whims,
    tape: Option<&mut Tape>,
) -> Result<RunResult, TestbedError> {
    let plan = as_it_was(plan, &entries)?;
    let recorder = tape.map(|tape| Recorder::new(tape, &plan.plan)).unwrap_or_default();
    let mut replay = Replay::new(&plan, recorder);
    entries.into_iter().for_each(|entry| replay.on_entry(entry));
    Ok(replay.finish(net, whims))
}

/// A plan with the addresses and times of real nodes, and their records by incarnation.
struct Real {
    plan: Plan,
    records: Vec<Option<Arc<Record>>>,
}

fn as_it_was(plan: &Plan, entries: &[LogEntry]) -> Result<Real, TestbedError> {
    let mut real = Real { plan: plan.clone(), records: vec![None; plan.incarnations.len()] };
    for entry in entries {
        let Happening::Begin { incarnation, record } = &entry.what else { continue };
        let born = &mut real.plan.incarnations[*incarnation as usize];
        (born.start, born.public) = (entry.at, record.node().clone());
        real.records[*incarnation as usize] = Some(Arc::clone(record));
    }
    match real.records.iter().position(Option::is_none) {
        Some(place) => {
            let node = plan.incarnations[place].node;
            Err(TestbedError::Machine(format!("node {node} did not start before the end")))
        }
        None => Ok(real),
    }
}

struct Replay<'a> {
    cast: Arc<Cast>,
    plan: &'a Plan,
    stage: Stage<'a>,
    flights: Flights,
    /// By node.
    seats: Vec<Option<Seat>>,
    /// An action's changes of the network may not be in force yet, where the kernel makes them.
    is_changing: bool,
}

/// A node that runs.
#[derive(Clone, Copy, Debug)]
struct Seat {
    incarnation: IncarnationNo,
    is_paused: bool,
}

impl<'a> Replay<'a> {
    fn new(real: &'a Real, recorder: Recorder<'a>) -> Self {
        let plan = &real.plan;
        let cast = Arc::new(Cast::with(plan, |number| real.records[number].clone()));
        Self {
            plan,
            stage: Stage::new(plan, &cast).recorded_by(recorder),
            flights: Flights::default(),
            seats: vec![None; plan.nodes_ever as usize],
            is_changing: false,
            cast,
        }
    }

    fn on_entry(&mut self, entry: LogEntry) {
        let end = Instant::ZERO + self.plan.duration;
        if entry.at > end && !matches!(entry.what, Happening::Retire { .. }) {
            return;
        }
        self.stage.advance(entry.at.min(end));
        match entry.what {
            Happening::Begin { incarnation, .. } => self.begin(incarnation),
            Happening::Act(number) => self.act(number),
            Happening::Input { incarnation, packet, events } => {
                self.input(incarnation, packet, &events);
            }
            Happening::Departure { incarnation, to, packet, len, verdict } => {
                self.depart(incarnation, to, &packet, len, verdict);
            }
            Happening::Changed => self.is_changing = false,
            Happening::Retire { incarnation, stats } => {
                self.stage.count(stats.inputs, stats.updates);
                self.stage.retire(self.cast.part(incarnation).node, &stats);
            }
            Happening::Sample { updates } => self.stage.sample(entry.at, updates),
        }
        self.stage.step();
    }

    fn begin(&mut self, incarnation: IncarnationNo) {
        let part = self.cast.part(incarnation);
        let (node, addr) = (part.node, part.record.node().addr());
        self.exit(&[node], Manner::Crash, "restart");
        self.seats[node as usize] = Some(Seat { incarnation, is_paused: false });
        self.flights.up(self.stage.now(), addr);
        self.stage.begin(&[incarnation], |_| Knows::Itself);
    }

    fn exit(&mut self, nodes: &[NodeNo], manner: Manner, cause: &'static str) {
        let mut down = Vec::new();
        for &node in nodes {
            // A paused process can't say goodbye.
            let goes = |seat: &mut Seat| !seat.is_paused || manner == Manner::Crash;
            let Some(seat) = self.seats[node as usize].take_if(goes) else { continue };
            let addr = self.cast.part(seat.incarnation).record.node().addr();
            self.flights.down(self.stage.now(), addr);
            down.push(node);
        }
        self.stage.exit(&down, manner, cause);
    }

    fn act(&mut self, number: usize) {
        let action = &self.plan.actions[number];
        let cause = self.stage.act(number, action);
        self.is_changing |= action.deed.changes_network();
        if let Some((nodes, manner)) = action.deed.exits() {
            return self.exit(nodes, manner, cause);
        }
        match &action.deed {
            // The publish itself shows as an event of the node; here only what stands against it.
            Deed::Publish { node, data } => {
                self.stage.publish(*node, data, self.is_paused(*node));
            }
            Deed::Stop(nodes) => {
                self.awake(nodes).into_iter().for_each(|node| self.stage.stop(node));
            }
            Deed::Start(nodes) => self.stage.start(&self.awake(nodes), cause),
            Deed::Pause(nodes) => nodes.iter().for_each(|&node| self.pause(node)),
            Deed::Resume(nodes) => nodes.iter().for_each(|&node| self.resume(node)),
            // Changes of the network are done, and clocks never change in real time.
            _ => {}
        }
        self.stage.commit(cause);
    }

    fn awake(&self, nodes: &[NodeNo]) -> Vec<NodeNo> {
        nodes.iter().copied().filter(|&node| !self.is_paused(node)).collect()
    }

    fn is_paused(&self, node: NodeNo) -> bool {
        self.seats[node as usize].is_some_and(|seat| seat.is_paused)
    }

    fn pause(&mut self, node: NodeNo) {
        if let Some(seat) = self.seats[node as usize].as_mut().filter(|seat| !seat.is_paused) {
            seat.is_paused = true;
            self.stage.pause(node);
        }
    }

    fn resume(&mut self, node: NodeNo) {
        if let Some(seat) = self.seats[node as usize].as_mut().filter(|seat| seat.is_paused) {
            seat.is_paused = false;
            self.stage.resume(node);
        }
    }

    /// A node took something in.
    fn input(&mut self, incarnation: IncarnationNo, packet: Option<Arrival>, events: &[Event]) {
        let node = self.cast.part(incarnation).node;
        let is_current = self.seats[node as usize].is_some_and(|it| it.incarnation == incarnation);
        let way = match packet {
            None => Way::Source,
            Some(arrival) => match self.arrive(incarnation, arrival, is_current) {
                Some(way) => way,
                None => return,
            },
        };
        for event in events.iter().filter(|_| is_current) {
            self.stage.event(node, event, way, None);
        }
    }

    /// A packet came, by this way; `None` if it came to one that has gone.
    fn arrive(
        &mut self,
        incarnation: IncarnationNo,
        Arrival { from, content }: Arrival,
        is_current: bool,
    ) -> Option<Way> {
        let part = self.cast.part(incarnation);
        let (node, to) = (part.node, part.record.node().addr());
        let flight = self.flights.arrive((from, to, content));
        if !is_current {
            flight.iter().for_each(|it| self.stage.dropped(&it.told(), Unread::ToDead));
            return None;
        }
        let Some(flight) = flight else {
            self.stage.delivered_unsent(node);
            return Some(Way::Source);
        };
        let told = flight.told();
        self.stage.delivered(node, &told, Duration::ZERO);
        Some(told.way())
    }

    /// A node sent a packet.
    fn depart(
        &mut self,
        incarnation: IncarnationNo,
        to: SocketAddr,
        packet: &Packet,
        len: usize,
        verdict: LogVerdict,
    ) {
        let part = self.cast.part(incarnation);
        let (from, addr) = (part.node, part.record.node().addr());
        let (mut carried, bytes, sent) = (Vec::new(), len as u64, self.stage.now());
        self.stage.carried(packet, &mut carried);
        let (nature, content) = (Nature::of(packet), content::<Engine>(packet));
        let told = TracedParcel { from, to: None, nature, sent, bytes, content, carried: &carried };
        self.stage.send(&told, packet);
        let fate = match verdict {
            LogVerdict::Decided(fate) => Some(fate),
            LogVerdict::Kernel => Some(Fate::Delivered { at: sent, again: None }),
            LogVerdict::Nobody => None,
        };
        let (Some(fate), Some(receiver)) = (fate, self.cast.addr_no(to)) else {
            return self.stage.sent_to_nobody(&told);
        };
        let receiver = self.cast.node_at(receiver);
        let is_cut = || self.is_changing || !self.stage.weather.links.passes(from, receiver);
        let may_be_cut = matches!(verdict, LogVerdict::Kernel) && is_cut();
        let flight = Flight {
            from,
            to: receiver,
            nature,
            sent,
            lands: sent,
            may_be_cut,
            bytes,
            content,
            carried,
        };
        self.stage.sent(&flight.told(), receiver, fate, 0);
        if let Fate::Delivered { at, again } = fate {
            for lands in again.into_iter().chain([at]) {
                self.flights.depart((addr, to, content), Flight { lands, ..flight.clone() });
            }
        }
    }

    fn finish(mut self, net: TestbedNet, whims: Whims) -> RunResult {
        self.stage.close();
        let seats = &self.seats;
        let is_paused = |node: NodeNo| seats[node as usize].is_some_and(|seat| seat.is_paused);
        let mut in_flight = 0;
        for (flight, why) in self.flights.missing(self.stage.now(), is_paused) {
            match why {
                Some(why) => self.stage.dropped(&flight.told(), why),
                None => in_flight += 1,
            }
        }
        self.stage.finish(in_flight, Driven::Real { net: net.name(), whims })
    }
}
