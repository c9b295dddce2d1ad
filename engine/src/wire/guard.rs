//! What guards the datagrams of one node on their way: a checksum, or with a secret a seal.
//! Connections are guarded by what `stream.rs` has.

use std::net::SocketAddr;

use super::checksum::Checksum;
use super::reject::Reject;
use super::seal::{self, KeyNotice, Keyring, Seal};
use super::{DATAGRAM_LEN_MAX, native};
use crate::config::Config;
use crate::core::Packet;
use crate::time::Now;

/// Turns packets into datagrams and back for one run of one node.
///
/// Without a secret a datagram is the packet with a checksum of [`Config::CHECKSUM_LEN`] bytes,
/// which shows damage and packets of other clusters. With one it is sealed, which takes
/// [`Config::SEAL_LEN`] bytes: none but those who hold the secret can read or make one, and each
/// is taken once, and not long after it was sent.
///
/// Who drives a guard asks it for two things: after [`Guard::decode`] what is to be answered
/// ([`Guard::take_answer`]), and before it sends whether new randomness is due
/// ([`Guard::wants_random`]).
///
/// ```
/// use rumormill::Config;
/// use rumormill::core::packet::{Body, LastCall};
/// use rumormill::core::{AgeStep, Packet};
/// use rumormill::time::{Instant, Now, UnixNanos};
/// use rumormill::wire::{Guard, Reject, Run};
///
/// let config = Config::builder().cluster("blue").secret_key("secret").build()?;
/// let now = Now { mono: Instant::ZERO, wall: UnixNanos(1_800_000_000_000_000_000) };
/// let guard = |addr: &str, random| {
///     Guard::new(&config, &Run { addr: addr.parse().unwrap(), random, now })
/// };
/// let (mut a, mut b) = (guard("10.0.0.5:8000", [1; 8]), guard("10.0.0.6:8000", [2; 8]));
///
/// let packet = Packet::new(AgeStep(25_000), Body::LastCall(LastCall::default()));
/// let mut datagram = Vec::new();
/// a.encode(now, &packet, &mut datagram);
/// assert_eq!(datagram.len(), rumormill::wire::encoded_len(&packet) + config.guard_len());
/// assert_eq!(b.decode(now, &mut datagram.clone()), Ok(packet));
/// assert_eq!(b.decode(now, &mut datagram), Err(Reject::Duplicate));
/// # Ok::<(), rumormill::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Guard(GuardMode);

#[derive(Debug)]
enum GuardMode {
    Checksum(Checksum),
    Seal(Box<Seal>),
}

/// What a guard answers to a packet that it refused for its time or its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardAnswer(KeyNotice);

/// Who a run of a node is, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The address that the node advertises.
    pub addr: SocketAddr,
    /// Drawn anew for each run, from the system's entropy. It is no secret, but two runs with the
    /// same address, time and bytes would seal with the same key.
    pub random: [u8; 8],
    /// When it starts.
    pub now: Now,
}

impl Guard {
    /// For one run of a node, with the cluster and the secret of its settings.
    pub fn new(config: &Config, run: &Run) -> Self {
        let keyring = config.secret_key().map(|secret| {
            Keyring::new(secret.clone()).expect("no configuration has an empty secret")
        });
        Self::with_keyring(config, keyring.as_ref(), run)
    }

    /// The same with the secrets of a keyring instead of the settings'; none means a checksum.
    pub(crate) fn with_keyring(config: &Config, keyring: Option<&Keyring>, run: &Run) -> Self {
        Self(match keyring {
            None => GuardMode::Checksum(Checksum::new(config.cluster())),
            Some(keyring) => GuardMode::Seal(Seal::new(config, keyring, run).into()),
        })
    }

    /// Seals and opens with these secrets from now on; without effect for a checksum.
    pub fn use_keys(&mut self, keyring: &Keyring) {
        if let GuardMode::Seal(seal) = &mut self.0 {
            seal.use_keys(keyring);
        }
    }

    /// To be told when the machine slept, or may have been copied as it ran: what is sealed from
    /// now on takes new randomness.
    pub fn distrust(&mut self) {
        if let GuardMode::Seal(seal) = &mut self.0 {
            seal.distrust();
        }
    }

    /// Whether [`Guard::renew`] is due before more is sent. To be asked whenever something is: it
    /// is by that that a gap between the clocks is seen.
    pub fn wants_random(&mut self, now: Now) -> bool {
        match &mut self.0 {
            GuardMode::Checksum(_) => false,
            GuardMode::Seal(seal) => seal.wants_random(now),
        }
    }

