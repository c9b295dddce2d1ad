//! The kernel: engines, the network between them and a virtual clock.

use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;
use rumormill::Metadata;
use rumormill::core::{Answer, Class, Command, Input, Moment, Outbox, Output, Traced};
use rumormill::node::Generation;
use rumormill::time::{Instant, Now};

use super::alarm::Alarm;
use super::intake::{Arrived, Intake};
use super::lookahead::{Lookahead, ToldInput};
use super::measure::{Measures, WorldMeasure};
use super::packets::Meddling;
use super::parcels::{ParcelNo, Parcels};
use super::queue::Queue;
use super::start::Rosters;
use super::trace::{self, Trace};
use super::{Codec, Engines, Options};
use crate::observe::cast::{AddrNo, Cast, IncarnationNo};
use crate::observe::rumors::Way;
use crate::observe::stage::{Driven, Stage, Unread};
use crate::observe::trace::Recorder;
use crate::protocols::Simulated;
use crate::results::summary::RunResult;
use crate::scenario::plan::{Deed, NodeNo, Plan, StartCause};

/// Something that happens at a time.
#[derive(Clone, Copy, Debug)]
pub(super) enum WorldEvent {
    /// An incarnation starts.
    Begin(IncarnationNo),
    /// An action of the plan.
    Act(u32),
    /// The name service catches up for an incarnation.
    Resolve(IncarnationNo),
    /// A packet arrives.
    Arrive { from: AddrNo, to: AddrNo, parcel: ParcelNo },
    /// A node's deadline may have come. Only the newest wake-up of a node counts.
    Wake { node: NodeNo, stamp: u32 },
    /// A node that does not read at once may come to what waits.
    Serve { node: NodeNo, stamp: u32 },
}

/// Where a node sits.
#[derive(Debug)]
pub(super) struct NodeSlot<P> {
    pub(super) running: Option<Running<P>>,
    /// Of the engine, after its last input.
    pub(super) deadline: Option<Instant>,
    pub(super) alarm: Alarm,
    /// While it does not read at once: what holds it up, and what waits to be read.
    pub(super) intake: Option<Box<Intake>>,
    /// It has said goodbye, and runs until it is off. Nobody is interested in what it holds.
    pub(super) is_leaving: bool,
    /// What it held when it went, and when that was, if a later incarnation keeps it.
    pub(super) kept: Option<Box<(Moment, Instant)>>,
}

impl<P> NodeSlot<P> {
    fn empty() -> Self {
        let (running, deadline, intake, kept) = (None, None, None, None);
        Self { running, deadline, alarm: Alarm::default(), intake, is_leaving: false, kept }
    }

    /// The machine slept for so long, which its monotonic clock does not know.
    pub(super) fn oversleep(&mut self, slept: Duration) {
        if let Some(running) = &mut self.running {
            running.behind += slept;
            self.deadline = self.deadline.map(|deadline| deadline + slept);
        }
    }

    /// True for a node that runs and has not been told to go.
    pub(super) fn is_up(&self) -> bool {
        self.running.is_some() && !self.is_leaving
    }
}

#[derive(Debug)]
pub(super) struct Running<P> {
    pub(super) engine: Box<P>,
    pub(super) incarnation: IncarnationNo,
    pub(super) addr: AddrNo,
    /// How far its monotonic clock is behind: it stands still while the machine sleeps.
    pub(super) behind: Duration,
}

/// A run in progress.
pub(super) struct World<'a, P: Simulated> {
    pub(super) plan: &'a Plan,
    pub(super) options: &'a Options,
    pub(super) cast: Arc<Cast>,
    pub(super) rosters: Rosters,
    pub(super) seats: Vec<NodeSlot<P>>,
    /// Time, the network, and everybody who watches.
    pub(super) stage: Stage<'a>,
    pub(super) queue: Queue<WorldEvent>,
    pub(super) lookahead: Lookahead<P>,
    pub(super) meddling: Meddling,
    pub(super) parcels: Parcels<P::Packet>,
    pub(super) outbox: Outbox<P::Packet>,
    /// Of what the input at hand sends, as far as it is measured.
    measures: Measures,
    /// What the input at hand has sent so far: one packet may go to many.
    pub(super) batch: Vec<ParcelNo>,
    pub(super) trace: Trace,
    samples: u64,
}

