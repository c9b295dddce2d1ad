//! What outlasts a node: written beside it, now and then, and before what says that it is held.
//!
//! One flush runs at a time, on a thread of its own. What comes up meanwhile goes with the next, so
//! that a slow disk makes flushes larger and not more, and delays nothing but what waits for it.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use super::super::dialect::Dialect;
use super::super::presence::{End, panic_with};
use super::super::view::Notice;
use super::Running;
use crate::core::{Answer, Moment, NotConfirmed, Outbox, Output};
use crate::state::{StateError, StateFolder};
use crate::time::{Instant, Now};

/// Most inputs whose outputs wait; of more the oldest go, as packets that are lost.
const WAITING_MAX: usize = 4_096;

/// What outlasts one node.
pub(crate) struct Keeping<P> {
    /// `None` where nothing does, and while it is written.
    folder: Option<StateFolder>,
    writing: Option<(JoinHandle<Flushed>, Moment)>,
    /// What is written.
    kept: Moment,
    period: Duration,
    /// When what has changed is written at the latest.
    due: Option<Instant>,
    /// How many flushes have begun.
    begun: u64,
    /// What waits until so many have ended.
    waiting: VecDeque<(u64, Vec<Output<P>>)>,
    health: FlushHealth,
}

/// Whether the last flush succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FlushHealth {
    Well,
    Failing,
}

/// What came of a flush.
pub(super) struct Flushed {
    folder: StateFolder,
    /// What is written now.
    kept: Moment,
    failure: Option<StateError>,
}

/// The events among what a node did when it took back what it had kept.
pub(super) fn notices_of<P>(mut taken_back: Outbox<P>) -> Vec<Notice> {
    let events = taken_back.drain().filter_map(|output| match output {
        Output::Event(event) => Some(Notice::Event(event)),
        Output::Send { .. } | Output::Answer(_) | Output::Flush => None,
    });
    events.collect()
}

impl<P> Keeping<P> {
    /// That of a node which has taken back what is in this folder, if it has one: of that the
    /// moment is known.
    pub(crate) fn new(folder: Option<StateFolder>, kept: Moment, period: Duration) -> Self {
        Self {
            folder,
            writing: None,
            kept,
            period,
            due: None,
            begun: 0,
            waiting: VecDeque::new(),
            health: FlushHealth::Well,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due.filter(|_| self.writing.is_none())
    }

    /// Waits for the end of a flush; for ever where none runs.
    pub(super) async fn flushed(&mut self) -> Result<Flushed, JoinError> {
        match &mut self.writing {
            Some((task, _)) => task.await,
            None => std::future::pending().await,
        }
    }

    fn begin(&mut self, moment: Moment) {
        let Some(mut folder) = self.folder.take() else { return };
        let (now, earlier) = (moment.clone(), mem::take(&mut self.kept));
        self.due = None;
        self.begun += 1;
        let write = move || {
            let failure = folder.write(&now, &earlier).err();
            let kept = if failure.is_none() { now } else { earlier };
            Flushed { folder, kept, failure }
        };
        self.writing = Some((spawn_blocking(write), moment));
    }

    fn end(&mut self, written: Flushed) -> Option<StateError> {
        let Flushed { folder, kept, failure } = written;
        (self.folder, self.kept, self.writing) = (Some(folder), kept, None);
        failure
    }

    /// What need not wait any longer.
    fn take_due(&mut self) -> Vec<Output<P>> {
        let ended = self.begun;
        let count = self.waiting.iter().take_while(|(until, _)| *until <= ended).count();
        self.waiting.drain(..count).flat_map(|(_, outputs)| outputs).collect()
    }
}

impl<D: Dialect> Running<D> {
    /// Has outputs wait until what the node holds now is kept.
    pub(super) fn keep_then(&mut self, outputs: Vec<Output<D::Packet>>) {
        let keeping = &mut self.driver.keeping;
        let held = self.driver.engine.moment_mark().held;
        let until = match &keeping.writing {
            Some((_, moment)) if moment.mark().held == held => keeping.begun,
            None if keeping.folder.is_none() || keeping.kept.mark().held == held => {
                return outputs.into_iter().for_each(|output| self.sort(output));
            }
            Some(_) | None => keeping.begun + 1,
        };
        if keeping.waiting.len() == WAITING_MAX {
            let oldest = keeping.waiting.pop_front().map(|(_, outputs)| outputs);
            self.give_up(oldest.unwrap_or_default());
        }
        self.driver.keeping.waiting.push_back((until, outputs));
    }

