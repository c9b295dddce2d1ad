//! A sorted set that is shared when it is cloned: a B+tree whose nodes are copied when they change.
//!
//! A clone costs nothing, and a change behind one copies the nodes on the way to its item. Sets of
//! trees of binary nodes need two allocations an item; here they are few, and an item takes little
//! more than its own size.

use std::cmp::Ordering;
use std::slice;
use std::sync::Arc;

use rustc_hash::FxHashSet;

/// Most items of a leaf, and children of a branch: the copy that follows a snapshot touches the
/// count of owners of as many items, and fewer take more memory.
const WIDTH: usize = 40;
/// Places by which a full leaf grows: what stays free is memory that nobody uses.
const GROWTH: usize = 2;

/// Items in their order, none twice.
#[derive(Clone, Debug)]
pub(super) struct Tree<T> {
    root: Arc<TreeNode<T>>,
    len: usize,
}

#[derive(Clone, Debug)]
enum TreeNode<T> {
    Leaf(Vec<T>),
    Branch(Vec<Child<T>>),
}

/// A node that is not empty, below a branch.
#[derive(Clone, Debug)]
struct Child<T> {
    first: T,
    node: Arc<TreeNode<T>>,
}

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Self { root: Arc::new(TreeNode::Leaf(Vec::new())), len: 0 }
    }
}

impl<T: Ord + Clone> Tree<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The item that lies neither before nor behind what is looked for.
    pub(super) fn get(&self, order: impl Fn(&T) -> Ordering) -> Option<&T> {
        let found = self.iter_from(|item| order(item).is_lt()).next();
        found.filter(|item| order(item).is_eq())
    }

    /// All items.
    pub(super) fn iter(&self) -> Iter<'_, T> {
        self.iter_from(|_| false)
    }

    /// The items from the first on that does not lie before a point.
    pub(super) fn iter_from(&self, is_before: impl Fn(&T) -> bool) -> Iter<'_, T> {
        let mut iter = Iter { above: Vec::new(), leaf: [].iter() };
        iter.descend(&self.root, is_before);
        iter
    }

    /// The items that an earlier tree had not, or not the same, and those of it whose place is
    /// empty now: what both share is not looked at.
    pub(super) fn since<'a>(
        &'a self,
        earlier: &'a Self,
        is_same: impl Fn(&T, &T) -> bool,
    ) -> (Vec<&'a T>, Vec<&'a T>) {
        let before = earlier.unshared(self);
        let is_new = |item: &&T| {
            let found = before.binary_search(item);
            found.map_or(true, |at| !is_same(before[at], item))
        };
        let new = self.unshared(earlier).into_iter().filter(is_new).collect();
        let is_gone = |item: &&T| self.get(|other| other.cmp(item)).is_none();
        let gone = before.iter().copied().filter(is_gone).collect();
        (new, gone)
    }

    /// The items of the nodes that another tree has not; what differs is among them.
    fn unshared(&self, other: &Self) -> Vec<&T> {
        let mut theirs = FxHashSet::from_iter([Arc::as_ptr(&other.root)]);
        other.root.note_nodes(&mut theirs);
        let mut items = Vec::new();
        TreeNode::collect_but(&self.root, &theirs, &mut items);
        items
    }

    /// Puts an item in its place; the one that had it.
    pub(super) fn insert(&mut self, item: T) -> Option<T> {
        let (old, half) = TreeNode::insert(&mut self.root, item);
        self.len += usize::from(old.is_none());
        if let Some(half) = half {
            let root = std::mem::replace(&mut self.root, Self::default().root);
            self.root = Arc::new(TreeNode::Branch(vec![Child::of(root), half]));
        }
        old
    }

    /// Takes out the item that lies neither before nor behind what is looked for.
    pub(super) fn remove(&mut self, order: impl Fn(&T) -> Ordering) -> Option<T> {
        // Else a search in vain would copy what is shared.
        self.get(&order)?;
        let old = TreeNode::remove(&mut self.root, &order);
        self.len -= 1;
        let only = match &*self.root {
            TreeNode::Branch(children) if children.len() == 1 => Some(children[0].node.clone()),
            _ => None,
        };
        if let Some(only) = only {
            self.root = only;
        }
        old
    }
}

