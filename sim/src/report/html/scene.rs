//! What a player shows beside rumors: when nodes ran, and which of them a fault had parted.
//!
//! It follows from the plan alone. Two nodes are in one group when both directions between them
//! are open, directly or over others; whether those others run is not asked. What groups don't
//! show is shown apart: directions that are open between two groups, or closed within one.

use std::collections::BTreeMap;

use rumormill::link::{ChangeId, LinkModel};
use rumormill::time::Instant;

use super::pack::Pack;
use crate::scenario::plan::{Deed, Heal, Incarnation, NodeNo, Plan, StartCause};

/// Changes of the network that are shown; a link that flaps for hours has too many.
const CUTS_MAX: usize = 400;

/// Pairs of classes that are shown at a moment; more would be a tangle.
const ODDITIES_MAX: usize = 48;

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SceneState {
    Down = 0,
    Up = 1,
    Stopped = 2,
    /// Its process stands still.
    Paused = 3,
}

/// What happens to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SceneTurn {
    Begin,
    End,
    Stop,
    Start,
    Pause,
    Resume,
}

/// All that happens to nodes and between them, in order of time.
#[derive(Debug, Default)]
pub(super) struct Scene {
    pub(super) states: Vec<(Instant, NodeNo, SceneState)>,
    /// Nodes that no action tells apart.
    classes: Vec<Vec<NodeNo>>,
    pub(super) cuts: Vec<Cut>,
    /// Names of zones, and for each node the number of its own.
    pub(super) zones: Vec<String>,
    zone: Vec<u8>,
}

/// Who can talk to whom from a moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    at: Instant,
    /// By node.
    groups: Vec<u16>,
    oddities: Vec<Oddity>,
}

/// Two classes between which not just that is open which their groups say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Oddity {
    one: u16,
    other: u16,
    open: Open,
}

/// What is open between two classes that are odd: of those of one group not both directions, of
/// others one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Nothing = 0,
    /// From the one to the other.
    Forth = 1,
    Back = 2,
}

impl Scene {
    pub(super) fn of(plan: &Plan) -> Self {
        let classes = classes(plan);
        let (zones, zone) = zones(plan);
        Self { states: states(plan), cuts: cuts(plan, &classes), classes, zones, zone }
    }

    pub(super) fn pack(&self, pack: &mut Pack) {
        let ms = |at: Instant| at.as_nanos() as f64 / 1e6;
        pack.times("state_at", self.states.iter().map(|&(at, ..)| ms(at)));
        pack.u16("state_node", self.states.iter().map(|&(_, node, _)| node as u16));
        pack.u8("state", self.states.iter().map(|&(.., state)| state as u8));
        pack.times("cut_at", self.cuts.iter().map(|cut| ms(cut.at)));
        pack.u16("groups", self.cuts.iter().flat_map(|cut| cut.groups.iter().copied()));
        let mut class = vec![0; self.classes.iter().map(Vec::len).sum()];
        for (number, nodes) in (0..).zip(&self.classes) {
            nodes.iter().for_each(|&node| class[node as usize] = number);
        }
        pack.u16("class", class.into_iter());
        pack.u8("zone", self.zone.iter().copied());
        let odd = || self.cuts.iter().flat_map(|cut| &cut.oddities);
        pack.u8("odd_count", self.cuts.iter().map(|cut| cut.oddities.len() as u8));
        pack.u16("odd_one", odd().map(|odd| odd.one));
        pack.u16("odd_other", odd().map(|odd| odd.other));
        pack.u8("odd_open", odd().map(|odd| odd.open as u8));
    }
}

/// More names than so many are names of nodes and not of zones.
const ZONES_MAX: usize = 12;

/// The zone of nodes to which the file gives no name.
const OTHERS: &str = "others";

/// The name that the file gives to a node, if any.
fn named(own: &Incarnation) -> Option<&str> {
    Some(own.public.name()).filter(|name| *name != format!("node-{}", own.node))
}

/// The names that the file gives to nodes; empty where it gives none.
pub(super) fn names(plan: &Plan) -> Vec<Option<&str>> {
    let mut names = vec![None; plan.nodes_ever as usize];
    plan.incarnations.iter().for_each(|own| names[own.node as usize] = named(own));
    if names.iter().any(Option::is_some) { names } else { Vec::new() }
}

