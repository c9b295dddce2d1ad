//! What the benchmarks share: a font for the reports, a measurement of virtual time, ready-made
//! scenarios.

use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter};
use criterion::{Criterion, Throughput};
use plotters::style::{FontStyle, register_font};
use rumormill_sim::report::summary::RunResult;
use rumormill_sim::scenario::{self, plan::Plan};
use rumormill_sim::world::{self, Codec, Options};

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

/// Runs a plan.
pub fn run(plan: &Plan) -> RunResult {
    world::run(plan, &Options { codec: Codec::Skip }, &mut |_| {})
}
