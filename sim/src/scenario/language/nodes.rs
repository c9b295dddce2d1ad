//! NODES: the expressions that name sets of nodes.
//!
//! Reading one checks its form; evaluating one needs the moment, because `"live"` and a random
//! choice mean something else at each.

use std::fmt;

use rumormill::rng::Rng;
use rumormill::units::nearest;

use crate::percent::Percent;
use crate::scenario::document::{Item, Place, Table, Value};
use crate::scenario::errors::{Mistake, did_you_mean};
use crate::scenario::plan::NodeNo;

const WHAT: &str = "nodes, such as 7, \"0..25\", \"live\" or { random = 5 }";

/// What a random choice may say.
pub(super) const RANDOM_KEYS: [&str; 3] = ["random", "from", "except"];

/// How deep lists and random choices may stand in each other.
const DEPTH_MAX: usize = 16;

/// An expression that names nodes, and its place.
#[derive(Clone, Debug)]
pub(in crate::scenario) struct Nodes {
    kind: NodesKind,
    pub(in crate::scenario) at: Place,
}

#[derive(Clone, Debug)]
enum NodesKind {
    One(u32),
    /// First and last.
    Range(u32, u32),
    Share(Percent, Percent),
    Named(Named),
    /// A group by its place in the scenario, or one node of it.
    Group {
        name: String,
        group: usize,
        member: Option<u32>,
    },
    List(Vec<Nodes>),
    Random {
        count: Count,
        from: Box<Nodes>,
        except: Option<Box<Nodes>>,
    },
}

/// How many nodes a random choice takes.
#[derive(Clone, Copy, Debug)]
enum Count {
    Nodes(u32),
    /// A share of those it chooses from, rounded down, but at least one.
    Share(Percent),
}

impl Count {
    fn of(self, pool: u32) -> u32 {
        match self {
            Self::Nodes(count) => count,
            Self::Share(percent) => percent.of(pool).max(1),
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes(count) => write!(f, "{count}"),
            Self::Share(percent) => write!(f, "\"{percent}\""),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Named {
    All,
    Live,
    Joined,
}

const NAMES: [(&str, Named); 3] =
    [("all", Named::All), ("live", Named::Live), ("joined", Named::Joined)];

/// The names of groups that can be meant.
#[derive(Clone, Copy, Debug)]
pub(in crate::scenario) struct Names<'a>(pub(in crate::scenario) &'a [String]);

impl Names<'_> {
    /// Whether a group may not have this name, because it means something else.
    pub(super) fn is_taken(name: &str) -> bool {
        NAMES.iter().any(|(taken, _)| *taken == name)
    }
}

/// What the nodes are like at the moment of an action.
pub(in crate::scenario) trait Moment {
    /// How many nodes the scenario knows at first.
    fn initial(&self) -> u32;
    /// How many nodes have been there so far, newcomers that are starting included.
    fn so_far(&self) -> u32;
    /// How many there will ever be.
    fn ever(&self) -> u32;
    /// How many nodes `"all"` means.
    fn all(&self) -> u32 {
        self.so_far()
    }
    /// The nodes of a group, sorted.
    fn group(&self, group: usize) -> &[NodeNo];
    /// What is so now and may be otherwise later; `None` where all the time is meant.
    fn present(&mut self) -> Option<&mut dyn Present>;
}

/// What depends on the moment, and on chance.
pub(in crate::scenario) trait Present {
    /// Whether a node runs and is not stopped.
    fn is_live(&self, node: NodeNo) -> bool;
    /// The stream of the next random choice.
    fn draw(&mut self) -> Rng;
}

impl Nodes {
    /// Some live node, for defaults.
    pub(in crate::scenario) fn some_live(count: u32, at: Place) -> Self {
        let from = Box::new(Self { kind: NodesKind::Named(Named::Live), at });
        Self { kind: NodesKind::Random { count: Count::Nodes(count), from, except: None }, at }
    }

