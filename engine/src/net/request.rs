//! Requests of a handle to its node's task: one queue, in the order of asking, each with the place
//! where its answer goes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::core::{EntryKey, NotConfirmed, PublishError, PutError, Record, Terms, Value, Version};
use crate::node::Node;
use crate::wire::Keyring;

/// What a handle asks of a running node.
#[derive(Debug)]
pub(crate) enum Request {
    /// Be like this from now on.
    Wish(Wish),
    /// Make this the metadata, and say which version it became once readers see it.
    Publish {
        /// The bytes.
        value: Value,
        /// How many others are to hold them first.
        holders: usize,
        /// Where the version goes.
        answer: oneshot::Sender<Published>,
    },
    /// Give a key this value, and say which version it became once readers see it.
    Put {
        /// The key.
        key: EntryKey,
        /// The bytes.
        data: Arc<[u8]>,
        /// How long they hold.
        terms: Terms,
        /// How many others are to hold them first.
        holders: usize,
        /// Where the version goes.
        answer: oneshot::Sender<Written>,
    },
    /// Take its value from a key.
    Delete {
        /// The key.
        key: EntryKey,
        /// Where the version goes, if there was a value.
        answer: oneshot::Sender<Deleted>,
    },
    /// Seal and open with these secrets, and say so once it is so.
    Keys {
        /// The secrets.
        keyring: Keyring,
        /// Told when they are in use.
        answer: oneshot::Sender<()>,
    },
    /// List these, as if each had just been heard of.
    Restore {
        /// The incarnations.
        records: Vec<Arc<Record>>,
        /// Told once readers see them.
        answer: oneshot::Sender<()>,
    },
    /// Say goodbye and end.
    Leave {
        /// Told what came of the goodbye.
        answer: oneshot::Sender<Left>,
    },
}

/// What a publish came to.
pub(crate) type Published = Result<Version, Unmet<PublishError>>;

/// What a put came to.
pub(crate) type Written = Result<Version, Unmet<PutError>>;

/// What a delete came to.
pub(crate) type Deleted = Result<Option<Version>, PutError>;

/// What a goodbye came to: an error if the node left with the only copy of what was published
/// here, as far as is known.
pub(crate) type Left = Result<(), NotConfirmed>;

/// Why a publish, or a put, is not what its caller asked for.
#[derive(Clone, Debug)]
pub(crate) enum Unmet<E> {
    /// It was not made.
    Refused(E),
    /// It was, but too few others are known to hold it.
    NotConfirmed(NotConfirmed),
}

/// How the node is to be. Nobody waits for an answer, and of those that wait only the last wish of
/// each kind counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Whether it beats.
    pub(crate) pulse: Option<Pulse>,
    /// Its name and private data.
    pub(crate) node: Option<Node>,
}

impl Wish {
    /// Takes in what was wished for later.
    fn overtake(&mut self, later: Self) {
        self.pulse = later.pulse.or(self.pulse);
        self.node = later.node.or(self.node.take());
    }
}

/// Whether a node beats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pulse {
    /// It does.
    Beating,
    /// It is silent, but listens.
    Silent,
}

/// The way of a handle, and of all its clones, to the queue of its node's task.
#[derive(Clone, Debug)]
pub(crate) struct RequestLine {
    end: Arc<Mutex<LineEnd>>,
    /// For those who wait for an answer: more than these wait outside of the queue.
    places: Arc<Semaphore>,
}

#[derive(Debug)]
struct LineEnd {
    way: mpsc::UnboundedSender<LineItem>,
    /// The wish that was queued last, if nothing was since.
    last: Option<Arc<Mutex<Option<Wish>>>>,
}

#[derive(Debug)]
enum LineItem {
    /// Taken out as it is then: what was wished for meanwhile is in it.
    Wish(Arc<Mutex<Option<Wish>>>),
    Asked(Request, Option<OwnedSemaphorePermit>),
}

/// The queue of requests at the end of the task. Between two that were asked there is at most one
/// wish, so that it has twice as many places as there are for those who ask.
#[derive(Debug)]
pub(crate) struct Requests(mpsc::UnboundedReceiver<LineItem>);

/// How many requests that are to be answered wait in the queue at a time. A service that asks for
/// more, or drops what it asked for, waits for a place.
const ASKED_MAX: usize = 64;

