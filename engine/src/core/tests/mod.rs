//! The protocol, sentence by sentence, on a small cluster in virtual time.

mod cluster;

use cluster::{Cluster, MS, SECOND};

use crate::Config;

#[test]
fn three_nodes_that_join_through_one_list_each_other_within_a_cycle() {
    let mut cluster = Cluster::new(Config::default());
    for node in 1..=3 {
        cluster.start(node, &[1]);
    }
    let took = cluster.run_until(SECOND, Cluster::all_list_all);
    assert!(took < SECOND, "{took:?}");
}

#[test]
fn a_cold_start_of_two_hundred_smoke() {
    let mut cluster = Cluster::new(Config::default());
    for node in 1..=200 {
        cluster.start(node, &[1]);
    }
    let took = cluster.run_until(10 * SECOND, Cluster::all_list_all);
    eprintln!("{took:?} {:?}", cluster.sent);
    cluster.run(10 * SECOND);
    assert!(cluster.all_list_all());
    eprintln!("{:?}", cluster.sent);
    cluster.publish(3, b"x");
    let took = cluster.run_until(SECOND, |c| c.all_hold(b"x"));
    eprintln!("{took:?}");
    cluster.crash(7);
    let took = cluster.run_until(10 * SECOND, Cluster::all_list_all);
    eprintln!("crash {took:?} {:?}", cluster.sent);
    cluster.far_side = (1..=100).collect();
    cluster.run(20 * SECOND);
    assert_eq!(cluster.list(1).len(), 99);
    cluster.far_side.clear();
    let took = cluster.run_until(20 * SECOND, Cluster::all_list_all);
    eprintln!("heal {took:?} {:?}", cluster.sent);
    let _ = MS;
}