    /// Begins a flush if one is due, or something waits for it.
    pub(super) fn keep_in_time(&mut self, now: Now) {
        let keeping = &mut self.driver.keeping;
        if keeping.folder.is_none() {
            return;
        }
        let has_changed = self.driver.engine.moment_mark() != keeping.kept.mark();
        if has_changed && keeping.due.is_none() {
            keeping.due = Some(now.mono + keeping.period);
        }
        let is_awaited = keeping.health == FlushHealth::Well && !keeping.waiting.is_empty();
        let is_due = keeping.due.is_some_and(|due| due <= now.mono);
        if (is_awaited || is_due)
            && let Some(moment) = self.driver.engine.moment(now)
        {
            keeping.begin(moment);
            self.bell.ring();
        }
    }

    /// A flush has ended: what waited for it goes out, or is given up.
    pub(super) fn on_flushed(&mut self, written: Result<Flushed, JoinError>) {
        let written = match written {
            Ok(written) => written,
            Err(error) => return panic_with(Err(error)),
        };
        let failure = self.driver.keeping.end(written);
        let due = self.driver.keeping.take_due();
        let health = if failure.is_some() { FlushHealth::Failing } else { FlushHealth::Well };
        let before = mem::replace(&mut self.driver.keeping.health, health);
        match failure {
            None => due.into_iter().for_each(|output| self.sort(output)),
            Some(error) => {
                self.give_up(due);
                if before == FlushHealth::Well {
                    tracing::error!(%error, "what is to outlast this node cannot be written");
                    self.heard.push(Notice::NotKept(error.to_string()));
                }
            }
        }
        if (before, health) == (FlushHealth::Failing, FlushHealth::Well) {
            tracing::info!("what is to outlast this node is written again");
            self.heard.push(Notice::KeptAgain);
        }
    }

    /// What is not kept is not confirmed: packets are lost, and whoever waits hears that too few
    /// hold it.
    fn give_up(&mut self, outputs: Vec<Output<D::Packet>>) {
        let refused = |version| Err(NotConfirmed { version, held_by: 0 });
        for output in outputs {
            let Output::Answer(answer) = output else { continue };
            self.answers.note(match answer {
                Answer::Published(Ok(version)) => Answer::Published(refused(version)),
                Answer::Kept(key, Ok(version)) => Answer::Kept(key, refused(version)),
                answer => answer,
            });
        }
    }

    /// Writes what has changed once more, and lets go of the folder. After a fault nothing: what
    /// the node holds may be half of something.
    pub(super) async fn end_keeping(&mut self, end: &End) {
        if self.driver.keeping.writing.is_some()
            && let Ok(written) = self.driver.keeping.flushed().await
        {
            self.driver.keeping.end(written);
        }
        let keeping = &mut self.driver.keeping;
        let has_changed = self.driver.engine.moment_mark() != keeping.kept.mark();
        let now = self.driver.clock.now();
        if !matches!(end, End::Failed(_))
            && keeping.folder.is_some()
            && has_changed
            && let Some(moment) = self.driver.engine.moment(now)
        {
            keeping.begin(moment);
            if let Ok(Flushed { failure: Some(error), .. }) = keeping.flushed().await {
                tracing::error!(%error, "the last of what is to outlast this node is not written");
            }
        }
        keeping.folder = None;
    }
}
