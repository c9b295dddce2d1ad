//! Newcomers: members that only one sender spoke of, which may have been invented.
//!
//! Without a secret anybody can tell us of a million nodes that don't exist, or that all live at
//! a victim's address. So a member that we did not hear of from two sides, or from itself, is
//! listed like any other, but there is a limit on such members, in all and for each who
//! introduces them; together they get no more of what we send than the proven ones, and no rumor
//! once they are the majority. A few are asked each cycle whether they exist. A node that has just
//! started believes everybody for one timeout; and with a secret, where only nodes of our own can
//! speak, everybody is proven.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use super::beat::AgeStep;
use super::engine::{Engine, Life};
use super::io::Outbox;
use super::members::Members;
use super::packet::Body;
use super::record::Record;
use super::roster::NodeIx;
use super::row::{Introducer, Standing};
use super::seen::Heard;
use crate::config::Liveness;
use crate::time::{Instant, Now};

/// By what way a packet came: what is needed to judge what it says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Via {
    pub(super) from: SocketAddr,
    /// The unit of all ages in the packet.
    pub(super) step: AgeStep,
}

impl Introducer {
    /// The one who sends from an address.
    pub(super) fn of(from: SocketAddr) -> Self {
        // FNV-1a: it must be the same everywhere and cheap, no more.
        let mix = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        let port = from.port().to_le_bytes();
        let hash = match from.ip() {
            IpAddr::V4(ip) => ip.octets().iter().chain(&port).fold(0x811c_9dc5, mix),
            IpAddr::V6(ip) => ip.octets().iter().chain(&port).fold(0x811c_9dc5, mix),
        };
        Self(((hash ^ hash >> 12 ^ hash >> 24) & 0xfff) as u16)
    }
}

/// How many newcomers there are, in all and by introducer.
#[derive(Clone, Debug, Default)]
pub(super) struct Newcomers {
    len: usize,
    by_introducer: BTreeMap<Introducer, usize>,
}

impl Newcomers {
    /// So many more newcomers than proven members are no crowd: every cluster starts with some.
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
    /// Until then we believe everybody.
    young_until: Instant,
}

impl Asked {
    const RECENT_MAX: usize = 8;

    pub(super) fn new(young_until: Instant) -> Self {
        Self { recent: VecDeque::new(), young_until }
    }

    pub(super) fn note(&mut self, addr: SocketAddr) {
        if !self.recent.contains(&addr) {
            if self.recent.len() == Self::RECENT_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back(addr);
        }
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
    const CALLS_PER_CYCLE_MAX: usize = 8;
    /// Draws for one that is not silent. Without them the smaller side of a partition would tell
    /// most of what it has to tell to the other side, and its own members would fall silent too.
    pub(super) const DRAWS_MAX: usize = 8;
    /// What a member would be that is heard of by this way and was unknown; `None` when there
    /// are too many such already.
    pub(super) fn standing(&self, now: Now, record: &Record, via: Via) -> Option<Standing> {
        let addr = record.node().addr();
        if addr == via.from || self.trusts_all(now) {
            return Some(Standing::Proven);
        }
        let introducer = Introducer::of(via.from);
        let unasked = !self.asked.recent.contains(&via.from);
        let over = self.members.newcomers().len() >= self.config.members_max() / 4
            || (unasked && self.members.newcomers().of(introducer) >= Self::UNASKED_MAX);
        (!over || self.members.node(addr).is_some()).then_some(Standing::Newcomer(introducer))
    }

    /// What the beats that came by this way are judged by.
    pub(super) fn heard(&self, now: Now, via: Via) -> Heard {
        let standing = match self.trusts_all(now) {
            true => Standing::Proven,
            false => Standing::Newcomer(Introducer::of(via.from)),
        };
        Heard { now: now.mono, step: via.step, standing }
    }

    /// Who has just come knows nobody yet to hear anything from twice, and believes what it is
    /// told.
    pub(super) fn is_young(&self, now: Now) -> bool {
        now.mono < self.asked.young_until
    }

    /// Where every packet is sealed nobody can invent members; and where nobody beats, none could
    /// ever be proven by its beats.
    fn trusts_all(&self, now: Now) -> bool {
        self.is_young(now)
            || self.config.secret_key().is_some()
            || self.config.liveness() != Liveness::Beats
    }

    /// Whoever sends us something exists.
    pub(super) fn prove_sender(&mut self, from: SocketAddr) {
        if self.members.newcomers().len() > 0
            && let Some(node) = self.members.node(from)
        {
            self.members.prove(node);
        }
    }

    /// A random member other than ourselves, of whom there must be one; not one that is silent, if
    /// others are found soon. In a crowd, newcomers come up about as often as proven members do.
    pub(super) fn draw(&mut self, now: Instant) -> NodeIx {
        for _ in 1..Self::DRAWS_MAX {
            let node = self.draw_any();
            if !self.is_silent(now, node) {
                return node;
            }
        }
        self.draw_any()
    }

    /// A random member other than ourselves, silent or not.
    pub(super) fn draw_any(&mut self) -> NodeIx {
        let (me, newcomers) = (self.members.me(), self.members.newcomers().len());
        let proven = self.members.len() - newcomers - 1;
        let wanted = self
            .members
            .is_crowded()
            .then(|| self.rng.below(2 * proven + Newcomers::HANDFUL) >= proven);
        loop {
            let ring = self.members.in_ring_order();
            let node = ring[self.rng.below(ring.len())];
            if node != me && wanted.is_none_or(|wanted| self.members.is_newcomer(node) == wanted) {
                return node;
            }
        }
    }

    /// Asks a few newcomers whether they exist, beginning at a random one.
    pub(super) fn call_newcomers(&mut self, out: &mut Outbox) {
        if self.members.newcomers().len() == 0 || self.life != Life::Running {
            return;
        }
        let len = self.members.in_ring_order().len();
        let first = self.rng.below(len);
        let ring = self.members.ring_order();
        let around = ring[first..].iter().chain(&ring[..first]).copied();
        let newcomers = around.filter(|&node| self.members.is_newcomer(node));
        for node in newcomers.take(Self::CALLS_PER_CYCLE_MAX) {
            out.send(self.members.addr(node), &self.packet(Body::LastCall));
        }
    }
}
