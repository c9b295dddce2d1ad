//! Coverage: which writes of whom a node holds, or what replaced them, or did once.
//!
//! An entry that comes in although it is covered and not held was held once, or something that
//! replaced it: it is dead, however long ago its tombstone was forgotten. Writes are counted by
//! their writer, so that nearly all of one writer's are a single run; what came before others that
//! are missing is a run of its own until they come. A vector of first runs alone forgets what was
//! only ever heard of out of order: of 1,000 random schedules it let 8 bring back a deleted key.

use std::cmp::Ordering;

use super::tree::Tree;
use crate::core::entry::{Dot, Entry, Fingerprint, Incarnation, Stamp};

/// How many runs are remembered: those of a cluster of 1,000 that restarts four times. Beyond, a
/// deleted value of the oldest of them might come back.
const RUNS_MAX: usize = 4_096;

/// Writes of one incarnation, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Covered {
    /// The writer.
    pub writer: Incarnation,
    /// The number of the first write.
    pub first: u64,
    /// The number of the last write.
    pub last: u64,
    /// The time of the newest version among them: where there are too many runs, the oldest go
    /// first, on every node the same.
    pub nanos: i64,
}

impl PartialOrd for Covered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// No two begin with the same write.
impl Ord for Covered {
    fn cmp(&self, other: &Self) -> Ordering {
        self.start().cmp(&other.start())
    }
}

impl Covered {
    fn of(Dot { writer, seq }: Dot, nanos: i64) -> Self {
        Self { writer, first: seq, last: seq, nanos }
    }

    fn start(&self) -> (Incarnation, u64) {
        (self.writer, self.first)
    }

    /// What a set of runs that has it alone is known by.
    pub(crate) fn print(&self) -> Fingerprint {
        let Incarnation { place, generation } = self.writer;
        let writer = Fingerprint::of(place.0, generation.get()).fold();
        let run = Fingerprint::of(self.first, self.last).fold();
        Fingerprint::of(writer, run)
    }

    /// Whether both are one run: nothing lies between them.
    fn touches(&self, other: &Self) -> bool {
        self.writer == other.writer
            && self.first <= other.last.saturating_add(1)
            && other.first <= self.last.saturating_add(1)
    }
}

/// The coverage of a node; a clone shares it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coverage {
    runs: Tree<Covered>,
    print: Fingerprint,
}

impl Coverage {
    /// Whether a write is held, or what replaced it, or was.
    pub(crate) fn covers(&self, stamp: &Stamp) -> bool {
        self.run_of(&Covered::of(stamp.dot(), 0)).is_some()
    }

    /// What it is known by: equal ones need not be sent.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.print
    }

    /// All runs, by writer and number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Covered> {
        self.runs.iter()
    }

    /// The runs that an earlier coverage had not, or not the same, and those of it whose place is
    /// empty now.
    pub(crate) fn since(&self, earlier: &Self) -> (Vec<Covered>, Vec<Covered>) {
        let is_same = |one: &Covered, two: &Covered| (one.last, one.nanos) == (two.last, two.nanos);
        let (new, gone) = self.runs.since(&earlier.runs, is_same);
        (new.into_iter().copied().collect(), gone.into_iter().copied().collect())
    }

    /// The number of the last write of an incarnation, as far as is known.
    pub(super) fn last_of(&self, writer: Incarnation) -> u64 {
        let runs = self.runs.iter_from(|run| run.writer < writer);
        runs.take_while(|run| run.writer == writer).last().map_or(0, |run| run.last)
    }

    /// Takes note of a write that is held, or what replaced it; of a delete of what it deleted too,
    /// of which we may never have heard.
    pub(super) fn note(&mut self, entry: &Entry) {
        for dot in [entry.stamp().dot()].into_iter().chain(entry.replaced()) {
            let first = planted!(GapsCovered, dot.seq, 1);
            let write = Covered { first, ..Covered::of(dot, entry.stamp().version.nanos) };
            if self.run_of(&write).is_none() {
                self.add(write);
                self.forget_oldest();
            }
        }
    }

    /// Takes note of a write that is held no more, although nothing replaced it: or others would
    /// be told to drop theirs.
    pub(super) fn lack(&mut self, stamp: &Stamp) {
        let Some(run) = self.run_of(&Covered::of(stamp.dot(), 0)).copied() else { return };
        self.remove(&run);
        if run.first < stamp.seq {
            self.insert(Covered { last: stamp.seq - 1, ..run });
        }
        if run.last > stamp.seq {
            self.insert(Covered { first: stamp.seq + 1, ..run });
        }
    }

    /// Takes over what one covers who holds the same entries.
    pub(super) fn join<'a>(&mut self, theirs: impl Iterator<Item = &'a Covered>) {
        for run in theirs.filter(|run| run.first <= run.last) {
            if self.run_of(run).is_none_or(|held| held.nanos < run.nanos) {
                self.add(*run);
            }
        }
        self.forget_oldest();
    }

    /// The run that has all of these writes.
    fn run_of(&self, run: &Covered) -> Option<&Covered> {
        self.from(run).next().filter(|held| {
            held.writer == run.writer && held.first <= run.first && held.last >= run.last
        })
    }

    /// The runs from the one on that has this write, or would have it.
    fn from(&self, run: &Covered) -> impl Iterator<Item = &Covered> {
        self.runs.iter_from(|held| (held.writer, held.last) < run.start())
    }

    /// Adds writes, and makes one run of those that touch.
    fn add(&mut self, mut run: Covered) {
        let before = Covered { first: run.first.saturating_sub(1), ..run };
        let touched = self.from(&before).take_while(|held| held.touches(&run)).copied();
        for held in touched.collect::<Vec<_>>() {
            self.remove(&held);
            run.first = run.first.min(held.first);
            run.last = run.last.max(held.last);
            run.nanos = run.nanos.max(held.nanos);
        }
        self.insert(run);
    }

    fn insert(&mut self, run: Covered) {
        self.print.add(run.print());
        self.runs.insert(run);
    }

    fn remove(&mut self, run: &Covered) {
        if let Some(run) = self.runs.remove(|held| held.cmp(run)) {
            self.print.sub(run.print());
        }
    }

    /// Where there are too many runs, those go first that begin late, then the first ones of those
    /// who wrote longest ago: one writer with many gaps costs the others nothing. An eighth more
    /// goes at once, so that a map at its limits, whose coverage has many gaps, doesn't look
    /// through all of them at every entry.
    fn forget_oldest(&mut self) {
        if self.runs.len() > RUNS_MAX {
            let excess = self.runs.len() - RUNS_MAX * 7 / 8;
            let mut runs: Vec<Covered> = self.iter().copied().collect();
            let rank = |run: &Covered| (run.first == 1, run.nanos, run.start());
            runs.select_nth_unstable_by_key(excess, rank);
            runs.iter().take(excess).for_each(|run| self.remove(run));
        }
    }
}
