//! Who is touched by a fault, and from when on: nobody else has a reason to come or go.
//!
//! An action touches the nodes that it names, from its time to the end of the run, also where it
//! ends before; each random choice is the one that was drawn for the run. Nobody is touched by what
//! services do (publishes), by a heal, by the network as it is described from the beginning on, nor
//! by what changes all of it alike. Of links only those ends are touched that are not all nodes,
//! and of a partition whoever is not in the largest group, the first of several that are as large.

use rumormill::time::Instant;

use crate::scenario::plan::{Content, Deed, Ends, Injection, NodeNo, Plan, Speaker};

/// Who is touched by a fault.
#[derive(Clone, Debug)]
pub(crate) struct Touched {
    /// By node.
    since: Vec<Option<Instant>>,
}

impl Touched {
    /// Whom the actions of a plan touch.
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut touched = Self { since: vec![None; plan.nodes_ever as usize] };
        let mut so_far = plan.nodes;
        for action in &plan.actions {
            if let Deed::Join(newcomers) = &action.deed {
                so_far += newcomers.len() as u32;
            }
            for node in struck(plan, so_far, &action.deed) {
                // A set may name nodes that never come.
                if let Some(since) = touched.since.get_mut(node as usize) {
                    *since = Some(since.map_or(action.at, |since| since.min(action.at)));
                }
            }
        }
        touched
    }

    /// Whether a node is touched at a time or was before.
    pub(crate) fn is_touched(&self, at: Instant, node: NodeNo) -> bool {
        self.since[node as usize].is_some_and(|since| since <= at)
    }
}

/// Whom an action touches that happens when there are so many nodes.
fn struck(plan: &Plan, so_far: u32, deed: &Deed) -> Vec<NodeNo> {
    match deed {
        Deed::Partition(groups) => outside_the_largest(groups, so_far),
        Deed::Link { links, .. } => parts_of_all(links.sets(), so_far),
        Deed::Drop { ends: Ends { from, to }, .. }
        | Deed::Replay { ends: Ends { from, to }, .. } => {
            let named = [from, to].into_iter().flatten();
            parts_of_all(named.map(Vec::as_slice).collect(), so_far)
        }
        Deed::Update(said) => said.iter().map(|&(node, _)| node).collect(),
        Deed::Join(newcomers) => {
            plan.incarnations[newcomers.clone()].iter().map(|newcomer| newcomer.node).collect()
        }
        Deed::Inject(injection) => spoken_of(injection),
        _ => deed.done_to().unwrap_or_default().to_vec(),
    }
}

fn parts_of_all(sets: Vec<&[NodeNo]>, so_far: u32) -> Vec<NodeNo> {
    sets.into_iter().filter(|set| set.len() < so_far as usize).flatten().copied().collect()
}

/// Those of all groups but one; who is in none forms one more.
fn outside_the_largest(groups: &[Vec<NodeNo>], so_far: u32) -> Vec<NodeNo> {
    let is_in = |node: &NodeNo| groups.iter().any(|group| group.binary_search(node).is_ok());
    let rest: Vec<NodeNo> = (0..so_far).filter(|node| !is_in(node)).collect();
    let sides = || groups.iter().chain([&rest]);
    let most = sides().map(Vec::len).max();
    let largest = sides().position(|side| Some(side.len()) == most);
    let others = sides().enumerate().filter(|&(place, _)| Some(place) != largest);
    others.flat_map(|(_, side)| side).copied().collect()
}

