//! The one link model: what becomes of a packet, decided from a seeded stream when it is sent.
//!
//! Endpoints are dense numbers; the model knows nothing of nodes, addresses or packets, and what
//! it has let fly lands, whatever changes afterwards. It does not schedule anything: whoever asks
//! delivers at the time that the [`Fate`] names.
//!
//! **Order of chance.** Every sender has a stream of its own, and every packet takes exactly two
//! 64-bit words from it, whatever its fate: the first decides loss (high half) and duplication
//! (low half), the second is the place in the latency's distribution. What is rare (corruption,
//! jitter, reordering, bursts, the copy's own delay) is mixed from those two words by slot number,
//! so that a feature that is off, a cut or an earlier loss moves no other decision.
//!
//! **Order of decisions.** Cut, oversize, overflow, lost, corrupted, delivered. A lost packet has
//! used its link's bandwidth; a copy is made behind it and uses none.

mod burst;
mod chance;
mod latency;
mod route;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use self::burst::Bursts;
use self::chance::ChanceStreams;
use self::route::{LinkRoutes, Route};
use crate::rng::Probability;
use crate::time::{Instant, nanos};

pub use self::burst::Burst;

/// How one direction of a link treats packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// One-way delay.
    pub latency: Latency,
    /// Added to the delay of each packet: uniform from zero to this.
    pub jitter: Duration,
    /// Which packets never arrive.
    pub loss: Loss,
    /// Share of packets that arrive twice, each copy with a delay of its own.
    pub duplicate: Probability,
    /// Share of packets that are held back by one more delay, so that later ones pass them.
    pub reorder: Probability,
    /// Share of packets in which a bit flips; a receiver's checks drop them.
    pub corrupt: Probability,
    /// Largest packet in bytes, headers included; larger ones are dropped as oversize. Streams send
    /// segments of at most 1,200, headers included: on a narrower link they carry short messages.
    pub mtu: Option<u32>,
    /// Bits per second; `None` is no limit.
    pub bandwidth: Option<u64>,
    /// Bytes that may wait for the bandwidth before packets are dropped as overflow. An idle link
    /// takes any packet at once; on a busy one, what is still to be sent and the newcomer together
    /// must fit.
    pub queue: u64,
}

impl Link {
    /// A link that only delays: uniform in a closed range, and nothing is lost.
    pub fn uniform(min: Duration, max: Duration) -> Self {
        Self {
            latency: Latency::Uniform { min, max },
            jitter: Duration::ZERO,
            loss: Loss::NONE,
            duplicate: Probability::ZERO,
            reorder: Probability::ZERO,
            corrupt: Probability::ZERO,
            mtu: None,
            bandwidth: None,
            queue: u64::MAX,
        }
    }

    fn mean_loss(&self) -> f64 {
        let lost = match self.loss {
            Loss::ALL => 0.0,
            Loss::Each(each) => each.share(),
            Loss::Bursts(burst) => burst.mean_loss(),
        };
        1.0 - (1.0 - lost) * (1.0 - self.corrupt.share())
    }

    /// True when no packet ever passes.
    fn is_cut(&self) -> bool {
        self.loss == Loss::ALL
    }

    fn delay(&self, bits: u64, rare: Rare, first_slot: u64) -> Duration {
        let jitter = match nanos(self.jitter) {
            0 => 0,
            widest => scale(rare.word(first_slot), widest),
        };
        let held = if self.holds_back(rare, first_slot) {
            self.latency.at(rare.word(first_slot + 2))
        } else {
            Duration::ZERO
        };
        self.latency.at(bits) + Duration::from_nanos(jitter) + held
    }

    fn holds_back(&self, rare: Rare, first_slot: u64) -> bool {
        self.reorder.covers(rare.half(first_slot + 1))
    }
}

/// Which packets a link loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Each by itself, with this probability.
    Each(Probability),
    /// They come in bursts.
    Bursts(Burst),
}

impl Loss {
    /// Every packet arrives.
    pub const NONE: Self = Self::Each(Probability::ZERO);
    /// No packet arrives: the link is cut.
    pub const ALL: Self = Self::Each(Probability::ONE);
}

