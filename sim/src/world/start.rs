//! Starts: nodes take their seats and are told how to find the others.

use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;
use rumormill::core::packet::AgedEntry;
use rumormill::core::{Command, Event, Input, SharedRecords};
use rumormill::rng::Rng;
use rumormill::time::Instant;

use super::Engines;
use super::lookahead::Lookahead;
use super::world::{Running, World, WorldEvent};
use crate::observe::cast::{AddrNo, Cast, IncarnationNo, Part};
use crate::observe::observer::Knows;
use crate::observe::rumors::Way;
use crate::protocols::{FullState, Setup, Simulated};
use crate::scenario::plan::{Incarnation, Manner, Memory, NodeNo, Plan, StartCause, WayIn};

/// What the engines know of each other's records in advance.
#[derive(Clone, Debug)]
pub(super) enum Rosters {
    /// All share one, and those that begin with complete lists share one of these.
    Shared { roster: Arc<SharedRecords>, full: Option<Arc<FullState>> },
    /// Each has one of its own, as in a service: the same runs, with more memory and time.
    #[cfg(test)]
    Separate,
}

impl Rosters {
    pub(super) fn shared<P: Simulated>(plan: &Plan, cast: &Cast) -> Self {
        let roster =
            Arc::new(SharedRecords::of(cast.parts().iter().map(|part| Arc::clone(&part.record))));
        let wanted = plan.incarnations.iter().any(|start| start.way_in == WayIn::Full);
        let initial = cast.initial().map(|part| &cast.part(part).record);
        let entries = (plan.entries, &*plan.engine);
        let full = wanted.then(|| P::full_list(&roster, initial, entries)).flatten();
        Self::Shared { roster, full: full.map(Arc::new) }
    }

    fn roster(&self) -> Arc<SharedRecords> {
        match self {
            Self::Shared { roster, .. } => Arc::clone(roster),
            #[cfg(test)]
            Self::Separate => Arc::default(),
        }
    }

    /// Whom somebody knows who begins with the list of all, before it is told of any.
    fn knows(&self) -> Knows {
        match self {
            Self::Shared { full: None, .. } => Knows::Itself,
            _ => Knows::AllInitial,
        }
    }

    pub(super) fn full(&self) -> Option<Arc<FullState>> {
        match self {
            Self::Shared { full, .. } => full.clone(),
            #[cfg(test)]
            Self::Separate => None,
        }
    }
}

