//! Seeds and addresses: what the tasks beside a node bring, and what its service is told of that.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::super::contacts::{SeedNews, SeedState, SeedStatus, SideReport, Touch};
use super::super::dialect::Dialect;
use super::super::seeds::SeedPlace;
use super::super::view::Notice;
use super::{Driver, Running};
use crate::core::{Command, Event, Input};
use crate::time::Now;
use crate::wire::Reject;

/// A join is at least as long, and what answers it is far shorter, so that no two nodes of
/// different clusters ever answer each other's answers.
const FIRST_CONTACT_LEN_MIN: usize = 256;

/// Answers in each second, whoever asks: to say it once is enough.
const REFUSALS_MAX: usize = 16;

impl<D: Dialect> Driver<D> {
    /// The seeds before anybody is asked, and what is told when the node has joined: whoever is
    /// the first of its cluster knows that by then.
    pub(super) fn first_look(&mut self, joined: Notice) -> (Arc<[SeedStatus]>, Vec<Notice>) {
        let now = self.clock.now().mono;
        let places = self.places.borrow().clone();
        self.contacts.take(now, places);
        let SeedNews { seeds, changed, alone, .. } =
            self.contacts.look(now, false, |_| Touch::Nothing);
        let changed = changed.into_iter().inspect(log).map(Notice::Seed);
        let notices = [joined].into_iter().chain(changed).chain(alone.map(Notice::Alone));
        (seeds.unwrap_or_default(), notices.collect())
    }
}

impl<D: Dialect> Running<D> {
    pub(super) fn on_places(&mut self, places: Vec<SeedPlace>) {
        let now = self.driver.clock.now().mono;
        let asked = self.driver.contacts.take(now, places);
        self.handle(Input::Command(Command::Seeds(asked)));
    }

    pub(super) fn on_report(&mut self, report: SideReport) {
        match report {
            SideReport::Trial(seed, trial) => {
                let now = self.driver.clock.now().mono;
                self.driver.contacts.tried(now, seed, trial);
            }
            SideReport::Address(found) => {
                let advertised = self.driver.engine.inspect().me.node().addr();
                tracing::warn!(%advertised, ?found, "the address of this node has changed");
                self.heard.push(Notice::AddressChanged { advertised, found });
            }
        }
    }

    /// The seeds, if anything about them has changed; what is to be told is kept for that.
    pub(super) fn look_at_seeds(
        &mut self,
        now: Now,
        events: &[Event],
    ) -> Option<Arc<[SeedStatus]>> {
        let Driver { engine, contacts, .. } = &mut self.driver;
        for event in events {
            if let Event::Joined(record) = event
                && contacts.is_new_stranger(record.node().addr())
            {
                let member = record.node().addr();
                tracing::warn!(%member, "a member of an address family that is not listened on");
                self.heard.push(Notice::OtherFamily(member));
            }
        }
        let SeedNews { seeds, changed, alone, to_try } =
            contacts.look(now.mono, engine.inspect().members_len > 1, |seed| engine.touch(seed));
        for seed in changed {
            log(&seed);
            self.heard.push(Notice::Seed(seed));
        }
        self.heard.extend(alone.map(Notice::Alone));
        for seed in to_try {
            self.try_out(seed);
        }
        seeds
    }

    /// Calls a seed beside all else, and has it reported.
    fn try_out(&mut self, seed: SocketAddr) {
        let Some(streams) = &self.driver.streams else { return };
        let (call, reporter) = (streams.try_out(seed), self.driver.reporter.clone());
        self.driver.tasks.spawn(async move {
            // Who listens no more has ended.
            let _ = reporter.send(SideReport::Trial(seed, call.await)).await;
        });
        self.bell.ring();
    }

    /// A packet was refused: what that says of a seed, and what its sender is told. A node without
    /// a secret answers a first contact of another cluster with a packet of its own, from which
    /// the sender sees why it hears nothing else. One with a secret says nothing to anybody who
    /// does not hold it.
    pub(super) fn note_refusal(&mut self, from: SocketAddr, len: usize, reason: Reject) {
        let now = self.driver.clock.now().mono;
        self.driver.contacts.refused(now, from, reason);
        let is_told = matches!(reason, Reject::WrongCluster | Reject::Sealed);
        if is_told
            && let Some(refusal) = D::refusal()
            && len >= FIRST_CONTACT_LEN_MIN
            && self.refusals_sent.take(now, Duration::from_secs(1), REFUSALS_MAX)
        {
            self.outgoing.push(from, refusal.into());
        }
    }
}

/// Once for each change: a seed that stays dead is no news.
fn log(seed: &SeedStatus) {
    let SeedStatus { seed, addrs, state } = seed;
    match state {
        SeedState::Contacted | SeedState::Myself | SeedState::Seeking => {
            tracing::info!(seed, ?addrs, %state, "a seed");
        }
        _ => tracing::warn!(seed, ?addrs, %state, "a seed is not reached"),
    }
}
