//! Whole runs of small plans.

mod faults;
mod intake;

use std::time::Duration;

use rumormill::config::{Isolation, TransportKind};
use rumormill::link::{Burst, Link, LinkChange, Loss, NetworkChange};
use rumormill::{Config, Node};

use super::testkit::{self, act, at_ms, percent};
use super::*;
use crate::results::summary::{Removals, RumorFigures, Summary};
use crate::scenario::plan::{ClockChange, Deed, Heal, Links, Manner, NodeNo, WayIn, Ways};

fn result(plan: &Plan) -> RunResult {
    let result = run(plan, &Options::default(), &mut |_| {});
    for invariant in &result.summary.invariants {
        assert!(invariant.ok, "{}: {:?}", invariant.name, invariant.detail);
    }
    result
}

fn summary(plan: &Plan) -> Summary {
    result(plan).summary
}

fn plan(nodes: u32, secs: u64) -> Plan {
    testkit::plan(nodes, Duration::from_secs(secs))
}

fn publish(plan: &mut Plan, ms: u64, node: NodeNo, data: &str) {
    act(plan, ms, "", Deed::Publish { node, data: data.as_bytes().into() });
}

/// Everything that a plan can do, in half a minute.
fn eventful() -> Plan {
    let mut plan = plan(12, 40);
    plan.network = Link {
        loss: percent(5).into(),
        duplicate: percent(5),
        reorder: percent(5),
        corrupt: percent(1),
        mtu: Some(1_300),
        ..testkit::lan()
    };
    publish(&mut plan, 1_000, 3, "one");
    act(&mut plan, 4_000, "split", Deed::Partition(vec![(0..6).collect(), (6..12).collect()]));
    publish(&mut plan, 5_000, 8, "two");
    publish(&mut plan, 6_000, 2, "three");
    act(&mut plan, 12_000, "", Deed::Heal(Heal::Label("split".into())));
    act(&mut plan, 13_000, "", Deed::Crash(vec![5]));
    act(&mut plan, 14_000, "", Deed::Stop(vec![4]));
    act(&mut plan, 15_000, "far", Deed::Isolate(vec![7]));
    let slow = LinkChange { loss: Some(percent(60).into()), ..LinkChange::default() };
    let links = Links::Between(vec![vec![0, 1], vec![2, 3]]);
    act(&mut plan, 16_000, "slow", Deed::Link { links, change: slow });
    let first = testkit::join(&mut plan, at_ms(17_000));
    let last = testkit::join(&mut plan, at_ms(17_500));
    act(&mut plan, 17_000, "", Deed::Join(first..last + 1));
    act(&mut plan, 22_000, "", Deed::Start(vec![4]));
    act(&mut plan, 23_000, "", Deed::Leave(vec![9]));
    let back = testkit::restart(&mut plan, 10, at_ms(26_000));
    let (nodes, manner) = (vec![10], Manner::Crash);
    act(&mut plan, 24_000, "", Deed::Restart { nodes, manner, comes_back: back..back + 1 });
    act(&mut plan, 27_000, "", Deed::Heal(Heal::All));
    publish(&mut plan, 28_000, 0, "four");
    plan
}

#[test]
fn a_cold_start_through_one_seed_converges_and_stays_so() {
    let result = result(&plan(20, 20));
    let summary = result.summary;
    assert!(summary.node_list.converged_after_ms.is_some_and(|after| after < 3_000.0));
    assert_eq!((summary.node_list.episodes.len(), summary.view_error.missing_max), (1, 380));
    assert_eq!((summary.removals.right, summary.removals.wrong), (0, 0));
    assert_eq!((summary.metadata.converged, summary.rumors.len()), (None, 0));
    assert_eq!((summary.nodes.start, summary.nodes.end), (20, 20));
    // Rows from zero to the end, and what they count adds up.
    let series = result.series;
    assert_eq!((series.len(), series[0].t_ms, series[200].t_ms), (201, 0.0, 20_000.0));
    assert_eq!(series.iter().map(|row| row.messages).sum::<u64>(), summary.messages.sent);
    assert_eq!(series.iter().map(|row| row.bytes).sum::<u64>(), summary.bytes.with_headers);
    assert_eq!(series.iter().map(|row| row.updates).sum::<u64>(), summary.updates);
}

