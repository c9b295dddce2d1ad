//! Publishes whose callers wait: until readers see the value here, or until others hold it.

use tokio::sync::oneshot;

use crate::core::{NotConfirmed, PublishError, Version};

/// What a publish came to.
pub(crate) type Published = Result<Version, Unmet>;

/// Where it is told.
pub(crate) type Done = oneshot::Sender<Published>;

/// Why a publish is not what its caller asked for.
#[derive(Clone, Debug)]
pub(crate) enum Unmet {
    /// It was not made.
    Refused(PublishError),
    /// It was, but too few others are known to hold it.
    NotConfirmed(NotConfirmed),
}

/// Those of one node.
#[derive(Debug, Default)]
pub(super) struct Publishes {
    /// What is to be told as soon as readers see it.
    settled: Vec<(Done, Published)>,
    unconfirmed: Vec<(Done, Version)>,
}

impl Publishes {
    /// Takes in one that so many others are to hold.
    pub(super) fn add(&mut self, version: Version, holders: usize, done: Done) {
        match holders {
            0 => self.settled.push((done, Ok(version))),
            _ => self.unconfirmed.push((done, version)),
        }
    }

    /// Notes the engine's answer to one.
    pub(super) fn settle(&mut self, published: Result<Version, NotConfirmed>) {
        let (Ok(version) | Err(NotConfirmed { version, .. })) = published;
        let waiting = self.unconfirmed.extract_if(.., |(_, asked)| *asked == version);
        let outcome = published.map_err(Unmet::NotConfirmed);
        self.settled.extend(waiting.map(|(done, _)| (done, outcome.clone())));
    }

    /// Notes that one was not made.
    pub(super) fn refuse(&mut self, done: Done, why: PublishError) {
        self.settled.push((done, Err(Unmet::Refused(why))));
    }

    /// Tells the callers, once readers see what they are told.
    pub(super) fn tell(&mut self) {
        for (done, published) in self.settled.drain(..) {
            // A caller that no longer waits has published all the same.
            let _ = done.send(published);
        }
    }
}
