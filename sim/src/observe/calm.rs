//! Calm: what a perfect network owes everybody.
//!
//! Swaps and timeouts repair so much that a protocol of which half is missing still converges. But
//! where nothing is lost, doubled or slow, and no process or clock stands still, there is nothing
//! to repair: nobody who lives is removed, who leaves is removed for that, what is published is
//! everywhere after a few hops, and nothing goes unanswered.

use std::collections::BTreeMap;
use std::time::Duration;

use rumormill::config::{Swap, TransportKind, Wire};
use rumormill::core::Stats;
use rumormill::link::{Latency, Link, Loss};
use rumormill::rng::Probability;
use rumormill::time::Instant;
use rumormill::{Config, Liveness, Version};

use super::cast::{Cast, IncarnationNo};
use super::removals::Verdict;
use crate::scenario::plan::{Action, Deed, Incarnation, Manner, Memory, NodeNo, Plan, StartCause};

/// What is owed in this run.
#[derive(Clone, Debug)]
pub(crate) struct Calm {
    network: Network,
    /// What counters say of it, if nobody goes who could leave something unanswered.
    all_answer: bool,
    latency: Duration,
    /// By node: last calls that it made.
    calls: BTreeMap<NodeNo, u64>,
    /// The most that say nothing.
    calls_max: u64,
    /// If that is how they find out who lives, and all answer.
    probing: Option<Probing>,
    /// Who left on its own, and when.
    goodbyes: BTreeMap<IncarnationNo, Instant>,
    /// When something other than a publish happens.
    changes: Vec<Instant>,
    news: Option<News>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    Perfect,
    Imperfect,
}

/// The value that was published last, while the cluster stays as it was then.
#[derive(Clone, Copy, Debug)]
struct News {
    version: Version,
    since: Instant,
    /// When all are to hold it.
    until: Instant,
}

impl Calm {
    const LATENCY_MAX: Duration = Duration::from_millis(10);
    /// Changes further apart have nothing to do with each other.
    const APART: Duration = Duration::from_secs(2);
    /// What a value takes beside its way, in which lost packets would be sent again.
    const MARGIN: Duration = Duration::from_millis(100);
    /// The longest way of a value that fits a datagram, and of one that is fetched, in delays.
    const DELAYS: u32 = 20;
    const DELAYS_OF_STREAMS: u32 = 120;
    /// Last calls that say nothing: also those by which newcomers are asked whether they exist, one
    /// in so many members; and how few of the silences may be one for want of luck.
    const CALLS_MIN: u64 = 20;
    const MEMBERS_PER_NEWCOMER: u64 = 16;
    const SILENCES_PER_CALL: u64 = 4;
    /// A value of so many bytes fits every datagram.
    const SHORT: usize = 400;

    pub(crate) fn of(plan: &Plan, cast: &Cast) -> Self {
        let longest = longest(&plan.network);
        let fine = is_perfect(&plan.network)
            && longest.is_some_and(|longest| longest <= Self::LATENCY_MAX)
            && plan.links.is_empty()
            && plan.clocks.is_empty()
            && plan.actions.iter().all(|action| is_harmless(&action.deed))
            && plan.incarnations.iter().all(|start| start.memory != Memory::Forgets)
            && are_sound(cast)
            && !is_foretold(plan);
        let stays = |action: &Action| {
            let is_told = matches!(action.deed, Deed::Publish { .. } | Deed::Write { .. });
            is_told || matches!(action.deed, Deed::Join(_) | Deed::Update(_))
        };
        let all_answer = plan.actions.iter().all(stays);
        let not_told =
            |action: &&Action| !matches!(action.deed, Deed::Publish { .. } | Deed::Write { .. });
        let actions = plan.actions.iter().filter(not_told).map(|action| action.at);
        let starts = plan.incarnations.iter().map(|incarnation| incarnation.start);
        Self {
            network: if fine { Network::Perfect } else { Network::Imperfect },
            all_answer,
            // What is held back for others to pass takes a delay more.
            latency: longest.unwrap_or_default() * 2,
            calls: BTreeMap::new(),
            calls_max: calls_max(plan, cast),
            probing: if fine && all_answer { Probing::of(plan, cast) } else { None },
            goodbyes: BTreeMap::new(),
            changes: actions.chain(starts).collect(),
            news: None,
        }
    }

    /// An incarnation says goodbye while all lists are right.
    pub(crate) fn leave(&mut self, at: Instant, incarnation: IncarnationNo) {
        let near = |other: &&Instant| (at.max(**other) - at.min(**other)) < Self::APART;
        if self.changes.iter().filter(near).count() == 1 {
            self.goodbyes.insert(incarnation, at);
        }
    }

