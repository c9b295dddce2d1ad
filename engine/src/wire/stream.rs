//! What guards the connections of one node on their way: checksums, or with a secret a seal.
//!
//! A connection carries packets one way, from who dialled it. Without a secret the caller says at
//! which port it is reached, and each packet has the checksum that a datagram has. With one, both
//! ends first prove that they hold it, and the packets are sealed in a strict sequence under a key
//! of this connection; `seal/stream.rs` has the bytes. That costs a round trip more before the
//! first packet, once for each connection, and connections are kept.
//!
//! Nothing here reads a socket: [`StreamGuard`] says how many bytes come next and what they mean.
//! Until the caller is known to hold the secret, [`StreamGuard::HELLO_LEN_MAX`] bytes are all that
//! need be set aside for it.

#[cfg(test)]
mod tests;

use std::fmt;

use super::checksum::Checksum;
use super::reject::Reject;
use super::seal::stream::{self, Dialled, Sequence};
use super::seal::{self, Keyring};
use super::{DATAGRAM_LEN_MAX, native};
use crate::config::Config;
use crate::core::Packet;

const MAGIC: [u8; 3] = *b"rms";
const VERSION: u8 = 1;

/// Makes both ends of connections for one node, with the cluster and the secrets that it has.
///
/// Source: the order of the handshake is that of TLS with a shared key, without its choices.
///
/// ```
/// use rumormill::Config;
/// use rumormill::core::packet::{Body, LastCall};
/// use rumormill::core::{AgeStep, Packet};
/// use rumormill::wire::{self, StreamGuard};
///
/// let config = Config::builder().secret_key("secret").build()?;
/// let (a, b) = (StreamGuard::of(&config), StreamGuard::of(&config));
///
/// // A calls, B answers; each draws 16 bytes for this connection alone.
/// let call = a.dial(8000, [1; 16]);
/// let hello = call.hello();
/// let head = hello.first_chunk().unwrap();
/// assert_eq!(b.hello_len(head), Ok(hello.len()));
/// let (mut opener, answer) = b.accept(&hello, [2; 16])?;
/// assert_eq!((opener.port(), answer.len()), (8000, call.answer_len()));
/// let mut sealer = call.answered(&answer)?;
///
/// let packet = Packet::new(AgeStep(25_000), Body::LastCall(LastCall::default()));
/// let mut encoded = Vec::new();
/// wire::encode(&packet, &mut encoded);
/// let mut sealed = Vec::new();
/// sealer.seal(&encoded, &mut sealed);
/// assert_eq!(opener.open(&b, &mut sealed.clone(), 0), Ok(packet));
/// assert!(opener.open(&b, &mut sealed, 0).is_err(), "each opens once, in its turn");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct StreamGuard {
    cluster: Box<str>,
    keyring: Option<Keyring>,
}

impl StreamGuard {
    /// The first bytes of a connection, which say how many more are to be read before it can be
    /// accepted.
    pub const HEAD_LEN: usize = 6;

    /// The longest hello, its head included, in bytes.
    pub const HELLO_LEN_MAX: usize = stream::HELLO_LEN;

    /// With the cluster and the secret of these settings.
    pub fn of(config: &Config) -> Self {
        let keyring = config.secret_key().map(|secret| {
            Keyring::new(secret.clone()).expect("no configuration has an empty secret")
        });
        Self::with_keyring(config, keyring.as_ref())
    }

    /// The same with the secrets of a keyring instead of the settings'; none means checksums.
    pub(crate) fn with_keyring(config: &Config, keyring: Option<&Keyring>) -> Self {
        Self { cluster: config.cluster().into(), keyring: keyring.cloned() }
    }

    /// Uses these secrets from now on; without effect where there are only checksums. Connections
    /// that were made with a secret that is gone open nothing more.
    pub fn use_keys(&mut self, keyring: &Keyring) {
        if self.keyring.is_some() {
            self.keyring = Some(keyring.clone());
        }
    }

    /// Begins a connection of a node that is reached at this port. `random` is to be drawn anew
    /// for each, from the system's entropy; it is no secret.
    pub fn dial(&self, port: u16, random: [u8; 16]) -> StreamDial {
        StreamDial(match &self.keyring {
            None => Dial::Checksum { port, checksum: Checksum::new(&self.cluster) },
            Some(keyring) => Dial::Seal(Dialled::new(keyring, &self.cluster, port, random).into()),
        })
    }

    /// How many bytes a hello has that begins so, these included.
    ///
    /// # Errors
    /// The reason why it is no call for us.
    pub fn hello_len(&self, head: &[u8; Self::HEAD_LEN]) -> Result<usize, Reject> {
        let magic = *head.first_chunk().expect("a head is longer");
        match (&self.keyring, magic) {
            (None, MAGIC) if head[3] != VERSION => Err(Reject::UnknownVersion),
            (None, MAGIC) => Ok(Self::HEAD_LEN),
            (Some(_), stream::STREAM_MAGIC) => Ok(stream::HELLO_LEN),
            (None, stream::STREAM_MAGIC) => Err(Reject::Sealed),
            (Some(_), MAGIC) => Err(Reject::Unsealed),
            _ => Err(Reject::ForeignMagic),
        }
    }

