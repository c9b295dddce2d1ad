//! Plans of small scenarios, as sentences.

mod faults;

use rumormill::link::{Latency, Loss};
use rumormill::rng::Probability;
use rumormill::units::show_duration;

use super::*;
use crate::scenario::addresses::AddressBook;
use crate::scenario::parse;
use crate::scenario::plan::{Links, Plan, Ways};

fn plan_of(seed: u64, nodes: u32, rest: &str) -> Plan {
    let text = format!("name = 'x'\nnodes = {nodes}\nduration = '60s'\n{rest}");
    let scenario = parse("x.toml", &text, &[]).unwrap_or_else(|error| panic!("{error}"));
    scenario.plan(seed).unwrap_or_else(|error| panic!("{error}"))
}

fn plan(rest: &str) -> Plan {
    plan_of(1, 10, rest)
}

/// One `[[at]]` for each `TIME ACTION`, further keys after `;`.
fn at(actions: &[&str]) -> String {
    let block = |action: &&str| {
        let (time, rest) = action.split_once(' ').unwrap();
        format!("[[at]]\ntime = '{time}'\n{}\n", rest.replace("; ", "\n"))
    };
    actions.iter().map(block).collect()
}

fn texts(plan: &Plan) -> Vec<String> {
    let show = |action: &Action| {
        format!("{} {}", show_duration(action.at.since(Instant::ZERO)), action.text)
    };
    plan.actions.iter().map(show).collect()
}

fn comings(plan: &Plan) -> Vec<(u64, NodeNo, String, WayIn)> {
    let later = plan.incarnations.iter().filter(|born| born.cause != StartCause::Initial);
    later
        .map(|born| {
            let millis = born.start.as_nanos() / 1_000_000;
            (millis, born.node, born.public.addr().to_string(), born.way_in.clone())
        })
        .collect()
}

#[test]
fn without_actions_all_nodes_start_at_zero_with_node_0_as_their_seed() {
    let plan = plan("");
    assert_eq!((plan.nodes, plan.nodes_ever, plan.incarnations.len()), (10, 10, 10));
    for (node, born) in (0..).zip(&plan.incarnations) {
        assert_eq!((born.node, born.start, born.cause), (node, Instant::ZERO, StartCause::Initial));
        assert_eq!(born.public.name(), format!("node-{node}"));
        assert_eq!(born.public.addr().to_string(), format!("10.0.1.{node}:8000"));
        let seeds = if node == 0 { vec![] } else { vec![0] };
        assert_eq!(born.way_in, WayIn::Seeds(seeds));
    }
}

#[test]
fn defaults_follow_from_cycle_and_duration() {
    let millis = Duration::from_millis;
    let short = plan("");
    assert_eq!((short.warmup, short.sample), (millis(10_000), millis(100)));
    assert_eq!(plan("[engine]\ncycle = '100ms'").warmup, millis(1_000));
    assert_eq!(plan("[engine]\ncycle = '10s'").warmup, millis(12_000));
    assert_eq!(short.rumor_rows_max, 200_000);
    assert_eq!(short.network.loss, Loss::NONE);
    let latency = Latency::Uniform { min: millis(1), max: millis(10) };
    assert_eq!(short.network.latency, latency);
    assert_eq!((short.expect_seeds.share, short.overridden), (1.0, false));
}

#[test]
fn a_cluster_above_the_default_limit_raises_it() {
    assert_eq!(plan_of(1, 70_000, "").engine.members_max(), 70_000);
    assert_eq!(plan("").engine.members_max(), 65_536);
    let joined = plan_of(1, 65_536, &at(&["1s join = { count = 3 }"]));
    assert_eq!(joined.engine.members_max(), 65_539);
}