impl From<Probability> for Loss {
    fn from(each: Probability) -> Self {
        Self::Each(each)
    }
}

/// One-way delay of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Latency {
    /// Uniform in a closed range.
    Uniform {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// By a table of quantiles at equal distances, in nanoseconds, rising: the first entry is the
    /// shortest delay, the last the longest, and between two entries it is linear.
    Table(Arc<[u64]>),
}

impl Latency {
    /// The shortest delay.
    fn min(&self) -> Duration {
        self.at(0)
    }

    /// The delay at a place of the distribution, given as 64 uniform bits.
    fn at(&self, bits: u64) -> Duration {
        match self {
            Self::Uniform { min, max } => {
                *min + Duration::from_nanos(scale(bits, nanos(max.saturating_sub(*min))))
            }
            Self::Table(quantiles) => Duration::from_nanos(quantile(quantiles, bits)),
        }
    }
}

/// Maps 64 uniform bits to `0..=widest`.
fn scale(bits: u64, widest: u64) -> u64 {
    ((u128::from(bits) * (u128::from(widest) + 1)) >> 64) as u64
}

fn quantile(quantiles: &[u64], bits: u64) -> u64 {
    let Some(steps) = quantiles.len().checked_sub(1) else { return 0 };
    let place = u128::from(bits) * steps as u128;
    let (step, fraction) = ((place >> 64) as usize, u128::from(place as u64));
    let low = quantiles[step];
    let high = quantiles[(step + 1).min(steps)];
    low + ((u128::from(high.saturating_sub(low)) * fraction) >> 64) as u64
}

/// A change of some properties of a link; `None` leaves a property as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the properties of Link")]
pub struct LinkChange {
    pub latency: Option<Latency>,
    pub jitter: Option<Duration>,
    pub loss: Option<Loss>,
    pub duplicate: Option<Probability>,
    pub reorder: Option<Probability>,
    pub corrupt: Option<Probability>,
    pub mtu: Option<u32>,
    pub bandwidth: Option<u64>,
    pub queue: Option<u64>,
}

impl LinkChange {
    fn apply(&self, link: &mut Link) {
        fn replace<T: Clone>(property: &mut T, change: Option<&T>) {
            if let Some(change) = change {
                property.clone_from(change);
            }
        }
        replace(&mut link.latency, self.latency.as_ref());
        replace(&mut link.jitter, self.jitter.as_ref());
        replace(&mut link.loss, self.loss.as_ref());
        replace(&mut link.duplicate, self.duplicate.as_ref());
        replace(&mut link.reorder, self.reorder.as_ref());
        replace(&mut link.corrupt, self.corrupt.as_ref());
        link.mtu = self.mtu.or(link.mtu);
        link.bandwidth = self.bandwidth.or(link.bandwidth);
        replace(&mut link.queue, self.queue.as_ref());
    }
}

/// A change of the network that can be undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkChange {
    /// Two endpoints can talk only inside one group; endpoints in no group form one more.
    /// Several partitions add up: two endpoints can talk if none parts them.
    Partition(Vec<Vec<u32>>),
    /// These endpoints can talk to nobody, not even to each other.
    Isolate(Vec<u32>),
    /// The links between two sets change; the latest change of a property wins.
    Links {
        /// Senders.
        from: Vec<u32>,
        /// Receivers.
        to: Vec<u32>,
        /// Whether the other direction changes as well.
        ways: Ways,
        /// What changes.
        change: LinkChange,
    },
    /// Every link changes, those of endpoints to come included.
    Everywhere(LinkChange),
}

/// Which directions of a link change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// From the first set to the second.
    One,
    /// Both.
    Both,
}

/// Names a change in force, to undo it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeId(u64);

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Delivered {
        /// When.
        at: Instant,
        /// When its copy arrives, if the network doubled it.
        again: Option<Instant>,
    },
    /// It gets lost by chance.
    Lost,
    /// A partition, an isolation or a loss of 100 % lies in between.
    Cut,
    /// It is larger than the link carries; of a stream, a segment is.
    Oversize,
    /// Too much is waiting for the link's bandwidth.
    Overflow,
    /// A bit flips, and the receiver's checks drop it.
    Corrupted,
}

