//! Told once: events that a service is promised to hear of once are not repeated.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use rumormill::core::Record;
use rumormill::node::Generation;
use rumormill::time::Instant;
use rumormill::{Event, Version};

use super::cast::Cast;
use crate::scenario::plan::NodeNo;

/// What every node was told of, and when for the last time.
#[derive(Clone, Debug)]
pub(crate) struct Once {
    /// By node.
    told: Vec<BTreeMap<Matter, Instant>>,
}

/// What is told once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Matter {
    AddressConflict(SocketAddr),
    ClusterTooLarge,
    GenerationsExhausted,
    ListFull,
    NameConflict([(SocketAddr, Generation); 2]),
    NotReached,
    PathNarrow(SocketAddr),
    SettingsDiffer(SocketAddr, String),
    VersionAhead(Version),
}

impl Matter {
    fn of(event: &Event) -> Option<Self> {
        let incarnation = |record: &Record| (record.node().addr(), record.generation());
        Some(match event {
            Event::AddressConflict(record) => Self::AddressConflict(record.node().addr()),
            Event::ClusterTooLarge { .. } => Self::ClusterTooLarge,
            Event::GenerationsExhausted(_) => Self::GenerationsExhausted,
            Event::ListFull { .. } => Self::ListFull,
            Event::NameConflict { first, second } => {
                let mut pair = [incarnation(first), incarnation(second)];
                pair.sort_unstable();
                Self::NameConflict(pair)
            }
            Event::NotReached(_) => Self::NotReached,
            Event::PathNarrow { peer, .. } => Self::PathNarrow(*peer),
            Event::SettingsDiffer { peer, difference } => {
                Self::SettingsDiffer(*peer, format!("{difference:?}"))
            }
            Event::VersionAhead { version, .. } => Self::VersionAhead(*version),
            _ => return None,
        })
    }

    /// Whether it may be told anew once this member is gone.
    fn ends_with(&self, gone: SocketAddr) -> bool {
        match self {
            Self::ListFull => true,
            Self::NameConflict(pair) => pair.iter().any(|&(addr, _)| addr == gone),
            _ => false,
        }
    }
}

impl fmt::Display for Matter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressConflict(addr) => write!(f, "a conflict about {addr}"),
            Self::ClusterTooLarge => f.write_str("a cluster too large for its packets"),
            Self::GenerationsExhausted => f.write_str("that its generations are exhausted"),
            Self::ListFull => f.write_str("a full list"),
            Self::NameConflict([(one, _), (other, _)]) => {
                write!(f, "one name of {one} and {other}")
            }
            Self::NotReached => f.write_str("that it is not reached"),
            Self::PathNarrow(peer) => write!(f, "a narrow path to {peer}"),
            Self::SettingsDiffer(peer, what) => write!(f, "other settings of {peer}: {what}"),
            Self::VersionAhead(version) => write!(f, "version {version} from the future"),
        }
    }
}

impl Once {
    /// After so many quiet timeouts, conflicts and missing calls are told again.
    const QUIET_TIMEOUTS: u32 = 4;

    pub(crate) fn new(nodes: u32) -> Self {
        Self { told: vec![BTreeMap::new(); nodes as usize] }
    }

    /// A node begins, and was told of nothing.
    pub(crate) fn begin(&mut self, node: NodeNo) {
        self.told[node as usize].clear();
    }

    /// A node's service hears of an event; what it was told of before, if it was.
    pub(crate) fn tell(
        &mut self,
        at: Instant,
        node: NodeNo,
        event: &Event,
        cast: &Cast,
    ) -> Option<String> {
        if let Event::Removed { record, .. }
        | Event::Replaced { old: record, .. }
        | Event::Updated { old: record, .. } = event
        {
            let gone = record.node().addr();
            self.told[node as usize].retain(|matter, _| !matter.ends_with(gone));
        }
        let matter = Matter::of(event)?;
        let text = matter.to_string();
        let again = match matter {
            Matter::AddressConflict(_) | Matter::NotReached => {
                Some(cast.config(node).timeout() * Self::QUIET_TIMEOUTS)
            }
            _ => None,
        };
        let before = self.told[node as usize].insert(matter, at)?;
        let is_due = again.is_some_and(|quiet| at - before >= quiet);
        (!is_due).then(|| format!("node {node} is told again of {text}, as it was at {before}"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::world::testkit::{self, at_ms};

    #[test]
    fn what_is_told_again_is_noticed_unless_it_ended_or_was_quiet_long_enough() {
        let cast = Cast::of(&testkit::plan(3, Duration::from_secs(60)));
        let mut once = Once::new(3);
        let full = Event::ListFull { members_max: 2 };
        let record = Arc::clone(&cast.part(1).record);
        let conflict = Event::AddressConflict(Arc::clone(&record));
        let mut tell = |ms, node, event: &Event| once.tell(at_ms(ms), node, event, &cast);
        assert_eq!(tell(1, 0, &full), None);
        assert_eq!(tell(2, 1, &full), None, "another node's service");
        let again = tell(3, 0, &full).unwrap();
        assert_eq!(again, "node 0 is told again of a full list, as it was at 0.001000s");
        let cause = rumormill::core::Cause::Timeout;
        assert_eq!(tell(4, 0, &Event::Removed { record, cause }), None);
        assert_eq!(tell(5, 0, &full), None, "there was room in between");
        assert_eq!(tell(6, 0, &conflict), None);
        assert!(tell(19_000, 0, &conflict).is_some(), "four timeouts are twenty seconds");
        assert_eq!(tell(40_000, 0, &conflict), None);
    }
}
