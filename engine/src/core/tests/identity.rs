//! Which incarnation of a node counts: clocks that are wrong, numbers that are forged, tombstones
//! of those who live. Whatever is told of a node, it is on all lists in the end.

use std::sync::Arc;
use std::time::Duration;

use super::cluster::{Cluster, SECOND, addr, rumor};
use crate::config::{Config, Liveness};
use crate::core::beat::COUNTER_MAX;
use crate::core::packet::{
    Alive, Body, Bulk, Delta, Gone, Join, LastCall, MembershipUpdate, Padding, Subject, Suspicion,
};
use crate::core::{
    Age, AgeStep, Cause, Command, Event, MemberState, Output, Packet, PacketKind, Record,
};
use crate::node::{Generation, Node, NodeId};

/// From where forgeries come.
const ATTACKER: u16 = 6_666;
const NODES: u16 = 8;
const TIMEOUT: Duration = Duration::from_secs(5);
const ALL: [Liveness; 3] = [Liveness::Beats, Liveness::Probes, Liveness::Off];
const JUDGING: [Liveness; 2] = [Liveness::Beats, Liveness::Probes];

const YEAR: i64 = 365 * 24 * 3_600 * 1_000_000_000;

#[track_caller]
fn config(liveness: Liveness) -> Config {
    Config::builder().liveness(liveness).build().unwrap()
}

/// Nodes that have known each other for so long that none believes everybody any more.
#[track_caller]
fn settled(nodes: u16, liveness: Liveness) -> Cluster {
    let mut cluster = Cluster::of(nodes, config(liveness));
    cluster.run(8 * SECOND);
    cluster.events.clear();
    cluster.log.clear();
    cluster
}

#[track_caller]
fn generation(value: u64) -> Generation {
    Generation::new(value).unwrap()
}

/// So far below the largest generation there is.
fn below_max(by: u64) -> Generation {
    generation(Generation::MAX.get() - by)
}

fn sighting(node: u16, generation: Generation) -> MemberState {
    let record = Arc::new(Record::new(Node::at(addr(node)), generation));
    MemberState { record, counter: 1, age: Age(0) }
}

fn member(node: u16, generation: Generation) -> MembershipUpdate {
    MembershipUpdate::Member(sighting(node, generation))
}

fn gone(node: u16, generation: Generation, cause: Cause) -> MembershipUpdate {
    MembershipUpdate::from(Gone { addr: addr(node), generation, counter: 1, cause })
}

fn records(news: MembershipUpdate) -> Body {
    Body::Delta(Delta { news: vec![news] })
}

impl Cluster {
    /// The incarnation that a node is.
    #[track_caller]
    fn incarnation(&mut self, node: u16) -> Generation {
        self.engine(node).me().generation()
    }

    /// True when every node lists every node as the incarnation that it is.
    fn all_are_right(&mut self, nodes: u16) -> bool {
        (1..=nodes).all(|of| self.is_right_of(nodes, of))
    }

    /// True when every node lists this one as the incarnation that it is.
    #[track_caller]
    fn is_right_of(&mut self, nodes: u16, of: u16) -> bool {
        let me = Arc::clone(self.engine(of).me());
        (1..=nodes).all(|at| self.engine(at).members().any(|held| *held == me))
    }

    /// How often somebody told its service this.
    fn told(&self, is: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| is(&event.2)).count()
    }

    fn exhaustions(&self) -> usize {
        self.told(|event| matches!(event, Event::GenerationsExhausted(_)))
    }

    fn conflicts(&self) -> usize {
        self.told(|event| matches!(event, Event::AddressConflict(_)))
    }
}