/// The network between any number of endpoints.
#[derive(Clone, Debug)]
pub struct LinkModel {
    default: Link,
    chance: ChanceStreams,
    changes: Vec<(ChangeId, NetworkChange)>,
    changes_made: u64,
    /// What the changes in force come to; unused while there are none.
    routes: LinkRoutes,
    /// Until when each directed link with a bandwidth is busy.
    busy_until: FxHashMap<(u32, u32), Instant>,
    bursts: Bursts,
    held_back: u64,
}

impl LinkModel {
    /// A network in which every direction is a link of its own with these properties.
    pub fn new(seed: u64, default: Link) -> Self {
        let routes = LinkRoutes::new(&default, &[]);
        Self {
            default,
            chance: ChanceStreams::new(seed),
            changes: Vec::new(),
            changes_made: 0,
            routes,
            busy_until: FxHashMap::default(),
            bursts: Bursts::default(),
            held_back: 0,
        }
    }

    /// Decides what becomes of a packet of `len_with_headers` bytes that is sent now.
    pub fn fate(&mut self, now: Instant, from: u32, to: u32, len_with_headers: usize) -> Fate {
        let (chance, place) = self.chance.draw(from);
        let link = if self.changes.is_empty() {
            &self.default
        } else {
            match self.routes.between(from, to) {
                Route::Cut => return Fate::Cut,
                Route::Open(link) => link,
            }
        };
        if link.is_cut() {
            return Fate::Cut;
        }
        if link.mtu.is_some_and(|mtu| len_with_headers > mtu as usize) {
            return Fate::Oversize;
        }
        let departs = match link.bandwidth {
            None => now,
            Some(bandwidth) => {
                let busy_until = self.busy_until.entry((from, to)).or_default();
                match transmit(busy_until, now, len_with_headers as u64, bandwidth, link.queue) {
                    Some(sent) => sent,
                    None => return Fate::Overflow,
                }
            }
        };
        let rare = Rare(chance.rotate_left(32) ^ place);
        let lost = match link.loss {
            Loss::Each(each) => each.covers((chance >> 32) as u32),
            Loss::Bursts(burst) => {
                self.bursts.lose(burst, (from, to), rare.low(TURN), (chance >> 32) as u32)
            }
        };
        if lost {
            return Fate::Lost;
        }
        let fate = fly(link, departs, chance, place, rare);
        let held_back = matches!(fate, Fate::Delivered { .. }) && link.holds_back(rare, DELAY);
        self.held_back += u64::from(held_back);
        fate
    }

    /// How many bursts of losses have begun.
    pub fn bursts(&self) -> u64 {
        self.bursts.begun
    }

    /// How many packets were held back, so that later ones could pass them; copies apart.
    pub fn held_back(&self) -> u64 {
        self.held_back
    }

    /// No packet that is sent from now on arrives sooner than this after it was sent, until another
    /// change comes in force.
    pub fn latency_min(&self) -> Duration {
        let changed = self.changes.iter().filter_map(|(_, change)| match change {
            NetworkChange::Links { change, .. } | NetworkChange::Everywhere(change) => {
                change.latency.as_ref()
            }
            NetworkChange::Partition(_) | NetworkChange::Isolate(_) => None,
        });
        changed.map(Latency::min).fold(self.default.latency.min(), Duration::min)
    }

    /// True when packets in this direction can arrive at all: neither a partition nor an isolation
    /// nor a loss of 100 % lies in between.
    pub fn passes(&self, from: u32, to: u32) -> bool {
        self.routes.passes(from, to)
    }

    /// True when some direction between some endpoints may be cut.
    pub fn has_cuts(&self) -> bool {
        let cuts = |change: &LinkChange| change.loss == Some(Loss::ALL);
        self.default.is_cut()
            || self.changes.iter().any(|(_, change)| match change {
                NetworkChange::Partition(_) | NetworkChange::Isolate(_) => true,
                NetworkChange::Links { change, .. } | NetworkChange::Everywhere(change) => {
                    cuts(change)
                }
            })
    }

    /// The share of packets that the worst open direction between these endpoints loses or spoils,
    /// in the long run; 0 where all is cut.
    pub fn loss_max(&mut self, endpoints: u32) -> f64 {
        let mut worst: f64 = 0.0;
        self.each_open(endpoints, |link| worst = worst.max(link.mean_loss()));
        worst
    }

