//! What a task seldom waits for in vain, told apart from what wakes it all the time.
//!
//! A node waits for half a dozen things, and nearly always it is a datagram that comes. To ask all
//! the others again at each takes a tenth of the time that a datagram takes. So they are given a
//! waker of their own, which says that one of them has something, and nobody asks before it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Rings when something behind it is ready. Rings at first, so that all is asked once.
#[derive(Debug, Default)]
pub(super) struct Bell {
    /// With the waker that is made of it; `None` before anything was asked.
    line: Option<(Arc<Line>, Waker)>,
}

/// What a waker behind the bell leads to.
#[derive(Debug)]
struct Line {
    rang: AtomicBool,
    task: Waker,
}

impl Wake for Line {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl Bell {
    /// Has all be asked at the next poll: there is something new behind the bell, whose waker it
    /// has not got.
    pub(super) fn ring(&self) {
        if let Some((line, _)) = &self.line {
            line.rang.store(true, Ordering::Release);
        }
    }

    /// Asks what is behind the bell, if that has rung since. What is asked keeps the waker that it
    /// was given, though it may be dropped in between.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        ask: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let line = self.line.take().filter(|(line, _)| line.task.will_wake(cx.waker()));
        let (line, waker) = line.unwrap_or_else(|| Line::to(cx.waker()));
        let mut asked = Poll::Pending;
        if line.rang.swap(false, Ordering::AcqRel) {
            asked = ask(&mut Context::from_waker(&waker));
        }
        self.line = Some((line, waker));
        if asked.is_ready() {
            // The others may not have been asked.
            self.ring();
        }
        asked
    }
}

impl Line {
    fn to(task: &Waker) -> (Arc<Self>, Waker) {
        let line = Arc::new(Self { rang: AtomicBool::new(true), task: task.clone() });
        (Arc::clone(&line), line.into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

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
        let (task, mut bell) = (Arc::new(Task::default()), Bell::default());
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
        let (waker, mut bell) = (Waker::from(Arc::new(Task::default())), Bell::default());
        assert!(asked(&mut bell, &waker, Poll::Ready(())).is_some());
        assert!(asked(&mut bell, &waker, Poll::Pending).is_some());
        assert!(asked(&mut bell, &waker, Poll::Pending).is_none());
    }

    #[test]
    fn another_task_has_all_asked_anew_for_the_wakers_are_those_of_the_last() {
        let (first, second) = (Arc::new(Task::default()), Arc::new(Task::default()));
        let mut bell = Bell::default();
        asked(&mut bell, &first.into(), Poll::Pending);
        let rings = asked(&mut bell, &Arc::clone(&second).into(), Poll::Pending);
        rings.expect("it is asked again").wake();
        assert_eq!(second.0.load(Ordering::Relaxed), 1);
    }
}
