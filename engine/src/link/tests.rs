//! The link model against its promises, and against a naive reading of the changes in force.

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn at_ms(ms: u64) -> Instant {
    Instant::ZERO + MS * ms as u32
}

fn lan() -> Link {
    Link::uniform(MS, MS * 10)
}

fn percent(percent: u64) -> Probability {
    Probability::from_ppb(percent * 10_000_000)
}

fn fates(link: Link, packets: usize) -> Vec<Fate> {
    let mut model = LinkModel::new(1, link);
    (0..packets).map(|_| model.fate(Instant::ZERO, 0, 1, 100)).collect()
}

fn passes_both_ways(model: &LinkModel, a: u32, b: u32) -> bool {
    assert_eq!(model.passes(a, b), model.passes(b, a), "a symmetric change");
    model.passes(a, b)
}

#[test]
fn a_fifth_of_the_packets_is_lost_at_20_percent() {
    let link = Link { loss: percent(20).into(), ..lan() };
    let lost = fates(link, 100_000).iter().filter(|&&fate| fate == Fate::Lost).count();
    assert!((19_500..20_500).contains(&lost), "{lost} of 100000");
}

#[test]
fn bursts_lose_their_share_and_leave_the_way_back_alone() {
    let burst = Burst { enter: percent(2), leave: percent(20), loss: percent(80) };
    let mut model = LinkModel::new(1, Link { loss: Loss::Bursts(burst), ..lan() });
    let mut lose = |from, to| model.fate(Instant::ZERO, from, to, 100) == Fate::Lost;
    let lost: Vec<bool> = (0..100_000).map(|_| lose(0, 1)).collect();
    let share = lost.iter().filter(|&&lost| lost).count();
    // One packet of eleven falls into a burst, four of five of those are lost.
    assert!((6_700..7_900).contains(&share), "{share} of 100000");
    let after_a_loss = lost.windows(2).filter(|pair| pair[0] && pair[1]).count() * 100 / share;
    assert!((58..70).contains(&after_a_loss), "{after_a_loss} % of losses follow another");
    assert!((1_650..1_990).contains(&model.bursts()), "{} bursts", model.bursts());
    assert!(!model.passes(1, 0) || !model.has_cuts(), "a burst is no cut");
}

#[test]
fn what_is_held_back_is_counted() {
    let mut model = LinkModel::new(1, Link { reorder: percent(10), ..Link::uniform(MS, MS) });
    let fates: Vec<_> = (0..1_000).map(|_| model.fate(Instant::ZERO, 0, 1, 100)).collect();
    let late = Fate::Delivered { at: at_ms(2), again: None };
    let held_back = fates.iter().filter(|&&fate| fate == late).count() as u64;
    assert_eq!(model.held_back(), held_back);
    assert!((70..130).contains(&held_back), "{held_back} of 1000");
}

#[test]
fn delays_fill_the_closed_range_evenly() {
    let mut delays = Vec::new();
    for fate in fates(lan(), 90_000) {
        let Fate::Delivered { at, again: None } = fate else { panic!("{fate:?}") };
        delays.push(at - Instant::ZERO);
    }
    assert!(delays.iter().all(|delay| (MS..=MS * 10).contains(delay)));
    for ms in 1..10 {
        let within = MS * ms..MS * (ms + 1);
        let count = delays.iter().filter(|delay| within.contains(delay)).count();
        assert!((9_600..10_400).contains(&count), "{count} of 90000 in {within:?}");
    }
}

#[test]
fn a_range_of_one_delay_has_no_spread() {
    let fate = fates(Link::uniform(MS * 5, MS * 5), 1)[0];
    assert_eq!(fate, Fate::Delivered { at: at_ms(5), again: None });
}

#[test]
fn a_table_is_read_linearly_between_its_quantiles() {
    let table = Latency::Table([0, 100, 1_000].into());
    let at = |bits| table.at(bits).as_nanos();
    assert_eq!(at(0), 0);
    assert_eq!(at(1 << 62), 50);
    assert_eq!(at(1 << 63), 100);
    assert_eq!(at((1 << 63) + (1 << 62)), 550);
    assert_eq!(at(u64::MAX), 999);
    assert_eq!(Latency::Table([7].into()).at(u64::MAX).as_nanos(), 7);
}

#[test]
fn copies_come_in_their_share_and_with_delays_of_their_own() {
    let fates = fates(Link { duplicate: percent(10), ..lan() }, 100_000);
    let pair = |fate: &Fate| match *fate {
        Fate::Delivered { at, again: Some(again) } => Some((at, again)),
        _ => None,
    };
    let copies: Vec<_> = fates.iter().filter_map(pair).collect();
    assert!((9_500..10_500).contains(&copies.len()), "{} of 100000", copies.len());
    let overtaken = copies.iter().filter(|(at, again)| again < at).count();
    assert!((4_500..5_500).contains(&overtaken), "{overtaken} copies came first");
}