fn spoken_of(Injection { to, from, content }: &Injection) -> Vec<NodeNo> {
    let of = match content {
        Content::Of { of, .. } => Some(*of),
        Content::Bytes(_) => None,
    };
    let speakers = [Some(*from), of].into_iter().flatten();
    let nodes = speakers.filter_map(|speaker| match speaker {
        Speaker::Node(node) => Some(node),
        Speaker::Stranger(_) => None,
    });
    nodes.chain(to.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;
    use crate::world::testkit::at_ms;

    /// Ten nodes to which this happens at ten seconds: who is touched then.
    fn touched(actions: &str) -> Vec<NodeNo> {
        touched_at(actions, 10_000)
    }

    fn touched_at(actions: &str, ms: u64) -> Vec<NodeNo> {
        let head = "name = 'a'\nnodes = 10\nduration = '60s'\n";
        let text = format!("{head}[groups.a]\nnodes = '0..4'\n{actions}");
        let scenario = parse("x", &text, &[]).unwrap_or_else(|error| panic!("{actions}: {error}"));
        let plan = scenario.plan(1).unwrap();
        let touched = Touched::of(&plan);
        (0..plan.nodes_ever).filter(|&node| touched.is_touched(at_ms(ms), node)).collect()
    }

    fn by(action: &str) -> Vec<NodeNo> {
        touched(&format!("[[at]]\ntime = '10s'\n{action}\n"))
    }

    #[test]
    fn whom_an_action_names_is_touched() {
        for action in [
            "isolate = [2, 3]",
            "crash = [2, 3]",
            "restart = [2, 3]",
            "stop = [2, 3]",
            "leave = [2, 3]",
            "pause = [2, 3]",
            "suspend = [2, 3]",
            "starve = { nodes = [2, 3], delay = '1s' }",
            "slow = { nodes = [2, 3], cpu = '5%' }",
            "clock = { nodes = [2, 3], jump = '1s' }",
            "update = { nodes = [2, 3], private_data = 'x' }",
            "inject = { to = 2, from = 3, kind = 'goodbye' }",
            "inject = { to = 2, from = '10.9.9.9:1', kind = 'goodbye', of = 3 }",
            "inject = { to = [2, 3], from = '10.9.9.9:1', kind = 'bytes', bytes = '00' }",
            "drop = { kind = 'rumor', from = 2, to = 3 }",
            "replay = { from = 2, to = [2, 3], after = '1s' }",
        ] {
            assert_eq!(by(action), [2, 3], "{action}");
        }
        assert_eq!(by("join = { count = 2, via = 3 }"), [10, 11], "who comes, by whomever");
    }

    #[test]
    fn services_heals_and_what_befalls_all_alike_touch_nobody() {
        for action in [
            "publish = { node = 2, data = 'v' }",
            "heal = 'all'",
            "loss = '20%'",
            "latency = '1s'",
            "drop = { kind = 'rumor' }",
            "replay = { after = '1s' }",
        ] {
            assert_eq!(by(action), [0; 0], "{action}");
        }
        let links = "[network]\nloss = '5%'\n[[link]]\nbetween = ['a', 7]\nloss = '50%'\n";
        assert_eq!(touched(links), [0; 0]);
    }

    #[test]
    fn of_links_the_ends_are_touched_that_are_not_all_nodes() {
        for (action, nodes) in [
            ("loss = { loss = '80%', from = [2, 3], to = 'all' }", &[2, 3][..]),
            ("loss = { loss = '80%', from = '0..10', to = 2 }", &[2]),
            ("latency = { latency = '1s', between = ['all', 5] }", &[5]),
            ("link = { between = [1, [2, 3]], loss = '80%' }", &[1, 2, 3]),
            ("drop = { kind = 'rumor', from = 'all', to = 5 }", &[5]),
        ] {
            assert_eq!(by(action), nodes, "{action}");
        }
        let later = "[[at]]\ntime = '5s'\njoin = { count = 1 }\n\
                     [[at]]\ntime = '10s'\nloss = { loss = '80%', from = '0..10', to = 'all' }\n";
        let all_but_the_newcomer = (0..11).collect::<Vec<_>>();
        assert_eq!(touched(later), all_but_the_newcomer, "which is touched for having come");
    }

    #[test]
    fn of_a_partition_whoever_is_not_in_the_largest_group_is_touched() {
        for (groups, nodes) in [
            ("['a']", &[0, 1, 2, 3][..]),
            ("['0..6']", &[6, 7, 8, 9]),
            ("[[0, 1], '2..5']", &[0, 1, 2, 3, 4]),
            ("['0..5', '5..10']", &[5, 6, 7, 8, 9]),
            ("['0..5']", &[5, 6, 7, 8, 9]),
        ] {
            assert_eq!(by(&format!("partition = {groups}")), nodes, "{groups}");
        }
    }

    #[test]
    fn who_is_touched_is_so_from_the_first_time_to_the_end() {
        let paused = "[[at]]\ntime = '20s'\ncrash = 4\n\
                      [[at]]\ntime = '10s'\npause = 4\nfor = '1s'\nevery = '5s'\ncount = 2\n";
        assert_eq!(touched_at(paused, 9_999), [0; 0]);
        assert_eq!(touched_at(paused, 10_000), [4]);
        assert_eq!(touched_at(paused, 60_000), [4]);
    }

    #[test]
    fn whom_chance_chose_in_this_run_is_touched_and_no_other() {
        let random = "[[at]]\ntime = '10s'\ncrash = { random = 3 }\n";
        let text = format!("name = 'a'\nnodes = 10\nduration = '60s'\n{random}");
        let crashed = |seed| {
            let plan = parse("x", &text, &[]).unwrap().plan(seed).unwrap();
            let Deed::Crash(nodes) = &plan.actions[0].deed else { panic!("it crashes") };
            let touched = Touched::of(&plan);
            let all = (0..10).filter(|&node| touched.is_touched(at_ms(10_000), node));
            assert_eq!(all.collect::<Vec<_>>(), *nodes);
            nodes.clone()
        };
        assert_ne!(crashed(1), crashed(2));
    }
}
