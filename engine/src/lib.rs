//! A gossip cluster engine: every node comes to hold the full node list and the same metadata.

mod config;
pub mod core;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod latency;
mod link;
#[cfg(feature = "net")]
mod net;
mod node;
#[cfg(feature = "net")]
mod node_list;
mod rng;
mod time;
pub mod units;
pub mod wire;

pub use config::{Config, ConfigBuilder, ConfigError, Liveness, Setting, Swap};
pub use core::{
    Command, Engine, Event, Input, Metadata, Outbox, Output, PublishError, Roster, Value, Version,
};
pub use link::{ChangeId, Fate, Latency, Link, LinkChange, LinkModel, NetworkChange, Ways};
#[cfg(feature = "net")]
pub use net::{MemoryNetwork, MemoryStats, NetStats, Rejected};
pub use node::{
    Generation, NAME_LEN_MAX, Node, NodeBuilder, NodeError, NodeId, PRIVATE_DATA_LEN_MAX,
};
#[cfg(feature = "net")]
pub use node_list::{Events, NodeList, NodeListError, Notice};
pub use rng::{Probability, Rng};
pub use time::{Instant, Now, UnixNanos, nanos};
