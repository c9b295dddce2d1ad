//! Small orders, all of them: three nodes, and four packets that arrive in whatever order, with one
//! fault among them at whatever place. Everybody agrees in the end, whichever it was.
//!
//! An engine is a value, so a state of the world is copied where its future branches. What a node
//! does follows from what came to it; so two ways in which each node got the same in the same order
//! are one, and nobody goes it twice. That is what makes all of them few.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::cluster::{Cluster, SECOND, addr, judging};
use crate::config::{Config, Liveness};
use crate::core::{
    Answer, Carrier, Cause, Class, Command, Engine, Event, Input, Outbox, Output, Packet, Record,
    Value,
};
use crate::node::{Generation, Node};
use crate::time::{Instant, Now};
use crate::wire;

/// Packets whose order is chosen; what is left then arrives as it was sent.
const CHOSEN: usize = 4;

/// How long a packet takes once nobody chooses any more.
const LATENCY: Duration = Duration::from_millis(5);

/// A packet by its sender and its number among what that sent.
type PacketId = (u16, u32);

#[derive(Clone)]
struct Flight {
    id: PacketId,
    to: u16,
    carrier: Carrier,
    packet: Arc<Packet>,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Deliver(PacketId),
    Drop(PacketId),
    /// It arrives now and stays under way.
    Duplicate(PacketId),
    /// The same, but the other copy comes when all is long over.
    Late(PacketId),
    Crash(u16),
}

/// What befalls a cluster of three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Join,
    /// Who leaves has just said something else of itself, which is still under way.
    Leave,
    Restart,
    Publish,
    /// Two at once.
    PublishBoth,
    /// Who leaves has just said something.
    PublishAndLeave,
}

/// A state: the three, and what is between them.
#[derive(Clone)]
struct World {
    now: Now,
    engines: BTreeMap<u16, Engine>,
    flights: Vec<Flight>,
    sent: BTreeMap<u16, u32>,
    /// What came to each node, in order: what it is follows from that.
    came: BTreeMap<u16, Vec<PacketId>>,
    fault: Option<Step>,
    late: Option<Flight>,
    steps: Vec<Step>,
    /// Whom each node lists, by what it told its service.
    told: BTreeMap<u16, BTreeMap<SocketAddr, Generation>>,
    /// Incarnations that each node knows to have left.
    left: BTreeMap<u16, BTreeSet<(SocketAddr, Generation)>>,
}

#[track_caller]
fn config(liveness: Liveness) -> Config {
    let config = judging().liveness(liveness).timeout(3 * SECOND).redial(SECOND);
    config.build().unwrap()
}

impl World {
    /// Nodes that list each other and hold a value, and have nothing more to say.
    #[track_caller]
    fn settled(nodes: u16, liveness: Liveness) -> Self {
        let mut cluster = Cluster::of(nodes, config(liveness));
        cluster.publish(1, b"old");
        cluster.run_until(SECOND, |cluster| cluster.all_hold(b"old"));
        // An odd moment, at which no timer is due.
        cluster.run(7 * SECOND + SECOND / 3);
        let engines: BTreeMap<_, _> =
            (1..=nodes).map(|node| (node, cluster.engine(node).clone())).collect();
        let list = |engine: &Engine| {
            let listed = engine.members().map(|it| (it.node().addr(), it.generation()));
            listed.collect::<BTreeMap<_, _>>()
        };
        Self {
            now: cluster.clock(),
            told: engines.iter().map(|(&node, engine)| (node, list(engine))).collect(),
            engines,
            flights: Vec::new(),
            sent: BTreeMap::new(),
            came: BTreeMap::new(),
            fault: None,
            late: None,
            steps: Vec::new(),
            left: BTreeMap::new(),
        }
    }

    #[track_caller]
    fn of(case: Case, liveness: Liveness) -> Self {
        let mut world = Self::settled(if case == Case::Join { 2 } else { 3 }, liveness);
        match case {
            Case::Join => world.start(3),
            Case::Leave => {
                let me = Node::new(addr(3).to_string()).name("n3").private_data("new");
                world.command(3, Command::Update(me.build().unwrap()));
                world.command(3, Command::Leave);
            }
            Case::Restart => {
                // Its last words are still under way.
                world.publish(3, b"last words");
                world.crash(3);
                world.start(3);
            }
            Case::Publish => world.publish(1, b"new"),
            Case::PublishBoth => {
                world.publish(1, b"one");
                world.publish(2, b"two");
            }
            Case::PublishAndLeave => {
                world.publish(3, b"new");
                world.command(3, Command::Leave);
            }
        }
        world
    }

    #[track_caller]
    fn start(&mut self, node: u16) {
        let me = Node::new(addr(node).to_string()).name(format!("n{node}")).build().unwrap();
        let record = Record::new(me, Generation::start(None, self.now.wall));
        let config = Arc::clone(self.engines[&1].config());
        self.told.insert(node, BTreeMap::from([(addr(node), record.generation())]));
        let engine = Engine::new(Arc::new(record), config, Arc::default(), 1, self.now);
        self.engines.insert(node, engine);
        self.command(node, Command::Seeds(vec![addr(1), addr(2)]));
    }

