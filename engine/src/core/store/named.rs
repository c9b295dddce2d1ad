//! Named entries: how they are written here, told, taken and forgotten.
//!
//! What is written goes along arcs of the ring at once, and what follows within a few milliseconds
//! goes with the next that goes; who writes all the time has them travel together for longer.
//! Nodes that speak version 1 of the wire alone are not told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Store;
use crate::core::context::Context;
use crate::core::dissemination::Dissemination;
use crate::core::entries::{Entries, Merged, Turned};
use crate::core::entry::{Entry, EntryKey, Incarnation, PutError, Terms};
use crate::core::io::{Answer, Event, Output};
use crate::core::packer::Packer;
use crate::core::packet::{AgedEntry, Bounded, Cause, Rumor, Subject};
use crate::core::timers::Timer;
use crate::node::NodeId;
use crate::time::{Instant, Now};

/// What was written here and waits to be told together.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    entries: Vec<Entry>,
    pace: TellingPace,
}

/// What became of entries that a rumor brought; the others are older than what is held.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EntriesTaken {
    /// They are held now, whoever brought them first.
    pub held: usize,
    /// There is no room for them, or they are from the future.
    pub refused: usize,
}

/// When the next telling may be: a burst goes at once, and where many write all the time each
/// shares a rumor among what it writes meanwhile. A bucket of [`TellingPace::BURST`] tokens, of
/// which each telling takes one, and into which one falls for each time that all writers have had a
/// turn.
#[derive(Clone, Debug, Default)]
struct TellingPace {
    told_at: Option<Instant>,
    /// When the bucket is full again.
    full_at: Instant,
    /// Whose writes were told lately, and when last; at most [`TellingPace::WRITERS_MAX`].
    writers: Vec<(NodeId, Instant)>,
}

impl TellingPace {
    /// So long writes wait for others at least, if one has just been told.
    const GATHER: Duration = Duration::from_millis(2);
    /// Between the tellings of all writers. A rumor costs each node two packets, whatever it
    /// carries: all of them together cost a node no more than 700 a second.
    const TURN: Duration = Duration::from_millis(3);
    /// Tellings of a burst.
    const BURST: u32 = 8;
    /// So long one who wrote is taken for one who writes all the time.
    const LATELY: Duration = Duration::from_secs(1);
    /// Nobody's writes wait for more than a tenth of a second.
    const WRITERS_MAX: usize = 33;

    /// When the next may be.
    fn next(&self, now: Instant) -> Instant {
        let gathered = self.told_at.map_or(Instant::ZERO, |told_at| told_at + Self::GATHER);
        gathered.max(self.full_at.saturating_sub(self.round(now) * (Self::BURST - 1)))
    }

    /// So long it takes until all who write have had a turn.
    fn round(&self, now: Instant) -> Duration {
        let writing = self.writers.iter().filter(|(_, told_at)| now - *told_at < Self::LATELY);
        Self::TURN * writing.count().max(1) as u32
    }

    fn told(&mut self, me: NodeId, now: Instant) {
        self.note(me, now);
        self.told_at = Some(now);
        self.full_at = self.full_at.max(now) + self.round(now);
    }

    /// Somebody's writes were told.
    fn note(&mut self, writer: NodeId, now: Instant) {
        if let Some((_, told_at)) = self.writers.iter_mut().find(|(known, _)| *known == writer) {
            *told_at = now;
            return;
        }
        self.writers.retain(|(_, told_at)| now - *told_at < Self::LATELY);
        if self.writers.len() < Self::WRITERS_MAX {
            self.writers.push((writer, now));
        }
    }
}

impl Store {
    /// Puts a value, and answers once more when so many others hold it, if any are to.
    pub(crate) fn on_put(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        key: EntryKey,
        (data, terms, holders): (Arc<[u8]>, Terms, usize),
    ) {
        let now = Now { wall: cx.publish_time(), ..cx.now };
        let written = named(key).and_then(|key| cx.entries_mut().put(key, data, terms, now));
        if let Ok(entry) = &written
            && holders > 0
        {
            spread.expect_entry(cx, entry, holders);
        }
        self.on_written(cx, spread, written.map(Some));
        spread.on_confirm(cx);
    }

