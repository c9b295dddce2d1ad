//! Members with one name: who moved is listed once, and who shares a name with a live one stays.

use std::sync::Arc;
use std::time::Duration;

use super::cluster::{Cluster, SECOND, addr, beating};
use crate::config::{Config, Liveness, WireVersion};
use crate::core::packet::{Body, Bulk, MembershipUpdate, ProbeAnswer};
use crate::core::{Age, Beat, Command, Event, MemberState, PacketKind, Record, RecordId};
use crate::node::{Generation, Node};

const NODES: u16 = 10;
const JUDGING: [Liveness; 2] = [Liveness::Beats, Liveness::Probes];

/// Long before the timeout of five seconds, and longer than the three calls take.
const SOON: Duration = Duration::from_millis(900);

#[track_caller]
fn node(node: u16, name: &str) -> Node {
    Node::new(addr(node).to_string()).name(name).build().unwrap()
}

/// Ten nodes that have known each other for a while, each with a name of its own.
#[track_caller]
fn settled(liveness: Liveness) -> Cluster {
    let config = Config::builder().liveness(liveness).build().unwrap();
    let mut cluster = Cluster::of(NODES, config);
    cluster.run(3 * SECOND);
    cluster.events.clear();
    cluster
}

impl Cluster {
    /// Starts a node under this name, as a later incarnation than all that started before.
    fn start_named(&mut self, at: u16, name: &str) {
        let generation = Generation::start(None, self.clock().wall);
        self.start_as(at, Arc::new(Record::new(node(at, name), generation)), &[1]);
    }

    /// How often each of the nodes was told that two have one name.
    fn conflicts_told(&self, nodes: impl IntoIterator<Item = u16>) -> Vec<usize> {
        let told = |node| {
            let is =
                |it: &&(_, u16, Event)| it.1 == node && matches!(it.2, Event::NameConflict { .. });
            self.events.iter().filter(is).count()
        };
        nodes.into_iter().map(told).collect()
    }

    /// How often a node replaced the one at this address.
    fn replacements(&self, at: u16, of: u16) -> usize {
        let is = |it: &&(_, u16, Event)| match &it.2 {
            Event::Replaced { old, .. } => it.1 == at && old.node().addr() == addr(of),
            _ => false,
        };
        self.events.iter().filter(is).count()
    }
}

#[test]
fn a_container_that_goes_back_and_forth_between_two_addresses_is_listed_once_each_time() {
    for liveness in JUDGING {
        let mut cluster = settled(liveness);
        let (mut here, mut there) = (4, 40);
        for move_no in 1..=6 {
            cluster.crash(here);
            cluster.start_named(there, "n4");
            cluster.run_until(SOON, Cluster::all_list_all);
            cluster.run(2 * SECOND);
            assert_eq!(cluster.replacements(1, here), 1, "in move {move_no}");
            cluster.events.clear();
            (here, there) = (there, here);
        }
    }
}

#[test]
fn the_last_beat_of_one_that_died_may_arrive_late_and_is_no_sign_of_life() {
    let mut cluster = settled(Liveness::Beats);
    let last = cluster.engine(4);
    let (id, counter) = (last.me().id(), last.list().counter(last.list().me()) as u8);
    cluster.crash(4);
    cluster.start_named(40, "n4");
    cluster.run_until(SOON, |cluster| cluster.list(1).contains(&40));
    // It was sent right before the end, was two hops under way, and says that it is fresh.
    let beat = Beat { id, counter: counter.wrapping_add(1), age: Age(0) };
    cluster.body(1, 2, Body::Bulk(Bulk { beats: vec![beat], news: Vec::new() }));
    cluster.run_until(SOON, Cluster::all_list_all);
    assert_eq!(cluster.replacements(1, 4), 1);
    assert_eq!(cluster.conflicts_told([1]), [0]);
}