    /// A node publishes so many bytes while all lists are right.
    pub(crate) fn publish(&mut self, since: Instant, version: Version, len: usize, by: &Config) {
        let short = len <= Self::SHORT && by.protocol() == TransportKind::Udp;
        let delays = if short { Self::DELAYS } else { Self::DELAYS_OF_STREAMS };
        let until = since + self.latency * delays + Self::MARGIN;
        self.news = self.is_perfect().then_some(News { version, since, until });
    }

    /// What is under way may be told by who is no longer there, or to who is not listed.
    pub(crate) fn disturb(&mut self) {
        self.news = None;
    }

    /// A node comes to hold a version; what is wrong with that.
    pub(crate) fn hold(&self, at: Instant, version: Version) -> Option<String> {
        let News { since, .. } = self.news.filter(|it| it.version == version && it.until < at)?;
        Some(format!("holds version {version} {:?} after it was published", at - since))
    }

    /// A node removes an incarnation by its own judgement; what is wrong with that.
    pub(crate) fn remove(&self, who: &str, of: IncarnationNo, verdict: Verdict) -> Option<String> {
        if !self.is_perfect() {
            return None;
        }
        match verdict {
            Verdict::False => Some(format!("removes {who}, which lives")),
            Verdict::Right if self.goodbyes.contains_key(&of) => {
                Some(format!("waits for the timeout of {who}, which left"))
            }
            _ => None,
        }
    }

    /// A node makes a last call.
    pub(crate) fn call(&mut self, by: NodeNo) {
        *self.calls.entry(by).or_default() += 1;
    }

    /// A node probes a member.
    pub(crate) fn probe(&mut self, at: Instant, by: NodeNo) {
        if let Some(probing) = &mut self.probing {
            probing.probe(at, by);
        }
    }

    /// The counters of an engine at its end; what there is too much of, or too little.
    pub(crate) fn count(&self, at: Instant, node: NodeNo, stats: &Stats) -> Option<String> {
        if !self.is_perfect() || !self.all_answer {
            return None;
        }
        let probing = self.probing.as_ref();
        if let Some(what) = probing.and_then(|probing| probing.count(at, node, stats)) {
            return Some(what);
        }
        let calls = self.calls.get(&node).copied().unwrap_or(0);
        if calls > self.calls_max {
            return Some(format!("makes {calls} last calls to members that beat"));
        }
        let counters = [
            ("rumors_unanswered", stats.rumors_unanswered),
            ("probes_failed", stats.probes_failed),
            ("values_unreached", stats.values_unreached),
        ];
        let (name, count) = counters.into_iter().find(|&(_, count)| count > 0)?;
        Some(format!("counts {count} {name}"))
    }

    fn is_perfect(&self) -> bool {
        self.network == Network::Perfect
    }
}

/// What those owe each other who find out by probes who lives: a probe a cycle, and no news twice.
#[derive(Clone, Debug)]
struct Probing {
    cycle: Duration,
    /// By node: when it probed last, and the longest that it had not.
    probes: BTreeMap<NodeNo, (Instant, Duration)>,
    /// How much membership news each hears.
    news_max: u64,
}

impl Probing {
    /// Cycles are a tenth longer or shorter each, and a probe falls out when the node is alone.
    const CYCLES_MAX: u32 = 4;
    /// From how many a piece of news is heard, for each of those that one tells of it: 4.1 in
    /// thousands of runs, with what lists bring that are compared.
    const HEARD_MAX: u64 = 8;

    fn of(plan: &Plan, cast: &Cast) -> Option<Self> {
        cast.configs().find(|config| config.liveness().asks())?;
        let updates = plan.actions.iter().filter(|it| matches!(it.deed, Deed::Update(_))).count();
        let pieces = (plan.incarnations.len() + updates) as u64;
        let fan_out = cast.configs().map(Config::fan_out).max().unwrap_or_default() as u64;
        Some(Self {
            cycle: cast.longest(Config::cycle),
            probes: BTreeMap::new(),
            news_max: pieces * fan_out * Self::HEARD_MAX,
        })
    }

    fn probe(&mut self, at: Instant, by: NodeNo) {
        let (last, longest) = self.probes.entry(by).or_insert((at, Duration::ZERO));
        *longest = (*longest).max(at - *last);
        *last = at;
    }

