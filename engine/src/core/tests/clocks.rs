//! Wall clocks that are wrong: no value is lost by them, and none is kept by them.

use std::time::Duration;

use proptest::prelude::*;

use super::cluster::{Cluster, SECOND, place, rumor};
use crate::config::Config;
use crate::core::packet::{Body, Subject};
use crate::core::{Event, Metadata, Value, Version};
use crate::node::NodeId;
use crate::time::UnixNanos;

const HOUR: i64 = 3_600_000_000_000;
const YEAR: i64 = 365 * 24 * HOUR;

/// A value whose version has this time.
#[track_caller]
fn metadata(data: &[u8], nanos: i64) -> Metadata {
    let value = Value::new(data, &Config::default()).unwrap();
    Metadata::publish(value, None, NodeId(1), UnixNanos(nanos)).unwrap()
}

/// A rumor of a value that lies this far ahead.
fn ahead(cluster: &Cluster, data: &[u8], by: Duration) -> Body {
    let nanos = cluster.clock().wall.saturating_add(by).0;
    rumor(Subject::Metadata(metadata(data, nanos)))
}

#[track_caller]
fn version(cluster: &mut Cluster, node: u16) -> Version {
    cluster.engine(node).metadata().expect("it holds something").version()
}

/// What a node was told of versions.
fn told(cluster: &Cluster, node: u16) -> Vec<Event> {
    let is_told = |event: &Event| {
        matches!(
            event,
            Event::VersionAhead { .. } | Event::VersionsExhausted(_) | Event::Superseded { .. }
        )
    };
    let events = cluster.events.iter().filter(|(_, at, event)| *at == node && is_told(event));
    events.map(|(_, _, event)| event.clone()).collect()
}

/// How often a value was published at a node or came there.
fn changes(cluster: &Cluster, node: u16) -> usize {
    let is_change = |event: &Event| matches!(event, Event::Published(_));
    cluster.events.iter().filter(|(_, at, event)| *at == node && is_change(event)).count()
}

#[test]
fn a_version_from_the_future_is_taken_of_a_member_told_once_and_refused_of_a_stranger() {
    let mut cluster = Cluster::of(5, Config::default());
    let (stranger, by) = (9, 61 * SECOND);
    let future = ahead(&cluster, b"future", by);
    cluster.body(1, stranger, future);
    cluster.run(SECOND);
    assert_eq!(cluster.engine(1).stats().versions_refused, 1);
    assert!((1..=5).all(|node| cluster.data(node).is_none()), "nor was it passed on");
    let present = ahead(&cluster, b"present", by - 2 * SECOND);
    cluster.body(1, stranger, present);
    assert_eq!(cluster.data(1).unwrap(), b"present", "it is no further ahead than clocks may be");
    let future = ahead(&cluster, b"future", by);
    cluster.body(1, 2, future);
    assert_eq!(cluster.data(1).unwrap(), b"future");
    cluster.run_until(5 * SECOND, |cluster| cluster.all_hold(b"future"));
    let held = version(&mut cluster, 1);
    let [Event::VersionAhead { version, by: told_by }] = told(&cluster, 1)[..] else {
        panic!("told once: {:?}", told(&cluster, 1))
    };
    assert_eq!((version, told_by.as_secs()), (held, by.as_secs()));
    assert_eq!(cluster.engine(1).stats().versions_ahead, 1);
}

#[test]
fn whoever_has_seen_a_version_from_the_future_replaces_it() {
    let mut cluster = Cluster::of(5, Config::default());
    let future = ahead(&cluster, b"future", Duration::from_nanos(YEAR as u64));
    cluster.body(1, 2, future);
    cluster.run_until(3 * SECOND, |cluster| cluster.all_hold(b"future"));
    let before = version(&mut cluster, 4);
    cluster.publish(4, b"present");
    assert_eq!(version(&mut cluster, 4).nanos, before.nanos + 1);
    cluster.run_until(3 * SECOND, |cluster| cluster.all_hold(b"present"));
}

