//! Settling: when a run must have come to rest, and whether it has.
//!
//! Some time after the last fault all lists are right and all hold the same value. What that time
//! is follows from the settings: a silent node takes a timeout to be found out, one that was lost
//! is dialled once a `redial`, a conflict is forgotten after four timeouts.

use std::collections::BTreeSet;
use std::time::Duration;

use rumormill::config::{Swap, Wire};
use rumormill::link::LinkModel;
use rumormill::time::Instant;
use rumormill::{Config, Liveness};

use super::cast::{Cast, IncarnationNo};
use super::entries::Entries;
use super::islands::Acquaintance;
use super::members::Views;
use super::metadata::Agreement;
use super::truth::Truth;
use crate::scenario::plan::{Action, Deed, NodeNo, Plan};

/// When all must be well, and when it last was.
#[derive(Clone, Debug)]
pub(crate) struct Settling {
    /// When the last fault began or ended, as the plan has it.
    last_fault: Instant,
    /// When somebody last published, as the plan has it.
    last_publish: Instant,
    /// How long it may take from there.
    patience: Duration,
    /// Why nothing can be asked of this run, whatever happens.
    excuse: Option<&'static str>,
    lists: Spell,
    values: Spell,
    entries: Spell,
    acquaintance: Acquaintance,
}

/// A thing that is true for spells of time.
#[derive(Clone, Copy, Debug, Default)]
struct Spell {
    is_true: bool,
    last: Option<Instant>,
}

impl Spell {
    fn note(&mut self, at: Instant, is_true: bool) {
        if self.is_true || is_true {
            self.last = Some(at);
        }
        self.is_true = is_true;
    }

    /// Whether it was true at some time from then on; with perfect links it must be so still.
    fn holds(&self, from: Instant, still: bool) -> bool {
        if still { self.is_true } else { self.last.is_some_and(|last| last >= from) }
    }
}

