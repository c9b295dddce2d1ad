//! Plans by hand, for tests.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use rumormill::core::{Command, Engine, Input, Outbox, Output, SharedRecords, Value};
use rumormill::link::{Burst, Link, LinkChange, Loss, NetworkChange};
use rumormill::rng::Probability;
use rumormill::time::Instant;
use rumormill::{Config, ConfigBuilder, Liveness, Metadata, Node, NodeBuilder};

use crate::observe::cast::Cast;
use crate::protocols::Chosen;
use crate::scenario::plan::{
    Action, ClockChange, Deed, Heal, Incarnation, Links, Manner, Memory, NodeNo, Plan, SeedShare,
    StartCause, WayIn, Ways,
};

pub(crate) fn lan() -> Link {
    Link::uniform(Duration::from_millis(1), Duration::from_millis(10))
}

pub(crate) fn at_ms(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(ms)
}

pub(crate) fn node(number: NodeNo) -> Node {
    let addr = format!("10.{}.{}.{}:7000", number >> 16, (number >> 8) & 255, number & 255);
    Node::new(addr).name(format!("n{number}")).build().expect("a valid node")
}

/// A value that node 0 of a plan publishes at once.
pub(crate) fn metadata() -> Metadata {
    let cast = Cast::of(&plan(1, Duration::from_secs(1)));
    let me = Arc::clone(&cast.part(0).record);
    let now = cast.now(0, Instant::ZERO);
    let mut engine = Engine::new(me, Arc::default(), Arc::<SharedRecords>::default(), 1, now);
    let value = Value::new(*b"x", &Config::default()).unwrap();
    let mut out = Outbox::new();
    engine.handle(now, Input::Command(Command::Publish(value)), &mut out);
    assert!(out.drain().all(|output| matches!(output, Output::Event(_))));
    engine.metadata().unwrap().clone()
}

/// Nodes that start at zero, node 0 being everyone's seed, and then nothing happens.
pub(crate) fn plan(nodes: u32, duration: Duration) -> Plan {
    let engine = Arc::new(Config::default());
    let incarnations = (0..nodes).map(|number| Incarnation {
        node: number,
        start: Instant::ZERO,
        public: node(number),
        config: Arc::clone(&engine),
        way_in: WayIn::Seeds(if number == 0 { vec![] } else { vec![0] }),
        cause: StartCause::Initial,
        memory: Memory::Keeps,
        stale_seeds: None,
    });
    Plan {
        name: "test".into(),
        seed: 1,
        duration,
        warmup: duration / 5,
        sample: Duration::from_millis(100),
        rumor_rows_max: 200_000,
        protocol: Chosen::default(),
        engine: Arc::clone(&engine),
        network: lan(),
        links: Vec::new(),
        clocks: Vec::new(),
        groups: Vec::new(),
        incarnations: incarnations.collect(),
        nodes,
        entries: 0,
        nodes_ever: nodes,
        actions: Vec::new(),
        expect: Vec::new(),
        expect_seeds: SeedShare { text: "100%".into(), share: 1.0 },
        resolved: String::new(),
        overridden: false,
    }
}

/// Every node starts twice: incarnation `i` is node `i`, `nodes + i` its second one.
pub(crate) fn plan_with_restarts(nodes: u32) -> Plan {
    let mut plan = plan(nodes, Duration::from_secs(10));
    for number in 0..nodes {
        restart(&mut plan, number, at_ms(1_000));
    }
    plan
}

/// Adds an incarnation that starts again at a time, and says its place in the plan.
pub(crate) fn restart(plan: &mut Plan, number: NodeNo, start: Instant) -> usize {
    let way_in = WayIn::Seeds(if number == 0 { vec![1] } else { vec![0] });
    begin(plan, number, start, way_in, StartCause::Restart)
}

