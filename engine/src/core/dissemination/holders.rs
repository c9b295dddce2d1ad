//! Holders: which others are known to hold what was published or put here.
//!
//! Only answers to what we sent count, for they come from where it was sent to: the
//! acknowledgement of a rumor that carried the value, the end of a transfer, the answer to a swap.
//! Who holds a newer version counts as well: it has what ours was replaced by.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use super::Dissemination;
use super::payload::payload;
use crate::core::context::Context;
use crate::core::entry::{Entry, EntryKey};
use crate::core::io::{Answer, NotConfirmed};
use crate::core::members::NodeIx;
use crate::core::metadata::{Metadata, Version};
use crate::core::packet::{AgedEntry, Subject};
use crate::core::timers::Timer;
use crate::time::Instant;

/// What is known of others that hold our values.
#[derive(Clone, Debug, Default)]
pub(super) struct Holders {
    /// The last version published here.
    last: Option<Last>,
    /// What the publisher of the next version waits for.
    expected: Option<Expected>,
    /// Publishers that wait, the oldest first; at most [`Holders::WAITS_MAX`].
    waits: VecDeque<Wait>,
}

/// So many others are to hold a version by then.
#[derive(Clone, Copy, Debug)]
struct Expected {
    wanted: usize,
    until: Instant,
}

impl Expected {
    fn of(cx: &mut Context<'_>, wanted: usize) -> Self {
        // Whom the rumor has not reached by then is asked.
        cx.swap_again_in(cx.config.cycle());
        Self { wanted, until: cx.now.mono + cx.config.timeout() }
    }
}

/// The version that was published last, and who answers for it if we go.
#[derive(Clone, Debug)]
struct Last {
    version: Version,
    /// The first that were known to hold it; at most [`Holders::KEEPERS_MAX`].
    keepers: Vec<SocketAddr>,
}

/// A publisher that waits.
#[derive(Clone, Debug)]
pub(crate) struct Wait {
    awaited: Awaited,
    expected: Expected,
    held_by: BTreeSet<SocketAddr>,
}

/// What others are to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Awaited {
    Value(Version),
    Entry(EntryKey, Version),
}

impl Awaited {
    fn version(&self) -> Version {
        let (Self::Value(version) | Self::Entry(_, version)) = self;
        *version
    }

    fn answer(self, confirmed: Result<Version, NotConfirmed>) -> Answer {
        match self {
            Self::Value(_) => Answer::Published(confirmed),
            Self::Entry(key, _) => Answer::Kept(key, confirmed),
        }
    }

    /// Whether who holds this value holds what is awaited, or what replaced it.
    fn is_held_with(&self, held: Version) -> bool {
        matches!(self, Self::Value(version) if *version <= held)
    }

    /// The same of an entry.
    fn is_held_with_entry(&self, held: &Entry) -> bool {
        match self {
            Self::Entry(key, version) => key == held.key() && *version <= held.stamp().version,
            Self::Value(_) => false,
        }
    }

    fn is_among(&self, held: &[AgedEntry]) -> bool {
        held.iter().any(|aged| self.is_held_with_entry(&aged.entry))
    }
}

impl Holders {
    /// Beyond them the oldest gets its answer before its time.
    const WAITS_MAX: usize = 64;
    /// More need not be remembered: one that stays is enough, and who has none left tells others.
    const KEEPERS_MAX: usize = 32;
    /// Those that are swapped with first.
    const STRAGGLERS_MAX: usize = 8;

    /// Notes that a version was published here.
    pub(crate) fn published(&mut self, version: Version) {
        self.last = Some(Last { version, keepers: Vec::new() });
        if let Some(expected) = self.expected.take() {
            self.wait(Awaited::Value(version), expected);
        }
    }

    fn wait(&mut self, awaited: Awaited, expected: Expected) {
        self.waits.push_back(Wait { awaited, expected, held_by: BTreeSet::new() });
    }

    pub(crate) fn waiting_len(&self) -> usize {
        self.waits.len()
    }

    /// Notes that none was: nobody waits for it.
    pub(crate) fn refused(&mut self) {
        self.expected = None;
    }

    /// How many others are to hold what a rumor brings: none unless somebody waits for them.
    fn wanted(&self, topic: &Subject) -> usize {
        let version = payload(topic).version();
        let brings = |awaited: &Awaited| match (awaited, topic) {
            (Awaited::Value(awaited), _) => version == Some(*awaited),
            (_, Subject::Entries(entries)) => awaited.is_among(entries),
            _ => false,
        };
        let waits = self.waits.iter().filter(|wait| brings(&wait.awaited));
        waits.map(|wait| wait.expected.wanted).max().unwrap_or(0)
    }

    /// Whether somebody waits for others to hold an entry.
    pub(super) fn awaits_entries(&self) -> bool {
        self.waits.iter().any(|wait| matches!(wait.awaited, Awaited::Entry(..)))
    }

    /// Notes that a node holds a version.
    fn note(&mut self, holder: SocketAddr, held: Version) {
        let holds = |last: &Last| planted!(OlderConfirmed, last.version <= held, true);
        if let Some(last) = self.last.as_mut().filter(|last| holds(last))
            && last.keepers.len() < Self::KEEPERS_MAX
            && !last.keepers.contains(&holder)
        {
            last.keepers.push(holder);
        }
        self.note_for(holder, |awaited| awaited.is_held_with(held));
    }

    /// Notes that a node holds these entries.
    pub(super) fn note_entries(&mut self, holder: SocketAddr, held: &[AgedEntry]) {
        self.note_for(holder, |awaited| awaited.is_among(held));
    }

