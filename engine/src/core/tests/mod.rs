//! The protocol, sentence by sentence, on a small cluster in virtual time.

mod cluster;
mod hostile;
mod identity;
mod liveness;
mod membership;
mod metadata;
mod names;
mod probes;
mod routes;
mod streams;
mod swap;
mod telling;