    #[track_caller]
    fn publish(&mut self, node: u16, data: &[u8]) {
        let value = Value::new(data, &Config::default()).unwrap();
        self.command(node, Command::Publish(value));
    }

    fn crash(&mut self, node: u16) {
        self.engines.remove(&node);
        self.told.remove(&node);
    }

    fn command(&mut self, node: u16, command: Command) {
        self.input(node, Input::Command(command));
    }

    /// Has a node take an input, if it runs, and keeps what it sends.
    fn input(&mut self, node: u16, input: Input) {
        let Some(engine) = self.engines.get_mut(&node) else { return };
        let mut out = Outbox::new();
        engine.handle(self.now, input, &mut out);
        for output in out.drain() {
            match output {
                Output::Send { to, packet, class } => {
                    let number = self.sent.entry(node).or_default();
                    let id = (node, *number);
                    *number += 1;
                    let len = wire::encoded_len(&packet) + Config::CHECKSUM_LEN;
                    let carrier = match class {
                        Class::Datagram => Carrier::Datagram(len),
                        Class::Stream => Carrier::Stream,
                    };
                    self.flights.push(Flight { id, to: to.port(), carrier, packet });
                }
                Output::Event(event) => self.hear(node, &event),
                Output::Answer(Answer::Left(_)) => self.crash(node),
                Output::Answer(_) | Output::Flush => {}
            }
        }
    }

    /// Holds what a node tells its service against what it told before.
    #[track_caller]
    fn hear(&mut self, node: u16, event: &Event) {
        let of = |record: &Record| (record.node().addr(), record.generation());
        let told = self.told.entry(node).or_default();
        let left = self.left.entry(node).or_default();
        let (gone, come) = match event {
            Event::Joined(record) => (None, Some(of(record))),
            Event::Updated { old, new } => (Some(of(old)), Some(of(new))),
            Event::Removed { record, cause } => {
                if *cause == Cause::Left {
                    left.insert(of(record));
                }
                (Some(of(record)), None)
            }
            Event::Replaced { old, .. } => (Some(of(old)), None),
            _ => return,
        };
        if let Some((addr, generation)) = gone {
            let was = told.remove(&addr);
            assert_eq!(
                was,
                Some(generation),
                "node {node} tells {event:?}, after {:?}",
                self.steps
            );
        }
        if let Some((addr, generation)) = come {
            let was = told.insert(addr, generation);
            assert_eq!(was, None, "node {node} tells {event:?}, after {:?}", self.steps);
            let zombie = left.contains(&(addr, generation));
            assert!(!zombie, "node {node} lists who has left: {event:?}, after {:?}", self.steps);
        }
    }

    /// The packets that may arrive next, unless all have whose order is chosen.
    fn arrivals(&self) -> BTreeSet<PacketId> {
        let all_came = self.came.values().map(Vec::len).sum::<usize>() == CHOSEN;
        let flights = self.flights.iter().filter(|_| !all_came);
        let flights = flights.filter(|flight| self.engines.contains_key(&flight.to));
        flights.map(|flight| flight.id).collect()
    }

    /// All that may happen next.
    fn choices(&self) -> Vec<Step> {
        let arrivals = self.arrivals();
        let mut choices: Vec<_> = arrivals.iter().map(|&id| Step::Deliver(id)).collect();
        if self.fault.is_none() {
            let faults = [Step::Drop, Step::Duplicate, Step::Late];
            choices.extend(arrivals.iter().flat_map(|&id| faults.map(|fault| fault(id))));
            choices.extend(self.engines.keys().map(|&node| Step::Crash(node)));
        }
        choices
    }

    fn after(&self, step: Step) -> Self {
        let mut world = self.clone();
        world.steps.push(step);
        if !matches!(step, Step::Deliver(_)) {
            world.fault = Some(step);
        }
        match step {
            Step::Crash(node) => world.crash(node),
            Step::Drop(id) => _ = world.take(id),
            Step::Deliver(id) => {
                let flight = world.take(id);
                world.arrive(flight);
            }
            Step::Duplicate(id) => {
                let flight = world.take(id);
                world.flights.push(flight.clone());
                world.arrive(flight);
            }
            Step::Late(id) => {
                let flight = world.take(id);
                world.late = Some(flight.clone());
                world.arrive(flight);
            }
        }
        world
    }

    #[track_caller]
    fn take(&mut self, id: PacketId) -> Flight {
        let at = self.flights.iter().position(|flight| flight.id == id).expect("it flies");
        self.flights.remove(at)
    }

    fn arrive(&mut self, flight: Flight) {
        let Flight { id, to, carrier, packet } = flight;
        self.came.entry(to).or_default().push(id);
        self.input(to, Input::Packet { from: addr(id.0), carrier, packet });
    }

