//! `drop`, `replay` and `inject`: what is done to single packets.

use std::net::SocketAddr;
use std::time::Duration;

use rumormill::units::{nearest, show_duration};

use super::{TIME, choice};
use crate::protocols::{Claim, Lie, Spec};
use crate::scenario::document::{Item, Table, Value};
use crate::scenario::errors::Mistake;
use crate::scenario::language::nodes::{Names, Nodes};
use crate::scenario::language::text_literal;
use crate::scenario::units::parse_positive_time;

pub(in crate::scenario::language) const DROP_KEYS: [&str; 4] = ["kind", "nth", "from", "to"];
pub(in crate::scenario::language) const REPLAY_KEYS: [&str; 3] = ["from", "to", "after"];
pub(in crate::scenario::language) const INJECT_KEYS: [&str; 6] =
    ["to", "from", "kind", "of", "generation", "bytes"];

/// What an injected packet may be, beside the kinds of [`Lie`].
const BYTES: &str = "bytes";
/// Longest packet that is injected, in bytes.
const BYTES_MAX: usize = 65_507;

/// Packets from some nodes to some nodes; those that are not named are all.
#[derive(Clone, Debug)]
pub(in crate::scenario) struct EndsSpec {
    pub(in crate::scenario) from: Option<Nodes>,
    pub(in crate::scenario) to: Option<Nodes>,
}

/// Which packet gets lost.
#[derive(Clone, Debug)]
pub(in crate::scenario) struct Drop {
    pub(in crate::scenario) kind: &'static str,
    pub(in crate::scenario) nth: u64,
    pub(in crate::scenario) ends: EndsSpec,
}

/// Which packets are handed over once more.
#[derive(Clone, Debug)]
pub(in crate::scenario) struct ReplaySpec {
    pub(in crate::scenario) ends: EndsSpec,
    pub(in crate::scenario) after: Duration,
}

/// A packet that no node sent.
#[derive(Clone, Debug)]
pub(in crate::scenario) struct Inject {
    pub(in crate::scenario) to: Nodes,
    pub(in crate::scenario) from: Sender,
    pub(in crate::scenario) content: ContentSpec,
}

/// As whom it comes.
#[derive(Clone, Debug)]
pub(in crate::scenario) enum Sender {
    Node(Nodes),
    Addr(SocketAddr),
}

/// What it says.
#[derive(Clone, Debug)]
pub(in crate::scenario) enum ContentSpec {
    /// Something of a node, or of its sender.
    Of {
        lie: Lie,
        of: Option<Nodes>,
        claim: Claim,
    },
    Bytes(Vec<u8>),
}

pub(super) fn read_drop(item: &Item, names: Names<'_>, spec: &Spec) -> Result<Drop, Mistake> {
    let table = item.table("a table, such as { kind = \"rumor\", nth = 2, to = 7 }")?;
    table.only(&DROP_KEYS)?;
    let kind = read_kind(table.need("kind", "kind = \"rumor\"")?, spec)?;
    let nth = table.item("nth").map_or(Ok(1), |nth| nth.number("a packet", 1, u32::MAX.into()))?;
    Ok(Drop { kind, nth, ends: EndsSpec::read(table, names)? })
}

fn read_kind(item: &Item, spec: &Spec) -> Result<&'static str, Mistake> {
    let typed = item.text("a kind of packet in quotes, such as \"rumor\"")?;
    spec.kinds.iter().find(|&&kind| kind == typed).copied().ok_or_else(|| {
        let hint = match nearest(typed, spec.kinds.iter().copied()) {
            Some(near) => format!(", did you mean `{near}`?"),
            None => format!(": it is one of {}", spec.kinds.join(", ")),
        };
        let of = if spec.is_ours() { String::new() } else { format!(" of `{}`", spec.name) };
        Mistake::new(item.at, format!("`{typed}` is no kind of packet{of}{hint}"))
    })
}

pub(super) fn read_replay(item: &Item, names: Names<'_>) -> Result<ReplaySpec, Mistake> {
    let table = item.table("a table, such as { to = 7, after = \"10s\" }")?;
    table.only(&REPLAY_KEYS)?;
    let after = table.need("after", "after = \"10s\"")?.parsed(TIME, parse_positive_time)?;
    Ok(ReplaySpec { ends: EndsSpec::read(table, names)?, after })
}

pub(super) fn read_inject(item: &Item, names: Names<'_>, spec: &Spec) -> Result<Inject, Mistake> {
    let table = item.table("a table, such as { to = 7, from = 3, kind = \"goodbye\" }")?;
    table.only(&INJECT_KEYS)?;
    let to = Nodes::read(table.need("to", "to = 7")?, names)?;
    let from = Sender::read(table.need("from", "from = \"10.9.9.9:8000\"")?, names)?;
    let lies = Lie::NAMED.map(|(name, lie)| (name, Some(lie)));
    let [goodbye, tombstone, record, generation, join] = lies;
    let kinds = [goodbye, tombstone, record, generation, join, (BYTES, None)];
    let kind = table.need("kind", "kind = \"goodbye\"")?;
    let content = match choice(kind, kinds)? {
        Some(lie) if !spec.lies.contains(&lie) => {
            let (name, lie) = (spec.name, lie.name());
            let text = format!(
                "nobody can make up a `{lie}` in `{name}`: write `kind = \"{BYTES}\"` and the \
                 bytes, or run another protocol"
            );
            return Err(Mistake::new(kind.at, text));
        }
        Some(lie) => read_lie(table, lie, &from, names)?,
        None => read_bytes(table)?,
    };
    Ok(Inject { to, from, content })
}