impl<T: Ord + Clone> Child<T> {
    fn of(node: Arc<TreeNode<T>>) -> Self {
        let first = node.first().expect("no child is empty").clone();
        Self { first, node }
    }
}

impl<T: Ord + Clone> TreeNode<T> {
    fn first(&self) -> Option<&T> {
        match self {
            Self::Leaf(items) => items.first(),
            Self::Branch(children) => children.first().map(|child| &child.first),
        }
    }

    /// Takes down where the nodes below this one are.
    fn note_nodes(&self, nodes: &mut FxHashSet<*const Self>) {
        if let Self::Branch(children) = self {
            for child in children {
                nodes.insert(Arc::as_ptr(&child.node));
                child.node.note_nodes(nodes);
            }
        }
    }

    /// Takes out the items of a node and those below it, but for these nodes.
    fn collect_but<'a>(node: &'a Arc<Self>, but: &FxHashSet<*const Self>, items: &mut Vec<&'a T>) {
        match &**node {
            _ if but.contains(&Arc::as_ptr(node)) => {}
            Self::Leaf(own) => items.extend(own),
            Self::Branch(children) => {
                children.iter().for_each(|child| Self::collect_but(&child.node, but, items));
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Leaf(items) => items.len(),
            Self::Branch(children) => children.len(),
        }
    }

    /// Puts an item in its place; the one that had it, and the second half of a node that is full.
    fn insert(node: &mut Arc<Self>, item: T) -> (Option<T>, Option<Child<T>>) {
        match Arc::make_mut(node) {
            Self::Leaf(items) => match items.binary_search(&item) {
                Ok(at) => (Some(std::mem::replace(&mut items[at], item)), None),
                Err(at) => {
                    insert_exact(items, at, item);
                    (None, second_half(items, at).map(Self::Leaf).map(Arc::new).map(Child::of))
                }
            },
            Self::Branch(children) => {
                let at = child_of(children, |first| first <= &item);
                let (old, half) = Self::insert(&mut children[at].node, item);
                children[at].first = children[at].node.first().expect("it has one now").clone();
                if let Some(half) = half {
                    insert_exact(children, at + 1, half);
                }
                (old, second_half(children, at + 1).map(Self::Branch).map(Arc::new).map(Child::of))
            }
        }
    }

    /// Takes out an item, which is there.
    fn remove(node: &mut Arc<Self>, order: &impl Fn(&T) -> Ordering) -> Option<T> {
        match Arc::make_mut(node) {
            Self::Leaf(items) => {
                let old = items.binary_search_by(order).ok().map(|at| items.remove(at));
                shrink(items);
                old
            }
            Self::Branch(children) => {
                let at = child_of(children, |first| order(first).is_le());
                let old = Self::remove(&mut children[at].node, order);
                mend(children, at);
                old
            }
        }
    }

    /// Takes in the items of its right neighbour, which stands as high.
    fn append(&mut self, right: &Self) {
        match (self, right) {
            (Self::Leaf(items), Self::Leaf(others)) => extend_exact(items, others),
            (Self::Branch(items), Self::Branch(others)) => extend_exact(items, others),
            _ => panic!("all leaves of a tree stand equally low"),
        }
    }
}

/// The child in which an item lies or would lie.
fn child_of<T>(children: &[Child<T>], is_up_to: impl Fn(&T) -> bool) -> usize {
    children.partition_point(|child| is_up_to(&child.first)).saturating_sub(1)
}

fn insert_exact<T>(items: &mut Vec<T>, at: usize, item: T) {
    if items.len() == items.capacity() {
        items.reserve_exact(GROWTH);
    }
    items.insert(at, item);
}

fn extend_exact<T: Clone>(items: &mut Vec<T>, others: &[T]) {
    items.reserve_exact(others.len());
    items.extend_from_slice(others);
}

