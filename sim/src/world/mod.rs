//! The world that a run takes place in: engines, a virtual clock and a network in memory.
//!
//! [`run`] takes a plan to its end and hands back what the observers saw. Nothing in here reads a
//! clock or draws entropy: a run depends on the plan alone.

mod acts;
mod alarm;
mod codec;
mod intake;
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

use std::sync::OnceLock;

use rumormill::core::Engine;
use rumormill::pekonode;
use rumormill::time::Instant;

pub(crate) use self::queue::Queue;

use self::world::World;
use crate::observe::trace::Recorder;
pub use crate::observe::trace::Tape;
pub use crate::observe::trace::line::Filter;
use crate::protocols::{self, Simulated, Spec};
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

/// Takes a plan to its end in the world of one protocol.
type Play = fn(&Plan, &Options, Option<&mut Tape>, &mut dyn FnMut(Instant)) -> RunResult;

/// A protocol, and the world of its nodes.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    spec: Spec,
    play: Play,
}

impl Offer {
    /// That of a protocol.
    pub const fn of<P: Simulated>() -> Self {
        Self { spec: Spec::of::<P>(), play: play::<P> }
    }
}

/// Those that are always there.
const OURS: [Offer; 2] = [Offer::of::<Engine>(), Offer::of::<pekonode::LegacyEngine>()];

/// Those that a program brings along.
static OTHERS: OnceLock<Vec<Offer>> = OnceLock::new();

/// Makes more protocols known, once, before any scenario is read.
pub fn bring(others: &[Offer]) {
    protocols::bring(others.iter().map(|offer| offer.spec).collect());
    OTHERS.get_or_init(|| others.to_vec());
}

/// As [`run`], and has all that happens written to a tape.
pub fn run_traced(
    plan: &Plan,
    options: &Options,
    tape: &mut Tape,
    progress: &mut dyn FnMut(Instant),
) -> RunResult {
    (offer(plan).play)(plan, options, Some(tape), progress)
}

/// Runs a plan to its end. `progress` is told the virtual time at every sample.
pub fn run(plan: &Plan, options: &Options, progress: &mut dyn FnMut(Instant)) -> RunResult {
    (offer(plan).play)(plan, options, None, progress)
}

/// The world of the plan's protocol.
fn offer(plan: &Plan) -> &'static Offer {
    let mut all = OURS.iter().chain(OTHERS.get().into_iter().flatten());
    let offer = all.find(|offer| offer.spec.name == plan.protocol.spec.name);
    offer.expect("a scenario names a protocol that is known")
}

fn play<P: Simulated>(
    plan: &Plan,
    options: &Options,
    tape: Option<&mut Tape>,
    progress: &mut dyn FnMut(Instant),
) -> RunResult {
    let world = World::<P>::new(plan, options);
    match tape {
        Some(tape) => world.recorded_by(Recorder::new(tape, plan)).run(progress),
        None => world.run(progress),
    }
}