/// Where nodes are, by what their names have in common: `a-1` and `a-2` are in zone `a`. Where all
/// have one name or each its own, there are none, unless the file's groups part them.
fn zones(plan: &Plan) -> (Vec<String>, Vec<u8>) {
    let mut names = vec![String::new(); plan.nodes_ever as usize];
    for own in &plan.incarnations {
        let name = match named(own) {
            Some(name) => name.trim_end_matches(|letter: char| letter.is_ascii_digit()),
            None => OTHERS,
        };
        name.trim_end_matches(['-', '_', '.']).clone_into(&mut names[own.node as usize]);
    }
    let named = (0..).zip(&names).map(|(node, name)| (node, name.clone()));
    let by_group = plan
        .groups
        .iter()
        .flat_map(|(name, set)| set.iter().map(|&node| (node, name.clone())).collect::<Vec<_>>());
    let nodes = names.len();
    let mut zones = parted(named, nodes).or_else(|| parted(by_group, nodes)).unwrap_or_default();
    for (zone, members) in &mut zones {
        // A group that is a zone has the name that its author knows.
        if let Some((group, _)) = plan.groups.iter().find(|(_, set)| set == members) {
            zone.clone_from(group);
        }
    }
    let mut zone = vec![0; nodes];
    for (number, (_, members)) in (0..).zip(&zones) {
        members.iter().for_each(|&node| zone[node as usize] = number);
    }
    (zones.into_iter().map(|(name, _)| name).collect(), zone)
}

/// The zones of nodes, if there are some and not too many, and each node is in one of them.
fn parted(
    of: impl Iterator<Item = (NodeNo, String)>,
    nodes: usize,
) -> Option<Vec<(String, Vec<NodeNo>)>> {
    let mut zones: Vec<(String, Vec<NodeNo>)> = Vec::new();
    let mut members = 0;
    for (node, name) in of {
        members += 1;
        match zones.iter_mut().find(|(zone, _)| *zone == name) {
            Some((_, zone)) => zone.push(node),
            None => zones.push((name, vec![node])),
        }
        if zones.len() > ZONES_MAX || members > nodes {
            return None;
        }
    }
    let mut all: Vec<NodeNo> = zones.iter().flat_map(|(_, zone)| zone.clone()).collect();
    all.sort_unstable();
    all.dedup();
    (zones.len() >= 2 && all.len() == nodes).then_some(zones)
}

fn states(plan: &Plan) -> Vec<(Instant, NodeNo, SceneState)> {
    let mut turns: Vec<(Instant, NodeNo, SceneTurn)> = plan
        .incarnations
        .iter()
        .filter(|start| start.cause == StartCause::Initial)
        .map(|start| (start.start, start.node, SceneTurn::Begin))
        .collect();
    for action in &plan.actions {
        let mut all = |nodes: &[NodeNo], turn| {
            turns.extend(nodes.iter().map(|&node| (action.at, node, turn)));
        };
        match &action.deed {
            Deed::Crash(nodes) | Deed::Leave(nodes) | Deed::Restart { nodes, .. } => {
                all(nodes, SceneTurn::End);
            }
            Deed::Stop(nodes) => all(nodes, SceneTurn::Stop),
            Deed::Start(nodes) => all(nodes, SceneTurn::Start),
            Deed::Pause(nodes) | Deed::Suspend(nodes) => all(nodes, SceneTurn::Pause),
            Deed::Resume(nodes) => all(nodes, SceneTurn::Resume),
            _ => {}
        }
        if let Deed::Join(starts) | Deed::Restart { comes_back: starts, .. } = &action.deed {
            let starts = &plan.incarnations[starts.clone()];
            turns.extend(starts.iter().map(|start| (start.start, start.node, SceneTurn::Begin)));
        }
    }
    turns.sort_by_key(|&(at, ..)| at);
    let mut nodes = vec![(SceneState::Down, SceneState::Down); plan.nodes_ever as usize];
    let state = |(at, node, turn): (Instant, NodeNo, SceneTurn)| {
        let (now, before_pause) = &mut nodes[node as usize];
        let then = after(*now, turn, *before_pause);
        if then == SceneState::Paused && *now != SceneState::Paused {
            *before_pause = *now;
        }
        (std::mem::replace(now, then) != then).then_some((at, node, then))
    };
    turns.into_iter().filter_map(state).collect()
}