#[test]
fn a_beat_that_is_later_than_the_restart_elsewhere_takes_nobodys_place() {
    let mut cluster = settled(Liveness::Beats);
    let last = cluster.engine(4);
    let (id, counter) = (last.me().id(), last.list().counter(last.list().me()) as u8);
    cluster.crash(4);
    // What the new one answers is under way for longer than three calls take.
    cluster.cuts.insert((1, 40));
    let generation = Generation::start(None, cluster.clock().wall);
    cluster.start_as(40, Arc::new(Record::new(node(40, "n4"), generation)), &[2]);
    cluster.run_until(SOON, |cluster| cluster.list(1).contains(&40));
    beats_come(&mut cluster, id, counter);
    assert_eq!(cluster.replacements(1, 40), 0, "it lives");
    cluster.cuts.clear();
    cluster.run(8 * SECOND);
    assert!(cluster.all_list_all(), "the former one had its timeout");
}

#[test]
fn a_beat_of_a_namesake_that_is_gone_again_takes_nobodys_place_either() {
    let mut cluster = settled(Liveness::Beats);
    // What the old one answers is under way for longer than three calls take.
    cluster.cuts.insert((1, 4));
    let generation = Generation::start(None, cluster.clock().wall);
    cluster.start_as(40, Arc::new(Record::new(node(40, "n4"), generation)), &[2]);
    cluster.run_until(SOON, |cluster| cluster.list(1).contains(&40));
    let last = cluster.engine(40);
    let (id, counter) = (last.me().id(), last.list().counter(last.list().me()) as u8);
    cluster.crash(40);
    beats_come(&mut cluster, id, counter);
    assert_eq!(cluster.replacements(1, 4), 0, "it lives");
}

/// Beats of one that is gone come to node 1 while it asks two namesakes, and then no more.
#[track_caller]
fn beats_come(cluster: &mut Cluster, id: RecordId, counter: u8) {
    for late in 1..=20 {
        cluster.run(Duration::from_millis(10));
        let beat = Beat { id, counter: counter.wrapping_add(late), age: Age(0) };
        cluster.body(1, 2, Body::Bulk(Bulk { beats: vec![beat], news: Vec::new() }));
    }
    cluster.run(SECOND);
}

#[test]
fn a_namesake_that_was_paused_while_another_came_is_told_of_by_all_when_it_is_back() {
    for liveness in JUDGING {
        let mut cluster = settled(liveness);
        cluster.asleep.insert(4);
        cluster.start_named(40, "n4");
        cluster.run(2 * SECOND);
        assert_eq!(cluster.replacements(1, 4), 1);
        assert_eq!(cluster.conflicts_told(1..=NODES), [0; 10]);
        cluster.asleep.remove(&4);
        cluster.run(20 * SECOND);
        // Both stay.
        cluster.assert_all_list_all();
        let told = cluster.conflicts_told((1..=NODES).chain([40]));
        assert_eq!(told, [1; 11], "{liveness:?}");
    }
}

#[test]
fn a_pair_of_which_one_was_gone_and_is_back_is_told_of_again() {
    for liveness in JUDGING {
        let mut cluster = settled(liveness);
        cluster.start_named(40, "n4");
        cluster.run(10 * SECOND);
        assert_eq!(cluster.conflicts_told(1..=NODES), [1; 10]);
        cluster.command(40, Command::Leave);
        cluster.run(SECOND);
        cluster.start_named(40, "n4");
        cluster.run(30 * SECOND);
        cluster.assert_all_list_all();
        let mut others = cluster.conflicts_told(1..=NODES);
        // What restarted knows nothing of before.
        assert_eq!(others.remove(3), 2, "the namesake itself");
        assert_eq!(others, [2; 9], "{liveness:?}");
    }
}

#[test]
fn a_pair_whose_members_both_live_is_told_of_once_whatever_they_change() {
    let mut cluster = settled(Liveness::Beats);
    cluster.start_named(40, "n4");
    for round in 0..10 {
        let changed = Node::new(addr(4).to_string()).name("n4").private_data(format!("v={round}"));
        cluster.command(4, Command::Update(changed.build().unwrap()));
        cluster.run(3 * SECOND);
    }
    cluster.assert_all_list_all();
    assert_eq!(cluster.conflicts_told((1..=NODES).chain([40])), [1; 11]);
}

