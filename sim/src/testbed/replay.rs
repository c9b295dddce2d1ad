//! Tells the observers of virtual runs what happened in a real one, in the order of time.

use std::net::SocketAddr;
use std::sync::Arc;

use rumormill::Event;
use rumormill::core::{Packet, Record, Value};
use rumormill::link::Fate;
use rumormill::time::Instant;

use super::bed::{Weather, Whims};
use super::flights::{Flight, Flights, Missing};
use super::log::{Arrival, Entry, Happening, Verdict};
use super::{Net, TestbedError};
use crate::observe::cast::{Cast, IncarnationNo};
use crate::observe::observer::{Exit, Knows, Observer};
use crate::observe::rumors::{Load, Way};
use crate::observe::trace::{Parcel, Recorder, Tape};
use crate::observe::traffic::HEADERS;
use crate::results::summary::{Peaks, RunResult};
use crate::scenario::plan::{Action, Deed, Manner, NodeNo, Plan, StartCause};
use crate::world::fault::{self, Recovery};
use crate::world::result::Outcome;
use crate::world::trace::content;

/// The result of a run of which this is the log.
///
/// # Errors
/// When a node of the plan never started.
pub(super) fn replay(
    plan: &Plan,
    net: Net,
    entries: Vec<Entry>,
    whims: &Whims,
    tape: Option<&mut Tape>,
) -> Result<RunResult, TestbedError> {
    let plan = as_it_was(plan, &entries)?;
    let recorder = tape.map(|tape| Recorder::new(tape, &plan.plan)).unwrap_or_default();
    let mut replay = Replay::new(&plan, recorder);
    entries.into_iter().for_each(|entry| replay.on_entry(entry));
    replay.weather.faults.count("burst", whims.bursts);
    replay.weather.faults.count("reorder", whims.held_back);
    Ok(replay.finish(net))
}

/// A plan with the addresses and times of real nodes, and their records by incarnation.
struct Real {
    plan: Plan,
    records: Vec<Option<Arc<Record>>>,
}

