//! NODES against a naive reading: a node is in the set if a predicate says so.

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;
use crate::scenario::document::{read, read_value};
use crate::scenario::errors::Mistakes;

/// A moment with a fixed answer to every question.
struct Still {
    initial: u32,
    so_far: u32,
    ever: u32,
    live: Vec<bool>,
    draws: u64,
    groups: [Vec<NodeNo>; 2],
}

impl Moment for Still {
    fn initial(&self) -> u32 {
        self.initial
    }

    fn so_far(&self) -> u32 {
        self.so_far
    }

    fn ever(&self) -> u32 {
        self.ever
    }

    fn group(&self, group: usize) -> &[NodeNo] {
        &self.groups[group]
    }

    fn present(&mut self) -> Option<&mut dyn Present> {
        Some(self)
    }
}

impl Present for Still {
    fn is_live(&self, node: NodeNo) -> bool {
        self.live[node as usize]
    }

    fn draw(&mut self) -> Rng {
        self.draws += 1;
        Rng::fork(7, "scenario", self.draws)
    }
}

fn still(initial: u32, live: Vec<bool>) -> Still {
    let so_far = u32::try_from(live.len()).unwrap();
    let groups = [vec![1, 3, 4], vec![0, so_far - 1]];
    Still { initial, so_far, ever: so_far, live, draws: 0, groups }
}

fn read_nodes(item: &Item) -> Result<Nodes, Mistake> {
    Nodes::read(item, Names(&["az-a".to_owned(), "b".to_owned()]))
}

fn evaluate(toml: &str, now: &mut Still) -> Result<Vec<NodeNo>, String> {
    let item = read_value(0, 0, toml).unwrap();
    let nodes = read_nodes(&item).map_err(|mistake| mistake.text)?;
    nodes.evaluate(now).map_err(|mistake| mistake.text)
}

/// An expression, and the naive evaluation of it.
#[derive(Clone, Debug)]
enum Naive {
    One(u32),
    HalfOpen(u32, u32),
    Closed(u32, u32),
    Share(u32, u32),
    All,
    Live,
    Joined,
    Group(usize),
    /// The second node of the first group.
    Second,
    Any(Vec<Naive>),
}

