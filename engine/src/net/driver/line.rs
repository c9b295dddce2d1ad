//! A waker of its own between a task and what it waits for, which takes a note when it is called.

use std::sync::Arc;
use std::task::{Wake, Waker};

/// What is to be noted when something calls.
pub(super) trait CallNote: Send + Sync + 'static {
    fn take_down(&self);
}

/// The way from what calls to a task; made when something is first waited for.
#[derive(Debug)]
pub(super) struct Line<N> {
    caller: Option<(Arc<NotingCaller<N>>, Waker)>,
}

/// What the waker leads to.
#[derive(Debug)]
struct NotingCaller<N> {
    note: N,
    task: Waker,
}

impl<N: CallNote> Wake for NotingCaller<N> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.note.take_down();
        self.task.wake_by_ref();
    }
}

impl<N: CallNote> Line<N> {
    pub(super) fn new() -> Self {
        Self { caller: None }
    }

    /// The note and the waker before a task, with a new note where it is another than the last.
    pub(super) fn to(&mut self, task: &Waker, note: impl FnOnce() -> N) -> (&N, &Waker) {
        let kept = self.caller.take().filter(|(caller, _)| caller.task.will_wake(task));
        let (caller, waker) = self.caller.insert(kept.unwrap_or_else(|| {
            let caller = Arc::new(NotingCaller { note: note(), task: task.clone() });
            (Arc::clone(&caller), caller.into())
        }));
        (&caller.note, waker)
    }

    /// The note; `None` before anything was waited for.
    pub(super) fn note(&self) -> Option<&N> {
        self.caller.as_ref().map(|(caller, _)| &caller.note)
    }
}