impl<'a, P: Simulated> World<'a, P> {
    const SAMPLES_PER_WEIGHING: u64 = 10;

    pub(super) fn new(plan: &'a Plan, options: &'a Options) -> Self {
        let cast = Arc::new(Cast::of(plan));
        let mut world = Self {
            plan,
            options,
            rosters: Rosters::shared::<P>(plan, &cast),
            seats: (0..plan.nodes_ever).map(|_| NodeSlot::empty()).collect(),
            stage: Stage::new(plan, &cast),
            queue: Queue::new(),
            lookahead: Lookahead::new(plan.nodes_ever),
            meddling: Meddling::default(),
            parcels: Parcels::new(),
            outbox: Outbox::new(),
            measures: Measures::default(),
            batch: Vec::new(),
            trace: Trace::new(),
            samples: 0,
            cast,
        };
        world.schedule();
        world
    }

    /// Has everything that happens written down.
    pub(super) fn recorded_by(self, recorder: Recorder<'a>) -> Self {
        let mut stage = self.stage.recorded_by(recorder);
        stage.paths();
        Self { stage, ..self }
    }

    /// Runs to the end of the plan.
    pub(super) fn run(mut self, progress: &mut dyn FnMut(Instant)) -> RunResult {
        self.play(progress);
        self.finish()
    }

    pub(super) fn play(&mut self, progress: &mut dyn FnMut(Instant)) {
        let end = Instant::ZERO + self.plan.duration;
        let mut next_sample = Instant::ZERO;
        while let Some((at, event)) = self.next(end) {
            self.stage.advance(at);
            while next_sample < at {
                next_sample = self.sample(next_sample, progress);
            }
            self.on_event(event);
            if self.stage.is_runaway() {
                break;
            }
        }
        self.stage.close();
        while next_sample <= end {
            next_sample = self.sample(next_sample, progress);
        }
    }

    pub(super) fn next(&mut self, end: Instant) -> Option<(Instant, WorldEvent)> {
        self.look_ahead(end);
        self.queue.pop_until(end)
    }

    /// Puts the plan into the queue. At one time, initial nodes come first, and what an action
    /// brings about comes behind it.
    fn schedule(&mut self) {
        let plan = self.plan;
        let begin = |number: usize| WorldEvent::Begin(number as IncarnationNo);
        for (number, incarnation) in plan.incarnations.iter().enumerate() {
            if incarnation.cause == StartCause::Initial {
                self.queue.push(incarnation.start, begin(number));
            }
        }
        for (number, action) in plan.actions.iter().enumerate() {
            self.queue.push(action.at, WorldEvent::Act(number as u32));
            if let Deed::Join(starts) | Deed::Restart { comes_back: starts, .. } = &action.deed {
                for number in starts.clone() {
                    self.queue.push(plan.incarnations[number].start, begin(number));
                }
            }
        }
    }

    /// Holds what every engine holds against its limits.
    fn weigh(&mut self, at: Instant) {
        for (node, seat) in (0..).zip(&self.seats) {
            // What a leaver hears of is told to nobody any more.
            if let Some(running) = seat.running.as_ref().filter(|_| !seat.is_leaving) {
                self.stage.weigh(at, node, &running.engine.footprint());
            }
        }
    }

    fn sample(&mut self, at: Instant, progress: &mut dyn FnMut(Instant)) -> Instant {
        self.stage.sample(at, self.stage.updates());
        self.samples += 1;
        if self.samples.is_multiple_of(Self::SAMPLES_PER_WEIGHING) {
            self.weigh(at);
        }
        progress(at);
        at + self.plan.sample
    }