    /// Seals under another key from now on, which `random` sets apart: drawn for this call, from
    /// the system's entropy.
    pub fn renew(&mut self, now: Now, random: [u8; 8]) {
        if let GuardMode::Seal(seal) = &mut self.0 {
            seal.renew(now, random);
        }
    }

    /// What is to be answered to the sender of the datagram that was decoded last, if anything:
    /// it must learn that its clock is behind, or went back before it was started.
    pub fn take_answer(&mut self) -> Option<GuardAnswer> {
        match &mut self.0 {
            GuardMode::Checksum(_) => None,
            GuardMode::Seal(seal) => seal.take_notice().map(GuardAnswer),
        }
    }

    /// Appends an answer as one datagram, to where the packet that it answers came from.
    pub fn encode_answer(&mut self, now: Now, answer: &GuardAnswer, out: &mut Vec<u8>) {
        self.guard(now, out, |out| answer.0.write(out));
    }

    /// Appends a packet as one datagram, sent at this time. The same bytes may go to any number
    /// of nodes; the same packet must not be encoded again for each.
    pub fn encode(&mut self, now: Now, packet: &Packet, out: &mut Vec<u8>) {
        self.guard(now, out, |out| super::encode(packet, out));
    }

    /// Appends what `write` appends, guarded: for packets that no encoder would write.
    pub fn guard(&mut self, now: Now, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let start = out.len();
        match &mut self.0 {
            GuardMode::Checksum(checksum) => {
                write(out);
                checksum.add(start, out);
            }
            GuardMode::Seal(seal) => {
                Seal::begin(out);
                write(out);
                seal.finish(now, start, out);
            }
        }
    }

    /// Reads the packet of a datagram, which may be changed by that.
    ///
    /// Never panics, and sets no memory aside for what is not guarded well.
    ///
    /// # Errors
    /// The reason why the bytes are no packet for us.
    pub fn decode(&mut self, now: Now, bytes: &mut [u8]) -> Result<Packet, Reject> {
        super::decode(self.open(now, bytes, DATAGRAM_LEN_MAX)?)
    }

    /// The same for a node with this `size`, which refuses what no node of its cluster would have
    /// cut so long: see [`CUT_LEN_MAX`](super::CUT_LEN_MAX).
    ///
    /// # Errors
    /// The reason why the bytes are no packet for us.
    pub fn decode_datagram(
        &mut self,
        now: Now,
        bytes: &mut [u8],
        size: usize,
    ) -> Result<Packet, Reject> {
        super::decode_datagram(self.open(now, bytes, DATAGRAM_LEN_MAX)?, size)
    }

    /// The same for what came whole by a way that carries more than a datagram, where a metadata
    /// value of this length may be in it: a network in memory. Connections have a
    /// [`StreamGuard`](super::StreamGuard).
    ///
    /// # Errors
    /// The reason why the bytes are no packet for us.
    pub fn decode_from_stream(
        &mut self,
        now: Now,
        bytes: &mut [u8],
        value_len_max: usize,
    ) -> Result<Packet, Reject> {
        let len_max = DATAGRAM_LEN_MAX.saturating_add(value_len_max);
        super::decode_from_stream(self.open(now, bytes, len_max)?, value_len_max)
    }

    #[cfg(test)]
    pub(super) fn seal_mut(&mut self) -> Option<&mut Seal> {
        match &mut self.0 {
            GuardMode::Checksum(_) => None,
            GuardMode::Seal(seal) => Some(seal),
        }
    }

    /// The packet in a datagram, without its guard.
    fn open<'a>(
        &mut self,
        now: Now,
        bytes: &'a mut [u8],
        len_max: usize,
    ) -> Result<&'a [u8], Reject> {
        if bytes.len() > len_max {
            return Err(Reject::TooLong);
        }
        let magic = *bytes.first_chunk().ok_or(Reject::TooShort)?;
        match (&mut self.0, magic) {
            (GuardMode::Checksum(checksum), native::MAGIC) => {
                native::check_version(bytes)?;
                checksum.verify(bytes)
            }
            (GuardMode::Seal(seal), seal::MAGIC) => seal.open(now, bytes),
            (GuardMode::Checksum(_), seal::MAGIC) => Err(Reject::Sealed),
            (GuardMode::Seal(_), native::MAGIC) => Err(Reject::Unsealed),
            _ => Err(Reject::ForeignMagic),
        }
    }
}
