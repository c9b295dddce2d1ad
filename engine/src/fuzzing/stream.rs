//! Connections whose bytes come in any pieces, damaged or cut: what is read does not depend on
//! how it was cut, and no room is made for what a length merely claims.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};

use super::packets::Overheard;
use super::script::Script;
use crate::config::Config;
use crate::core::Packet;
use crate::net::stream_frame::{Ending, framed, read_frame, read_hello};
use crate::wire::{self, DATAGRAM_LEN_MAX, StreamEnd, StreamGuard, StreamSealer};

/// Longest value that may come by stream: far more than any of these streams has bytes.
const VALUE_LEN_MAX: usize = 1 << 30;

/// Room that may be made before there is anything to put into it.
const ROOM_MIN: usize = 256;

/// Takes any bytes for a call with packets behind it, what befalls their bytes, and the pieces in
/// which they come.
pub fn stream(bytes: &[u8]) {
    let mut script = Script(bytes);
    let Some((guard, bytes)) = written(&mut script) else { return };
    let whole = read(&guard, Pieces::new(&bytes, &[]));
    let in_pieces = read(&guard, Pieces::new(&bytes, script.0));
    assert_eq!(in_pieces, whole, "the pieces in which it comes make a difference");
}

/// What a caller writes, as it arrives, and what the other end has to open it.
fn written(script: &mut Script<'_>) -> Option<(StreamGuard, Vec<u8>)> {
    let config = match script.below(2)? {
        0 => Config::default(),
        _ => Config::builder().secret_key("secret").build().expect("a valid configuration"),
    };
    let guard = StreamGuard::of(&config);
    let call = guard.dial(8_000, [1; 16]);
    let mut bytes = call.hello();
    // The random of the one that is called is known beforehand, so that it can be answered.
    let (_, answer) = guard.accept(&bytes, RANDOM).expect("a call of ours");
    let mut sealer = call.answered(&answer).expect("an answer of ours");
    let mut said = Overheard::default();
    for _ in 0..script.below(6)? {
        bytes.extend(frame(&mut sealer, said.packet(script)?.as_ref()));
    }
    for _ in 0..script.below(4)? {
        damage(&mut bytes, script)?;
    }
    Some((guard, bytes))
}

const RANDOM: [u8; 16] = [2; 16];

fn frame(sealer: &mut StreamSealer, packet: &Packet) -> Vec<u8> {
    let mut encoded = Vec::new();
    wire::encode(packet, &mut encoded);
    framed(|out| sealer.seal(&encoded, out))
}

fn damage(bytes: &mut Vec<u8>, script: &mut Script<'_>) -> Option<()> {
    let at = usize::from(u16::from_le_bytes(script.take()?)) % bytes.len().max(1);
    match script.below(5)? {
        0 => bytes.truncate(at),
        1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1),
        // A length that claims.
        2 => {
            let claim = script.number32()?.to_le_bytes();
            bytes.iter_mut().skip(at).zip(claim).for_each(|(byte, claimed)| *byte = claimed);
        }
        3 => {
            let more = script.bytes(8)?;
            bytes.extend_from_slice(more);
        }
        _ => {
            bytes.drain(..at);
        }
    }
    Some(())
}

/// Everything that came over a connection, and how it ended.
#[derive(Debug, PartialEq)]
struct Came {
    packets: Vec<Result<Packet, StreamEnd>>,
    ending: String,
}

/// Reads as a node does that was called.
fn read(guard: &StreamGuard, mut from: Pieces<'_>) -> Came {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime without sockets");
    let mut packets = Vec::new();
    let ending = runtime.block_on(read_all(guard, &mut from, &mut packets));
    Came { packets, ending: ending.to_string() }
}

async fn read_all(
    guard: &StreamGuard,
    from: &mut Pieces<'_>,
    packets: &mut Vec<Result<Packet, StreamEnd>>,
) -> Ending {
    /// Nothing here ever waits for so long.
    const IDLE_MAX: Duration = Duration::from_secs(60);
    let hello = match read_hello(from, guard).await {
        Ok(hello) => hello,
        Err(ending) => return ending,
    };
    let mut opener = match guard.accept(&hello, RANDOM) {
        Ok((opener, _)) => opener,
        Err(reason) => return Ending::Refused(reason),
    };
    loop {
        let mut bytes = match read_frame(from, IDLE_MAX, DATAGRAM_LEN_MAX + VALUE_LEN_MAX).await {
            Ok(bytes) => bytes,
            Err(ending) => return ending,
        };
        let opened = opener.open(guard, &mut bytes, VALUE_LEN_MAX);
        let ends = matches!(opened, Err(StreamEnd::End(_)));
        packets.push(opened);
        if ends {
            return Ending::Closed;
        }
    }
}

/// The bytes of a connection, in pieces of these lengths over and over; a length of zero is a
/// pause. It sees how much room it is given for them.
struct Pieces<'a> {
    bytes: &'a [u8],
    lengths: std::iter::Cycle<std::slice::Iter<'a, u8>>,
    given: usize,
    has_paused: bool,
}

impl<'a> Pieces<'a> {
    fn new(bytes: &'a [u8], lengths: &'a [u8]) -> Self {
        Self { bytes, lengths: lengths.iter().cycle(), given: 0, has_paused: false }
    }
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let fair = self.given * 2 + ROOM_MIN;
        assert!(room.remaining() <= fair, "room for {} bytes is made", room.remaining());
        let length = self.lengths.next().map_or(usize::MAX, |&length| usize::from(length));
        if length == 0 && !self.has_paused {
            self.has_paused = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.has_paused = false;
        let (piece, rest) =
            self.bytes.split_at(length.max(1).min(room.remaining()).min(self.bytes.len()));
        room.put_slice(piece);
        self.given += piece.len();
        self.bytes = rest;
        Poll::Ready(Ok(()))
    }
}