    /// Notes that a node holds all that is awaited of this kind.
    fn note_for(&mut self, holder: SocketAddr, holds: impl Fn(&Awaited) -> bool) {
        for wait in self.waits.iter_mut().filter(|wait| holds(&wait.awaited)) {
            wait.held_by.insert(holder);
        }
    }

    /// Takes out an answer that can be given: enough hold it, its time is over, or too many wait.
    fn take_answer(&mut self, now: Instant) -> Option<Answer> {
        let enough = |wait: &Wait| wait.held_by.len() >= wait.expected.wanted;
        let is_over = |wait: &Wait| enough(wait) || wait.expected.until <= now;
        let at = match self.waits.iter().position(is_over) {
            None if self.waits.len() > Self::WAITS_MAX => 0,
            over => over?,
        };
        let wait = self.waits.remove(at).expect("it was just found");
        let (version, held_by) = (wait.awaited.version(), wait.held_by.len());
        let unconfirmed = NotConfirmed { version, held_by };
        let confirmed = if enough(&wait) { Ok(version) } else { Err(unconfirmed) };
        Some(wait.awaited.answer(confirmed))
    }
}

impl Dissemination {
    /// One of the last members that have not said that they hold what a publisher waits for. It may
    /// have it from another, whom it told; we learn of that by a swap.
    pub(crate) fn straggler(&mut self, cx: &mut Context<'_>) -> Option<NodeIx> {
        if self.holders.waits.is_empty() {
            return None;
        }
        let mut rest = cx.others();
        let held_by = &self.holders.waits.front()?.held_by;
        rest.retain(|&node| !held_by.contains(&cx.members.addr(node)));
        // While they are many the rumor is still at work.
        let few = (1..=Holders::STRAGGLERS_MAX).contains(&rest.len());
        few.then(|| rest[cx.rng.below(rest.len())])
    }

    /// The next version that is published is to be held by so many others.
    pub(crate) fn expect(&mut self, cx: &mut Context<'_>, wanted: usize) {
        self.holders.expected = Some(Expected::of(cx, wanted));
    }

    /// What was put here is to be held by so many others.
    pub(crate) fn expect_entry(&mut self, cx: &mut Context<'_>, entry: &Entry, wanted: usize) {
        let awaited = Awaited::Entry(entry.key().clone(), entry.stamp().version);
        self.holders.wait(awaited, Expected::of(cx, wanted));
    }

    /// A version was published here.
    pub(crate) fn note_published(&mut self, version: Version) {
        self.holders.published(version);
    }

    /// What was to be published here was not: nobody waits for it.
    pub(crate) fn note_refused(&mut self) {
        self.holders.refused();
    }

    /// Into how many parts a rumor is shared out: more than usual if as many are to answer to us.
    pub(super) fn parts_of(&self, cx: &Context<'_>, topic: &Subject) -> usize {
        let wanted = self.holders.wanted(topic);
        cx.config.fan_out().max(wanted.min(cx.members.len()))
    }

    /// Tells one that stays, itself, of the value that goes with us: those to whom its part of
    /// the ring was given may have left with it.
    pub(crate) fn tell_who_stays(&mut self, cx: &mut Context<'_>) {
        let others = cx.others();
        let Some(metadata) = cx.metadata.as_ref().filter(|_| !others.is_empty()) else { return };
        let topic = cx.topic_of(metadata);
        let one = others[cx.rng.below(others.len())];
        self.tell_this_one(cx, &topic, one);
    }

    /// The version that is lost if we go: none of those that are known to hold it stays. When
    /// nobody stays at all, one that leaves after us is as good a keeper as any.
    pub(crate) fn held_by_us_alone(&self, cx: &Context<'_>) -> Option<Version> {
        let held = cx.metadata.as_ref().map(Metadata::version)?;
        let last = self.holders.last.as_ref().filter(|last| last.version == held)?;
        let nobody_stays = cx.members.len() == 1;
        let stays = |keeper: SocketAddr| planted!(KeeperGone, cx.lists(keeper), true);
        let is_kept = last.keepers.iter().any(|&keeper| nobody_stays || stays(keeper));
        (!is_kept).then_some(held)
    }

    /// A node has said that it holds a version.
    pub(crate) fn note_holder(
        &mut self,
        cx: &mut Context<'_>,
        holder: SocketAddr,
        version: Version,
    ) {
        self.holders.note(holder, version);
        self.on_confirm(cx);
    }

    /// A node has said that it holds the same entries as we do.
    pub(crate) fn note_same_entries(&mut self, cx: &mut Context<'_>, holder: SocketAddr) {
        if !self.holders.awaits_entries() {
            return;
        }
        let entries = cx.entries();
        let holds = |awaited: &Awaited| match awaited {
            Awaited::Entry(key, _) => entries
                .and_then(|entries| entries.held(key))
                .is_some_and(|held| awaited.is_held_with_entry(held)),
            Awaited::Value(_) => false,
        };
        self.holders.note_for(holder, holds);
        self.on_confirm(cx);
    }

    /// Answers the publishers that need not wait any longer.
    pub(crate) fn on_confirm(&mut self, cx: &mut Context<'_>) {
        while let Some(answer) = self.holders.take_answer(cx.now.mono) {
            cx.out.answer(answer);
        }
        match self.holders.waits.iter().map(|wait| wait.expected.until).min() {
            Some(next) => cx.timers.set(Timer::Confirm, next),
            None => cx.timers.clear(Timer::Confirm),
        }
    }
}
