//! The network of a run: what actions do to it, how it is undone, and a record for the report.

use std::collections::BTreeMap;

use rumormill::link::{ChangeId, LinkModel, NetworkChange};
use rumormill::time::Instant;

use super::ms;
use crate::results::summary::FaultWindow;
use crate::scenario::plan::{Action, Deed, Heal, NodeNo, Plan};

/// The links, and what actions changed of them.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    pub(crate) links: LinkModel,
    pub(crate) faults: Faults,
}

/// What links did by themselves in a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Whims {
    /// Bursts of losses that began.
    bursts: u64,
    /// Packets held back so that later ones could pass them.
    held_back: u64,
}

impl Weather {
    /// The links as a plan describes them.
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut links = LinkModel::new(plan.seed, plan.network.clone());
        plan.links.iter().for_each(|link| _ = links.apply(link.clone()));
        Self { links, faults: Faults::default() }
    }

    /// Does what the action at this place of the plan does to the network, and notes what it does
    /// to nodes.
    pub(crate) fn act(&mut self, at: Instant, number: usize, action: &Action) {
        let Self { links, faults } = self;
        let (deed, text) = (&action.deed, &action.text);
        faults.count(deed.kind(), deed.faults() as u64);
        if let Some(changes) = deed.network_changes() {
            faults.change(at, number, action, changes, links);
        }
        match deed {
            Deed::Heal(heal) => faults.heal(at, heal, links),
            Deed::Restart { nodes, .. } => faults.strike(at, text, nodes, Recovery::Begins),
            Deed::Stop(nodes) => faults.strike(at, text, nodes, Recovery::Starts),
            Deed::Pause(nodes) | Deed::Suspend(nodes) => {
                faults.strike(at, text, nodes, Recovery::Wakes);
            }
            Deed::Starve { .. } | Deed::Slow { .. } => faults.hold_up(at, number, text),
            Deed::Relieve { of, .. } => faults.relieve(at, *of),
            // Who was down when the others were struck has nothing to wake from.
            Deed::Resume(nodes) => {
                nodes.iter().for_each(|&node| faults.recover(at, node, Recovery::Wakes));
            }
            _ => {}
        }
    }
}

impl Whims {
    /// What links have done by themselves so far.
    pub(crate) fn of(links: &LinkModel) -> Self {
        Self { bursts: links.bursts(), held_back: links.held_back() }
    }
}

/// The faults of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Changes of the network in force, in order of the actions that made them.
    in_force: Vec<InForce>,
    /// The action by which nodes are starved or slow, and the place of its window.
    held_up: Vec<(usize, usize)>,
    counts: BTreeMap<String, u64>,
    windows: Vec<Window>,
}

/// A change of the network that can be healed.
#[derive(Clone, Debug)]
struct InForce {
    /// The place of the action in the plan.
    action: usize,
    label: String,
    change: ChangeId,
    /// The place of its window.
    window: usize,
}

/// A stretch of time in which a fault is at work.
#[derive(Clone, Debug)]
struct Window {
    text: String,
    from: Instant,
    to: Option<Instant>,
    /// Who is struck, and what ends it for each.
    struck: Vec<NodeNo>,
    ends: Option<Recovery>,
}

/// How a node recovers from what struck it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// It beats again.
    Starts,
    /// Its process goes on, or dies.
    Wakes,
    /// It begins anew, which ends whatever was.
    Begins,
}

impl Faults {
    /// Counts a fault, once for every node it strikes.
    pub(crate) fn count(&mut self, kind: &str, times: u64) {
        if times > 0 {
            *self.counts.entry(kind.to_owned()).or_default() += times;
        }
    }

    /// Counts what links did by themselves.
    pub(crate) fn count_whims(&mut self, whims: Whims) {
        self.count("burst", whims.bursts);
        self.count("reorder", whims.held_back);
    }

    /// Changes the network, by the action at this place of the plan.
    fn change(
        &mut self,
        at: Instant,
        number: usize,
        action: &Action,
        changes: Vec<NetworkChange>,
        links: &mut LinkModel,
    ) {
        let window = self.windows.len();
        self.in_force.extend(changes.into_iter().map(|change| InForce {
            action: number,
            label: action.label.clone(),
            change: links.apply(change),
            window,
        }));
        self.open(at, &action.text, Vec::new(), None);
    }

