//! Sweeps: one scenario under every combination of settings, the same seeds for each of them.
//!
//! A [`Grid`] is what was asked for, laid out; a [`SweepPlan`] is what can be written down of it;
//! a [`Cell`] is what one combination showed. Because all cells have the same seeds, and chance is
//! drawn from streams that no setting moves, two cells differ by their settings and not by luck.
//! Running them is the business of the commands.

mod axis;
mod cell;
mod grid;
mod plan;
mod witness;

pub use self::axis::{Axis, distinct, split};
pub use self::cell::{Cell, Store, Trial};
pub use self::grid::{Choice, Grid, GridCell, GridError};
#[cfg(test)]
pub(crate) use self::plan::example;
pub use self::plan::{SeedRange, Shard, SweepPlan};
