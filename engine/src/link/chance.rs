//! The senders' streams of chance: where each of them stands, and the streams of those who sent
//! last.
//!
//! A stream with its buffer takes 300 bytes, a place in it takes eight. So a million senders have
//! a place each, and share as many streams as a processor's cache has room for; who finds another
//! in its seat begins anew and skips what it has drawn. Nobody can tell from the numbers.

use crate::rng::Rng;

#[derive(Clone, Debug)]
pub(super) struct ChanceStreams {
    seed: u64,
    /// By sender: how many packets it has sent.
    packets: Vec<u64>,
    /// A sender's seat is its number modulo [`ChanceStreams::SEATS`].
    seats: Vec<LinkSeat>,
}

#[derive(Clone, Debug)]
struct LinkSeat {
    sender: u32,
    stream: Rng,
}

impl ChanceStreams {
    /// Far more than the nodes of most scenarios, each of which has a seat to itself then.
    const SEATS: usize = 1 << 14;
    /// Words that each packet takes, whatever its fate.
    const WORDS: u64 = 2;

    pub(super) fn new(seed: u64) -> Self {
        Self { seed, packets: Vec::new(), seats: Vec::new() }
    }

    /// The two words of a sender's next packet.
    pub(super) fn draw(&mut self, sender: u32) -> (u64, u64) {
        let (place, seat) = (sender as usize, sender as usize % Self::SEATS);
        if self.packets.len() <= place {
            self.packets.resize(place + 1, 0);
        }
        while self.seats.len() <= seat {
            let sender = self.seats.len() as u32;
            self.seats
                .push(LinkSeat { sender, stream: Rng::fork(self.seed, "link", sender.into()) });
        }
        let (packets, seat) = (&mut self.packets[place], &mut self.seats[seat]);
        if seat.sender != sender {
            let stream = Rng::fork(self.seed, "link", sender.into()).behind(*packets * Self::WORDS);
            *seat = LinkSeat { sender, stream };
        }
        *packets += 1;
        (seat.stream.bits(), seat.stream.bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sender_draws_from_a_stream_of_its_own_whoever_has_its_seat_meanwhile() {
        let mut streams = ChanceStreams::new(5);
        let senders = [0, 7, ChanceStreams::SEATS as u32, 7 + 2 * ChanceStreams::SEATS as u32];
        let mut own = senders.map(|sender| Rng::fork(5, "link", sender.into()));
        for turn in 0..200 {
            // Some send many times in a row, some take turns.
            let which = [turn / 20, turn][turn / 100] % senders.len();
            let expected = (own[which].bits(), own[which].bits());
            assert_eq!(streams.draw(senders[which]), expected, "packet {turn}");
        }
    }
}
