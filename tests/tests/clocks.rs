//! Wall clocks that are wrong by any measure keep nobody off a list, in runs of the simulator.

use rumormill_sim::scenario::{self, Set};
use rumormill_tests::assert_holds_as;

/// Twenty nodes, among them the seed, whose clock shows 1970; each clock that is wrong belongs to a
/// node that restarts, and so does a right one. Nobody is told of a restart by anything but its
/// generation.
const SCENARIO: &str = r#"
name = "clocks"
nodes = 20
duration = "60s"
bootstrap = "first"
start = "0s..1s"

[network]
latency = "1ms..20ms"
loss = "2%"

[groups.of-1970]
nodes = [0, 1]
clock = { offset = "-20080d", drift = "50ppm" }

[groups.before-1970]
nodes = 2
clock = { offset = "-21900d" }

[groups.of-2075]
nodes = [3, 4]
clock = { offset = "18250d" }

[groups.of-2125]
nodes = 5
clock = { offset = "36500d" }

[groups.a-minute-ahead]
nodes = 6
clock = { offset = "61s" }

[[at]]
time = "12s"
restart = { nodes = [0, 2, 4], down = "2s" }

[[at]]
time = "20s"
restart = { nodes = [1, 3, 5, 6, 7], down = "8s" }

[[at]]
time = "40s"
restart = { nodes = [2, 3, 5, 6, 8], down = "1s", manner = "leave" }

[expect]
"faults.restart" = "== 13"
"node_list.converged" = "== true"
"removals.false" = "== 0"
"#;

#[test]
fn a_clock_that_is_a_century_off_or_a_minute_keeps_nobody_off_a_list() {
    for liveness in ["beats", "probes"] {
        let set = format!("engine.liveness={liveness}");
        let sets = [Set::parse(&set).expect("KEY=VALUE")];
        let scenario = scenario::parse("clocks.toml", SCENARIO, &sets)
            .unwrap_or_else(|error| panic!("{error}"));
        for seed in 1..=10 {
            let command = format!("sim run clocks.toml --set {set}");
            assert_holds_as(&scenario, seed, &command);
        }
    }
}
