//! The protocol as a state machine that names no bytes, sockets, clocks or entropy.
//!
//! Rooms, from the top down; each may name those that stand below it:
//!
//! - `engine`: an input to a room, and what takes several of them;
//! - `joining`: ways into the cluster;
//! - `anti_entropy`: what differs, and how it is repaired;
//! - `store`: what the cluster holds in common;
//! - `membership`: who is listed, and who we are;
//! - `detection`: who lives;
//! - `dissemination`: how news reaches all;
//! - `context`: what every room stands on;
//! - `members`: the list itself;
//! - `entries`: the map of entries itself.

mod agreement;
mod anti_entropy;
mod beat;
mod context;
mod detection;
mod display;
mod dissemination;
mod engine;
mod entries;
mod entry;
mod event_names;
mod footprint;
#[cfg(feature = "serde")]
mod forms;
mod io;
mod joining;
mod keeping;
mod members;
mod membership;
mod metadata;
mod packer;
pub mod packet;
mod protocol;
mod record;
mod round;
mod rtt;
mod settings;
mod stats;
mod store;
mod timers;

#[cfg(test)]
mod tests;

pub use agreement::{Agreement, Reach};
pub use beat::{Age, AgeStep, Beat, RecordId};
pub use engine::{Engine, PreloadedEntries};
pub use entries::EntriesView;
pub use entry::{
    Content, Dot, Entry, EntryKey, EntryKeyError, EntryKind, Fingerprint, Incarnation, KEY_LEN_MAX,
    PutError, Stamp, Terms,
};
pub use footprint::Footprint;
pub use io::{
    Answer, Carrier, Class, Command, Event, Input, NotConfirmed, Outbox, Output, Trouble,
};
pub use keeping::{HeldMark, KeptChanges, KeptState, Moment, MomentMark};
pub use members::{PreloadedMembers, SharedRecords};
pub(crate) use metadata::digest;
pub use metadata::{Metadata, PublishError, Value, Version};
pub use packet::{Cause, Packet, PacketKind};
pub use protocol::{
    CarriedNews, Channel, CommandKind, Identity, Inspect, LivenessCheck, Load, NewsAbout, Protocol,
    Traced,
};
pub use record::{Digest, MemberState, Record};
pub use settings::{Difference, EntryRoom, Settings};
pub use stats::Stats;
