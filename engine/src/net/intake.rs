//! What came through the socket and waits its turn: the datagram that is looked at, and what
//! strangers sent while what members sent is worked off.

use std::cell::Cell;
use std::net::SocketAddr;
use std::ops::Range;

use crate::wire::DATAGRAM_LEN_MAX;

thread_local! {
    /// Where datagrams are received: one place for all nodes that a thread runs, not one for each,
    /// since it holds the longest there is and is empty whenever a node waits.
    static RECEIVED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends a buffer of at least this length, with anything in it.
pub(super) fn with_buffer<T>(len: usize, receive: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut buffer = RECEIVED.take();
    if buffer.len() < len {
        buffer.resize(len, 0);
    }
    let received = receive(&mut buffer);
    RECEIVED.set(buffer);
    received
}

/// Datagrams of strangers in their order. What it takes in is copied into memory that stays, so
/// that nothing is allocated for each; but for that of a burst, such as the start of a cluster.
#[derive(Debug, Default)]
pub(super) struct WaitingDatagrams {
    bytes: Vec<u8>,
    datagrams: Vec<(Range<usize>, SocketAddr)>,
    /// How many of them were taken out.
    taken: usize,
}

impl WaitingDatagrams {
    pub(super) const DATAGRAMS_MAX: usize = 64;
    const BYTES_MAX: usize = 2 * DATAGRAM_LEN_MAX;
    const BYTES_KEPT: usize = 2_048;
    const DATAGRAMS_KEPT: usize = 8;

    /// True when the next datagram may find no room.
    pub(super) fn is_full(&self) -> bool {
        self.datagrams.len() == Self::DATAGRAMS_MAX
            || self.bytes.len() + DATAGRAM_LEN_MAX > Self::BYTES_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Not to be called when it is full.
    pub(super) fn push(&mut self, from: SocketAddr, bytes: &[u8]) {
        assert!(!self.is_full(), "the strangers are worked off when there are so many");
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.datagrams.push((start..self.bytes.len(), from));
    }

    /// Lets `take` see the next few, in their order.
    pub(super) fn take(&mut self, count: usize, mut take: impl FnMut(&mut [u8], SocketAddr)) {
        let end = self.taken.saturating_add(count).min(self.datagrams.len());
        for (range, from) in &self.datagrams[self.taken..end] {
            take(&mut self.bytes[range.clone()], *from);
        }
        self.taken = end;
        if self.taken == self.datagrams.len() {
            self.bytes.clear();
            self.bytes.shrink_to(Self::BYTES_KEPT);
            self.datagrams.clear();
            self.datagrams.shrink_to(Self::DATAGRAMS_KEPT);
            self.taken = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(port: u16) -> SocketAddr {
        ([10, 0, 0, 5], port).into()
    }

    fn taken(waiting: &mut WaitingDatagrams, count: usize) -> Vec<(Vec<u8>, u16)> {
        let mut taken = Vec::new();
        waiting.take(count, |bytes, from| taken.push((bytes.to_vec(), from.port())));
        taken
    }

    #[test]
    fn what_waits_is_taken_in_its_order_and_each_once() {
        let mut waiting = WaitingDatagrams::default();
        for port in 1..=3 {
            waiting.push(from(port), &vec![7; usize::from(port) - 1]);
        }
        assert_eq!(taken(&mut waiting, 2), [(vec![], 1), (vec![7], 2)]);
        waiting.push(from(4), b"last");
        assert_eq!(taken(&mut waiting, 9), [(vec![7; 2], 3), (b"last".to_vec(), 4)]);
        assert!(waiting.is_empty() && taken(&mut waiting, 9).is_empty());
    }

    #[test]
    fn a_burst_leaves_no_room_behind() {
        let mut waiting = WaitingDatagrams::default();
        while !waiting.is_full() {
            waiting.push(from(1), &[7; 1_100]);
        }
        taken(&mut waiting, WaitingDatagrams::DATAGRAMS_MAX);
        assert!(waiting.bytes.capacity() <= WaitingDatagrams::BYTES_KEPT);
        assert!(waiting.datagrams.capacity() <= WaitingDatagrams::DATAGRAMS_KEPT);
    }

    #[test]
    fn a_buffer_is_lent_again_and_to_whoever_asks_meanwhile_another() {
        let first = with_buffer(10, |buffer| {
            let inner = with_buffer(5, |inner| inner.as_ptr() as usize);
            assert_ne!(buffer.as_ptr() as usize, inner);
            assert!(buffer.len() >= 10);
            buffer.as_ptr() as usize
        });
        assert_eq!(with_buffer(7, |buffer| buffer.as_ptr() as usize), first);
        assert_eq!(with_buffer(1 << 20, |buffer| buffer.len()), 1 << 20);
    }

    #[test]
    fn it_is_full_while_the_longest_datagram_would_find_no_room() {
        let mut waiting = WaitingDatagrams::default();
        for _ in 0..WaitingDatagrams::DATAGRAMS_MAX {
            assert!(!waiting.is_full());
            waiting.push(from(1), b"");
        }
        assert!(waiting.is_full());
        taken(&mut waiting, WaitingDatagrams::DATAGRAMS_MAX);
        assert!(!waiting.is_full());
        waiting.push(from(1), &[0; DATAGRAM_LEN_MAX]);
        assert!(!waiting.is_full());
        waiting.push(from(1), &[0]);
        assert!(waiting.is_full());
    }
}
