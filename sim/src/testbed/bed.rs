//! What stands between real nodes and their sockets: the link model, and the notes of the run.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rumormill::Event;
use rumormill::core::{Class, Engine, Output, Packet};
use rumormill::link::Fate;
use rumormill::net::{Departure, Interceptor};
use tokio::sync::watch;

use super::book::Book;
use super::clock::Clock;
use super::delay::DelayLine;
use super::log::{Arrival, Happening, Log, LogVerdict};
use crate::observe::cast::IncarnationNo;
use crate::observe::traffic::HEADERS;
use crate::observe::weather::{Weather, Whims};
use crate::scenario::plan::{Action, NodeNo, Plan};
use crate::world::trace::content;

/// The network of one run.
#[derive(Debug)]
pub(super) struct Bed {
    clock: Clock,
    book: Book,
    log: Log,
    weather: Mutex<Weather>,
    line: DelayLine,
}

impl Bed {
    pub(super) fn new(plan: &Plan, book: Book, log: Log, clock: Clock) -> Self {
        let weather = Mutex::new(Weather::new(plan));
        Self { clock, book, log, weather, line: DelayLine::new(clock) }
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    pub(super) fn book(&self) -> &Book {
        &self.book
    }

    pub(super) fn act(&self, number: usize, action: &Action) {
        self.weather().act(action.at, number, action);
    }

    /// Drops what is under way; nothing flies any more. Returns what links did by themselves.
    pub(super) fn close(&self) -> Whims {
        self.line.close();
        Whims::of(&self.weather().links)
    }

    fn weather(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides what becomes of a packet from this node on, notes it, and sends it so.
    fn forward(&self, incarnation: IncarnationNo, from: NodeNo, departure: Departure) {
        let (at, to, len) = (self.clock.now(), departure.to(), departure.encoded_len());
        let verdict = self.book.node(to).map_or(LogVerdict::Nobody, |to| {
            let links = &mut self.weather().links;
            LogVerdict::Decided(match departure.class() {
                Class::Datagram => links.fate(at, from, to, len + HEADERS as usize),
                Class::Stream => links.stream(at, from, to, len),
            })
        });
        let packet = Arc::clone(departure.packet());
        self.log.note(at, Happening::Departure { incarnation, to, packet, len, verdict });
        if let LogVerdict::Decided(Fate::Delivered { at, again }) = verdict {
            if let Some(again) = again {
                self.line.send_at(again, departure.clone());
            }
            self.line.send_at(at, departure);
        }
    }
}

/// Stands between one incarnation and the bed.
#[derive(Debug)]
pub(super) struct Tap {
    bed: Arc<Bed>,
    incarnation: IncarnationNo,
    node: NodeNo,
    /// It has crashed: what its task still does before it notices has not happened.
    is_dead: AtomicBool,
    /// Whether its process runs, or is paused.
    flow: watch::Sender<Flow>,
}

/// Whether a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Running,
    Paused,
}

impl Tap {
    pub(super) fn new(bed: Arc<Bed>, incarnation: IncarnationNo, node: NodeNo) -> Self {
        let flow = watch::Sender::new(Flow::Running);
        Self { bed, incarnation, node, is_dead: AtomicBool::new(false), flow }
    }

    /// From now on nothing that the node does is seen by anybody.
    pub(super) fn kill(&self) {
        self.is_dead.store(true, Ordering::SeqCst);
        // A paused process must run to its end.
        self.set(Flow::Running);
    }

    /// Pauses the process, or lets it go on.
    pub(super) fn set(&self, flow: Flow) {
        self.flow.send_replace(flow);
    }

    fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::SeqCst)
    }
}

impl Interceptor for Tap {
    fn on_input(&self, packet: Option<(SocketAddr, &Packet)>, outputs: &[Output]) {
        let events: Vec<Event> = outputs.iter().filter_map(event).cloned().collect();
        if self.is_dead() || (packet.is_none() && events.is_empty()) {
            return;
        }
        let arrival = |(from, packet): (SocketAddr, &Packet)| Arrival {
            from,
            content: content::<Engine>(packet),
        };
        let (incarnation, packet) = (self.incarnation, packet.map(arrival));
        let input = Happening::Input { incarnation, packet, events };
        self.bed.log.note(self.bed.clock.now(), input);
    }

    fn on_departure(&self, departure: Departure) {
        if !self.is_dead() {
            self.bed.forward(self.incarnation, self.node, departure);
        }
    }

    fn hold(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut flow = self.flow.subscribe();
        Box::pin(async move {
            // Its sender is ours, so this ends only when the process runs.
            let _ = flow.wait_for(|flow| *flow == Flow::Running).await;
        })
    }
}

fn event(output: &Output) -> Option<&Event> {
    match output {
        Output::Event(event) => Some(event),
        Output::Send { .. } | Output::Answer(_) | Output::Flush => None,
    }
}
