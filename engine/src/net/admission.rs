//! Who may send us how much: a stranger who floods us takes nothing from the others.
//!
//! To open a datagram and to act on it costs a hundred times what it costs to let it lie. So each
//! source has a bucket, which is looked at first: what a datagram costs is taken out, and what
//! finds too little is refused. Buckets are as deep as a deployment needs, in which a whole
//! cluster starts behind one address, and fill again faster than any honest node sends.
//!
//! **Strangers.** A datagram needs room in three buckets: that of its address, that of its network
//! and that of all strangers together. What is refused is charged to none of them, so that a flood
//! empties its own address's bucket only. A source address may be forged: who forges many empties
//! the bucket of all strangers, which keeps newcomers out while it goes on, and no member.
//!
//! **Members** have a bucket each, wider and to themselves. It is finite, because without a secret
//! a member may be anybody, and its address forged. With one they have none: what is forged fails
//! its seal, in a microsecond, and must not be charged to the member whose address it bears. Only
//! what is so long that this takes far more counts as a stranger's.
//!
//! **Limits.** A full bucket is the same as none, so only those that are not full are kept. An
//! entry is made for admitted datagrams alone; of strangers there are therefore at most as many as
//! their common bucket admits, and no source's bucket is ever given up for that of another.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::time::Instant;

/// What a datagram costs beside its bytes: a small one takes about as long as this many bytes of
/// records in a long one.
const PACKET_COST: u64 = 192;

/// What a small datagram costs, one of 64 bytes; the unit of quotas.
const SMALL_COST: u64 = PACKET_COST + 64;

/// The dearest small packets keep a processor busy at about 40,000 a second: a member that floods
/// us takes a fifth of one, and all strangers together a tenth.
const MEMBER: Quota = Quota::small_packets(16_384, 8_192);
const ADDRESS: Quota = Quota::small_packets(4_096, 512);
const NETWORK: Quota = Quota::small_packets(8_192, 1_024);
const STRANGERS: Quota = Quota::small_packets(16_384, 4_096);

/// A connection whose caller has proved nothing; there are a few dozen of them.
pub(super) const CALLER: Quota = Quota::small_packets(1_024, 256);

/// How deep a bucket is, and how fast it fills again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    burst: u64,
    per_second: u64,
}

impl Quota {
    const fn small_packets(burst: u64, per_second: u64) -> Self {
        Self { burst: burst * SMALL_COST, per_second: per_second * SMALL_COST }
    }

    /// How long it takes to fill in this much.
    const fn refill(self, cost: u64) -> Duration {
        Duration::from_nanos(cost * 1_000_000_000 / self.per_second)
    }
}

/// What is taken out for a packet of this length.
pub(super) const fn cost(len: usize) -> u64 {
    PACKET_COST + len as u64
}

/// A bucket, known by when it will be full again if nothing more is taken out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    full_at: Instant,
}

impl Bucket {
    fn is_full(self, now: Instant) -> bool {
        self.full_at <= now
    }

    fn has(self, now: Instant, cost: u64, quota: Quota) -> bool {
        self.full_at.max(now) + quota.refill(cost) <= now + quota.refill(quota.burst)
    }

    /// Takes out what it may not hold yet, and says how long that takes to come.
    pub(super) fn take(&mut self, now: Instant, cost: u64, quota: Quota) -> Duration {
        self.full_at = self.full_at.max(now) + quota.refill(cost);
        self.full_at.since(now).saturating_sub(quota.refill(quota.burst))
    }
}

/// The buckets that are not full, of many sources.
#[derive(Debug)]
struct Buckets<K> {
    quota: Quota,
    buckets: BTreeMap<K, Bucket>,
    /// At so many entries those that are full by now are dropped.
    sweep_at: usize,
}

impl<K: Copy + Ord> Buckets<K> {
    const SWEEP_MIN: usize = 64;

    fn new(quota: Quota) -> Self {
        Self { quota, buckets: BTreeMap::new(), sweep_at: Self::SWEEP_MIN }
    }

