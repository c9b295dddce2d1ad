//! Newcomers: members that nobody has met yet, which may have been invented.
//!
//! Without a secret anybody can tell us of a million nodes that don't exist, or that all live at
//! a victim's address. So a member that has not echoed a token of ours (`routes.rs`) is listed and
//! shown like any other, but there is a limit on such members, in all and for each who introduces
//! them; nothing is sent to them in bulk, neither swap nor rumor reaches them once they are the
//! majority, and nobody is told of one for whom no member has vouched. A few are asked each cycle.
//! What others say of a member confirms nothing, however many they are, for they may all
//! be one.
//!
//! A node that has just started believes everybody for one timeout, for it knows nobody yet; what
//! may go to an address is limited all the same. With a secret, where only nodes of our own can
//! speak, everybody is believed.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use super::beat::AgeStep;
use super::engine::{Engine, Life};
use super::io::{Carrier, Outbox};
use super::members::Members;
use super::packet::Reply;
use super::record::Record;
use super::roster::NodeIx;
use super::routes::keep_once;
use super::row::{Introducer, Standing};
use super::seen::Heard;
use crate::allowance::Allowance;
use crate::time::{Instant, Now};

/// By what way a packet came: what is needed to judge what it says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Via {
    pub(super) from: SocketAddr,
    pub(super) carrier: Carrier,
    /// The unit of all ages in the packet.
    pub(super) step: AgeStep,
}

impl Introducer {
    /// The one who sends from an address, who is not believed.
    pub(super) fn of(from: SocketAddr) -> Self {
        // FNV-1a: it must be the same everywhere and cheap, no more.
        let mix = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        let port = from.port().to_le_bytes();
        let hash = match from.ip() {
            IpAddr::V4(ip) => ip.octets().iter().chain(&port).fold(0x811c_9dc5, mix),
            IpAddr::V6(ip) => ip.octets().iter().chain(&port).fold(0x811c_9dc5, mix),
        };
        Self::new(hash ^ hash >> 11 ^ hash >> 22)
    }
}

/// How many newcomers there are, in all and by introducer.
#[derive(Clone, Debug, Default)]
pub(super) struct Newcomers {
    len: usize,
    by_introducer: BTreeMap<Introducer, usize>,
}

impl Newcomers {
    /// So many more newcomers than others are no crowd: every cluster starts with some.
    const HANDFUL: usize = 16;

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn of(&self, introducer: Introducer) -> usize {
        self.by_introducer.get(&introducer).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, standing: Standing) {
        if let Standing::Newcomer(introducer) = standing {
            self.len += 1;
            *self.by_introducer.entry(introducer).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, standing: Standing) {
        let Standing::Newcomer(introducer) = standing else { return };
        self.len -= 1;
        let count = self.by_introducer.get_mut(&introducer).expect("it was added");
        *count -= 1;
        if *count == 0 {
            self.by_introducer.remove(&introducer);
        }
    }
}

/// Whose word counts: whom we asked lately, and at first everybody's.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    recent: VecDeque<SocketAddr>,
    /// Those for whom there was no room, in each cycle.
    turned_away: Allowance,
    /// Until then we believe everybody.
    young_until: Instant,
}

impl Asked {
    const RECENT_MAX: usize = 8;

    pub(super) fn new(young_until: Instant) -> Self {
        Self { recent: VecDeque::new(), turned_away: Allowance::default(), young_until }
    }

    pub(super) fn note(&mut self, addr: SocketAddr) {
        keep_once(&mut self.recent, addr, Self::RECENT_MAX);
    }

    /// Whom we asked something lately.
    pub(super) fn recent(&self) -> &VecDeque<SocketAddr> {
        &self.recent
    }
}

impl Members {
    /// True when most members may be invented.
    pub(super) fn is_crowded(&self) -> bool {
        let newcomers = self.newcomers().len();
        newcomers > self.len() - newcomers + Newcomers::HANDFUL
    }
}

impl Engine {
    /// Newcomers of one introducer whom we did not ask.
    const UNASKED_MAX: usize = 256;
    /// Newcomers asked each cycle whether they exist.
    const ASKED_PER_CYCLE_MAX: usize = 8;
    /// Draws for one that is not silent. Without them the smaller side of a partition would tell
    /// most of what it has to tell to the other side, and its own members would fall silent too.
    pub(super) const DRAWS_MAX: usize = 8;