/// What a node does after a turn. One that is down stays so until it begins, and a process that
/// stands still does nothing that it is told.
fn after(now: SceneState, turn: SceneTurn, before_pause: SceneState) -> SceneState {
    match (turn, now) {
        (SceneTurn::Begin, _) | (SceneTurn::Start, SceneState::Stopped) => SceneState::Up,
        (SceneTurn::End, _) => SceneState::Down,
        (SceneTurn::Stop, SceneState::Up) => SceneState::Stopped,
        (SceneTurn::Pause, SceneState::Up | SceneState::Stopped) => SceneState::Paused,
        (SceneTurn::Resume, SceneState::Paused) => before_pause,
        (SceneTurn::Stop | SceneTurn::Start | SceneTurn::Pause | SceneTurn::Resume, now) => now,
    }
}

fn cuts(plan: &Plan, classes: &[Vec<NodeNo>]) -> Vec<Cut> {
    let mut links = LinkModel::new(plan.seed, plan.network.clone());
    plan.links.iter().for_each(|link| _ = links.apply(link.clone()));
    let mut in_force: Vec<(usize, ChangeId)> = Vec::new();
    let mut cuts: Vec<Cut> = Vec::new();
    for (number, action) in plan.actions.iter().enumerate() {
        match (&action.deed, action.deed.network_changes()) {
            (_, Some(changes)) => {
                in_force.extend(changes.into_iter().map(|change| (number, links.apply(change))));
            }
            (Deed::Heal(heal), _) => {
                let ends = |&mut (of, _): &mut (usize, ChangeId)| match heal {
                    Heal::All => true,
                    Heal::Label(label) => plan.actions[of].label == *label,
                    Heal::Action(number) => of == *number,
                };
                in_force.extract_if(.., ends).for_each(|(_, change)| links.undo(change));
            }
            _ => continue,
        }
        let groups = groups(classes, &links);
        let oddities = oddities(classes, &groups, &links);
        let whole = oddities.is_empty() && groups.iter().all(|&group| group == 0);
        let is_new = |before: &Cut| before.groups != groups || before.oddities != oddities;
        if cuts.last().map_or(!whole, is_new) && cuts.len() < CUTS_MAX {
            cuts.push(Cut { at: action.at, groups, oddities });
        }
    }
    cuts
}

/// Nodes that no action tells apart, each class in order.
fn classes(plan: &Plan) -> Vec<Vec<NodeNo>> {
    let mut marks: Vec<Vec<(usize, usize)>> = vec![Vec::new(); plan.nodes_ever as usize];
    for (number, action) in plan.actions.iter().enumerate() {
        let sets: Vec<&[NodeNo]> = match &action.deed {
            Deed::Partition(groups) => groups.iter().map(Vec::as_slice).collect(),
            Deed::Isolate(nodes) => vec![nodes],
            Deed::Link { links, .. } => links.sets(),
            _ => Vec::new(),
        };
        for (place, set) in sets.into_iter().enumerate() {
            set.iter().for_each(|&node| marks[node as usize].push((number, place)));
        }
    }
    let mut classes: BTreeMap<&[(usize, usize)], Vec<NodeNo>> = BTreeMap::new();
    for (node, marks) in (0..).zip(&marks) {
        classes.entry(marks).or_default().push(node);
    }
    classes.into_values().collect()
}

/// The group of every node, numbered in order of their first nodes.
fn groups(classes: &[Vec<NodeNo>], links: &LinkModel) -> Vec<u16> {
    let open = |a: NodeNo, b: NodeNo| links.passes(a, b) && links.passes(b, a);
    // Members of a class that can't talk to each other, can't to anybody else the same way.
    let split = |class: &&Vec<NodeNo>| class.len() > 1 && !open(class[0], class[1]);
    let singles = classes.iter().filter(split).flatten().map(std::slice::from_ref);
    let whole = classes.iter().filter(|class| !split(class)).map(Vec::as_slice);
    let sets: Vec<&[NodeNo]> = whole.chain(singles).collect();
    let mut leader: Vec<usize> = (0..sets.len()).collect();
    for a in 0..sets.len() {
        for b in 0..a {
            if open(sets[a][0], sets[b][0]) {
                let (from, to) = (leader[a], leader[b]);
                leader.iter_mut().filter(|one| **one == from).for_each(|one| *one = to);
            }
        }
    }
    let nodes = sets.iter().map(|set| set.len()).sum();
    let mut led = vec![0; nodes];
    for (set, leader) in sets.iter().zip(&leader) {
        set.iter().for_each(|&node| led[node as usize] = *leader);
    }
    let mut numbers: BTreeMap<usize, u16> = BTreeMap::new();
    let numbered = led.into_iter().map(|leader| {
        let next = numbers.len() as u16;
        *numbers.entry(leader).or_insert(next)
    });
    numbered.collect()
}

