//! The seeds of a node: what has become of each, and another list of them.

use std::sync::Arc;

use super::{NodeList, NodeListError};
use crate::net::{Seed, SeedPlace, SeedState, SeedStatus};

impl NodeList {
    /// What has become of each seed, in the order in which they were named; each change is told as
    /// [`Notice::Seed`](crate::Notice::Seed). While the node has not joined nobody is asked, and
    /// all are [`SeedState::Seeking`].
    ///
    /// ```
    /// # use rumormill::NodeList;
    /// # use rumormill::net::SeedState;
    /// # fn tell(list: &NodeList) {
    /// for seed in list.seeds().iter().filter(|seed| seed.state != SeedState::Contacted) {
    ///     eprintln!("{} is {}", seed.seed, seed.state);
    /// }
    /// # }
    /// ```
    pub fn seeds(&self) -> Arc<[SeedStatus]> {
        let view = self.shared.view.borrow();
        if view.local.is_some() {
            return Arc::clone(&view.seeds);
        }
        let sought = |seed: &Seed| {
            let SeedPlace { seed, addrs, .. } = SeedPlace::of(seed.clone());
            SeedStatus { seed: seed.text().to_owned(), addrs, state: SeedState::Seeking }
        };
        self.seeds.borrow().iter().map(sought).collect()
    }

    /// Names these nodes instead of all that were named before, as [`NodeList::set`] does one; new
    /// ones are asked at once. Members that are listed stay so, wherever they came from.
    ///
    /// # Errors
    /// When one of the texts is no seed, or there are more than [`NodeList::SEEDS_MAX`]; then all
    /// stays as it was.
    pub fn set_seeds(
        &self,
        seeds: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<(), NodeListError> {
        let mut named = Vec::new();
        for text in seeds {
            let seed = Self::seed(text.as_ref())?;
            if named.contains(&seed) {
                continue;
            }
            if named.len() == Self::SEEDS_MAX {
                return Err(NodeListError::SeedsFull);
            }
            named.push(seed);
        }
        self.seeds.send_replace(named);
        Ok(())
    }

    /// A seed as it is typed.
    pub(super) fn seed(text: &str) -> Result<Seed, NodeListError> {
        Seed::parse(text).ok_or_else(|| NodeListError::Seed { seed: text.to_owned() })
    }
}
