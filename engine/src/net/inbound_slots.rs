//! Who may call us, and whose slot the next caller gets.
//!
//! **Proven** is a caller who named itself, at an address that its connection really comes from,
//! as a member that is confirmed; or with a secret, who brought a packet that was sealed with it.
//! All others are unproven, from their first byte on.
//!
//! **Limits.** There are so many slots in all, [`SlotLimits::all`]. Of these at most
//! [`SlotLimits::unproven`] are for the unproven and [`SlotLimits::of_one`] for those from one
//! address, so that who calls without end takes the slot of another like itself, and of no member.
//! Who gives way is the one from the most crowded network, and there of the least merit: merit is
//! when a connection last brought bytes, and a while more for as many as it brought, so that a
//! transfer that is under way outranks whoever has just called. Proven ones give way only where all
//! slots are taken and all but a few by them: there are more members than slots, and a member that
//! has something to say calls again.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::admission::network;
use crate::time::Instant;

/// How many slots there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotLimits {
    pub(crate) all: usize,
    pub(crate) unproven: usize,
    /// Unproven ones from one IP.
    pub(crate) of_one: usize,
}

/// Connections of one proven caller: a node makes one, and another where that broke unseen.
const OF_ONE_MEMBER: usize = 4;

/// What a connection has brought, as far as it counts for keeping it.
#[derive(Clone, Debug)]
pub(super) struct Merit(Arc<AtomicU64>);

impl Merit {
    /// The longest that bytes are worth.
    const CREDIT_MAX: Duration = Duration::from_secs(3);

    /// What even a bad connection carries in a second.
    const BYTES_PER_SECOND: u64 = 32 * 1024;

    pub(super) fn new(now: Instant) -> Self {
        Self(AtomicU64::new(now.as_nanos()).into())
    }

    /// So many bytes of one packet have come until now.
    pub(super) fn brought(&self, now: Instant, len: u64) {
        let credit = Duration::from_millis(len.saturating_mul(1_000) / Self::BYTES_PER_SECOND);
        self.0.store((now + credit.min(Self::CREDIT_MAX)).as_nanos(), Ordering::Relaxed);
    }

