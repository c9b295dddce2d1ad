//! The world that a run takes place in: engines, a virtual clock and a network in memory.
//!
//! [`run`] takes a plan to its end and hands back what the observers saw. Nothing in here reads a
//! clock or draws entropy: a run depends on the plan alone.

mod acts;
mod alarm;
mod codec;
mod lookahead;
mod measure;
mod packets;
mod parcels;
mod pause;
mod queue;
mod start;
#[cfg(test)]
pub(crate) mod testkit;
#[cfg(test)]
mod tests;
pub(crate) mod trace;
#[expect(clippy::module_inception, reason = "the world proper; the rest of the folder serves it")]
mod world;

use rumormill::time::Instant;

pub(crate) use self::queue::Queue;

use crate::observe::trace::Recorder;
pub use crate::observe::trace::Tape;
pub use crate::observe::trace::line::Filter;
use crate::results::summary::RunResult;
use crate::scenario::plan::Plan;

/// How a plan is run, apart from what it says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether packets pass through bytes.
    pub codec: Codec,
    /// How many engines work at a time.
    pub engines: Engines,
}

/// How many engines work at a time; the results are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engines {
    /// One.
    #[default]
    OneByOne,
    /// As many as the thread pool that the run is in has threads.
    SideBySide,
}

/// Whether packets pass through bytes on their way; the results are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    /// They are handed over as values.
    #[default]
    Skip,
    /// Each is encoded and decoded.
    RoundTrip,
}

/// As [`run`], and has all that happens written to a tape.
pub fn run_traced(
    plan: &Plan,
    options: &Options,
    tape: &mut Tape,
    progress: &mut dyn FnMut(Instant),
) -> RunResult {
    let recorder = Recorder::new(tape, plan);
    world::World::new(plan, options).recorded_by(recorder).run(progress)
}

/// Runs a plan to its end. `progress` is told the virtual time at every sample.
pub fn run(plan: &Plan, options: &Options, progress: &mut dyn FnMut(Instant)) -> RunResult {
    world::World::new(plan, options).run(progress)
}
