//! What waits for a subscriber: many small notices, but one value, the newest.
//!
//! A service may subscribe and then forget it, and a value may take a megabyte. So a value waits in
//! a place that all queues of a node share, and the next one that is published empties it. Who
//! comes to an empty place has missed that value, and finds the newest further on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::view::Notice;
use crate::core::{Event, Metadata};

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
    Published(Arc<ValuePlace>),
}

/// Where a value waits until it is taken or overtaken.
#[derive(Debug)]
pub(crate) struct ValuePlace(Mutex<Option<Metadata>>);

/// The place of the newest value, while that waits for anybody.
#[derive(Clone, Debug, Default)]
pub(crate) struct Newest(Arc<Mutex<Weak<ValuePlace>>>);

impl Queued {
    /// What the subscriber is told; `None` when it came too late for the value.
    pub(crate) fn told(&self) -> Option<Notice> {
        match self {
            Self::Small(notice) => Some(notice.clone()),
            Self::Published(place) => {
                place.value().clone().map(Event::Published).map(Notice::Event)
            }
        }
    }
}

impl ValuePlace {
    fn value(&self) -> MutexGuard<'_, Option<Metadata>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Newest {
    /// Prepares what is about to be told. A value overtakes the one that still waits.
    pub(crate) fn queue(&self, notice: Notice) -> Queued {
        match notice {
            Notice::Event(Event::Published(metadata)) => Queued::Published(self.overtake(metadata)),
            small => Queued::Small(small),
        }
    }

    /// What a subscriber that begins now is told of the value that the node holds.
    pub(crate) fn held(&self, metadata: &Metadata) -> Queued {
        let newest = self.place().upgrade();
        let is_held = |place: &Arc<ValuePlace>| {
            place.value().as_ref().map(Metadata::version) == Some(metadata.version())
        };
        let place = newest.filter(is_held);
        Queued::Published(place.unwrap_or_else(|| self.overtake(metadata.clone())))
    }

    fn overtake(&self, metadata: Metadata) -> Arc<ValuePlace> {
        let mut newest = self.place();
        if let Some(overtaken) = newest.upgrade() {
            overtaken.value().take();
        }
        let place = Arc::new(ValuePlace(Mutex::new(Some(metadata))));
        *newest = Arc::downgrade(&place);
        place
    }

    fn place(&self) -> MutexGuard<'_, Weak<ValuePlace>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
