//! The protocol as a state machine that names no bytes, sockets, clocks or entropy.

mod agreement;
mod arcs;
mod audience;
mod beat;
mod buckets;
mod claims;
mod dial;
mod engine;
mod fetch;
mod identity;
mod ids;
mod io;
mod liveness;
mod marks;
mod members;
mod metadata;
mod names;
mod newcomers;
mod packet;
mod probes;
mod record;
mod relay;
mod ring;
mod roster;
mod round;
mod routes;
mod row;
mod rtt;
mod rumors;
mod seen;
mod settings;
mod sift;
mod skew;
mod suspects;
mod swap;
mod table;
mod telling;
mod timers;
mod told;
mod tombstones;
mod trees;

#[cfg(test)]
mod tests;

pub use agreement::Agreement;
pub use beat::{Age, AgeStep, Beat, RecordId};
pub use engine::{Engine, Stats};
pub use io::{Carrier, Class, Command, Event, Input, Outbox, Output};
pub(crate) use metadata::digest;
pub use metadata::{Metadata, PublishError, Value, Version};
pub use packet::*;
pub use record::{Digest, Record, Sighting};
pub use roster::Roster;
pub use settings::{Difference, Settings};
pub use table::FullList;
