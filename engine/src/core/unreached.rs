//! Unreached: from whom a value can be had when the one that told of it is not reached by stream.
//!
//! A filter may let datagrams pass and no TCP, and then two members list each other, agree on what
//! there is and never get it from each other. Whoever learns of that tells its service, once for
//! each peer, and asks another that is known to hold the value; such peers are asked last. The side
//! that can't send what it was asked for says so by datagram, for the other would wait in vain.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::engine::Engine;
use super::fetch::Wanted;
use super::io::{Event, Outbox};
use super::metadata::Version;
use super::packet::Call;
use super::routes::keep_once;
use crate::time::Now;

/// Peers that a value could not be had from or brought to, the last one found out last.
#[derive(Clone, Debug, Default)]
pub(super) struct Unreached(VecDeque<SocketAddr>);

impl Unreached {
    const PEERS_MAX: usize = 256;

    /// True when that is new.
    fn note(&mut self, peer: SocketAddr) -> bool {
        let is_new = !self.contains(peer);
        keep_once(&mut self.0, peer, Self::PEERS_MAX);
        is_new
    }

    pub(super) fn contains(&self, peer: SocketAddr) -> bool {
        self.0.contains(&peer)
    }

    /// A value has gone between us.
    pub(super) fn forget(&mut self, peer: SocketAddr) {
        if !self.0.is_empty() {
            self.0.retain(|&other| other != peer);
        }
    }

    /// Takes out whom to ask next: those that are not reached come last.
    pub(super) fn take_next(&self, tellers: &mut VecDeque<SocketAddr>) -> Option<SocketAddr> {
        let at = tellers.iter().position(|&teller| !self.contains(teller));
        tellers.remove(at.unwrap_or(0))
    }
}

impl Engine {
    /// What should have gone there by stream is lost.
    pub(super) fn on_stream_failed(&mut self, now: Now, to: SocketAddr, out: &mut Outbox) {
        if let Some(place) = self.fetcher.wanted.iter().position(|wanted| wanted.asked == to) {
            planted!(StreamFailureUnheeded, self.on_asked_in_vain(now, place, out));
        }
        for version in self.fetcher.end_serving_to(to) {
            self.note_unreached(now, to, version, out);
            // By datagram, which says that it is not for want of time.
            out.send(to, &self.fetch_packet(version, Call::Busy));
        }
    }

    /// Who was asked for a value is not reached, or can't reach us: asks another.
    pub(super) fn on_asked_in_vain(&mut self, now: Now, place: usize, out: &mut Outbox) {
        let wanted = &self.fetcher.wanted[place];
        let (peer, version) = (wanted.asked, wanted.announcement.version);
        self.note_unreached(now, peer, version, out);
        if self.fetcher.wanted[place].tellers.is_empty()
            && let Some(holder) = self.other_holder(version, peer)
        {
            self.fetcher.wanted[place].tellers.push_back(holder);
        }
        self.ask_another(now, place, out);
    }

    fn note_unreached(&mut self, now: Now, peer: SocketAddr, version: Version, out: &mut Outbox) {
        self.stats.values_unreached += 1;
        // Strangers could announce what never comes without end.
        if self.is_believed(peer) && self.unreached.note(peer) {
            out.event(Event::ValueUnreachable { version, peer });
            // Another may hold it. Only now: what can't be had must not bring swap upon swap.
            self.swap_again_soon(now.mono);
        }
    }

    /// Whom to ask first for a value that this teller announces.
    pub(super) fn first_to_ask(&self, teller: SocketAddr, version: Version) -> SocketAddr {
        if !self.unreached.contains(teller) {
            return teller;
        }
        self.other_holder(version, teller).unwrap_or(teller)
    }

    /// A member that last said that it holds this version, and can be reached for all we know.
    fn other_holder(&self, version: Version, but: SocketAddr) -> Option<SocketAddr> {
        let mut holders = self.reports.holders_of(version.hash());
        holders.find(|&peer| peer != but && !self.unreached.contains(peer) && self.lists(peer))
    }

    /// Has a value that is asked for in vain asked of one that has just told of it as well.
    pub(super) fn prefer(&mut self, now: Now, place: usize, teller: SocketAddr, out: &mut Outbox) {
        let Wanted { asked, .. } = self.fetcher.wanted[place];
        if self.unreached.contains(asked) && !self.unreached.contains(teller) {
            let tellers = &mut self.fetcher.wanted[place].tellers;
            tellers.retain(|&other| other != teller);
            self.ask(now, place, teller, out);
            self.fetcher.wanted[place].add(asked, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_noted_once_up_to_a_limit_and_asked_last() {
        let peer = |port: usize| SocketAddr::from(([10, 0, 0, 1], port as u16));
        let mut unreached = Unreached::default();
        assert!(unreached.note(peer(1)) && !unreached.note(peer(1)));
        let mut tellers = VecDeque::from([peer(1), peer(2), peer(3)]);
        let order: Vec<_> = std::iter::from_fn(|| unreached.take_next(&mut tellers)).collect();
        assert_eq!(order, [peer(2), peer(3), peer(1)]);
        unreached.forget(peer(1));
        assert!(unreached.note(peer(1)), "it was reached meanwhile");
        for other in 2..=Unreached::PEERS_MAX + 1 {
            unreached.note(peer(other));
        }
        assert_eq!((unreached.0.len(), unreached.contains(peer(1))), (Unreached::PEERS_MAX, false));
    }
}