    pub(in crate::scenario) fn read(item: &Item, names: Names<'_>) -> Result<Self, Mistake> {
        Self::read_at_depth(item, names, 0)
    }

    /// Nodes that are the same at every moment, for groups and static links.
    pub(in crate::scenario) fn read_fixed(item: &Item, names: Names<'_>) -> Result<Self, Mistake> {
        let nodes = Self::read(item, names)?;
        match nodes.changing() {
            None => Ok(nodes),
            Some(at) => Err(inconstant(at)),
        }
    }

    /// Where something stands that means other nodes at another time.
    fn changing(&self) -> Option<Place> {
        match &self.kind {
            NodesKind::Named(Named::Live) | NodesKind::Random { .. } => Some(self.at),
            NodesKind::List(lists) => lists.iter().find_map(Self::changing),
            _ => None,
        }
    }

    fn read_at_depth(item: &Item, names: Names<'_>, depth: usize) -> Result<Self, Mistake> {
        if depth > DEPTH_MAX {
            return Err(Mistake::new(item.at, "nodes inside nodes: this is too deep"));
        }
        let kind = match &item.value {
            Value::Integer(_) => {
                NodesKind::One(index(item.number("a node", 0, u32::MAX.into())?))
            }
            Value::Text(_) => read_text(item.text(WHAT)?, names, item.at)?,
            Value::List(items) => {
                let each = items.iter().map(|item| Self::read_at_depth(item, names, depth + 1));
                NodesKind::List(each.collect::<Result<_, _>>()?)
            }
            Value::Table(table) => read_random(table, names, item.at, depth)?,
            _ => return Err(item.expected(WHAT)),
        };
        Ok(Self { kind, at: item.at })
    }

    /// The nodes that are meant, sorted, none twice; an error when there are none.
    pub(in crate::scenario) fn evaluate(
        &self,
        now: &mut impl Moment,
    ) -> Result<Vec<NodeNo>, Mistake> {
        let mut nodes = self.members(now)?;
        nodes.sort_unstable();
        nodes.dedup();
        if nodes.is_empty() {
            return Err(Mistake::new(self.at, format!("{self} is no node at this time")));
        }
        Ok(nodes)
    }

    fn members(&self, now: &mut impl Moment) -> Result<Vec<NodeNo>, Mistake> {
        let so_far = now.so_far();
        Ok(match &self.kind {
            &NodesKind::One(node) => vec![self.existing(node, now)?],
            &NodesKind::Range(first, last) => (first..=self.existing(last, now)?).collect(),
            NodesKind::Share(from, to) => (from.of(so_far)..to.of(so_far)).collect(),
            NodesKind::Named(Named::All) => (0..now.all()).collect(),
            NodesKind::Named(Named::Live) => {
                let present = now.present().ok_or_else(|| inconstant(self.at))?;
                (0..so_far).filter(|&node| present.is_live(node)).collect()
            }
            NodesKind::Named(Named::Joined) => (now.initial()..now.all()).collect(),
            NodesKind::Group { group, member: None, .. } => now.group(*group).to_vec(),
            NodesKind::Group { name, group, member: Some(member) } => {
                vec![self.of_group(name, *member, now.group(*group))?]
            }
            NodesKind::List(lists) => {
                let mut nodes = Vec::new();
                for list in lists {
                    nodes.extend(list.members(now)?);
                }
                nodes
            }
            NodesKind::Random { count, from, except } => {
                self.draw(*count, from, except.as_deref(), now)?
            }
        })
    }

    fn existing(&self, node: u32, now: &impl Moment) -> Result<u32, Mistake> {
        let (initial, ever) = (now.initial(), now.ever());
        if node < ever {
            return Ok(node);
        }
        let newcomers = if ever > initial { ", newcomers included" } else { "" };
        let text = match ever {
            1 => format!("there is no node {node}: the only node is 0"),
            _ => format!("there is no node {node}: there are {ever}, 0 to {}{newcomers}", ever - 1),
        };
        Err(Mistake::new(self.at, text))
    }