    fn has(&self, now: Instant, source: K, cost: u64) -> bool {
        let bucket = self.buckets.get(&source).copied().unwrap_or_default();
        bucket.has(now, cost, self.quota)
    }

    fn take(&mut self, now: Instant, source: K, cost: u64) {
        if self.buckets.len() >= self.sweep_at {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            self.sweep_at = (2 * self.buckets.len()).max(Self::SWEEP_MIN);
        }
        self.buckets.entry(source).or_default().take(now, cost, self.quota);
    }
}

/// From whom a datagram came, as far as its source address tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatagramSender {
    /// The member that is reached there.
    Member(SocketAddr),
    /// One that seals what it sends, or somebody who can't and forged its address.
    SealedMember,
    /// Anybody; the port is the sender's choice.
    Stranger(IpAddr),
}

/// All buckets of one node.
#[derive(Debug)]
pub(super) struct Admission {
    members: Buckets<SocketAddr>,
    addresses: Buckets<IpAddr>,
    networks: Buckets<IpAddr>,
    strangers: Bucket,
}

impl Admission {
    pub(super) fn new() -> Self {
        Self {
            members: Buckets::new(MEMBER),
            addresses: Buckets::new(ADDRESS),
            networks: Buckets::new(NETWORK),
            strangers: Bucket::default(),
        }
    }

    /// True when a datagram of this length is to be taken in, for which it then is charged.
    pub(super) fn admits(&mut self, now: Instant, from: DatagramSender, len: usize) -> bool {
        let cost = cost(len);
        match from {
            DatagramSender::Member(addr) => {
                let admitted = self.members.has(now, addr, cost);
                if admitted {
                    self.members.take(now, addr, cost);
                }
                admitted
            }
            DatagramSender::SealedMember => true,
            DatagramSender::Stranger(ip) => self.admits_stranger(now, ip, cost),
        }
    }

    fn admits_stranger(&mut self, now: Instant, ip: IpAddr, cost: u64) -> bool {
        let network = network(ip);
        let admitted = self.addresses.has(now, ip, cost)
            && self.networks.has(now, network, cost)
            && self.strangers.has(now, cost, STRANGERS);
        if admitted {
            self.addresses.take(now, ip, cost);
            self.networks.take(now, network, cost);
            self.strangers.take(now, cost, STRANGERS);
        }
        admitted
    }
}