#[test]
fn jitter_adds_and_reordering_holds_back() {
    let fixed = Link::uniform(MS * 5, MS * 5);
    let latest = |link| {
        let arrival = |fate: &Fate| match *fate {
            Fate::Delivered { at, .. } => at,
            _ => Instant::ZERO,
        };
        fates(link, 10_000).iter().map(arrival).max().unwrap()
    };
    let jittery = latest(Link { jitter: MS * 2, ..fixed.clone() });
    assert!(jittery > at_ms(6) && jittery <= at_ms(7), "{jittery}");
    assert_eq!(latest(Link { reorder: percent(1), ..fixed }), at_ms(10));
}

#[test]
fn a_corrupted_packet_and_one_above_the_mtu_do_not_arrive() {
    let bad = fates(Link { corrupt: percent(5), ..lan() }, 100_000);
    let bad = bad.iter().filter(|&&fate| fate == Fate::Corrupted).count();
    assert!((4_700..5_300).contains(&bad), "{bad} of 100000");
    let mut model = LinkModel::new(1, Link { mtu: Some(1_500), ..lan() });
    assert_eq!(model.fate(Instant::ZERO, 0, 1, 1_501), Fate::Oversize);
    assert!(matches!(model.fate(Instant::ZERO, 0, 1, 1_500), Fate::Delivered { .. }));
}

#[test]
fn bandwidth_delays_queues_and_overflows_for_each_direction() {
    let slow = Link { bandwidth: Some(8_000), queue: 2_500, ..Link::uniform(MS, MS) };
    let mut model = LinkModel::new(1, slow);
    let mut send = |from, to| model.fate(Instant::ZERO, from, to, 1_000);
    let arrives = |ms| Fate::Delivered { at: at_ms(ms), again: None };
    // 1,000 bytes take a second: the first goes at once, the second waits, the third has no room.
    assert_eq!(
        [send(0, 1), send(0, 1), send(0, 1)],
        [arrives(1_001), arrives(2_001), Fate::Overflow]
    );
    assert_eq!([send(1, 0), send(0, 2)], [arrives(1_001), arrives(1_001)]);
    assert_eq!(model.fate(at_ms(5_000), 0, 1, 1_000), arrives(6_001));
}

#[test]
fn a_partition_cuts_both_ways_and_the_unnamed_form_one_more_group() {
    let mut model = LinkModel::new(1, lan());
    let id = model.apply(NetworkChange::Partition(vec![vec![0, 1], vec![2]]));
    assert_eq!(model.fate(Instant::ZERO, 0, 2, 100), Fate::Cut);
    assert_eq!(model.fate(Instant::ZERO, 2, 0, 100), Fate::Cut);
    assert!(passes_both_ways(&model, 0, 1) && passes_both_ways(&model, 3, 4_000));
    assert!(!passes_both_ways(&model, 0, 3) && !passes_both_ways(&model, 2, 4_000));
    assert!(model.has_cuts());
    model.undo(id);
    assert!(passes_both_ways(&model, 0, 2) && !model.has_cuts());
}

#[test]
fn partitions_add_up_and_each_is_undone_by_itself() {
    let mut model = LinkModel::new(1, lan());
    let halves = model.apply(NetworkChange::Partition(vec![vec![0, 1], vec![2, 3]]));
    model.apply(NetworkChange::Partition(vec![vec![0, 2], vec![1, 3]]));
    let open = |model: &LinkModel| {
        let pairs = (0..4).flat_map(|a| (a + 1..4).map(move |b| (a, b)));
        pairs.filter(|&(a, b)| passes_both_ways(model, a, b)).collect::<Vec<_>>()
    };
    assert_eq!(open(&model), []);
    model.undo(halves);
    assert_eq!(open(&model), [(0, 2), (1, 3)]);
}

#[test]
fn the_isolated_reach_nobody_not_even_each_other() {
    let mut model = LinkModel::new(1, lan());
    model.apply(NetworkChange::Isolate(vec![1, 2]));
    assert!(!passes_both_ways(&model, 1, 2) && !passes_both_ways(&model, 0, 1));
    assert!(passes_both_ways(&model, 0, 3));
}

