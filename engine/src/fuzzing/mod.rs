//! The bodies of the fuzz targets, as ordinary functions that the tests run as well.
//!
//! Not part of the public interface: the feature `fuzzing` is for the fuzz package alone.

mod decoders;
mod lives;
mod packets;
mod pekonode;
mod samples;
mod script;
mod seal;
#[cfg(feature = "net")]
mod stream;
mod subject;
mod talk;
#[cfg(test)]
mod tests;

pub use decoders::{connection, decode, decode_pekonode};
pub use lives::{arrival, handle, probes};
pub use pekonode::pekonode;
pub use samples::samples;
pub use seal::seal;
#[cfg(feature = "net")]
pub use stream::stream;
pub use subject::{FuzzSubject, Sent};
pub use talk::talk;
