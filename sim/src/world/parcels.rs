//! Packets on their way: each is kept, measured and hashed once, however many it goes to.

use std::sync::Arc;

use rumormill::core::{Carrier, Class, Traced};
use rumormill::time::Instant;

use super::codec;
use crate::observe::rumors::CarriedRumor;
use crate::observe::trace::{self, Nature};
use crate::protocols::Simulated;
use crate::scenario::plan::NodeNo;

/// The place of a parcel.
pub(crate) type ParcelNo = u32;

/// A packet as one node sent it at one time.
#[derive(Clone, Debug)]
pub(crate) struct Parcel<T> {
    /// As the engine sent it.
    original: Option<Arc<T>>,
    /// As it arrives, where that is not the same value.
    decoded: Option<Arc<T>>,
    /// How many deliveries of it are still to come.
    holders: u32,
    pub(crate) from: NodeNo,
    pub(crate) sent: Instant,
    pub(crate) nature: Nature,
    /// How it travels.
    pub(crate) class: Class,
    /// Encoded length in bytes.
    pub(crate) len: usize,
    /// The hash of its content.
    pub(crate) content: u64,
    /// The rumors it carries.
    pub(crate) carried: Vec<CarriedRumor>,
}

impl<T> Parcel<T> {
    /// What arrives.
    pub(crate) fn packet(&self) -> &Arc<T> {
        self.decoded.as_ref().or(self.original.as_ref()).expect("the parcel is in use")
    }

    /// True for the very packet on the same way, not one that is equal to it.
    pub(crate) fn is(&self, packet: &Arc<T>, class: Class) -> bool {
        let same = |original| Arc::ptr_eq(original, packet);
        self.class == class && self.original.as_ref().is_some_and(same)
    }

    /// By what its receivers get it.
    pub(crate) fn carrier(&self) -> Carrier {
        match self.class {
            Class::Datagram => Carrier::Datagram(self.len),
            Class::Stream => Carrier::Stream,
        }
    }

    /// Passes the packet through bytes.
    pub(crate) fn decode<P: Simulated<Packet = T>>(&mut self) {
        let packet = self.original.as_deref();
        self.decoded = packet.map(|packet| Arc::new(codec::round_trip::<P>(packet)));
    }

    /// As a trace tells of it.
    pub(crate) fn told(&self, to: Option<NodeNo>) -> trace::TracedParcel<'_> {
        trace::TracedParcel {
            from: self.from,
            to,
            nature: self.nature,
            sent: self.sent,
            bytes: self.len as u64,
            content: self.content,
            carried: &self.carried,
        }
    }
}

/// All parcels on their way, in places that are used again.
#[derive(Clone, Debug)]
pub(crate) struct Parcels<T> {
    parcels: Vec<Parcel<T>>,
    free: Vec<ParcelNo>,
}

impl<T: Traced> Parcels<T> {
    pub(crate) fn new() -> Self {
        Self { parcels: Vec::new(), free: Vec::new() }
    }

    /// Takes a packet in, held once by the caller. What is left to fill in keeps its memory.
    pub(crate) fn add(
        &mut self,
        packet: Arc<T>,
        class: Class,
        from: NodeNo,
        sent: Instant,
    ) -> ParcelNo {
        let nature = Nature::of(&*packet);
        let (original, decoded) = (Some(packet), None);
        let Some(place) = self.free.pop() else {
            let (len, content, carried) = (0, 0, Vec::new());
            self.parcels.push(Parcel {
                original,
                decoded,
                holders: 1,
                from,
                sent,
                nature,
                class,
                len,
                content,
                carried,
            });
            return self.parcels.len() as ParcelNo - 1;
        };
        let parcel = &mut self.parcels[place as usize];
        parcel.carried.clear();
        let carried = std::mem::take(&mut parcel.carried);
        let (holders, len, content) = (1, 0, 0);
        *parcel =
            Parcel { original, decoded, holders, from, sent, nature, class, len, content, carried };
        place
    }

    pub(crate) fn get(&self, place: ParcelNo) -> &Parcel<T> {
        &self.parcels[place as usize]
    }

    pub(crate) fn get_mut(&mut self, place: ParcelNo) -> &mut Parcel<T> {
        &mut self.parcels[place as usize]
    }

    /// One more delivery is to come.
    pub(crate) fn hold(&mut self, place: ParcelNo) {
        self.parcels[place as usize].holders += 1;
    }

    /// One delivery is done. After the last, the packet is handed back, to be dropped.
    pub(crate) fn release(&mut self, place: ParcelNo) -> Option<Arc<T>> {
        let parcel = &mut self.parcels[place as usize];
        parcel.holders -= 1;
        if parcel.holders > 0 {
            return None;
        }
        self.free.push(place);
        parcel.decoded = None;
        parcel.original.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rumormill::core::packet::{Body, LastCall};
    use rumormill::core::{AgeStep, Load, Packet};

    #[test]
    fn a_parcel_lives_until_its_last_delivery_and_its_place_is_used_again() {
        let packet = Arc::new(Packet::new(AgeStep(1), Body::LastCall(LastCall::default())));
        let mut parcels = Parcels::new();
        let datagram = Class::Datagram;
        let first = parcels.add(Arc::clone(&packet), datagram, 7, Instant::ZERO);
        parcels.hold(first);
        parcels.release(first);
        assert_eq!(parcels.get(first).packet(), &packet);
        let second = parcels.add(Arc::clone(&packet), datagram, 8, Instant::ZERO);
        parcels.get_mut(first).carried.push((3, Load::Value));
        parcels.release(first);
        assert_eq!(Arc::strong_count(&packet), 2);
        let third = parcels.add(Arc::clone(&packet), datagram, 9, Instant::ZERO);
        assert_eq!((third, parcels.get(third).from), (first, 9));
        assert!(parcels.get(third).carried.is_empty());
        assert_ne!(second, third);
    }
}
