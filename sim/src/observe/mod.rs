//! What a run shows: observers that the world tells everything and that change nothing.

pub(crate) mod bits;
pub(crate) mod cast;
pub(crate) mod episodes;
pub(crate) mod members;
pub(crate) mod metadata;
pub(crate) mod removals;
pub(crate) mod truth;

use rumormill::Instant;

/// Milliseconds of virtual time.
fn ms(at: Instant) -> f64 {
    at.as_nanos() as f64 / 1e6
}