#[test]
fn complete_lists_at_the_start_are_converged_at_once() {
    let mut plan = plan(20, 10);
    plan.incarnations.iter_mut().for_each(|incarnation| incarnation.way_in = WayIn::Full);
    let summary = summary(&plan);
    assert_eq!(summary.node_list.converged_after_max_ms, Some(0.0));
    assert_eq!(summary.view_error.missing_end + summary.view_error.ghosts_max, 0);
}

#[test]
fn runs_repeat_and_neither_bytes_nor_observation_change_them() {
    let plan = eventful();
    let text = |options| {
        let result = run(&plan, &options, &mut |_| {});
        let summary = serde_json::to_string(&result.summary).unwrap();
        format!("{summary} {:?} {:?} {:?}", result.series, result.rumor_rows, result.timeline)
    };
    let first = text(Options::default());
    assert_eq!(first, text(Options::default()));
    assert_eq!(first, text(Options { codec: Codec::RoundTrip, ..Options::default() }));
    let other = Plan { seed: 2, ..plan.clone() };
    assert_ne!(summary(&plan).trace_hash, summary(&other).trace_hash);
}

#[test]
fn an_eventful_run_ends_converged_and_counts_what_happened() {
    let result = result(&eventful());
    let summary = result.summary;
    assert!(summary.node_list.converged, "{:?}", summary.node_list);
    assert_eq!(summary.metadata.converged, Some(true));
    assert_eq!(summary.nodes.end, 12);
    let faults: Vec<_> = summary.faults.iter().map(|(kind, n)| (kind.as_str(), *n)).collect();
    let crash_to_loss = [("crash", 1), ("isolate", 1), ("join", 2), ("leave", 1), ("loss", 1)];
    assert_eq!(faults[..5], crash_to_loss);
    assert_eq!([faults[5], faults[7], faults[8]], [("partition", 1), ("restart", 1), ("stop", 1)]);
    assert!(faults[6].0 == "reorder" && faults[6].1 > 100, "{faults:?}");
    let windows: Vec<_> = result.fault_windows.iter().map(|w| (w.from_ms, w.to_ms)).collect();
    let split_to_slow = [(4e3, 12e3), (14e3, 22e3), (15e3, 27e3), (16e3, 27e3), (24e3, 26e3)];
    assert_eq!(windows, split_to_slow);
    assert_eq!(result.timeline.len(), 15);
    let causes: Vec<_> = summary.node_list.episodes.iter().map(|e| e.cause.as_str()).collect();
    let want = ["start", "partition", "heal", "crash", "stop", "isolate", "join", "start"];
    assert_eq!(causes[..8], want);
    assert_eq!(causes[8..], ["leave", "restart", "restart", "heal"]);
    let of = |kind: &str| summary.rumors.iter().filter(|rumor| rumor.kind == kind).count();
    assert_eq!([of("metadata"), of("join"), of("leave"), of("restart")], [4, 2, 1, 1]);
}

#[test]
fn a_partition_longer_than_the_timeout_is_cut_not_false_and_heals() {
    let mut plan = plan(10, 60);
    act(&mut plan, 10_000, "split", Deed::Partition(vec![(0..5).collect()]));
    publish(&mut plan, 20_000, 1, "a");
    publish(&mut plan, 21_000, 7, "b");
    act(&mut plan, 30_000, "", Deed::Heal(Heal::All));
    let summary = summary(&plan);
    let Removals { right, wrong, paused, cut, .. } = summary.removals;
    assert_eq!((right, wrong, paused, cut), (0, 0, 0, 50));
    let episodes = &summary.node_list.episodes;
    assert_eq!(episodes.len(), 3);
    assert!(episodes.iter().all(|episode| episode.converged_after_ms.is_some()), "{episodes:?}");
    assert_eq!(summary.view_error.missing_max.max(summary.view_error.ghosts_max), 90);
    assert_eq!(summary.metadata.converged, Some(true));
    let [a, b] = ["metadata-0", "metadata-1"].map(|id| rumor(&summary, id));
    assert_eq!((a.coverage, b.coverage, a.excluded), (Some(1.0), Some(1.0), 0));
    // The other side held the newer one before it could hear of the older.
    assert!(a.t50_ms < Some(100.0) && (1_000.0..1_100.0).contains(&a.t100_ms.unwrap()));
    assert!(b.t50_ms < Some(100.0) && b.t100_ms > Some(9_000.0));
    assert_eq!(
        (a.superseded_by.as_deref(), b.superseded_by.as_deref()),
        (Some("metadata-1"), None)
    );
}

