//! Lookahead: engines work ahead on all processors, and what they did is put in order afterwards.
//!
//! No packet arrives sooner than the network's least latency after it was sent (the lookahead of
//! Chandy and Misra, 1979). So whatever comes to an engine within that time is known at its
//! beginning: packets that fly already, and its own deadlines. The engines do all of that side by
//! side, and their answers are kept. Then the world takes its events one by one, in their order, as
//! it always does; where it would ask an engine, the answer is there. Nothing but time can tell the
//! two ways of running apart.

use std::sync::Arc;

use rayon::prelude::*;
use rumormill::core::{self, Input, Outbox, Output};
use rumormill::time::{Instant, Now};

use super::Engines;
use super::alarm::Alarm;
use super::measure::Measures;
use super::parcels::{ParcelNo, Parcels};
use super::world::{NodeSlot, Running, World, WorldEvent};
use crate::observe::cast::{AddrNo, Cast, IncarnationNo};
use crate::protocols::{FullState, Simulated};
use crate::scenario::plan::{NodeNo, WayIn};

/// What engines have done ahead.
pub(super) struct Lookahead<P: Simulated> {
    /// By node: the place of its work, or [`Lookahead::NONE`].
    work_of: Vec<u32>,
    /// The first `len` are in use; the others keep their memory.
    work: Vec<LookaheadWork<P>>,
    len: usize,
    /// Answers that nobody has asked for yet.
    untold: usize,
    /// Packets that nobody needs any more.
    spent: Vec<Arc<P::Packet>>,
}

/// What one engine has to do and has done.
struct LookaheadWork<P: Simulated> {
    node: NodeNo,
    /// While it works.
    running: Option<Running<P>>,
    alarm: Alarm,
    coming: Vec<(Instant, Coming)>,
    /// The first `done` are in use, `told` of them no longer; the others keep their memory.
    answers: Vec<Answer<P::Packet>>,
    done: usize,
    told: usize,
}

/// What comes to an engine.
#[derive(Clone, Copy, Debug)]
enum Coming {
    /// It starts with the list of all.
    Begin,
    Packet {
        from: AddrNo,
        parcel: ParcelNo,
    },
    Wake {
        stamp: u32,
    },
}

/// What the engines work with.
struct Given<'a, T> {
    cast: &'a Cast,
    parcels: &'a Parcels<T>,
    full: Option<&'a Arc<FullState>>,
    /// Up to then nothing comes but what is known.
    horizon: Instant,
}

/// What an engine did with one input.
#[derive(Debug)]
struct Answer<T> {
    at: Instant,
    outbox: Outbox<T>,
    measures: Measures,
    told: ToldInput,
}

impl<T> Answer<T> {
    fn new() -> Self {
        let (measures, told) = (Measures::default(), ToldInput::default());
        Self { at: Instant::ZERO, outbox: Outbox::new(), measures, told }
    }
}

/// What an engine says of itself after an input.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ToldInput {
    /// How many updates the input brought.
    pub(super) updates: u64,
    pub(super) deadline: Option<Instant>,
    /// It is off: nothing comes to it any more.
    pub(super) has_left: bool,
}

impl<P: Simulated> Running<P> {
    /// What the node's own clocks show when those of a machine that never slept show this.
    pub(super) fn own(&self, now: Now) -> Now {
        Now { mono: now.mono.saturating_sub(self.behind), ..now }
    }

    /// The engine's deadline as a time of the run.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.engine.deadline().map(|deadline| deadline + self.behind)
    }

    /// Hands an input to the engine.
    pub(super) fn handle(
        &mut self,
        now: Now,
        input: Input<P::Packet>,
        outbox: &mut Outbox<P::Packet>,
    ) -> ToldInput {
        let before = self.engine.inspect().stats.updates;
        self.engine.handle(self.own(now), input, outbox);
        let updates = self.engine.inspect().stats.updates - before;
        let has_left =
            matches!(outbox.outputs().last(), Some(Output::Answer(core::Answer::Left(_))));
        ToldInput { updates, deadline: self.deadline(), has_left }
    }
}

impl<P: Simulated> Lookahead<P> {
    const NONE: u32 = u32::MAX;
    /// Events looked at ahead at a time: enough to keep some processors busy, few enough that the
    /// answers are still in a cache when they are asked for.
    pub(super) const EVENTS_MAX: usize = 1_024;
    /// With fewer nodes at work, threads would cost more than they bring.
    #[cfg(not(test))]
    const NODES_MIN: usize = 16;
    #[cfg(test)]
    const NODES_MIN: usize = 1;

    pub(super) fn new(nodes: u32) -> Self {
        let (work_of, work) = (vec![Self::NONE; nodes as usize], Vec::new());
        Self { work_of, work, len: 0, untold: 0, spent: Vec::new() }
    }

