//! Following a node: what is the case, then each change, in order, once.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::NodeList;
use crate::core::{Event, Reach};
use crate::net::{Notice, Numbered, Queued, QueuedNotice, SeedState};

impl NodeList {
    /// What is the case now, as events, and then the changes, across joins and leaves of this
    /// handle: first [`Event::Joined`] for each listed member in order of address, this node
    /// among them, and [`Event::Published`] if there is metadata; then [`Notice::Seed`] for each
    /// seed of which something is known, and [`Notice::Alone`] where nobody else is listed; of a
    /// node that has ended [`Notice::Ended`]. Nothing comes twice, and nothing is left out without
    /// a word: see [`Notice::Missed`]. Of an entry that changes faster than its changes are taken
    /// the newest is told. A subscription that is forgotten holds no value but what the node holds
    /// itself.
    ///
    /// A leave tells [`Notice::Left`], and the members that were listed are gone with it; the next
    /// join begins with its own `Joined`.
    pub fn subscribe(&self) -> Events {
        // In this order: what happens between the two is in both, and told once by its number.
        let notices = self.notices.subscribe();
        let view = self.shared.view.borrow();
        let joined = view.list.records().iter().cloned().map(Event::Joined).map(Notice::Event);
        let seeds = view.seeds.iter().filter(|seed| seed.state != SeedState::Seeking);
        let seeds = seeds.cloned().map(Notice::Seed);
        let reach = view.agreement.reach;
        let alone = matches!(reach, Reach::First | Reach::Nobody).then_some(Notice::Alone(reach));
        let ended = view.ended.clone().map(Notice::Ended);
        let present = joined.map(Queued::Small).chain(self.shared.held(&view));
        let ahead = present.chain(seeds.chain(alone).chain(ended).map(Queued::Small)).collect();
        Events { ahead, notices: Inlet::Idle(notices), told: view.told, missed: 0 }
    }
}

type NoticeReceiver = broadcast::Receiver<Arc<Numbered>>;
type Received = Result<Arc<Numbered>, RecvError>;

/// The changes of one node, from [`NodeList::subscribe`]; a [`Stream`] of them as well.
pub struct Events {
    /// What comes before anything that is still to be received.
    ahead: VecDeque<Queued>,
    notices: Inlet,
    /// The number of the last notice that was taken, by itself or in the state at the beginning.
    told: u64,
    /// How many were missed right before the first one ahead.
    missed: u64,
}

impl Events {
    /// Waits for the next change; `None` once the last clone of the [`NodeList`] is dropped,
    /// whatever has become of its task and runtime. Nothing is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Notice> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Notice>> {
        loop {
            match self.ahead.front().map(Queued::find) {
                None => match ready!(self.poll_queued(context)) {
                    Some(queued) => self.ahead.push_back(queued),
                    None => return Poll::Ready(None),
                },
                Some(QueuedNotice::Missed) => {
                    self.missed += 1;
                    self.ahead.pop_front();
                }
                Some(QueuedNotice::Overtaken) => {
                    self.ahead.pop_front();
                }
                Some(QueuedNotice::Notice(_)) if self.missed > 0 => {
                    let missed = Notice::Missed(std::mem::take(&mut self.missed));
                    return Poll::Ready(Some(missed));
                }
                Some(QueuedNotice::Notice(notice)) => {
                    self.ahead.pop_front();
                    return Poll::Ready(Some(notice));
                }
            }
        }
    }

    /// The next that is not in the state that was told at the beginning.
    fn poll_queued(&mut self, context: &mut Context<'_>) -> Poll<Option<Queued>> {
        loop {
            match ready!(self.notices.poll(context)) {
                Ok(notice) if notice.number > self.told => {
                    self.missed += notice.number - self.told - 1;
                    self.told = notice.number;
                    return Poll::Ready(Some(notice.queued.clone()));
                }
                Ok(_) => {}
                // How many were missed shows in the number of the next one.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Poll::Ready(None),
            }
        }
    }
}

impl Stream for Events {
    type Item = Notice;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Notice>> {
        self.poll_recv(context)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("told", &self.told).finish_non_exhaustive()
    }
}

/// What a queue of notices comes out of. Its receiver can be awaited and not polled, so that while
/// nothing has come it is owned by a future, which outlives whoever asked.
enum Inlet {
    Idle(NoticeReceiver),
    Waiting(Pin<Box<dyn Future<Output = (Received, NoticeReceiver)> + Send + Sync>>),
    /// In between, or after a panic while it was polled.
    Gone,
}

impl Inlet {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Received> {
        if let Self::Idle(notices) = self {
            match notices.try_recv() {
                Ok(received) => return Poll::Ready(Ok(received)),
                Err(TryRecvError::Lagged(count)) => {
                    return Poll::Ready(Err(RecvError::Lagged(count)));
                }
                Err(TryRecvError::Closed) => return Poll::Ready(Err(RecvError::Closed)),
                Err(TryRecvError::Empty) => {}
            }
        }
        let mut waiting = match std::mem::replace(self, Self::Gone) {
            Self::Idle(notices) => Box::pin(receive(notices)),
            Self::Waiting(waiting) => waiting,
            Self::Gone => return Poll::Ready(Err(RecvError::Closed)),
        };
        let polled = waiting.as_mut().poll(context);
        let Poll::Ready((received, notices)) = polled else {
            *self = Self::Waiting(waiting);
            return Poll::Pending;
        };
        *self = Self::Idle(notices);
        Poll::Ready(received)
    }
}

async fn receive(mut notices: NoticeReceiver) -> (Received, NoticeReceiver) {
    let received = notices.recv().await;
    (received, notices)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::link::Link;
    use crate::net::MemoryNetwork;
    use crate::node::Node;

    async fn next(events: &mut Events) -> Option<Notice> {
        poll_fn(|context| Pin::new(&mut *events).poll_next(context)).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_gives_what_is_received_and_ends_with_the_last_clone() {
        let network = MemoryNetwork::new(1, Link::uniform(Duration::ZERO, Duration::ZERO));
        let list = network.node(Node::new("10.0.0.1:80"), Config::default()).unwrap();
        let (mut stream, mut received) = (list.subscribe(), list.subscribe());
        list.join().await.unwrap();
        let other = list.clone();
        drop(list);
        other.publish("a").await.unwrap();
        for _ in 0..3 {
            let notice = next(&mut stream).await;
            assert!(notice.is_some());
            assert_eq!(notice, received.recv().await);
        }
        // One that waited in vain takes nothing away from the next.
        let waited = tokio::time::timeout(other.config.cycle() / 10, next(&mut stream)).await;
        assert!(waited.is_err(), "{waited:?}");
        let version = other.publish("b").await.unwrap();
        let told = Notice::Event(Event::Published(other.read().unwrap()));
        assert_eq!(other.read().unwrap().version(), version);
        assert_eq!(next(&mut stream).await, Some(told));
        drop(other);
        assert_eq!(next(&mut stream).await, None);
    }
}