#[test]
fn one_that_takes_the_name_of_another_is_told_of_each_time_by_all_and_itself() {
    let mut cluster = settled(Liveness::Beats);
    for name in ["n4", "n5", "n4"] {
        cluster.command(5, Command::Update(node(5, name)));
        cluster.run(3 * SECOND);
    }
    cluster.assert_all_list_all();
    assert_eq!(cluster.conflicts_told(1..=NODES), [2; 10]);
}

#[test]
fn a_namesake_that_one_node_cannot_reach_is_replaced_there_once_and_not_each_time_it_is_heard_of() {
    for liveness in JUDGING {
        let mut cluster = settled(liveness);
        cluster.cuts.insert((1, 4));
        cluster.start_named(40, "n4");
        cluster.run(60 * SECOND);
        assert_eq!(cluster.replacements(1, 4), 1, "{liveness:?}");
        assert!(cluster.list(1).contains(&4), "it lives, as the others say");
    }
}

#[test]
fn one_of_three_namesakes_that_is_silent_is_replaced_whoever_else_lives() {
    for liveness in JUDGING {
        let mut cluster = settled(liveness);
        cluster.start_named(40, "n4");
        cluster.run(3 * SECOND);
        for (gone, back) in [(4, 41), (41, 42), (42, 4)] {
            cluster.crash(gone);
            cluster.start_named(back, "n4");
            cluster.run_until(SOON, Cluster::all_list_all);
            cluster.run(SECOND);
        }
        assert_eq!(cluster.replacements(1, 40), 0);
    }
}

#[test]
fn namesakes_that_come_at_one_time_are_each_waited_for_and_none_that_lives_is_replaced() {
    for liveness in JUDGING {
        let mut cluster = settled(liveness);
        for moved in 1..=NODES {
            cluster.start_named(40 + moved, &format!("n{moved}"));
        }
        cluster.run(10 * SECOND);
        let replaced = |it: &&(_, u16, Event)| matches!(it.2, Event::Replaced { .. });
        assert_eq!(cluster.events.iter().filter(replaced).count(), 0, "{liveness:?}");
        cluster.assert_all_list_all();
    }
}

#[test]
fn a_name_that_all_have_costs_each_fewer_than_two_calls_for_each_of_the_others() {
    let mut cluster = Cluster::new(Config::default());
    for node in 1..=30 {
        cluster.start_named(node, "web");
    }
    cluster.run(5 * SECOND);
    cluster.assert_all_list_all();
    let of_kind = |kind| cluster.sent.get(&kind).copied().unwrap_or(0);
    let calls = of_kind(PacketKind::LastCall) + of_kind(PacketKind::Probe);
    assert!(calls < 30 * 29 * 2, "{calls} calls");
}

#[test]
fn a_namesake_is_called_three_times_soon_though_the_wait_for_an_answer_grows_meanwhile() {
    let mut cluster = Cluster::new(beating());
    cluster.start(1, &[]);
    let news = [4, 40].map(|at| {
        let generation = Generation::start(None, cluster.clock().wall);
        let record = Arc::new(Record::new(node(at, "n4"), generation));
        MembershipUpdate::Member(MemberState { record, counter: 1, age: Age(0) })
    });
    cluster.body(1, 4, Body::Bulk(Bulk { beats: Vec::new(), news: news.to_vec() }));
    cluster.engine(1).rtts_mut().sample(addr(9), SECOND);
    // And then once a cycle, but for no longer than a timeout.
    for (time, calls) in [(SECOND / 2, 3), (2 * SECOND, 5), (20 * SECOND, 8)] {
        cluster.run(time);
        for at in [4, 40] {
            let made = cluster.log.iter().filter(|it| **it == (addr(at), PacketKind::Probe));
            assert_eq!(made.count(), calls, "calls of node {at}");
        }
    }
}

