//! The roster: addresses and records, interned once so that tables can be dense.

use std::sync::Arc;

use super::record::Record;

/// A set of known incarnations that many engines share, unchangeable.
///
/// A simulator puts every incarnation that its plan will ever start in one; a service begins
/// with an empty one. What an engine hears of beyond it, it keeps for itself.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    records: Vec<Arc<Record>>,
}

impl Roster {
    /// The roster of these incarnations.
    pub fn of(records: impl IntoIterator<Item = Arc<Record>>) -> Self {
        Self { records: records.into_iter().collect() }
    }

    /// The incarnations.
    pub fn records(&self) -> &[Arc<Record>] {
        &self.records
    }
}
