//! Nodes of a network in memory.

use super::{NodeList, NodeListError};
use crate::config::Config;
use crate::net::{Environment, MemoryNetwork};
use crate::node::NodeBuilder;

impl MemoryNetwork {
    /// Prepares a node of this network, as [`NodeList::new`] does one of the machine; nothing is
    /// bound before [`NodeList::join`].
    ///
    /// # Errors
    /// When the node or one of the configuration's seeds is none.
    pub fn node(
        &self,
        node: impl Into<NodeBuilder>,
        config: Config,
    ) -> Result<NodeList, NodeListError> {
        NodeList::at(Environment::Memory(self.clone()), node.into(), config)
    }
}
