//! What waits for a subscriber: many small notices, but of each key one value, the newest.
//!
//! A service may subscribe and then forget it, and a value may take a megabyte. So a value waits in
//! a place that all queues of a node share, and the next one of its key empties it: what waits is
//! held by the node as well. Who comes to an empty place finds the newest further on; of metadata
//! it is told that it missed some.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::view::Notice;
use crate::core::{Entry, EntryKey, Event, Metadata};

/// What waits, with its number. Subscriptions share it, so that a place in a node's queue takes no
/// more than a pointer: there are a thousand, and most nodes never fill ten.
#[derive(Debug)]
pub(crate) struct Numbered {
    pub(crate) number: u64,
    pub(crate) queued: Queued,
}

/// A notice on its way to a subscriber.
#[derive(Clone, Debug)]
pub(crate) enum Queued {
    /// It takes next to nothing.
    Small(Notice),
    /// The metadata changed to what is in this place.
    Published(Arc<Place<Metadata>>),
    /// An entry changed to what is in this place.
    Entry(Arc<Place<Entry>>),
}

/// What a subscriber finds when its turn comes.
#[derive(Clone, Debug)]
pub(crate) enum QueuedNotice {
    Notice(Notice),
    /// It came too late, and has missed something.
    Missed,
    /// It came too late, and finds all that matters further on.
    Overtaken,
}

/// Where a value waits until it is taken or overtaken.
#[derive(Debug)]
pub(crate) struct Place<T>(Mutex<Option<T>>);

/// The places of the newest values, while those wait for anybody.
#[derive(Clone, Debug, Default)]
pub(crate) struct Newest(Arc<Mutex<WaitingPlaces>>);

#[derive(Debug, Default)]
struct WaitingPlaces {
    metadata: Weak<Place<Metadata>>,
    entries: BTreeMap<EntryKey, Weak<Place<Entry>>>,
    /// So many there may be before those are forgotten that nobody waits for.
    entries_max: usize,
}

impl Queued {
    /// What the subscriber is told.
    pub(crate) fn find(&self) -> QueuedNotice {
        let told = |event| QueuedNotice::Notice(Notice::Event(event));
        match self {
            Self::Small(notice) => QueuedNotice::Notice(notice.clone()),
            Self::Published(place) => {
                place.value().clone().map_or(QueuedNotice::Missed, |it| told(Event::Published(it)))
            }
            Self::Entry(place) => {
                place.value().clone().map_or(QueuedNotice::Overtaken, |it| told(Event::Entry(it)))
            }
        }
    }
}

impl<T> Place<T> {
    fn of(value: T) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(value))))
    }

    fn value(&self) -> MutexGuard<'_, Option<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Empties the place before, and takes its own.
    fn overtake(newest: &mut Weak<Self>, value: T) -> Arc<Self> {
        if let Some(overtaken) = newest.upgrade() {
            overtaken.value().take();
        }
        let place = Self::of(value);
        *newest = Arc::downgrade(&place);
        place
    }
}

impl Newest {
    /// Prepares what is about to be told. A value overtakes the one of its key that still waits.
    pub(crate) fn queue(&self, notice: Notice) -> Queued {
        match notice {
            Notice::Event(Event::Published(metadata)) => {
                Queued::Published(Place::overtake(&mut self.places().metadata, metadata))
            }
            Notice::Event(Event::Entry(entry)) => Queued::Entry(self.places().overtake(entry)),
            small => Queued::Small(small),
        }
    }

    /// What a subscriber that begins now is told of the value that the node holds.
    pub(crate) fn held(&self, metadata: &Metadata) -> Queued {
        let mut places = self.places();
        let is_held = |place: &Arc<Place<Metadata>>| {
            place.value().as_ref().map(Metadata::version) == Some(metadata.version())
        };
        let place = places.metadata.upgrade().filter(is_held);
        let held = || Place::overtake(&mut places.metadata, metadata.clone());
        Queued::Published(place.unwrap_or_else(held))
    }

    fn places(&self) -> MutexGuard<'_, WaitingPlaces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitingPlaces {
    /// More than wait in one queue.
    const ENTRIES_MIN: usize = 4_096;

    fn overtake(&mut self, entry: Entry) -> Arc<Place<Entry>> {
        if self.entries.len() >= self.entries_max.max(Self::ENTRIES_MIN) {
            self.entries.retain(|_, place| place.strong_count() > 0);
            self.entries_max = 2 * self.entries.len();
        }
        Place::overtake(self.entries.entry(entry.key().clone()).or_default(), entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Content, Stamp, Version, digest};
    use crate::node::{Generation, NodeId};

    fn changed(key: &str, nanos: i64) -> Notice {
        let version = Version { nanos, writer: NodeId(1), digest: digest(b"") };
        let stamp = Stamp { version, generation: Generation::MIN, seq: nanos as u64 };
        let put = Content::Put { data: [].into(), terms: Default::default() };
        let entry = Entry::verified(EntryKey::new(key).unwrap(), stamp, put).expect("its digest");
        Notice::Event(Event::Entry(entry))
    }

    #[test]
    fn of_each_key_one_value_waits_and_the_others_are_passed_over() {
        let newest = Newest::default();
        let queued: Vec<Queued> =
            [("a", 1), ("b", 1), ("a", 2)].map(|(key, at)| newest.queue(changed(key, at))).into();
        let found: Vec<_> = queued.iter().map(Queued::find).collect();
        assert!(matches!(found[0], QueuedNotice::Overtaken), "{found:?}");
        for (found, (key, nanos)) in found[1..].iter().zip([("b", 1), ("a", 2)]) {
            let QueuedNotice::Notice(Notice::Event(Event::Entry(entry))) = found else {
                panic!("{found:?}")
            };
            assert_eq!((entry.key().as_str(), entry.stamp().version.nanos), (key, nanos));
        }
    }

    #[test]
    fn keys_that_nobody_waits_for_are_forgotten() {
        let newest = Newest::default();
        let waits = newest.queue(changed("waits", 1));
        for number in 0..3 * WaitingPlaces::ENTRIES_MIN {
            newest.queue(changed(&number.to_string(), 1));
        }
        assert!(newest.places().entries.len() <= WaitingPlaces::ENTRIES_MIN);
        newest.queue(changed("waits", 2));
        assert!(matches!(waits.find(), QueuedNotice::Overtaken));
    }
}
