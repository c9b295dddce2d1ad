//! What the benchmarks share: a font for the reports, a measurement of virtual time, ready-made
//! scenarios, members and packets.

pub mod convergence;

use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter};
use criterion::{Criterion, Throughput};
use plotters::style::{FontStyle, register_font};
use rumormill::core::packet::{BeatVector, Body, Bulk, Delta, MembershipUpdate};
use rumormill::core::{
    Age, AgeStep, Beat, Carrier, Digest, Engine, Input, MemberState, Outbox, Packet, Record,
    SharedRecords,
};
use rumormill::node::Generation;
use rumormill::time::{Instant, Now, UnixNanos};
use rumormill::{Config, Node};
use rumormill_sim::results::summary::RunResult;
use rumormill_sim::scenario::{self, plan::Plan};
use rumormill_sim::world::{self, Engines, Options};

/// Gives the reports a font of their own, since a machine need not have any. Must come before
/// the first plot: without it they panic.
pub fn register_fonts() {
    for style in [FontStyle::Normal, FontStyle::Bold] {
        let font = dejavu::sans::regular();
        assert!(register_font("sans-serif", style, font).is_ok(), "the embedded font is a font");
    }
}

/// Milliseconds of virtual time, as the simulator counts them: they say what the protocol does,
/// whatever the machine.
#[derive(Clone, Copy, Debug)]
pub struct VirtualTime;

impl VirtualTime {
    /// Criterion set so that every value counts once: a virtual time does not get truer by being
    /// measured longer.
    pub fn criterion() -> Criterion<Self> {
        Criterion::default()
            .with_measurement(Self)
            .sample_size(50)
            .warm_up_time(Duration::from_nanos(1))
            .measurement_time(Duration::from_nanos(1))
    }
}

impl Measurement for VirtualTime {
    type Intermediate = ();
    type Value = f64;

    fn start(&self) -> Self::Intermediate {}

    fn end(&self, (): Self::Intermediate) -> Self::Value {
        unreachable!("virtual time is measured by the simulator: use iter_custom")
    }

    fn add(&self, a: &f64, b: &f64) -> f64 {
        a + b
    }

    fn zero(&self) -> f64 {
        0.0
    }

    fn to_f64(&self, value: &f64) -> f64 {
        *value
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &VirtualMillis
    }
}

struct VirtualMillis;

impl ValueFormatter for VirtualMillis {
    fn scale_values(&self, _: f64, _: &mut [f64]) -> &'static str {
        "virtual ms"
    }

    fn scale_throughputs(&self, _: f64, _: &Throughput, _: &mut [f64]) -> &'static str {
        "per virtual ms"
    }

    fn scale_for_machines(&self, _: &mut [f64]) -> &'static str {
        "virtual ms"
    }
}

/// A publish in a cluster whose lists are complete, and nothing else: the spread of one rumor.
pub fn publish_plan(nodes: u32, fan_out: u32, seed: u64) -> Plan {
    let text = format!(
        r#"
        name = "publish"
        nodes = {nodes}
        duration = "2s"
        bootstrap = "full"
        [engine]
        fan_out = {fan_out}
        liveness = "off"
        [network]
        latency = "1ms..10ms"
        [[at]]
        time = "100ms"
        publish = {{ node = 0, data = "v1" }}
        "#
    );
    let scenario = scenario::parse("publish.toml", &text, &[]).expect("a valid scenario");
    scenario.plan(seed).expect("a plan for every seed")
}

/// An engine with a full list, and a clock.
#[derive(Debug)]
pub struct Subject {
    /// The engine.
    pub engine: Engine,
    /// What the clock shows.
    pub now: Now,
    /// What it sent since somebody looked.
    pub outbox: Outbox,
}

impl Subject {
    /// An engine that is the first of these members and lists all.
    pub fn new(members: &[Arc<Record>]) -> Self {
        let now =
            Now { mono: Instant::from_nanos(1 << 56), wall: UnixNanos(1_800_000_100_000_000_000) };
        let (me, config) = (Arc::clone(&members[0]), Arc::new(Config::default()));
        let mut engine = Engine::new(me, config, Arc::new(SharedRecords::default()), 1, now);
        let mut outbox = Outbox::new();
        engine.restore(now, members, &mut outbox);
        outbox.drain().for_each(drop);
        Self { engine, now, outbox }
    }

    /// Gives it a packet, a while after the last.
    pub fn take(&mut self, packet: &Arc<Packet>, pace: Duration) {
        self.now.mono = self.now.mono + pace;
        let (from, packet) = (([10, 0, 0, 1], 8000).into(), Arc::clone(packet));
        let carrier = Carrier::Datagram(packet.len_max());
        self.engine.handle(self.now, Input::Packet { from, carrier, packet }, &mut self.outbox);
    }
}

/// Runs a plan, one engine at a time.
pub fn run(plan: &Plan) -> RunResult {
    run_with(plan, Engines::OneByOne)
}

/// Runs a plan with so many engines at a time.
pub fn run_with(plan: &Plan, engines: Engines) -> RunResult {
    world::run(plan, &Options { engines, ..Options::default() }, &mut |_| {})
}