#[test]
fn a_cut_that_is_lifted_and_laid_at_one_instant_opens_no_episode() {
    let mut plan = plan(10, 60);
    let halves = || Deed::Partition(vec![(0..5).collect()]);
    publish(&mut plan, 5_000, 1, "a");
    act(&mut plan, 10_000, "one", halves());
    act(&mut plan, 20_000, "", Deed::Heal(Heal::Label("one".into())));
    act(&mut plan, 20_000, "other", halves());
    // With a crash at the same instant, that is the cause.
    act(&mut plan, 30_000, "", Deed::Heal(Heal::Label("other".into())));
    act(&mut plan, 30_000, "last", halves());
    act(&mut plan, 30_000, "", Deed::Crash(vec![3]));
    act(&mut plan, 40_000, "", Deed::Heal(Heal::All));
    let figures = summary(&plan).node_list;
    let opened: Vec<_> = figures.episodes.iter().map(|e| (e.cause.as_str(), e.at_ms)).collect();
    assert_eq!(opened, [("start", 0.0), ("partition", 10e3), ("crash", 30e3), ("heal", 40e3)]);
    assert!(figures.converged_after_max_ms.is_some(), "{:?}", figures.episodes);
}

#[test]
fn what_happens_at_the_very_end_opens_no_episode_of_no_length() {
    let mut plan = plan(10, 60);
    publish(&mut plan, 5_000, 1, "a");
    act(&mut plan, 60_000, "", Deed::Partition(vec![(0..5).collect()]));
    act(&mut plan, 60_000, "", Deed::Crash(vec![3]));
    let Summary { node_list, metadata, nodes, .. } = summary(&plan);
    assert_eq!((node_list.episodes.len(), node_list.converged), (1, true));
    assert!(metadata.converged_after_ms < Some(1e3), "{metadata:?}");
    assert_eq!(nodes.end, 9);
    // So near to the last change that it would be one with it.
    act(&mut plan, 59_500, "", Deed::Stop(vec![7]));
    plan.actions.sort_by_key(|action| action.at);
    let episodes = summary(&plan).node_list.episodes;
    let last = episodes.last().map(|last| (last.cause.as_str(), last.last_change_ms, last.end_ms));
    assert_eq!((episodes.len(), last), (2, Some(("stop", 59_500.0, 60_000.0))));
}

#[test]
fn who_is_removed_for_its_name_was_no_timeout() {
    let mut plan = plan(10, 60);
    let back = testkit::restart(&mut plan, 3, at_ms(21_000));
    plan.incarnations[back].public = Node::new("10.9.9.9:7000").name("n3").build().unwrap();
    let (nodes, manner) = (vec![3], Manner::Crash);
    act(&mut plan, 20_000, "", Deed::Restart { nodes, manner, comes_back: back..back + 1 });
    let Removals { right, wrong, replaced, .. } = summary(&plan).removals;
    // By the nine others, and by the one that is back and was told of what it was before.
    assert_eq!((right, wrong, replaced), (0, 0, 10));
}

#[test]
fn what_a_leaver_still_holds_is_held_against_nobody() {
    let mut plan = plan(2, 62);
    let timeout = Duration::from_millis(800);
    let config = Config::builder().cycle(Duration::from_millis(200)).timeout(timeout);
    testkit::configure(&mut plan, config.build().unwrap());
    // Longer than tombstones are kept, and nobody is told of what the two hear of each other.
    // Just before all are weighed.
    act(&mut plan, 21_880, "", Deed::Leave(vec![0, 1]));
    summary(&plan);
}

fn rumor<'a>(summary: &'a Summary, id: &str) -> &'a RumorFigures {
    summary.rumors.iter().find(|rumor| rumor.id == id).expect("the rumor")
}

