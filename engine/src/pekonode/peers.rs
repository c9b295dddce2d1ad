//! Who is known: the listed members, and some that were removed and may come back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::packet::mark;
use crate::core::Record;
use crate::node::{Generation, Node};
use crate::time::Instant;

/// A node that is listed or was.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) record: Arc<Record>,
    /// Its address as packets mark it.
    pub(super) mark: Box<str>,
    pub(super) standing: PeerStanding,
    /// The last sign of life.
    pub(super) heard: Instant,
    /// When it last said something else of itself.
    changed: Instant,
    /// How often it has answered a last call since it was last heard.
    pub(super) answers: u8,
    pub(super) beats: RateWindow,
    pub(super) publishes: RateWindow,
}

/// Whether a node is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerStanding {
    Listed,
    /// Removed, and perhaps heard of again.
    Lost {
        since: Instant,
        again: Option<Instant>,
    },
}

/// Whom we have told of one rumor.
#[derive(Clone, Debug)]
pub(super) struct RateWindow {
    opened: Instant,
    /// The metadata version it is about; beats have none and look all alike.
    update: i64,
    pub(super) told: BTreeSet<SocketAddr>,
}

impl RateWindow {
    fn new(opened: Instant) -> Self {
        Self { opened, update: 0, told: BTreeSet::new() }
    }

    /// Makes this the window of the beat of which a copy has come.
    pub(super) fn of_beat(&mut self, now: Instant, cycle: Duration) {
        if now - self.opened >= cycle / 2 {
            *self = Self::new(now);
        }
    }

    /// Makes this the window of the publish of which a copy has come.
    pub(super) fn of_publish(&mut self, now: Instant, update: i64) {
        if update != self.update {
            *self = Self { update, ..Self::new(now) };
        }
    }
}

impl Peer {
    fn new(node: &Node, now: Instant) -> Self {
        Self {
            record: Arc::new(Record::new(node.clone(), Generation::default())),
            mark: mark(node.addr()),
            standing: PeerStanding::Listed,
            heard: now,
            changed: now,
            answers: 0,
            beats: RateWindow::new(now),
            publishes: RateWindow::new(now),
        }
    }
}

/// What hearing of a node changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// Nothing in the list.
    Known,
    Joined(Arc<Record>),
    Updated {
        old: Arc<Record>,
        new: Arc<Record>,
    },
}

/// All of them, by address.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers {
    peers: BTreeMap<SocketAddr, Peer>,
    listed: usize,
    /// Bytes that the marks of all take in a packet.
    marks_len: usize,
}

impl Peers {
    /// Removed nodes that are remembered; beyond them the one that was removed first is forgotten.
    const LOST_MAX: usize = 64;

    /// Listed peers.
    pub(super) fn listed_len(&self) -> usize {
        self.listed
    }

    pub(super) fn lost_len(&self) -> usize {
        self.peers.len() - self.listed
    }

    /// Bytes that the marks take when this address is one of them.
    pub(super) fn marks_len_with(&self, addr: SocketAddr) -> usize {
        let more = if self.peers.contains_key(&addr) { 0 } else { mark_len(&mark(addr)) };
        self.marks_len + more
    }

    pub(super) fn get(&self, addr: SocketAddr) -> Option<&Peer> {
        self.peers.get(&addr)
    }

    pub(super) fn get_mut(&mut self, addr: SocketAddr) -> Option<&mut Peer> {
        self.peers.get_mut(&addr)
    }

    pub(super) fn lists(&self, addr: SocketAddr) -> bool {
        self.get(addr).is_some_and(|peer| peer.standing == PeerStanding::Listed)
    }

    pub(super) fn lists_at(&self, ip: IpAddr) -> bool {
        let ports = SocketAddr::new(ip, 0)..=SocketAddr::new(ip, u16::MAX);
        self.peers.range(ports).any(|(_, peer)| peer.standing == PeerStanding::Listed)
    }

    pub(super) fn listed(&self) -> impl Iterator<Item = (SocketAddr, &Peer)> {
        let listed = |(_, peer): &(_, &Peer)| peer.standing == PeerStanding::Listed;
        self.peers.iter().map(|(&addr, peer)| (addr, peer)).filter(listed)
    }

    /// Those that were removed, the longest ago first.
    fn lost(&self) -> Vec<(Instant, SocketAddr)> {
        let mut lost: Vec<_> = self
            .peers
            .iter()
            .filter_map(|(&addr, peer)| match peer.standing {
                PeerStanding::Lost { since, .. } => Some((since, addr)),
                PeerStanding::Listed => None,
            })
            .collect();
        lost.sort_unstable();
        lost
    }

