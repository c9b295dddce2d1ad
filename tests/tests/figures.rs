//! The figures that the protocol promises, in virtual time.

use rumormill_sim::scenario::{self, Scenario};
use rumormill_tests::assert_holds;

fn scenario(text: &str) -> Scenario {
    scenario::parse("figures.toml", text, &[]).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_thousand_nodes_list_each_other_within_a_second_of_a_cold_start_through_one_seed() {
    let cold = scenario(
        r#"
        name = "cold"
        nodes = 1000
        duration = "2s"
        [engine]
        cycle = "1s"
        [network]
        latency = "1ms..10ms"
        [expect]
        "node_list.converged_after" = "<= 1s"
        "removals.false" = "== 0"
        "#,
    );
    assert_holds(&cold, 1);
}

#[test]
fn ten_minutes_at_five_percent_loss_remove_nobody_who_lives_and_see_a_crash_in_time() {
    let long = scenario(
        r#"
        name = "long"
        nodes = 50
        duration = "10min"
        [engine]
        cycle = "1s"
        timeout = "5s"
        [network]
        latency = "1ms..10ms"
        loss = "5%"
        [[at]]
        time = "9min"
        crash = { random = 1, from = "live" }
        [expect]
        "removals.false" = "== 0"
        "detection.all" = "<= 8s"
        "node_list.converged" = "== true"
        "#,
    );
    for seed in 1..=5 {
        assert_holds(&long, seed);
    }
}

#[test]
fn bytes_of_an_idle_cluster_stay_below_half_a_kilobyte_a_node_and_second_at_fifty_nodes() {
    let idle = scenario(
        r#"
        name = "idle"
        nodes = 50
        duration = "60s"
        [network]
        latency = "1ms..10ms"
        loss = "20%"
        [expect]
        "per_node_per_second.bytes_p99" = "<= 500"
        "removals.false" = "== 0"
        "#,
    );
    assert_holds(&idle, 1);
}