#[test]
fn a_crash_is_detected_by_all_about_a_timeout_later() {
    let mut plan = plan(10, 30);
    act(&mut plan, 10_000, "", Deed::Crash(vec![3]));
    let summary = summary(&plan);
    let (first, all) = (summary.detection.first_ms.unwrap(), summary.detection.all_ms.unwrap());
    assert!(first <= all && (3_000.0..6_500.0).contains(&all), "{first} {all}");
    assert_eq!((summary.removals.right, summary.removals.wrong), (9, 0));
    let removal = rumor(&summary, "removal-0");
    assert_eq!((removal.node, removal.coverage, removal.excluded), (3, Some(1.0), 0));
    assert_eq!(summary.nodes.end, 9);
    assert!(summary.messages.to_dead > 0);
    assert_eq!((summary.peaks.members, summary.peaks.tombstones), (10, 1), "of one list");
}

#[test]
fn a_stopped_node_is_removed_and_listed_again_when_it_starts() {
    let mut plan = plan(10, 40);
    act(&mut plan, 10_000, "", Deed::Stop(vec![3]));
    act(&mut plan, 25_000, "", Deed::Start(vec![3]));
    let summary = summary(&plan);
    assert_eq!((summary.removals.right, summary.removals.wrong), (9, 0));
    assert!(summary.node_list.converged_after_max_ms.is_some(), "{:?}", summary.node_list);
}

#[test]
fn a_goodbye_spreads_as_a_rumor_with_hops_from_the_leaver() {
    let mut plan = plan(30, 20);
    for (number, at_ms) in [(3, 10_000), (4, 12_000), (5, 14_000), (6, 16_000)] {
        act(&mut plan, at_ms, "", Deed::Leave(vec![number]));
    }
    let result = result(&plan);
    let leave = rumor(&result.summary, "leave-0");
    // Later leavers were not there to the end.
    assert_eq!((leave.coverage, leave.excluded, leave.swap_first), (Some(1.0), 4, 0));
    // An acknowledgement may take longer than those before it, and then one is told once more.
    let more = |left: u64| rumor(&result.summary, &format!("leave-{left}")).messages - (29 - left);
    assert_eq!((0..4).map(more).min(), Some(0), "each is told once");
    assert!(leave.node_messages_max <= 4 && leave.t100_ms < Some(100.0));
    let rows: Vec<_> = result.rumor_rows.iter().filter(|row| row.rumor == "leave-0").collect();
    assert_eq!((rows.len(), rows[0].node, rows[0].hop, rows[0].via), (30, 3, 0, "source"));
    for row in &rows[1..] {
        let sender = rows.iter().find(|other| Some(other.node) == row.from).unwrap();
        assert_eq!((row.hop, row.via), (sender.hop + 1, "rumor"));
        let sent = row.sent_ms.unwrap();
        assert!(sent >= sender.first_ms && (1.0..=10.0).contains(&(row.first_ms - sent)));
    }
    let last = rows.iter().map(|row| row.first_ms - 10_000.0).fold(0.0, f64::max);
    assert!((leave.t100_ms.unwrap() - last).abs() < 1e-6);
}

#[test]
fn a_publish_is_timed_by_rank_over_those_who_were_there_all_the_while() {
    let mut plan = plan(30, 20);
    publish(&mut plan, 10_000, 3, "x");
    act(&mut plan, 10_000, "", Deed::Crash(vec![29]));
    let newcomer = testkit::join(&mut plan, at_ms(12_000));
    act(&mut plan, 12_000, "", Deed::Join(newcomer..newcomer + 1));
    let result = result(&plan);
    let figures = rumor(&result.summary, "metadata-0");
    assert_eq!((figures.coverage, figures.excluded), (Some(1.0), 2));
    let rows = result.rumor_rows.iter().filter(|row| row.rumor == "metadata-0" && row.node < 29);
    let mut delays: Vec<_> = rows.map(|row| row.first_ms - 10_000.0).collect();
    delays.sort_by(f64::total_cmp);
    assert_eq!(delays.len(), 29);
    let got = [figures.t50_ms, figures.t90_ms, figures.t99_ms, figures.t100_ms];
    for (got, rank) in got.into_iter().zip([14, 26, 28, 28]) {
        assert!((got.unwrap() - delays[rank]).abs() < 1e-6, "{got:?} {}", delays[rank]);
    }
    let metadata = &result.summary.metadata;
    assert_eq!(got, [metadata.t50_ms, metadata.t90_ms, metadata.t99_ms, metadata.t100_ms]);
}