#[test]
fn the_latest_change_of_a_property_wins_and_undoing_it_restores_the_earlier() {
    let fixed = |ms| LinkChange {
        latency: Some(Latency::Uniform { min: MS * ms, max: MS * ms }),
        ..LinkChange::default()
    };
    let mut model = LinkModel::new(1, lan());
    let arrival = |model: &mut LinkModel| model.fate(Instant::ZERO, 0, 1, 100);
    let arrives = |ms| Fate::Delivered { at: at_ms(ms), again: None };
    let everywhere = model.apply(NetworkChange::Everywhere(fixed(20)));
    assert_eq!(arrival(&mut model), arrives(20));
    let links =
        |change| NetworkChange::Links { from: vec![0], to: vec![1], ways: Ways::One, change };
    let pair = model.apply(links(fixed(30)));
    let lossless = LinkChange { loss: Some(Loss::NONE), ..LinkChange::default() };
    model.apply(links(lossless));
    assert_eq!(arrival(&mut model), arrives(30));
    assert_eq!(model.fate(Instant::ZERO, 1, 0, 100), arrives(20));
    model.undo(pair);
    assert_eq!(arrival(&mut model), arrives(20));
    model.undo(everywhere);
    assert!(matches!(arrival(&mut model), Fate::Delivered { at, .. } if at <= at_ms(10)));
}

#[test]
fn a_loss_of_all_packets_one_way_is_a_cut_of_that_direction() {
    let mut model = LinkModel::new(1, lan());
    let change = LinkChange { loss: Some(Loss::ALL), ..LinkChange::default() };
    let (from, to, ways) = (vec![0, 1], vec![2], Ways::One);
    model.apply(NetworkChange::Links { from, to, ways, change });
    assert_eq!(model.fate(Instant::ZERO, 1, 2, 100), Fate::Cut);
    assert!(!model.passes(0, 2) && model.passes(2, 0) && model.has_cuts());
}

#[test]
fn a_feature_that_is_off_moves_no_other_decision() {
    let plain = fates(lan(), 1_000);
    let busy =
        Link { duplicate: percent(50), corrupt: percent(10), loss: percent(10).into(), ..lan() };
    for (plain, busy) in plain.iter().zip(fates(busy, 1_000)) {
        let (Fate::Delivered { at, .. }, Fate::Delivered { at: same, .. }) = (plain, busy) else {
            continue;
        };
        assert_eq!(*at, same);
    }
}

#[test]
fn a_cut_does_not_move_the_fates_after_it() {
    let mut cut = LinkModel::new(1, lan());
    let id = cut.apply(NetworkChange::Isolate(vec![0]));
    let mut open = LinkModel::new(1, lan());
    for _ in 0..10 {
        open.fate(Instant::ZERO, 0, 1, 100);
        assert_eq!(cut.fate(Instant::ZERO, 0, 1, 100), Fate::Cut);
    }
    cut.undo(id);
    assert_eq!(cut.fate(at_ms(1), 0, 1, 100), open.fate(at_ms(1), 0, 1, 100));
}

#[test]
fn senders_do_not_move_each_other() {
    let alone = fates(lan(), 1)[0];
    let mut model = LinkModel::new(1, lan());
    model.fate(Instant::ZERO, 7, 0, 100);
    assert_eq!(model.fate(Instant::ZERO, 0, 9, 100), alone);
}

#[test]
fn fates_hold_their_golden_values() {
    let link = Link { loss: percent(20).into(), duplicate: percent(50), jitter: MS, ..lan() };
    let mut model = LinkModel::new(7, link);
    let fates: Vec<_> = (0..6).map(|to| model.fate(Instant::ZERO, 3, to, 100)).collect();
    let nanos = |at: Instant| at.as_nanos();
    let plain = fates.iter().map(|fate| match *fate {
        Fate::Delivered { at, again } => (nanos(at), again.map(nanos)),
        _ => (0, None),
    });
    assert_eq!(plain.collect::<Vec<_>>(), GOLDEN);
}

const GOLDEN: [(u64, Option<u64>); 6] = [
    (0, None),
    (5_147_142, Some(6_785_145)),
    (0, None),
    (3_183_728, None),
    (0, None),
    (6_964_684, Some(4_108_728)),
];

const ENDPOINTS: u32 = 6;

fn set() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::btree_set(0..ENDPOINTS, 0..4).prop_map(|set| set.into_iter().collect())
}

