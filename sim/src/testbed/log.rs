//! What happens in a run in real time, noted by whoever sees it and put in order afterwards.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use rumormill::Event;
use rumormill::core::{Packet, Record, Stats};
use rumormill::link::Fate;
use rumormill::time::Instant;

use super::TestbedError;
use crate::observe::cast::IncarnationNo;

/// Most entries of one run: they are kept in memory until its end.
const ENTRIES_MAX: usize = 1 << 22;

/// Something that happened at a time.
#[derive(Clone, Debug)]
pub(super) struct LogEntry {
    pub(super) at: Instant,
    pub(super) what: Happening,
}

/// What happened.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    /// A node starts, as this record.
    Begin { incarnation: IncarnationNo, record: Arc<Record> },
    /// The action of the plan at this place is done.
    Act(usize),
    /// A node took something in: a packet, or what it did by itself; and these events came of it.
    Input { incarnation: IncarnationNo, packet: Option<Arrival>, events: Vec<Event> },
    /// A node sent a packet, of which this becomes.
    Departure {
        incarnation: IncarnationNo,
        to: SocketAddr,
        packet: Arc<Packet>,
        len: usize,
        verdict: LogVerdict,
    },
    /// The filters of the kernel are as the last action wants them.
    Changed,
    /// The engine of a node is at its end, and this is what it had counted.
    Retire { incarnation: IncarnationNo, stats: Box<Stats> },
    /// Time for a row of the series; so many updates were made in all engines that run.
    Sample { updates: u64 },
}

/// What is known of a packet's fate when it is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum LogVerdict {
    /// The link model has decided it.
    Decided(Fate),
    /// The kernel decides it: it shows later.
    Kernel,
    /// Nobody ever has the address.
    Nobody,
}

/// A packet that came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) from: SocketAddr,
    /// The hash of its content.
    pub(super) content: u64,
}

/// Where entries go, from any thread.
#[derive(Clone, Debug)]
pub(super) struct Log {
    to: mpsc::Sender<LogEntry>,
    noted: Arc<AtomicUsize>,
}

impl Log {
    /// A log, and where its entries come out.
    pub(super) fn new() -> (Self, mpsc::Receiver<LogEntry>) {
        let (to, entries) = mpsc::channel();
        (Self { to, noted: Arc::default() }, entries)
    }

    /// Notes what happened.
    pub(super) fn note(&self, at: Instant, what: Happening) {
        if self.noted.fetch_add(1, Ordering::Relaxed) <= ENTRIES_MAX {
            // After the end of the run nobody reads any more.
            let _ = self.to.send(LogEntry { at, what });
        }
    }
}

/// All entries so far, in the order in which they happened; at one time, in that of the log.
///
/// # Errors
/// When there were too many.
pub(super) fn in_order(entries: &mpsc::Receiver<LogEntry>) -> Result<Vec<LogEntry>, TestbedError> {
    let mut entries: Vec<LogEntry> = entries.try_iter().collect();
    if entries.len() > ENTRIES_MAX {
        return Err(TestbedError::Unfit(format!(
            "more than {ENTRIES_MAX} packets and events: run fewer nodes or a shorter time with \
             --net"
        )));
    }
    entries.sort_by_key(|entry| entry.at);
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_out_in_order_of_time_whoever_noted_them() {
        let (log, entries) = Log::new();
        for ms in [5, 3, 9, 3] {
            log.note(Instant::from_nanos(ms), Happening::Act(ms as usize));
        }
        let times: Vec<_> =
            in_order(&entries).unwrap().iter().map(|entry| entry.at.as_nanos()).collect();
        assert_eq!(times, [3, 3, 5, 9]);
    }
}