/// Every way in which a node can be told of an incarnation of one.
#[track_caller]
fn told_of(cluster: &mut Cluster, node: u16, generation: Generation) -> Vec<Body> {
    let news = || member(node, generation);
    let bulk = Bulk { beats: Vec::new(), news: vec![news()] };
    let Body::SwapRequest(request) = cluster.swap_request(2, 1).body else {
        unreachable!("a request")
    };
    let me = sighting(node, generation);
    let suspicion = Suspicion {
        addr: addr(node),
        generation,
        counter: COUNTER_MAX,
        witnesses: vec![NodeId(7)],
    };
    vec![
        records(news()),
        Body::Bulk(bulk),
        rumor(Subject::Membership(news())),
        Body::Alive(Alive { token: 0, me: me.clone() }),
        Body::Join(Join { token: 7, me, summary: request.summary, padding: Padding(400) }),
        records(gone(node, generation, Cause::Left)),
        records(gone(node, generation, Cause::Timeout)),
        rumor(Subject::Membership(gone(node, generation, Cause::Left))),
        records(MembershipUpdate::from(suspicion)),
    ]
}

#[test]
fn no_generation_that_a_node_is_told_of_stops_it_or_keeps_it_off_a_list() {
    for liveness in ALL {
        let mut cluster = settled(3, liveness);
        for value in [Generation::MAX, below_max(1), Generation::CLOCK_MAX, Generation::MIN] {
            for body in told_of(&mut cluster, 1, value) {
                // Again when it may jump again.
                for _ in 0..2 {
                    cluster.body(1, ATTACKER, body.clone());
                    cluster.run(TIMEOUT + SECOND / 2);
                }
            }
        }
        cluster.run_until(2 * TIMEOUT, |cluster| cluster.all_are_right(3));
        assert_eq!(cluster.exhaustions(), 1, "it is told once");
    }
}

#[test]
fn a_change_of_name_finds_a_number_whatever_others_have_said() {
    let mut cluster = settled(3, Liveness::Beats);
    for value in [Generation::CLOCK_MAX, below_max(1 << 32 | 1), below_max(1), Generation::MAX] {
        cluster.body(1, ATTACKER, records(gone(1, value, Cause::Left)));
        cluster.run(TIMEOUT + SECOND);
    }
    let changed = Node::new(addr(1).to_string()).name("changed").build().unwrap();
    cluster.command(1, Command::Update(changed.clone()));
    assert_eq!(cluster.engine(1).me().node(), &changed);
    cluster.run_until(4 * SECOND, |cluster| cluster.all_are_right(3));
}

#[test]
fn at_the_largest_generation_a_node_goes_on_as_it_is_and_says_so_once() {
    for liveness in ALL {
        let mut cluster = settled(2, liveness);
        let last = Arc::new(Record::new(Node::at(addr(3)), Generation::MAX));
        cluster.start_as(3, Arc::clone(&last), &[1]);
        cluster.run_until(2 * SECOND, |cluster| cluster.all_are_right(3));
        let renamed = Node::new(addr(3).to_string()).name("renamed").build().unwrap();
        cluster.command(3, Command::Update(renamed));
        let me = cluster.engine(3).list().me();
        cluster.engine(3).list_mut().raise_counter(me, COUNTER_MAX - 1);
        for _ in 0..3 {
            cluster.body(3, ATTACKER, Body::LastCall(LastCall::default()));
            cluster.run(SECOND);
        }
        assert_eq!(cluster.engine(3).me(), &last);
        assert_eq!(cluster.engine(3).list().counter(me), COUNTER_MAX);
        assert_eq!(cluster.exhaustions(), 1);
        assert!(cluster.all_are_right(3));
    }
}

#[test]
fn a_forged_generation_from_the_future_replaces_nobody() {
    for liveness in ALL {
        let mut cluster = settled(NODES, liveness);
        for value in [Generation::MAX, below_max(1), generation(1 << 61)] {
            for body in told_of(&mut cluster, 3, value) {
                for node in (1..=NODES).filter(|&node| node != 3) {
                    cluster.body(node, ATTACKER, body.clone());
                    let mut members = cluster.engine(node).members();
                    let listed = members.find(|it| it.node().addr() == addr(3));
                    assert_ne!(listed.expect("a member").generation(), value, "by {body:?}");
                }
                cluster.run(SECOND / 4);
            }
        }
        cluster.run_until(2 * SECOND, |cluster| cluster.all_are_right(NODES));
        let removed = cluster.told(|event| matches!(event, Event::Removed { .. }));
        assert_eq!(removed, 0, "{liveness:?}");
    }
}