/// What goes to a new node when one is full. Where the last item is the new one it goes alone:
/// items that come in their order leave full nodes behind.
fn second_half<T>(items: &mut Vec<T>, new: usize) -> Option<Vec<T>> {
    if items.len() <= WIDTH {
        return None;
    }
    let half = items.split_off(if new + 1 == items.len() { new } else { items.len() / 2 });
    items.shrink_to_fit();
    Some(half)
}

fn shrink<T>(items: &mut Vec<T>) {
    if items.capacity() > items.len() + 2 * GROWTH {
        items.shrink_to(items.len() + GROWTH);
    }
}

/// Sets a branch right where an item was taken out: an empty child goes, and two that are small
/// become one, so that a tree that shrinks takes less.
fn mend<T: Ord + Clone>(children: &mut Vec<Child<T>>, at: usize) {
    let Some(first) = children[at].node.first().cloned() else {
        children.remove(at);
        return;
    };
    children[at].first = first;
    let left = at.min(children.len().saturating_sub(2));
    if let [one, two, ..] = &mut children[left..]
        && one.node.len() + two.node.len() <= WIDTH * 2 / 3
    {
        Arc::make_mut(&mut one.node).append(&two.node);
        children.remove(left + 1);
    }
}

/// Items in their order.
#[derive(Clone, Debug)]
pub(super) struct Iter<'a, T> {
    /// What comes later, the nearest last.
    above: Vec<slice::Iter<'a, Child<T>>>,
    leaf: slice::Iter<'a, T>,
}

impl<'a, T: Ord + Clone> Iter<'a, T> {
    fn descend(&mut self, mut node: &'a TreeNode<T>, is_before: impl Fn(&T) -> bool) {
        while let TreeNode::Branch(children) = node {
            let at = child_of(children, &is_before);
            self.above.push(children[at + 1..].iter());
            node = &children[at].node;
        }
        if let TreeNode::Leaf(items) = node {
            self.leaf = items[items.partition_point(is_before)..].iter();
        }
    }
}

