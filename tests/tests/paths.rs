//! Paths that carry less than their ends believe: a real router between processes.

mod helpers;

use std::time::Duration;

use tokio::time::Instant;

use helpers::netns::{Network, Width};
use helpers::process::Process;

const SHORT: [&str; 4] = ["--cycle", "200ms", "--timeout", "1s"];

/// Waits for a path that is found out, a busy machine included; a path that is not has no end.
const SOON: Duration = Duration::from_secs(3);

fn text(len: usize, seed: u8) -> String {
    (0..len).map(|at| char::from(b'a' + (at as u8 ^ seed) % 26)).collect()
}

/// Starts a node on each host; all join the first.
fn start(network: &Network, hosts: usize, args: &[&str]) -> Vec<Process> {
    let mut nodes: Vec<Process> = Vec::new();
    for host in 0..hosts {
        let ip = network.ip(host);
        let mut all = [&SHORT[..], args, &["--listen", &ip]].concat();
        let seed = nodes.first().map(|node| node.addr.clone());
        all.extend(seed.iter().flat_map(|seed| ["--join", seed]));
        nodes.push(Process::start_in(&network.host(host), &all));
    }
    let addrs: Vec<_> = nodes.iter().map(|node| node.addr.clone()).collect();
    for node in &mut nodes {
        for addr in &addrs {
            node.wait_for_line(&format!("joined {addr}"));
        }
    }
    nodes
}

/// Publishes a text on one node and waits until another has it; how long that took.
fn bring(nodes: &mut [Process], from: usize, to: usize, text: &str) -> Duration {
    let writer = nodes[from].addr.clone();
    let start = Instant::now();
    nodes[from].type_line(text);
    nodes[to].wait_for_line(&format!("metadata {text} from {writer}"));
    start.elapsed()
}

#[test]
fn any_value_crosses_a_router_whose_onward_link_is_narrow_and_whose_icmp_is_filtered() {
    for size in ["1200", "1400", "8000"] {
        let Some(network) = Network::new(&[Width::Usual, Width::Narrow]) else { return };
        let mut nodes = start(&network, 2, &["--size", size]);
        for (round, len) in (0..).zip([100, 1_150, 1_230, 1_300, 1_350, 2_000, 7_000, 40_000]) {
            for (from, to) in [(0, 1), (1, 0)] {
                let took = bring(&mut nodes, from, to, &text(len, 2 * round + from as u8));
                println!("size {size}: {len} bytes from {from} to {to} in {took:?}");
                assert!(took < SOON, "size {size}: {len} bytes took {took:?}");
            }
        }
        if size == "1400" {
            let other = nodes[1].addr.clone();
            let told = format!("do not get to {other}: values as long go by stream");
            nodes[0].wait_for("the narrow path", |line| line.ends_with(&told));
        }
    }
}

#[test]
fn a_large_value_goes_around_a_filter_of_tcp_and_the_service_hears_of_it() {
    let Some(network) = Network::new(&[Width::Usual; 3]) else { return };
    let mut nodes = start(&network, 3, &[]);
    let (a, b) = (network.ip(0), network.ip(1));
    let rules = format!(
        "table inet filter {{
           chain forward {{
             type filter hook forward priority 0; policy accept;
             ip saddr {a} ip daddr {b} meta l4proto tcp drop
             ip saddr {b} ip daddr {a} meta l4proto tcp drop
           }}
         }}"
    );
    network.filter(&rules).unwrap();
    for round in 0..3 {
        let took = bring(&mut nodes, 0, 1, &text(40_000, round));
        println!("around the filter in {took:?}");
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
    let told = format!("does not get through between {} and here: is TCP filtered?", nodes[0].addr);
    nodes[1].wait_for("that a value can't be had", |line| line.ends_with(&told));
}
