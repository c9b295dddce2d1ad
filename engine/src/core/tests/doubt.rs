//! A node that doubts itself, sentence by sentence.

use std::time::Duration;

use super::cluster::{Cluster, SECOND, addr, judging};
use super::probes::{counter, records};
use crate::config::{Config, Liveness};
use crate::core::packet::{Gone, MembershipUpdate};
use crate::core::{Cause, Command, Event, Input, PacketKind, Trouble};
use crate::rng::Probability;

const TIMEOUT: Duration = Duration::from_secs(5);
const JUDGING: [Liveness; 3] = [Liveness::Beats, Liveness::Probes, Liveness::Auto];

#[track_caller]
fn settled(nodes: u16, liveness: Liveness) -> Cluster {
    let mut cluster = Cluster::of(nodes, Config::builder().liveness(liveness).build().unwrap());
    cluster.run(10 * SECOND);
    cluster.events.clear();
    cluster.sent.clear();
    cluster
}

fn told(cluster: &Cluster, node: u16) -> Vec<Event> {
    let of_it = cluster.events.iter().filter(|it| it.1 == node);
    let about_itself = |event: &Event| {
        matches!(
            event,
            Event::Isolated | Event::Reunited(_) | Event::Degraded(_) | Event::Recovered
        )
    };
    of_it.map(|it| it.2.clone()).filter(about_itself).collect()
}

fn removals_by(cluster: &Cluster, node: u16) -> usize {
    let by_it = cluster.events.iter().filter(|it| it.1 == node);
    by_it.filter(|it| matches!(it.2, Event::Removed { .. })).count()
}

#[test]
fn the_deaf_keep_their_list_and_say_that_nobody_answers_until_somebody_does() {
    for liveness in JUDGING {
        let mut cluster = settled(12, liveness);
        cluster.deaf.insert(5);
        cluster.run(30 * SECOND);
        assert_eq!(removals_by(&cluster, 5), 0, "by {liveness}");
        assert_eq!(told(&cluster, 5).iter().filter(|it| **it == Event::Isolated).count(), 1);
        assert_eq!(cluster.list(5).len(), 12);
        cluster.deaf.clear();
        cluster.run(20 * SECOND);
        let reunited =
            |event: &Event| matches!(event, Event::Reunited(after) if *after > 25 * SECOND);
        assert_eq!(told(&cluster, 5).iter().filter(|it| reunited(it)).count(), 1, "{liveness}");
        assert_eq!(removals_by(&cluster, 5), 0, "by {liveness}");
        cluster.assert_all_list_all();
    }
}

#[test]
fn a_list_that_is_full_of_the_dead_makes_room_for_who_lives() {
    for liveness in JUDGING {
        let config = Config::builder().liveness(liveness).members_max(3).build().unwrap();
        let mut cluster = Cluster::of(3, config);
        cluster.run(10 * SECOND);
        [2, 3].into_iter().for_each(|dead| cluster.crash(dead));
        cluster.run(20 * SECOND);
        assert_eq!(cluster.list(1).len(), 3, "by {liveness}");
        assert!(told(&cluster, 1).contains(&Event::Isolated), "by {liveness}");
        cluster.start(4, &[1]);
        cluster.run_until(6 * TIMEOUT, |cluster| cluster.list(1) == [1, 4]);
    }
}

#[test]
fn who_keeps_its_list_alone_goes_on_at_the_pace_of_rest() {
    for liveness in JUDGING {
        let mut cluster = settled(40, liveness);
        for node in 2..=40 {
            cluster.crash(node);
        }
        cluster.run(4 * TIMEOUT);
        cluster.sent.clear();
        cluster.run(20 * TIMEOUT);
        let sent = |kind| cluster.sent.get(&kind).copied().unwrap_or(0);
        let (probes, calls) = (sent(PacketKind::Probe), sent(PacketKind::LastCall));
        // Each cycle one is asked three times and by stream, and the rest is swaps and dials.
        assert!(probes < 20 * 5 * 8 && calls == 0, "{probes} probes, {calls} calls by {liveness}");
        assert_eq!(cluster.list(1).len(), 40);
    }
}

#[test]
fn who_is_cut_off_for_long_finds_out_within_two_cycles_that_it_is_no_more() {
    for phase in 0..10 {
        let mut cluster = settled(12, Liveness::Probes);
        cluster.run(SECOND / 10 * phase);
        cluster.deaf.insert(5);
        cluster.run(30 * SECOND);
        cluster.deaf.clear();
        let is_reunited = |cluster: &mut Cluster| {
            told(cluster, 5).iter().any(|event| matches!(event, Event::Reunited(_)))
        };
        cluster.run_until(2 * SECOND, is_reunited);
    }
}

#[test]
fn a_node_that_judges_alone_is_alone() {
    for liveness in JUDGING {
        let mut cluster = Cluster::of(8, judging().liveness(liveness).build().unwrap());
        cluster.run(10 * SECOND);
        cluster.far_side = [3].into();
        cluster.run_until(4 * TIMEOUT, |cluster| cluster.list(3) == [3]);
        assert!(told(&cluster, 3).contains(&Event::Isolated), "by {liveness}");
    }
}

