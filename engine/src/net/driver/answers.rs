//! Answers to what a handle asked: given once readers see what they tell of.

use std::collections::VecDeque;
use std::mem;

use tokio::sync::oneshot;

use super::super::request::{Deleted, Left, Published, Unmet, Written};
use crate::core::{Answer, EntryKey, NotConfirmed, Version};

/// Those of one node.
#[derive(Default)]
pub(super) struct Answers {
    /// What the engine answered, which may be before it is noted here who asked.
    answered: Vec<Answer>,
    /// What is to be told as soon as readers see it.
    settled: Vec<Box<dyn FnOnce() + Send>>,
    /// Publishes that others are to hold first.
    unconfirmed: Vec<(Version, oneshot::Sender<Published>)>,
    /// Puts that others are to hold first.
    unkept: Vec<((EntryKey, Version), oneshot::Sender<Written>)>,
    /// Who waits for what was written, in the order of asking: the engine answers at once.
    writing: VecDeque<WhoWrote>,
    stay: Stay,
}

/// Who has written, and waits to hear the version.
#[derive(Debug)]
pub(super) enum WhoWrote {
    Put(oneshot::Sender<Written>),
    /// The answer is for when others hold it.
    PutTo(EntryKey, oneshot::Sender<Written>),
    Delete(oneshot::Sender<Deleted>),
}

/// How far a node is with its leave.
#[derive(Debug, Default)]
enum Stay {
    /// It was not told to.
    #[default]
    Here,
    /// It goes by itself, and hears its handle no more.
    Leaving(oneshot::Sender<Left>),
    Gone,
}

impl Answers {
    /// Takes in what somebody is to be told.
    pub(super) fn settle<T: Send + 'static>(&mut self, asked: oneshot::Sender<T>, answer: T) {
        // For a caller that no longer waits all has been done the same.
        self.settled.push(Box::new(|| drop(asked.send(answer))));
    }

    /// Takes in who waits until others hold a version.
    pub(super) fn confirm(&mut self, version: Version, asked: oneshot::Sender<Published>) {
        self.unconfirmed.push((version, asked));
    }

    /// Takes in who is about to write.
    pub(super) fn write(&mut self, writer: WhoWrote) {
        self.writing.push_back(writer);
    }

    fn on_written(&mut self, written: Deleted) {
        let put = |written: Deleted| {
            let version = written.transpose().expect("a put that is made has a version");
            version.map_err(Unmet::Refused)
        };
        match self.writing.pop_front() {
            Some(WhoWrote::Put(asked)) => self.settle(asked, put(written)),
            Some(WhoWrote::PutTo(key, asked)) => match put(written) {
                Ok(version) => self.unkept.push(((key, version), asked)),
                refused => self.settle(asked, refused),
            },
            Some(WhoWrote::Delete(asked)) => self.settle(asked, written),
            None => {}
        }
    }

    /// Takes in who waits for the goodbye.
    pub(super) fn leave(&mut self, asked: oneshot::Sender<Left>) {
        self.stay = Stay::Leaving(asked);
    }

    /// Takes in what the engine answers.
    pub(super) fn note(&mut self, answer: Answer) {
        self.answered.push(answer);
    }

    fn on_published(&mut self, published: Result<Version, NotConfirmed>) {
        let (Ok(version) | Err(NotConfirmed { version, .. })) = published;
        for asked in take_waiting(&mut self.unconfirmed, &version) {
            self.settle(asked, published.map_err(Unmet::NotConfirmed));
        }
    }

    fn on_kept(&mut self, key: EntryKey, kept: Result<Version, NotConfirmed>) {
        let (Ok(version) | Err(NotConfirmed { version, .. })) = kept;
        for asked in take_waiting(&mut self.unkept, &(key, version)) {
            self.settle(asked, kept.map_err(Unmet::NotConfirmed));
        }
    }

    fn on_left(&mut self, left: Left) {
        if let Stay::Leaving(asked) = mem::replace(&mut self.stay, Stay::Gone) {
            self.settle(asked, left);
        }
    }

    /// Tells the callers, once readers see what they are told.
    pub(super) fn give(&mut self) {
        for answer in mem::take(&mut self.answered) {
            match answer {
                Answer::Published(published) => self.on_published(published),
                Answer::Kept(key, kept) => self.on_kept(key, kept),
                Answer::Written(written) => self.on_written(written),
                Answer::Left(left) => self.on_left(left),
            }
        }
        for give in self.settled.drain(..) {
            give();
        }
    }

    /// Whether the handle is heard: not any more once it has told the node to leave.
    pub(super) fn heed_handle(&self) -> bool {
        matches!(self.stay, Stay::Here)
    }

    /// Whether the goodbye is over.
    pub(super) fn have_left(&self) -> bool {
        matches!(self.stay, Stay::Gone)
    }
}

/// Takes out those who wait for this.
fn take_waiting<K: PartialEq, T>(waiting: &mut Vec<(K, T)>, what: &K) -> Vec<T> {
    waiting.extract_if(.., |(awaited, _)| awaited == what).map(|(_, asked)| asked).collect()
}
