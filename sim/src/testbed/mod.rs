//! The testbed: the same plans in real time, on real sockets, one `NodeList` for each node.
//!
//! A run has two halves. While it lasts, `play` does what the plan says when it says so, and
//! what every node takes in and sends is noted with the time of one clock (`log`). Afterwards
//! `replay` tells all of it, in the order in which it happened, to the very observers that watch
//! virtual runs. Faults come from the same link model, which stands between the nodes and their
//! sockets (`bed`); nothing of the engine is replaced.

mod bed;
mod book;
mod clock;
mod delay;
mod flights;
mod log;
mod loopback;
mod netns;
mod play;
mod replay;

use std::sync::Arc;

use rumormill::time::Instant;
use thiserror::Error;
use tokio::runtime;

pub use self::netns::run_guest;

use self::bed::Bed;
use self::clock::Clock;
use self::log::Log;
use self::loopback::Loopback;
use self::netns::Namespaces;
use self::play::Player;
use crate::observe::trace::Tape;
use crate::observe::weather::Whims;
use crate::results::summary::RunResult;
use crate::scenario::plan::{Action, Deed, Memory, Plan, WayIn};

/// The command, of no use to a person, that runs one node of `--net netns`.
pub const GUEST: &str = "node-in-namespace";

/// By what real nodes talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestbedNet {
    /// Datagrams on loopback, and streams for what exceeds one.
    Udp,
    /// Streams alone, on loopback.
    Tcp,
    /// Datagrams between network namespaces, one for each node.
    Netns,
}

impl TestbedNet {
    /// What it is called on the command line, in summaries and in the names of folders.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Netns => "netns",
        }
    }
}

/// Why a plan was not run in real time.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TestbedError {
    /// The plan asks for what can't be had in real time.
    #[error("{0}")]
    Unfit(String),
    /// The machine does not give what it takes.
    #[error("{0}")]
    Machine(String),
}

impl TestbedError {
    /// What stands against an action that real nodes can't be made to do.
    fn virtual_alone(name: &str, action: &Action) -> Self {
        Self::unfit(name, &format!("`{}` can be done in virtual time alone", action.text))
    }

    fn unfit(name: &str, why: &str) -> Self {
        Self::Unfit(format!(
            "{name}: real nodes share the machine's clock and addresses: {why}; or run it without \
             --net"
        ))
    }
}

/// Says whether a plan can be run in real time, before anything is started.
///
/// # Errors
/// When it can't, with what stands against it.
pub fn check(plan: &Plan, net: TestbedNet) -> Result<(), TestbedError> {
    if !plan.protocol.spec.is_ours() {
        let (name, net, protocol) = (&plan.name, net.name(), plan.protocol.spec.name);
        return Err(TestbedError::Unfit(format!(
            "{name}: --net {net}: `{protocol}` has no dialect for real sockets: run it without \
             --net, or `rumormill` on them"
        )));
    }
    let clock = plan.actions.iter().find(|action| matches!(action.deed, Deed::Clock { .. }));
    let why = if let Some(clock) = clock {
        &format!("`{}` needs clocks that can be set", clock.text)
    } else if let Some(action) = plan.actions.iter().find(|action| !can_be_done(action)) {
        return Err(TestbedError::virtual_alone(&plan.name, action));
    } else if plan.incarnations.iter().any(|born| born.stale_seeds.is_some()) {
        "`stale_seeds` needs a name service of its own"
    } else if plan.incarnations.iter().any(|born| born.memory == Memory::Forgets) {
        "`forgets` needs clocks that can be set"
    } else if plan.incarnations.iter().any(|born| born.memory == Memory::KeepsAll) {
        "`keep` needs nodes that give what they hold at the moment of a crash"
    } else if !plan.clocks.is_empty() {
        "a group's clock that is unlike the others can't be had"
    } else if plan.entries > 0 {
        "real nodes begin without entries: have them put at the beginning"
    } else if begins_complete_but_late(plan) {
        "with `bootstrap = \"full\"` all nodes must start at 0: leave `start` out"
    } else if net == TestbedNet::Netns
        && let Some(why) = netns::objection(plan)
    {
        return Err(TestbedError::Unfit(format!("{}: --net netns: {why}", plan.name)));
    } else {
        return Ok(());
    };
    Err(TestbedError::unfit(&plan.name, why))
}

/// Whether real nodes, and the network between them, can be made to do an action.
fn can_be_done(action: &Action) -> bool {
    !matches!(
        action.deed,
        Deed::Suspend(_)
            | Deed::Starve { .. }
            | Deed::Slow { .. }
            | Deed::Relieve { .. }
            | Deed::Update(_)
            | Deed::Drop { .. }
            | Deed::Replay { .. }
            | Deed::Inject(_)
    )
}

/// Nodes can't know records of nodes that have yet to start.
fn begins_complete_but_late(plan: &Plan) -> bool {
    let lists = |way_in: &WayIn| matches!(way_in, WayIn::Full | WayIn::Knows(_));
    plan.incarnations.iter().any(|born| lists(&born.way_in))
        && plan.incarnations[..plan.nodes as usize].iter().any(|born| born.start > Instant::ZERO)
}

/// Runs a plan in real time. `progress` is told the time at every sample.
///
/// # Errors
/// When [`check`] says no, or the machine does not give what it takes.
pub fn run(
    plan: &Plan,
    net: TestbedNet,
    tape: Option<&mut Tape>,
    progress: &mut dyn FnMut(Instant),
) -> Result<RunResult, TestbedError> {
    check(plan, net)?;
    let (log, entries) = Log::new();
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        TestbedError::Machine(format!("cannot start threads: {error}; end other programs"))
    })?;
    let whims = match net {
        TestbedNet::Udp | TestbedNet::Tcp => {
            let book = book::Book::on_loopback(plan)?;
            let bed = Arc::new(Bed::new(plan, book, log.clone(), Clock::start()));
            let hosts = Loopback::new(plan, Arc::clone(&bed));
            let player = Player::new(plan, hosts, log);
            let played = runtime.block_on(player.play(bed.clock(), progress));
            let whims = bed.close();
            played.map(|()| whims)
        }
        TestbedNet::Netns => {
            let hosts = Namespaces::new(plan, log.clone())?;
            let clock = hosts.clock();
            let player = Player::new(plan, hosts, log);
            runtime.block_on(player.play(clock, progress)).map(|()| Whims::default())
        }
    };
    runtime.shutdown_background();
    replay::replay(plan, net, log::in_order(&entries)?, whims?, tape)
}

/// Removes what runs of this process have made outside of it, for good; for whoever ends it.
///
/// The caller must end the process while it holds what is returned.
#[must_use = "namespaces may be made again once this is dropped"]
pub fn discard() -> impl Sized {
    netns::discard()
}