    pub(super) fn on_event(&mut self, event: WorldEvent) {
        match event {
            WorldEvent::Begin(incarnation) => self.begin_all(incarnation),
            WorldEvent::Act(number) => {
                let plan = self.plan;
                self.act(number as usize, &plan.actions[number as usize]);
            }
            WorldEvent::Resolve(incarnation) => self.resolve(incarnation),
            WorldEvent::Arrive { from, to, parcel } => self.arrive(from, to, parcel),
            WorldEvent::Wake { node, stamp } => self.wake(node, stamp),
            WorldEvent::Serve { node, stamp } => self.on_serve(node, stamp),
        }
        self.stage.step();
    }

    /// Both clocks of a node.
    pub(super) fn clocks_of(&self, node: NodeNo) -> Now {
        let running = self.seats[node as usize].running.as_ref();
        let now = self.cast.now(node, self.stage.now());
        running.map_or(now, |running| running.own(now))
    }

    /// The engine of a node is no more.
    pub(super) fn vacate(&mut self, node: NodeNo) {
        self.keep(node);
        self.forget_intake(node);
        let seat = &mut self.seats[node as usize];
        seat.alarm.silence();
        (seat.deadline, seat.is_leaving) = (None, false);
        if let Some(running) = seat.running.take() {
            self.retire(node, &running.engine);
        }
    }

    /// Adds up what an engine counted.
    fn retire(&mut self, node: NodeNo, engine: &P) {
        let held = engine.inspect();
        self.stage.retire(node, held.stats);
        self.stage.last_read(node, held.metadata.map(Metadata::version));
        if let Some(entries) = held.entries {
            self.stage.last_entries(node, entries);
        }
    }

    /// Gives a command to a node; one that does not run, or is paused, gets none.
    pub(super) fn command(&mut self, node: NodeNo, command: Command) {
        if self.seats[node as usize].running.is_some() && !self.is_paused(node) {
            self.trace.command(self.stage.now(), node, &command);
            self.input(node, Input::Command(command), Way::Source);
        }
    }

    fn arrive(&mut self, from: AddrNo, to: AddrNo, parcel: ParcelNo) {
        let node = self.cast.node_at(to);
        let running = self.seats[node as usize].running.as_ref();
        if running.is_some_and(|running| running.addr == to) {
            return self.take_in(node, Arrived { from, parcel, at: self.stage.now() });
        }
        self.lose(node, parcel, Unread::ToDead);
    }

    /// A packet that arrived is never read.
    pub(super) fn lose(&mut self, node: NodeNo, parcel: ParcelNo, why: Unread) {
        self.stage.dropped(&self.parcels.get(parcel).told(Some(node)), why);
        self.parcels.release(parcel);
    }

    /// Gives a packet to the engine of a node that runs. How long it has waited with the node's
    /// kernel is known here and nowhere else.
    pub(super) fn read(&mut self, node: NodeNo, arrival: Arrived) {
        let Arrived { from, parcel, at } = arrival;
        let waited = self.stage.now() - at;
        let sent = self.parcels.get(parcel);
        let told = sent.told(Some(node));
        let way = told.way();
        self.trace.packet(self.stage.now(), node, from, sent.content);
        self.stage.delivered(node, &told, waited);
        if !self.recall(node, way) {
            if waited > Duration::ZERO {
                self.give(node, Input::Waited(waited), way);
            }
            let sent = self.parcels.get(parcel);
            let (carrier, packet) = (sent.carrier(), Arc::clone(sent.packet()));
            self.give(node, Input::Packet { from: self.cast.addr(from), carrier, packet }, way);
        }
        if let Some(packet) = self.parcels.release(parcel) {
            self.drop_ahead(packet);
        }
    }