    fn until(&self) -> Instant {
        Instant::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// Names a slot; none is named twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotId(u64);

/// The slots of one node, each with what ends the connection on it.
#[derive(Debug)]
pub(super) struct InboundSlots<T> {
    limits: SlotLimits,
    /// The one that called last stands last.
    slots: Vec<InboundSlot<T>>,
    next: u64,
}

#[derive(Debug)]
struct InboundSlot<T> {
    id: SlotId,
    ip: IpAddr,
    proven: Option<SocketAddr>,
    merit: Merit,
    task: T,
}

impl<T> InboundSlots<T> {
    pub(super) fn new(limits: SlotLimits) -> Self {
        Self { limits, slots: Vec::new(), next: 0 }
    }

    /// What the next caller will be known by.
    pub(super) fn next_id(&mut self) -> SlotId {
        self.next += 1;
        SlotId(self.next)
    }

    /// Gives a slot to a caller, and gives the one that had to make room for it.
    pub(super) fn take_slot(&mut self, id: SlotId, ip: IpAddr, merit: Merit, task: T) -> Option<T> {
        let evicted = self.gives_way_to(ip).map(|at| self.slots.remove(at).task);
        self.slots.push(InboundSlot { id, ip, proven: None, merit, task });
        assert!(self.slots.len() <= self.limits.all, "a caller took no place of another's");
        evicted
    }

    /// Whose place a caller from there gets, if there is none left for it.
    fn gives_way_to(&self, ip: IpAddr) -> Option<usize> {
        let unproven = |slot: &&InboundSlot<T>| slot.proven.is_none();
        let of = |ip: IpAddr| self.slots.iter().filter(unproven).filter(|it| it.ip == ip).count();
        let near = |ip: IpAddr| {
            let network = network(ip);
            self.slots.iter().filter(unproven).filter(|it| self::network(it.ip) == network).count()
        };
        if of(ip) >= self.limits.of_one {
            return self.least_worthy(|slot| slot.proven.is_none() && slot.ip == ip);
        }
        let full = self.slots.len() == self.limits.all;
        // A few of them are left even so, else nobody new could ever prove itself.
        let share = if full { self.limits.of_one } else { self.limits.unproven };
        if self.slots.iter().filter(unproven).count() >= share {
            let crowd = |slot: &InboundSlot<T>| (near(slot.ip), of(slot.ip));
            let most = self.slots.iter().filter(unproven).map(crowd).max();
            let crowded =
                |slot: &InboundSlot<T>| slot.proven.is_none() && Some(crowd(slot)) == most;
            return self.least_worthy(crowded);
        }
        self.least_worthy(|slot| slot.proven.is_some()).filter(|_| full)
    }

    /// Of equals the one that came first.
    fn least_worthy(&self, among: impl Fn(&InboundSlot<T>) -> bool) -> Option<usize> {
        let places = (0..self.slots.len()).filter(|&at| among(&self.slots[at]));
        places.min_by_key(|&at| self.slots[at].merit.until())
    }

    /// A caller has proved that it is the node at this address; gives the one of that node's that
    /// had to make room for it. Who has lost its place has none to be proved.
    pub(super) fn prove(&mut self, id: SlotId, caller: SocketAddr) -> Option<T> {
        let at = self.slots.iter().position(|slot| slot.id == id)?;
        if self.slots[at].proven == Some(caller) {
            return None;
        }
        let of_it = |slot: &InboundSlot<T>| slot.proven == Some(caller);
        let full = self.slots.iter().filter(|slot| of_it(slot)).count() >= OF_ONE_MEMBER;
        let evicted = self.least_worthy(of_it).filter(|_| full);
        self.slots[at].proven = Some(caller);
        evicted.map(|at| self.slots.remove(at).task)
    }

    pub(super) fn is_proven(&self, id: SlotId) -> bool {
        self.slots.iter().any(|slot| slot.id == id && slot.proven.is_some())
    }

    /// The connection has ended.
    pub(super) fn leave(&mut self, id: SlotId) {
        self.slots.retain(|slot| slot.id != id);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LIMITS: SlotLimits = SlotLimits { all: 16, unproven: 4, of_one: 2 };

    /// Callers by number, each with its merit.
    struct Room {
        slots: InboundSlots<u32>,
        merits: Vec<(SlotId, Merit)>,
        now: Instant,
    }

    impl Room {
        fn new() -> Self {
            Self { slots: InboundSlots::new(LIMITS), merits: Vec::new(), now: Instant::ZERO }
        }

        /// A millisecond later somebody calls; who gives way.
        fn call(&mut self, ip: u32) -> Option<u32> {
            self.pass(1);
            let (id, merit) = (self.slots.next_id(), Merit::new(self.now));
            self.merits.push((id, merit.clone()));
            let number = self.merits.len() as u32 - 1;
            self.slots.take_slot(id, Ipv4Addr::from_bits(ip).into(), merit, number)
        }

        /// A member calls and proves itself; who gives way at either.
        fn call_of_member(&mut self, port: u16) -> [Option<u32>; 2] {
            let first = self.call(1 << 24);
            let (id, _) = self.merits.last().expect("it has called");
            [first, self.slots.prove(*id, ([1, 0, 0, 0], port).into())]
        }

        fn bring(&mut self, caller: usize, len: u64) {
            self.pass(1);
            self.merits[caller].1.brought(self.now, len);
        }

        fn pass(&mut self, millis: u64) {
            self.now = self.now + Duration::from_millis(millis);
        }

        fn sitting(&self) -> Vec<u32> {
            self.slots.slots.iter().map(|slot| slot.task).collect()
        }
    }

    #[test]
    fn callers_of_one_address_beyond_its_share_take_each_other_s_places() {
        let mut room = Room::new();
        assert_eq!([room.call(5), room.call(5), room.call(6)], [None; 3]);
        assert_eq!([room.call(5), room.call(5), room.call(5)], [Some(0), Some(1), Some(3)]);
        assert_eq!(room.sitting(), [2, 4, 5]);
    }

    #[test]
    fn callers_of_many_addresses_beyond_their_share_take_places_in_the_most_crowded_network() {
        let mut room = Room::new();
        // The first is alone in its network, and the longest here.
        for ip in [0x0900_0000, 0x0a00_0001, 0x0a00_0002, 0x0a00_0002] {
            assert_eq!(room.call(ip), None);
        }
        assert_eq!(room.call(0x0a00_0003), Some(2), "of an address that has two");
        assert_eq!(room.call(0x0b00_0001), Some(1), "then of the network that has three");
        assert_eq!(room.sitting(), [0, 3, 4, 5]);
    }

    #[test]
    fn silent_callers_never_take_the_place_of_a_member() {
        let mut room = Room::new();
        for port in 0..12 {
            assert_eq!(room.call_of_member(port), [None; 2]);
        }
        room.pass(60_000);
        for call in 0..1_000 {
            room.call(0x0a00_0000 + 259 * call);
            assert!(room.sitting()[..12].iter().eq(&(0..12).collect::<Vec<_>>()), "call {call}");
            assert!(room.sitting().len() <= LIMITS.all);
        }
    }

    #[test]
    fn a_transfer_that_is_under_way_outranks_whoever_has_just_called() {
        let mut room = Room::new();
        room.call(5);
        room.bring(0, 512 * 1_024);
        for _ in 0..2_000 {
            room.call(5);
        }
        assert!(room.sitting().contains(&0), "after two seconds without a byte");
        for _ in 0..1_100 {
            room.call(5);
        }
        assert!(!room.sitting().contains(&0), "what it brought is worth three");
    }

    #[test]
    fn a_caller_that_brings_a_little_outranks_silent_ones_only_as_long_as_that_is_worth() {
        let mut room = Room::new();
        room.call(5);
        room.bring(0, 328);
        assert_eq!([room.call(5), room.call(5)], [None, Some(1)]);
        room.pass(10);
        assert_eq!([room.call(5), room.call(5)], [Some(2), Some(0)]);
    }

    #[test]
    fn where_all_places_are_members_the_one_that_was_quiet_for_longest_gives_way() {
        let mut room = Room::new();
        for port in 0..16 {
            assert_eq!(room.call_of_member(port), [None; 2]);
        }
        room.bring(0, 100);
        assert_eq!(room.call_of_member(16), [Some(1), None]);
        assert_eq!(room.sitting().len(), LIMITS.all);
    }

    #[test]
    fn one_member_has_a_few_connections_and_who_speaks_in_its_name_takes_no_other_s() {
        let mut room = Room::new();
        for _ in 0..OF_ONE_MEMBER {
            assert_eq!(room.call_of_member(7), [None; 2]);
        }
        assert_eq!(room.call_of_member(8), [None; 2]);
        room.bring(0, 100_000);
        assert_eq!(room.call_of_member(7), [None, Some(1)], "not the one that brings something");
        assert_eq!(room.call_of_member(7), [None, Some(2)]);
        assert!(room.sitting().contains(&4));
    }

    #[test]
    fn who_has_gone_has_no_place_to_be_proved_and_who_is_proved_twice_has_one() {
        let mut room = Room::new();
        let caller = ([1, 0, 0, 0], 7).into();
        room.call(5);
        let id = room.merits[0].0;
        assert!(!room.slots.is_proven(id));
        for _ in 0..2 * OF_ONE_MEMBER {
            assert_eq!(room.slots.prove(id, caller), None);
        }
        assert!(room.slots.is_proven(id));
        room.slots.leave(id);
        assert_eq!(room.slots.prove(id, caller), None);
        assert!(!room.slots.is_proven(id) && room.sitting().is_empty());
    }
}