#[test]
fn a_newcomer_that_publishes_above_a_version_from_the_future_is_heard() {
    let mut cluster = Cluster::of(10, Config::default());
    let future = ahead(&cluster, b"future", Duration::from_nanos(YEAR as u64));
    cluster.body(1, 2, future);
    cluster.run_until(3 * SECOND, |cluster| cluster.all_hold(b"future"));
    cluster.run(5 * SECOND);
    cluster.start(11, &[1]);
    cluster.run_until(SECOND, |cluster| cluster.all_hold(b"future"));
    cluster.publish(11, b"present");
    cluster.run_until(3 * SECOND, |cluster| cluster.all_hold(b"present"));
}

#[test]
fn the_clock_of_who_is_no_member_any_more_does_not_count() {
    let mut cluster = Cluster::new(Config::default());
    for node in 1..=4 {
        let is_ahead = node >= 3;
        cluster.clocks.insert(node, if is_ahead { YEAR } else { 0 });
        cluster.start(node, &[1]);
    }
    cluster.run(5 * SECOND);
    cluster.crash(1);
    cluster.crash(2);
    cluster.run(10 * SECOND);
    cluster.publish(3, b"by those who are left");
    let off = version(&mut cluster, 3).nanos.abs_diff(cluster.clock().wall.0 + YEAR);
    assert!(off < 1_000_000_000, "{off} ns");
}

#[test]
fn a_clock_that_is_wrong_publishes_at_the_time_of_the_cluster() {
    for offset in [YEAR, HOUR, -HOUR, -50 * YEAR] {
        let mut cluster = Cluster::of(4, Config::default());
        cluster.run(5 * SECOND);
        cluster.clocks.insert(3, offset);
        cluster.publish(3, b"v1");
        let off = version(&mut cluster, 3).nanos.abs_diff(cluster.clock().wall.0);
        assert!(off < 1_000_000_000, "{off} ns");
        cluster.publish(1, b"v2");
        assert_eq!(cluster.engine(1).stats().versions_ahead, 0);
        cluster.run_until(3 * SECOND, |cluster| cluster.all_hold(b"v2"));
    }
}

#[test]
fn a_clock_within_what_clocks_may_differ_counts_as_it_is() {
    let mut cluster = Cluster::of(4, Config::default());
    cluster.run(5 * SECOND);
    for offset in [-59, 0, 59] {
        cluster.clocks.insert(3, offset * 1_000_000_000);
        let mut alone = cluster.clock().wall;
        alone.0 += offset * 1_000_000_000;
        cluster.publish(3, b"v");
        assert_eq!(version(&mut cluster, 3).nanos, alone.0);
        cluster.run(SECOND);
    }
}

#[test]
fn a_publisher_whose_clock_is_a_year_ahead_is_followed_and_does_not_win_for_a_year() {
    let mut cluster = Cluster::of(10, Config::default());
    cluster.clocks.insert(3, YEAR);
    cluster.run(5 * SECOND);
    cluster.publish(3, b"from the future");
    cluster.run_until(3 * SECOND, |cluster| cluster.all_hold(b"from the future"));
    cluster.publish(7, b"from today");
    cluster.run_until(3 * SECOND, |cluster| cluster.all_hold(b"from today"));
}

#[test]
fn what_was_published_before_the_clock_was_known_to_be_ahead_stays_and_its_publisher_is_told() {
    let mut cluster = Cluster::new(Config::default());
    cluster.clocks.insert(1, 24 * HOUR);
    cluster.start(1, &[]);
    cluster.publish(1, b"early");
    let version = version(&mut cluster, 1);
    assert_eq!(told(&cluster, 1), []);
    for node in 2..=6 {
        cluster.start(node, &[1]);
    }
    cluster.run(20 * SECOND);
    cluster.assert_all_hold(b"early");
    let [Event::VersionAhead { version: ahead, by }] = told(&cluster, 1)[..] else {
        panic!("told once: {:?}", told(&cluster, 1))
    };
    assert_eq!((ahead, by.as_secs() / 3_600), (version, 23));
    cluster.publish(4, b"late");
    cluster.run_until(3 * SECOND, |cluster| cluster.all_hold(b"late"));
}

