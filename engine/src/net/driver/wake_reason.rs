//! What a driver waits for, in the order in which it is looked at.

use tokio::task::JoinError;

use super::super::contacts::SideReport;
use super::super::dialect::Dialect;
use super::super::intake::WaitingDatagrams;
use super::super::intercept::{Intercepted, Released};
use super::super::request::Request;
use super::super::seeds::SeedPlace;
use super::super::stream::{StreamArrival, Streams};
use super::super::transport::Transport;
use super::Running;

/// Why the driver woke up.
pub(super) enum WakeReason<P> {
    Due,
    Request(Request),
    Places(Vec<SeedPlace>),
    Report(SideReport),
    Arrival(StreamArrival<P>),
    /// The interceptor lets it go by stream.
    Released(Released),
    Readable,
    ReceiveError,
    /// A task of the driver's own is over.
    TaskEnded(Result<(), JoinError>),
    HandleGone,
}

impl<D: Dialect> Running<D> {
    pub(super) async fn wake(&mut self) -> WakeReason<D::Packet> {
        let driver = &mut self.driver;
        let dues = [driver.engine.deadline(), driver.contacts.deadline(), self.listing.deadline()];
        let due = dues.into_iter().flatten().min().map(|deadline| driver.clock.at(deadline));
        if let Some(due) = due.filter(|&due| due != self.alarm.deadline()) {
            self.alarm.as_mut().reset(due);
        }
        let heed_handle = self.answers.heed_handle();
        tokio::select! {
            biased;
            () = self.alarm.as_mut(), if due.is_some() => WakeReason::Due,
            request = driver.requests.recv(), if heed_handle => {
                request.map_or(WakeReason::HandleGone, WakeReason::Request)
            }
            Ok(()) = driver.places.changed() => {
                WakeReason::Places(driver.places.borrow_and_update().clone())
            }
            Some(report) = driver.reports.recv() => WakeReason::Report(report),
            Some(ended) = driver.tasks.join_next() => WakeReason::TaskEnded(ended),
            Some(arrival) = arrival(driver.streams.as_mut()) => WakeReason::Arrival(arrival),
            Some(released) = released(driver.intercepted.as_mut()) => {
                WakeReason::Released(released)
            }
            readable = readable(driver.socket.as_ref(), &self.strangers) => match readable {
                Ok(()) => WakeReason::Readable,
                Err(_) => WakeReason::ReceiveError,
            },
        }
    }
}

/// Waits for ever where there is no socket.
async fn readable(socket: Option<&Transport>, strangers: &WaitingDatagrams) -> std::io::Result<()> {
    match socket {
        Some(_) if !strangers.is_empty() => Ok(()),
        Some(socket) => socket.readable().await,
        None => std::future::pending().await,
    }
}

/// Waits for ever where nobody stands between.
async fn released(intercepted: Option<&mut Intercepted>) -> Option<Released> {
    match intercepted {
        Some(intercepted) => intercepted.released().await,
        None => std::future::pending().await,
    }
}

/// Waits for ever where there are no streams.
async fn arrival<P: Clone + Send + 'static>(
    streams: Option<&mut Streams<P>>,
) -> Option<StreamArrival<P>> {
    match streams {
        Some(streams) => streams.receive().await,
        None => std::future::pending().await,
    }
}