    pub(crate) fn on_delete(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        key: EntryKey,
    ) {
        let now = Now { wall: cx.publish_time(), ..cx.now };
        let written = named(key).and_then(|key| cx.entries_mut().delete(key, now));
        self.on_written(cx, spread, written);
    }

    fn on_written(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        written: Result<Option<Entry>, PutError>,
    ) {
        let version = |entry: &Entry| entry.stamp().version;
        cx.out.answer(Answer::Written(written.clone().map(|entry| entry.as_ref().map(version))));
        let Ok(Some(entry)) = written else { return };
        cx.out.event(Event::Entry(entry.clone()));
        Self::watch_ages(cx);
        self.gathered.entries.retain(|waiting| waiting.key() != entry.key());
        self.gathered.entries.push(entry);
        let next = self.gathered.pace.next(cx.now.mono);
        match next <= cx.now.mono {
            true => self.tell_gathered(cx, spread),
            false => cx.timers.set_earlier(Timer::Gather, next),
        }
    }

    /// Tells what was written here and has waited long enough.
    pub(crate) fn tell_gathered(&mut self, cx: &mut Context<'_>, spread: &mut Dissemination) {
        if self.gathered.entries.is_empty() {
            return;
        }
        self.gathered.pace.told(cx.me.place(), cx.now.mono);
        // Half a room each: what is small goes together, what is long by itself.
        let mut packer = Packer::new(Told::default(), cx.config.path_len_max());
        let mut entries = std::mem::take(&mut self.gathered.entries);
        // What is long keeps nothing short waiting.
        entries.sort_by_key(|entry| entry.data().map_or(0, |data| data.len()));
        for entry in entries {
            let aged = cx.aged_entry(&entry);
            packer.page(aged.len_max()).0.push(aged);
        }
        for Told(entries) in packer.into_pages() {
            spread.broadcast(cx, &Subject::Entries(entries));
        }
    }

    /// Takes entries that a rumor brings.
    pub(crate) fn on_entries(
        &mut self,
        cx: &mut Context<'_>,
        from: SocketAddr,
        entries: &[AgedEntry],
    ) -> EntriesTaken {
        let mut taken = EntriesTaken::default();
        if let Some(first) = entries.first() {
            self.gathered.pace.note(first.entry.stamp().version.writer, cx.now.mono);
        }
        for AgedEntry { entry, age } in entries {
            cx.stats.updates += 1;
            if cx.refuses(entry.stamp().version, from) {
                taken.refused += 1;
                continue;
            }
            let now = cx.now.mono;
            let merged = cx.entries_mut().merge(entry, *age, now);
            match merged {
                Merged::Newer { .. } | Merged::Same => taken.held += 1,
                Merged::Refused(_) => taken.refused += 1,
                Merged::Older | Merged::Dead => {}
            }
            Self::note_merged(cx, entry, &merged);
        }
        Self::watch_ages(cx);
        taken
    }

    /// Tells the service what an entry that came has changed.
    pub(super) fn note_merged(cx: &mut Context<'_>, entry: &Entry, merged: &Merged) {
        match merged {
            Merged::Newer { evicted, .. } => {
                for gone in evicted {
                    cx.stats.entries_over_limit += 1;
                    cx.out.event(Event::Entry(gone.expired()));
                }
                Self::tell_taken(cx, entry);
            }
            Merged::Refused(_) => cx.stats.entries_over_limit += 1,
            Merged::Dead => cx.stats.entries_dead += 1,
            Merged::Same | Merged::Older => {}
        }
    }