fn read_lie(
    table: &Table,
    lie: Lie,
    from: &Sender,
    names: Names<'_>,
) -> Result<ContentSpec, Mistake> {
    if let Some(entry) = table.entry("bytes") {
        let text = "`bytes` goes with `kind = \"bytes\"`: leave it out";
        return Err(Mistake::new(entry.key_at, text));
    }
    let of = table.item("of").map(|of| Nodes::read(of, names)).transpose()?;
    if of.is_none() && lie != Lie::Join && matches!(from, Sender::Addr(_)) {
        let text = format!("a {} of whom? Add `of = 3`", lie.name());
        return Err(Mistake::new(table.at, text));
    }
    let claim = match table.item("generation") {
        Some(item) => choice(item, Claim::NAMED)?,
        None if lie == Lie::Generation => Claim::Next,
        None => Claim::Present,
    };
    Ok(ContentSpec::Of { lie, of, claim })
}

fn read_bytes(table: &Table) -> Result<ContentSpec, Mistake> {
    let beside = ["of", "generation"].into_iter().find_map(|key| table.entry(key));
    if let Some(entry) = beside {
        let text = format!("`{}` has no place beside `bytes`: leave it out", entry.key);
        return Err(Mistake::new(entry.key_at, text));
    }
    let what = "bytes in hex, such as \"726d0100\"";
    let item = table.need("bytes", "bytes = \"726d0100\"")?;
    item.parsed(what, parse_hex).map(ContentSpec::Bytes)
}

fn parse_hex(text: &str) -> Result<Vec<u8>, String> {
    let digit = |digit: char| digit.to_digit(16).map(|digit| digit as u8);
    let digits: Option<Vec<u8>> = text.chars().map(digit).collect();
    let pairs = digits.filter(|digits| digits.len().is_multiple_of(2));
    let Some(digits) = pairs.filter(|digits| digits.len() <= 2 * BYTES_MAX) else {
        return Err(format!(
            "these are no bytes in hex: two of 0-9 and a-f each, at most {BYTES_MAX}"
        ));
    };
    Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

impl EndsSpec {
    fn read(table: &Table, names: Names<'_>) -> Result<Self, Mistake> {
        let nodes = |key| table.item(key).map(|item| Nodes::read(item, names)).transpose();
        Ok(Self { from: nodes("from")?, to: nodes("to")? })
    }

    fn fields(&self) -> String {
        let field = |key, nodes: &Option<Nodes>| {
            nodes.as_ref().map(|nodes| format!(", {key} = {nodes}")).unwrap_or_default()
        };
        field("from", &self.from) + &field("to", &self.to)
    }
}

impl Sender {
    /// An address, or one node.
    fn read(item: &Item, names: Names<'_>) -> Result<Self, Mistake> {
        if let Value::Text(text) = &item.value
            && let Ok(addr) = text.parse()
        {
            return Ok(Self::Addr(addr));
        }
        if let Value::Text(text) = &item.value
            && text.contains(':')
        {
            let text =
                format!("`{text}` is neither IP:PORT nor nodes: write such as 10.9.9.9:8000");
            return Err(Mistake::new(item.at, text));
        }
        Nodes::read(item, names).map(Self::Node)
    }
}

impl Drop {
    pub(super) fn toml(&self) -> String {
        let kind = text_literal(self.kind);
        format!("{{ kind = {kind}, nth = {}{} }}", self.nth, self.ends.fields())
    }
}

impl ReplaySpec {
    pub(super) fn toml(&self) -> String {
        let after = text_literal(&show_duration(self.after));
        format!("{{ after = {after}{} }}", self.ends.fields())
    }
}

impl Inject {
    pub(super) fn toml(&self) -> String {
        let from = match &self.from {
            Sender::Node(nodes) => nodes.to_string(),
            Sender::Addr(addr) => text_literal(&addr.to_string()),
        };
        let content = match &self.content {
            ContentSpec::Bytes(bytes) => {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("kind = \"{BYTES}\", bytes = {}", text_literal(&hex))
            }
            ContentSpec::Of { lie, of, claim } => {
                let of = of.as_ref().map(|of| format!(", of = {of}")).unwrap_or_default();
                let claim = claim.name().map(|claim| format!(", generation = \"{claim}\""));
                format!("kind = \"{}\"{of}{}", lie.name(), claim.unwrap_or_default())
            }
        };
        format!("{{ to = {}, from = {from}, {content} }}", self.to)
    }
}