#[test]
fn what_is_not_believed_is_not_told_on() {
    let mut cluster = settled(NODES, Liveness::Beats);
    cluster.body(1, 2, rumor(Subject::Membership(member(3, Generation::MAX))));
    let answered = [(addr(3), PacketKind::LastCall), (addr(2), PacketKind::RumorAck)];
    assert_eq!(cluster.log, answered, "and to nobody else");
}

#[test]
fn a_node_does_not_tell_on_what_it_refutes() {
    for liveness in ALL {
        let me = settled(NODES, liveness).incarnation(1);
        for forged in [member(1, generation(me.get() + 1)), gone(1, me, Cause::Left)] {
            let mut cluster = settled(NODES, liveness);
            let (step, topic) = (AgeStep::of_timeout(TIMEOUT), Subject::Membership(forged));
            let packet = Packet::new(step, rumor(topic.clone()));
            let sent = cluster.outputs(1, 2, packet);
            let told = |it: &Subject| {
                let is = |output: &&Output| match output {
                    Output::Send { packet, .. } => {
                        matches!(&packet.body, Body::Rumor(rumor) if rumor.topic == *it)
                    }
                    Output::Event(_) | Output::Answer(_) | Output::Flush => false,
                };
                sent.iter().filter(is).count()
            };
            assert_eq!(told(&topic), 0);
            assert!(cluster.incarnation(1) > me && !sent.is_empty());
        }
    }
}

#[test]
fn what_is_ahead_is_judged_by_the_clock_of_the_cluster_where_ours_is_wrong() {
    for offset in [-57 * YEAR, 50 * YEAR] {
        let mut cluster = Cluster::of(NODES, config(Liveness::Beats));
        cluster.clocks.insert(1, offset);
        // Swap partners have told it what their clocks show.
        cluster.run(8 * SECOND);
        let mut asks_about = |value| {
            cluster.log.clear();
            cluster.body(1, 2, records(member(3, value)));
            cluster.log.contains(&(addr(3), PacketKind::LastCall))
        };
        assert!(asks_about(generation(1 << 61)));
        let restarted = Generation::start(None, cluster.clock().wall);
        cluster.body(1, 2, records(member(3, restarted)));
        let mut members = cluster.engine(1).members();
        assert!(members.any(|it| it.generation() == restarted), "it is believed at once");
    }
}

#[test]
fn an_owner_is_asked_four_times_a_cycle_however_many_claims_there_are() {
    let mut cluster = settled(NODES, Liveness::Beats);
    cluster.cuts.insert((1, 3));
    for _ in 0..1_000 {
        cluster.body(1, ATTACKER, records(member(3, Generation::MAX)));
        cluster.run(SECOND / 1_000);
    }
    let calls = cluster.log.iter().filter(|&&it| it == (addr(3), PacketKind::LastCall)).count();
    assert!((4..=5).contains(&calls), "{calls} calls in a second");
}

#[test]
fn a_copy_that_is_too_old_to_list_anybody_asks_nobody() {
    let mut cluster = with_clocks(Liveness::Beats, &[(4, 50 * YEAR)]);
    cluster.run(8 * SECOND);
    let mut asks = |value, age| {
        cluster.run(SECOND);
        cluster.log.clear();
        let copy = MemberState { age, ..sighting(4, value) };
        cluster.body(1, ATTACKER, records(MembershipUpdate::Member(copy)));
        cluster.log.contains(&(addr(4), PacketKind::LastCall))
    };
    for value in [Generation::MIN, Generation::MAX] {
        assert!(!asks(value, Age::TOO_OLD) && asks(value, Age(0)));
    }
}

