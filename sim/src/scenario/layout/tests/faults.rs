//! Updates, sleeps, and restarts that forget.

use super::*;
use crate::scenario::plan::{Claim, Content, Ends, Injection, Lie, Memory, Speaker, StaleSeeds};

fn said(plan: &Plan) -> Vec<(NodeNo, String, String)> {
    let told = plan.actions.iter().filter_map(|action| match &action.deed {
        Deed::Update(said) => Some(said),
        _ => None,
    });
    let one = |(node, said): &(NodeNo, Node)| {
        (*node, said.name().to_owned(), said.private_data().to_owned())
    };
    told.flatten().map(one).collect()
}

#[test]
fn an_update_changes_what_it_names_and_lasts_over_a_restart_and_a_move() {
    let plan = plan(&at(&[
        "10s update = { nodes = [3, 5], name = 'b-{i}' }",
        "20s update = { nodes = 5, private_data = 'zone=b' }",
        "30s restart = { nodes = 5, address = 'new' }",
        "40s restart = { nodes = 5, private_data = 'zone=c' }",
    ]));
    let owned = |node, name: &str, data: &str| (node, name.to_owned(), data.to_owned());
    assert_eq!(said(&plan), [owned(3, "b-0", ""), owned(5, "b-1", ""), owned(5, "b-1", "zone=b")]);
    let back: Vec<_> = plan.incarnations[10..].iter().map(|born| &born.public).collect();
    let back = back.iter().map(|node| (node.name(), node.private_data(), node.addr().to_string()));
    assert_eq!(
        back.collect::<Vec<_>>(),
        [("b-1", "zone=b", "10.0.1.10:8000".into()), ("b-1", "zone=c", "10.0.1.10:8000".into())]
    );
    let texts = texts(&plan);
    assert_eq!(texts[0], "10s update 3, 5: name \"b-{i}\"");
    assert_eq!(texts[1], "20s update 5: private data \"zone=b\"");
}

#[test]
fn who_does_not_run_or_sleeps_is_not_updated() {
    let plan = plan(&at(&[
        "10s crash = 3",
        "10s suspend = 4",
        "20s update = { nodes = '3..6', private_data = 'x' }",
    ]));
    assert_eq!(said(&plan).into_iter().map(|(node, ..)| node).collect::<Vec<_>>(), [5]);
}

#[test]
fn a_sleep_ends_for_those_who_still_sleep() {
    let plan = plan(&at(&["10s suspend = [3, 4]; for = '5s'", "12s crash = 4"]));
    assert_eq!(texts(&plan), ["10s suspend 3, 4 for 5s", "12s crash 4", "15s resume 3"]);
    assert!(matches!(&plan.actions[0].deed, Deed::Suspend(nodes) if *nodes == [3, 4]));
    assert!(matches!(&plan.actions[2].deed, Deed::Resume(nodes) if *nodes == [3]));
}

#[test]
fn who_starves_or_is_slow_is_so_until_its_own_action_ends_whatever_else_befalls_it() {
    let plan = plan(&at(&[
        "10s starve = { nodes = [3, 4], delay = '500ms..2s' }; for = '15s'",
        "12s crash = 4",
        "14s slow = { nodes = 4, cpu = '0.5%' }; for = '5s'; every = '10s'; count = 2",
    ]));
    assert_eq!(
        texts(&plan),
        [
            "10s starve 3, 4 by 500ms..2s for 15s",
            "12s crash 4",
            "14s slow 4 to 0.5% of a processor for 5s",
            "19s relieve 4",
            "24s slow 4 to 0.5% of a processor for 5s",
            "25s relieve 3, 4",
            "29s relieve 4",
        ]
    );
    let whose = |place: usize| match &plan.actions[place].deed {
        Deed::Relieve { nodes, of } => (nodes.clone(), *of),
        other => panic!("{other:?}"),
    };
    assert_eq!([whose(3), whose(5), whose(6)], [(vec![4], 2), (vec![3, 4], 0), (vec![4], 4)]);
    let secs = Duration::from_secs_f64;
    let Deed::Starve { delay, .. } = &plan.actions[0].deed else { panic!("it starves") };
    assert_eq!(*delay, secs(0.5)..=secs(2.0));
    let Deed::Slow { cost, .. } = &plan.actions[2].deed else { panic!("it is slow") };
    assert_eq!(*cost, Duration::from_millis(6), "30 us on a two hundredth of a processor");
}

