//! Whether an action can happen to a node, by what became of the node so far.

use rumormill::time::Instant;
use rumormill::units::show_duration;

use super::{Life, UpLife, Walk};
use crate::scenario::document::Place;
use crate::scenario::errors::Mistake;
use crate::scenario::language::actions::{Act, Blow};
use crate::scenario::plan::NodeNo;

/// What a node must be for an action to happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Whatever it is.
    Any,
    /// Running, stopped or not.
    Running,
    /// Running and not paused, so that it does as it is told.
    Awake,
    /// Awake and not stopped.
    Live,
    /// Awake and stopped.
    Stopped,
    /// Running and paused.
    Paused,
    /// Running, or down without a return.
    NotComing,
}

impl Wanted {
    /// What such a blow wants.
    pub(super) fn by(blow: &Blow) -> Self {
        match blow {
            Blow::Crash => Self::Running,
            Blow::Leave | Blow::Pause | Blow::Suspend | Blow::Update(_) => Self::Awake,
            Blow::Stop => Self::Live,
            Blow::Start => Self::Stopped,
            Blow::Restart(_) => Self::NotComing,
            Blow::Isolate | Blow::Clock(_) | Blow::Starve(_) | Blow::Slow(_) => Self::Any,
        }
    }
}

impl Walk<'_> {
    /// Whether a node is so now.
    pub(super) fn is(&self, node: NodeNo, wanted: Wanted) -> bool {
        let life = self.nodes.get(node as usize).map(|state| state.life);
        let up = match life {
            Some(Life::Up(UpLife { since, stopped, paused })) if since <= self.now => {
                Some((stopped, paused))
            }
            _ => None,
        };
        match wanted {
            Wanted::Any => true,
            Wanted::Running => up.is_some(),
            Wanted::NotComing => up.is_some() || matches!(life, Some(Life::Down { .. })),
            Wanted::Awake => matches!(up, Some((_, false))),
            Wanted::Live => up == Some((false, false)),
            Wanted::Stopped => up == Some((true, false)),
            Wanted::Paused => matches!(up, Some((_, true))),
        }
    }

    /// Why an action can't happen to any of these nodes, by the example of the first.
    pub(super) fn unfit(&self, at: Place, act: &Act, nodes: &[NodeNo], wanted: Wanted) -> Mistake {
        let first = nodes[0];
        let since = |since: Instant| show_duration(since.since(Instant::ZERO));
        let why = match self.nodes.get(first as usize).map(|state| state.life) {
            None => "has not joined yet".to_owned(),
            Some(Life::Down { since: down }) => format!("went down at {}", since(down)),
            Some(Life::Up(UpLife { since: up, .. })) if up > self.now => {
                format!("does not run before {}", since(up))
            }
            Some(Life::Up(UpLife { paused: true, .. })) => "is paused".to_owned(),
            Some(Life::Up(UpLife { .. })) if wanted == Wanted::Stopped => {
                "is not stopped".to_owned()
            }
            Some(Life::Up(UpLife { .. })) => "is stopped already".to_owned(),
        };
        let who = match nodes.len() {
            1 => format!("node {first}"),
            more => format!("none of these {more} nodes: node {first}"),
        };
        let (now, verb) = (since(self.now), act.verb());
        let fix = match act {
            Act::Publish { .. } | Act::Write { .. } => ", `{ random = 1 }` is one that runs",
            _ => "",
        };
        Mistake::new(at, format!("nothing to {verb} at {now}: {who} {why}{fix}"))
    }
}
