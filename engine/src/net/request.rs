//! Requests of a handle to its node's task: one queue, in the order of asking, each with the place
//! where its answer goes.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::core::{NotConfirmed, PublishError, Record, Value, Version};
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
pub(crate) type Published = Result<Version, Unmet>;

/// What a goodbye came to: an error if the node left with the only copy of what was published
/// here, as far as is known.
pub(crate) type Left = Result<(), NotConfirmed>;

/// Why a publish is not what its caller asked for.
#[derive(Clone, Debug)]
pub(crate) enum Unmet {
    /// It was not made.
    Refused(PublishError),
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

/// The queue of requests at the end of the task. It has no bound: who asks for more than a wish
/// waits for the answer, and wishes that wait are one.
#[derive(Debug)]
pub(crate) struct Requests {
    queue: mpsc::UnboundedReceiver<Request>,
    /// What was behind the wishes that were taken out last.
    next: Option<Request>,
}

impl Requests {
    /// The two ends of an empty one.
    pub(crate) fn channel() -> (mpsc::UnboundedSender<Request>, Self) {
        let (way, queue) = mpsc::unbounded_channel();
        (way, Self { queue, next: None })
    }

    /// Waits for the next; `None` when the handle is gone. Nothing is lost when the future is
    /// dropped.
    pub(crate) async fn recv(&mut self) -> Option<Request> {
        let first = match self.next.take() {
            Some(next) => next,
            None => self.queue.recv().await?,
        };
        match first {
            Request::Wish(wish) => Some(Request::Wish(self.merged(wish))),
            other => Some(other),
        }
    }

    fn merged(&mut self, mut wish: Wish) -> Wish {
        while let Ok(next) = self.queue.try_recv() {
            match next {
                Request::Wish(later) => wish.overtake(later),
                other => {
                    self.next = Some(other);
                    break;
                }
            }
        }
        wish
    }
}

#[cfg(test)]
mod tests {
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
            way.send(Request::Wish(wish)).unwrap();
        }
        let (answer, _left) = oneshot::channel();
        way.send(Request::Leave { answer }).unwrap();
        way.send(Request::Wish(named("C"))).unwrap();
        drop(way);
        let wish = Wish { pulse: Some(Pulse::Beating), ..named("B") };
        assert!(matches!(requests.recv().await, Some(Request::Wish(held)) if held == wish));
        assert!(matches!(requests.recv().await, Some(Request::Leave { .. })));
        assert!(matches!(requests.recv().await, Some(Request::Wish(held)) if held == named("C")));
        assert!(requests.recv().await.is_none(), "the handle is gone");
    }
}