#[test]
fn a_restart_says_what_is_forgotten_and_how_long_the_seeds_are_stale() {
    let plan = plan(&at(&[
        "10s restart = { nodes = 3, forgets = 'generation' }",
        "20s restart = { nodes = 4, down = '2s', stale_seeds = '5s' }",
        "30s restart = 5",
        "40s restart = { nodes = 6, keep = true }",
        "50s restart = { nodes = 7, keep = false }",
    ]));
    let back = plan.incarnations[10..].iter().map(|born| (born.memory, born.stale_seeds));
    let at = |secs| Instant::ZERO + Duration::from_secs(secs);
    let stale = StaleSeeds { as_of: at(20), until: at(27) };
    assert_eq!(
        back.collect::<Vec<_>>(),
        [
            (Memory::Forgets, None),
            (Memory::Keeps, Some(stale)),
            (Memory::Keeps, None),
            (Memory::KeepsAll, None),
            (Memory::Keeps, None)
        ]
    );
    let texts = texts(&plan);
    assert_eq!(texts[0], "10s restart 3 (crash, down 1s, generation forgotten)");
    assert_eq!(texts[1], "20s restart 4 (crash, down 2s, seeds stale for 5s)");
    assert_eq!(texts[3], "40s restart 6 (crash, down 1s, all kept)");
}

#[test]
fn what_is_done_to_packets_is_laid_out_with_its_ends() {
    let plan = plan(&at(&[
        "10s drop = { kind = 'rumor' }",
        "11s drop = { kind = 'swap_request', nth = 3, from = '0..3', to = 7 }",
        "12s replay = { from = 1, after = '5s' }; for = '10s'",
        "13s replay = { to = 'all', after = '5s' }",
    ]));
    let all: Vec<NodeNo> = (0..10).collect();
    let ends = |from: Option<Vec<NodeNo>>, to: Option<Vec<NodeNo>>| Ends { from, to };
    let at = |secs| Instant::ZERO + Duration::from_secs(secs);
    let mut of = plan.actions.iter().map(|action| match &action.deed {
        Deed::Drop { nth, ends, .. } => (ends.clone(), *nth, None),
        Deed::Replay { ends, after, until } => (ends.clone(), after.as_secs(), *until),
        other => panic!("{other:?}"),
    });
    assert_eq!(of.next(), Some((ends(None, None), 1, None)));
    assert_eq!(of.next(), Some((ends(Some(vec![0, 1, 2]), Some(vec![7])), 3, None)));
    assert_eq!(of.next(), Some((ends(Some(vec![1]), None), 5, Some(at(22)))));
    assert_eq!(of.next(), Some((ends(None, Some(all)), 5, None)));
    assert_eq!(
        texts(&plan),
        [
            "10s drop rumor 1 all -> all",
            "11s drop swap_request 3 0..3 -> 7",
            "12s replay 1 -> all after 5s for 10s",
            "13s replay all -> 0..10 after 5s",
        ]
    );
    let only = ends(Some(vec![1, 5]), Some(vec![2]));
    assert!(only.have(5, 2) && !only.have(2, 2) && !only.have(5, 1));
}

#[test]
fn what_is_injected_speaks_of_whom_it_says_or_of_its_sender() {
    let plan = plan(&at(&[
        "10s inject = { to = '0..3', from = '10.9.9.9:80', kind = 'goodbye', of = 4 }",
        "11s inject = { to = 1, from = 5, kind = 'generation' }",
        "12s inject = { to = 1, from = '[fe80::1]:80', kind = 'join', generation = 'max' }",
        "13s inject = { to = 1, from = 5, kind = 'bytes', bytes = '726D' }",
    ]));
    let injected: Vec<&Injection> = plan
        .actions
        .iter()
        .filter_map(|action| match &action.deed {
            Deed::Inject(injection) => Some(injection),
            _ => None,
        })
        .collect();
    let stranger = |addr: &str| Speaker::Stranger(addr.parse().unwrap());
    let said = |lie, of, claim| Content::Of { lie, of, claim };
    assert_eq!(injected[0].to, [0, 1, 2]);
    assert_eq!(injected[0].from, stranger("10.9.9.9:80"));
    assert_eq!(injected[0].content, said(Lie::Goodbye, Speaker::Node(4), Claim::Present));
    assert_eq!(injected[1].content, said(Lie::Generation, Speaker::Node(5), Claim::Next));
    assert_eq!(injected[2].content, said(Lie::Join, stranger("[fe80::1]:80"), Claim::Max));
    assert_eq!(injected[3].content, Content::Bytes(b"rm"[..].into()));
    assert_eq!(
        texts(&plan),
        [
            "10s inject goodbye of 4, from 10.9.9.9:80 to 0..3",
            "11s inject generation of 5, generation +1, from 5 to 1",
            "12s inject join of [fe80::1]:80, generation max, from [fe80::1]:80 to 1",
            "13s inject 2 bytes, from 5 to 1",
        ]
    );
}