impl<'a, T: Ord + Clone> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        loop {
            if let Some(item) = self.leaf.next() {
                return Some(item);
            }
            match self.above.last_mut()?.next() {
                Some(child) => self.descend(&child.node, |_| false),
                None => drop(self.above.pop()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// An item whose second half plays no part in its order.
    #[derive(Clone, Debug)]
    struct Pair(u16, u32);

    impl PartialEq for Pair {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }

    impl Eq for Pair {}

    impl PartialOrd for Pair {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    impl Ord for Pair {
        fn cmp(&self, other: &Self) -> Ordering {
            self.0.cmp(&other.0)
        }
    }

    fn listed(tree: &Tree<Pair>) -> Vec<(u16, u32)> {
        tree.iter().map(|pair| (pair.0, pair.1)).collect()
    }

    #[derive(Clone, Debug)]
    enum Change {
        Insert(u16),
        Remove(u16),
        /// Of all from one on: what shrinks a tree.
        RemoveFrom(u16, usize),
        Snapshot,
    }

    fn any_change() -> impl Strategy<Value = Change> {
        let key = 0..1_500_u16;
        prop_oneof![
            30 => key.clone().prop_map(Change::Insert),
            8 => key.clone().prop_map(Change::Remove),
            1 => (key, 0..400_usize).prop_map(|(key, count)| Change::RemoveFrom(key, count)),
            1 => Just(Change::Snapshot),
        ]
    }

    /// Nodes stand in order, are neither empty nor too wide, and keep little room.
    fn check(node: &TreeNode<Pair>) {
        let room = |len: usize, capacity: usize| {
            assert!(len <= WIDTH && capacity <= len + 2 * GROWTH, "{len} of {capacity}");
        };
        match node {
            TreeNode::Leaf(items) => room(items.len(), items.capacity()),
            TreeNode::Branch(children) => {
                room(children.len(), children.len());
                for child in children {
                    assert_eq!(child.node.first().map(|it| (it.0, it.1)), {
                        Some((child.first.0, child.first.1))
                    });
                    check(&child.node);
                }
            }
        }
    }

    type Both = (Tree<Pair>, BTreeMap<u16, u32>);

    /// What is new of one tree and gone of another is so in the maps.
    fn check_since((tree, map): &Both, (earlier, map_before): &Both) {
        let (new, gone) = tree.since(earlier, |one, two| one.1 == two.1);
        let is_new = |(key, value): &(&u16, &u32)| map_before.get(key) != Some(value);
        assert!(
            new.iter()
                .map(|it| (it.0, it.1))
                .eq(map.iter().filter(is_new).map(|it| (*it.0, *it.1)))
        );
        let is_gone = |key: &&u16| !map.contains_key(key);
        assert!(gone.iter().map(|it| it.0).eq(map_before.keys().filter(is_gone).copied()));
    }

    #[test]
    fn of_what_two_trees_share_nothing_is_looked_at() {
        let mut tree = Tree::default();
        for key in 0..10_000 {
            tree.insert(Pair(key, 0));
        }
        let earlier = tree.clone();
        assert!(tree.unshared(&earlier).is_empty());
        tree.insert(Pair(5_000, 1));
        let (new, gone) = tree.since(&earlier, |one, two| one.1 == two.1);
        assert_eq!((new.len(), gone.len()), (1, 0));
        assert!(tree.unshared(&earlier).len() <= WIDTH);
    }

    proptest! {
        #[test]
        fn it_holds_what_a_plain_map_holds_and_a_clone_what_it_held(
            changes in prop::collection::vec(any_change(), 0..3_000),
        ) {
            let (mut tree, mut map) = (Tree::default(), BTreeMap::new());
            let mut clones = Vec::new();
            for (value, change) in (0..).zip(changes) {
                match change {
                    Change::Insert(key) => {
                        let old = tree.insert(Pair(key, value)).map(|pair| pair.1);
                        prop_assert_eq!(old, map.insert(key, value));
                    }
                    Change::Remove(key) => {
                        let old = tree.remove(|pair| pair.0.cmp(&key)).map(|pair| pair.1);
                        prop_assert_eq!(old, map.remove(&key));
                    }
                    Change::RemoveFrom(key, count) => {
                        let keys: Vec<u16> = map.range(key..).take(count).map(|it| *it.0).collect();
                        for key in keys {
                            map.remove(&key);
                            tree.remove(|pair| pair.0.cmp(&key));
                        }
                    }
                    Change::Snapshot => clones.push((tree.clone(), map.clone())),
                }
                prop_assert_eq!(tree.len(), map.len());
            }
            check(&tree.root);
            for key in (0..1_500).step_by(97) {
                let got = tree.get(|pair| pair.0.cmp(&key)).map(|pair| pair.1);
                prop_assert_eq!(got, map.get(&key).copied());
                let from = tree.iter_from(|pair| pair.0 < key).map(|pair| pair.0);
                prop_assert!(from.eq(map.range(key..).map(|it| *it.0)));
            }
            clones.push((tree, map));
            for pair in clones.windows(2) {
                check_since(&pair[1], &pair[0]);
                check_since(&pair[0], &pair[1]);
            }
            for (tree, map) in clones {
                prop_assert_eq!(listed(&tree), map.into_iter().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_tree_from_which_nearly_all_was_taken_is_small_again() {
        let mut tree = Tree::default();
        for key in 0..50_000 {
            tree.insert(Pair(key, 0));
        }
        (0..50_000).filter(|key| key % 100 > 0).for_each(|key| {
            tree.remove(|pair| pair.0.cmp(&key));
        });
        fn nodes(node: &TreeNode<Pair>) -> usize {
            match node {
                TreeNode::Leaf(_) => 1,
                TreeNode::Branch(children) => {
                    1 + children.iter().map(|child| nodes(&child.node)).sum::<usize>()
                }
            }
        }
        let found = nodes(&tree.root);
        assert!(tree.len() == 500 && found < 80, "{} items in {found} nodes", tree.len());
    }
}