#[test]
fn a_value_that_exceeds_a_datagram_is_fetched_by_stream_once_by_each() {
    let mut plan = plan(20, 20);
    publish(&mut plan, 10_000, 3, &"large".repeat(100_000));
    let result = result(&plan);
    let figures = rumor(&result.summary, "metadata-0");
    assert_eq!((figures.coverage, figures.swap_first), (Some(1.0), 0));
    assert_eq!(figures.messages, 2 * 19, "each is told and sent the value");
    let rows: Vec<_> = result.rumor_rows.iter().filter(|row| row.rumor == "metadata-0").collect();
    assert_eq!(rows.len(), 20);
    for row in &rows[1..] {
        let sender = rows.iter().find(|other| Some(other.node) == row.from).unwrap();
        assert_eq!((row.hop, row.via), (sender.hop + 1, "stream"));
        // A round trip and the latency of one way, each way between 1 and 10 ms.
        assert!((3.0..=30.0).contains(&(row.first_ms - row.sent_ms.unwrap())));
    }
    let bytes = Options { codec: Codec::RoundTrip, ..Options::default() };
    let again = run(&plan, &bytes, &mut |_| {});
    assert_eq!(again.summary.trace_hash, result.summary.trace_hash);
}

#[test]
fn by_stream_only_no_loss_is_felt_and_every_law_holds() {
    let mut plan = eventful();
    testkit::configure(&mut plan, Config::builder().protocol(TransportKind::Tcp).build().unwrap());
    publish(&mut plan, 30_000, 0, &"large".repeat(1_000));
    let summary = summary(&plan);
    let messages = summary.messages;
    assert_eq!((messages.lost, messages.corrupted, messages.oversize), (0, 0, 0));
    assert!(messages.cut > 0 && messages.to_dead > 0);
    assert_eq!(summary.metadata.converged, Some(true));
}

#[test]
fn a_limit_on_rows_leaves_out_and_says_how_many() {
    let mut plan = plan(10, 12);
    publish(&mut plan, 10_000, 3, "x");
    plan.rumor_rows_max = 4;
    let result = result(&plan);
    assert_eq!((result.rumor_rows.len(), result.rumor_rows_left_out), (4, 6));
}

#[test]
fn what_is_too_large_or_comes_from_a_dead_node_is_not_published() {
    let mut plan = plan(3, 5);
    testkit::configure(&mut plan, Config::builder().metadata_len_max(3).build().unwrap());
    act(&mut plan, 1_000, "", Deed::Crash(vec![2]));
    publish(&mut plan, 2_000, 1, "long");
    publish(&mut plan, 3_000, 2, "x");
    let result = result(&plan);
    assert_eq!(result.summary.metadata.converged, None);
    let (_, line) = &result.timeline[2];
    assert!(line.contains("node 1 can't publish: the metadata has 4 bytes"), "{line}");
}

#[test]
fn progress_is_told_at_every_sample() {
    let mut times = Vec::new();
    run(&plan(3, 1), &Options::default(), &mut |at| times.push(at));
    assert_eq!((times.len(), times[0], times[10]), (11, Instant::ZERO, at_ms(1_000)));
}

fn nothing_passes(links: Links) -> Deed {
    let change = LinkChange { loss: Some(Loss::ALL), ..LinkChange::default() };
    Deed::Link { links, change }
}

#[test]
fn a_short_pause_costs_nobody_his_place_and_what_waited_is_read() {
    let mut plan = plan(10, 30);
    publish(&mut plan, 11_000, 3, "x");
    act(&mut plan, 10_000, "", Deed::Pause(vec![7]));
    act(&mut plan, 13_000, "", Deed::Resume(vec![7]));
    plan.actions.sort_by_key(|action| action.at);
    let summary = summary(&plan);
    let Removals { right, wrong, paused, cut, .. } = summary.removals;
    assert_eq!((right, wrong, paused, cut), (0, 0, 0, 0));
    assert_eq!((summary.faults["pause"], summary.messages.overflow), (1, 0));
    let rumor = rumor(&summary, "metadata-0");
    assert_eq!((rumor.coverage, rumor.excluded), (Some(1.0), 0), "a paused node counts as live");
    assert!((2_000.0..2_100.0).contains(&rumor.t100_ms.unwrap()), "{rumor:?}");
}

