//! What readers see of a node: replaced as a whole by its driver, never locked by it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use tokio::sync::{broadcast, watch};

use super::contacts::SeedStatus;
use super::presence::Ended;
use super::queued::{Newest, Numbered, Queued};
use super::stats::NetStats;
use crate::core::{Agreement, EntriesView, Event, Metadata, Reach, Record};
use crate::node::{Generation, Node};
#[cfg(doc)]
use crate::node_list::NodeList;
use crate::time::Instant;
use crate::wire::Reject;

/// A node as it is now.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// Who and where it is, from its join to the end of its task.
    pub(crate) local: Option<Local>,
    /// The listed members, itself included, by address.
    pub(crate) list: Listed,
    /// The metadata it holds.
    pub(crate) metadata: Option<Metadata>,
    /// The entries it holds, and when it did.
    pub(crate) entries: (EntriesView, Instant),
    /// How far the others hold the same.
    pub(crate) agreement: Agreement,
    /// What has become of its seeds.
    pub(crate) seeds: Arc<[SeedStatus]>,
    /// What was counted.
    pub(crate) stats: NetStats,
    /// The last generation that it had, also when it has left or ended.
    pub(crate) generation: Option<Generation>,
    /// Why its task ended, until it joins again.
    pub(crate) ended: Option<Ended>,
    /// How many notices this includes: whoever begins with this view was told these.
    pub(crate) told: u64,
}

/// What a subscriber is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Notice {
    /// Something changed. [`NodeList::get`] and [`NodeList::read`] show it already.
    Event(Event),
    /// This many notices were missed because they were not taken in time: read anew. At most
    /// 1,024 wait for a subscriber, and of values only the newest: a [`Event::Published`] that
    /// still waits when the next one comes is missed.
    Missed(u64),
    /// Packets that arrive are refused for this reason. Told at the first one, and then at most
    /// once a minute for each reason; [`NodeList::stats`] has the counts.
    Rejected(Reject),
    /// The system keeps fewer bytes of unread datagrams for this node than `buffer` times `size`,
    /// so that a burst may get lost. Raise its limit (on Linux `net.core.rmem_max`, which is
    /// often 208 KiB) to what was wanted, or lower `buffer`. Told once in a life, behind the node's
    /// own `Joined`; [`crate::net::NetStats::queue_bytes`] shows it later on.
    BufferClamped {
        /// `buffer` times `size`.
        wanted: usize,
        /// What the system keeps.
        granted: usize,
    },
    /// What has become of a seed, when that has changed: see [`NodeList::seeds`].
    Seed(SeedStatus),
    /// The node lists nobody but itself, and why: [`Reach::First`] or [`Reach::Nobody`]. That it
    /// does list somebody shows in [`Event::Joined`].
    Alone(Reach),
    /// A member's address is of a family that this node's socket can't send to: it hears of that
    /// member through others only, and a value or a last call never passes between the two. Let
    /// every node listen on `[::]`, or all on IPv4. Told once for each of the first 64.
    OtherFamily(SocketAddr),
    /// By this IP the others should reach the node now, other than by the one that it advertises,
    /// or there is none any more: an address given anew, an interface gone, or a seed that was
    /// found on another network. Leave and join to advertise it. Looked for once in each `redial`
    /// period, and told at each change.
    AddressChanged {
        /// What the node advertises.
        advertised: SocketAddr,
        /// What it would advertise if it joined now.
        found: Option<IpAddr>,
    },
    /// What is to outlast this node can't be written to its `state_dir`: why. It goes on, says of
    /// nothing new that it holds it, and tries again every `state_flush`. Told at the first failure
    /// after a success.
    NotKept(String),
    /// It is written again.
    KeptAgain,
    /// This node has left, by [`NodeList::leave`]: its list and metadata are empty and its port is
    /// free. What it is told of after its next join follows here.
    Left,
    /// This node has ended for this reason, without a goodbye; else as after a leave.
    /// [`NodeList::join`] starts it again.
    Ended(Ended),
}

