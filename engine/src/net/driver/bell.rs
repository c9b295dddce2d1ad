//! What a task seldom waits for in vain, told apart from what wakes it all the time.
//!
//! A node waits for half a dozen things, and nearly always it is a datagram that comes. To ask all
//! the others again at each takes a tenth of the time that a datagram takes. So they are given a
//! waker of their own, which says that one of them has something, and nobody asks before it does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use super::line::{CallNote, Line};

/// Rings when something behind it is ready. Rings at first, so that all is asked once.
#[derive(Debug)]
pub(super) struct Bell {
    line: Line<Rang>,
}

/// Whether it rang since all was asked.
#[derive(Debug)]
struct Rang(AtomicBool);

impl CallNote for Rang {
    fn take_down(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Bell {
    pub(super) fn new() -> Self {
        Self { line: Line::new() }
    }

    /// Has all be asked at the next poll: there is something new behind the bell, whose waker it
    /// has not got.
    pub(super) fn ring(&self) {
        if let Some(rang) = self.line.note() {
            rang.take_down();
        }
    }

    /// Asks what is behind the bell, if that has rung since. What is asked keeps the waker that it
    /// was given, though it may be dropped in between.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        ask: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let (rang, waker) = self.line.to(cx.waker(), || Rang(AtomicBool::new(true)));
        if !rang.0.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let asked = ask(&mut Context::from_waker(waker));
        if asked.is_ready() {
            // The others may not have been asked.
            rang.take_down();
        }
        asked
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::{Wake, Waker};

    use super::*;

    /// Counts how often a task is woken.
    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Something to wait for that keeps the waker of who asked.
    fn asked(bell: &mut Bell, task: &Waker, ready: Poll<()>) -> Option<Waker> {
        let mut given = None;
        let polled = bell.poll(&mut Context::from_waker(task), |cx| {
            given = Some(cx.waker().clone());
            ready
        });
        assert_eq!(polled.is_ready(), given.is_some() && ready.is_ready());
        given
    }

    #[test]
    fn what_is_behind_it_is_asked_at_first_and_then_once_for_each_time_it_rings() {
        let (task, mut bell) = (Arc::new(Task::default()), Bell::new());
        let waker = Waker::from(Arc::clone(&task));
        let rings = asked(&mut bell, &waker, Poll::Pending).expect("it rings at first");
        assert!(asked(&mut bell, &waker, Poll::Pending).is_none());
        rings.wake_by_ref();
        rings.wake();
        assert_eq!(task.0.load(Ordering::Relaxed), 2, "the task is woken");
        assert!(asked(&mut bell, &waker, Poll::Pending).is_some());
        assert!(asked(&mut bell, &waker, Poll::Pending).is_none());
        bell.ring();
        assert!(asked(&mut bell, &waker, Poll::Pending).is_some(), "there is something new");
    }

    #[test]
    fn when_one_thing_is_ready_the_others_are_asked_next_time() {
        let (waker, mut bell) = (Waker::from(Arc::new(Task::default())), Bell::new());
        assert!(asked(&mut bell, &waker, Poll::Ready(())).is_some());
        assert!(asked(&mut bell, &waker, Poll::Pending).is_some());
        assert!(asked(&mut bell, &waker, Poll::Pending).is_none());
    }

    #[test]
    fn another_task_has_all_asked_anew_for_the_wakers_are_those_of_the_last() {
        let (first, second) = (Arc::new(Task::default()), Arc::new(Task::default()));
        let mut bell = Bell::new();
        asked(&mut bell, &first.into(), Poll::Pending);
        let rings = asked(&mut bell, &Arc::clone(&second).into(), Poll::Pending);
        rings.expect("it is asked again").wake();
        assert_eq!(second.0.load(Ordering::Relaxed), 1);
    }
}