/// Adds an incarnation with the settings of its node, and says its place in the plan.
fn begin(
    plan: &mut Plan,
    number: NodeNo,
    start: Instant,
    way_in: WayIn,
    cause: StartCause,
) -> usize {
    plan.incarnations.push(Incarnation {
        node: number,
        start,
        public: node(number),
        config: config_of(plan, number),
        way_in,
        cause,
        memory: Memory::Keeps,
        stale_seeds: None,
    });
    plan.incarnations.len() - 1
}

fn config_of(plan: &Plan, number: NodeNo) -> Arc<Config> {
    let own = plan.incarnations.iter().find(|incarnation| incarnation.node == number);
    Arc::clone(own.map_or(&plan.engine, |own| &own.config))
}

/// Settings of nodes that beat.
pub(crate) fn beating() -> ConfigBuilder {
    Config::builder().liveness(Liveness::Beats)
}

/// Has all nodes beat.
pub(crate) fn beat(plan: &mut Plan) {
    configure(plan, beating().build().expect("valid settings"));
}

/// Gives all nodes these settings.
pub(crate) fn configure(plan: &mut Plan, config: Config) {
    plan.engine = Arc::new(config);
    for incarnation in &mut plan.incarnations {
        incarnation.config = Arc::clone(&plan.engine);
    }
}

/// Adds a newcomer, and says its place in the plan.
pub(crate) fn join(plan: &mut Plan, start: Instant) -> usize {
    let number = plan.nodes_ever;
    plan.nodes_ever += 1;
    begin(plan, number, start, WayIn::Seeds(vec![0]), StartCause::Join)
}

/// Adds an action under a label.
pub(crate) fn act(plan: &mut Plan, ms: u64, label: &str, deed: Deed) {
    let (label, text) = (label.to_owned(), format!("{deed:?}"));
    plan.actions.push(Action { at: at_ms(ms), deed, label, text });
}

/// Any few things happening to a few nodes, at any times and under any weather.
pub(crate) fn any_plan() -> impl Strategy<Value = Plan> {
    let steps = prop::collection::vec((0_u8..23, 100_u64..25_000, sets()), 0..12);
    let weather = (0_u64..30, 0_u64..20, 0_u64..20, any::<bool>());
    (any::<u64>(), 2_u32..9, weather, steps).prop_map(|(seed, nodes, weather, mut steps)| {
        let mut plan = plan(nodes, Duration::from_secs(30));
        let (loss, duplicate, reorder, full) = weather;
        plan.seed = seed;
        plan.network = Link {
            loss: percent(loss).into(),
            duplicate: percent(duplicate),
            reorder: percent(reorder),
            ..lan()
        };
        if full {
            plan.incarnations.iter_mut().for_each(|start| start.way_in = WayIn::Full);
        }
        if seed % 2 == 0 {
            // As in a group with settings of its own; its socket has little room.
            let own = Config::builder().timeout(Duration::from_secs(7)).buffer(4).build();
            plan.incarnations[1].config = Arc::new(own.expect("valid settings"));
            plan.clocks = vec![(vec![0], ClockChange::Offset { nanos: -3_000_000_000 })];
            let change = LinkChange { loss: Some(percent(40).into()), ..LinkChange::default() };
            let (from, to, ways) = (vec![0], vec![1], Ways::One);
            plan.links = vec![NetworkChange::Links { from, to, ways, change }];
        }
        steps.sort_by_key(|&(_, ms, _)| ms);
        for (kind, ms, (a, b)) in steps {
            happen(&mut plan, kind, ms, &a, &b);
        }
        plan
    })
}

fn sets() -> impl Strategy<Value = (Vec<NodeNo>, Vec<NodeNo>)> {
    let set = || prop::collection::btree_set(0_u32..9, 1..4);
    (set(), set())
        .prop_map(|(a, b)| (a.iter().copied().collect(), b.difference(&a).copied().collect()))
}

