//! The protocol as a state machine that names no bytes, sockets, clocks or entropy.

mod beat;
mod engine;
mod io;
mod metadata;
mod packet;
mod record;
mod roster;

pub use beat::{Age, AgeStep, Beat, RecordId};
pub use engine::{Engine, Stats};
pub use io::{Command, Event, Input, Outbox, Output};
pub use metadata::{Metadata, PublishError, Value, Version};
pub use packet::*;
pub use record::{Digest, Record, Sighting};
pub use roster::Roster;