    fn wake(&mut self, node: NodeNo, stamp: u32) {
        let seat = &mut self.seats[node as usize];
        if seat.alarm.rings(stamp) && seat.running.is_some() && !self.is_paused(node) {
            self.ring(node);
        }
    }

    /// Hands an input to an engine that runs, unless it has done it ahead, and does what it wants
    /// done.
    pub(super) fn input(&mut self, node: NodeNo, input: Input<P::Packet>, way: Way) {
        if !self.recall(node, way) {
            self.give(node, input, way);
        }
    }

    /// Does what an engine wanted done when it had its next input ahead; false if it had none.
    fn recall(&mut self, node: NodeNo, way: Way) -> bool {
        let told =
            self.lookahead.recall(self.stage.now(), node, &mut self.outbox, &mut self.measures);
        told.map(|told| self.answer(node, told, way)).is_some()
    }

    pub(super) fn give(&mut self, node: NodeNo, input: Input<P::Packet>, way: Way) {
        let now = self.cast.now(node, self.stage.now());
        let seat = &mut self.seats[node as usize];
        let Some(running) = &mut seat.running else { return };
        // That a packet waited goes with the packet, and costs nothing beside it.
        if let (Some(intake), false) = (&mut seat.intake, matches!(input, Input::Waited(_))) {
            intake.work(now.mono);
        }
        let told = running.handle(now, input, &mut self.outbox);
        self.answer(node, told, way);
    }

    /// Does what an engine wants done after an input.
    fn answer(&mut self, node: NodeNo, told: ToldInput, way: Way) {
        self.stage.count(1, told.updates);
        self.seats[node as usize].deadline = told.deadline;
        if !self.outbox.is_empty() {
            self.drain(node, way);
        }
        if told.has_left {
            return self.vacate(node);
        }
        self.arm(node);
    }

    /// Sees to it that a wake-up is in the queue no later than the engine's deadline.
    pub(super) fn arm(&mut self, node: NodeNo) {
        let seat = &mut self.seats[node as usize];
        if let Some((at, stamp)) = seat.alarm.set(self.stage.now(), seat.deadline) {
            self.queue.push(at, WorldEvent::Wake { node, stamp });
        }
    }

    pub(super) fn drain(&mut self, node: NodeNo, way: Way) {
        let mut outbox = std::mem::take(&mut self.outbox);
        let is_leaving = self.seats[node as usize].is_leaving;
        for output in outbox.drain() {
            match output {
                Output::Event(_) if is_leaving => {}
                // Nobody waits for it; that a node is off is seen as soon as it happens.
                Output::Answer(Answer::Left(held)) => self.stage.off(node, held.is_ok()),
                Output::Answer(_) | Output::Flush => {}
                Output::Event(event) => {
                    let beat = self.beat_of(node, &event);
                    self.stage.event(node, &event, way, beat);
                }
                Output::Send { to, packet, class } => {
                    let parcel = self.pack(node, packet, class);
                    self.send(node, self.cast.addr_no(to), parcel, class);
                }
            }
        }
        self.outbox = outbox;
        self.measures.clear();
        while let Some(parcel) = self.batch.pop() {
            self.parcels.release(parcel);
        }
    }

    /// The newest beat that a node holds of whom an event is about.
    fn beat_of(&self, node: NodeNo, event: &rumormill::Event) -> Option<(Generation, u32)> {
        use rumormill::Event::{Joined, Removed, Updated};
        let (Joined(record) | Removed { record, .. } | Updated { new: record, .. }) = event else {
            return None;
        };
        let running = self.seats[node as usize].running.as_ref()?;
        running.engine.newest_beat(record.node().addr())
    }