#[test]
fn a_long_pause_is_no_death_but_a_removal_of_its_own_kind_and_ends_without_a_mistake() {
    let mut plan = plan(10, 60);
    act(&mut plan, 10_000, "", Deed::Pause(vec![7]));
    act(&mut plan, 25_000, "", Deed::Resume(vec![7]));
    let result = result(&plan);
    let summary = result.summary;
    let Removals { right, wrong, paused, cut, .. } = summary.removals;
    assert_eq!((right, wrong, paused, cut), (0, 0, 9, 0));
    assert_eq!(summary.node_list.episodes.len(), 1, "the truth never changed");
    assert!(summary.node_list.converged && summary.view_error.missing_max >= 9);
    let window = &result.fault_windows[0];
    assert_eq!((window.from_ms, window.to_ms), (10_000.0, 25_000.0));
}

#[test]
fn a_pause_is_over_when_all_whom_it_struck_have_gone_on_or_died() {
    let mut plan = plan(10, 20);
    act(&mut plan, 5_000, "", Deed::Pause(vec![7, 8]));
    act(&mut plan, 6_000, "", Deed::Resume(vec![7]));
    act(&mut plan, 7_000, "", Deed::Crash(vec![8]));
    let window = &result(&plan).fault_windows[0];
    assert_eq!((window.from_ms, window.to_ms), (5_000.0, 7_000.0));
}

#[test]
fn a_full_socket_drops_what_comes_and_a_death_in_sleep_drops_the_rest() {
    let mut plan = plan(10, 30);
    testkit::configure(&mut plan, Config::builder().buffer(5).build().unwrap());
    act(&mut plan, 10_000, "", Deed::Pause(vec![7, 8, 9]));
    act(&mut plan, 12_000, "", Deed::Crash(vec![8]));
    act(&mut plan, 13_000, "", Deed::Resume(vec![7]));
    let summary = summary(&plan);
    assert!(summary.messages.overflow > 20, "{:?}", summary.messages);
    assert!(summary.messages.in_flight >= 5, "what waits for node 9 at the end");
    assert_eq!((summary.nodes.end, summary.removals.paused), (9, 8));
}

#[test]
fn a_paused_process_does_not_do_as_it_is_told() {
    let mut plan = plan(5, 20);
    act(&mut plan, 10_000, "", Deed::Pause(vec![3]));
    publish(&mut plan, 10_500, 3, "x");
    act(&mut plan, 11_000, "", Deed::Leave(vec![3]));
    act(&mut plan, 11_000, "", Deed::Stop(vec![3]));
    act(&mut plan, 12_000, "", Deed::Resume(vec![3]));
    let result = result(&plan);
    assert_eq!((result.summary.nodes.end, result.summary.metadata.converged), (5, None));
    let (_, line) = &result.timeline[2];
    assert_eq!(line, "node 3 can't publish: its process is paused");
}

#[test]
fn whom_nobody_hears_is_removed_and_gives_up_the_others_without_a_mistake() {
    let mut plan = plan(10, 60);
    let judges = Config::builder().isolation(Isolation::Judge).build().expect("valid settings");
    testkit::configure(&mut plan, judges);
    let from_it = Links::OneWay { from: vec![3], to: (0..10).collect() };
    act(&mut plan, 10_000, "mute", nothing_passes(from_it));
    act(&mut plan, 30_000, "", Deed::Heal(Heal::Label("mute".into())));
    let summary = summary(&plan);
    let Removals { right, wrong, paused, cut, .. } = summary.removals;
    assert_eq!((right, wrong, paused), (0, 0, 0));
    // The others dial it again and again, it lists who does, and hears no more of them.
    assert!(cut >= 18, "{cut}");
    assert!(summary.node_list.converged, "{:?}", summary.node_list);
}

