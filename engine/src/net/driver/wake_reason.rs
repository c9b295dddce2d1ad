//! What a driver waits for, in the order in which it is looked at.

use std::future::poll_fn;
use std::pin::{Pin, pin};

use tokio::sync::watch;
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
use super::keeping::Flushed;

/// Why the driver woke up.
pub(super) enum WakeReason<P> {
    Due,
    Request(Request),
    Places(Vec<SeedPlace>),
    Report(SideReport),
    /// What was to be kept is, or could not be.
    Flushed(Box<Result<Flushed, JoinError>>),
    Arrival(StreamArrival<P>),
    /// The interceptor lets it go by stream.
    Released(Released),
    Readable,
    ReceiveError,
    /// A task of the driver's own is over.
    TaskEnded(Result<(), JoinError>),
    HandleGone,
}

/// The next change of what the seeds stand for, kept from one wake-up to the next.
pub(super) type NextPlaces = Pin<Box<dyn Future<Output = watch::Receiver<Vec<SeedPlace>>> + Send>>;

/// Waits for a change; for ever where nobody looks the seeds up any more.
pub(super) fn next_places(mut places: watch::Receiver<Vec<SeedPlace>>) -> NextPlaces {
    Box::pin(async move {
        match places.changed().await {
            Ok(()) => places,
            Err(_) => std::future::pending().await,
        }
    })
}

impl<D: Dialect> Running<D> {
    pub(super) async fn wake(&mut self) -> WakeReason<D::Packet> {
        let driver = &mut self.driver;
        let dues = [
            driver.engine.deadline(),
            driver.contacts.deadline(),
            self.listing.deadline(),
            driver.keeping.deadline(),
        ];
        let due = dues.into_iter().flatten().min().map(|deadline| driver.clock.at(deadline));
        if let Some(due) = due.filter(|&due| due != self.alarm.deadline()) {
            self.alarm.as_mut().reset(due);
        }
        let (bell, heed_handle) = (&mut self.bell, self.answers.heed_handle());
        let (requests, reports) = (&mut driver.requests, &mut driver.reports);
        let (tasks, streams) = (&mut driver.tasks, &mut driver.streams);
        let keeping = &mut driver.keeping;
        let (intercepted, next_places) = (&mut driver.intercepted, &mut self.next_places);
        let seldom = poll_fn(|cx| {
            bell.poll(cx, |cx| {
                let seldom = async {
                    tokio::select! {
                        biased;
                        request = requests.recv(), if heed_handle => {
                            request.map_or(WakeReason::HandleGone, WakeReason::Request)
                        }
                        mut places = next_places.as_mut() => {
                            let found = places.borrow_and_update().clone();
                            *next_places = self::next_places(places);
                            WakeReason::Places(found)
                        }
                        Some(report) = reports.recv() => WakeReason::Report(report),
                        flushed = keeping.flushed() => WakeReason::Flushed(flushed.into()),
                        Some(ended) = tasks.join_next() => WakeReason::TaskEnded(ended),
                        Some(arrival) = arrival(streams.as_mut()) => WakeReason::Arrival(arrival),
                        Some(released) = released(intercepted.as_mut()) => {
                            WakeReason::Released(released)
                        }
                    }
                };
                pin!(seldom).poll(cx)
            })
        });
        let summons = &mut self.summons;
        let mut readable = pin!(readable(driver.socket.as_ref(), &self.strangers));
        let readable = poll_fn(|cx| summons.poll(cx, |cx| readable.as_mut().poll(cx)));
        tokio::select! {
            biased;
            () = self.alarm.as_mut(), if due.is_some() => WakeReason::Due,
            reason = seldom => reason,
            readable = readable => match readable {
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