/// Nodes of a cluster, the clocks of some of which are wrong by so much.
#[track_caller]
fn with_clocks(liveness: Liveness, clocks: &[(u16, i64)]) -> Cluster {
    let mut cluster = Cluster::new(config(liveness));
    cluster.clocks.extend(clocks.iter().copied());
    for node in 1..=NODES {
        cluster.start(node, &[1, 2]);
    }
    cluster.run_until(2 * SECOND, |cluster| cluster.all_are_right(NODES));
    cluster
}

#[test]
fn a_clock_that_is_wrong_keeps_nobody_off_a_list_and_no_restart_either() {
    let second = YEAR / 365 / 24 / 3_600;
    let offsets = [100 * YEAR, 50 * YEAR, -60 * YEAR, -57 * YEAR, 61 * second, -61 * second];
    for liveness in ALL {
        for offset in offsets {
            // One of several, the seed, and most of them.
            for wrong in [4..=4, 1..=1, 2..=NODES] {
                let clocks: Vec<_> = wrong.map(|node| (node, offset)).collect();
                let mut cluster = with_clocks(liveness, &clocks);
                for node in [4, 1, 5] {
                    cluster.crash(node);
                    cluster.run(2 * SECOND);
                    cluster.start(node, &[1, 2, 3]);
                    cluster.run_until(3 * SECOND, |cluster| cluster.all_are_right(NODES));
                }
            }
        }
    }
}

#[test]
fn an_update_of_a_node_whose_clock_runs_ahead_is_asked_for_by_each_once_or_twice() {
    for liveness in ALL {
        let mut cluster = with_clocks(liveness, &[(4, 50 * YEAR)]);
        cluster.run(8 * SECOND);
        cluster.log.clear();
        let changed = Node::new(addr(4).to_string()).private_data("v=2").build().unwrap();
        cluster.command(4, Command::Update(changed));
        cluster.run_until(SECOND, |cluster| cluster.all_are_right(NODES));
        cluster.run(2 * SECOND);
        let calls = cluster.log.iter().filter(|&&it| it == (addr(4), PacketKind::LastCall)).count();
        let others = usize::from(NODES) - 1;
        assert!((others..=2 * others).contains(&calls), "{liveness:?}: {calls} calls");
    }
}

/// How the others come to hold the largest generation of a node that is down.
#[derive(Clone, Copy, Debug)]
enum Poison {
    Listed,
    TimedOut,
    Left,
}

#[test]
fn a_node_whose_peers_hold_the_largest_generation_of_it_is_listed_when_it_starts_again() {
    for liveness in JUDGING {
        for poison in [Poison::Listed, Poison::TimedOut, Poison::Left] {
            for value in [Generation::MAX, below_max(1), Generation::CLOCK_MAX] {
                let mut cluster = settled(NODES, liveness);
                cluster.crash(4);
                cluster.run(3 * TIMEOUT);
                let mut tell_all = |news: MembershipUpdate| {
                    let others = (1..=NODES).filter(|&node| node != 4);
                    others.for_each(|node| cluster.body(node, ATTACKER, records(news.clone())));
                };
                tell_all(member(4, value));
                if let Poison::Left = poison {
                    tell_all(gone(4, value, Cause::Left));
                }
                assert_eq!(cluster.engine(1).lists(addr(4)), !matches!(poison, Poison::Left));
                if let Poison::TimedOut = poison {
                    cluster.run(3 * TIMEOUT);
                    assert!(!cluster.engine(1).lists(addr(4)));
                }
                cluster.start(4, &[1]);
                cluster.run_until(3 * SECOND, |cluster| cluster.all_are_right(NODES));
            }
        }
    }
}

#[test]
fn a_counter_that_was_forged_at_the_largest_generation_keeps_nobody_down() {
    for liveness in JUDGING {
        let mut cluster = settled(2, liveness);
        let last = Arc::new(Record::new(Node::at(addr(3)), Generation::MAX));
        cluster.start_as(3, Arc::clone(&last), &[1]);
        cluster.run(8 * SECOND);
        let forged = MemberState { record: last, counter: u32::MAX, age: Age(0) };
        for node in 1..=3 {
            cluster.body(node, ATTACKER, records(MembershipUpdate::Member(forged.clone())));
        }
        cluster.run(4 * TIMEOUT);
        cluster.run_until(2 * TIMEOUT, |cluster| cluster.all_are_right(3));
    }
}