/// Until when an action is felt that does not end by another.
fn end(plan: &Plan, action: &Action) -> Instant {
    match &action.deed {
        Deed::Replay { after, until, .. } => {
            until.unwrap_or(Instant::ZERO + plan.duration) + *after
        }
        _ => action.at,
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SettlingVerdict {
    /// All is well.
    Settled,
    /// Nothing can be asked of this run, and why.
    Excused(String),
    /// This node's list, or value, is not as it should be.
    Unsettled { node: NodeNo, detail: String },
}

impl Settling {
    /// Beyond this loss a list may be wrong at any time, and nobody to blame.
    const LOSS_MAX: f64 = 0.25;
    /// How long one that leaves may serve what it holds.
    const FAREWELL: Duration = Duration::from_secs(3);

    pub(crate) fn of(plan: &Plan, cast: &Cast) -> Self {
        let is_publish = |deed: &Deed| matches!(deed, Deed::Publish { .. } | Deed::Write { .. });
        let publishes = plan.actions.iter().filter(|action| is_publish(&action.deed));
        let faults = plan.actions.iter().filter(|action| !is_publish(&action.deed));
        let starts = plan.incarnations.iter().map(|incarnation| {
            incarnation.stale_seeds.map_or(incarnation.start, |stale| stale.until)
        });
        let last_fault = faults.map(|action| end(plan, action)).chain(starts).max();
        Self {
            last_fault: last_fault.unwrap_or_default(),
            last_publish: publishes.map(|action| action.at).max().unwrap_or_default(),
            patience: patience(plan, cast),
            excuse: excuse(plan, cast),
            lists: Spell::default(),
            values: Spell::default(),
            entries: Spell::default(),
            acquaintance: Acquaintance::of(plan, cast),
        }
    }

    /// How the lists and the values are now.
    pub(crate) fn note(
        &mut self,
        at: Instant,
        views: &Views,
        agreement: &Agreement,
        entries: Option<&Entries>,
    ) {
        self.lists.note(at, views.are_true());
        self.values.note(at, agreement.is_complete());
        self.entries.note(at, entries.is_none_or(Entries::is_complete));
    }

    /// One incarnation lists another.
    pub(crate) fn hear(&mut self, one: IncarnationNo, other: IncarnationNo) {
        self.acquaintance.hear(one, other);
    }

    /// Something that nobody can be blamed for may put lists wrong once more.
    pub(crate) fn disturb(&mut self, at: Instant) {
        self.last_fault = self.last_fault.max(at);
    }

    /// Judges the run at its end.
    pub(crate) fn judge(
        &self,
        end: Instant,
        cast: &Cast,
        truth: &Truth,
        (views, agreement): (&Views, &Agreement),
        links: &mut LinkModel,
    ) -> SettlingVerdict {
        if let Some(why) = self.excuse {
            return SettlingVerdict::Excused(why.to_owned());
        }
        let loss = links.loss_max(cast.nodes());
        if loss > Self::LOSS_MAX {
            let why = format!("a link that loses {:.0} % of packets stays to the end", loss * 1e2);
            return SettlingVerdict::Excused(why);
        }
        // A swap begins every cycle, and the one before is given up.
        if links.delay_max(cast.nodes()) * 2 > cast.shortest(Config::cycle) {
            return SettlingVerdict::Excused("a round trip takes longer than a cycle".to_owned());
        }
        if has_one_way(links, cast.nodes()) {
            return SettlingVerdict::Excused(
                "a link that is cut one way stays to the end".to_owned(),
            );
        }
        let lists_from = self.lists_from();
        if end < lists_from {
            return SettlingVerdict::Excused(
                "the run ends too soon after its last fault".to_owned(),
            );
        }
        let still = loss == 0.0;
        if !self.lists.holds(lists_from, still) {
            return match self.acquaintance.islands(cast, truth) {
                Some((one, other)) => SettlingVerdict::Excused(format!(
                    "islands: nodes {one} and {other} have no way to hear of each other"
                )),
                None => self.wrong_list(cast, truth, views),
            };
        }
        if self.has_had_time(end) && !self.values.holds(self.values_from(), still) {
            return wrong_value(truth, agreement);
        }
        SettlingVerdict::Settled
    }

    /// Judges the entries at the end of a run of which all else is well.
    pub(crate) fn judge_entries(
        &self,
        entries: &Entries,
        truth: &Truth,
        loss: f64,
    ) -> SettlingVerdict {
        if self.entries.holds(self.values_from(), loss == 0.0) {
            return SettlingVerdict::Settled;
        }
        let (node, detail) = entries.difference(truth).unwrap_or_else(|| {
            (0, "not all read the same entries, long after the last fault".to_owned())
        });
        SettlingVerdict::Unsettled { node, detail }
    }

    /// Whether what was written last must have come to all.
    pub(crate) fn has_had_time(&self, end: Instant) -> bool {
        end >= self.values_from()
    }

    fn lists_from(&self) -> Instant {
        self.last_fault + Self::FAREWELL + self.patience
    }

    fn values_from(&self) -> Instant {
        self.lists_from().max(self.last_publish + self.patience)
    }

    fn wrong_list(&self, cast: &Cast, truth: &Truth, views: &Views) -> SettlingVerdict {
        let since =
            self.lists.last.map_or("never right".to_owned(), |at| format!("last right at {at}"));
        match views.first_error(truth) {
            None => {
                let detail = format!("the lists were {since}, long after the last fault");
                SettlingVerdict::Unsettled { node: 0, detail }
            }
            Some((node, incarnation, listed)) => {
                let part = cast.part(incarnation);
                let what = if listed { "lists" } else { "does not list" };
                let (other, start) = (part.node, part.start);
                let detail = format!(
                    "node {node} {what} node {other} as started at {start} (all lists were {since})"
                );
                SettlingVerdict::Unsettled { node, detail }
            }
        }
    }
}

fn wrong_value(truth: &Truth, agreement: &Agreement) -> SettlingVerdict {
    let held = |node: NodeNo| agreement.version(node);
    let newest = agreement.newest(truth);
    let behind = truth.live_nodes().find(|&(node, _)| held(node) != newest);
    let node = behind.map_or(0, |(node, _)| node);
    let show = |version: Option<rumormill::Version>| {
        version.map_or("nothing".to_owned(), |version| version.to_string())
    };
    let (own, newest) = (show(held(node)), show(newest));
    SettlingVerdict::Unsettled { node, detail: format!("node {node} holds {own}, others {newest}") }
}

/// How long after its last fault a cluster may take to be right again.
fn patience(plan: &Plan, cast: &Cast) -> Duration {
    let (timeout, cycle) = (cast.longest(Config::timeout), cast.longest(Config::cycle));
    let patience = timeout * 2 + cycle * 10;
    // Whoever may have been given up by the living has to be found again.
    let parts = |deed: &Deed| {
        let tells = matches!(deed, Deed::Publish { .. } | Deed::Write { .. });
        !tells && !matches!(deed, Deed::Join(_) | Deed::Leave(_))
    };
    match plan.actions.iter().any(|action| parts(&action.deed)) {
        true => patience + timeout * 3 + cycle * 10 + cast.longest(Config::redial) * 3,
        false => patience,
    }
}

/// Why nothing can be asked of such a run.
fn excuse(plan: &Plan, cast: &Cast) -> Option<&'static str> {
    let any = |is: fn(&Config) -> bool| cast.configs().any(is);
    let mut paused: BTreeSet<NodeNo> = BTreeSet::new();
    let mut held_up: BTreeSet<usize> = BTreeSet::new();
    for (number, action) in plan.actions.iter().enumerate() {
        match &action.deed {
            Deed::Starve { .. } | Deed::Slow { .. } => _ = held_up.insert(number),
            Deed::Relieve { of, .. } => _ = held_up.remove(of),
            Deed::Pause(nodes) => paused.extend(nodes),
            Deed::Resume(nodes) => nodes.iter().for_each(|node| _ = paused.remove(node)),
            _ => {}
        }
    }
    let crowded = |config: &Config, nodes: u32| config.members_max() < nodes as usize;
    let narrow = plan.network.mtu.is_some_and(|mtu| mtu < Config::default().size() as u32 + 28);
    Some(match () {
        () if any(|config| config.swap() == Swap::Off) => "swaps are off",
        () if any(|config| config.liveness() == Liveness::Off) => "nobody is removed",
        () if any(|config| config.wire() == Wire::Pekonode) => {
            "on this wire much is left to chance"
        }
        () if cast.configs().any(|config| crowded(config, cast.nodes())) => "the list is full",
        () if any(|config| config.buffer() < 64) => "a socket has hardly any room",
        () if any(|config| config.timeout() < config.cycle() * 3) => "timeouts below three cycles",
        () if !paused.is_empty() => "a process stays paused",
        () if !held_up.is_empty() => "a node stays starved or slow",
        () if narrow => "a path is narrower than 1,200 bytes",
        () if plan.network.bandwidth.is_some() => "the bandwidth is limited",
        () => return None,
    })
}

fn has_one_way(links: &LinkModel, nodes: u32) -> bool {
    if !links.has_cuts() {
        return false;
    }
    let examples = links.examples(nodes);
    let mut pairs = examples.iter().flat_map(|&a| examples.iter().map(move |&b| (a, b)));
    pairs.any(|(a, b)| links.passes(a, b) != links.passes(b, a))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::observe::truth::State;
    use crate::scenario::plan::WayIn;
    use crate::world::testkit::{self, at_ms, lan};
    use rumormill::Version;
    use rumormill::link::{Loss, NetworkChange, Ways};
    use rumormill::node::NodeId;

    /// A cluster as it is at the end of a run.
    struct Stand {
        plan: Plan,
        cast: Arc<Cast>,
        truth: Truth,
        views: Views,
        agreement: Agreement,
        links: LinkModel,
    }

    impl Stand {
        /// Three nodes that live, of which each lists itself alone.
        fn of(plan: Plan) -> Self {
            let cast = Arc::new(Cast::of(&plan));
            let mut truth = Truth::new(3, Duration::from_secs(5));
            let mut views = Views::new(Arc::clone(&cast));
            for node in 0..3 {
                views.begin(node, node);
                truth.set(Instant::ZERO, node, State::Live(node));
            }
            let links = LinkModel::new(1, plan.network.clone());
            let mut stand = Self { plan, cast, truth, views, agreement: Agreement::new(3), links };
            stand.commit();
            stand
        }

        fn commit(&mut self) {
            let shift = self.truth.commit(Instant::ZERO, &self.links);
            self.views.shift(&self.truth, &shift);
            self.agreement.shift(&self.truth);
        }

        fn list_all(&mut self) {
            for (node, part) in (0..3).flat_map(|node| (0..3).map(move |part| (node, part))) {
                self.views.list(&self.truth, node, part);
            }
        }

        fn judge(&mut self) -> SettlingVerdict {
            self.judge_disturbed(Instant::ZERO)
        }

        fn judge_disturbed(&mut self, at: Instant) -> SettlingVerdict {
            let end = Instant::ZERO + self.plan.duration;
            let mut settling = Settling::of(&self.plan, &self.cast);
            settling.disturb(at);
            let held = (&self.views, &self.agreement);
            settling.note(end, held.0, held.1, None);
            settling.judge(end, &self.cast, &self.truth, held, &mut self.links)
        }
    }

    fn stand() -> Stand {
        Stand::of(testkit::plan(3, Duration::from_secs(300)))
    }

    fn assert_excused(stand: &mut Stand, why: &str) {
        match stand.judge() {
            SettlingVerdict::Excused(text) => assert!(text.contains(why), "{text}"),
            other => panic!("{why}: {other:?}"),
        }
    }

    #[test]
    fn who_is_not_listed_long_after_the_last_fault_is_named_with_who_does_not_list_it() {
        let mut stand = stand();
        let SettlingVerdict::Unsettled { node, detail } = stand.judge() else {
            panic!("unsettled")
        };
        assert_eq!(node, 0);
        assert!(detail.starts_with("node 0 does not list node 1 as started at"), "{detail}");
        stand.list_all();
        assert_eq!(stand.judge(), SettlingVerdict::Settled);
    }

    #[test]
    fn a_node_that_holds_less_than_others_is_named() {
        let mut stand = stand();
        stand.list_all();
        let version = Version { nanos: 1, writer: NodeId(1), digest: [0; 16] };
        stand.agreement.hold(&stand.truth, 1, version);
        let SettlingVerdict::Unsettled { node, detail } = stand.judge() else {
            panic!("unsettled")
        };
        assert_eq!(node, 0);
        assert!(detail.starts_with("node 0 holds nothing"), "{detail}");
        for node in [0, 2] {
            stand.agreement.hold(&stand.truth, node, version);
        }
        assert_eq!(stand.judge(), SettlingVerdict::Settled);
    }

    #[test]
    fn nothing_is_asked_too_soon_or_of_links_that_stay_bad() {
        let mut soon = Stand::of(testkit::plan(3, Duration::from_secs(9)));
        assert_excused(&mut soon, "too soon");
        let mut lossy = testkit::plan(3, Duration::from_secs(300));
        lossy.network.loss = testkit::percent(40).into();
        assert_excused(&mut Stand::of(lossy), "40 % of packets");
        let mut slow = testkit::plan(3, Duration::from_secs(300));
        slow.network =
            rumormill::link::Link::uniform(Duration::from_millis(501), Duration::from_millis(501));
        assert_excused(&mut Stand::of(slow), "longer than a cycle");
        let mut one_way = stand();
        let (from, to, ways) = (vec![0], vec![1, 2], Ways::One);
        let change = rumormill::link::LinkChange { loss: Some(Loss::ALL), ..Default::default() };
        one_way.links.apply(NetworkChange::Links { from, to, ways, change });
        assert_excused(&mut one_way, "one way");
        let mut paused = testkit::plan(3, Duration::from_secs(300));
        testkit::act(&mut paused, 1, "", Deed::Pause(vec![2]));
        assert_excused(&mut Stand::of(paused), "paused");
        let mut starved = testkit::plan(3, Duration::from_secs(300));
        let delay = Duration::from_secs(1)..=Duration::from_secs(2);
        testkit::act(&mut starved, 1, "", Deed::Starve { nodes: vec![2], delay });
        assert_excused(&mut Stand::of(starved.clone()), "stays starved");
        testkit::act(&mut starved, 2, "", Deed::Relieve { nodes: vec![2], of: 0 });
        assert!(matches!(Stand::of(starved).judge(), SettlingVerdict::Unsettled { .. }));
    }

    #[test]
    fn islands_are_said_where_seeds_join_nobody_and_nobody_heard_of_the_others() {
        let mut plan = testkit::plan(3, Duration::from_secs(300));
        plan.incarnations[0].way_in = WayIn::Seeds(vec![1]);
        plan.incarnations[1].way_in = WayIn::Seeds(vec![0]);
        plan.incarnations[2].way_in = WayIn::Seeds(vec![]);
        let mut stand = Stand::of(plan);
        assert_excused(&mut stand, "islands: nodes 0 and 2");
        let end = Instant::ZERO + stand.plan.duration;
        let mut settling = Settling::of(&stand.plan, &stand.cast);
        settling.hear(1, 2);
        let held = (&stand.views, &stand.agreement);
        let verdict = settling.judge(end, &stand.cast, &stand.truth, held, &mut stand.links);
        assert!(
            matches!(verdict, SettlingVerdict::Unsettled { .. }),
            "they heard of each other once"
        );
    }

    #[test]
    fn one_that_is_cut_off_or_down_joins_no_islands() {
        let mut plan = testkit::plan(3, Duration::from_secs(300));
        plan.incarnations.iter_mut().for_each(|start| start.way_in = WayIn::Seeds(vec![1]));
        assert!(matches!(Stand::of(plan.clone()).judge(), SettlingVerdict::Unsettled { .. }));
        let mut cut_off = Stand::of(plan.clone());
        cut_off.links.apply(NetworkChange::Partition(vec![vec![0, 2], vec![1]]));
        cut_off.commit();
        assert_excused(&mut cut_off, "islands: nodes 0 and 2");
        let mut down = Stand::of(plan);
        down.truth.set(at_ms(9_000), 1, State::Down);
        down.commit();
        assert_excused(&mut down, "islands: nodes 0 and 2");
    }

    #[test]
    fn with_loss_a_list_may_be_wrong_at_the_end_if_it_was_right_in_time() {
        let mut right_once = Spell::default();
        right_once.note(at_ms(100), true);
        right_once.note(at_ms(200), false);
        assert!(right_once.holds(at_ms(150), false) && !right_once.holds(at_ms(201), false));
        assert!(!right_once.holds(at_ms(150), true), "without loss it must stay so");
        assert_eq!(lan().loss, Loss::NONE);
    }

    #[test]
    fn of_settings_that_promise_nothing_nothing_is_asked() {
        let with = |set: fn(rumormill::ConfigBuilder) -> rumormill::ConfigBuilder| {
            let mut plan = testkit::plan(3, Duration::from_secs(300));
            testkit::configure(&mut plan, set(Config::builder()).build().unwrap());
            Stand::of(plan)
        };
        assert_excused(&mut with(|config| config.swap(Swap::Off)), "swaps are off");
        assert_excused(&mut with(|config| config.liveness(Liveness::Off)), "nobody is removed");
        assert_excused(&mut with(|config| config.members_max(2)), "the list is full");
        assert_excused(&mut with(|config| config.buffer(8)), "hardly any room");
        assert_excused(
            &mut with(|config| config.timeout(Duration::from_millis(2_500))),
            "below three cycles",
        );
        let mut narrow = testkit::plan(3, Duration::from_secs(300));
        narrow.network.mtu = Some(1_000);
        assert_excused(&mut Stand::of(narrow), "narrower than 1,200");
        let mut slow = testkit::plan(3, Duration::from_secs(300));
        slow.network.bandwidth = Some(1_000_000);
        assert_excused(&mut Stand::of(slow), "bandwidth");
    }

    #[test]
    fn what_was_forgotten_by_all_and_comes_back_has_to_be_forgotten_anew() {
        let is_judged =
            |ms| matches!(stand().judge_disturbed(at_ms(ms)), SettlingVerdict::Unsettled { .. });
        assert!(is_judged(200_000) && !is_judged(290_000));
    }

    #[test]
    fn a_seed_that_moved_on_is_no_way_in() {
        let mut plan = testkit::plan(3, Duration::from_secs(300));
        plan.incarnations.iter_mut().for_each(|start| start.way_in = WayIn::Seeds(vec![]));
        // Node 2 was given the address that node 1 had then.
        plan.incarnations[2].way_in = WayIn::Seeds(vec![1]);
        let moved = testkit::restart(&mut plan, 1, at_ms(9_000));
        let public = &mut plan.incarnations[moved].public;
        *public = public.with_addr("10.9.9.9:8000".parse().unwrap());
        plan.incarnations[moved].way_in = WayIn::Seeds(vec![0]);
        let mut later = plan.clone();
        let mut stand = Stand::of(plan);
        stand.truth.set(at_ms(9_000), 1, State::Live(3));
        stand.commit();
        assert_excused(&mut stand, "islands: nodes 0 and 2");
        // It moved in the very instant in which node 2 started: either may have been given.
        later.incarnations[2].start = at_ms(9_000);
        let mut stand = Stand::of(later.clone());
        stand.truth.set(at_ms(9_000), 1, State::Live(3));
        stand.commit();
        assert_excused(&mut stand, "islands: nodes 0 and 2");
        // Where it is again in the end.
        testkit::restart(&mut later, 1, at_ms(12_000));
        let mut stand = Stand::of(later);
        stand.truth.set(at_ms(12_000), 1, State::Live(4));
        stand.commit();
        assert_excused(&mut stand, "islands: nodes 0 and 2");
    }
}
