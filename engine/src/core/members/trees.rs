//! Trees: how many members each of the parts has into which a holder cuts its arcs.
//!
//! The tree of a rumor is as low as it can be, and all of its last hop is below as few of the
//! holder's parts as can be: a part that needs one more hop than the others is filled before the
//! next is begun, and the others are full trees with a hop less. A rumor is as slow as its slowest
//! path, so it matters how many different beginnings the longest paths have: where all that is
//! deepest is below one delegate, it waits for one delay of the first hop instead of the longest
//! of `fan_out`. Among 10,000 nodes, with delays of 1 to 10 ms, that is 43 ms instead of 46 for
//! parts of equal size.

/// How many parts each of the pieces is cut into, of which some members stand on each: `fan_out`
/// in all, and up to one more for each further piece where it saves a hop.
pub(super) fn shares(pieces: &[usize], fan_out: usize) -> Vec<usize> {
    let parts_max = fan_out + pieces.len().saturating_sub(1);
    let full = tree(hops(pieces, parts_max, fan_out), fan_out);
    let mut shares: Vec<usize> = pieces.iter().map(|count| count.div_ceil(full)).collect();
    for _ in shares.iter().sum()..fan_out {
        let divisible = (0..pieces.len()).filter(|&at| shares[at] < pieces[at]);
        let Some(largest) = divisible.max_by_key(|&at| pieces[at] / shares[at]) else { break };
        shares[largest] += 1;
    }
    shares
}

/// How many members each of so many parts of a piece has, its delegate included. There are no more
/// parts than members.
pub(crate) fn lengths(count: usize, parts: usize, fan_out: usize) -> Vec<usize> {
    let deep = hops(&[count], parts, fan_out);
    let shallow = deep.checked_sub(1).map_or(0, |hops| tree(hops, fan_out));
    let deeper = tree(deep, fan_out) - shallow;
    let mut rest = count - parts * shallow;
    let mut next = || {
        let more = rest.min(deeper);
        rest -= more;
        shallow + more
    };
    (0..parts).map(|_| next()).collect()
}

/// After how many further hops so many trees can hold all of the pieces.
pub(crate) fn hops(pieces: &[usize], parts_max: usize, fan_out: usize) -> u32 {
    let enough = |&hops: &u32| {
        let full = tree(hops, fan_out);
        pieces.iter().map(|count| count.div_ceil(full)).sum::<usize>() <= parts_max
    };
    (0..).find(enough).expect("there is a part for each piece")
}

/// How many members a tree has in which each tells `fan_out` others, its root included.
fn tree(hops: u32, fan_out: usize) -> usize {
    // Who tells one other only never gets anywhere near a tree; any two will do then.
    let more = |members: usize, _| members.saturating_mul(fan_out.max(2)).saturating_add(1);
    (0..hops).fold(1, more)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_deepest_are_below_as_few_parts_as_can_be() {
        assert_eq!(lengths(999, 8, 8), [488, 73, 73, 73, 73, 73, 73, 73]);
        assert_eq!(lengths(19, 8, 8), [9, 4, 1, 1, 1, 1, 1, 1]);
        assert_eq!(lengths(8, 8, 8), [1; 8]);
        assert_eq!(lengths(3, 1, 8), [3]);
    }

    #[test]
    fn two_pieces_get_a_part_more_where_it_saves_a_hop() {
        assert_eq!(shares(&[36, 36], 8), [4, 4]);
        assert_eq!(shares(&[30, 42], 8), [4, 5]);
        assert_eq!(shares(&[1, 2], 8), [1, 2]);
        assert_eq!(shares(&[1, 100], 3), [1, 3]);
    }

    proptest! {
        #[test]
        fn every_member_has_its_part_and_no_part_is_empty(
            pieces in prop::collection::vec(1..5_000_usize, 0..5),
            fan_out in 1..12_usize,
        ) {
            let shares = shares(&pieces, fan_out);
            let total: usize = shares.iter().sum();
            prop_assert!(total <= fan_out + pieces.len().saturating_sub(1));
            for (&count, &parts) in pieces.iter().zip(&shares) {
                let lengths = lengths(count, parts, fan_out);
                prop_assert_eq!(lengths.len(), parts);
                prop_assert_eq!(lengths.iter().sum::<usize>(), count);
                prop_assert!(lengths.iter().all(|&length| length > 0));
            }
        }

        /// Counted hop by hop: so many hold the rumor after each if everybody tells as many as
        /// they may.
        #[test]
        fn no_tree_is_lower(members in 1..20_000_usize, fan_out in 2..10_usize) {
            let (mut reached, mut last, mut least) = (0, 1, 0);
            while reached < members {
                last *= fan_out;
                reached += last;
                least += 1;
            }
            prop_assert_eq!(height(members, fan_out), least);
        }
    }

    /// The hops that it takes from a holder to all of so many others.
    fn height(others: usize, fan_out: usize) -> u32 {
        let parts = |count| lengths(count, shares(&[count], fan_out)[0], fan_out);
        match others {
            0 => 0,
            _ => 1 + parts(others).into_iter().map(|it| height(it - 1, fan_out)).max().unwrap(),
        }
    }
}