    /// Undoes changes of the network.
    fn heal(&mut self, at: Instant, heal: &Heal, links: &mut LinkModel) {
        let windows = &mut self.windows;
        self.in_force.retain(|change| {
            let stays = match heal {
                Heal::All => false,
                Heal::Label(label) => change.label != *label,
                Heal::Action(action) => change.action != *action,
            };
            if !stays {
                links.undo(change.change);
                windows[change.window].to = Some(at);
            }
            stays
        });
    }

    /// Nodes are down or silent from now on.
    fn strike(&mut self, at: Instant, text: &str, nodes: &[NodeNo], ends: Recovery) {
        self.open(at, text, nodes.to_vec(), Some(ends));
    }

    /// Something is at work on packets from now on, until a time if that is known; its number, to
    /// end it by.
    pub(crate) fn begin(&mut self, at: Instant, text: &str, to: Option<Instant>) -> usize {
        self.open(at, text, Vec::new(), None);
        let number = self.windows.len() - 1;
        self.windows[number].to = to;
        number
    }

    /// Nodes are starved or slow from now on, by the action at this place of the plan.
    fn hold_up(&mut self, at: Instant, action: usize, text: &str) {
        let window = self.begin(at, text, None);
        self.held_up.push((action, window));
    }

    /// They are so no longer.
    fn relieve(&mut self, at: Instant, action: usize) {
        for (_, window) in self.held_up.extract_if(.., |(of, _)| *of == action) {
            self.windows[window].to = Some(at);
        }
    }

    /// What had that number is at work no longer.
    pub(crate) fn end(&mut self, at: Instant, number: usize) {
        self.windows[number].to = Some(at);
    }

    /// A node is as it was.
    pub(crate) fn recover(&mut self, at: Instant, node: NodeNo, how: Recovery) {
        let open = self.windows.iter_mut().filter(|window| window.to.is_none());
        let ended = |window: &&mut Window| {
            window.ends.is_some_and(|ends| ends == how || how == Recovery::Begins)
        };
        for window in open.filter(ended) {
            window.struck.retain(|&other| other != node);
            window.to = window.struck.is_empty().then_some(at);
        }
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.clone()
    }

    /// All windows; those still open last until the end.
    pub(crate) fn windows(self, end: Instant) -> Vec<FaultWindow> {
        let written = self.windows.into_iter().map(|window| FaultWindow {
            text: window.text,
            from_ms: ms(window.from),
            to_ms: ms(window.to.map_or(end, |to| to.min(end))),
        });
        written.collect()
    }

    fn open(&mut self, at: Instant, text: &str, struck: Vec<NodeNo>, ends: Option<Recovery>) {
        self.windows.push(Window { text: text.to_owned(), from: at, to: None, struck, ends });
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
        for (number, label, node) in [(1, "a", 0), (2, "a", 1), (3, "b", 2), (4, "b", 3)] {
            let (at, change) = (at_ms(number), NetworkChange::Isolate(vec![node]));
            let (label, text) = (label.to_owned(), String::new());
            let action = Action { at, deed: Deed::Isolate(vec![node]), label, text };
            faults.change(at, number as usize, &action, vec![change], &mut links);
        }
        faults.heal(at_ms(4), &Heal::Action(4), &mut links);
        assert!(links.passes(4, 3) && !links.passes(4, 2));
        faults.heal(at_ms(5), &Heal::Label("a".into()), &mut links);
        assert!(links.passes(0, 1) && !links.passes(0, 2));
        faults.heal(at_ms(6), &Heal::Label("a".into()), &mut links);
        faults.heal(at_ms(7), &Heal::All, &mut links);
        assert!(links.passes(0, 2));
        let ends: Vec<_> = faults.windows(at_ms(9)).iter().map(|window| window.to_ms).collect();
        assert_eq!(ends, [5.0, 5.0, 7.0, 4.0]);
    }

    #[test]
    fn a_stop_lasts_until_its_last_node_has_started_again() {
        let mut faults = Faults::default();
        faults.strike(at_ms(1), "stop 0, 1", &[0, 1], Recovery::Starts);
        faults.strike(at_ms(2), "stop 2", &[2], Recovery::Starts);
        faults.recover(at_ms(3), 0, Recovery::Starts);
        faults.recover(at_ms(3), 1, Recovery::Wakes);
        faults.recover(at_ms(4), 1, Recovery::Begins);
        let spans: Vec<_> =
            faults.windows(at_ms(9)).iter().map(|window| (window.from_ms, window.to_ms)).collect();
        assert_eq!(spans, [(1.0, 4.0), (2.0, 9.0)]);
    }
}