    /// What a node did with its next input, if it has done it ahead; its outputs come into the
    /// outbox, which is empty, with their measures.
    pub(super) fn recall(
        &mut self,
        at: Instant,
        node: NodeNo,
        outbox: &mut Outbox<P::Packet>,
        measures: &mut Measures,
    ) -> Option<ToldInput> {
        let work = self.work.get_mut(self.work_of[node as usize] as usize)?;
        if work.told == work.done {
            return None;
        }
        let answer = &mut work.answers[work.told];
        assert!(
            answer.at == at,
            "node {node} has done an input of {} ahead, and has one of {at}",
            answer.at
        );
        work.told += 1;
        self.untold -= 1;
        std::mem::swap(outbox, &mut answer.outbox);
        std::mem::swap(measures, &mut answer.measures);
        Some(answer.told)
    }

    /// True when a node has done its next input ahead.
    pub(super) fn has_done_ahead(&self, node: NodeNo) -> bool {
        let work = self.work.get(self.work_of[node as usize] as usize);
        work.is_some_and(|work| work.told < work.done)
    }

    /// Forgets what was done ahead.
    fn clear(&mut self) {
        for work in &self.work[..self.len] {
            self.work_of[work.node as usize] = Self::NONE;
        }
        self.len = 0;
    }

    /// Notes what comes to a node that runs and reads.
    fn note(&mut self, node: NodeNo, seat: &NodeSlot<P>, at: Instant, coming: Coming) {
        let place = &mut self.work_of[node as usize];
        if *place == Self::NONE {
            *place = self.len as u32;
            if self.len == self.work.len() {
                self.work.push(LookaheadWork::new());
            }
            let work = &mut self.work[self.len];
            (work.node, work.alarm, work.done, work.told) = (node, seat.alarm, 0, 0);
            self.len += 1;
        }
        self.work[*place as usize].coming.push((at, coming));
    }
}

impl<P: Simulated> World<'_, P> {
    /// Has the engines do what comes next, if there is enough of it.
    pub(super) fn look_ahead(&mut self, end: Instant) {
        let is_done = self.lookahead.untold == 0 && self.queue.ahead().len() == 0;
        if self.options.engines == Engines::OneByOne || !is_done {
            return;
        }
        let span = self.stage.weather.links.latency_min();
        if span.is_zero() {
            return;
        }
        let is_border = |event: &WorldEvent| {
            matches!(event, WorldEvent::Begin(_) | WorldEvent::Act(_) | WorldEvent::Resolve(_))
        };
        let horizon = self.queue.look_ahead(end, span, Lookahead::<P>::EVENTS_MAX, is_border);
        self.lookahead.clear();
        for (at, event) in self.queue.ahead() {
            let (node, coming, addr) = match event {
                WorldEvent::Arrive { from, to, parcel } => {
                    (self.cast.node_at(to), Coming::Packet { from, parcel }, Some(to))
                }
                WorldEvent::Wake { node, stamp } => (node, Coming::Wake { stamp }, None),
                WorldEvent::Begin(_) | WorldEvent::Act(_) | WorldEvent::Resolve(_) => break,
                // Whoever does not read at once does nothing ahead.
                WorldEvent::Serve { .. } => continue,
            };
            let seat = &self.seats[node as usize];
            let is_there = |running: &Running<P>| addr.is_none_or(|addr| addr == running.addr);
            if seat.running.as_ref().is_some_and(is_there) && seat.intake.is_none() {
                self.lookahead.note(node, seat, at, coming);
            }
        }
        self.work_ahead(horizon);
    }

    /// Has engines that all begin with the list of all take it over and look at the time.
    pub(super) fn begin_ahead(&mut self, batch: &[IncarnationNo]) {
        let is_full = |&number: &IncarnationNo| {
            self.plan.incarnations[number as usize].way_in == WayIn::Full && self.is_initial(number)
        };
        let is_worth_it = self.options.engines == Engines::SideBySide && batch.iter().all(is_full);
        if !is_worth_it || self.rosters.full().is_none() {
            return;
        }
        assert!(self.lookahead.untold == 0, "nobody starts while others are ahead");
        self.lookahead.clear();
        for &incarnation in batch {
            let node = self.cast.part(incarnation).node;
            self.lookahead.note(node, &self.seats[node as usize], self.stage.now(), Coming::Begin);
        }
        self.work_ahead(self.stage.now());
    }

    /// Drops a packet together with others, on any of the threads: one with many records takes a
    /// while.
    pub(super) fn drop_ahead(&mut self, packet: Arc<P::Packet>) {
        if self.options.engines == Engines::SideBySide {
            self.lookahead.spent.push(packet);
        }
    }

    fn work_ahead(&mut self, horizon: Instant) {
        let Lookahead { work, len, untold, spent, .. } = &mut self.lookahead;
        let work = &mut work[..*len];
        if work.len() < Lookahead::<P>::NODES_MIN {
            work.iter_mut().for_each(|work| work.coming.clear());
            spent.clear();
            return;
        }
        for work in &mut *work {
            work.running = self.seats[work.node as usize].running.take();
        }
        let (cast, parcels, full) = (&*self.cast, &self.parcels, self.rosters.full());
        let given = Given { cast, parcels, full: full.as_ref(), horizon };
        let run = |work: &mut LookaheadWork<P>| work.run(&given);
        rayon::join(
            || work.par_iter_mut().for_each(run),
            || spent.par_drain(..).with_min_len(64).for_each(drop),
        );
        for work in work {
            self.seats[work.node as usize].running = work.running.take();
            *untold += work.done;
        }
    }
}