    /// The median delay of the slowest open direction between these endpoints, with its jitter; 0
    /// where all is cut.
    pub fn delay_max(&mut self, endpoints: u32) -> Duration {
        let mut worst = Duration::ZERO;
        self.each_open(endpoints, |link| {
            worst = worst.max(link.latency.at(u64::MAX / 2) + link.jitter);
        });
        worst
    }

    fn each_open(&mut self, endpoints: u32, mut visit: impl FnMut(&Link)) {
        if self.changes.is_empty() {
            return visit(&self.default);
        }
        let examples = self.examples(endpoints);
        for &from in &examples {
            for &to in &examples {
                if let Route::Open(link) = self.routes.between(from, to) {
                    visit(link);
                }
            }
        }
    }

    /// The class of an endpoint: endpoints of one class are treated alike by every change in
    /// force. Classes are dense from zero and renumbered by every change.
    pub fn class(&self, endpoint: u32) -> u32 {
        self.routes.class(endpoint)
    }

    /// One of these endpoints for each class, which stands for all of it.
    pub fn examples(&self, endpoints: u32) -> Vec<u32> {
        let by_class: BTreeMap<_, _> = (0..endpoints).map(|it| (self.class(it), it)).collect();
        by_class.into_values().collect()
    }

    /// Puts a change in force.
    pub fn apply(&mut self, change: NetworkChange) -> ChangeId {
        let id = ChangeId(self.changes_made);
        self.changes_made += 1;
        self.changes.push((id, change));
        self.routes = LinkRoutes::new(&self.default, &self.changes);
        id
    }

    /// Undoes a change; what it had covered of earlier ones is in force again. Nothing happens
    /// when it is undone already.
    pub fn undo(&mut self, id: ChangeId) {
        self.changes.retain(|&(other, _)| other != id);
        self.routes = LinkRoutes::new(&self.default, &self.changes);
    }
}

/// Slots of chance: corruption, three for the delay, then four for the copy's. The turn of a link
/// between good and bad takes the other half of the first.
const CORRUPT: u64 = 0;
const TURN: u64 = 0;
const DELAY: u64 = 1;
const COPY: u64 = 4;

/// What becomes of a packet that is on its way and not lost.
fn fly(link: &Link, departs: Instant, chance: u64, place: u64, rare: Rare) -> Fate {
    if link.corrupt.covers(rare.half(CORRUPT)) {
        return Fate::Corrupted;
    }
    let again = link
        .duplicate
        .covers(chance as u32)
        .then(|| departs + link.delay(rare.word(COPY), rare, COPY + 1));
    Fate::Delivered { at: departs + link.delay(place, rare, DELAY), again }
}

/// Puts a packet on a link of limited bandwidth: when its last bit is sent, or `None` when too
/// much is waiting already.
fn transmit(
    busy_until: &mut Instant,
    now: Instant,
    bytes: u64,
    bits_per_second: u64,
    queue_max: u64,
) -> Option<Instant> {
    const NANOS_PER_SECOND: u128 = 1_000_000_000;
    let bandwidth = u128::from(bits_per_second.max(1));
    let wait = busy_until.since(now);
    let waiting = wait.as_nanos() * bandwidth / (8 * NANOS_PER_SECOND);
    if wait > Duration::ZERO && waiting + u128::from(bytes) > u128::from(queue_max) {
        return None;
    }
    let takes = u128::from(bytes) * 8 * NANOS_PER_SECOND / bandwidth;
    let takes = Duration::from_nanos(u64::try_from(takes).unwrap_or(u64::MAX));
    *busy_until = (*busy_until).max(now) + takes;
    Some(*busy_until)
}

/// The words for what is rare, mixed from a packet's two draws by slot (SplitMix64).
#[derive(Clone, Copy)]
struct Rare(u64);

impl Rare {
    fn word(self, slot: u64) -> u64 {
        let mut z = self.0.wrapping_add((slot + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn half(self, slot: u64) -> u32 {
        (self.word(slot) >> 32) as u32
    }

    fn low(self, slot: u64) -> u32 {
        self.word(slot) as u32
    }
}
