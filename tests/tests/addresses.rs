//! By which address a node is reached: on machines with several networks, or with none that leads
//! out, and where something is filtered. Each machine is a network namespace; without the rights
//! to make one there is nothing to see here.

mod helpers;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

use rumormill::net::SeedState;
use rumormill::{Config, Node, NodeList, NodeListError, Notice};
use tokio::time::Instant;

use helpers::cluster::{CYCLE, TIMEOUT, eventually};
use helpers::process::Process;
use helpers::spaces::Spaces;

const SHORT: [&str; 6] = ["--cycle", "200ms", "--timeout", "1s", "--redial", "400ms"];

/// Nodes on all addresses of three machines, each with the names of all as seeds.
fn three_by_name(spaces: &Spaces) -> [Process; 3] {
    let seeds = ["--join", "n1:5000", "--join", "n2:5000", "--join", "n3:5000"];
    let args = [&["--listen", "0.0.0.0:5000"][..], &SHORT, &seeds].concat();
    [1, 2, 3].map(|machine| spaces.start(machine, &args))
}

fn assert_all_list_all(nodes: &mut [Process; 3]) {
    for (at, node) in (1..).zip(&mut *nodes) {
        node.wait_for_line(&format!("advertised 10.1.0.{at}:5000"));
        for other in 1..=3 {
            node.wait_for(&format!("node {other} at {at}"), |line| {
                line.starts_with(&format!("joined 10.1.0.{other}:5000"))
            });
        }
    }
    std::thread::park_timeout(3 * TIMEOUT);
    for node in nodes {
        let removed = node.said().iter().filter(|line| line.starts_with("removed")).count();
        assert_eq!(removed, 0, "{:?}", node.said());
    }
}

#[test]
fn nodes_that_know_each_other_by_name_need_no_default_route() {
    let Some(spaces) = Spaces::new(3) else { return };
    assert_all_list_all(&mut three_by_name(&spaces));
}

#[test]
fn nodes_advertise_the_network_on_which_their_seeds_are_and_not_that_of_the_default_route() {
    let Some(spaces) = Spaces::new(3) else { return };
    for machine in 1..=3 {
        spaces.add_default_route(machine);
    }
    assert_all_list_all(&mut three_by_name(&spaces));
}

#[test]
fn an_interface_and_a_network_are_advertised_by_the_address_that_the_machine_has_there() {
    let Some(spaces) = Spaces::new(1) else { return };
    spaces.add_default_route(1);
    for (named, addr) in
        [("eth1", "10.1.0.1:5000"), ("10.0.0.0/8", "10.1.0.1:5000"), ("eth0", "192.168.1.5:5000")]
    {
        let args = ["--listen", "0.0.0.0:5000", "--advertise", named];
        spaces.start(1, &args).wait_for_line(&format!("advertised {addr}"));
    }
}

#[test]
fn a_seed_that_is_filtered_is_told_with_the_protocol_that_does_not_get_through() {
    let Some(spaces) = Spaces::new(3) else { return };
    let at = |machine, seeds: &[&str]| {
        spaces.start(machine, &[&["--listen", "0.0.0.0:5000"][..], &SHORT, seeds].concat())
    };
    spaces.filter(1, "udp");
    spaces.filter(2, "tcp");
    let _filtered = [at(1, &[]), at(2, &[])];
    let mut node = at(3, &["--join", "n1:5000", "--join", "n2:5000"]);
    node.wait_for_line("seed n2:5000 is contacted");
    node.wait_for_line("seed n1:5000 is silent, and takes calls by TCP: is UDP filtered?");
    let tcp = "seed n2:5000 is contacted, and takes no call by TCP: is it filtered?";
    node.wait_for_line(tcp);
}

