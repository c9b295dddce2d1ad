//! Runs a node on real sockets and real clocks: one task for each, whatever its protocol.
//!
//! Nothing here decides anything about the protocol. The driver tells the engine what arrived and
//! what time it is, and does what the engine wants done. Sockets, clocks, entropy and tokio are
//! named in this module and in the handle above it, and nowhere else in the crate.
//!
//! A service meets what is told here of sockets ([`NetStats`], [`SeedStatus`], [`Ended`]), and in
//! its tests the network without any, [`MemoryNetwork`].

mod address;
mod admission;
mod clock;
mod complaints;
mod console;
mod contacts;
mod dialect;
mod driver;
mod inbound_slots;
mod intake;
mod intercept;
mod listing;
mod lookup;
mod memory;
mod one_shot_tcp;
mod open_files;
mod outgoing;
mod presence;
mod queued;
mod request;
mod seeds;
mod stats;
mod stream;
pub(crate) mod stream_frame;
mod stream_in;
mod tcp;
mod transport;
mod udp;
mod view;

pub(crate) use address::{AddressWatch, Origin};
pub(crate) use console::Console;
pub(crate) use contacts::Contacts;
pub use contacts::{SeedState, SeedStatus};
pub(crate) use dialect::Dialect;
pub(crate) use driver::{Driver, Keeping};
pub use intercept::{Departure, Interceptor};
pub(crate) use lookup::system as system_resolver;
pub use memory::{MemoryNetwork, MemoryStats};
pub(crate) use open_files::fix as open_files_fix;
pub use open_files::open_files_max;
pub use presence::Ended;
pub(crate) use presence::Presence;
pub(crate) use queued::{Numbered, Queued, QueuedNotice};
pub(crate) use request::{Left, Pulse, Request, RequestLine, Requests, Unmet, Wish};
pub(crate) use seeds::{Seed, SeedPlace, Seeds};
pub use stats::{NetStats, Rejected, StreamStats};
pub(crate) use stream::Streams;
pub(crate) use tcp::Ports;
pub(crate) use transport::Environment;
pub use view::Notice;
pub(crate) use view::{Listed, Local, Shared};