/// What one owner usually has: with IPv4 a /24, with IPv6 a /56.
pub(super) fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & (u32::MAX << 8)).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 72)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: usize = 64;
    const STRANGER: DatagramSender =
        DatagramSender::Stranger(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5)));

    fn at(micros: u64) -> Instant {
        Instant::ZERO + Duration::from_micros(micros)
    }

    fn stranger(number: u32) -> DatagramSender {
        DatagramSender::Stranger(Ipv4Addr::from_bits(number).into())
    }

    fn member(port: u16) -> DatagramSender {
        DatagramSender::Member(SocketAddr::from(([10, 0, 0, 5], port)))
    }

    /// How many of so many small datagrams are admitted at once.
    fn admitted(room: &mut Admission, now: Instant, from: DatagramSender, count: usize) -> usize {
        (0..count).filter(|_| room.admits(now, from, SMALL)).count()
    }

    #[test]
    fn a_deployment_behind_one_address_is_admitted_at_once_and_more_only_as_time_passes() {
        let mut room = Admission::new();
        assert_eq!(admitted(&mut room, at(0), STRANGER, 5_000), 4_096);
        assert_eq!(admitted(&mut room, at(1_000_000), STRANGER, 5_000), 512);
        assert_eq!(admitted(&mut room, at(100_000_000), STRANGER, 5_000), 4_096, "no deeper");
    }

    #[test]
    fn a_long_datagram_costs_as_many_small_ones_as_it_has_bytes_for() {
        let mut room = Admission::new();
        let long = (0..100).filter(|_| room.admits(at(0), STRANGER, 65_507)).count();
        assert_eq!(long, 4_096 * 256 / (65_507 + 192));
    }

    #[test]
    fn a_flood_of_one_address_is_charged_to_no_other_and_to_no_member_behind_it() {
        let mut room = Admission::new();
        let mut refused = 0;
        for micros in (0..10_000_000).step_by(10) {
            refused += usize::from(!room.admits(at(micros), STRANGER, SMALL));
            if micros % 10_000 == 0 {
                assert!(room.admits(at(micros), member(1), 1_400), "a member at {micros} us");
                let other = stranger(0x0b00_0000);
                assert!(room.admits(at(micros), other, 1_400), "another at {micros} us");
            }
        }
        let passed = 1_000_000 - refused;
        assert!((9_210..=4_096 + 10 * 512).contains(&passed), "{passed} of the flood");
    }

    #[test]
    fn a_flood_of_a_whole_network_is_charged_to_no_other_network() {
        for network in [0x0a00_0000_u128, 0x2001_0db8 << 96] {
            let mut room = Admission::new();
            let from = |host: u8| match u32::try_from(network) {
                Ok(network) => stranger(network | u32::from(host)),
                Err(_) => {
                    let ip = Ipv6Addr::from_bits(network | u128::from(host) << 64);
                    DatagramSender::Stranger(ip.into())
                }
            };
            let flood = |&micros: &u64| room.admits(at(micros), from((micros / 10) as u8), SMALL);
            let passed = (0..2_000_000_u64).step_by(10).filter(flood).count();
            assert!(passed <= 8_192 + 2 * 1_024, "{passed} passed");
            assert!(room.admits(at(2_000_000), stranger(0x0c00_0000), 1_400));
        }
    }

    #[test]
    fn forged_addresses_keep_no_member_out_and_free_nobody_of_a_debt() {
        let mut room = Admission::new();
        assert_eq!(admitted(&mut room, at(0), STRANGER, 5_000), 4_096);
        let (mut passed, mut most) = (0, 0);
        for micros in (0..1_000_000).step_by(5) {
            let forged = stranger(0x0b00_0000 + 257 * micros as u32);
            passed += usize::from(room.admits(at(micros), forged, SMALL));
            most = most.max(room.addresses.buckets.len());
            assert!(!room.admits(at(micros), STRANGER, 200_000), "its debt stands");
        }
        let most_passed = 16_384 - 4_096 + 4_096;
        assert!((most_passed - 9..=most_passed).contains(&passed), "{passed} of what all share");
        assert!(most <= 2 * 16_384, "{most} entries");
        assert!(room.admits(at(1_000_000), member(1), 1_400));
        // A while later they are forgotten.
        assert_eq!(admitted(&mut room, at(60_000_000), STRANGER, 4_096), 4_096);
        for number in 0..1_000 {
            room.admits(at(60_000_000 + u64::from(number) * 10_000), stranger(number), SMALL);
        }
        assert!(room.addresses.buckets.len() <= 2 * Buckets::<IpAddr>::SWEEP_MIN);
    }

    #[test]
    fn a_member_has_more_room_than_a_stranger_and_yet_an_end_that_is_its_own() {
        let mut room = Admission::new();
        assert_eq!(admitted(&mut room, at(0), member(1), 20_000), 16_384);
        assert_eq!(admitted(&mut room, at(0), member(2), 20_000), 16_384);
        assert_eq!(admitted(&mut room, at(1_000_000), member(1), 20_000), 8_192);
    }

    #[test]
    fn a_bucket_that_is_overdrawn_says_how_long_to_wait() {
        let mut bucket = Bucket::default();
        let all = CALLER.burst;
        assert_eq!(bucket.take(at(5), all, CALLER), Duration::ZERO);
        let second = CALLER.per_second;
        assert_eq!(bucket.take(at(5), second, CALLER), Duration::from_secs(1));
        assert_eq!(bucket.take(at(1_000_005), second, CALLER), Duration::from_secs(1));
        assert!(!bucket.is_full(at(1_000_005)) && bucket.is_full(at(60_000_000)));
    }
}
