//! What readers see of a node: replaced as a whole by its driver, never locked by it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{broadcast, watch};

use super::stats::NetStats;
use crate::core::{Event, Metadata};
use crate::node::Node;

/// A node as it is now.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// Who and where it is, while it has joined.
    pub(crate) local: Option<Local>,
    /// The listed members, itself included, by address.
    pub(crate) members: Arc<[Node]>,
    /// The metadata it holds.
    pub(crate) metadata: Option<Metadata>,
    /// What was counted.
    pub(crate) stats: NetStats,
}

/// Who and where a node is.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    /// As others know it.
    pub(crate) node: Node,
    /// Where its socket is bound.
    pub(crate) bound: SocketAddr,
}

/// The driver's side of what readers see.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// The state.
    pub(crate) view: watch::Sender<View>,
    /// The changes of it.
    pub(crate) events: broadcast::Sender<Event>,
}

impl Shared {
    /// With room for this many events that a subscriber has not taken yet.
    pub(crate) fn new(events_max: usize) -> Self {
        Self { view: watch::Sender::default(), events: broadcast::Sender::new(events_max) }
    }
}
