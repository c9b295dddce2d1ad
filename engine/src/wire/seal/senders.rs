//! What is remembered of those whose packets were opened, so that none is taken twice, or late.
//!
//! Of a sender, known by its advertised address, a packet is taken when
//!
//! 1. its number in its epoch is new, and among the last 2,048;
//! 2. it was sent at most [`LATE_MAX`] before the newest packet of its sender that was heard;
//! 3. it was sent at a time that lies at most `clock_skew_max` from ours, before or after;
//! 4. it was sent after all that was sent by those who were forgotten before its sender was heard.
//!
//! The times are those of [`super::clock`], which go alike on all nodes and never go back. So the
//! second rule is exact: an honest sender falls under it only with a packet that others overtook
//! by so much. The third bounds what is held back from a receiver that hears nothing newer. Epochs
//! need no order of their own: of each that was heard within `LATE_MAX` the numbers are remembered,
//! and of all others nothing can have been heard that the second rule lets through.
//!
//! What was heard before we started, or before a sender was forgotten, can't be remembered: the
//! fourth rule refuses it. At the start that is all that was sent longer than `clock_skew_max` ago;
//! what is sent twice into that gap is taken twice, which does no harm: to hear a packet again is
//! what every handler is made for.
//!
//! Nothing is remembered, and no memory taken, for a packet whose tag is not good.

use std::collections::BTreeMap;
use std::time::Duration;

use aes_gcm::Aes256Gcm;

use super::header::{Epoch, Header};
use super::window::{Sighted, Window};
use crate::node::NodeId;
use crate::time::nanos;
use crate::wire::Reject;

/// How long a packet may be overtaken by others of its sender. Honest networks hold one for
/// seconds at most.
pub(super) const LATE_MAX: Duration = Duration::from_secs(10);

/// Most epochs of one sender that are remembered at a time. An honest one begins one in minutes,
/// and one whose clock is being set, some in a row.
const EPOCHS_MAX: usize = 8;

/// The senders that were heard, at most so many.
pub(super) struct Senders {
    by_id: BTreeMap<NodeId, Sender>,
    max: usize,
    skew_max: u64,
    /// The largest time of sending that was forgotten with a sender.
    forgotten: i64,
}

struct Sender {
    /// The epochs that were heard of late.
    heard: Vec<HeardEpoch>,
    /// The largest time of sending.
    sent: i64,
    /// What was sent no later may have been heard before.
    after: i64,
}

/// What was heard of one epoch.
struct HeardEpoch {
    epoch: Epoch,
    window: Window,
    /// The largest time of sending.
    sent: i64,
    cipher: Option<Cipher>,
}

/// A cipher that opened a packet, and the place of its secret in the keyring.
pub(super) struct Cipher {
    pub(super) key: usize,
    pub(super) cipher: Box<Aes256Gcm>,
}

impl Senders {
    pub(super) fn new(max: usize, skew_max: Duration, time: i64) -> Self {
        // A packet takes some time on its way, however well the clocks agree.
        let skew_max = nanos(skew_max.max(LATE_MAX));
        let forgotten = time.saturating_sub_unsigned(skew_max);
        Self { by_id: BTreeMap::new(), max, skew_max, forgotten }
    }

    /// Judges what a header claims at this time, and gives the cipher that opened its epoch.
    pub(super) fn judge(
        &self,
        header: &Header,
        time: i64,
    ) -> (Option<&Cipher>, Result<(), Reject>) {
        let Some(sender) = self.by_id.get(&header.sender) else {
            return (None, self.timely(header, time, self.forgotten));
        };
        let timely = self.timely(header, time, sender.after);
        match sender.heard(header.epoch) {
            Some(heard) => (heard.cipher.as_ref(), sender.look(heard, header, timely)),
            None if sender.is_late(header.sent) => (None, Err(Reject::ClockBack)),
            None => (None, timely),
        }
    }

    fn timely(&self, header: &Header, time: i64, after: i64) -> Result<(), Reject> {
        let is_timely = header.sent.abs_diff(time) <= self.skew_max && header.sent > after;
        if is_timely { Ok(()) } else { Err(Reject::Untimely) }
    }

