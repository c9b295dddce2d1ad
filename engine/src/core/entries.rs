//! Entries: the map of named values that every node comes to hold.
//!
//! What wins is the larger rank, so that the order in which writes arrive plays no part. A delete
//! is a write as well, a tombstone, which is forgotten after a while: who comes back later with
//! what it deleted is told so by the coverage, which says what was held once.

mod ages;
mod coverage;
mod crowding;
mod exchange;
mod ranges;
mod tree;
mod view;

#[cfg(test)]
mod figures;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use self::ages::{AgeEvent, Born};
pub(crate) use self::coverage::Coverage;
pub use self::coverage::Covered;
use self::crowding::{LastPlaces, Size};
pub use self::exchange::{AgedEntry, DeadEntry, Differences, EntryHead};
pub(crate) use self::exchange::{Exchange, ExchangeAnswer, ExchangePath};
pub use self::ranges::{HashRange, PlacedRank, RangeContent, RangePart};
use self::tree::Tree;
pub use self::view::EntriesView;
use self::view::Placed;
use crate::core::entry::{
    Content, Entry, EntryKey, EntryKind, Fingerprint, Incarnation, PutError, Stamp, Terms,
};
use crate::core::metadata::{Version, digest};
use crate::node::{Generation, NodeId};
use crate::time::{Instant, Now};

/// Most entries of which one call does what is due: a timer that finds more comes again at once.
const DUE_MAX: usize = 1_024;

/// What a map may hold, and for how long. All nodes of a cluster have the same, or those with less
/// refuse what the others hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryLimits {
    /// Most bytes of a value.
    pub len_max: usize,
    /// Most bytes of the value without a name.
    pub metadata_len_max: usize,
    /// Most values, and as many tombstones.
    pub count_max: usize,
    /// Most bytes of all keys and values.
    pub bytes_max: usize,
    /// How long a tombstone is kept.
    pub tombstone_ttl: Duration,
    /// The period of background work: within two of them all nodes see that a put has expired.
    pub cycle: Duration,
}

impl EntryLimits {
    fn len_max(&self, key: &EntryKey) -> usize {
        if key.as_str().is_empty() { self.metadata_len_max } else { self.len_max }
    }
}

/// The entries that a node holds, with what it knows of those that it held. A clone shares all of
/// it, and each goes its own way from there.
#[derive(Clone, Debug)]
pub(crate) struct Entries {
    writer: Incarnation,
    /// Writes of this incarnation.
    seq: u64,
    limits: EntryLimits,
    view: EntriesView,
    bound: Tree<BoundPut>,
    coverage: Coverage,
    print: Fingerprint,
    count: usize,
    bytes: usize,
    last: LastPlaces,
}

/// A put that ends with its writer, in the order of writers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct BoundPut(Entry);

impl BoundPut {
    fn rank(&self) -> (Incarnation, &str) {
        (self.0.stamp().writer(), self.0.key().as_str())
    }
}

impl PartialOrd for BoundPut {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for BoundPut {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

/// What became of an entry that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Merged {
    /// It is held now.
    Newer {
        /// What it replaced.
        old: Option<Entry>,
        /// What had to go to make room.
        evicted: Vec<Entry>,
    },
    /// It was held already.
    Same,
    /// Something newer is held.
    Older,
    /// It was held, or what replaced it, and deleted: whoever has it is to drop it.
    Dead,
    /// It is beyond a limit; nothing has changed.
    Refused(Excess),
}

/// A limit that an entry exceeds, and by how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    /// The bytes of its value.
    Len { len: usize, max: usize },
    /// The number of values with it.
    Count { count: usize, max: usize },
    /// The bytes of all keys and values with it.
    Bytes { bytes: usize, max: usize },
}

impl From<Excess> for PutError {
    fn from(excess: Excess) -> Self {
        match excess {
            Excess::Len { len, max } => Self::TooLarge { len, max },
            Excess::Count { count, max } => Self::TooMany { count, max },
            Excess::Bytes { bytes, max } => Self::TooMuch { bytes, max },
        }
    }
}

/// What became of an entry by age alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turned {
    /// A put is no longer shown.
    Hidden(Entry),
    /// A put became this tombstone.
    Buried(Entry),
    /// A tombstone was forgotten.
    Forgotten(Entry),
}