#[test]
fn half_a_cluster_is_not_isolated() {
    for liveness in JUDGING {
        let mut cluster = settled(12, liveness);
        cluster.far_side = (1..=6).collect();
        cluster.run_until(4 * TIMEOUT, |cluster| {
            cluster.list(1) == [1, 2, 3, 4, 5, 6] && cluster.list(12) == [7, 8, 9, 10, 11, 12]
        });
        assert!((1..=12).all(|node| !told(&cluster, node).contains(&Event::Isolated)));
    }
}

#[test]
fn who_reads_late_judges_nobody_and_says_so() {
    for liveness in JUDGING {
        let mut cluster = settled(12, liveness);
        cluster.crash(7);
        // One node hears each quarter of a second that what comes next has waited for a second.
        for _ in 0..80 {
            cluster.outputs_of(4, Input::Waited(SECOND));
            cluster.run(SECOND / 4);
        }
        // It may take the word of two.
        let removals = cluster.removals_of(7);
        let place = removals.iter().position(|it| it.0 == 4);
        assert!(removals.len() >= 10 && place.is_none_or(|place| place >= 2), "{removals:?}");
        assert_eq!(place.is_none(), liveness == Liveness::Beats, "by {liveness}");
        assert_eq!(told(&cluster, 4)[0], Event::Degraded(Trouble::Behind), "by {liveness}");
        cluster.run(2 * TIMEOUT);
        assert!(!cluster.engine(4).lists(addr(7)), "it has caught up, by {liveness}");
        assert_eq!(told(&cluster, 4).last(), Some(&Event::Recovered), "by {liveness}");
    }
}

#[test]
fn who_reads_late_asks_even_whom_two_have_removed() {
    for liveness in [Liveness::Probes, Liveness::Auto] {
        let mut cluster = settled(12, liveness);
        let generation = cluster.engine(7).me().generation();
        let counter = counter(&mut cluster, 4, 7);
        let gone = Gone { addr: addr(7), generation, counter, cause: Cause::Timeout };
        cluster.outputs_of(4, Input::Waited(SECOND));
        for by in [1, 2] {
            cluster.body(4, by, records(MembershipUpdate::from(gone)));
        }
        cluster.run(TIMEOUT);
        assert_eq!(cluster.removals_of(7), [], "it answers, by {liveness}");
    }
}

#[test]
fn who_reads_late_removes_the_dead_in_half_the_time_when_two_have() {
    for words in [1, 2] {
        let mut cluster = settled(12, Liveness::Auto);
        let generation = cluster.engine(7).me().generation();
        let counter = counter(&mut cluster, 4, 7);
        let gone = Gone { addr: addr(7), generation, counter, cause: Cause::Timeout };
        cluster.crash(7);
        cluster.outputs_of(4, Input::Waited(SECOND));
        for by in 1..=words {
            cluster.body(4, by, records(MembershipUpdate::from(gone)));
        }
        for _ in 0..10 {
            cluster.run(SECOND / 4);
            cluster.outputs_of(4, Input::Waited(SECOND));
        }
        assert_eq!(cluster.engine(4).lists(addr(7)), words == 1, "{words} have, 2.5 s ago");
    }
}

#[test]
fn nobody_doubts_itself_for_a_lost_packet_now_and_then() {
    for liveness in JUDGING {
        let mut cluster = settled(12, liveness);
        cluster.loss = Probability::from_ppb(50_000_000);
        cluster.run(100 * SECOND);
        for node in 1..=12 {
            assert_eq!(told(&cluster, node), [], "node {node} by {liveness}");
        }
    }
}

#[test]
fn who_was_stopped_while_it_was_isolated_says_when_somebody_answers_again() {
    for liveness in JUDGING {
        let mut cluster = settled(12, liveness);
        cluster.deaf.insert(5);
        cluster.run(20 * SECOND);
        cluster.command(5, Command::Stop);
        cluster.command(5, Command::Start);
        cluster.deaf.clear();
        cluster.run(10 * SECOND);
        let told = told(&cluster, 5);
        let reunited = |event: &Event| matches!(event, Event::Reunited(_));
        assert!(told.contains(&Event::Isolated), "by {liveness}: {told:?}");
        assert_eq!(told.iter().filter(|it| reunited(it)).count(), 1, "by {liveness}: {told:?}");
    }
}

#[test]
fn whoever_was_not_there_or_alone_was_not_left_unanswered() {
    for liveness in JUDGING {
        let mut cluster = settled(12, liveness);
        cluster.asleep.insert(4);
        cluster.run(8 * SECOND);
        cluster.asleep.clear();
        cluster.run(10 * SECOND);
        let mut young = Cluster::new(Config::builder().liveness(liveness).build().unwrap());
        young.start(1, &[]);
        young.run(4 * TIMEOUT);
        young.start(2, &[1]);
        young.run(2 * TIMEOUT);
        for (cluster, node) in [(&cluster, 4), (&young, 1)] {
            let told = told(cluster, node);
            assert!(!told.contains(&Event::Isolated), "{node} by {liveness}: {told:?}");
        }
    }
}

#[test]
fn whose_timers_come_late_says_so() {
    for liveness in JUDGING {
        let mut cluster = settled(12, liveness);
        for _ in 0..10 {
            cluster.asleep.insert(4);
            cluster.run(SECOND * 3 / 4);
            cluster.asleep.clear();
            cluster.run(SECOND / 4);
        }
        assert_eq!(
            told(&cluster, 4).first(),
            Some(&Event::Degraded(Trouble::Behind)),
            "{liveness}"
        );
    }
}