#[test]
fn a_value_outlives_its_publisher_and_the_clocks_that_were_ahead_with_it() {
    for at_once in [true, false] {
        let mut cluster = Cluster::new(Config::default());
        for node in 1..=3 {
            cluster.clocks.insert(node, HOUR);
        }
        (1..=5).for_each(|node| cluster.start(node, &[1, 2, 3]));
        cluster.run(5 * SECOND);
        cluster.publish(1, b"kept");
        cluster.run_until(3 * SECOND, |cluster| cluster.all_hold(b"kept"));
        cluster.crash(1);
        for node in 2..=3 {
            cluster.clocks.remove(&node);
            cluster.run(if at_once { Duration::ZERO } else { 10 * SECOND });
        }
        cluster.run(20 * SECOND);
        cluster.assert_all_hold(b"kept");
        cluster.start(6, &[2]);
        cluster.run_until(3 * SECOND, |cluster| cluster.all_hold(b"kept"));
    }
}

#[test]
fn a_publish_that_one_from_the_future_overtakes_unseen_is_published_once_more_above_it() {
    let mut cluster = Cluster::of(5, Config::default());
    cluster.publish(3, b"ours");
    let ours = version(&mut cluster, 3);
    cluster.run(SECOND);
    let (by, before) = (61 * SECOND, changes(&cluster, 3));
    let later = ahead(&cluster, b"future", by);
    cluster.body(3, 2, later);
    let again = version(&mut cluster, 3);
    let theirs = Version { nanos: again.nanos - 1, ..metadata(b"future", 0).version() };
    assert_eq!((again.writer, again.digest), (ours.writer, ours.digest));
    assert_eq!(changes(&cluster, 3) - before, 2, "theirs, and ours once more");
    let told = told(&cluster, 3);
    let [Event::Superseded { ours: lost, theirs: won, theirs_ahead_by: Some(told_by) }, ..] =
        told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!((lost, won, told_by.as_secs()), (ours, theirs, by.as_secs()));
    cluster.run_until(3 * SECOND, |cluster| cluster.all_hold(b"ours"));
    // That was its one time.
    let later = ahead(&cluster, b"and again", 2 * by);
    cluster.body(3, 2, later);
    cluster.run_until(3 * SECOND, |cluster| cluster.all_hold(b"and again"));
}

#[test]
fn a_publish_is_not_made_again_after_a_timeout_nor_for_one_that_is_just_later() {
    let mut cluster = Cluster::of(5, Config::default());
    cluster.publish(3, b"ours");
    let later = ahead(&cluster, b"later", 59 * SECOND);
    cluster.body(3, 2, later);
    assert_eq!(cluster.data(3).unwrap(), b"later");
    let later = ahead(&cluster, b"future", 120 * SECOND);
    cluster.body(3, 2, later);
    assert_eq!(cluster.data(3).unwrap(), b"future", "what was overtaken is over");
    let mut cluster = Cluster::of(5, Config::default());
    cluster.publish(3, b"ours");
    cluster.run(6 * SECOND);
    let later = ahead(&cluster, b"future", 61 * SECOND);
    cluster.body(3, 2, later);
    assert_eq!(cluster.data(3).unwrap(), b"future");
}

#[test]
fn of_two_who_publish_above_a_version_from_the_future_neither_outbids_the_other() {
    let mut cluster = Cluster::of(5, Config::default());
    let future = ahead(&cluster, b"future", 120 * SECOND);
    cluster.body(3, 2, future);
    cluster.publish(3, b"ours");
    let ours = version(&mut cluster, 3);
    cluster.body(3, 2, rumor(Subject::Metadata(metadata(b"theirs", ours.nanos + 1))));
    assert_eq!(cluster.data(3).unwrap(), b"theirs");
    cluster.run_until(3 * SECOND, |cluster| cluster.all_hold(b"theirs"));
}