#[test]
fn four_forged_generations_keep_a_node_down_for_no_more_than_four_timeouts() {
    for liveness in ALL {
        // Nobody is looked for in time: it must hear of it by the swaps and probes of its own.
        let slow = Config::builder().liveness(liveness).redial(600 * SECOND).build().unwrap();
        let mut cluster = Cluster::of(NODES, slow);
        cluster.run(8 * SECOND);
        for _ in 0..4 {
            let above = generation(cluster.incarnation(3).get() + 1);
            for node in 1..=NODES {
                cluster.body(node, ATTACKER, records(member(3, above)));
            }
            cluster.run(TIMEOUT + SECOND / 10);
        }
        let told = |node| {
            let conflict = |it: &&(_, u16, Event)| matches!(it.2, Event::AddressConflict(_));
            cluster.events.iter().filter(conflict).filter(|it| it.1 == node).count()
        };
        assert_eq!(told(3), 1, "{liveness:?}");
        // Who hears of both is told too.
        assert!((1..=NODES).all(|node| told(node) <= 1), "{liveness:?}");
        // Where everybody beats, what nobody beats for is gone after one.
        let timeouts = if liveness == Liveness::Beats { 1 } else { 4 };
        let limit = TIMEOUT * timeouts + 2 * SECOND;
        cluster.run_until(limit, |cluster| cluster.all_are_right(NODES));
    }
}

#[test]
fn a_node_that_jumps_says_so_to_all_at_once() {
    for liveness in ALL {
        let mut cluster = settled(30, liveness);
        let above = generation(cluster.incarnation(3).get() + 1);
        cluster.body(3, ATTACKER, records(member(3, above)));
        assert!(cluster.incarnation(3) > above);
        cluster.run_until(SECOND / 10, |cluster| cluster.is_right_of(30, 3));
    }
}

#[test]
fn a_conflict_that_has_been_quiet_for_four_timeouts_is_over() {
    let mut cluster = settled(NODES, Liveness::Beats);
    let forge = |cluster: &mut Cluster, times: u32| {
        for _ in 0..times {
            let above = generation(cluster.incarnation(3).get() + 1);
            cluster.body(3, ATTACKER, records(member(3, above)));
            cluster.run(TIMEOUT + SECOND / 10);
        }
        cluster.incarnation(3)
    };
    let before = forge(&mut cluster, 3);
    assert_eq!((forge(&mut cluster, 3), cluster.conflicts()), (before, 1), "it has given up");
    cluster.run(4 * TIMEOUT);
    assert!(forge(&mut cluster, 1) > before, "it jumps again");
    assert!(cluster.all_are_right(NODES));
}

#[test]
fn a_goodbye_for_an_address_that_nobody_held_keeps_nobody_off_a_list() {
    for liveness in ALL {
        for cause in [Cause::Left, Cause::Timeout] {
            let mut cluster = settled(NODES, liveness);
            for node in 1..=NODES {
                let news = gone(NODES + 1, Generation::MAX, cause);
                cluster.body(node, ATTACKER, records(news.clone()));
                cluster.body(node, ATTACKER, rumor(Subject::Membership(news)));
                assert_eq!(cluster.engine(node).list().tombstones_len(), 0);
            }
            cluster.start(NODES + 1, &[1]);
            cluster.run_until(SECOND, |cluster| cluster.all_are_right(NODES + 1));
        }
    }
}