#[test]
fn who_moved_and_is_far_away_is_waited_for_and_replaces_its_former_life() {
    for liveness in JUDGING {
        let mut cluster = settled(liveness);
        cluster.crash(4);
        // What the new one answers is under way for longer than three calls take.
        cluster.cuts.insert((1, 40));
        let generation = Generation::start(None, cluster.clock().wall);
        cluster.start_as(40, Arc::new(Record::new(node(40, "n4"), generation)), &[2]);
        cluster.run(SECOND);
        assert!([4, 40].iter().all(|at| cluster.list(1).contains(at)), "{:?}", cluster.list(1));
        cluster.cuts.clear();
        // It is called once a cycle.
        cluster.run_until(SECOND / 2, |cluster| !cluster.list(1).contains(&4));
        assert_eq!((cluster.replacements(1, 4), cluster.replacements(1, 40)), (1, 0));
    }
}

#[test]
fn an_answer_that_the_former_life_sent_before_it_died_takes_nobodys_place() {
    let mut cluster = settled(Liveness::Probes);
    cluster.crash(4);
    cluster.cuts.insert((1, 40));
    let generation = Generation::start(None, cluster.clock().wall);
    cluster.start_as(40, Arc::new(Record::new(node(40, "n4"), generation)), &[2]);
    cluster.run_until(SOON, |cluster| cluster.list(1).contains(&40));
    let now = cluster.clock();
    let (token, mut holds) = (cluster.engine(1).token_for(now, addr(4)), None);
    cluster.engine(1).with(now, |cx| holds = Some(cx.holds(WireVersion::LATEST)));
    let holds = holds.expect("it holds something");
    cluster.body(1, 4, Body::ProbeAnswer(ProbeAnswer { token, holds }));
    cluster.run(2 * SECOND);
    assert_eq!(cluster.replacements(1, 40), 0, "it lives");
}

#[test]
fn refutations_of_one_that_was_replaced_do_not_bring_it_back() {
    let mut cluster = settled(Liveness::Probes);
    let last = Arc::clone(cluster.engine(4).me());
    cluster.crash(4);
    cluster.start_named(40, "n4");
    cluster.run_until(SOON, Cluster::all_list_all);
    let copy = MemberState { record: last, counter: 6, age: Age(0) };
    let news = vec![MembershipUpdate::Member(copy)];
    cluster.body(1, 2, Body::Bulk(Bulk { beats: Vec::new(), news }));
    assert!(!cluster.list(1).contains(&4));
}

#[test]
fn pairs_that_are_waited_for_make_room_for_others() {
    let mut cluster = settled(Liveness::Probes);
    for moved in 0..70 {
        let pair = [1_000, 2_000].map(|far| {
            let generation = Generation::start(None, cluster.clock().wall);
            let node = node(far + moved, &format!("far-{moved}"));
            let record = Arc::new(Record::new(node, generation));
            MembershipUpdate::Member(MemberState { record, counter: 1, age: Age(0) })
        });
        cluster.body(1, 2, Body::Bulk(Bulk { beats: Vec::new(), news: pair.to_vec() }));
    }
    cluster.run(SECOND);
    cluster.crash(4);
    cluster.start_named(40, "n4");
    cluster.run_until(SOON, |cluster| cluster.replacements(1, 4) == 1);
}

#[test]
fn the_last_beat_of_one_that_was_replaced_does_not_bring_it_back_and_a_later_one_does() {
    let mut cluster = settled(Liveness::Beats);
    let last = cluster.engine(4);
    let (id, counter) = (last.me().id(), last.list().counter(last.list().me()) as u8);
    cluster.crash(4);
    cluster.start_named(40, "n4");
    cluster.run_until(SOON, Cluster::all_list_all);
    for (later, is_back) in [(1, false), (2, true)] {
        let beat = Beat { id, counter: counter.wrapping_add(later), age: Age(0) };
        cluster.body(1, 2, Body::Bulk(Bulk { beats: vec![beat], news: Vec::new() }));
        assert_eq!(cluster.list(1).contains(&4), is_back, "{later} later than what was known");
    }
}