impl<P: Simulated> World<'_, P> {
    /// Starts an incarnation, and with an initial one all others that start at the same time: what
    /// is true changes once for all of them.
    pub(super) fn begin_all(&mut self, first: IncarnationNo) {
        let mut batch = vec![first];
        let mut next = None;
        while self.is_initial(first) && next.is_none() {
            match self.queue.pop_until(self.stage.now()) {
                Some((_, WorldEvent::Begin(other))) if self.is_initial(other) => batch.push(other),
                Some((_, other)) => next = Some(other),
                None => break,
            }
        }
        self.begin(&batch);
        if let Some(event) = next {
            self.on_event(event);
        }
    }

    pub(super) fn is_initial(&self, incarnation: IncarnationNo) -> bool {
        self.cast.part(incarnation).cause == StartCause::Initial
    }

    /// Starts incarnations of different nodes, for one and the same cause.
    fn begin(&mut self, batch: &[IncarnationNo]) {
        // A plan may start a node that never went down: its process is replaced.
        let nodes: Vec<_> = batch.iter().map(|&number| self.cast.part(number).node).collect();
        self.exit(&nodes, Manner::Crash, "restart");
        // Nor does it wait for the end of a goodbye.
        for node in nodes {
            if self.seats[node as usize].is_leaving {
                self.vacate(node);
            }
        }
        for (&incarnation, running) in batch.iter().zip(self.engines(batch)) {
            let node = self.cast.part(incarnation).node;
            self.seats[node as usize].running = Some(running);
            self.trace.begin(self.stage.now(), node);
        }
        let (plan, lists_all) = (self.plan, self.rosters.knows());
        self.stage.begin(batch, |incarnation| {
            let start = &plan.incarnations[incarnation as usize];
            match start.way_in {
                WayIn::Full if start.cause == StartCause::Initial => lists_all,
                WayIn::Full | WayIn::Knows(_) | WayIn::Seeds(_) => Knows::Itself,
            }
        });
        for &incarnation in batch {
            self.take_back(self.cast.part(incarnation).node, incarnation);
        }
        for batch in batch.chunks(Lookahead::<P>::EVENTS_MAX) {
            self.begin_ahead(batch);
            for &incarnation in batch {
                let node = self.cast.part(incarnation).node;
                self.find_the_others(node, incarnation);
                self.input(node, Input::Timeout, Way::Source);
            }
        }
    }

    /// The engines of these incarnations, as they start now.
    fn engines(&self, batch: &[IncarnationNo]) -> Vec<Running<P>> {
        let (now, seed, keys) = (self.stage.now(), self.plan.seed, &self.plan.protocol.keys);
        let (cast, rosters) = (&*self.cast, &self.rosters);
        let engine = |&incarnation: &IncarnationNo| {
            let part = cast.part(incarnation);
            let seed = Rng::fork(seed, "node", u64::from(incarnation)).bits();
            let (record, now) = (Arc::clone(&part.record), cast.now(part.node, now));
            let config = &self.plan.incarnations[incarnation as usize].config;
            let setup = Setup { config, keys, roster: &rosters.roster() };
            let settings = P::settings(&setup).expect("the scenario's settings were checked");
            let engine = Box::new(P::new(record, &settings, seed, now));
            let behind = Duration::ZERO;
            Running { engine, incarnation, addr: part.addr, behind }
        };
        match self.options.engines {
            Engines::OneByOne => batch.iter().map(engine).collect(),
            Engines::SideBySide => batch.par_iter().map(engine).collect(),
        }
    }

    /// Keeps what a node holds that goes now, if it is ever to have it again.
    pub(super) fn keep(&mut self, node: NodeNo) {
        let keeps = |start: &Incarnation| start.node == node && start.memory == Memory::KeepsAll;
        if !self.plan.incarnations.iter().any(keeps) {
            return;
        }
        let (now, at) = (self.clocks_of(node), self.stage.now());
        let seat = &mut self.seats[node as usize];
        let moment = seat.running.as_ref().and_then(|running| running.engine.moment(now));
        seat.kept = moment.map(|moment| Box::new((moment, at)));
    }

    /// Gives a node back what it kept, each as old as it is by now.
    fn take_back(&mut self, node: NodeNo, incarnation: IncarnationNo) {
        if self.plan.incarnations[incarnation as usize].memory != Memory::KeepsAll {
            return;
        }
        let now = self.clocks_of(node);
        let seat = &mut self.seats[node as usize];
        let Some((moment, at)) = seat.kept.take().map(|kept| *kept) else { return };
        let Some(Running { engine, .. }) = &mut seat.running else { return };
        let passed = self.stage.now() - at;
        let kept = moment.kept().aged(passed);
        // A service is told of values alone; whoever judges knows who has heard of their end.
        let is_end = |aged: &&AgedEntry| aged.entry.data().is_none();
        let ends: Vec<_> = kept.entries.iter().filter(is_end).cloned().collect();
        engine.take_back(now, kept, &mut self.outbox);
        for AgedEntry { entry, .. } in ends {
            self.stage.event(node, &Event::Entry(entry), Way::Kept, None);
        }
        self.drain(node, Way::Kept);
    }

    fn find_the_others(&mut self, node: NodeNo, incarnation: IncarnationNo) {
        match &self.plan.incarnations[incarnation as usize].way_in {
            WayIn::Seeds(seeds) => {
                let stale = self.plan.incarnations[incarnation as usize].stale_seeds;
                let addr = |&seed: &NodeNo| {
                    let addr = match stale {
                        Some(stale) => self.addr_before(seed, stale.as_of),
                        None => self.current_addr(seed),
                    };
                    self.cast.addr(addr)
                };
                let addrs = seeds.iter().map(addr).collect();
                self.command(node, Command::Seeds(addrs));
                if let Some(stale) = stale {
                    self.queue.push(stale.until, WorldEvent::Resolve(incarnation));
                }
            }
            // It has listed them ahead.
            WayIn::Full if self.lookahead.has_done_ahead(node) => self.stage.full_list(),
            WayIn::Full => self.list_all(node, self.is_initial(incarnation)),
            WayIn::Knows(nodes) => {
                let mut nodes = nodes.clone();
                nodes.sort_unstable();
                self.list_some(node, &nodes);
            }
        }
    }

    /// Has a node list some initial ones, which are in order of number.
    fn list_some(&mut self, node: NodeNo, nodes: &[NodeNo]) {
        let now = self.clocks_of(node);
        let Some(Running { engine, .. }) = &mut self.seats[node as usize].running else { return };
        let parts = self.cast.initial().map(|number| self.cast.part(number));
        let known = parts.filter(|part| nodes.binary_search(&part.node).is_ok());
        engine.preload(now, known.map(|part| &part.record), &mut self.outbox);
        self.drain(node, Way::Source);
    }

    /// Has a node list all initial ones, of which it may be one itself.
    fn list_all(&mut self, node: NodeNo, is_one: bool) {
        let (now, full) = (self.clocks_of(node), self.rosters.full());
        let Some(Running { engine, .. }) = &mut self.seats[node as usize].running else { return };
        match full.filter(|_| is_one) {
            Some(full) => {
                engine.share_list(now, &full, &mut self.outbox);
                self.stage.full_list();
            }
            None => {
                let parts = self.cast.initial().map(|number| self.cast.part(number));
                let others = parts.filter(|part| part.node != node);
                engine.preload(now, others.map(|part| &part.record), &mut self.outbox);
            }
        }
        self.drain(node, Way::Source);
    }

    /// An incarnation that was given stale addresses is given the right ones, if it still runs.
    pub(super) fn resolve(&mut self, incarnation: IncarnationNo) {
        let node = self.cast.part(incarnation).node;
        let WayIn::Seeds(seeds) = &self.plan.incarnations[incarnation as usize].way_in else {
            return;
        };
        let running = self.seats[node as usize].running.as_ref();
        if running.is_some_and(|running| running.incarnation == incarnation) {
            let addr = |&seed: &NodeNo| self.cast.addr(self.current_addr(seed));
            let addrs = seeds.iter().map(addr).collect();
            self.command(node, Command::Seeds(addrs));
        }
    }

    /// The address of a node now: where it runs, else where it will first, or last did, run.
    pub(super) fn current_addr(&self, node: NodeNo) -> AddrNo {
        if let Some(running) = &self.seats[node as usize].running {
            return running.addr;
        }
        self.last_part(node).addr
    }

    /// The incarnation as which a node runs, or last did, or will first.
    pub(super) fn last_part(&self, node: NodeNo) -> &Part {
        self.cast.before(node, self.stage.now() + Duration::from_nanos(1))
    }

    /// The address at which a node was, or will first be, just before a time.
    fn addr_before(&self, node: NodeNo, at: Instant) -> AddrNo {
        self.cast.before(node, at).addr
    }
}