#[test]
fn publishers_do_not_outbid_each_other_for_ever() {
    let mut cluster = Cluster::of(10, Config::default());
    cluster.run(3 * SECOND);
    // All at once, without having seen each other: half of them know of no clock but their own.
    for node in (1..=10).step_by(2) {
        cluster.clocks.insert(node, i64::from(node) * YEAR);
        let now = cluster.clock();
        cluster.engine(node).with(now, |cx| *cx.clocks = Default::default());
    }
    let before: usize = (1..=10).map(|node| changes(&cluster, node)).sum();
    for node in 1..=10 {
        cluster.publish(node, format!("of {node}").as_bytes());
    }
    cluster.run(20 * SECOND);
    let last = cluster.data(1).unwrap();
    cluster.assert_all_hold(&last);
    let after: usize = (1..=10).map(|node| changes(&cluster, node)).sum();
    // Each hears of ten values and of ten that were published once more, if none is overtaken.
    assert!(after - before <= 200, "{}", after - before);
    let settled = cluster.sent.clone();
    cluster.run(SECOND);
    let rumor = crate::core::PacketKind::Rumor;
    assert_eq!(cluster.sent.get(&rumor), settled.get(&rumor));
}

#[test]
fn what_cannot_be_beaten_is_told_to_who_publishes() {
    let mut cluster = Cluster::of(3, Config::default());
    let mut last = metadata(b"last", i64::MAX).version();
    last.nanos = Version::NANOS_MAX;
    let last = Metadata::verified(last, b"last"[..].into()).unwrap();
    cluster.publish(2, b"ours");
    cluster.body(2, 1, rumor(Subject::Metadata(last.clone())));
    cluster.run(SECOND);
    cluster.assert_all_hold(b"last");
    cluster.publish(3, b"more");
    assert_eq!(cluster.data(3).unwrap(), b"last");
    for node in [2, 3] {
        let exhausted = Event::VersionsExhausted(last.version());
        assert_eq!(told(&cluster, node).iter().filter(|it| **it == exhausted).count(), 1);
    }
}

#[test]
fn the_last_clock_there_is_makes_a_version_that_others_beat() {
    let mut cluster = Cluster::new(Config::default());
    for node in 1..=3 {
        cluster.clocks.insert(node, 200 * YEAR);
        cluster.start(node, &[1]);
    }
    cluster.publish(1, b"first");
    cluster.run_until(3 * SECOND, |cluster| cluster.all_hold(b"first"));
    cluster.publish(2, b"second");
    cluster.run_until(3 * SECOND, |cluster| cluster.all_hold(b"second"));
}

/// Something that happens to a cluster.
#[derive(Clone, Debug)]
enum Step {
    Publish(u16),
    /// The clock of a node is set this far off.
    Set(u16, i64),
    SetAll(i64),
    Crash(u16),
    /// So many nodes are cut off from the rest.
    Cut(u16),
    Heal,
    Run(u64),
}

fn offset() -> impl Strategy<Value = i64> {
    let second = 1_000_000_000;
    prop::sample::select(vec![
        -56 * YEAR,
        -YEAR,
        -HOUR,
        -59 * second,
        0,
        0,
        59 * second,
        61 * second,
        HOUR,
        YEAR,
        90 * YEAR,
    ])
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..=10_u16).prop_map(Step::Publish),
        4 => (1..=10_u16, offset()).prop_map(|(node, offset)| Step::Set(node, offset)),
        1 => offset().prop_map(Step::SetAll),
        1 => (1..=10_u16).prop_map(Step::Crash),
        1 => (1..=9_u16).prop_map(Step::Cut),
        1 => Just(Step::Heal),
        4 => (1..=4_000_u64).prop_map(Step::Run),
    ]
}

/// A cluster under test, and what must hold of it all the time.
struct Trial {
    cluster: Cluster,
    live: Vec<u16>,
    held: Vec<u16>,
    publishes: u32,
}