    fn of_group(&self, name: &str, member: u32, nodes: &[NodeNo]) -> Result<NodeNo, Mistake> {
        nodes.get(member as usize).copied().ok_or_else(|| {
            let last = nodes.len().saturating_sub(1);
            let text = format!("`{name}` has no node [{member}]: they are [0] to [{last}]");
            Mistake::new(self.at, text)
        })
    }

    fn draw(
        &self,
        count: Count,
        from: &Self,
        except: Option<&Self>,
        now: &mut impl Moment,
    ) -> Result<Vec<NodeNo>, Mistake> {
        let mut pool = from.members(now)?;
        pool.sort_unstable();
        pool.dedup();
        if let Some(except) = except {
            let mut spared = except.members(now)?;
            spared.sort_unstable();
            pool.retain(|node| spared.binary_search(node).is_err());
        }
        let count = count.of(index(pool.len() as u64));
        if pool.len() < count as usize {
            let text = format!("{count} random nodes are asked for, {} are there", pool.len());
            return Err(Mistake::new(self.at, text));
        }
        let mut rng = now.present().ok_or_else(|| inconstant(self.at))?.draw();
        for place in 0..count as usize {
            let other = place + rng.below(pool.len() - place);
            pool.swap(place, other);
        }
        pool.truncate(count as usize);
        Ok(pool)
    }
}

fn inconstant(at: Place) -> Mistake {
    let text = "these nodes must be the same all the time: name them by number, range, percent or \
                group";
    Mistake::new(at, text)
}

fn index(number: u64) -> u32 {
    u32::try_from(number).expect("checked against u32::MAX")
}

fn read_text(typed: &str, groups: Names<'_>, at: Place) -> Result<NodesKind, Mistake> {
    let text = typed.trim();
    if let Some((_, named)) = NAMES.into_iter().find(|(name, _)| *name == text) {
        return Ok(NodesKind::Named(named));
    }
    if let Some((name, member)) = text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        let member = member.trim().parse().map_err(|_| {
            let wrong = format!("`{typed}` is no node of a group: write such as \"{name}[0]\"");
            Mistake::new(at, wrong)
        })?;
        return group(name.trim(), Some(member), groups, at);
    }
    if groups.0.iter().any(|name| name == text) {
        return group(text, None, groups, at);
    }
    if let Some((from, to)) = text.split_once("..") {
        return range(typed, from.trim(), to.trim(), at);
    }
    match text.parse() {
        Ok(node) => Ok(NodesKind::One(node)),
        Err(_) => Err(nameless(typed, text, groups, at)),
    }
}

fn group(
    name: &str,
    member: Option<u32>,
    groups: Names<'_>,
    at: Place,
) -> Result<NodesKind, Mistake> {
    match groups.0.iter().position(|known| known == name) {
        Some(group) => Ok(NodesKind::Group { name: name.to_owned(), group, member }),
        None => Err(Mistake::unknown(at, "group", name, groups.0.iter().map(String::as_str))),
    }
}

/// The mistake of a text that names no nodes.
fn nameless(typed: &str, text: &str, groups: Names<'_>, at: Place) -> Mistake {
    let names = || NAMES.iter().map(|(name, _)| *name);
    let known: Vec<&str> = names().chain(groups.0.iter().map(String::as_str)).collect();
    let text = match nearest(text, known.iter().copied()) {
        Some(near) => format!("`{typed}` names no nodes{}", did_you_mean(near)),
        None => format!(
            "`{typed}` names no nodes: write a number such as 7, a range such as \"0..25\", or {}",
            known.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
        ),
    };
    Mistake::new(at, text)
}