    /// What tells this state from others: what is under way, and when somebody crashed, follows.
    fn key(&self) -> (BTreeMap<u16, Vec<PacketId>>, Option<Step>) {
        (self.came.clone(), self.fault)
    }

    /// Lets time pass, in which what flies arrives as it was sent.
    #[track_caller]
    fn pass(&mut self, time: Duration) {
        let end = self.now.mono + time;
        let mut queue: VecDeque<(Instant, Flight)> = VecDeque::new();
        loop {
            let lands = self.now.mono + LATENCY;
            queue.extend(self.flights.drain(..).map(|flight| (lands, flight)));
            let wakes = self.engines.iter().filter_map(|(&node, it)| Some((it.deadline()?, node)));
            let wake = wakes.min();
            let landing = queue.front().map(|&(at, _)| at);
            let next = wake.map(|(at, _)| at).into_iter().chain(landing).min();
            let Some(next) = next.filter(|&next| next <= end) else { break };
            self.set(next);
            if landing == Some(next) {
                let (_, flight) = queue.pop_front().expect("it was just seen");
                self.arrive(flight);
            } else if let Some((_, node)) = wake {
                self.input(node, Input::Timeout);
            }
        }
        self.set(end);
    }

    fn set(&mut self, at: Instant) {
        let at = at.max(self.now.mono);
        self.now = Now { mono: at, wall: self.now.wall.saturating_add(at - self.now.mono) };
    }

    /// Panics unless all is as it should be, some time after the last of it.
    #[track_caller]
    fn assert_agrees(&mut self, case: Case) {
        self.pass(5 * SECOND);
        self.assert_laws(case);
        if let Some(late) = self.late.take() {
            self.flights.push(late);
            self.pass(5 * SECOND);
            self.assert_laws(case);
        }
    }

    #[track_caller]
    fn assert_laws(&mut self, case: Case) {
        let truth: BTreeMap<_, _> = self
            .engines
            .values()
            .map(|engine| (engine.me().node().addr(), engine.me().generation()))
            .collect();
        let steps = &self.steps;
        let mut values = BTreeSet::new();
        for (node, engine) in &mut self.engines {
            let listed = engine.members().map(|it| (it.node().addr(), it.generation()));
            let listed: BTreeMap<_, _> = listed.collect();
            assert_eq!(listed, truth, "the list of node {node} in {case:?}, after {steps:?}");
            assert_eq!(listed, self.told[node], "what node {node} told, after {steps:?}");
            values.insert(engine.metadata().map(|it| it.data().escape_ascii().to_string()));
        }
        let expected: &[&str] = match (case, self.fault) {
            // Perhaps nobody else had it.
            (Case::Publish, Some(Step::Crash(1))) => &["old", "new"],
            (Case::PublishAndLeave, Some(Step::Crash(_))) => &["old", "new"],
            (Case::Publish | Case::PublishAndLeave, _) => &["new"],
            (Case::PublishBoth, _) => &["one", "two"],
            (Case::Restart, _) => &["old", "last words"],
            (Case::Join | Case::Leave, _) => &["old"],
        };
        assert_eq!(values.len(), 1, "they hold {values:?} in {case:?}, after {steps:?}");
        let held = values.pop_first().flatten();
        let right = held.as_deref().is_some_and(|held| expected.contains(&held));
        assert!(right, "they hold {held:?} in {case:?}, after {steps:?}");
    }
}

/// Goes every way that there is, which are so many.
#[track_caller]
fn assert_every_order_agrees(case: Case, ways: usize) {
    let mut ends = 0;
    for liveness in [Liveness::Beats, Liveness::Probes] {
        let mut waiting = vec![World::of(case, liveness)];
        let mut seen = BTreeSet::new();
        while let Some(mut world) = waiting.pop() {
            if !seen.insert(world.key()) {
                continue;
            }
            waiting.extend(world.choices().into_iter().map(|step| world.after(step)));
            if world.arrivals().is_empty() {
                ends += 1;
                world.assert_agrees(case);
            }
        }
    }
    assert_eq!(ends, ways, "ways that {case:?} may go: fewer are no longer all");
}

#[test]
fn whatever_the_order_a_newcomer_is_listed() {
    assert_every_order_agrees(Case::Join, 3_390);
}

#[test]
fn whatever_the_order_who_leaves_is_gone_for_good() {
    assert_every_order_agrees(Case::Leave, 1_532);
}

#[test]
fn whatever_the_order_who_starts_anew_is_listed_as_it_is_now() {
    assert_every_order_agrees(Case::Restart, 9_334);
}

#[test]
fn whatever_the_order_what_is_published_is_held_by_all() {
    assert_every_order_agrees(Case::Publish, 90);
}

#[test]
fn whatever_the_order_of_two_publishes_one_is_held_by_all() {
    assert_every_order_agrees(Case::PublishBoth, 1_496);
}

#[test]
fn whatever_the_order_what_a_leaver_said_last_is_held_by_those_who_stay() {
    assert_every_order_agrees(Case::PublishAndLeave, 1_528);
}