fn change() -> impl Strategy<Value = NetworkChange> {
    let certain = prop::option::of(0_u64..2);
    let latency = prop::option::of((0_u32..3, 0_u32..3));
    let link_change =
        (certain, prop::option::of(1_u32..100), latency).prop_map(|(certain, mtu, latency)| {
            LinkChange {
                loss: certain.map(|certain| percent(certain * 100).into()),
                mtu,
                latency: latency
                    .map(|(min, more)| Latency::Uniform { min: min * MS, max: (min + more) * MS }),
                ..LinkChange::default()
            }
        });
    let ways = prop_oneof![Just(Ways::One), Just(Ways::Both)];
    prop_oneof![
        prop::collection::vec(0_usize..3, ENDPOINTS as usize).prop_map(|group_of| {
            // The last group is that of the endpoints that no group names.
            let group = |group| (0..ENDPOINTS).filter(|&e| group_of[e as usize] == group).collect();
            NetworkChange::Partition((0..2).map(group).collect())
        }),
        set().prop_map(NetworkChange::Isolate),
        (set(), set(), ways, link_change.clone())
            .prop_map(|(from, to, ways, change)| NetworkChange::Links { from, to, ways, change }),
        link_change.prop_map(NetworkChange::Everywhere),
    ]
}

/// The link between two endpoints, read off the changes one by one; `None` is cut.
fn naive(changes: &[&NetworkChange], from: u32, to: u32) -> Option<Link> {
    let mut link = lan();
    for change in changes {
        match change {
            NetworkChange::Partition(groups) => {
                let group = |e| groups.iter().position(|group| group.contains(&e));
                if group(from) != group(to) {
                    return None;
                }
            }
            NetworkChange::Isolate(alone) if alone.contains(&from) || alone.contains(&to) => {
                return None;
            }
            NetworkChange::Isolate(_) => {}
            NetworkChange::Links { from: a, to: b, ways, change } => {
                let forth = a.contains(&from) && b.contains(&to);
                let back = *ways == Ways::Both && a.contains(&to) && b.contains(&from);
                if forth || back {
                    change.apply(&mut link);
                }
            }
            NetworkChange::Everywhere(change) => change.apply(&mut link),
        }
    }
    (!link.is_cut()).then_some(link)
}

proptest! {
    #[test]
    fn routes_are_those_of_the_changes_in_force(
        changes in prop::collection::vec((change(), any::<bool>()), 0..6),
    ) {
        let mut model = LinkModel::new(1, lan());
        let ids: Vec<_> = changes.iter().map(|(change, _)| model.apply(change.clone())).collect();
        for (&id, (_, undone)) in ids.iter().zip(&changes) {
            if *undone {
                model.undo(id);
            }
        }
        let left: Vec<_> = changes.iter().filter(|(_, undone)| !undone).map(|(c, _)| c).collect();
        for (from, to) in (0..=ENDPOINTS).flat_map(|a| (0..=ENDPOINTS).map(move |b| (a, b))) {
            let truth = naive(&left, from, to);
            prop_assert_eq!(model.passes(from, to), truth.is_some());
            prop_assert!(truth.is_some() || model.has_cuts());
            let oversize = truth.as_ref().is_some_and(|link| link.mtu.is_some());
            match model.fate(Instant::ZERO, from, to, 1_000) {
                Fate::Cut => prop_assert!(truth.is_none()),
                Fate::Oversize => prop_assert!(oversize),
                fate => prop_assert!(truth.is_some() && !oversize, "{:?}", fate),
            }
            let soonest = Instant::ZERO + model.latency_min();
            let (datagram, stream) =
                (model.fate(Instant::ZERO, from, to, 1), model.stream(Instant::ZERO, from, to, 1));
            for fate in [datagram, stream] {
                if let Fate::Delivered { at, again } = fate {
                    prop_assert!(at >= soonest && again.is_none_or(|again| again >= soonest));
                }
            }
        }
        for (a, b) in (0..=ENDPOINTS).flat_map(|a| (0..a).map(move |b| (a, b))) {
            if model.class(a) == model.class(b) {
                for other in (0..=ENDPOINTS).filter(|&other| other != a && other != b) {
                    prop_assert_eq!(naive(&left, a, other), naive(&left, b, other));
                    prop_assert_eq!(naive(&left, other, a), naive(&left, other, b));
                }
            }
        }
    }

    #[test]
    fn equal_seeds_give_equal_fates(seed in any::<u64>(), packets in prop::collection::vec(
        (0_u64..1_000_000, 0_u32..4, 0_u32..4, 1_usize..2_000), 1..50,
    )) {
        let link = Link {
            loss: percent(20).into(), duplicate: percent(20), reorder: percent(20), jitter: MS,
            bandwidth: Some(10_000_000), queue: 4_000, mtu: Some(1_500), ..lan()
        };
        let mut models = [(); 2].map(|()| LinkModel::new(seed, link.clone()));
        let mut now = Instant::ZERO;
        for (wait, from, to, len) in packets {
            now = now + Duration::from_nanos(wait);
            let [one, two] = models.each_mut().map(|model| model.fate(now, from, to, len));
            prop_assert_eq!(one, two);
            if let Fate::Delivered { at, .. } = one {
                prop_assert!(at >= now + MS);
            }
        }
    }
}