/// A cluster without trouble: complete lists, beats, swaps, one publish.
pub fn calm_plan(nodes: u32, secs: u32) -> Plan {
    let text = format!(
        r#"
        name = "calm"
        nodes = {nodes}
        duration = "{secs}s"
        bootstrap = "full"
        [engine]
        liveness = "beats"
        [network]
        latency = "1ms..10ms"
        [[at]]
        time = "1s"
        publish = {{ node = 0, data = "v1" }}
        "#
    );
    plan_of("calm.toml", &text)
}

/// A cold start through one seed, until all list each other.
pub fn cold_plan(nodes: u32) -> Plan {
    let text = format!("name = \"cold\"\nnodes = {nodes}\nduration = \"1s\"");
    plan_of("cold.toml", &text)
}

/// One rumor among nodes that list each other, with neither beats nor swaps.
pub fn spread_plan(nodes: u32) -> Plan {
    let text = format!(
        r#"
        name = "spread"
        nodes = {nodes}
        duration = "1s"
        bootstrap = "full"
        sample = "10ms"
        [engine]
        fan_out = 8
        liveness = "off"
        swap = "off"
        [network]
        latency = "1ms..10ms"
        [[at]]
        time = "100ms"
        publish = {{ node = 0, data = "v1" }}
        "#
    );
    plan_of("spread.toml", &text)
}

fn plan_of(name: &str, text: &str) -> Plan {
    let scenario = scenario::parse(name, text, &[]).expect("a valid scenario");
    scenario.plan(1).expect("a plan for every seed")
}

/// Members 10.0.0.0:8000 and on, in order of the ring.
pub fn members(count: u32) -> Vec<Arc<Record>> {
    let generation = Generation::new(1_800_000_000_000_000_000).expect("a year before 2116");
    let record = |number: u32| {
        let ip = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number);
        let node = Node::new(format!("{ip}:8000")).name(format!("node-{number}"));
        let node = node.private_data("zone=1").build().expect("a node");
        Arc::new(Record::new(node, generation))
    };
    let mut members: Vec<_> = (0..count).map(record).collect();
    members.sort_by_key(|record| record.place());
    members
}

/// The unit of ages that goes with the default settings.
pub fn step() -> AgeStep {
    AgeStep::of_timeout(Config::default().timeout())
}

fn packet(body: Body) -> Arc<Packet> {
    Arc::new(Packet::new(step(), body))
}

/// Beats of all members with this counter, in as few datagrams as it takes, all about as long.
pub fn bulks(members: &[Arc<Record>], counter: u8) -> Vec<Arc<Packet>> {
    const HEADERS_LEN: usize = 18;
    const BEAT_LEN: usize = 6;
    let count = (Config::default().packet_len_max() - HEADERS_LEN) / BEAT_LEN;
    // Each spread over the ring, as the beats of a relay are.
    let every = members.len().div_ceil(count);
    let bulk = |first: usize| {
        let members = members.iter().skip(first).step_by(every);
        let beats = members.map(|record| Beat { id: record.id(), counter, age: Age(0) });
        packet(Body::Bulk(Bulk { beats: beats.collect(), news: Vec::new() }))
    };
    (0..every).map(bulk).collect()
}

/// As many beats as fit into a datagram, at most one of each member, all with this counter.
pub fn full_bulk(members: &[Arc<Record>], counter: u8) -> Arc<Packet> {
    bulks(members, counter).swap_remove(0)
}

/// Most beats of a vector that fit into a datagram.
fn vector_len_max() -> usize {
    const HEADERS_LEN: usize = 34;
    const BEAT_LEN: usize = 2;
    (Config::default().packet_len_max() - HEADERS_LEN) / BEAT_LEN
}

/// The vector of a list in as few datagrams as it takes, all about as long.
pub fn vectors(members: &[Arc<Record>], counter: u8) -> Vec<Arc<Packet>> {
    let pages = members.len().div_ceil(vector_len_max());
    let len = members.len().div_ceil(pages);
    let digest: Digest = members.iter().map(|record| record.digest()).sum();
    let page = |(place, page): (usize, &[Arc<Record>])| {
        let (first, beats) = ((place * len) as u32, vec![(counter, Age(0)); page.len()]);
        packet(Body::BeatVector(BeatVector { digest, first, beats }))
    };
    members.chunks(len).enumerate().map(page).collect()
}

/// The vector of a list, or as much of it as fits into a datagram.
pub fn full_vector(members: &[Arc<Record>], counter: u8) -> Arc<Packet> {
    let fitting = members.len().min(vector_len_max());
    vectors(&members[..fitting], counter).swap_remove(0)
}

/// As many records as fit into a datagram.
pub fn full_records(members: &[Arc<Record>]) -> Arc<Packet> {
    let mut news = Vec::new();
    let mut full = packet(Body::Delta(Delta { news: Vec::new() }));
    for record in members {
        let sighting = MemberState { record: Arc::clone(record), counter: 1_000, age: Age(7) };
        news.push(MembershipUpdate::Member(sighting));
        let fuller = packet(Body::Delta(Delta { news: news.clone() }));
        if fuller.len_max() > Config::default().packet_len_max() {
            break;
        }
        full = fuller;
    }
    full
}
