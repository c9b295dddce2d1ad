//! Any packet of version 1, drawn by the table of the frozen codec.

use proptest::prelude::*;
use proptest::sample::Index;

use crate::frozen::{Frozen, KINDS, Shape, Tree, digest};

/// Any packet.
pub(crate) fn packet() -> impl Strategy<Value = Frozen> {
    let kind = 0..u8::try_from(KINDS.len()).expect("few");
    (kind, 1..=u32::MAX).prop_flat_map(|(kind, step)| {
        let body = tree(KINDS[usize::from(kind)].1);
        body.prop_map(move |body| Frozen { kind, step, body })
    })
}

/// A packet, and other bytes that look much like it.
pub(crate) fn damaged() -> impl Strategy<Value = Vec<u8>> {
    (packet(), any::<Index>(), any::<u8>(), 0..4).prop_map(|(packet, at, byte, how)| {
        let mut bytes = packet.encode();
        let at = at.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => bytes[at] ^= 1 << (byte % 8),
            2 => bytes.insert(at, byte),
            _ => bytes.truncate(at),
        }
        bytes
    })
}

fn tree(shape: Shape) -> BoxedStrategy<Tree> {
    match shape {
        Shape::Fixed(_, least, most) => number(least, most).prop_map(Tree::Number).boxed(),
        Shape::Short(most) => number(0, most).prop_map(Tree::Number).boxed(),
        Shape::Raw(len) => bytes(len..=len).boxed(),
        Shape::Address => address().prop_map(Tree::Bytes).boxed(),
        Shape::Blob => bytes(0..=300).boxed(),
        Shape::Text(most) => text(most).boxed(),
        Shape::Zeros => (0..400_usize).prop_map(|len| Tree::Bytes(vec![0; len])).boxed(),
        Shape::List(item) => list(*item).boxed(),
        Shape::Fields(fields) => {
            let fields: Vec<_> = fields.iter().map(|field| tree(*field)).collect();
            fields.prop_map(Tree::Parts).boxed()
        }
        Shape::Choice(shapes) => {
            let choices = (0..).zip(shapes).map(|(tag, shape)| {
                tree(*shape).prop_map(move |of| Tree::Choice(tag, Box::new(of))).boxed()
            });
            proptest::strategy::Union::new(choices).boxed()
        }
        Shape::With(shape, holds) => {
            tree(*shape).prop_map(move |tree| mended(&tree, holds)).boxed()
        }
    }
}

/// Any of these, those at the ends and around the lengths of short numbers more often.
fn number(least: u64, most: u64) -> impl Strategy<Value = u64> {
    let odd = [least, most, 250, 251, 0xffff, 0x1_0000].map(|odd| odd.clamp(least, most));
    prop_oneof![3 => least..=most, 2 => prop::sample::select(odd.to_vec())]
}

fn bytes(len: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Tree> {
    prop::collection::vec(any::<u8>(), len).prop_map(Tree::Bytes)
}

/// Mostly a few, sometimes more than a short number says in one byte.
fn list(item: Shape) -> impl Strategy<Value = Tree> {
    let long = if matches!(item, Shape::Fixed(..) | Shape::Short(_)) { 300 } else { 9 };
    let few = prop::collection::vec(tree(item), 0..6);
    let many = prop::collection::vec(tree(item), long..=long + 3);
    prop_oneof![8 => few, 1 => many].prop_map(Tree::Parts)
}

fn text(most: usize) -> impl Strategy<Value = Tree> {
    let pattern = "[ -~äß中😀\u{200d}\u{a0}]{0,20}";
    let some = prop::string::string_regex(pattern).expect("a pattern");
    let full = prop::string::string_regex("[a-z]{1,3}").expect("a pattern");
    let full = full.prop_map(move |text| text.repeat(most)[..most].to_owned());
    prop_oneof![6 => some, 1 => full].prop_map(|text| Tree::Bytes(text.into_bytes()))
}

fn address() -> impl Strategy<Value = Vec<u8>> {
    let port = (1..=u16::MAX).prop_map(u16::to_le_bytes);
    let v4 =
        (1..224_u8, any::<[u8; 3]>()).prop_map(|(first, rest)| [&[4, first], &rest[..]].concat());
    let v6 = (0x20..0xfe_u8, any::<[u8; 15]>());
    let v6 = v6.prop_map(|(first, rest)| [&[6, first], &rest[..]].concat());
    (prop_oneof![v4, v6], port).prop_map(|(ip, port)| [ip, port.to_vec()].concat())
}

/// The same tree, or one like it of which this holds.
fn mended(tree: &Tree, holds: fn(&Tree) -> bool) -> Tree {
    let all = MENDS.iter().map(|mend| mend(tree.clone()));
    let mut ways = std::iter::once(tree.clone()).chain(all);
    ways.find(holds).expect("one way to mend goes with each rule of the table")
}

const MENDS: [fn(Tree) -> Tree; 4] = [signed, of_four, halved, in_few_buckets];

/// With the digest of its bytes in its version.
fn signed(mut metadata: Tree) -> Tree {
    if let Tree::Parts(parts) = &mut metadata
        && let [Tree::Parts(stamp), Tree::Bytes(value)] = &mut parts[..]
    {
        stamp[2] = Tree::Bytes(digest(value));
    }
    metadata
}

fn cut(list: Tree, len: impl Fn(usize) -> usize) -> Tree {
    match list {
        Tree::Parts(mut items) if !items.is_empty() => {
            items.truncate(len(items.len()));
            Tree::Parts(items)
        }
        // What may not be empty is a list of numbers.
        _ => Tree::Parts(vec![Tree::Number(7)]),
    }
}

fn of_four(witnesses: Tree) -> Tree {
    cut(witnesses, |_| 4)
}

/// As many as a power of two.
fn halved(digests: Tree) -> Tree {
    cut(digests, |len| 1 << len.ilog2())
}

/// Of sixteen bits, or none where those would be too few; the first number of a vector small.
fn in_few_buckets(tree: Tree) -> Tree {
    let Tree::Parts(mut parts) = tree else { return tree };
    match &mut parts[..] {
        [_, bits @ Tree::Number(_), Tree::Parts(_), _] => *bits = Tree::Number(16),
        [_, first @ Tree::Number(_), _] => *first = Tree::Number(300),
        _ => {}
    }
    Tree::Parts(parts)
}