    /// Tells the service of an entry that was taken. What is bound to one that is not listed is
    /// hidden, and what was bound to a former incarnation is over: it may have been on its way when
    /// the new one was heard of.
    fn tell_taken(cx: &mut Context<'_>, entry: &Entry) {
        let writer = entry.stamp().writer();
        let listed = entry.terms().bound.then(|| cx.members.listed_at(writer.place));
        match listed {
            Some(Some(present)) if present > writer.generation => {
                let now = cx.now.mono;
                let over = cx.entries_mut().expire_bound(writer.place, writer.generation, now);
                over.into_iter().for_each(|tombstone| cx.out.event(Event::Entry(tombstone)));
            }
            Some(present) if present != Some(writer.generation) => {
                cx.out.event(Event::Entry(entry.expired()));
            }
            _ => cx.out.event(Event::Entry(entry.clone())),
        }
    }

    /// Hides, buries and forgets what has become old enough.
    pub(crate) fn on_ages(cx: &mut Context<'_>) {
        let now = cx.now.mono;
        for turned in cx.entries_mut().expire(now) {
            if let Turned::Hidden(entry) = turned {
                cx.out.event(Event::Entry(entry.expired()));
            }
        }
        Self::watch_ages(cx);
    }

    /// Shows and hides what is bound to those who came and went with this input. Who has said
    /// goodbye, or has a new incarnation, does not come back as it was: what was bound to it is
    /// over for good, and the same tombstone is made everywhere.
    pub(crate) fn follow_members(cx: &mut Context<'_>) {
        if cx.entries().is_none_or(|entries| !entries.has_bound()) {
            return;
        }
        let changes: Vec<BoundChange> =
            cx.out.of_this_input().iter().flat_map(BoundChange::of).flatten().collect();
        for change in changes {
            match change {
                BoundChange::Shown(writer) => {
                    for entry in cx.entries_mut().bound_of(writer) {
                        cx.out.event(Event::Entry(entry));
                    }
                }
                BoundChange::Hidden(writer) => {
                    for entry in cx.entries_mut().bound_of(writer) {
                        cx.out.event(Event::Entry(entry.expired()));
                    }
                }
                BoundChange::Over(Incarnation { place, generation }) => {
                    let now = cx.now.mono;
                    for tombstone in cx.entries_mut().expire_bound(place, generation, now) {
                        cx.out.event(Event::Entry(tombstone));
                    }
                    Self::watch_ages(cx);
                }
            }
        }
    }

    /// Sets the clock for what gets old next.
    pub(crate) fn watch_ages(cx: &mut Context<'_>) {
        if let Some(due) = cx.entries().and_then(Entries::next_due) {
            cx.timers.set(Timer::Ages, due);
        }
    }
}

/// The key, if it is not that of the metadata.
fn named(key: EntryKey) -> Result<EntryKey, PutError> {
    if key.as_str().is_empty() { Err(PutError::Nameless) } else { Ok(key) }
}

/// What a change of the list does to what is bound to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BoundChange {
    Shown(Incarnation),
    Hidden(Incarnation),
    Over(Incarnation),
}

impl BoundChange {
    /// What is bound to a new incarnation may have come before it was heard of.
    fn of(output: &Output) -> [Option<Self>; 2] {
        let Output::Event(event) = output else { return [None; 2] };
        match event {
            Event::Joined(record) => [Some(Self::Shown(record.incarnation())), None],
            Event::Updated { old, new } if old.generation() < new.generation() => {
                [Some(Self::Over(old.incarnation())), Some(Self::Shown(new.incarnation()))]
            }
            Event::Removed { record, cause: Cause::Left } => {
                [Some(Self::Over(record.incarnation())), None]
            }
            Event::Removed { record, .. } | Event::Replaced { old: record, .. } => {
                [Some(Self::Hidden(record.incarnation())), None]
            }
            _ => [None; 2],
        }
    }
}

/// What one rumor tells, packed as if it were a list in one.
#[derive(Clone, Debug, Default)]
struct Told(Vec<AgedEntry>);

impl Bounded for Told {
    const LEN_MIN: usize = Rumor::LEN_MIN;
    const LEN_BARE: usize = Rumor::LEN_BARE + 1 + <Vec<AgedEntry>>::LEN_BARE;
    const IS_FIXED: bool = false;

    fn len_max(&self) -> usize {
        Self::LEN_BARE + self.0.iter().map(Bounded::len_max).sum::<usize>()
    }
}
