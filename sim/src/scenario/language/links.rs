//! `[[link]]`: links that are unlike the rest of the network from the beginning on.

use super::network::{self, Properties};
use super::nodes::{Moment, Names, Nodes, show_list};
use crate::scenario::document::{Item, Table, Value};
use crate::scenario::errors::{Mistake, Mistakes};
use crate::scenario::plan::Links;

/// Which links are meant, in a table that says what changes of them.
pub(super) const SCOPE_KEYS: [&str; 3] = ["from", "to", "between"];

/// Which links are meant.
#[derive(Clone, Debug)]
pub(in crate::scenario) enum Scope {
    FromTo(Nodes, Nodes),
    /// Two or more sets, and the links between any two of them.
    Between(Vec<Nodes>),
}

/// One `[[link]]`, as typed.
#[derive(Clone, Debug)]
pub(in crate::scenario) struct StaticLink {
    pub(in crate::scenario) scope: Scope,
    pub(in crate::scenario) change: Properties,
}

impl Scope {
    /// The links, now.
    pub(in crate::scenario) fn evaluate(&self, now: &mut impl Moment) -> Result<Links, Mistake> {
        Ok(match self {
            Self::FromTo(from, to) => {
                Links::OneWay { from: from.evaluate(now)?, to: to.evaluate(now)? }
            }
            Self::Between(sets) => {
                let sets = sets.iter().map(|set| set.evaluate(now));
                Links::Between(sets.collect::<Result<_, _>>()?)
            }
        })
    }

    /// Its keys and their values as TOML.
    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::FromTo(from, to) => vec![("from", from.to_string()), ("to", to.to_string())],
            Self::Between(sets) => vec![("between", format!("[{}]", show_list(sets)))],
        }
    }
}

impl StaticLink {
    /// Its keys and their values as TOML.
    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        self.scope.rows().into_iter().chain(self.change.rows()).collect()
    }
}

/// Reads all of `[[link]]`.
pub(super) fn read(item: Option<&Item>, names: Names<'_>, found: &mut Mistakes) -> Vec<StaticLink> {
    let items = match item {
        None => Ok(&[][..]),
        Some(Item { value: Value::Table(_), at }) => {
            Err(Mistake::new(*at, "links stand under [[link]], with two brackets"))
        }
        Some(item) => item.list("links, each under [[link]]"),
    };
    let items = found.keep(items).unwrap_or_default();
    items.iter().filter_map(|item| found.keep(read_link(item, names))).collect()
}

fn read_link(item: &Item, names: Names<'_>) -> Result<StaticLink, Mistake> {
    let table = item.table("a link under [[link]]")?;
    let (scope, change) = read_change(item, table, |item| Nodes::read_fixed(item, names))?;
    Ok(StaticLink { scope, change })
}

/// Which links, and what is to change of them; both must be there.
pub(super) fn read_change(
    item: &Item,
    table: &Table,
    read: impl Fn(&Item) -> Result<Nodes, Mistake>,
) -> Result<(Scope, Properties), Mistake> {
    let known: Vec<&str> = SCOPE_KEYS.into_iter().chain(network::KEYS).collect();
    table.only(&known)?;
    let scope = read_scope(table, read)?;
    let change = Properties::among(table)?;
    if change.is_empty() {
        let text = format!("this link changes nothing: add one of {}", network::KEYS.join(", "));
        return Err(Mistake::new(item.at, text));
    }
    let Some(scope) = scope else {
        let text = "which links? Add `from` and `to` for one way, or `between` for both";
        return Err(Mistake::new(item.at, text));
    };
    Ok((scope, change))
}

/// `from` and `to`, or `between`, or neither.
pub(super) fn read_scope(
    table: &Table,
    read: impl Fn(&Item) -> Result<Nodes, Mistake>,
) -> Result<Option<Scope>, Mistake> {
    match (table.entry("from"), table.entry("to"), table.entry("between")) {
        (None, None, None) => Ok(None),
        (Some(from), Some(to), None) => Ok(Some(Scope::FromTo(read(&from.item)?, read(&to.item)?))),
        (None, None, Some(between)) => {
            let what = "a list of two or more, such as [\"0..25\", \"25..50\"]";
            let sets = between.item.list(what)?;
            if sets.len() < 2 {
                return Err(Mistake::new(between.item.at, format!("expected {what}")));
            }
            Ok(Some(Scope::Between(sets.iter().map(read).collect::<Result<_, _>>()?)))
        }
        (Some(one), None, None) | (None, Some(one), None) => {
            let text = "`from` and `to` stand together: add the other";
            Err(Mistake::new(one.key_at, text))
        }
        (_, _, Some(between)) => {
            let text = "`between` is both ways and excludes `from` and `to`: keep one of them";
            Err(Mistake::new(between.key_at, text))
        }
    }
}