impl Entries {
    pub(crate) fn new(writer: Incarnation, limits: EntryLimits) -> Self {
        Self {
            writer,
            seq: 0,
            limits,
            view: EntriesView::default(),
            bound: Tree::default(),
            coverage: Coverage::default(),
            print: Fingerprint::default(),
            count: 0,
            bytes: 0,
            last: LastPlaces::default(),
        }
    }

    /// The map of a node that kept its entries, each with its age by now, and its coverage. Both
    /// must be of one moment: a coverage that is ahead of its entries lets the newest be lost.
    pub(crate) fn restored(
        writer: Incarnation,
        limits: EntryLimits,
        kept: impl Iterator<Item = (Entry, Duration)>,
        coverage: &[Covered],
        now: Instant,
    ) -> Self {
        let mut entries = Self::new(writer, limits);
        let mut lacking = Vec::new();
        for (entry, age) in kept {
            match entries.merge(&entry, age, now) {
                Merged::Newer { evicted, .. } => lacking.extend(evicted),
                // The limits have been lowered since.
                Merged::Refused(_) => lacking.push(entry),
                Merged::Same | Merged::Older | Merged::Dead => {}
            }
        }
        entries.coverage.join(coverage.iter());
        lacking.iter().for_each(|entry| entries.coverage.lack(entry.stamp()));
        entries.seq = entries.coverage.last_of(writer);
        entries
    }

    /// Writes as another incarnation from now on.
    pub(crate) fn start_as(&mut self, writer: Incarnation) {
        if writer != self.writer {
            (self.writer, self.seq) = (writer, 0);
        }
    }

    /// What is held here is held by another node from now on, whose limits these are.
    pub(crate) fn taken_over(mut self, writer: Incarnation, limits: EntryLimits) -> Self {
        self.start_as(writer);
        self.limits = limits;
        self
    }