fn as_it_was(plan: &Plan, entries: &[Entry]) -> Result<Real, TestbedError> {
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
    plan: &'a Plan,
    cast: Arc<Cast>,
    weather: Weather,
    flights: Flights,
    observer: Observer,
    recorder: Recorder<'a>,
    /// By node.
    seats: Vec<Option<Seat>>,
    /// An action's changes of the network may not be in force yet, where the kernel makes them.
    is_changing: bool,
    now: Instant,
    inputs: u64,
    peaks: Peaks,
    updates: u64,
    timeline: Vec<(f64, String)>,
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
            weather: Weather::new(plan),
            flights: Flights::default(),
            observer: Observer::new(plan, &cast),
            recorder,
            seats: vec![None; plan.nodes_ever as usize],
            is_changing: false,
            now: Instant::ZERO,
            inputs: 0,
            peaks: Peaks::default(),
            updates: 0,
            timeline: Vec::new(),
            cast,
        }
    }

    fn on_entry(&mut self, entry: Entry) {
        let end = Instant::ZERO + self.plan.duration;
        if entry.at > end && !matches!(entry.what, Happening::Retire { .. }) {
            return;
        }
        let at = entry.at.min(end);
        if at > self.now {
            self.observer.settle(self.now);
            self.now = at;
        }
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
                self.inputs += stats.inputs;
                self.updates += stats.updates;
                self.peaks.members = self.peaks.members.max(stats.members_max as u64);
                self.peaks.tombstones = self.peaks.tombstones.max(stats.tombstones_max as u64);
                let node = self.cast.part(incarnation).node;
                self.observer.count_state(self.now, node, &stats);
            }
            Happening::Sample { updates } => self.observer.sample(self.now, updates),
        }
        self.recorder.step(&self.observer);
    }

    fn begin(&mut self, incarnation: IncarnationNo) {
        let part = self.cast.part(incarnation);
        let (node, cause, record) = (part.node, part.cause, Arc::clone(&part.record));
        self.exit(&[node], Exit::Crash, "restart");
        self.seats[node as usize] = Some(Seat { incarnation, is_paused: false });
        self.flights.up(self.now, record.node().addr());
        self.recorder.up(self.now, node, &record, cause);
        self.observer.on_begin(self.now, incarnation, Knows::Itself);
        let cause = match cause {
            StartCause::Initial => "start",
            StartCause::Join => "join",
            StartCause::Restart => "restart",
        };
        self.commit(cause);
        self.weather.faults.recover(self.now, node, Recovery::Begins);
    }

    fn commit(&mut self, cause: &'static str) {
        self.observer.commit(self.now, &self.weather.links, cause);
    }

    fn exit(&mut self, nodes: &[NodeNo], exit: Exit, cause: &'static str) {
        for &node in nodes {
            let Some(seat) = self.seats[node as usize] else { continue };
            // A paused process can't say goodbye.
            if seat.is_paused && exit == Exit::Leave {
                continue;
            }
            self.seats[node as usize] = None;
            self.recorder.down(self.now, node, cause);
            self.observer.on_exit(self.now, node, exit);
            self.weather.faults.recover(self.now, node, Recovery::Wakes);
            let addr = self.cast.part(seat.incarnation).record.node().addr();
            self.flights.down(self.now, addr);
        }
        self.commit(cause);
    }

    fn act(&mut self, number: usize) {
        let planned = &self.plan.actions[number];
        let (at, cause) = (self.now, fault::kind(&planned.deed));
        self.recorder.action(at, &planned.text);
        self.timeline.push((ms(at), planned.text.clone()));
        let action = Action { at, ..planned.clone() };
        if fault::network_changes(&action.deed).is_some() {
            self.weather.faults.count(cause, 1);
            self.is_changing = true;
        }
        self.is_changing |= matches!(action.deed, Deed::Heal(_));
        self.weather.act(number, &action);
        match &action.deed {
            Deed::Publish { node, data } => self.publish(*node, data),
            Deed::Crash(nodes) => {
                self.weather.faults.count(cause, nodes.len() as u64);
                self.exit(nodes, Exit::Crash, cause);
            }
            Deed::Leave(nodes) => {
                self.weather.faults.count(cause, nodes.len() as u64);
                self.exit(nodes, Exit::Leave, cause);
            }
            Deed::Restart { nodes, manner, .. } => {
                self.weather.faults.count(cause, nodes.len() as u64);
                self.weather.faults.strike(at, &action.text, nodes, Recovery::Begins);
                let exit = match manner {
                    Manner::Crash => Exit::Crash,
                    Manner::Leave => Exit::Leave,
                };
                self.exit(nodes, exit, cause);
            }
            Deed::Join(newcomers) => {
                self.weather.faults.count(cause, newcomers.len() as u64);
            }
            _ => self.silence(&action, cause),
        }
        self.commit(cause);
    }

    /// Nodes fall silent, or end their silence.
    fn silence(&mut self, action: &Action, cause: &'static str) {
        let at = self.now;
        match &action.deed {
            Deed::Stop(nodes) => {
                self.weather.faults.count(cause, nodes.len() as u64);
                self.weather.faults.strike(at, &action.text, nodes, Recovery::Starts);
                for node in self.awake(nodes) {
                    self.recorder.stop(at, node);
                    self.observer.on_stop(at, node);
                }
            }
            Deed::Start(nodes) => {
                for node in self.awake(nodes) {
                    self.recorder.start(at, node);
                    self.observer.on_resume(at, node);
                    self.weather.faults.recover(at, node, Recovery::Starts);
                }
            }
            Deed::Pause(nodes) => {
                self.weather.faults.count(cause, nodes.len() as u64);
                self.weather.faults.strike(at, &action.text, nodes, Recovery::Wakes);
                nodes.iter().for_each(|&node| self.pause(node));
            }
            Deed::Resume(nodes) => nodes.iter().for_each(|&node| self.resume(node)),
            // Changes of the network are done, and clocks never change in real time.
            _ => {}
        }
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
            self.recorder.pause(self.now, node);
            self.observer.on_pause(node);
        }
    }

    fn resume(&mut self, node: NodeNo) {
        self.weather.faults.recover(self.now, node, Recovery::Wakes);
        if let Some(seat) = self.seats[node as usize].as_mut().filter(|seat| seat.is_paused) {
            seat.is_paused = false;
            self.recorder.resume(self.now, node);
            self.observer.on_wake(self.now, node);
        }
    }

    /// The publish itself shows as an event of the node; here only what stands against it.
    fn publish(&mut self, node: NodeNo, data: &Arc<[u8]>) {
        let why = match Value::new(Arc::clone(data), self.cast.config(node)) {
            Ok(_) if !self.is_paused(node) => return,
            Ok(_) => "its process is paused".to_owned(),
            Err(error) => error.to_string(),
        };
        self.timeline.push((ms(self.now), format!("node {node} can't publish: {why}")));
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
            self.observer.on_event(self.now, node, event, way, None);
            self.recorder.state(self.now, node, event, way, &self.observer);
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
            self.observer.fates().to_dead += u64::from(flight.is_some());
            flight.iter().for_each(|it| self.recorder.dropped(self.now, &it.told(), "to_dead"));
            return None;
        }
        let Some(flight) = flight else {
            // It breaks the law that every packet that arrives was sent, which tells of it.
            self.observer.on_deliver(self.now, node, Way::Source, Load::Value, &[]);
            return Some(Way::Source);
        };
        self.recorder.delivered(self.now, &flight.told());
        self.observer.on_deliver(self.now, node, flight.way(), flight.load, &flight.carried);
        Some(flight.way())
    }

    /// A node sent a packet.
    fn depart(
        &mut self,
        incarnation: IncarnationNo,
        to: SocketAddr,
        packet: &Packet,
        len: usize,
        verdict: Verdict,
    ) {
        let part = self.cast.part(incarnation);
        let (from, addr) = (part.node, part.record.node().addr());
        let (mut carried, bytes) = (Vec::new(), len as u64);
        self.observer.carried(packet, &mut carried);
        self.observer.on_send(self.now, from, packet, bytes, &carried);
        let (sent, kind, content) = (self.now, packet.kind(), content(packet));
        let load = Load::of(packet);
        let fate = match verdict {
            Verdict::Decided(fate) => Some(fate),
            Verdict::Kernel => Some(Fate::Delivered { at: sent, again: None }),
            Verdict::Nobody => None,
        };
        let (Some(fate), Some(receiver)) = (fate, self.cast.addr_no(to)) else {
            let carried = &carried;
            let told = Parcel { from, to: None, kind, sent, bytes, content, carried, load };
            self.recorder.sent_to_nobody(&told, &self.observer);
            self.observer.fates().to_dead += 1;
            return;
        };
        let receiver = self.cast.node_at(receiver);
        self.observer.on_way(sent, from, receiver, bytes + HEADERS);
        let is_cut = || self.is_changing || !self.weather.links.passes(from, receiver);
        let may_be_cut = matches!(verdict, Verdict::Kernel) && is_cut();
        let flight = Flight {
            from,
            to: receiver,
            kind,
            sent,
            lands: sent,
            may_be_cut,
            bytes,
            content,
            carried,
            load,
        };
        self.recorder.sent(&flight.told(), fate, 0, &self.observer);
        let fates = self.observer.fates();
        match fate {
            Fate::Delivered { at, again } => {
                fates.duplicated += u64::from(again.is_some());
                for lands in again.into_iter().chain([at]) {
                    self.flights.depart((addr, to, content), Flight { lands, ..flight.clone() });
                }
            }
            Fate::Lost => fates.lost += 1,
            Fate::Cut => fates.cut += 1,
            Fate::Oversize => fates.oversize += 1,
            Fate::Overflow => fates.overflow += 1,
            Fate::Corrupted => fates.corrupted += 1,
        }
    }

    fn finish(mut self, net: Net) -> RunResult {
        let end = Instant::ZERO + self.plan.duration;
        self.observer.settle(self.now);
        let seats = std::mem::take(&mut self.seats);
        let is_paused = |node: NodeNo| seats[node as usize].is_some_and(|seat| seat.is_paused);
        let mut in_flight = 0;
        for (flight, missing) in std::mem::take(&mut self.flights).missing(end, is_paused) {
            let cause = match missing {
                Missing::InFlight => {
                    in_flight += 1;
                    continue;
                }
                Missing::ToDead => {
                    self.observer.fates().to_dead += 1;
                    "to_dead"
                }
                Missing::Cut => {
                    self.observer.fates().cut += 1;
                    "cut"
                }
                Missing::Overflow => {
                    self.observer.fates().overflow += 1;
                    "overflow"
                }
            };
            self.recorder.dropped(end, &flight.told(), cause);
        }
        let findings = self.observer.finish(end, in_flight, None);
        self.peaks.packet_bytes = findings.packet_bytes_max;
        Outcome {
            plan: self.plan,
            inputs: self.inputs,
            updates: self.updates,
            trace_hash: None,
            net: Some(net.name()),
            peaks: self.peaks,
            faults: self.weather.faults,
            timeline: self.timeline,
            findings,
            end,
        }
        .into_result()
    }
}

fn ms(at: Instant) -> f64 {
    at.as_nanos() as f64 / 1e6
}