impl<P: Simulated> LookaheadWork<P> {
    fn new() -> Self {
        Self {
            node: 0,
            running: None,
            alarm: Alarm::default(),
            coming: Vec::new(),
            answers: Vec::new(),
            done: 0,
            told: 0,
        }
    }

    /// Does all that comes, and what the engine has planned before the horizon.
    fn run(&mut self, given: &Given<'_, P::Packet>) {
        let mut running = self.running.take().expect("only who runs has work");
        let mut deadline = running.deadline();
        let mut coming = std::mem::take(&mut self.coming);
        let mut known = coming.drain(..).peekable();
        let mut planned: Option<(Instant, Coming)> = None;
        loop {
            // At one time, what was known before is first: it was sooner in the queue.
            let is_first = |&mut (at, _): &mut (Instant, Coming)| {
                known.peek().is_none_or(|&(known, _)| at < known)
            };
            let Some((at, next)) = planned.take_if(is_first).or_else(|| known.next()) else {
                break;
            };
            let now = given.cast.now(self.node, at);
            let input = match next {
                Coming::Begin => {
                    let full = given.full.expect("who begins with a list has one");
                    running.engine.share_list(
                        running.own(now),
                        full,
                        &mut self.next_answer().outbox,
                    );
                    Some(Input::Timeout)
                }
                Coming::Packet { from, parcel } => {
                    let sent = given.parcels.get(parcel);
                    let (carrier, packet) = (sent.carrier(), sent.packet().clone());
                    Some(Input::Packet { from: given.cast.addr(from), carrier, packet })
                }
                Coming::Wake { stamp } if !self.alarm.rings(stamp) => continue,
                Coming::Wake { .. } => {
                    deadline.is_some_and(|deadline| deadline <= at).then_some(Input::Timeout)
                }
            };
            if let Some(input) = input {
                let told = self.answer(now, &mut running, input, given.cast);
                if told.has_left {
                    break;
                }
                deadline = told.deadline;
            }
            if let Some((wakes_at, stamp)) = self.alarm.set(at, deadline) {
                let planned_wake = (wakes_at, Coming::Wake { stamp });
                planned = (wakes_at < given.horizon).then_some(planned_wake);
            }
        }
        drop(known);
        (self.coming, self.running) = (coming, Some(running));
    }

    fn answer(
        &mut self,
        now: Now,
        running: &mut Running<P>,
        input: Input<P::Packet>,
        cast: &Cast,
    ) -> ToldInput {
        let config = cast.config(self.node);
        let answer = self.next_answer();
        answer.at = now.mono;
        answer.told = running.handle(now, input, &mut answer.outbox);
        answer.measures.take::<P>(&answer.outbox, config);
        let told = answer.told;
        self.done += 1;
        told
    }

    fn next_answer(&mut self) -> &mut Answer<P::Packet> {
        if self.done == self.answers.len() {
            self.answers.push(Answer::new());
        }
        &mut self.answers[self.done]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use rumormill::core::Engine;

    use super::*;
    use crate::scenario::plan::Plan;
    use crate::world::{Options, testkit};

    /// All that a run showed, as text.
    fn shown(plan: &Plan, engines: Engines) -> [String; 3] {
        let options = Options { engines, ..Options::default() };
        let run = World::<Engine>::new(plan, &options).run(&mut |_| {});
        let summary = serde_json::to_string(&run.summary).unwrap();
        [summary, format!("{:?}", run.series), format!("{:?}", run.rumor_rows)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn engines_side_by_side_do_what_they_do_one_by_one(plan in testkit::any_plan()) {
            let one_by_one = shown(&plan, Engines::OneByOne);
            prop_assert_eq!(one_by_one, shown(&plan, Engines::SideBySide));
        }
    }

    #[test]
    fn engines_side_by_side_do_nearly_all_their_inputs_ahead() {
        let plan = testkit::plan(30, Duration::from_secs(5));
        let options = Options { engines: Engines::SideBySide, ..Options::default() };
        let mut world = World::<Engine>::new(&plan, &options);
        let (mut done_ahead, end) = (0, Instant::ZERO + plan.duration);
        while let Some((at, event)) = world.next(end) {
            world.stage.advance(at);
            let before = world.lookahead.untold;
            world.on_event(event);
            done_ahead += (before - world.lookahead.untold) as u64;
        }
        let inputs = world.finish().summary.inputs;
        assert!(done_ahead > inputs * 9 / 10, "{done_ahead} of {inputs}");
    }
}
