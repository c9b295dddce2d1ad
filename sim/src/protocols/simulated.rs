//! What a protocol offers so that the laboratory can run it.

use std::sync::Arc;

use rumormill::Config;
use rumormill::core::{Class, PreloadedEntries, PreloadedMembers, Protocol, Record, SharedRecords};
use rumormill::time::{Now, UnixNanos};
use rumormill::wire::Run;

use super::keys::{Key, KeyError, Keys};
use super::{SettingsPlace, bits};

/// What one node is set up with.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// What `[engine]` says, of which [`HANDED`](super::HANDED) is meant for every protocol.
    pub config: &'a Arc<Config>,
    /// What `[protocol]` says.
    pub keys: &'a Keys,
    /// Every record of the run, for engines that would rather share them.
    pub roster: &'a Arc<SharedRecords>,
}

/// The way of a packet between two nodes, for what noise does to it.
#[derive(Clone, Copy, Debug)]
pub struct Passage<'a> {
    /// By what way it travels.
    pub class: Class,
    /// What its sender guards it with.
    pub run: &'a Run,
    /// The settings of the sender.
    pub sender: &'a Config,
    /// The settings of the receiver.
    pub receiver: &'a Config,
}

/// What a made-up packet is to say.
#[derive(Clone, Debug)]
pub struct Forgery<'a> {
    /// The lie.
    pub lie: Lie,
    /// Of whom, in the generation that is claimed.
    pub of: Arc<Record>,
    /// The settings of who gets it.
    pub receiver: &'a Config,
    /// What the wall clock of that one shows.
    pub wall: UnixNanos,
}

/// A protocol that the world runs: a state machine, and what of it goes into a scenario and over a
/// network.
///
/// What has a default need not be there: a protocol without it is simulated all the same.
pub trait Simulated:
    Protocol<Packet: Send + Sync + 'static, Settings: Send + Sync> + Send + Sized + 'static
{
    /// What scenarios call it.
    const NAME: &'static str;

    /// What it is, in a few words.
    const ABOUT: &'static str;

    /// Its keys in `[protocol]`.
    const KEYS: &'static [Key] = &[];

    /// Every kind of packet, as [`Traced::kind`](rumormill::core::Traced::kind) names it.
    const KINDS: &'static [&'static str];

    /// Which packets it can have made up; bytes can always be.
    const LIES: &'static [Lie] = &[];

    /// Where its settings stand.
    const SETTINGS: SettingsPlace = SettingsPlace::Own;

    /// What one node is set to.
    ///
    /// # Errors
    /// The key that makes no sense, and why.
    fn settings(setup: &Setup<'_>) -> Result<Self::Settings, KeyError>;

    /// Writes a packet as it goes over a network.
    fn encode(packet: &Self::Packet, out: &mut Vec<u8>);

    /// Reads a packet that came in this way.
    ///
    /// # Errors
    /// Why the bytes are none.
    fn decode(bytes: &[u8], class: Class) -> Result<Self::Packet, String>;

    /// Bytes that guard each packet on its way.
    fn guard_len(_config: &Config) -> usize {
        0
    }

    /// The longest packet that it sends in one datagram.
    fn datagram_len_max(_config: &Config) -> usize {
        65_507
    }

    /// What a receiver takes a packet for in which one bit flipped on its way, which `noise` picks;
    /// nothing if its checks drop it.
    fn flip(packet: &Self::Packet, noise: u64, route: &Passage<'_>) -> Option<Self::Packet> {
        let mut bytes = Vec::new();
        Self::encode(packet, &mut bytes);
        bits::flip(&mut bytes, noise);
        Self::decode(&bytes, route.class).ok()
    }

    /// Makes up a packet; nothing where the lie is none of [`Simulated::LIES`].
    fn forge(_forgery: &Forgery<'_>) -> Option<Self::Packet> {
        None
    }

    /// A list of members that many nodes may begin with and share, and so many entries; nothing
    /// where each has its own, by [`Protocol::preload`].
    fn full_list<'a>(
        _roster: &Arc<SharedRecords>,
        _members: impl Iterator<Item = &'a Arc<Record>>,
        _entries: (u32, &Config),
    ) -> Option<FullState> {
        None
    }

    /// Takes over such a list, without an event for each member.
    fn share_list(
        &mut self,
        _now: Now,
        _list: &FullState,
        _out: &mut rumormill::core::Outbox<Self::Packet>,
    ) {
    }
}

/// What many nodes begin with and share.
#[derive(Clone, Debug)]
pub struct FullState {
    /// Whom they list.
    pub members: Arc<PreloadedMembers>,
    /// What they hold of entries, if anything.
    pub entries: Option<PreloadedEntries>,
}

/// A claim about a node that need not be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// It said goodbye.
    Goodbye,
    /// It timed out.
    Tombstone,
    /// It is a member, told as in a swap.
    Record,
    /// It has come back in another generation, told as news.
    Generation,
    /// It wants in.
    Join,
}

impl Lie {
    /// All, as a scenario names them.
    pub const NAMED: [(&'static str, Self); 5] = [
        ("goodbye", Self::Goodbye),
        ("tombstone", Self::Tombstone),
        ("record", Self::Record),
        ("generation", Self::Generation),
        ("join", Self::Join),
    ];

    /// As a scenario names it.
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, lie)| *lie == self).expect("every lie has a name").0
    }
}

/// The generation that a lie is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The one in which the node runs, or last ran.
    Present,
    /// The one above.
    Next,
    /// The highest there is.
    Max,
}

impl Claim {
    /// Those that a scenario names.
    pub const NAMED: [(&'static str, Self); 2] = [("+1", Self::Next), ("max", Self::Max)];

    /// As a scenario names it, if it does.
    pub fn name(self) -> Option<&'static str> {
        Self::NAMED.iter().find(|(_, claim)| *claim == self).map(|(name, _)| *name)
    }
}