#[test]
fn over_a_bridge_news_goes_both_ways_and_nobody_is_removed() {
    let mut plan = plan(12, 60);
    let apart = Links::Between(vec![(0..4).collect(), (8..12).collect()]);
    act(&mut plan, 10_000, "bridge", nothing_passes(apart));
    publish(&mut plan, 30_000, 1, "from a");
    let summary = summary(&plan);
    let Removals { right, wrong, paused, cut, .. } = summary.removals;
    assert_eq!((right, wrong, paused, cut), (0, 0, 0, 0));
    assert_eq!(rumor(&summary, "metadata-0").coverage, Some(1.0));
    assert!(summary.messages.cut > 0 && summary.node_list.episodes.len() == 1);
}

#[test]
fn bursts_are_counted_and_lose_only_where_they_are() {
    let mut plan = plan(10, 30);
    let burst = Burst { enter: percent(5), leave: percent(20), loss: percent(100) };
    let change = LinkChange { loss: Some(Loss::Bursts(burst)), ..LinkChange::default() };
    let links = Links::OneWay { from: vec![0], to: (1..10).collect() };
    act(&mut plan, 10_000, "", Deed::Link { links, change });
    let summary = summary(&plan);
    assert!(summary.faults["burst"] > 0 && summary.faults["loss"] == 1);
    assert!(summary.messages.lost > summary.faults["burst"], "{:?}", summary.faults);
}

#[test]
fn clocks_that_are_wrong_or_jump_keep_nobody_from_agreeing() {
    let mut plan = plan(10, 90);
    let seconds = |secs: i64| secs * 1_000_000_000;
    plan.clocks = vec![(vec![1, 2], ClockChange::Offset { nanos: seconds(-20) })];
    publish(&mut plan, 10_000, 3, "right");
    publish(&mut plan, 12_000, 1, "behind");
    for (ms, node, change) in [
        (20_000, 5, ClockChange::Jump { nanos: seconds(86_400) }),
        (30_000, 6, ClockChange::Jump { nanos: seconds(-3_600) }),
        (40_000, 7, ClockChange::Drift { ppb: 50_000_000 }),
    ] {
        act(&mut plan, ms, "", Deed::Clock { nodes: vec![node], change });
    }
    publish(&mut plan, 50_000, 5, "a day ahead");
    publish(&mut plan, 60_000, 6, "an hour behind");
    let last = testkit::restart(&mut plan, 6, at_ms(66_000));
    let (nodes, manner, comes_back) = (vec![6], Manner::Crash, last..last + 1);
    act(&mut plan, 65_000, "", Deed::Restart { nodes, manner, comes_back });
    let summary = summary(&plan);
    assert_eq!((summary.metadata.converged, summary.node_list.converged), (Some(true), true));
    assert_eq!((summary.faults["clock"], summary.nodes.end), (3, 10));
    assert_eq!(rumor(&summary, "metadata-3").coverage, Some(1.0));
}

#[test]
fn all_that_two_nodes_say_goes_over_the_link_between_them() {
    let mut plan = plan(2, 20);
    let change = LinkChange { jitter: Some(Duration::from_millis(9)), ..LinkChange::default() };
    let (from, to, ways) = (vec![0], vec![1], Ways::Both);
    plan.links = vec![NetworkChange::Links { from, to, ways, change }];
    act(&mut plan, 10_000, "", Deed::Heal(Heal::All));
    let summary = summary(&plan);
    assert_eq!(summary.links.messages, Some(summary.messages.sent));
    assert_eq!(summary.links.bytes, Some(summary.bytes.with_headers));
    assert_eq!(self::summary(&self::plan(2, 20)).links.bytes, None);
}

#[test]
fn each_node_judges_silence_by_its_own_timeout() {
    let mut plan = plan(6, 40);
    testkit::beat(&mut plan);
    let slow = testkit::beating().timeout(Duration::from_secs(12)).build().unwrap();
    plan.incarnations[5].config = std::sync::Arc::new(slow);
    act(&mut plan, 10_000, "", Deed::Crash(vec![3]));
    let summary = summary(&plan);
    let (first, all) = (summary.detection.first_ms.unwrap(), summary.detection.all_ms.unwrap());
    assert!((3_900.0..6_000.0).contains(&first) && (10_500.0..13_000.0).contains(&all));
    assert_eq!((summary.removals.right, summary.removals.wrong), (5, 0));
}