    /// The same, of those that were removed no longer ago than that.
    pub(super) fn lost_within(&self, now: Instant, limit: Duration) -> Vec<SocketAddr> {
        let lost = self.lost().into_iter().filter(|&(since, _)| now - since < limit);
        lost.map(|(_, addr)| addr).collect()
    }

    /// Those that were removed and then heard of, but not often enough to be listed.
    pub(super) fn returning(&self, now: Instant, cycle: Duration) -> Vec<SocketAddr> {
        let is_back = |peer: &Peer| match peer.standing {
            PeerStanding::Lost { again: Some(again), .. } => now - again <= cycle * 3,
            PeerStanding::Lost { again: None, .. } | PeerStanding::Listed => false,
        };
        self.peers.iter().filter(|(_, peer)| is_back(peer)).map(|(&addr, _)| addr).collect()
    }

    /// The marks of the listed, and of those removed so lately that others may list them still
    /// and would tell them.
    pub(super) fn marks(&self, now: Instant, cycle: Duration) -> impl Iterator<Item = Box<str>> {
        let is_marked = move |peer: &&Peer| match peer.standing {
            PeerStanding::Listed => true,
            PeerStanding::Lost { since, .. } => now - since <= cycle * 2,
        };
        self.peers.values().filter(is_marked).map(|peer| peer.mark.clone())
    }

    /// Lists a node that was not known.
    pub(super) fn list(&mut self, now: Instant, node: &Node) -> Sight {
        let peer = Peer::new(node, now);
        let record = Arc::clone(&peer.record);
        self.marks_len += mark_len(&peer.mark);
        self.listed += 1;
        let before = self.peers.insert(node.addr(), peer);
        assert!(before.is_none(), "only unknown nodes are listed this way");
        Sight::Joined(record)
    }

    /// Takes in that a known node shows signs of life; `None` if it is not known.
    pub(super) fn hear(&mut self, now: Instant, node: &Node, cycle: Duration) -> Option<Sight> {
        let peer = self.peers.get_mut(&node.addr())?;
        let is_listed = peer.standing == PeerStanding::Listed;
        match peer.standing {
            PeerStanding::Lost { again: Some(again), .. }
                if (cycle / 4..=cycle * 3).contains(&(now - again)) =>
            {
                peer.standing = PeerStanding::Listed;
                self.listed += 1;
            }
            PeerStanding::Lost { since, again } => {
                // Copies of one beat come close together; the first of another begins anew.
                let is_stale = again.is_none_or(|again| now - again > cycle * 3);
                let again = if is_stale { Some(now) } else { again };
                peer.standing = PeerStanding::Lost { since, again };
                return Some(Sight::Known);
            }
            PeerStanding::Listed => {}
        }
        peer.heard = now;
        peer.answers = 0;
        // Copies of what it said before may come late: no change back within half a cycle.
        let old = Arc::clone(&peer.record);
        let changes = *old.node() != *node && now - peer.changed >= cycle / 2;
        if changes {
            peer.record = Arc::new(Record::new(node.clone(), Generation::default()));
            peer.changed = now;
        }
        let new = Arc::clone(&peer.record);
        Some(match (is_listed, changes) {
            (false, _) => Sight::Joined(new),
            (true, true) => Sight::Updated { old, new },
            (true, false) => Sight::Known,
        })
    }

    /// No longer lists this one.
    pub(super) fn lose(&mut self, now: Instant, addr: SocketAddr) -> Arc<Record> {
        let peer = self.peers.get_mut(&addr).expect("a listed peer is known");
        peer.standing = PeerStanding::Lost { since: now, again: None };
        let record = Arc::clone(&peer.record);
        self.listed -= 1;
        if self.lost_len() > Self::LOST_MAX {
            let (_, first) = self.lost()[0];
            let peer = self.peers.remove(&first).expect("it was just found");
            self.marks_len -= mark_len(&peer.mark);
        }
        record
    }

    /// Moves what was heard by the time that we slept.
    pub(super) fn slept(&mut self, for_: Duration) {
        for peer in self.peers.values_mut() {
            peer.heard = peer.heard + for_;
        }
    }
}

/// Bytes of a mark in a packet: quotes, `:true` and a comma.
fn mark_len(mark: &str) -> usize {
    mark.len() + 8
}