impl Naive {
    fn toml(&self) -> String {
        match self {
            Self::One(node) => node.to_string(),
            Self::HalfOpen(from, to) => format!("\"{from}..{to}\""),
            Self::Closed(from, to) => format!("\" {from} ..= {to} \""),
            Self::Share(from, to) => format!("\"{from}%..{to}%\""),
            Self::All => "\"all\"".to_owned(),
            Self::Live => "\"live\"".to_owned(),
            Self::Joined => "\"joined\"".to_owned(),
            Self::Group(group) => format!("\"{}\"", ["az-a", "b"][*group]),
            Self::Second => "\"az-a[1]\"".to_owned(),
            Self::Any(all) => {
                format!("[{}]", all.iter().map(Self::toml).collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn has(&self, node: u32, now: &Still) -> bool {
        match self {
            Self::One(one) => node == *one,
            Self::HalfOpen(from, to) => from <= &node && &node < to,
            Self::Closed(from, to) => from <= &node && node <= *to,
            // Node i lies in the share that begins at or before i and ends after it, with the
            // ends of shares rounded down.
            Self::Share(from, to) => {
                let end = |percent: &u32| now.so_far * percent / 100;
                end(from) <= node && node < end(to)
            }
            Self::All => true,
            Self::Live => now.live[node as usize],
            Self::Joined => node >= now.initial,
            Self::Group(group) => now.groups[*group].contains(&node),
            Self::Second => node == now.groups[0][1],
            Self::Any(all) => all.iter().any(|naive| naive.has(node, now)),
        }
    }
}

fn naive() -> impl Strategy<Value = Naive> {
    let leaf = prop_oneof![
        (0..40u32).prop_map(Naive::One),
        (0..40u32, 0..40u32)
            .prop_map(|(a, b)| Naive::HalfOpen(a.min(b), a.max(b) + u32::from(a == b))),
        (0..40u32, 0..40u32).prop_map(|(a, b)| Naive::Closed(a.min(b), a.max(b))),
        (0..100u32, 1..=100u32)
            .prop_map(|(a, b)| Naive::Share(a.min(b), a.max(b).max(a.min(b) + 1))),
        Just(Naive::All),
        Just(Naive::Live),
        Just(Naive::Joined),
        (0..2usize).prop_map(Naive::Group),
        Just(Naive::Second),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        proptest::collection::vec(inner, 1..4).prop_map(Naive::Any)
    })
}

proptest! {
    #[test]
    fn an_expression_means_what_its_naive_reading_means(
        naive in naive(),
        live in proptest::collection::vec(any::<bool>(), 41),
        initial in 1..=41u32,
    ) {
        let mut now = still(initial, live);
        let expected: Vec<u32> = (0..41).filter(|&node| naive.has(node, &now)).collect();
        match evaluate(&naive.toml(), &mut now) {
            Ok(nodes) => prop_assert_eq!(nodes, expected),
            Err(error) => {
                prop_assert!(expected.is_empty(), "{}: {}", naive.toml(), error);
                prop_assert!(error.ends_with("is no node at this time"), "{}", error);
            }
        }
    }

    #[test]
    fn an_expression_reads_back_from_how_it_is_shown(naive in naive()) {
        let mut now = still(10, vec![true; 41]);
        let item = read_value(0, 0, &naive.toml()).unwrap();
        let shown = read_nodes(&item).unwrap().to_string();
        prop_assert_eq!(evaluate(&shown, &mut now), evaluate(&naive.toml(), &mut now));
        let again = read_nodes(&read_value(0, 0, &shown).unwrap()).unwrap();
        prop_assert_eq!(again.to_string(), shown);
    }

    #[test]
    fn a_random_choice_is_distinct_nodes_of_its_pool_less_the_exception(
        from in naive(),
        except in naive(),
        count in 1..10u32,
    ) {
        let mut now = still(20, (0..41).map(|node| node % 3 != 0).collect());
        let is_in = |node: &u32| from.has(*node, &now) && !except.has(*node, &now);
        let pool: Vec<u32> = (0..41).filter(is_in).collect();
        let (from, except) = (from.toml(), except.toml());
        let toml = format!("{{ random = {count}, from = {from}, except = {except} }}");
        match evaluate(&toml, &mut now) {
            Ok(nodes) => {
                prop_assert_eq!(nodes.len(), count as usize);
                prop_assert!(nodes.windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert!(nodes.iter().all(|node| pool.contains(node)));
            }
            Err(error) => {
                prop_assert!(pool.len() < count as usize, "{}", error);
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,24}", quoted in any::<bool>()) {
        let toml = if quoted { format!("x = '{text}'") } else { format!("x = {text}") };
        if let Some(table) = read(0, &toml, &mut Mistakes::default()) {
            let mut now = still(3, vec![true; 5]);
            let _ = read_nodes(&table.entries[0].item).map(|nodes| nodes.evaluate(&mut now));
        }
    }
}

#[test]
fn every_node_is_drawn_about_as_often_as_any_other() {
    let mut now = still(10, vec![true; 10]);
    let mut drawn = [0u32; 10];
    for _ in 0..2_000 {
        for node in evaluate("{ random = 3 }", &mut now).unwrap() {
            drawn[node as usize] += 1;
        }
    }
    assert!(drawn.iter().all(|count| (500..700).contains(count)), "{drawn:?}");
}

#[test]
fn a_random_share_is_one_of_its_pool_and_at_least_one_node() {
    let mut now = still(40, vec![true; 40]);
    for (typed, len) in [("5%", 2), ("1%", 1), ("100%", 40)] {
        let typed = format!("{{ random = \"{typed}\" }}");
        assert_eq!(evaluate(&typed, &mut now).unwrap().len(), len, "{typed}");
    }
    let wrong = evaluate("{ random = \"5\" }", &mut now).unwrap_err();
    assert!(wrong.contains("no percent"), "{wrong}");
}