fn range(typed: &str, from: &str, to: &str, at: Place) -> Result<NodesKind, Mistake> {
    let (to, closed) = to.strip_prefix('=').map_or((to, false), |to| (to.trim(), true));
    if from.ends_with('%') || to.ends_with('%') {
        return share(typed, from, to, closed).map_err(|text| Mistake::new(at, text));
    }
    let bound = |text: &str| {
        text.parse::<u32>().map_err(|_| {
            let wrong = format!("`{typed}` is no range of nodes: write \"0..25\" or \"0%..50%\"");
            Mistake::new(at, wrong)
        })
    };
    let (first, end) = (bound(from)?, bound(to)?);
    if first > end {
        let dots = if closed { "..=" } else { ".." };
        let text = format!("`{typed}` is upside down, did you mean `{end}{dots}{first}`?");
        return Err(Mistake::new(at, text));
    }
    if first == end && !closed {
        let text = format!(
            "`{typed}` is empty because `..` leaves its end out, did you mean `{first}..={end}`?"
        );
        return Err(Mistake::new(at, text));
    }
    Ok(NodesKind::Range(first, if closed { end } else { end - 1 }))
}

fn share(typed: &str, from: &str, to: &str, closed: bool) -> Result<NodesKind, String> {
    if closed {
        return Err(format!("`{typed}`: a range of percents has no `..=`, write `{from}..{to}`"));
    }
    let (first, end) = (Percent::parse(from)?, Percent::parse(to)?);
    if first > end {
        return Err(format!("`{typed}` is upside down, did you mean `{end}..{first}`?"));
    }
    if first == end {
        return Err(format!("`{typed}` is empty: both its ends are {first}"));
    }
    Ok(NodesKind::Share(first, end))
}

fn read_random(
    table: &Table,
    names: Names<'_>,
    at: Place,
    depth: usize,
) -> Result<NodesKind, Mistake> {
    table.only(&RANDOM_KEYS)?;
    let count = read_count(table.need("random", "random = 5")?)?;
    let inner =
        |key| table.item(key).map(|item| Nodes::read_at_depth(item, names, depth + 1)).transpose();
    let live = || Nodes { kind: NodesKind::Named(Named::Live), at };
    let from = Box::new(inner("from")?.unwrap_or_else(live));
    Ok(NodesKind::Random { count, from, except: inner("except")?.map(Box::new) })
}

fn read_count(item: &Item) -> Result<Count, Mistake> {
    if let Value::Text(_) = &item.value {
        return item.parsed("a share, such as \"10%\"", Percent::parse).map(Count::Share);
    }
    Ok(Count::Nodes(index(item.number("a number of nodes", 1, u32::MAX.into())?)))
}

/// As TOML that reads as the same expression.
impl fmt::Display for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            NodesKind::One(node) => write!(f, "{node}"),
            &NodesKind::Range(first, last) => write!(f, "\"{first}..{}\"", u64::from(last) + 1),
            NodesKind::Share(from, to) => write!(f, "\"{from}..{to}\""),
            NodesKind::Named(Named::All) => f.write_str("\"all\""),
            NodesKind::Named(Named::Live) => f.write_str("\"live\""),
            NodesKind::Named(Named::Joined) => f.write_str("\"joined\""),
            NodesKind::Group { name, member: None, .. } => write!(f, "\"{name}\""),
            NodesKind::Group { name, member: Some(member), .. } => {
                write!(f, "\"{name}[{member}]\"")
            }
            NodesKind::List(lists) => write!(f, "[{}]", show_list(lists)),
            NodesKind::Random { count, from, except: None } => {
                write!(f, "{{ random = {count}, from = {from} }}")
            }
            NodesKind::Random { count, from, except: Some(except) } => {
                write!(f, "{{ random = {count}, from = {from}, except = {except} }}")
            }
        }
    }
}

/// Expressions with commas between them, as in a TOML list.
pub(in crate::scenario) fn show_list(lists: &[Nodes]) -> String {
    lists.iter().map(Nodes::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