    /// Values that are held, shown or not.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Bytes of their keys and values.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What all that is held is known by, tombstones too.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.print
    }

    pub(crate) fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// The map as it is now, at no cost, for readers elsewhere.
    pub(crate) fn view(&self) -> &EntriesView {
        &self.view
    }

    /// How old an entry is that is sent; nothing where age plays no part.
    pub(crate) fn age(&self, entry: &Entry, now: Instant) -> Duration {
        self.view.age(entry, now)
    }

    /// Writes a value.
    ///
    /// # Errors
    /// When it exceeds a limit or nothing ranks above what is held; nothing has changed.
    pub(crate) fn put(
        &mut self,
        key: EntryKey,
        data: Arc<[u8]>,
        terms: Terms,
        now: Now,
    ) -> Result<Entry, PutError> {
        self.check_room(&key, data.len())?;
        self.write(key, Content::Put { data, terms }, now)
    }

    /// Writes the end of a value, if there is one: a tombstone of nothing would delete nothing,
    /// and take room.
    ///
    /// # Errors
    /// When nothing ranks above what is held; nothing has changed.
    pub(crate) fn delete(&mut self, key: EntryKey, now: Now) -> Result<Option<Entry>, PutError> {
        let put = self.held(&key).filter(|held| held.kind() == EntryKind::Put);
        match put.map(|put| put.stamp().dot()) {
            Some(replaced) => self.write(key, Content::Delete { replaced }, now).map(Some),
            None => Ok(None),
        }
    }

    /// Takes an entry that is this old.
    pub(crate) fn merge(&mut self, entry: &Entry, age: Duration, now: Instant) -> Merged {
        let born = Born::ago(now, age);
        let held = self.held(entry.key()).map(Entry::rank);
        match held.map_or(Ordering::Greater, |held| entry.rank().cmp(&held)) {
            Ordering::Equal => {
                // Receipt never makes anything younger.
                self.view.ages_mut().make_older(entry, born, &self.limits);
                self.coverage.note(entry);
                Merged::Same
            }
            Ordering::Less => {
                self.coverage.note(entry);
                Merged::Older
            }
            Ordering::Greater if self.is_dead(entry) => Merged::Dead,
            Ordering::Greater => self.take(entry, born),
        }
    }

    /// Whether an entry that is not held was, or what replaced it: it was deleted since, and the
    /// tombstone forgotten.
    pub(crate) fn is_dead(&self, entry: &Entry) -> bool {
        self.is_dead_stamp(entry.key(), entry.stamp())
    }

    /// Drops what somebody knows to be dead: only this very version.
    pub(crate) fn drop_dead(&mut self, key: &EntryKey, version: Version) -> Option<Entry> {
        self.held(key).filter(|held| held.stamp().version == version)?;
        self.release(key)
    }

    /// Takes over the coverage of one that holds the same entries: both came in one message, and
    /// say nothing of any other moment. Whether it does hold the same.
    pub(crate) fn join(&mut self, root: Fingerprint, theirs: &[Covered]) -> bool {
        let agree = root == self.print;
        if agree {
            self.coverage.join(theirs.iter());
        }
        agree
    }

    /// When [`Self::expire`] has something to do.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.view.ages().next_due()
    }

    /// Does what is due: hides puts whose time is over, makes tombstones of them two cycles later,
    /// forgets old tombstones. At most a thousand at a time.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Turned> {
        let mut turned = Vec::new();
        for fate in [AgeEvent::Hide, AgeEvent::Bury, AgeEvent::Forget] {
            while turned.len() < DUE_MAX {
                let Some(entry) = self.view.ages().due(fate, now).cloned() else { break };
                turned.push(self.turn(entry, fate));
            }
        }
        turned
    }

    /// Ends the bound puts of a writer up to this generation: it has said goodbye, or a higher one
    /// follows. The tombstones, which are the same wherever they are made.
    pub(crate) fn expire_bound(
        &mut self,
        place: NodeId,
        up_to: Generation,
        now: Instant,
    ) -> Vec<Entry> {
        let range = |writer: Incarnation| writer.place == place && writer.generation <= up_to;
        let first = Incarnation { place, generation: Generation::MIN };
        let bound = self.bound.iter_from(|put| put.0.stamp().writer() < first);
        let bound = bound.map(|put| &put.0).take_while(|put| range(put.stamp().writer()));
        let bound: Vec<Entry> = bound.cloned().collect();
        bound.iter().map(|put| self.bury(put, Born::ago(now, Duration::ZERO))).collect()
    }

    /// Whether any put is bound to its writer.
    pub(crate) fn has_bound(&self) -> bool {
        self.bound.iter().next().is_some()
    }

    /// The bound puts of a writer, which are shown while it is listed.
    pub(crate) fn bound_of(&self, writer: Incarnation) -> Vec<Entry> {
        let bound = self.bound.iter_from(|put| put.0.stamp().writer() < writer);
        let bound = bound.map(|put| &put.0).take_while(|put| put.stamp().writer() == writer);
        bound.cloned().collect()
    }

    fn is_dead_stamp(&self, key: &EntryKey, stamp: &Stamp) -> bool {
        let held = self.held(key);
        // Of a put that is held the tombstone is no earlier write.
        let is_held = held.is_some_and(|held| held.stamp().version == stamp.version);
        planted!(DeadTaken, !is_held && self.coverage.covers(stamp), false)
    }

    pub(crate) fn held(&self, key: &EntryKey) -> Option<&Entry> {
        self.view.held(key.as_str()).map(Placed::entry)
    }

    fn held_count(&self) -> usize {
        self.view.len()
    }

    fn placed(&self) -> impl Iterator<Item = &Placed> {
        self.view.iter()
    }

    /// Checks whether there is room for a value.
    fn check_room(&self, key: &EntryKey, len: usize) -> Result<(), Excess> {
        let EntryLimits { count_max, bytes_max, .. } = self.limits;
        let max = self.limits.len_max(key);
        let (count, bytes) = self.with(key, len);
        if len > max {
            return Err(Excess::Len { len, max });
        }
        if count > count_max {
            return Err(Excess::Count { count, max: count_max });
        }
        if bytes > bytes_max {
            return Err(Excess::Bytes { bytes, max: bytes_max });
        }
        Ok(())
    }

    /// The number of values, and of their bytes, with this one.
    fn with(&self, key: &EntryKey, len: usize) -> (usize, usize) {
        let old = self.held(key).filter(|held| held.kind() == EntryKind::Put);
        let bytes = self.bytes - old.map_or(0, Entry::len) + key.as_str().len() + len;
        (self.count + usize::from(old.is_none()), bytes)
    }

    fn write(&mut self, key: EntryKey, content: Content, now: Now) -> Result<Entry, PutError> {
        let held = self.held(&key).map(|held| held.stamp().version);
        if let Some(held) = held.filter(|held| held.nanos >= Version::NANOS_MAX) {
            return Err(PutError::VersionsExhausted { held });
        }
        let above = held.map_or(0, |held| held.nanos + 1);
        let nanos = now.wall.0.min(Version::CLOCK_MAX).max(above);
        let digest = match &content {
            Content::Put { data, .. } => digest(data),
            Content::Delete { .. } | Content::Expired => digest(&[]),
        };
        let version = Version { nanos, writer: self.writer.place, digest };
        self.seq += 1;
        let stamp = Stamp { version, generation: self.writer.generation, seq: self.seq };
        let entry = Entry::new(key, stamp, content);
        self.hold(&entry, Born::ago(now.mono, Duration::ZERO));
        self.coverage.note(&entry);
        Ok(entry)
    }

    /// Holds an entry that is newer than what is held, if there is room.
    fn take(&mut self, entry: &Entry, born: Born) -> Merged {
        let evicted = match self.make_room(entry) {
            Ok(evicted) => evicted,
            Err(excess) => return Merged::Refused(excess),
        };
        self.coverage.note(entry);
        Merged::Newer { old: self.hold(entry, born), evicted }
    }

    /// Takes out what has to go for an entry: the last places go first, whoever came last, so that
    /// all nodes with these limits hold the same. What has no room even so is refused, and what is
    /// held stays.
    fn make_room(&mut self, entry: &Entry) -> Result<Vec<Entry>, Excess> {
        let Some(data) = entry.data() else { return Ok(Vec::new()) };
        let Err(excess) = self.check_room(entry.key(), data.len()) else { return Ok(Vec::new()) };
        if let Excess::Len { .. } = excess {
            return Err(excess);
        }
        let (count, bytes) = self.with(entry.key(), data.len());
        let needed = Size {
            count: count.saturating_sub(self.limits.count_max),
            bytes: bytes.saturating_sub(self.limits.bytes_max),
        };
        let place = EntryKey::place(entry.key().as_str());
        let evicted = self.last.take_behind(place, &self.view, needed).ok_or(excess)?;
        for victim in &evicted {
            self.release(victim.key());
            self.coverage.lack(victim.stamp());
        }
        Ok(evicted)
    }

    /// Holds an entry in the place of what is held of its key.
    fn hold(&mut self, entry: &Entry, born: Born) -> Option<Entry> {
        let placed = Placed::of(entry.clone());
        self.print.add(placed.print());
        let place = placed.place();
        let old = self.view.insert(placed).map(|old| self.let_go(old));
        if entry.kind() == EntryKind::Put {
            self.count += 1;
            self.bytes += entry.len();
            self.last.note(place, entry.key());
        }
        if entry.terms().bound {
            self.bound.insert(BoundPut(entry.clone()));
        }
        self.view.ages_mut().insert(entry, born, &self.limits);
        self.forget_excess();
        old
    }

    /// Holds an entry no more.
    fn release(&mut self, key: &EntryKey) -> Option<Entry> {
        self.view.remove(key.as_str()).map(|placed| self.let_go(placed))
    }

    /// Takes what is no longer held out of all counts.
    fn let_go(&mut self, placed: Placed) -> Entry {
        self.print.sub(placed.print());
        let entry = placed.into_entry();
        if entry.kind() == EntryKind::Put {
            self.count -= 1;
            self.bytes -= entry.len();
        }
        if entry.terms().bound {
            let put = BoundPut(entry.clone());
            self.bound.remove(|other| other.cmp(&put));
        }
        if entry.ages() {
            self.view.ages_mut().remove(&entry, &self.limits);
        }
        entry
    }

    /// Forgets the oldest tombstones where there are too many: whoever deletes a lot takes no more
    /// memory than whoever puts a lot.
    fn forget_excess(&mut self) {
        while self.view.ages().tombstones() > self.limits.count_max {
            let oldest = self.view.ages().oldest_tombstone().cloned().expect("there are some");
            self.release(oldest.key());
        }
    }

    fn turn(&mut self, entry: Entry, fate: AgeEvent) -> Turned {
        match fate {
            AgeEvent::Hide => {
                self.view.ages_mut().hidden(&entry, &self.limits);
                Turned::Hidden(entry)
            }
            AgeEvent::Bury => {
                let born = self.view.ages().born(&entry).expect("what is due has an age");
                Turned::Buried(self.bury(&entry, born.after(entry.terms().ttl.unwrap_or_default())))
            }
            AgeEvent::Forget => {
                self.release(entry.key());
                Turned::Forgotten(entry)
            }
        }
    }

    fn bury(&mut self, put: &Entry, born: Born) -> Entry {
        let tombstone = put.expired();
        self.hold(&tombstone, born);
        tombstone
    }
}
