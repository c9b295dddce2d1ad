//! What becomes of a node's task: however it ends, those who follow the node are told.
//!
//! A task can end in three ways: it was told to, it panicked, or the runtime went and dropped it
//! where it stood. Only the first two can say something at their end, so telling is left to a
//! guard that the task owns, and that is dropped in each case.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::Poll;

use tokio::task::JoinError;

use super::view::{Notice, Shared, View};
use crate::text::Printable;

/// Most characters of a panic's message that are kept: an assertion quotes what it compared.
const PANIC_CHARS_MAX: usize = 1_000;

/// Why a node has ended without having been told to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Ended {
    /// Its task panicked: a fault of this crate or of an interceptor. On one line, what it said.
    #[error("its task panicked: {0}")]
    Panicked(String),
    /// The runtime in which it joined was shut down.
    #[error("the tokio runtime in which it joined was shut down")]
    RuntimeGone,
}

/// How a task comes to its end.
#[derive(Debug)]
pub(crate) enum End {
    /// It said goodbye, as it was told.
    Left,
    /// Nobody holds the node any more.
    HandleGone,
    /// It ends for another reason.
    Failed(Ended),
}

/// What a task shows of its node. Dropped, the node is shown no more, and those who follow it are
/// told how it ended.
#[derive(Debug)]
pub(crate) struct Presence {
    shared: Shared,
    end: End,
}

impl Presence {
    /// Until the task says otherwise, its end is that of its runtime: nobody else drops it.
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared, end: End::Failed(Ended::RuntimeGone) }
    }

    /// What readers see.
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Notes how the task is about to end.
    pub(crate) fn end(&mut self, end: End) {
        self.end = end;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if self.shared.is_abandoned() {
            return;
        }
        let (notice, ended) = match &self.end {
            End::HandleGone => return,
            End::Left => (Notice::Left, None),
            End::Failed(ended) => (Notice::Ended(ended.clone()), Some(ended.clone())),
        };
        if let Some(ended) = &ended {
            let local = self.shared.view.borrow().local.clone();
            let node = local.map(|local| local.node.addr());
            tracing::error!(?node, %ended, "a node has ended");
        }
        let empty = |view: &mut View| {
            *view = View { generation: view.generation, ended, ..View::default() };
        };
        self.shared.change(vec![notice], empty);
    }
}

/// Runs a future to its end; or until it panics, and then gives the panic's message.
pub(super) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    poll_fn(|context| {
        // The future is never polled again after a panic.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(message(&*panic))),
        }
    })
    .await
}

/// The message in one line, for it ends in logs and on terminals.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    let text: String = text.unwrap_or("it gave no message").chars().take(PANIC_CHARS_MAX).collect();
    Printable(text).to_string()
}

/// Panics as a task did that the node can't do without; one that was cancelled, was so with all
/// others by the runtime.
pub(super) fn panic_with(ended: Result<(), JoinError>) {
    if let Some(panic) = panic_of(ended) {
        resume_unwind(panic);
    }
}

fn panic_of(ended: Result<(), JoinError>) -> Option<Box<dyn Any + Send>> {
    ended.err().and_then(|error| error.try_into_panic().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_caught_with_its_message_on_one_line() {
        let lost = 7;
        assert_eq!(caught(async { lost }).await, Ok(7));
        let fixed = caught(async { panic!("as it is") }).await;
        assert_eq!(fixed, Err::<(), _>("as it is".into()));
        let lines = caught(async { panic!("{lost} lost\n\u{1b}[2Jnow") }).await;
        assert_eq!(lines, Err::<(), _>("7 lost\\n\\u{1b}[2Jnow".into()));
        let long = caught(async { panic!("{}", "é".repeat(5_000)) }).await;
        assert_eq!(long, Err::<(), _>("é".repeat(PANIC_CHARS_MAX)));
        let other = caught(async { std::panic::panic_any(7) }).await;
        assert_eq!(other, Err::<(), _>("it gave no message".into()));
    }

    #[tokio::test]
    async fn a_task_that_was_cancelled_panics_nobody_and_one_that_panicked_does() {
        let cancelled = tokio::spawn(std::future::pending());
        cancelled.abort();
        panic_with(cancelled.await);
        panic_with(tokio::spawn(async {}).await);
        let panicked = tokio::spawn(async { panic!("of its own") }).await;
        assert_eq!(caught(async { panic_with(panicked) }).await, Err("of its own".into()));
    }
}