impl RequestLine {
    /// Asks for something, once there is a place for it; false when the task has ended.
    pub(crate) async fn ask(&self, request: Request) -> bool {
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return false };
        self.queue(request, Some(place))
    }

    /// Asks for the end, which waits for no place: it is asked for once.
    pub(crate) fn leave(&self, answer: oneshot::Sender<Left>) -> bool {
        self.queue(Request::Leave { answer }, None)
    }

    fn queue(&self, request: Request, place: Option<OwnedSemaphorePermit>) -> bool {
        let mut end = locked(&self.end);
        end.last = None;
        end.way.send(LineItem::Asked(request, place)).is_ok()
    }

    /// Wishes for something, in one with what was wished for just before.
    pub(crate) fn wish(&self, wish: Wish) {
        let mut end = locked(&self.end);
        if let Some(last) = &end.last
            && let Some(waiting) = locked(last).as_mut()
        {
            return waiting.overtake(wish);
        }
        let cell = Arc::new(Mutex::new(Some(wish)));
        end.last = Some(Arc::clone(&cell));
        // A task that has ended has no more use for it.
        let _ = end.way.send(LineItem::Wish(cell));
    }

    /// Waits until the task has ended.
    pub(crate) async fn closed(&self) {
        let way = locked(&self.end).way.clone();
        way.closed().await;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Requests {
    /// The two ends of an empty one.
    pub(crate) fn channel() -> (RequestLine, Self) {
        let (way, queue) = mpsc::unbounded_channel();
        let end = Arc::new(Mutex::new(LineEnd { way, last: None }));
        (RequestLine { end, places: Arc::new(Semaphore::new(ASKED_MAX)) }, Self(queue))
    }

    /// Waits for the next; `None` when the handle is gone. Nothing is lost when the future is
    /// dropped.
    pub(crate) async fn recv(&mut self) -> Option<Request> {
        Some(match self.0.recv().await? {
            LineItem::Asked(request, _place) => request,
            LineItem::Wish(wish) => Request::Wish(locked(&wish).take().unwrap_or_default()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn named(name: &str) -> Wish {
        let node = Node::new("10.0.0.1:1").name(name).build().unwrap();
        Wish { node: Some(node), ..Wish::default() }
    }

    fn pulse(pulse: Pulse) -> Wish {
        Wish { pulse: Some(pulse), ..Wish::default() }
    }

    #[tokio::test]
    async fn of_wishes_in_a_row_the_last_of_each_kind_counts_and_all_else_keeps_its_order() {
        let (way, mut requests) = Requests::channel();
        let row = [pulse(Pulse::Silent), named("A"), pulse(Pulse::Beating), named("B")];
        for wish in row {
            way.wish(wish);
        }
        let (answer, _left) = oneshot::channel();
        assert!(way.ask(Request::Leave { answer }).await);
        way.wish(named("C"));
        drop(way);
        let wish = Wish { pulse: Some(Pulse::Beating), ..named("B") };
        assert!(matches!(requests.recv().await, Some(Request::Wish(held)) if held == wish));
        assert!(matches!(requests.recv().await, Some(Request::Leave { .. })));
        assert!(matches!(requests.recv().await, Some(Request::Wish(held)) if held == named("C")));
        assert!(requests.recv().await.is_none(), "the handle is gone");
    }

    #[tokio::test]
    async fn a_service_that_drops_what_it_asks_for_waits_for_a_place_and_wishes_take_one() {
        let (way, mut requests) = Requests::channel();
        let leave = || Request::Leave { answer: oneshot::channel().0 };
        for asked in 0.. {
            way.wish(pulse(Pulse::Silent));
            let late = tokio::time::timeout(Duration::from_millis(20), way.ask(leave()));
            if late.await.is_err() {
                assert_eq!(asked, ASKED_MAX, "whoever asks once more waits");
                break;
            }
        }
        (0..1_000).for_each(|_| way.wish(pulse(Pulse::Beating)));
        assert_eq!(requests.0.len(), 2 * ASKED_MAX + 1);
        assert!(matches!(requests.recv().await, Some(Request::Wish(_))));
        assert!(matches!(requests.recv().await, Some(Request::Leave { .. })));
        assert!(way.ask(leave()).await, "there is a place again");
        drop(requests);
        assert!(!way.ask(leave()).await, "the task has ended");
    }
}
