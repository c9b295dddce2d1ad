//! Sets of nodes in the words of the file: its groups, the names that they give their nodes, and
//! numbers for all others.

use std::cmp::Reverse;

use super::groups::Groups;
use crate::scenario::plan::NodeNo;

/// Stretches that are written out before the rest is only counted.
const STRETCHES_SHOWN_MAX: usize = 6;

impl Groups {
    /// A sorted set of nodes for a person, such as `zone-a, zone-b`, `east-3` or `0..25`.
    pub(in crate::scenario) fn show(&self, nodes: &[NodeNo]) -> String {
        let (groups, rest) = self.whole_groups(nodes);
        let stretches: Vec<&[NodeNo]> =
            rest.chunk_by(|&one, &next| self.are_neighbours(one, next)).collect();
        let (shown, more) = stretches.split_at(stretches.len().min(STRETCHES_SHOWN_MAX));
        let groups = groups.into_iter().map(str::to_owned);
        let texts: Vec<String> =
            groups.chain(shown.iter().map(|stretch| self.stretch(stretch))).collect();
        let text = texts.join(", ");
        match more.iter().map(|stretch| stretch.len()).sum() {
            0usize => text,
            more => format!("{text} and {more} more"),
        }
    }

    /// The groups of which all nodes are among these, in the order of the file, and who is left.
    /// Where one holds others, it stands for them.
    fn whole_groups(&self, nodes: &[NodeNo]) -> (Vec<&str>, Vec<NodeNo>) {
        let mut groups: Vec<(usize, &str, &[NodeNo])> =
            self.sets().enumerate().map(|(place, (name, set))| (place, name, set)).collect();
        groups.sort_by_key(|(_, _, set)| Reverse(set.len()));
        let mut rest = nodes.to_vec();
        groups.retain(|(_, _, set)| {
            let whole =
                set.len() <= rest.len() && set.iter().all(|node| rest.binary_search(node).is_ok());
            if whole {
                rest.retain(|node| set.binary_search(node).is_err());
            }
            whole
        });
        groups.sort_unstable_by_key(|&(place, ..)| place);
        (groups.into_iter().map(|(_, name, _)| name).collect(), rest)
    }

    /// Whether two nodes stand in one stretch: names that have different patterns don't.
    fn are_neighbours(&self, one: NodeNo, next: NodeNo) -> bool {
        one.checked_add(1) == Some(next) && self.namer_of(one) == self.namer_of(next)
    }

    fn stretch(&self, nodes: &[NodeNo]) -> String {
        let name = |node: NodeNo| self.own_name_of(node).unwrap_or_else(|| node.to_string());
        match *nodes {
            [one] => name(one),
            [one, two] => format!("{}, {}", name(one), name(two)),
            [first, .., last] => match self.namer_of(first) {
                Some(_) => format!("{} to {}", name(first), name(last)),
                None => format!("{first}..{}", last + 1),
            },
            [] => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::parse;

    /// What the time line says of a partition that leaves these nodes on one side.
    fn shown(groups: &str, nodes: &str) -> String {
        let head = "name = 'a'\nnodes = 20\nduration = '9s'\n";
        let text = format!("{head}{groups}\n[[at]]\ntime = '1s'\npartition = [{nodes}]\n");
        let plan = parse("x", &text, &[]).unwrap().plan(1).unwrap();
        plan.actions[0].text.strip_prefix("partition ").unwrap().to_owned()
    }

    #[test]
    fn nodes_without_names_are_shown_by_their_stretches() {
        for (nodes, text) in [
            ("3", "3"),
            ("[3, 4]", "3, 4"),
            ("[0, 1, 2, 7, 9, 10]", "0..3, 7, 9, 10"),
            ("[0, 2, 4, 6, 8, 10, 12, 13, 14]", "0, 2, 4, 6, 8, 10 and 3 more"),
        ] {
            assert_eq!(shown("", nodes), text);
        }
    }

    #[test]
    fn whole_groups_and_nodes_with_names_are_called_as_in_the_file() {
        let groups = "[groups.zone-a]\nnodes = '0..5'\nname = 'a-{i}'\n\
                      [groups.zone-b]\nnodes = '5..10'\nname = 'b-{i}'\n\
                      [groups.both]\nnodes = ['zone-a', 'zone-b']\n\
                      [groups.plain]\nnodes = '10..13'\n\
                      [groups.same]\nnodes = '13..15'\nname = 'web'\n";
        for (nodes, text) in [
            ("'zone-b'", "zone-b"),
            ("'zone-b', 'zone-a'", "zone-b | zone-a"),
            ("['zone-a', 'zone-b', 7, 19]", "both, 19"),
            ("'zone-b[2]'", "b-2"),
            ("'3..9'", "a-3, a-4, b-0 to b-3"),
            ("['zone-a', 10, 11, 12, 16]", "zone-a, plain, 16"),
            ("[10, 11]", "10, 11"),
            // Two nodes of one name can't be told apart by it.
            ("13", "13"),
        ] {
            assert_eq!(shown(groups, nodes), text, "{nodes}");
        }
    }
}