fn happen(plan: &mut Plan, kind: u8, ms: u64, a: &[NodeNo], b: &[NodeNo]) {
    let known = |set: &[NodeNo]| -> Vec<_> {
        set.iter().copied().filter(|&node| node < plan.nodes_ever).collect()
    };
    let (a, b) = (known(a), known(b));
    let deed = match kind {
        0 => Deed::Partition(vec![a, b]),
        1 => Deed::Isolate(a),
        2 => {
            let change = LinkChange { loss: Some(Loss::ALL), ..LinkChange::default() };
            Deed::Link { links: Links::OneWay { from: a, to: b }, change }
        }
        3 => Deed::Network(LinkChange {
            loss: Some(percent(ms % 60).into()),
            ..LinkChange::default()
        }),
        4 => Deed::Heal(Heal::All),
        5 => Deed::Crash(a),
        6 => Deed::Stop(a),
        7 => Deed::Start(a),
        8 => Deed::Leave(a),
        9 => {
            let newcomer = join(plan, at_ms(ms));
            Deed::Join(newcomer..newcomer + 1)
        }
        10 => {
            let manner = if ms.is_multiple_of(2) { Manner::Crash } else { Manner::Leave };
            let first = plan.incarnations.len();
            // Who is still to come back from an earlier restart is left out.
            let pending =
                |node| plan.incarnations.iter().any(|i| i.node == node && i.start >= at_ms(ms));
            let nodes: Vec<_> = a.into_iter().filter(|&node| !pending(node)).collect();
            for &node in &nodes {
                let part = restart(plan, node, at_ms(ms + ms % 7_000));
                if ms.is_multiple_of(5) {
                    plan.incarnations[part].memory = Memory::Forgets;
                }
                if ms.is_multiple_of(3) {
                    // Another address under the same name.
                    let addr = self::node(1_000 + part as NodeNo).addr();
                    let public = &mut plan.incarnations[part].public;
                    *public = public.with_addr(addr);
                }
            }
            Deed::Restart { nodes, manner, comes_back: first..plan.incarnations.len() }
        }
        11 => Deed::Pause(a),
        12 => Deed::Resume(a),
        13 => Deed::Clock { nodes: a, change: any_change(ms) },
        14 => {
            let (enter, leave, loss) = (percent(ms % 20), percent(20), percent(90));
            let loss = Some(Loss::Bursts(Burst { enter, leave, loss }));
            let change = LinkChange { loss, ..LinkChange::default() };
            Deed::Link { links: Links::Between(vec![a, b]), change }
        }
        15 => Deed::Heal(Heal::Action(plan.actions.len() / 2)),
        16 => Deed::Suspend(a),
        17 => Deed::Resume(b),
        18 => Deed::Update(a.into_iter().map(|node| (node, said(node, ms))).collect()),
        19 => {
            let least = Duration::from_millis(ms % 900);
            Deed::Starve { nodes: a, delay: least..=least * 3 }
        }
        20 => Deed::Slow { nodes: a, cost: Duration::from_micros(30 * (ms % 100 + 1)) },
        21 => Deed::Relieve { nodes: a, of: plan.actions.len() / 2 },
        _ => Deed::Publish { node: a.first().copied().unwrap_or(0), data: b"data"[..].into() },
    };
    act(plan, ms, "any", deed);
}

/// What a node may say of itself.
fn said(number: NodeNo, ms: u64) -> Node {
    let data = format!("since {}", ms % 3);
    NodeBuilder::from(node(number)).private_data(data).build().expect("a valid node")
}

/// Any change of a clock by up to a few minutes, or by up to a tenth.
fn any_change(ms: u64) -> ClockChange {
    let spread = (ms % 401) as i64 - 200;
    match ms % 6 {
        0 => ClockChange::Offset { nanos: spread * 1_000_000_000 },
        1 => ClockChange::Jump { nanos: spread * 1_000_000_000 },
        2 => ClockChange::Unjump { nanos: spread * 1_000_000_000 },
        3 => ClockChange::Drift { ppb: spread * 500_000 },
        4 => ClockChange::OwnOffset,
        _ => ClockChange::OwnDrift,
    }
}

pub(crate) fn percent(percent: u64) -> Probability {
    Probability::from_ppb(percent * 10_000_000)
}