#[test]
fn random_seeds_are_others_and_differ_by_seed_of_the_run() {
    let bootstrap = "bootstrap = { random = 3 }";
    let plans = [1, 2].map(|seed| plan_of(seed, 50, bootstrap));
    for born in &plans[0].incarnations {
        let WayIn::Seeds(seeds) = &born.way_in else { panic!("seeds") };
        let mut distinct = seeds.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert!(distinct.len() == 3 && !seeds.contains(&born.node) && seeds[0] < 50, "{seeds:?}");
    }
    let ways = |plan: &Plan| -> Vec<WayIn> {
        plan.incarnations.iter().map(|born| born.way_in.clone()).collect()
    };
    assert_ne!(ways(&plans[0]), ways(&plans[1]));
    let few = plan_of(1, 3, "bootstrap = { random = 8 }");
    assert!(
        few.incarnations.iter().all(|born| matches!(&born.way_in, WayIn::Seeds(s) if s.len() == 2))
    );
    let some = plan_of(1, 40, "bootstrap = { knows = '75%' }");
    for born in &some.incarnations {
        let WayIn::Knows(nodes) = &born.way_in else { panic!("a list") };
        assert!(nodes.len() == 29 && !nodes.contains(&born.node), "{nodes:?}");
    }
    for (bootstrap, entries) in [("'full'", 0), ("{ entries = 7 }", 7)] {
        let plan = plan(&format!("bootstrap = {bootstrap}"));
        assert!(plan.incarnations.iter().all(|born| born.way_in == WayIn::Full));
        assert_eq!(plan.entries, entries);
    }
}

#[test]
fn starts_are_spread_and_in_order() {
    let plan = plan_of(1, 50, "start = '1s..2s'");
    let starts: Vec<u64> = plan.incarnations.iter().map(|born| born.start.as_nanos()).collect();
    assert!(starts.is_sorted());
    assert!(starts[0] >= 1_000_000_000 && starts[49] <= 2_000_000_000 && starts[0] < starts[49]);
    let mut nodes: Vec<NodeNo> = plan.incarnations.iter().map(|born| born.node).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, (0..50).collect::<Vec<_>>());
}

#[test]
fn live_leaves_out_who_has_not_started_yet() {
    let plan = plan_of(1, 50, &format!("start = '1s..2s'\n{}", at(&["1500ms crash = 'live'"])));
    let Deed::Crash(nodes) = &plan.actions[0].deed else { panic!("a crash") };
    let early = plan.incarnations.iter().filter(|born| born.start.as_nanos() <= 1_500_000_000);
    let mut early: Vec<NodeNo> = early.map(|born| born.node).collect();
    early.sort_unstable();
    assert_eq!(nodes, &early);
    assert!(!nodes.is_empty() && nodes.len() < 50);
}

#[test]
fn actions_run_in_order_of_time_then_of_the_file() {
    let plan = plan(&at(&["20s crash = 1", "10s stop = 2", "20s crash = 3", "10s loss = '5%'"]));
    assert_eq!(texts(&plan), ["10s stop 2", "10s loss 5%", "20s crash 1", "20s crash 3"]);
}

#[test]
fn what_is_undone_is_undone_before_the_actions_of_that_time() {
    let plan = plan(&at(&["20s partition = ['0..5']", "10s partition = ['5..10']; for = '10s'"]));
    assert_eq!(
        texts(&plan),
        ["10s partition 5..10 for 10s", "20s heal partition-2", "20s partition 0..5"]
    );
}

#[test]
fn each_action_on_the_network_is_undone_by_itself() {
    let plan = plan(&at(&[
        "10s isolate = 3; for = '5s'",
        "10s loss = '20%'; for = '5s'; label = 'rain'",
        "10s link = { from = 1, to = 2, latency = '1s' }; for = '5s'",
    ]));
    let healed: Vec<&Deed> = plan.actions[3..].iter().map(|action| &action.deed).collect();
    for (place, deed) in healed.iter().enumerate() {
        assert!(matches!(deed, Deed::Heal(Heal::Action(healed)) if *healed == place), "{deed:?}");
    }
    assert_eq!(plan.actions[4].text, "heal rain");
    assert_eq!(plan.actions[2].text, "link 1 -> 2: latency 1s for 5s");
}

#[test]
fn what_would_be_undone_after_the_end_stays() {
    let plan = plan(&at(&["50s loss = '5%'; for = '11s'", "50s crash = 3; for = '11s'"]));
    assert_eq!(texts(&plan), ["50s loss 5% for 11s", "50s crash 3 for 11s"]);
    assert!(matches!(plan.actions[1].deed, Deed::Crash(_)));
    assert_eq!(plan.incarnations.len(), 10);
}