    fn count(&self, at: Instant, node: NodeNo, stats: &Stats) -> Option<String> {
        // Whoever is alone has nobody to probe.
        let &(last, longest) = self.probes.get(&node)?;
        let longest = longest.max(at - last);
        if longest > self.cycle * Self::CYCLES_MAX {
            return Some(format!("probes nobody for {longest:?}"));
        }
        let news = stats.updates;
        (news > self.news_max).then(|| format!("hears {news} pieces of news"))
    }
}

/// How many last calls of a node say nothing. If nobody beat there were as many silences as there
/// are members, and that in each timeout.
fn calls_max(plan: &Plan, cast: &Cast) -> u64 {
    let members = u64::from(cast.nodes());
    let timeouts = cast.configs().next().map_or(0, |config| {
        plan.duration.as_millis() as u64 / config.timeout().as_millis().max(1) as u64
    });
    Calm::CALLS_MIN
        + members / Calm::MEMBERS_PER_NEWCOMER
        + members * timeouts / Calm::SILENCES_PER_CALL
}

/// The longest delay of a link, if it is known.
fn longest(link: &Link) -> Option<Duration> {
    match link.latency {
        Latency::Uniform { max, .. } => Some(max + link.jitter),
        _ => None,
    }
}

fn is_perfect(link: &Link) -> bool {
    let never = |share: Probability| share == Probability::ZERO;
    link.loss == Loss::NONE
        && never(link.duplicate)
        && never(link.corrupt)
        && link.mtu.is_none()
        && link.bandwidth.is_none()
}

/// Whether some are listed before they have started.
fn is_foretold(plan: &Plan) -> bool {
    let is_late = |it: &Incarnation| it.cause == StartCause::Initial && it.start > Instant::ZERO;
    plan.incarnations.iter().any(Incarnation::knows_others) && plan.incarnations.iter().any(is_late)
}

/// Whether an action leaves the network and the clocks as they are.
fn is_harmless(deed: &Deed) -> bool {
    match deed {
        Deed::Publish { .. } | Deed::Join(_) | Deed::Leave(_) | Deed::Crash(_) => true,
        Deed::Update(_) | Deed::Write { .. } => true,
        Deed::Restart { manner, .. } => matches!(manner, Manner::Crash | Manner::Leave),
        _ => false,
    }
}