    /// Takes a call by its whole hello: gives what opens its packets, and the bytes to answer
    /// with, which may be none. `random` as for [`StreamGuard::dial`].
    ///
    /// # Errors
    /// The reason why it is no call for us.
    pub fn accept(
        &self,
        hello: &[u8],
        random: [u8; 16],
    ) -> Result<(StreamOpener, Vec<u8>), Reject> {
        let head = hello.first_chunk().ok_or(Reject::TooShort)?;
        if self.hello_len(head)? != hello.len() {
            return Err(Reject::Truncated);
        }
        let (mode, answer) = match &self.keyring {
            None => (StreamMode::Checksum(Checksum::new(&self.cluster)), Vec::new()),
            Some(keyring) => {
                let (sequence, answer) = stream::accept(keyring, &self.cluster, hello, random)?;
                (StreamMode::Seal(sequence.into()), answer.to_vec())
            }
        };
        match u16::from_le_bytes([head[4], head[5]]) {
            0 => Err(Reject::BadAddress),
            port => Ok((StreamOpener { port, mode }, answer)),
        }
    }
}

/// A connection that we make, until the other end has answered.
#[derive(Debug)]
pub struct StreamDial(Dial);

#[derive(Debug)]
enum Dial {
    Checksum { port: u16, checksum: Checksum },
    Seal(Box<Dialled>),
}

impl StreamDial {
    /// The first bytes to write.
    pub fn hello(&self) -> Vec<u8> {
        match &self.0 {
            Dial::Checksum { port, .. } => {
                let [low, high] = port.to_le_bytes();
                [&MAGIC[..], &[VERSION, low, high]].concat()
            }
            Dial::Seal(dialled) => dialled.hello().to_vec(),
        }
    }

    /// How many bytes the other end answers, perhaps none, before the first packet is sent.
    pub fn answer_len(&self) -> usize {
        match &self.0 {
            Dial::Checksum { .. } => 0,
            Dial::Seal(_) => stream::ANSWER_LEN,
        }
    }

    /// Takes in the answer, and gives what seals the packets.
    ///
    /// # Errors
    /// When the answer is not that of a node with our secret.
    pub fn answered(self, answer: &[u8]) -> Result<StreamSealer, Reject> {
        Ok(StreamSealer(match self.0 {
            Dial::Checksum { checksum, .. } => StreamMode::Checksum(checksum),
            Dial::Seal(dialled) => StreamMode::Seal(dialled.answered(answer)?.into()),
        }))
    }
}

enum StreamMode {
    Checksum(Checksum),
    Seal(Box<Sequence>),
}

/// Guards what is written to one connection, in turn.
pub struct StreamSealer(StreamMode);

impl StreamSealer {
    /// Appends an encoded packet, guarded. On the connection its length goes before it.
    pub fn seal(&mut self, packet: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(packet);
        match &mut self.0 {
            StreamMode::Checksum(checksum) => checksum.add(start, out),
            StreamMode::Seal(sequence) => sequence.seal(start, out),
        }
    }
}

/// Opens what is read from one connection, in turn.
pub struct StreamOpener {
    port: u16,
    mode: StreamMode,
}

/// What becomes of a connection that brought something else than a packet of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// It goes on: this packet alone is refused.
    Skip(Reject),
    /// It must end: what comes on it is not, or no longer, what was sent.
    End(Reject),
}

impl StreamOpener {
    /// The port at which the caller is reached.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// True when what it opens was sealed, by one that holds the secret.
    pub fn is_sealed(&self) -> bool {
        matches!(self.mode, StreamMode::Seal(_))
    }

    /// Reads the next packet, in which a metadata value of this length may be, for a node that
    /// now has these secrets.
    ///
    /// Never panics, and sets no memory aside for what is not guarded well.
    ///
    /// # Errors
    /// The reason why the bytes are no packet for us, and whether the connection goes on.
    pub fn open(
        &mut self,
        guard: &StreamGuard,
        bytes: &mut [u8],
        value_len_max: usize,
    ) -> Result<Packet, StreamEnd> {
        if bytes.len() > DATAGRAM_LEN_MAX.saturating_add(value_len_max) {
            return Err(StreamEnd::End(Reject::TooLong));
        }
        let packet = match &mut self.mode {
            StreamMode::Checksum(checksum) => verified(checksum, bytes).map_err(StreamEnd::Skip)?,
            StreamMode::Seal(sequence) => {
                let secrets = guard.keyring.as_ref().map_or(&[][..], Keyring::secrets);
                if !secrets.contains(sequence.secret()) {
                    return Err(StreamEnd::End(Reject::UnknownKey));
                }
                sequence.open(bytes).map_err(StreamEnd::End)?
            }
        };
        super::decode_from_stream(packet, value_len_max).map_err(StreamEnd::Skip)
    }
}

fn verified<'a>(checksum: &mut Checksum, bytes: &'a [u8]) -> Result<&'a [u8], Reject> {
    match *bytes.first_chunk().ok_or(Reject::TooShort)? {
        native::MAGIC => {
            native::check_version(bytes)?;
            checksum.verify(bytes)
        }
        seal::MAGIC => Err(Reject::Sealed),
        _ => Err(Reject::ForeignMagic),
    }
}

impl fmt::Debug for StreamSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamSealer").finish_non_exhaustive()
    }
}

impl fmt::Debug for StreamOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamOpener").field("port", &self.port).finish_non_exhaustive()
    }
}