#[test]
fn who_lives_comes_back_from_every_forged_goodbye_and_has_no_conflict() {
    for liveness in ALL {
        for clock in [0, -YEAR, 50 * YEAR] {
            let mut cluster = settled(NODES, liveness);
            cluster.clocks.insert(3, clock);
            // More of them than jumps that make a conflict, and one for every jump it may make.
            for round in 0..6 {
                let forged = gone(3, cluster.incarnation(3), Cause::Left);
                match round % 2 {
                    0 => cluster.body(1, ATTACKER, rumor(Subject::Membership(forged))),
                    _ => cluster.body(1, ATTACKER, records(forged)),
                }
                assert!(!cluster.engine(1).lists(addr(3)), "it is believed");
                // A swap of its own or of others, and for nodes that probe: one probe.
                cluster.run_until(5 * SECOND / 2, |cluster| cluster.all_are_right(NODES));
                cluster.run(TIMEOUT);
            }
            assert_eq!(cluster.conflicts(), 0);
        }
    }
}

#[test]
fn a_copy_that_comes_after_the_goodbye_of_one_never_held_lists_it_for_a_timeout_at_most() {
    for liveness in JUDGING {
        let mut cluster = settled(NODES, liveness);
        let value = cluster.incarnation(1);
        let news = |item| Body::Bulk(Bulk { beats: Vec::new(), news: vec![item] });
        for node in 1..=NODES {
            cluster.body(node, 2, news(gone(9, value, Cause::Left)));
        }
        cluster.body(1, 2, news(member(9, value)));
        assert!(cluster.engine(1).lists(addr(9)));
        cluster.run_until(2 * TIMEOUT, Cluster::all_list_all);
        cluster.run(4 * TIMEOUT);
        cluster.assert_all_list_all();
    }
}

/// How a node ended before it starts again with its clock set back.
#[derive(Clone, Copy, Debug)]
enum End {
    CrashedJustNow,
    Crashed,
    Left,
}

#[test]
fn a_node_that_starts_again_with_its_clock_set_back_is_listed_within_a_cycle() {
    for liveness in JUDGING {
        for end in [End::CrashedJustNow, End::Crashed, End::Left] {
            for back in [YEAR / 365 / 24, 60 * YEAR] {
                let mut cluster = settled(30, liveness);
                if let End::Left = end {
                    cluster.command(4, Command::Leave);
                }
                cluster.run(SECOND / 10);
                cluster.crash(4);
                if let End::Crashed = end {
                    cluster.run(4 * TIMEOUT);
                    assert!(!cluster.engine(1).lists(addr(4)));
                }
                cluster.clocks.insert(4, -back);
                cluster.start(4, &[1]);
                cluster.run_until(SECOND, |cluster| cluster.is_right_of(30, 4));
                cluster.run_until(SECOND, |cluster| cluster.all_are_right(30));
            }
        }
    }
}

#[test]
fn a_node_that_has_stopped_does_not_jump_before_it_starts() {
    for liveness in JUDGING {
        let mut cluster = settled(3, liveness);
        cluster.command(3, Command::Stop);
        let (before, above) =
            (cluster.incarnation(3), generation(cluster.incarnation(3).get() + 1));
        cluster.body(3, ATTACKER, records(gone(3, above, Cause::Left)));
        cluster.run(3 * TIMEOUT);
        assert_eq!(cluster.incarnation(3), before);
        assert!(!cluster.engine(1).lists(addr(3)));
        cluster.command(3, Command::Start);
        cluster.run_until(2 * SECOND, |cluster| cluster.all_are_right(3));
    }
}

#[test]
fn two_lives_with_one_generation_end_as_the_later_one() {
    for liveness in ALL {
        let mut cluster = settled(NODES, liveness);
        let life = |name: &str| {
            let node = Node::new(addr(9).to_string()).name(name).build().unwrap();
            Arc::new(Record::new(node, Generation::MIN))
        };
        cluster.start_as(9, life("earlier"), &[1]);
        cluster.run(2 * SECOND);
        cluster.crash(9);
        cluster.start_as(9, life("later"), &[1]);
        cluster.run_until(3 * SECOND, |cluster| {
            let me = Arc::clone(cluster.engine(9).me());
            me.node().name() == "later"
                && (1..=NODES).all(|node| cluster.engine(node).members().any(|it| *it == me))
        });
    }
}