impl Trial {
    #[track_caller]
    fn new(offsets: &[i64]) -> Self {
        let mut cluster = Cluster::new(Config::default());
        let live: Vec<u16> = (1..).take(offsets.len()).collect();
        for (&node, &offset) in live.iter().zip(offsets) {
            cluster.clocks.insert(node, offset);
            cluster.start(node, &[1, 2]);
        }
        // Or who crashes first takes with it all that the others know of each other.
        cluster.run_until(5 * SECOND, Cluster::all_list_all);
        Self { cluster, live, held: Vec::new(), publishes: 0 }
    }

    /// The live node that a number of a step stands for.
    fn node(&self, number: u16) -> u16 {
        self.live[usize::from(number) % self.live.len()]
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Publish(number) => self.publish(self.node(number)),
            Step::Set(number, offset) => {
                self.cluster.clocks.insert(self.node(number), offset);
            }
            Step::SetAll(offset) => {
                for &node in &self.live {
                    self.cluster.clocks.insert(node, offset);
                }
            }
            Step::Crash(number) if self.live.len() > 2 => {
                let node = self.node(number);
                self.cluster.crash(node);
                self.live.retain(|&other| other != node);
                self.held.retain(|&other| other != node);
            }
            Step::Crash(_) => {}
            Step::Cut(nodes) => self.cluster.far_side = (1..=nodes).collect(),
            Step::Heal => self.cluster.far_side.clear(),
            Step::Run(millis) => self.run(Duration::from_millis(millis)),
        }
    }

    /// What a node publishes it holds, whatever it held and whatever its clock shows.
    #[track_caller]
    fn publish(&mut self, node: u16) {
        let before = self.cluster.engine(node).metadata().map(Metadata::version);
        self.publishes += 1;
        let data = format!("value {}", self.publishes);
        self.cluster.publish(node, data.as_bytes());
        let after = version(&mut self.cluster, node);
        assert!(Some(after) > before && after.writer == place(node), "{before:?} {after:?}");
        assert_eq!(self.cluster.data(node).unwrap(), data.as_bytes());
    }

    /// Who once held something holds something.
    #[track_caller]
    fn run(&mut self, duration: Duration) {
        let end = self.cluster.now + duration;
        while self.cluster.now < end {
            self.cluster.run((end - self.cluster.now).min(SECOND / 20));
            for &node in &self.live {
                let holds = self.cluster.engine(node).metadata().is_some();
                assert!(holds || !self.held.contains(&node), "node {node} reads nothing any more");
                if holds && !self.held.contains(&node) {
                    self.held.push(node);
                }
            }
        }
    }

    /// All come to hold the newest there is, and then whatever anybody publishes.
    #[track_caller]
    fn end(mut self) {
        self.cluster.far_side.clear();
        let newest = self.live.iter().map(|&node| self.cluster.engine(node).metadata().cloned());
        let newest = newest.max_by_key(|held| held.as_ref().map(Metadata::version)).flatten();
        // Some re-dials: the two sides of a cut may have to find each other again. Who published a
        // moment before may do so once more.
        for _ in 0..6 {
            self.run(10 * SECOND);
        }
        let held = self.cluster.engine(self.live[0]).metadata().cloned();
        assert!(held.as_ref().map(Metadata::version) >= newest.map(|it| it.version()));
        if let Some(held) = held {
            self.cluster.assert_all_hold(held.data());
        }
        let last = self.live[self.live.len() - 1];
        self.publish(last);
        let data = self.cluster.data(last).unwrap();
        self.cluster.run_until(10 * SECOND, |cluster| cluster.all_hold(&data));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn whatever_the_clocks_nothing_is_lost_all_agree_and_a_publish_replaces_what_it_saw(
        offsets in prop::sample::select(vec![3_usize, 4, 5, 10])
            .prop_flat_map(|nodes| prop::collection::vec(offset(), nodes)),
        steps in prop::collection::vec(step(), 1..24),
    ) {
        let mut trial = Trial::new(&offsets);
        steps.iter().for_each(|step| trial.take(step));
        trial.end();
    }
}
