//! Publishes whose callers wait: until readers see the value here, or until others hold it.

use tokio::sync::oneshot;

use crate::core::{NotConfirmed, Version};

/// Where the outcome of a publish goes.
pub(super) type Done = oneshot::Sender<Result<Version, NotConfirmed>>;

/// Those of one node.
#[derive(Debug, Default)]
pub(super) struct Publishes {
    /// What is to be told as soon as readers see it.
    settled: Vec<(Done, Result<Version, NotConfirmed>)>,
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
        self.settled.extend(waiting.map(|(done, _)| (done, published)));
    }

    /// Tells the callers, once readers see what they are told.
    pub(super) fn tell(&mut self) {
        for (done, published) in self.settled.drain(..) {
            // A caller that no longer waits has published all the same.
            let _ = done.send(published);
        }
    }
}
