//! What a service reads and hears of its seeds, on real sockets: who is not there, and why.

mod helpers;

use std::net::UdpSocket;
use std::time::Duration;

use rumormill::core::Reach;
use rumormill::net::SeedState;
use rumormill::{Config, ConfigBuilder, Node, NodeList, Notice};
use tokio::time::Instant;

use helpers::cluster::{CYCLE, TIMEOUT, eventually};

fn config() -> ConfigBuilder {
    Config::builder().cycle(CYCLE).timeout(TIMEOUT).redial(2 * CYCLE)
}

/// A node that has joined.
async fn joined(config: ConfigBuilder, seeds: &[String]) -> NodeList {
    let config = config.seeds(seeds.to_vec()).build().unwrap();
    let list = NodeList::new(Node::new("127.0.0.1:0"), config).unwrap();
    list.join().await.unwrap();
    list
}

fn addr(list: &NodeList) -> String {
    list.node().addr().to_string()
}

/// A seed at which nobody is.
fn dead() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().to_string()
}

fn states(list: &NodeList) -> Vec<SeedState> {
    list.seeds().iter().map(|seed| seed.state.clone()).collect()
}

/// Waits until a node has one seed, in this state; the time that it took.
async fn wait_for(list: &NodeList, state: SeedState) -> Duration {
    let start = Instant::now();
    eventually(&format!("{state:?}"), || states(list) == [state.clone()]).await;
    start.elapsed()
}

#[tokio::test]
async fn each_seed_says_what_has_become_of_it() {
    let there = joined(config(), &[]).await;
    let elsewhere = ["192.0.2.1:9", "[::1]:9"].map(str::to_owned);
    let seeds = [vec![addr(&there), dead(), "no-such-name.invalid:9".into()], elsewhere.into()];
    let list = joined(config(), &seeds.concat()).await;
    let own = addr(&list);
    list.set(own).unwrap();
    let is_settled = || !states(&list).contains(&SeedState::Seeking);
    eventually("all states", is_settled).await;
    let [contacted, silent, unresolved, beyond, family, myself] = &states(&list)[..] else {
        panic!("{:?}", list.seeds());
    };
    assert_eq!((contacted, silent), (&SeedState::Contacted, &SeedState::Silent));
    assert!(matches!(unresolved, SeedState::Unresolved(_)), "{unresolved:?}");
    assert_eq!(beyond, &SeedState::BeyondLoopback);
    assert_eq!((family, myself), (&SeedState::OtherFamily, &SeedState::Myself));
    assert_eq!(list.agreement().reach, Reach::Others);
}

#[tokio::test]
async fn a_seed_of_another_cluster_is_told_before_one_would_be_called_silent() {
    let other = joined(config().cluster("green"), &[]).await;
    let list = joined(config().cluster("blue"), &[addr(&other)]).await;
    let took = wait_for(&list, SeedState::OtherCluster).await;
    assert!(took < Duration::from_millis(800), "{took:?}");
    eventually("it reaches nobody", || list.agreement().reach == Reach::Nobody).await;
    assert_eq!(other.get().len(), 1);
}

#[tokio::test]
async fn a_seed_of_another_secret_is_told_whoever_of_the_two_has_one() {
    for (ours, theirs) in [(None, Some("b")), (Some("a"), None), (Some("a"), Some("b"))] {
        let with = |secret: Option<&str>| match secret {
            Some(secret) => config().secret_key(secret),
            None => config(),
        };
        let other = joined(with(theirs), &[]).await;
        let list = joined(with(ours), &[addr(&other)]).await;
        wait_for(&list, SeedState::WrongKey).await;
        assert_eq!(list.get().len(), 1, "{ours:?} {theirs:?}");
    }
}

#[tokio::test]
async fn a_node_with_a_secret_says_nothing_to_who_does_not_hold_it() {
    let sealed = joined(config().secret_key("secret"), &[]).await;
    let list = joined(config(), &[addr(&sealed)]).await;
    wait_for(&list, SeedState::WrongKey).await;
    let stats = (sealed.stats(), list.stats());
    assert!(stats.0.rejected.total() > 0 && stats.1.sent > 0);
    assert_eq!((stats.0.sent, stats.1.received), (0, 0));
}

#[tokio::test]
async fn the_first_of_a_cluster_need_not_wait_and_one_that_reaches_nobody_does() {
    let (min, max) = (CYCLE, 10 * CYCLE);
    let first = joined(config(), &[]).await;
    let start = Instant::now();
    assert_eq!(first.settled(min, max).await.reach, Reach::First);
    assert!(start.elapsed() < max / 2, "{:?}", start.elapsed());
    let lost = joined(config(), &[dead()]).await;
    let mut changes = lost.subscribe();
    let start = Instant::now();
    assert_eq!(lost.settled(min, max).await.reach, Reach::Nobody);
    assert!(start.elapsed() >= max, "{:?}", start.elapsed());
    let mut told = 0;
    while let Some(notice) = changes.recv().await {
        match notice {
            Notice::Seed(seed) => {
                assert_eq!((seed.state, told), (SeedState::Silent, 0));
                told += 1;
            }
            Notice::Alone(reach) => {
                assert_eq!((reach, told), (Reach::Nobody, 1));
                break;
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn seeds_can_be_replaced_while_the_node_runs() {
    let there = joined(config(), &[]).await;
    let list = joined(config(), &[dead()]).await;
    wait_for(&list, SeedState::Silent).await;
    assert!(list.set_seeds(["10.0.0.1"]).is_err(), "no port");
    wait_for(&list, SeedState::Silent).await;
    list.set_seeds([addr(&there), addr(&there)]).unwrap();
    let took = wait_for(&list, SeedState::Contacted).await;
    assert!(took < Duration::from_millis(500), "{took:?}");
    assert_eq!(list.agreement().reach, Reach::Others);
    list.leave().await.unwrap();
    wait_for(&list, SeedState::Seeking).await;
}