#[cfg(test)]
mod tests {
    use rumormill::config::Swap;
    use rumormill::core::Engine;
    use rumormill::{Config, Liveness};

    use super::*;
    use crate::scenario::plan::Deed;
    use crate::world::Options;
    use crate::world::testkit;
    use proptest::prelude::*;

    /// All that a run showed, as text.
    fn shown(plan: &Plan, rosters: Option<Rosters>) -> [String; 3] {
        let options = Options::default();
        let mut world = World::<Engine>::new(plan, &options);
        if let Some(rosters) = rosters {
            world.rosters = rosters;
        }
        let run = world.run(&mut |_| {});
        let summary = serde_json::to_string(&run.summary).unwrap();
        [summary, format!("{:?}", run.series), format!("{:?}", run.rumor_rows)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn engines_that_share_a_roster_do_what_engines_with_rosters_of_their_own_do(
            plan in testkit::any_plan(),
        ) {
            prop_assert_eq!(shown(&plan, None), shown(&plan, Some(Rosters::Separate)));
        }
    }

    #[test]
    fn nodes_that_begin_with_entries_agree_and_bring_a_newcomer_all_of_them() {
        let text = "name = 'a'\nnodes = 5\nduration = '20s'\nbootstrap = { entries = 40 }\n\
                    [[at]]\ntime = '1s'\njoin = { count = 1 }\n";
        let plan = crate::scenario::parse("a.toml", text, &[]).unwrap().plan(1).unwrap();
        let options = Options::default();
        let run = World::<Engine>::new(&plan, &options).run(&mut |_| {});
        let summary = serde_json::to_value(&run.summary).unwrap();
        assert_eq!(summary["events"]["entry"], 40, "the newcomer is told of each: {summary}");
    }

    #[test]
    fn a_rumor_among_nodes_that_share_a_full_list_goes_as_among_nodes_with_lists_of_their_own() {
        let config = Config::builder().liveness(Liveness::Off).swap(Swap::Off);
        let mut plan = testkit::plan(300, Duration::from_secs(2));
        testkit::configure(&mut plan, config.build().unwrap());
        plan.incarnations.iter_mut().for_each(|start| start.way_in = WayIn::Full);
        for (ms, node) in [(100, 7), (105, 200)] {
            testkit::act(&mut plan, ms, "", Deed::Publish { node, data: b"v"[..].into() });
        }
        // One leaves, so that lists that were shared must change.
        testkit::act(&mut plan, 500, "", Deed::Leave(vec![9]));
        let shared = shown(&plan, None);
        assert!(shared[0].contains("\"coverage\":1.0"), "{}", shared[0]);
        assert_eq!(shared, shown(&plan, Some(Rosters::Separate)));
    }
}
