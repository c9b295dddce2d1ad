//! What actions do to the network, how it is undone, and a record of it for the report.

use std::collections::BTreeMap;

use rumormill::{ChangeId, Instant, LinkModel, NetworkChange};

use crate::report::summary::FaultWindow;
use crate::scenario::plan::{Deed, Heal, NodeNo};

/// The faults of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Changes of the network in force, by label.
    in_force: BTreeMap<String, Vec<ChangeId>>,
    counts: BTreeMap<String, u64>,
    windows: Vec<Window>,
}

/// A stretch of time in which a fault is at work.
#[derive(Clone, Debug)]
struct Window {
    text: String,
    from: Instant,
    to: Option<Instant>,
    ends: Ends,
}

/// What ends a fault's window.
#[derive(Clone, Debug)]
enum Ends {
    /// A heal of this label.
    Heal(String),
    /// The last of these nodes is as it was.
    Nodes(Vec<NodeNo>),
}

impl Faults {
    /// Counts a fault, once for every node it strikes.
    pub(crate) fn count(&mut self, kind: &str, times: usize) {
        *self.counts.entry(kind.to_owned()).or_default() += times as u64;
    }

    /// Changes the network.
    pub(crate) fn change(
        &mut self,
        at: Instant,
        label: &str,
        text: &str,
        change: NetworkChange,
        links: &mut LinkModel,
    ) {
        let id = links.apply(change);
        self.in_force.entry(label.to_owned()).or_default().push(id);
        self.open(at, text, Ends::Heal(label.to_owned()));
    }

    /// Undoes changes of the network.
    pub(crate) fn heal(&mut self, at: Instant, heal: &Heal, links: &mut LinkModel) {
        let healed = match heal {
            Heal::All => std::mem::take(&mut self.in_force),
            Heal::Label(label) => self.in_force.remove_entry(label).into_iter().collect(),
        };
        for (label, ids) in healed {
            ids.into_iter().for_each(|id| links.undo(id));
            let of_label =
                |window: &&mut Window| matches!(&window.ends, Ends::Heal(other) if *other == label);
            let open = self.windows.iter_mut().filter(|window| window.to.is_none());
            open.filter(of_label).for_each(|window| window.to = Some(at));
        }
    }

    /// Nodes are down or silent from now on.
    pub(crate) fn strike(&mut self, at: Instant, text: &str, nodes: &[NodeNo]) {
        self.open(at, text, Ends::Nodes(nodes.to_vec()));
    }

    /// A node is as it was.
    pub(crate) fn recover(&mut self, at: Instant, node: NodeNo) {
        for window in self.windows.iter_mut().filter(|window| window.to.is_none()) {
            if let Ends::Nodes(nodes) = &mut window.ends {
                nodes.retain(|&other| other != node);
                window.to = nodes.is_empty().then_some(at);
            }
        }
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.clone()
    }

    /// All windows; those still open last until the end.
    pub(crate) fn windows(self, end: Instant) -> Vec<FaultWindow> {
        let ms = |at: Instant| at.as_nanos() as f64 / 1e6;
        let written = self.windows.into_iter().map(|window| FaultWindow {
            text: window.text,
            from_ms: ms(window.from),
            to_ms: ms(window.to.unwrap_or(end)),
        });
        written.collect()
    }

    fn open(&mut self, at: Instant, text: &str, ends: Ends) {
        self.windows.push(Window { text: text.to_owned(), from: at, to: None, ends });
    }
}

/// The change of the network that a deed is, if it is one.
pub(crate) fn network_change(deed: &Deed) -> Option<NetworkChange> {
    Some(match deed {
        Deed::Partition(groups) => NetworkChange::Partition(groups.clone()),
        Deed::Isolate(nodes) => NetworkChange::Isolate(nodes.clone()),
        Deed::Link { from, to, ways, change } => NetworkChange::Links {
            from: from.clone(),
            to: to.clone(),
            ways: *ways,
            change: change.clone(),
        },
        Deed::Network(change) => NetworkChange::Everywhere(change.clone()),
        _ => return None,
    })
}

/// What a deed is called, as a cause and in counts.
pub(crate) fn kind(deed: &Deed) -> &'static str {
    match deed {
        Deed::Publish { .. } => "publish",
        Deed::Partition(_) => "partition",
        Deed::Isolate(_) => "isolate",
        Deed::Link { .. } => "link",
        Deed::Network(_) => "network",
        Deed::Heal(_) => "heal",
        Deed::Crash(_) => "crash",
        Deed::Stop(_) => "stop",
        Deed::Start(_) => "start",
        Deed::Leave(_) => "leave",
        Deed::Join(_) => "join",
        Deed::Restart { .. } => "restart",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testkit::{at_ms, lan};

    #[test]
    fn a_heal_undoes_all_changes_of_its_label_and_closes_their_windows() {
        let mut links = LinkModel::new(1, lan());
        let mut faults = Faults::default();
        let mut isolate = |ms, label: &str, node| {
            let change = NetworkChange::Isolate(vec![node]);
            faults.change(at_ms(ms), label, label, change, &mut links);
        };
        isolate(1, "a", 0);
        isolate(2, "a", 1);
        isolate(3, "b", 2);
        faults.heal(at_ms(5), &Heal::Label("a".into()), &mut links);
        assert!(links.passes(0, 1) && !links.passes(0, 2));
        faults.heal(at_ms(6), &Heal::Label("a".into()), &mut links);
        faults.heal(at_ms(7), &Heal::All, &mut links);
        assert!(links.passes(0, 2));
        let ends: Vec<_> = faults.windows(at_ms(9)).iter().map(|window| window.to_ms).collect();
        assert_eq!(ends, [5.0, 5.0, 7.0]);
    }

    #[test]
    fn a_stop_lasts_until_its_last_node_has_started_again() {
        let mut faults = Faults::default();
        faults.strike(at_ms(1), "stop 0, 1", &[0, 1]);
        faults.strike(at_ms(2), "stop 2", &[2]);
        faults.recover(at_ms(3), 0);
        faults.recover(at_ms(4), 1);
        let spans: Vec<_> =
            faults.windows(at_ms(9)).iter().map(|window| (window.from_ms, window.to_ms)).collect();
        assert_eq!(spans, [(1.0, 4.0), (2.0, 9.0)]);
    }
}