    /// What a member would be that is heard of by this way and was unknown; `None` when there
    /// are too many such already.
    pub(super) fn standing(&self, now: Now, record: &Record, via: Via) -> Option<Standing> {
        let addr = record.node().addr();
        if self.trusts_all(now) || self.routes.has_echoed(addr) {
            return Some(Standing::Believed);
        }
        let introducer = self.introducer(via);
        let unasked = !self.asked.recent.contains(&via.from);
        let over = self.members.newcomers().len() >= self.config.members_max() / 4
            || (unasked && self.members.newcomers().of(introducer) >= Self::UNASKED_MAX);
        (!over || self.members.node(addr).is_some()).then_some(Standing::Newcomer(introducer))
    }

    /// What the beats that came by this way are judged by.
    pub(super) fn heard(&self, now: Now, via: Via) -> Heard {
        let standing = match self.trusts_all(now) {
            true => Standing::Believed,
            false => Standing::Newcomer(self.introducer(via)),
        };
        self.heard_as(now, standing, via)
    }

    /// The same, given what a member is that is listed because of it.
    pub(super) fn heard_as(&self, now: Now, standing: Standing, via: Via) -> Heard {
        Heard { now: now.mono, step: via.step, standing, horizon: self.horizon(now) }
    }

    /// Members vouch for those they speak of, but not one that is no more than a stranger's word
    /// itself: else that one could be the stranger.
    fn introducer(&self, via: Via) -> Introducer {
        let introducer = Introducer::of(via.from);
        let node = self.members.node(via.from).filter(|&node| self.members.is_listed(node));
        let is_member = node.is_some_and(|node| !self.members.is_rumored(node));
        match is_member || self.routes.has_echoed(via.from) {
            true => introducer.who_vouches(),
            false => introducer,
        }
    }

    /// Who has just come knows nobody yet to hear anything from twice, and believes what it is
    /// told.
    pub(super) fn is_young(&self, now: Now) -> bool {
        now.mono < self.asked.young_until
    }

    /// Where every packet is sealed nobody can invent members.
    fn trusts_all(&self, now: Now) -> bool {
        self.is_young(now) || self.config.secret_key().is_some()
    }

    /// True for a member that is no newcomer.
    pub(super) fn is_believed(&self, addr: SocketAddr) -> bool {
        let node = self.members.node(addr);
        node.is_some_and(|node| self.members.is_listed(node) && !self.members.is_newcomer(node))
    }

    /// True when a sender is no stranger: it holds the secret, has echoed, or is a member that is
    /// no newcomer.
    pub(super) fn is_confirmed(&self, addr: SocketAddr) -> bool {
        self.is_routable(addr) || self.is_believed(addr)
    }

    /// How many other members are no newcomers.
    pub(super) fn believed_len(&self) -> usize {
        self.members.len() - self.members.newcomers().len() - 1
    }

    /// A random member other than ourselves and no newcomer, of whom there must be one; not one
    /// that is silent, if others are found soon.
    pub(super) fn draw(&mut self, now: Instant) -> NodeIx {
        for _ in 1..Self::DRAWS_MAX {
            let node = self.draw_any();
            if !self.is_silent(now, node) {
                return node;
            }
        }
        self.draw_any()
    }

    /// A random member other than ourselves and no newcomer, silent or not.
    pub(super) fn draw_any(&mut self) -> NodeIx {
        assert!(self.believed_len() > 0, "nobody can be drawn where nobody is");
        let me = self.members.me();
        loop {
            let ring = self.members.ring();
            let node = ring[self.rng.below(ring.len())];
            if node != me && !self.members.is_newcomer(node) {
                return node;
            }
        }
    }

    /// Asks one that a member speaks of and for whom there is no room: once it has answered it is
    /// no newcomer. Else those who were invented would keep out whoever comes after them.
    pub(super) fn ask_turned_away(
        &mut self,
        now: Now,
        addr: SocketAddr,
        via: Via,
        out: &mut Outbox,
    ) {
        if !self.introducer(via).vouches() || self.life != Life::Running {
            return;
        }
        if self.asked.turned_away.take(now.mono, self.config.cycle(), Self::ASKED_PER_CYCLE_MAX) {
            self.send_last_call(now, addr, out);
        }
    }

    /// Asks a few newcomers whether they exist, beginning at a random one.
    pub(super) fn ask_newcomers(&mut self, now: Now, out: &mut Outbox) {
        if self.members.newcomers().len() == 0 || self.life != Life::Running {
            return;
        }
        let ring = self.members.ring();
        let first = self.rng.below(ring.len());
        let around = ring[first..].iter().chain(&ring[..first]).copied();
        let newcomers = around.filter(|&node| self.members.is_newcomer(node));
        let asked: Vec<_> = newcomers.take(Self::ASKED_PER_CYCLE_MAX).collect();
        for addr in asked.into_iter().map(|node| self.members.addr(node)) {
            self.routes.note_asked(addr);
            self.send_probe(addr, self.token_for(now.mono, addr), Reply::Datagram, out);
        }
    }
}
