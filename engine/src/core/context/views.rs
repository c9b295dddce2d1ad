//! Views: the changes of a list together, for those who act on what the list has become.
//!
//! Each change is told by an event of its own. Where ten members crash at once whoever moves work
//! about would do so ten times; so after them the list is told as a view, at most once a
//! `relay_delay`, the first time at once.

use super::{Context, Life};
use crate::config::WireVersion;
use crate::core::io::{Event, Output};
use crate::core::timers::Timer;
use crate::time::Instant;

/// What was told of the list as a whole, and what has changed since.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Views {
    /// How many were told.
    number: u64,
    told_at: Option<Instant>,
    joined: usize,
    updated: usize,
    left: usize,
}

impl Views {
    fn note(&mut self, event: &Event) {
        match event {
            Event::Joined(_) => self.joined += 1,
            Event::Updated { .. } => self.updated += 1,
            Event::Removed { .. } | Event::Replaced { .. } => self.left += 1,
            _ => {}
        }
    }

    fn is_same(&self) -> bool {
        self.joined + self.updated + self.left == 0
    }
}

impl Context<'_> {
    /// Tells of the list, if the input at hand or one before it has changed it and it is time.
    pub(crate) fn tell_view(&mut self) {
        for output in self.out.of_this_input() {
            if let Output::Event(event) = output {
                self.views.note(event);
            }
        }
        if self.views.is_same() || *self.life == Life::Left {
            return;
        }
        let due = self.views.told_at.map(|at| at + self.config.relay_delay());
        match due.filter(|&due| due > self.now.mono) {
            Some(due) => self.timers.set(Timer::View, due),
            None => {
                let Views { number, joined, updated, left, .. } = *self.views;
                let number = number + 1;
                *self.views = Views { number, told_at: Some(self.now.mono), ..Views::default() };
                let members = self.members.len();
                let digest = self.members.digest(WireVersion::One).0.to_be_bytes();
                self.out.event(Event::View { number, members, joined, updated, left, digest });
            }
        }
    }
}