/// Whether all have the same settings, which are made to be kept.
fn are_sound(cast: &Cast) -> bool {
    let Some(one) = cast.configs().next() else { return false };
    cast.configs().all(|config| {
        (config.cycle(), config.timeout(), config.liveness(), config.fan_out())
            == (one.cycle(), one.timeout(), one.liveness(), one.fan_out())
            && config.swap() == Swap::On
            && config.wire() == Wire::Native
            && config.liveness() != Liveness::Off
            && config.fan_out() > 1
            && config.timeout() >= config.cycle() * 4
            && config.buffer() >= 64
            && config.members_max() >= cast.nodes() as usize
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::plan::WayIn;
    use crate::world::testkit::{self, at_ms};
    use rumormill::node::NodeId;

    fn calm(change: impl FnOnce(&mut Plan)) -> Calm {
        let mut plan = testkit::plan(3, Duration::from_secs(60));
        change(&mut plan);
        Calm::of(&plan, &Cast::of(&plan))
    }

    fn version(nanos: i64) -> Version {
        Version { nanos, writer: NodeId(1), digest: [0; 16] }
    }

    #[test]
    fn who_lives_or_left_is_not_removed_by_timeout_where_the_network_is_perfect() {
        let leave = |plan: &mut Plan| testkit::act(plan, 9_000, "", Deed::Leave(vec![2]));
        let mut perfect = calm(leave);
        perfect.leave(at_ms(9_000), 2);
        assert!(perfect.remove("node 1", 1, Verdict::False).unwrap().contains("lives"));
        assert!(perfect.remove("node 2", 2, Verdict::Right).unwrap().contains("left"));
        assert_eq!(perfect.remove("node 1", 1, Verdict::Right), None, "it crashed");
        let mut lossy = calm(|plan| plan.network.mtu = Some(1_500));
        lossy.leave(at_ms(9_000), 2);
        assert_eq!(lossy.remove("node 1", 1, Verdict::False), None);
        let mut crowded = calm(|plan| {
            leave(plan);
            testkit::act(plan, 10_000, "", Deed::Crash(vec![1]));
        });
        crowded.leave(at_ms(9_000), 2);
        assert_eq!(crowded.remove("node 2", 2, Verdict::Right), None, "others went as well");
    }

    #[test]
    fn a_value_is_late_once_its_hops_are_over_unless_somebody_came_or_went() {
        let mut calm = calm(|_| {});
        let config = Config::default();
        calm.publish(at_ms(0), version(1), 9, &config);
        assert_eq!(calm.hold(at_ms(500), version(1)), None);
        assert!(calm.hold(at_ms(501), version(1)).unwrap().contains("501ms"));
        assert_eq!(calm.hold(at_ms(501), version(2)), None, "another");
        calm.publish(at_ms(0), version(1), 9_000, &config);
        assert_eq!(calm.hold(at_ms(501), version(1)), None, "it is fetched");
        calm.publish(at_ms(0), version(1), 9, &config);
        calm.disturb();
        assert_eq!(calm.hold(at_ms(501), version(1)), None);
    }

    #[test]
    fn nothing_goes_unanswered_where_nobody_goes() {
        let mut stats = Stats::default();
        assert_eq!(calm(|_| {}).count(at_ms(0), 0, &stats), None);
        stats.probes_failed = 2;
        assert_eq!(calm(|_| {}).count(at_ms(0), 0, &stats).unwrap(), "counts 2 probes_failed");
        let crash = |plan: &mut Plan| testkit::act(plan, 9_000, "", Deed::Crash(vec![2]));
        assert_eq!(calm(crash).count(at_ms(0), 0, &stats), None);
    }

    fn probing() -> Calm {
        calm(|plan| {
            let probes = Config::builder().liveness(Liveness::Probes).fan_out(2);
            testkit::configure(plan, probes.build().unwrap());
        })
    }

    #[test]
    fn who_probes_does_so_every_cycle() {
        let stats = Stats::default();
        let mut calm = probing();
        assert_eq!(calm.count(at_ms(60_000), 0, &stats), None, "it is alone");
        calm.probe(at_ms(1_000), 0);
        assert_eq!(calm.count(at_ms(5_000), 0, &stats), None);
        assert_eq!(calm.count(at_ms(5_001), 0, &stats).unwrap(), "probes nobody for 4.001s");
        calm.probe(at_ms(6_000), 0);
        calm.probe(at_ms(7_000), 0);
        assert_eq!(calm.count(at_ms(7_001), 0, &stats).unwrap(), "probes nobody for 5s");
    }

    #[test]
    fn who_probes_hears_little_news_where_there_is_none() {
        let mut calm = probing();
        calm.probe(at_ms(0), 0);
        // Of three nodes, from two each.
        let heard = |updates| {
            let mut stats = Stats::default();
            stats.updates = updates;
            stats
        };
        assert_eq!(calm.count(at_ms(1), 0, &heard(48)), None);
        assert_eq!(calm.count(at_ms(1), 0, &heard(49)).unwrap(), "hears 49 pieces of news");
        assert_eq!(self::calm(|_| {}).count(at_ms(1), 0, &heard(49)), None, "beats are news");
    }

    #[test]
    fn who_beats_is_hardly_ever_called() {
        // Three nodes in twelve timeouts.
        let mut calm = calm(|_| {});
        (0..29).for_each(|_| calm.call(1));
        assert_eq!(calm.count(at_ms(0), 1, &Stats::default()), None);
        calm.call(1);
        let said = calm.count(at_ms(0), 1, &Stats::default()).unwrap();
        assert_eq!(said, "makes 30 last calls to members that beat");
        assert_eq!(calm.count(at_ms(0), 0, &Stats::default()), None);
    }

    #[test]
    fn the_more_members_the_more_of_them_are_asked_whether_they_exist() {
        let plan = testkit::plan(1_600, Duration::from_secs(1));
        let mut calm = Calm::of(&plan, &Cast::of(&plan));
        (0..120).for_each(|_| calm.call(1));
        assert_eq!(calm.count(at_ms(0), 1, &Stats::default()), None);
        calm.call(1);
        assert!(calm.count(at_ms(0), 1, &Stats::default()).unwrap().contains("121 last calls"));
    }

    #[test]
    fn who_is_listed_before_it_has_started_may_be_removed_before_that() {
        let late = |plan: &mut Plan| plan.incarnations[1].start = at_ms(2_000);
        let removes = |calm: Calm| calm.remove("node 1", 1, Verdict::False).is_some();
        assert!(removes(calm(late)));
        let foretold = calm(|plan| {
            late(plan);
            plan.incarnations[0].way_in = WayIn::Full;
        });
        assert!(!removes(foretold));
    }
}