/// What the groups don't show.
fn oddities(classes: &[Vec<NodeNo>], groups: &[u16], links: &LinkModel) -> Vec<Oddity> {
    let pairs = (0..classes.len()).flat_map(|one| (0..one).map(move |other| (other, one)));
    let odd = |(one, other): (usize, usize)| {
        let (a, b) = (classes[one][0], classes[other][0]);
        let open = match (links.passes(a, b), links.passes(b, a)) {
            (true, true) => return None,
            (false, false) if groups[a as usize] != groups[b as usize] => return None,
            (false, false) => Open::Nothing,
            (true, false) => Open::Forth,
            (false, true) => Open::Back,
        };
        Some(Oddity { one: one as u16, other: other as u16, open })
    };
    pairs.filter_map(odd).take(ODDITIES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::plan::Links;
    use crate::world::testkit::{act, at_ms, join, plan, restart};
    use rumormill::link::{LinkChange, Loss};
    use std::time::Duration;

    #[test]
    fn groups_are_those_that_the_link_model_leaves_open() {
        let mut plan = plan(6, Duration::from_secs(9));
        act(&mut plan, 1_000, "a", Deed::Partition(vec![vec![0, 1], vec![2, 3]]));
        act(&mut plan, 2_000, "b", Deed::Isolate(vec![1, 4]));
        act(&mut plan, 3_000, "a", Deed::Heal(Heal::Label("a".into())));
        act(&mut plan, 4_000, "", Deed::Heal(Heal::All));
        let expected = [
            (1_000, vec![0, 0, 1, 1, 2, 2]),
            (2_000, vec![0, 1, 2, 2, 3, 4]),
            (3_000, vec![0, 1, 0, 0, 2, 0]),
            (4_000, vec![0; 6]),
        ];
        let cut = |(ms, groups)| Cut { at: at_ms(ms), groups, oddities: Vec::new() };
        assert_eq!(cuts(&plan, &classes(&plan)), expected.map(cut));
    }

    #[test]
    fn a_direction_that_the_groups_do_not_show_is_shown_apart() {
        let mut plan = plan(4, Duration::from_secs(9));
        let cut = |links| {
            let change = LinkChange { loss: Some(Loss::ALL), ..LinkChange::default() };
            Deed::Link { links, change }
        };
        let one_way = |to: &[NodeNo]| cut(Links::OneWay { from: vec![0], to: to.to_vec() });
        act(&mut plan, 1_000, "a", one_way(&[2, 3]));
        act(&mut plan, 2_000, "b", cut(Links::Between(vec![vec![0], vec![2, 3]])));
        act(&mut plan, 3_000, "", Deed::Heal(Heal::All));
        act(&mut plan, 4_000, "", one_way(&[1, 2, 3]));
        let classes = classes(&plan);
        let of = |node| classes.iter().position(|class| class.contains(&node)).unwrap() as u16;
        let odd = |a: NodeNo, b: NodeNo, forth, back| match of(a) < of(b) {
            true => Oddity { one: of(a), other: of(b), open: forth },
            false => Oddity { one: of(b), other: of(a), open: back },
        };
        let cuts = cuts(&plan, &classes);
        // By way of node 1 all can still talk to all.
        assert_eq!((cuts[0].at, &cuts[0].groups[..]), (at_ms(1_000), &[0; 4][..]));
        assert_eq!(cuts[0].oddities, [odd(0, 2, Open::Back, Open::Forth)]);
        assert_eq!(cuts[1].oddities, [odd(0, 2, Open::Nothing, Open::Nothing)]);
        assert_eq!((&cuts[2].groups[..], cuts[2].oddities.len()), (&[0; 4][..], 0));
        // Node 0 hears all and is heard by nobody.
        assert_eq!(cuts[3].groups, [0, 1, 1, 1]);
        let to = |node| odd(0, node, Open::Back, Open::Forth);
        assert!(cuts[3].oddities.len() == 2, "{:?}", cuts[3]);
        assert!([to(1), to(2)].iter().all(|odd| cuts[3].oddities.contains(odd)));
    }

    #[test]
    fn a_node_is_up_stopped_paused_or_down_and_only_a_beginning_revives_it() {
        let mut plan = plan(2, Duration::from_secs(9));
        act(&mut plan, 1_000, "", Deed::Stop(vec![0]));
        act(&mut plan, 2_000, "", Deed::Start(vec![0]));
        act(&mut plan, 3_000, "", Deed::Crash(vec![1]));
        act(&mut plan, 4_000, "", Deed::Stop(vec![1]));
        act(&mut plan, 5_000, "", Deed::Start(vec![1]));
        let back = restart(&mut plan, 1, at_ms(6_000));
        let (nodes, manner) = (vec![1], crate::scenario::plan::Manner::Crash);
        act(&mut plan, 5_500, "", Deed::Restart { nodes, manner, comes_back: back..back + 1 });
        let newcomer = join(&mut plan, at_ms(7_000));
        act(&mut plan, 7_000, "", Deed::Join(newcomer..newcomer + 1));
        act(&mut plan, 7_100, "", Deed::Pause(vec![0]));
        act(&mut plan, 7_200, "", Deed::Stop(vec![0]));
        act(&mut plan, 7_300, "", Deed::Resume(vec![0]));
        act(&mut plan, 7_400, "", Deed::Stop(vec![0]));
        act(&mut plan, 7_500, "", Deed::Pause(vec![0]));
        act(&mut plan, 7_600, "", Deed::Resume(vec![0]));
        act(&mut plan, 7_700, "", Deed::Pause(vec![1]));
        act(&mut plan, 7_800, "", Deed::Crash(vec![1]));
        act(&mut plan, 7_900, "", Deed::Resume(vec![1]));
        let expected = [
            (0, 0, SceneState::Up),
            (0, 1, SceneState::Up),
            (1_000, 0, SceneState::Stopped),
            (2_000, 0, SceneState::Up),
            (3_000, 1, SceneState::Down),
            (6_000, 1, SceneState::Up),
            (7_000, 2, SceneState::Up),
            (7_100, 0, SceneState::Paused),
            (7_300, 0, SceneState::Up),
            (7_400, 0, SceneState::Stopped),
            (7_500, 0, SceneState::Paused),
            (7_600, 0, SceneState::Stopped),
            (7_700, 1, SceneState::Paused),
            (7_800, 1, SceneState::Down),
        ];
        assert_eq!(states(&plan), expected.map(|(ms, node, state)| (at_ms(ms), node, state)));
    }

    fn zones_of(groups: &str) -> (Vec<String>, Vec<u8>) {
        let text = format!("name = 'a'\nnodes = 6\nduration = '10s'\n{groups}");
        zones(&crate::scenario::parse("x", &text, &[]).unwrap().plan(1).unwrap())
    }

    #[test]
    fn nodes_whose_names_differ_by_a_number_are_in_one_zone() {
        let group =
            |name, nodes, names| format!("[groups.{name}]\nnodes = '{nodes}'\nname = '{names}'\n");
        let (east, west) = (group("one", "0..4", "east-{i}"), group("two", "4..6", "west-{i}"));
        let (zones, zone) = zones_of(&format!("{east}{west}"));
        assert_eq!(zones, ["one", "two"], "they are groups, which have names");
        assert_eq!(zone, [0, 0, 0, 0, 1, 1]);
        let (zones, _) = zones_of("[groups.mixed]\nnodes = [0, 1, 5]\nname = 'east-{i}'\n");
        assert_eq!(zones, ["mixed", "others"]);
        let plain = |name, nodes| format!("[groups.{name}]\nnodes = '{nodes}'\n");
        let (zones, zone) = zones_of(&(plain("old", "0..3") + &plain("new", "3..6")));
        assert_eq!((zones.join(" ").as_str(), zone[3]), ("old new", 1));
        // All in one place, and all nodes alike: there is nothing to colour.
        let twice = plain("a", "0..4") + &plain("b", "3..6");
        for groups in [group("one", "0..6", "east-{i}"), plain("a", "0..3"), twice, String::new()] {
            assert_eq!(zones_of(&groups), (Vec::new(), vec![0; 6]), "{groups}");
        }
    }

    #[test]
    fn nodes_have_the_names_of_the_file_and_others_none() {
        let named = "[groups.east]\nnodes = '0..2'\nname = 'east-{i}'\n";
        let text = format!("name = 'a'\nnodes = 3\nduration = '9s'\n{named}");
        let plan = |text: &str| crate::scenario::parse("x", text, &[]).unwrap().plan(1).unwrap();
        assert_eq!(names(&plan(&text)), [Some("east-0"), Some("east-1"), None]);
        assert_eq!(names(&plan(&text.replace(named, ""))), []);
    }
}