#[test]
fn a_crash_for_a_time_is_a_restart_at_the_same_address() {
    let plan =
        plan(&at(&["10s crash = [3, 4]; for = '3s'", "12s publish = { node = 5, data = 'x' }"]));
    let Deed::Restart { nodes, manner, comes_back } = &plan.actions[0].deed else { panic!() };
    assert_eq!(
        (nodes.as_slice(), *manner, comes_back.clone()),
        (&[3, 4][..], Manner::Crash, 10..12)
    );
    let seeds = || WayIn::Seeds(vec![0]);
    assert_eq!(
        comings(&plan),
        [
            (13_000, 3, "10.0.1.3:8000".to_owned(), seeds()),
            (13_000, 4, "10.0.1.4:8000".to_owned(), seeds())
        ]
    );
}

#[test]
fn who_went_politely_comes_back_as_well() {
    let plan = plan(&at(&["10s leave = 3; for = '3s'"]));
    assert!(matches!(plan.actions[0].deed, Deed::Restart { manner: Manner::Leave, .. }));
    assert_eq!(plan.actions[0].text, "leave 3 for 3s");
}

#[test]
fn new_addresses_follow_those_of_all_nodes_and_lead_back() {
    let plan = plan(&at(&[
        "5s restart = { nodes = [2, 3], address = 'new', private_data = 'moved' }",
        "20s restart = { nodes = 3, address = 'new' }",
        "30s restart = 3",
        "40s join = { count = 2 }",
    ]));
    let comings: Vec<(NodeNo, String)> =
        comings(&plan).into_iter().map(|(_, node, addr, _)| (node, addr)).collect();
    let expected = [(2, 12), (3, 13), (3, 14), (3, 14), (10, 10), (11, 11)];
    assert_eq!(comings, expected.map(|(node, ip)| (node, format!("10.0.1.{ip}:8000"))));
    assert_eq!(plan.incarnations[12].public.private_data(), "moved");
    let book = AddressBook::of(&plan);
    assert_eq!(book.len(), 15);
    for born in &plan.incarnations {
        assert_eq!(book.node(born.public.addr()), Some(born.node));
    }
    assert_eq!(book.node("10.0.1.15:8000".parse().unwrap()), None);
    assert_eq!(book.node("10.0.1.1:8001".parse().unwrap()), None);
    assert_eq!(book.node("[::1]:8000".parse().unwrap()), None);
}

#[test]
fn who_comes_back_at_its_former_address_goes_back_and_forth() {
    let plan =
        plan(&at(&["5s restart = { nodes = 3, address = 'former' }; every = '5s'; count = 5"]));
    let comings: Vec<String> = comings(&plan).into_iter().map(|(.., addr, _)| addr).collect();
    assert_eq!(comings, [10, 3, 10, 3, 10].map(|ip| format!("10.0.1.{ip}:8000")));
    assert_eq!(plan.actions[1].text, "restart 3 (crash, down 1s, former address)");
    assert_eq!(AddressBook::of(&plan).len(), 11);
}

#[test]
fn who_returns_while_its_seed_is_down_is_given_live_nodes() {
    let plan = plan(&at(&["10s crash = 0", "20s restart = 7", "30s restart = 0"]));
    let comings = comings(&plan);
    for (_, node, _, way_in) in comings {
        let WayIn::Seeds(seeds) = way_in else { panic!("seeds") };
        assert_eq!(seeds.len(), 3, "node {node}: {seeds:?}");
        assert!(!seeds.contains(&0) && !seeds.contains(&node));
    }
}

#[test]
fn a_stop_for_a_time_starts_those_that_are_still_stopped() {
    let plan = plan(&at(&["10s stop = '0..4'; for = '10s'", "12s start = 1", "15s crash = 2"]));
    assert_eq!(
        texts(&plan),
        ["10s stop 0..4 for 10s", "12s start 1", "15s crash 2", "20s start 0, 3"]
    );
}

