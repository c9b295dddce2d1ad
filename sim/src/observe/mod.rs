//! What a run shows: observers that the world tells everything and that change nothing.

mod bystanders;
mod calm;
pub(crate) mod cast;
pub(crate) mod clocks;
pub(crate) mod crossing;
pub(crate) mod entries;
pub(crate) mod episodes;
pub(crate) mod invariants;
pub(crate) mod islands;
pub(crate) mod keeping;
pub(crate) mod lists;
pub(crate) mod meant;
pub(crate) mod members;
pub(crate) mod metadata;
pub(crate) mod observer;
pub(crate) mod once;
pub(crate) mod removals;
pub(crate) mod rumors;
pub(crate) mod says;
mod settling;
pub(crate) mod stage;
pub(crate) mod staleness;
pub(crate) mod tally;
mod told_views;
mod touched;
pub(crate) mod trace;
pub(crate) mod traffic;
pub(crate) mod truth;
pub(crate) mod weather;
pub(crate) mod work;

use rumormill::time::Instant;

/// Milliseconds of virtual time.
fn ms(at: Instant) -> f64 {
    at.as_nanos() as f64 / 1e6
}

/// The place, in ascending order of `n` values, of the one that has `percent` of them at or below
/// it: the `ceil(q * n)`-th.
fn rank(percent: usize, n: usize) -> Option<usize> {
    (percent * n).div_ceil(100).max(1).checked_sub(1).filter(|&rank| rank < n)
}
