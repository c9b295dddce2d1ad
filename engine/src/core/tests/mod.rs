//! The protocol, sentence by sentence, on a small cluster in virtual time.

mod auto;
mod clocks;
pub(super) mod cluster;
mod damping;
mod delegates;
mod dial;
mod discord;
mod doubt;
mod hostile;
mod identity;
mod leaving;
mod liveness;
mod membership;
mod metadata;
mod names;
mod orders;
mod paths;
mod probes;
mod retelling;
mod routes;
mod scale_down;
mod streams;
mod suspicions;
mod swap;
mod telling;
mod unreached;
mod views;
