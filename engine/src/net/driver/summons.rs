//! How long a node was kept waiting after something had come for it.
//!
//! Where a processor has too much to do, a datagram waits though nobody is slow but the reader
//! itself: its task is called, and gets its turn later. A clock for each datagram would be dear,
//! and one for each turn would not tell a node that had no turn from one that had nothing to do. So
//! the time is noted when the task is called.

use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use super::super::clock::Clock;
use super::line::{CallNote, Line};
use crate::time::Instant;

/// When a task was called.
#[derive(Debug)]
pub(super) struct Summons {
    clock: Clock,
    line: Line<CalledAt>,
}

/// Since when somebody calls.
#[derive(Debug)]
struct CalledAt {
    clock: Clock,
    /// Zero when nobody has called since that was last looked at.
    nanos: AtomicU64,
}

impl CallNote for CalledAt {
    fn take_down(&self) {
        let now = self.clock.mono().as_nanos();
        // Who is called already waits since then.
        let _ = self.nanos.compare_exchange(0, now, Ordering::AcqRel, Ordering::Relaxed);
    }
}

impl Summons {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, line: Line::new() }
    }

    /// Asks something that calls the task by this.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        ask: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let clock = self.clock;
        let (_, waker) = self.line.to(cx.waker(), || CalledAt { clock, nanos: AtomicU64::new(0) });
        ask(&mut Context::from_waker(waker))
    }

    /// Since when the task is called, if it is; it has its turn now.
    pub(super) fn take(&self) -> Option<Instant> {
        let called_at = self.line.note()?.nanos.swap(0, Ordering::AcqRel);
        (called_at > 0).then(|| Instant::from_nanos(called_at))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_has_waited_since_it_was_first_called_and_whoever_has_its_turn_waits_no_more() {
        let clock = Clock::start();
        let mut summons = Summons::new(clock);
        let (mut rings, ahead) = (None, Duration::from_millis(300));
        let polled = summons.poll(&mut Context::from_waker(Waker::noop()), |cx| {
            rings = Some(cx.waker().clone());
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
        let rings = rings.expect("it is asked");
        tokio::time::advance(ahead).await;
        assert_eq!(summons.take(), None, "nobody has called");
        let called = clock.mono();
        rings.wake_by_ref();
        tokio::time::advance(ahead).await;
        rings.wake_by_ref();
        assert_eq!(summons.take(), Some(called));
        assert_eq!(summons.take(), None);
    }
}