#[test]
fn stopped_nodes_are_not_live_but_can_crash() {
    let plan = plan(&at(&["10s stop = '0..4'", "11s isolate = 'live'", "12s crash = 3"]));
    assert_eq!(texts(&plan), ["10s stop 0..4", "11s isolate 4..10", "12s crash 3"]);
}

#[test]
fn newcomers_are_numbered_on_and_spread_over_the_time() {
    let plan = plan(&at(&[
        "10s join = { count = 4, via = [1, 2], over = '2s' }",
        "11s crash = 'joined'",
        "13s isolate = 'joined'",
        "14s stop = 'all'",
    ]));
    let comings = comings(&plan);
    let starts: Vec<(u64, NodeNo)> = comings.iter().map(|&(at, node, ..)| (at, node)).collect();
    assert_eq!(starts, [(10_000, 10), (10_500, 11), (11_000, 12), (11_500, 13)]);
    assert!(comings.iter().all(|(.., way_in)| *way_in == WayIn::Seeds(vec![1, 2])));
    assert_eq!(
        texts(&plan),
        [
            "10s join 10..14 via 1, 2 over 2s",
            "11s crash 10..13",
            "13s isolate 10..14",
            "14s stop 0..10, 13"
        ]
    );
    assert_eq!((plan.nodes, plan.nodes_ever), (10, 14));
}

#[test]
fn a_random_choice_is_drawn_once_per_occurrence_and_run() {
    let actions = at(&[
        "10s isolate = { random = 5 }; for = '5s'; label = 'a'",
        "30s isolate = { random = 5 }; label = 'b'",
        "40s partition = [{ random = 20, from = '0..25' }, { random = 20, from = '25..50' }]",
    ]);
    let choice = |plan: &Plan, index: usize| match &plan.actions[index].deed {
        Deed::Isolate(nodes) => nodes.clone(),
        Deed::Partition(groups) => groups.concat(),
        other => panic!("{other:?}"),
    };
    let plans = [1, 1, 2].map(|seed| plan_of(seed, 50, &actions));
    assert_eq!(choice(&plans[0], 0), choice(&plans[1], 0));
    assert_ne!(choice(&plans[0], 0), choice(&plans[2], 0));
    assert_ne!(choice(&plans[0], 0), choice(&plans[0], 2));
    let more = plan_of(1, 50, &format!("{actions}{}", at(&["5s stop = { random = 1 }"])));
    assert_eq!(choice(&plans[0], 3), choice(&more, 4), "a choice added at the end moved others");
}

#[test]
fn bad_luck_leaves_an_action_without_nodes_but_is_no_error() {
    let plan = plan(&at(&["10s crash = { random = 10 }", "20s crash = 3", "30s restart = 3"]));
    assert_eq!(texts(&plan)[1], "20s crash nobody");
    assert_eq!(texts(&plan)[2], "30s restart 3 (crash, down 1s)");
}

