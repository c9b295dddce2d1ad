//! The one link model: what becomes of a packet, decided from a seeded stream when it is sent.

use std::sync::Arc;
use std::time::Duration;

use crate::rng::Probability;

/// How one direction of a link treats packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// One-way delay.
    pub latency: Latency,
    /// Added to the delay of each packet: uniform from zero to this.
    pub jitter: Duration,
    /// Share of packets that never arrive.
    pub loss: Probability,
    /// Share of packets that arrive twice, each copy with a delay of its own.
    pub duplicate: Probability,
    /// Share of packets that are held back by one more delay, so that later ones pass them.
    pub reorder: Probability,
    /// Share of packets in which a bit flips; a receiver's checks drop them.
    pub corrupt: Probability,
    /// Largest packet in bytes, headers included; larger ones are dropped as oversize.
    pub mtu: Option<u32>,
    /// Bits per second; `None` is no limit.
    pub bandwidth: Option<u64>,
    /// Bytes that may wait for the bandwidth before packets are dropped as overflow.
    pub queue: u64,
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
    /// By a table of quantiles at equal distances, in nanoseconds, rising.
    Table(Arc<[u64]>),
}

/// A change of some properties of a link; `None` leaves a property as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the properties of Link")]
pub struct LinkChange {
    pub latency: Option<Latency>,
    pub jitter: Option<Duration>,
    pub loss: Option<Probability>,
    pub duplicate: Option<Probability>,
    pub reorder: Option<Probability>,
    pub corrupt: Option<Probability>,
    pub mtu: Option<u32>,
    pub bandwidth: Option<u64>,
    pub queue: Option<u64>,
}