    /// The parcel of a packet: what the engine sends to many at once is measured once.
    fn pack(&mut self, node: NodeNo, packet: Arc<P::Packet>, class: Class) -> ParcelNo {
        /// A few packets may take turns on their way to the same receivers.
        const TURNS: usize = 8;
        let same = |&&parcel: &&ParcelNo| self.parcels.get(parcel).is(&packet, class);
        if let Some(&parcel) = self.batch.iter().rev().take(TURNS).find(same) {
            return parcel;
        }
        let config = self.cast.config(node);
        let measure = self.measures.of(&packet);
        let measure = measure.unwrap_or_else(|| WorldMeasure::take::<P>(&packet, config));
        let WorldMeasure { len, mut content } = measure;
        let fits = class == Class::Stream || len <= P::datagram_len_max(config);
        assert!(fits, "a {} has {len} bytes, above what a datagram takes", packet.kind());
        let number = self.parcels.add(packet, class, node, self.stage.now());
        let parcel = self.parcels.get_mut(number);
        if self.options.codec == Codec::RoundTrip {
            parcel.decode::<P>();
            // What arrives, or the hash would not tell that it is another.
            content = trace::content::<P>(parcel.packet());
        }
        (parcel.len, parcel.content) = (len, content);
        let mut carried = std::mem::take(&mut parcel.carried);
        self.stage.carried(&**parcel.packet(), &mut carried);
        self.parcels.get_mut(number).carried = carried;
        self.batch.push(number);
        number
    }

    pub(super) fn finish(mut self) -> RunResult {
        let mut engines = Vec::with_capacity(self.seats.len());
        for node in 0..self.plan.nodes_ever {
            if let Some(running) = self.seats[node as usize].running.take() {
                self.retire(node, &running.engine);
                engines.push(running.engine);
            }
        }
        match self.options.engines {
            Engines::OneByOne => drop(engines),
            Engines::SideBySide => engines.into_par_iter().for_each(drop),
        }
        let (trace_hash, queue_max) = (self.trace.text(), self.queue.len_max() as u64);
        let flying = self.queue.drain().filter(|event| matches!(event, WorldEvent::Arrive { .. }));
        let intakes = self.seats.iter().filter_map(|seat| seat.intake.as_ref());
        let unread = intakes.map(|intake| intake.unread());
        let in_flight = flying.count() + unread.sum::<usize>();
        self.stage.finish(in_flight as u64, Driven::Virtual { trace_hash, queue_max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testkit;
    use proptest::prelude::*;
    use rumormill::core::Engine;

    /// Holds what the observers believe against what the engines say of themselves.
    fn assert_observers_know_the_engines(world: &mut World<'_, Engine>) {
        for node in 0..world.plan.nodes_ever {
            let seat = &mut world.seats[node as usize];
            let Some(running) = seat.running.as_mut().filter(|_| !seat.is_leaving) else {
                continue;
            };
            let mut listed: Vec<_> = running
                .engine
                .members()
                .map(|record| world.cast.find(record.node().addr(), record.generation()).unwrap())
                .collect();
            listed.sort_unstable();
            let all = 0..world.cast.parts().len() as u32;
            let observed: Vec<_> =
                all.filter(|&part| world.stage.observer().lists(node, part)).collect();
            assert_eq!(observed, listed, "the list of node {node}");
            let version = running.engine.metadata().map(rumormill::Metadata::version);
            assert_eq!(
                world.stage.observer().version(node),
                version,
                "the metadata of node {node}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn whatever_happens_every_law_holds_and_the_observers_know_it(
            plan in testkit::any_plan(),
        ) {
            let options = Options::default();
            let mut world = World::<Engine>::new(&plan, &options);
            world.play(&mut |_| {});
            assert_observers_know_the_engines(&mut world);
            let summary = world.finish().summary;
            for invariant in &summary.invariants {
                prop_assert!(invariant.ok, "{}: {:?}", invariant.name, invariant.detail);
            }
            let bytes = Options { codec: Codec::RoundTrip, ..Options::default() };
            let again = World::<Engine>::new(&plan, &bytes).run(&mut |_| {}).summary;
            prop_assert_eq!(again.trace_hash, summary.trace_hash);
        }
    }
}
