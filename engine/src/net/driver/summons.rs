//! How long a node was kept waiting after something had come for it.
//!
//! Where a processor has too much to do, a datagram waits though nobody is slow but the reader
//! itself: its task is called, and gets its turn later. A clock for each datagram would be dear,
//! and one for each turn would not tell a node that had no turn from one that had nothing to do. So
//! the time is noted when the task is called.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::super::clock::Clock;
use crate::time::Instant;

/// When a task was called.
#[derive(Debug)]
pub(super) struct Summons {
    clock: Clock,
    /// With the waker that is made of it; `None` before anything was waited for.
    line: Option<(Arc<CalledTask>, Waker)>,
}

/// What the waker leads to.
#[derive(Debug)]
struct CalledTask {
    clock: Clock,
    /// Zero when nobody has called since that was last looked at.
    called_at: AtomicU64,
    task: Waker,
}

impl Wake for CalledTask {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let now = self.clock.mono().as_nanos();
        // Who is called already waits since then.
        let _ = self.called_at.compare_exchange(0, now, Ordering::AcqRel, Ordering::Relaxed);
        self.task.wake_by_ref();
    }
}

impl Summons {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, line: None }
    }

    /// Asks something that calls the task by this.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        ask: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if !self.line.as_ref().is_some_and(|(line, _)| line.task.will_wake(cx.waker())) {
            let (clock, task) = (self.clock, cx.waker().clone());
            let line = Arc::new(CalledTask { clock, called_at: AtomicU64::new(0), task });
            self.line = Some((Arc::clone(&line), line.into()));
        }
        let (_, waker) = self.line.as_ref().expect("it was made");
        ask(&mut Context::from_waker(waker))
    }

    /// Since when the task is called, if it is; it has its turn now.
    pub(super) fn take(&self) -> Option<Instant> {
        let (line, _) = self.line.as_ref()?;
        let called_at = line.called_at.swap(0, Ordering::AcqRel);
        (called_at > 0).then(|| Instant::from_nanos(called_at))
    }
}

#[cfg(test)]
mod tests {
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