    /// The largest time of sending that this node may have used before, as far as we know.
    pub(super) fn used_until(&self, sender: NodeId) -> i64 {
        self.by_id.get(&sender).map_or(self.forgotten, |sender| sender.sent.max(sender.after))
    }

    /// Notes a packet that was judged acceptable and whose tag is good. The cipher is one that
    /// was not known before.
    pub(super) fn admit(&mut self, header: &Header, cipher: Option<Cipher>) {
        let (sent, after) = (header.sent, self.forgotten);
        let new = || Sender { heard: Vec::with_capacity(1), sent, after };
        self.by_id.entry(header.sender).or_insert_with(new).admit(header, cipher);
        if self.by_id.len() > self.max {
            self.forget_one(header.sender);
        }
    }

    /// Forgets whose last packet is the oldest, and with it all that were sent no later.
    fn forget_one(&mut self, keep: NodeId) {
        let others = self.by_id.iter().filter(|&(&id, _)| id != keep);
        let oldest = others.min_by_key(|&(id, sender)| (sender.sent, id));
        let (id, sent) = oldest.map(|(&id, sender)| (id, sender.sent)).expect("there are others");
        self.by_id.remove(&id);
        self.forgotten = self.forgotten.max(sent);
    }

    /// Drops the ciphers, which are made anew from the keyring when they are needed.
    pub(super) fn drop_ciphers(&mut self) {
        for sender in self.by_id.values_mut() {
            for heard in &mut sender.heard {
                heard.cipher = None;
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }
}

impl Sender {
    fn heard(&self, epoch: Epoch) -> Option<&HeardEpoch> {
        self.heard.iter().find(|heard| heard.epoch == epoch)
    }

    /// Whether a packet was overtaken by so much.
    fn is_late(&self, sent: i64) -> bool {
        sent < self.sent.saturating_sub_unsigned(nanos(LATE_MAX))
    }

    fn look(
        &self,
        heard: &HeardEpoch,
        header: &Header,
        timely: Result<(), Reject>,
    ) -> Result<(), Reject> {
        let is_late = self.is_late(header.sent);
        match heard.window.look(header.counter) {
            Sighted::New if !is_late => timely,
            Sighted::Before if !is_late && timely.is_ok() => Err(Reject::Duplicate),
            Sighted::Before => Err(Reject::Replayed),
            Sighted::New | Sighted::Forgotten => Err(Reject::Outdated),
        }
    }

    fn admit(&mut self, header: &Header, cipher: Option<Cipher>) {
        match self.heard.iter_mut().find(|heard| heard.epoch == header.epoch) {
            Some(heard) => heard.note(header, cipher),
            None => {
                // Epochs are rare, and room for four would cost a kilobyte a sender.
                self.heard.reserve_exact(1);
                self.heard.push(HeardEpoch::new(header, cipher));
            }
        }
        self.sent = self.sent.max(header.sent);
        while self.heard.len() > EPOCHS_MAX {
            self.forget_one();
        }
        let oldest = self.sent.saturating_sub_unsigned(nanos(LATE_MAX));
        self.heard.retain(|heard| heard.sent >= oldest);
        self.heard.shrink_to_fit();
    }

    /// Forgets the epoch whose last packet is the oldest, and with it all that were sent no later.
    fn forget_one(&mut self) {
        let oldest = (0..self.heard.len()).min_by_key(|&place| self.heard[place].sent);
        let heard = self.heard.swap_remove(oldest.expect("there are some"));
        self.after = self.after.max(heard.sent);
    }
}

impl HeardEpoch {
    fn new(header: &Header, cipher: Option<Cipher>) -> Self {
        let (epoch, window) = (header.epoch, Window::new(header.counter));
        Self { epoch, window, sent: header.sent, cipher }
    }

    fn note(&mut self, header: &Header, cipher: Option<Cipher>) {
        self.window.note(header.counter);
        self.sent = self.sent.max(header.sent);
        self.cipher = cipher.or(self.cipher.take());
    }
}
