//! Unreached: from whom a value can be had when the one that told of it is not reached by stream.
//!
//! A filter may let datagrams pass and no TCP, and then two members list each other, agree on what
//! there is and never get it from each other. Whoever learns of that tells its service, once for
//! each peer, and asks another that is known to hold the value; such peers are asked last. The side
//! that can't send what it was asked for says so by datagram, for the other would wait in vain.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::core::context::keep_once;

/// Peers that a value could not be had from or brought to, the last one found out last.
#[derive(Clone, Debug, Default)]
pub(super) struct Unreached(VecDeque<SocketAddr>);

impl Unreached {
    pub(crate) const PEERS_MAX: usize = 256;

    /// True when that is new.
    pub(super) fn note(&mut self, peer: SocketAddr) -> bool {
        let is_new = !self.contains(peer);
        keep_once(&mut self.0, peer, Self::PEERS_MAX);
        is_new
    }

    pub(crate) fn contains(&self, peer: SocketAddr) -> bool {
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
