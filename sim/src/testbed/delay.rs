//! The delay line: packets wait in it for their time, to a fraction of a millisecond.
//!
//! A thread of its own, because the timers of the nodes' runtime go by whole milliseconds, which
//! over a few hops would be a tenth of what is measured.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rumormill::net::Departure;
use rumormill::time::Instant;

use super::clock::Clock;

/// Packets on their way.
#[derive(Debug)]
pub(super) struct DelayLine {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    state: Mutex<DelayState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct DelayState {
    /// By time, then by order of entry.
    flights: BTreeMap<(Instant, u64), Departure>,
    entered: u64,
    is_closed: bool,
}

impl DelayLine {
    pub(super) fn new(clock: Clock) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { clock, state, changed });
        let of_thread = Arc::clone(&shared);
        let thread = thread::spawn(move || of_thread.run());
        Self { shared, thread: Mutex::new(Some(thread)) }
    }

    /// Sends a packet when its time has come.
    pub(super) fn send_at(&self, at: Instant, departure: Departure) {
        if at <= self.shared.clock.now() {
            return send(&departure);
        }
        let mut state = self.shared.state();
        if state.is_closed {
            return;
        }
        state.entered += 1;
        let place = (at, state.entered);
        state.flights.insert(place, departure);
        let is_first = state.flights.first_key_value().is_some_and(|(&first, _)| first == place);
        drop(state);
        if is_first {
            self.shared.changed.notify_one();
        }
    }

    /// Drops what still waits, and ends the thread.
    pub(super) fn close(&self) {
        let mut state = self.shared.state();
        state.is_closed = true;
        state.flights.clear();
        drop(state);
        self.shared.changed.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.join().expect("nothing in the thread panics");
        }
    }
}

impl Drop for DelayLine {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, DelayState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.state();
        while !state.is_closed {
            let now = self.clock.now();
            match state.flights.first_entry() {
                None => {
                    let waited = self.changed.wait(state);
                    state = waited.unwrap_or_else(PoisonError::into_inner);
                }
                Some(first) if first.key().0 > now => {
                    let wait = first.key().0 - now;
                    let waited = self.changed.wait_timeout(state, wait);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                Some(first) => {
                    let departure = first.remove();
                    drop(state);
                    send(&departure);
                    drop(departure);
                    state = self.state();
                }
            }
        }
    }
}

/// What the system does not take shows as a packet that never arrives.
fn send(departure: &Departure) {
    let _ = departure.send();
}
