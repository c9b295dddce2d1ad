//! What readers see of a node: replaced as a whole by its driver, never locked by it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{broadcast, watch};

use super::stats::NetStats;
use crate::core::{Agreement, Event, Metadata, Record};
use crate::node::Node;
use crate::wire::Reject;

/// A node as it is now.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// Who and where it is, while it has joined.
    pub(crate) local: Option<Local>,
    /// The listed members, itself included, by address.
    pub(crate) members: Arc<[Node]>,
    /// The same with their generations.
    pub(crate) records: Arc<[Arc<Record>]>,
    /// The metadata it holds.
    pub(crate) metadata: Option<Metadata>,
    /// How far the others hold the same.
    pub(crate) agreement: Agreement,
    /// What was counted.
    pub(crate) stats: NetStats,
    /// How many notices this includes: whoever begins with this view was told these.
    pub(crate) told: u64,
}

/// What a subscriber is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Something changed. `NodeList::get` and `NodeList::read` show it already.
    Event(Event),
    /// This many notices were missed because they were not taken in time: read anew.
    Missed(u64),
    /// Packets that arrive are refused for this reason. Told at the first one, and then at most
    /// once a minute for each reason; `NodeList::stats` has the counts.
    Rejected(Reject),
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
    /// The changes of it, numbered from 1.
    pub(crate) notices: broadcast::Sender<(u64, Notice)>,
}

impl Shared {
    /// With room for this many notices that a subscriber has not taken yet.
    pub(crate) fn new(notices_max: usize) -> Self {
        Self { view: watch::Sender::default(), notices: broadcast::Sender::new(notices_max) }
    }

    /// Shows another view, which includes these notices, and then tells them.
    pub(crate) fn show(&self, view: View, notices: Vec<Notice>) {
        self.change(notices, |held| *held = view);
    }

    /// The same with a changed view; readers that wait are woken if there is something to tell.
    pub(crate) fn change(&self, notices: Vec<Notice>, change: impl FnOnce(&mut View)) {
        let mut told = 0;
        self.view.send_if_modified(|view| {
            told = view.told;
            change(view);
            view.told = told + notices.len() as u64;
            !notices.is_empty()
        });
        for (number, notice) in (told + 1..).zip(notices) {
            // It is no error that nobody has subscribed.
            let _ = self.notices.send((number, notice));
        }
    }
}