#[test]
fn a_publish_has_its_bytes() {
    let plan = plan(&at(&[
        "10s publish = { node = 3, data = 'naïve' }",
        "20s publish = { node = 3, size = 1000 }",
        "30s publish = { node = 3, size = 1000 }",
    ]));
    let data = |index: usize| match &plan.actions[index].deed {
        Deed::Publish { node: 3, data } => data.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(&*data(0), "naïve".as_bytes());
    assert_eq!((data(1).len(), data(2).len()), (1000, 1000));
    assert_ne!(data(1), data(2));
    assert_eq!(texts(&plan)[0], "10s publish at 3: \"naïve\"");
}

#[test]
fn changes_of_links_hold_what_was_typed_and_nothing_else() {
    let plan = plan(&at(&[
        "10s link = { between = ['0..5', '5..10'], loss = '2.5%', mtu = 1500 }",
        "20s latency = { lognormal = { median = '5ms', p99 = '60ms' } }",
    ]));
    let Deed::Link { links: Links::Between(sets), change } = &plan.actions[0].deed else {
        panic!()
    };
    assert_eq!(sets.iter().map(Vec::len).collect::<Vec<_>>(), [5, 5]);
    assert_eq!(change.loss, Some(Probability::from_ppb(25_000_000).into()));
    assert_eq!((change.mtu, change.latency.clone(), change.queue), (Some(1500), None, None));
    assert_eq!(plan.actions[0].text, "link 0..5 <-> 5..10: loss 2.5%, mtu 1500");
    let Deed::Network(change) = &plan.actions[1].deed else { panic!() };
    assert!(matches!(&change.latency, Some(Latency::Table(table)) if table.len() == 4096));
}

#[test]
fn groups_name_nodes_and_give_them_settings_of_their_own() {
    let groups = "[groups.az-a]\nnodes = '0..3'\nname = 'a-{i}'\nprivate_data = 'zone=a'\n\
                  [groups.slow]\nnodes = [\"az-a[2]\", 'joined']\nclock = { offset = '-2s' }\n\
                  engine = { cycle = '2s' }\n";
    let actions = at(&[
        "10s join = { count = 1 }",
        "20s crash = ['az-a[1]', 7]",
        "30s restart = { nodes = 'slow', private_data = 'moved' }",
    ]);
    let plan = plan(&format!("{groups}{actions}"));
    assert_eq!(texts(&plan)[1..], ["20s crash a-1, 7", "30s restart slow (crash, down 1s)"]);
    let who = |index: usize| {
        let public = &plan.incarnations[index].public;
        (public.name().to_owned(), public.private_data().to_owned())
    };
    let pair = |name: &str, data: &str| (name.to_owned(), data.to_owned());
    assert_eq!([who(2), who(3)], [pair("a-2", "zone=a"), pair("node-3", "")]);
    assert_eq!([who(10), who(11)], [pair("node-10", ""), pair("a-2", "moved")]);
    let timeouts = [1, 2, 10, 11].map(|at| plan.incarnations[at].config.timeout().as_secs());
    assert_eq!(timeouts, [5, 8, 8, 8], "three cycles and two seconds");
    let behind = ClockChange::Offset { nanos: -2_000_000_000 };
    assert_eq!(plan.clocks, [(vec![2, 10], behind)]);
}

#[test]
fn static_links_are_there_from_the_beginning_and_hold_newcomers() {
    let plan = plan(&format!(
        "[groups.far]\nnodes = '50%..100%'\n[[link]]\nbetween = ['0..5', ['far', 'joined']]\n\
         latency = '40ms'\n[[link]]\nfrom = 'all'\nto = 0\nloss = '5%'\n{}",
        at(&["10s join = { count = 2 }", "20s heal = 'all'"])
    ));
    let sets = plan.links.iter().map(|link| match link {
        rumormill::link::NetworkChange::Links { from, to, ways, .. } => {
            (from.len(), to.len(), *ways)
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(sets.collect::<Vec<_>>(), [(5, 7, Ways::Both), (12, 1, Ways::One)]);
}

#[test]
fn what_repeats_is_undone_each_time_by_itself_and_drawn_anew() {
    let plan = plan_of(
        1,
        50,
        &at(&[
            "10s isolate = { random = 5 }; for = '8s'; every = '5s'; until = '20s'",
            "11s loss = '5%'; every = '20s'; count = 2",
        ]),
    );
    let lines = texts(&plan);
    let times: Vec<&str> = lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(times, ["10s", "11s", "15s", "18s", "20s", "23s", "28s", "31s"]);
    let set = |index: usize| match &plan.actions[index].deed {
        Deed::Isolate(nodes) => nodes.clone(),
        other => panic!("{other:?}"),
    };
    assert_ne!(set(0), set(2));
    let healed = |index: usize| match plan.actions[index].deed {
        Deed::Heal(Heal::Action(place)) => place,
        ref other => panic!("{other:?}"),
    };
    assert_eq!([healed(3), healed(5), healed(6)], [0, 2, 4]);
}

#[test]
fn jitter_is_drawn_for_each_time_and_never_passes_the_end() {
    let actions = at(&["10s loss = '5%'; every = '10s'; until = '60s'; jitter = '2s'"]);
    let late = |seed| -> Vec<u64> {
        let plan = plan_of(seed, 10, &actions);
        let late =
            |(round, action): (u64, &Action)| action.at.as_nanos() - (round + 1) * 10_000_000_000;
        (0..).zip(&plan.actions).map(late).collect()
    };
    let (one, other) = (late(1), late(2));
    assert!(one.len() == 6 && one.iter().all(|&nanos| nanos <= 2_000_000_000));
    assert!(one != other && one[0] != one[1] && one[5] == 0);
}

#[test]
fn a_stagger_takes_one_node_after_the_other_and_passes_over_who_is_gone() {
    let plan = plan(&at(&[
        "10s restart = { nodes = '0..4', down = '1s' }; stagger = '5s'",
        "12s crash = 2",
        "13s pause = [5, 6]; for = '1s'; stagger = '500ms'",
        "58s stop = 'all'; stagger = '1s'",
    ]));
    assert_eq!(
        texts(&plan)[..9],
        [
            "10s restart 0 (crash, down 1s)",
            "12s crash 2",
            "13s pause 5 for 1s",
            "13s 500ms pause 6 for 1s",
            "14s resume 5",
            "14s 500ms resume 6",
            "15s restart 1 (crash, down 1s)",
            "20s restart 2 (crash, down 1s)",
            "25s restart 3 (crash, down 1s)",
        ]
    );
    assert_eq!(texts(&plan)[9..], ["58s stop 0", "59s stop 1", "1m stop 2"]);
}

#[test]
fn the_paused_are_live_but_do_as_they_are_told_only_afterwards() {
    let plan = plan(&at(&[
        "10s pause = '0..3'; for = '10s'",
        "11s isolate = 'live'",
        "12s leave = '2..5'",
        "13s crash = 1",
        "14s pause = '0..=5'; for = '2s'",
        "22s stop = '0..3'",
    ]));
    assert_eq!(
        texts(&plan),
        [
            "10s pause 0..3 for 10s",
            "11s isolate 0..10",
            "12s leave 3, 4",
            "13s crash 1",
            "14s pause 5 for 2s",
            "16s resume 5",
            "20s resume 0, 2",
            "22s stop 0, 2"
        ]
    );
}

#[test]
fn clocks_change_and_are_set_right_again() {
    let plan = plan(&at(&[
        "10s clock = { nodes = [1, 2], jump = '-10s' }; for = '5s'",
        "20s clock = { nodes = 3, drift = '200ppm' }; for = '5s'",
        "30s clock = { nodes = 'all', offset = '1.5s' }",
    ]));
    assert_eq!(
        texts(&plan),
        [
            "10s clock 1, 2: jump -10s for 5s",
            "15s clock 1, 2: jump by -10s undone",
            "20s clock 3: drift 200ppm for 5s",
            "25s clock 3: no drift",
            "30s clock 0..10: offset 1s 500ms"
        ]
    );
}

#[test]
fn a_scenario_of_many_nodes_is_no_trouble() {
    let plan = plan_of(1, 200_000, &at(&["10s crash = { random = 1000 }; for = '5s'"]));
    assert_eq!(plan.incarnations.len(), 201_000);
}

#[test]
fn links_between_several_sets_are_those_between_any_two_of_them() {
    let plan = plan(&format!(
        "[groups.a]\nnodes = '0..2'\n[groups.b]\nnodes = '2..5'\n[groups.c]\nnodes = '5..9'\n\
         [[link]]\nbetween = ['a', 'b', 'c']\nlatency = '40ms'\n{}",
        at(&["10s loss = { loss = '100%', between = ['a', ['b', 9], 'c'] }"])
    ));
    let sets = |change: &rumormill::link::NetworkChange| match change {
        rumormill::link::NetworkChange::Links { from, to, ways: Ways::Both, .. } => {
            (from.len(), to.len())
        }
        other => panic!("{other:?}"),
    };
    let links: Vec<_> = plan.links.iter().map(sets).collect();
    assert_eq!(links, [(2, 3), (2, 4), (3, 4)]);
    let Deed::Link { links, change } = &plan.actions[0].deed else { panic!() };
    let changes: Vec<_> = links.changes(change).iter().map(sets).collect();
    assert_eq!(changes, [(2, 4), (2, 4), (4, 4)]);
    assert_eq!(texts(&plan), ["10s link a <-> b, 9 <-> c: loss 100%"]);
    assert!(plan.resolved.contains("between = [\"a\", \"b\", \"c\"]"), "{}", plan.resolved);
}