/// What happened, in one line.
impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => event.fmt(f),
            Self::Missed(count) => write!(f, "missed {count} changes"),
            Self::Rejected(reason) => write!(f, "rejecting packets: {reason}"),
            Self::BufferClamped { wanted, granted } => {
                let fix = "raise net.core.rmem_max";
                write!(f, "the system's buffer holds {granted} bytes of {wanted}: {fix}")
            }
            Self::Seed(status) => status.fmt(f),
            Self::Alone(reach) => write!(f, "alone: {reach}"),
            Self::OtherFamily(peer) => {
                write!(f, "cannot send to {peer}: not of the family that is listened on")
            }
            Self::AddressChanged { advertised, found: Some(found) } => {
                write!(f, "address changed: {advertised} is advertised, it is now {found}")
            }
            Self::AddressChanged { advertised, found: None } => {
                write!(f, "address changed: {advertised} is advertised, it is gone")
            }
            Self::NotKept(why) => write!(f, "not kept: {why}"),
            Self::KeptAgain => f.write_str("kept again"),
            Self::Left => f.write_str("left"),
            Self::Ended(why) => write!(f, "ended: {why}"),
        }
    }
}

/// Listed members by address. As nodes they are shown once somebody looks: while a cluster starts
/// a list changes many times between two looks, and each node's texts are copied for that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listed {
    records: Arc<[Arc<Record>]>,
    nodes: Arc<OnceLock<Arc<[Node]>>>,
}

impl Listed {
    pub(crate) fn of(mut records: Vec<Arc<Record>>) -> Self {
        records.sort_by_key(|record| record.node().addr());
        Self { records: records.into(), nodes: Arc::default() }
    }

    /// As nodes.
    pub(crate) fn nodes(&self) -> &Arc<[Node]> {
        let nodes = || self.records.iter().map(|record| record.node().clone()).collect();
        self.nodes.get_or_init(nodes)
    }

    /// With their generations.
    pub(crate) fn records(&self) -> &[Arc<Record>] {
        &self.records
    }
}

/// Who and where a node is.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    /// As others know it.
    pub(crate) node: Node,
    /// Where its socket is bound.
    pub(crate) bound: SocketAddr,
}

/// What readers see, and what it takes to change that. It doesn't keep the subscriptions open:
/// they end with the handle, wherever the node's task is then.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// The state.
    pub(crate) view: watch::Sender<View>,
    /// The changes of it, numbered from 1.
    notices: broadcast::WeakSender<Arc<Numbered>>,
    /// The value that waits for subscribers.
    newest: Newest,
}

impl Shared {
    /// With what subscribers are told by, as long as it is held.
    pub(crate) fn new(notices: &broadcast::Sender<Arc<Numbered>>) -> Self {
        let (view, newest) = (watch::Sender::default(), Newest::default());
        Self { view, notices: notices.downgrade(), newest }
    }

    /// What a subscriber that begins with this view is told of its value.
    pub(crate) fn held(&self, view: &View) -> Option<Queued> {
        view.metadata.as_ref().map(|metadata| self.newest.held(metadata))
    }

    /// True when nobody holds the node any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.notices.strong_count() == 0
    }

    /// Shows another view, which includes these notices, and then tells them.
    pub(crate) fn show(&self, view: View, notices: Vec<Notice>) {
        self.change(notices, |held| *held = view);
    }

    /// The same with a changed view; readers that wait are woken if there is something to tell.
    pub(crate) fn change(&self, notices: Vec<Notice>, change: impl FnOnce(&mut View)) {
        let (mut told, mut queued) = (0, Vec::with_capacity(notices.len()));
        self.view.send_if_modified(|view| {
            told = view.told;
            change(view);
            view.told = told + notices.len() as u64;
            // With the view, so that whoever begins with it finds the value of it in its place.
            queued.extend(notices.into_iter().map(|notice| self.newest.queue(notice)));
            !queued.is_empty()
        });
        let Some(out) = self.notices.upgrade() else { return };
        for (number, queued) in (told + 1..).zip(queued) {
            // It is no error that nobody has subscribed.
            let _ = out.send(Numbered { number, queued }.into());
        }
    }
}