#[test]
fn a_node_is_told_that_nobody_reaches_it_and_that_its_address_has_changed() {
    let Some(spaces) = Spaces::new(3) else { return };
    let args = |more: &[&'static str]| [&["--listen", "0.0.0.0:5000"][..], &SHORT, more].concat();
    let mut first = spaces.start(1, &args(&[]));
    let wrong = args(&["--join", "10.1.0.1:5000", "--advertise", "10.1.0.77"]);
    let mut wrong = spaces.start(2, &wrong);
    let mut moved = spaces.start(3, &args(&["--join", "10.1.0.1:5000"]));
    moved.wait_for_line("advertised 10.1.0.3:5000");
    first.wait_for("it", |line| line.starts_with("joined 10.1.0.3:5000"));
    spaces.ip(3, "addr del 10.1.0.3/24 dev eth1");
    moved.wait_for_line("address changed: 10.1.0.3:5000 is advertised, it is gone");
    spaces.ip(3, "addr add 10.1.0.33/24 dev eth1");
    moved.wait_for_line("address changed: 10.1.0.3:5000 is advertised, it is now 10.1.0.33");
    wrong.wait_for_line("nobody reaches this node at 10.1.0.77:5000");
    let told = |node: &mut Process| node.said().iter().any(|line| line.starts_with("nobody"));
    assert!(!told(&mut first), "{:?}", first.said());
}

#[test]
fn a_name_that_is_not_there_yet_is_found_soon_after_it_is() {
    let Some(spaces) = Spaces::new(2) else { return };
    let _first = spaces.start(1, &["--listen", "0.0.0.0:5000"]);
    // With the default `redial` of ten seconds.
    let mut node = spaces.start(2, &["--listen", "0.0.0.0:5000", "--join", "late:5000"]);
    node.wait_for("it fails", |line| line.starts_with("seed late:5000 is not found"));
    let mut names = OpenOptions::new().append(true).open(spaces.names()).unwrap();
    writeln!(names, "10.1.0.1 late").unwrap();
    let start = Instant::now();
    node.wait_for_line("seed late:5000 is contacted");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test]
async fn what_advertise_names_and_the_machine_has_not_is_an_error_with_what_it_has() {
    let config = Config::builder().advertise("203.0.113.0/24".parse().unwrap()).build().unwrap();
    let list = NodeList::new(Node::new("0.0.0.0:0"), config).unwrap();
    let error = list.join().await.unwrap_err();
    assert!(matches!(error, NodeListError::Advertise { .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1 on "), "{error}");
    assert!(list.local_addr().is_none() && list.get().is_empty());
}

#[tokio::test]
async fn a_node_of_loopback_does_not_ask_a_seed_elsewhere_in_its_name() {
    let config = Config::builder().cycle(CYCLE).timeout(TIMEOUT).seeds(["192.0.2.1:9"]);
    let list = NodeList::new(Node::new("127.0.0.1:0"), config.build().unwrap()).unwrap();
    list.join().await.unwrap();
    tokio::time::sleep(2 * CYCLE).await;
    assert_eq!(list.seeds()[0].state, SeedState::BeyondLoopback);
    let stats = list.stats();
    assert_eq!((stats.sent, stats.send_errors), (0, 0));
}

#[tokio::test]
async fn a_member_of_the_other_family_is_told_of_once() {
    // A machine without IPv6 has nothing to show here.
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        return;
    }
    let config = || Config::builder().cycle(CYCLE).timeout(TIMEOUT).redial(2 * CYCLE);
    let both = config().listen_addr("[::]:0".parse().unwrap()).build().unwrap();
    let both = NodeList::new(Node::new("[::1]:0"), both).unwrap();
    both.join().await.unwrap();
    let theirs = both.node().addr();
    let seeds = vec![format!("127.0.0.1:{}", theirs.port())];
    let four = NodeList::new(Node::new("127.0.0.1:0"), config().seeds(seeds).build().unwrap());
    let four = four.unwrap();
    let mut changes = four.subscribe();
    four.join().await.unwrap();
    let listed = || four.get().len() == 2;
    eventually("the one lists the other", listed).await;
    tokio::time::sleep(2 * TIMEOUT).await;
    four.leave().await.unwrap();
    let mut told = Vec::new();
    while let Some(notice) = changes.recv().await {
        match notice {
            Notice::OtherFamily(member) => told.push(member),
            Notice::Left => break,
            _ => {}
        }
    }
    assert_eq!(told, [theirs]);
}
