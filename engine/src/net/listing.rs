//! When the console tells the node list: on the wire of pekonode once a cycle, as a Go node does;
//! on our own wire whenever it has changed.

use std::time::Duration;

use super::console::Console;
use crate::config::{Config, Wire};
use crate::time::Instant;

/// The next time, if it is a matter of time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Listing {
    /// Nobody reads it.
    Off,
    /// With each change.
    Changes,
    /// Each cycle; silent while there is no next time.
    Cycles { cycle: Duration, next: Option<Instant> },
}

impl Listing {
    /// For a node that has just told its list.
    pub(super) fn new(console: Console, config: &Config, now: Instant) -> Self {
        match (console, config.wire()) {
            (Console::Off, _) => Self::Off,
            (Console::Stderr, Wire::Native) => Self::Changes,
            (Console::Stderr, Wire::Pekonode) => {
                let cycle = config.cycle();
                Self::Cycles { cycle, next: Some(now + cycle) }
            }
        }
    }

    /// When it is due next by the clock.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Cycles { next, .. } => *next,
            Self::Off | Self::Changes => None,
        }
    }

    /// True when a change is told at once.
    pub(super) fn tells_changes(&self) -> bool {
        matches!(self, Self::Changes)
    }

    /// True once when it is due.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        match self {
            Self::Cycles { cycle, next: Some(next) } if *next <= now => {
                // From now on, so that one who slept doesn't catch up.
                *next = now + *cycle;
                true
            }
            _ => false,
        }
    }

    /// The node beats again: its cycles begin anew, with a line.
    pub(super) fn start(&mut self, now: Instant) {
        if let Self::Cycles { next, .. } = self {
            *next = Some(now);
        }
    }

    /// The node has stopped.
    pub(super) fn stop(&mut self) {
        if let Self::Cycles { next, .. } = self {
            *next = None;
        }
    }
}
