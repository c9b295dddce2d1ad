//! What a driver waits for, in the order in which it is looked at.

use tokio::task::JoinError;
use tokio::time::sleep_until;

use super::super::contacts::Report;
use super::super::dialect::Dialect;
use super::super::intake::Waiting;
use super::super::intercept::{Released, Tap};
use super::super::seeds::Place;
use super::super::stream::{Arrival, Streams};
use super::super::transport::Transport;
use super::{Mode, Order, Running};
use crate::node::Node;

/// Why the driver woke up.
pub(super) enum Wake<P> {
    Due,
    Mode(Mode),
    Node(Node),
    Order(Order),
    Places(Vec<Place>),
    Report(Report),
    Arrival(Arrival<P>),
    /// The interceptor lets it go by stream.
    Released(Released),
    Readable,
    ReceiveError,
    /// A task of the driver's own is over.
    TaskEnded(Result<(), JoinError>),
    HandleGone,
}

/// Whom a node listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heeds {
    /// Its handle, and the other nodes.
    Handle,
    /// The other nodes alone: it has been told to leave, and goes by itself.
    Peers,
}

impl<D: Dialect> Running<D> {
    pub(super) async fn wake(&mut self, heeds: Heeds) -> Wake<D::Packet> {
        let driver = &mut self.driver;
        let dues = [driver.engine.deadline(), driver.contacts.deadline(), self.listing.deadline()];
        let due = dues.into_iter().flatten().min().map(|deadline| driver.clock.at(deadline));
        let heeds_handle = heeds == Heeds::Handle;
        tokio::select! {
            biased;
            () = async { sleep_until(due.expect("checked")).await }, if due.is_some() => Wake::Due,
            changed = driver.mode.changed(), if heeds_handle => match changed {
                Ok(()) => Wake::Mode(*driver.mode.borrow_and_update()),
                Err(_) => Wake::HandleGone,
            },
            changed = driver.node.changed(), if heeds_handle => match changed {
                Ok(()) => Wake::Node(driver.node.borrow_and_update().clone()),
                Err(_) => Wake::HandleGone,
            },
            order = driver.orders.recv(), if heeds_handle => {
                order.map_or(Wake::HandleGone, Wake::Order)
            }
            Ok(()) = driver.places.changed() => {
                Wake::Places(driver.places.borrow_and_update().clone())
            }
            Some(report) = driver.reports.recv() => Wake::Report(report),
            Some(ended) = driver.tasks.join_next() => Wake::TaskEnded(ended),
            Some(arrival) = arrival(driver.streams.as_mut()) => Wake::Arrival(arrival),
            Some(released) = released(driver.tap.as_mut()) => Wake::Released(released),
            readable = readable(driver.socket.as_ref(), &self.strangers) => match readable {
                Ok(()) => Wake::Readable,
                Err(_) => Wake::ReceiveError,
            },
        }
    }
}

/// Waits for ever where there is no socket.
async fn readable(socket: Option<&Transport>, strangers: &Waiting) -> std::io::Result<()> {
    match socket {
        Some(_) if !strangers.is_empty() => Ok(()),
        Some(socket) => socket.readable().await,
        None => std::future::pending().await,
    }
}

/// Waits for ever where nobody stands between.
async fn released(tap: Option<&mut Tap>) -> Option<Released> {
    match tap {
        Some(tap) => tap.released().await,
        None => std::future::pending().await,
    }
}

/// Waits for ever where there are no streams.
async fn arrival<P: Clone + Send + 'static>(
    streams: Option<&mut Streams<P>>,
) -> Option<Arrival<P>> {
    match streams {
        Some(streams) => streams.receive().await,
        None => std::future::pending().await,
    }
}
