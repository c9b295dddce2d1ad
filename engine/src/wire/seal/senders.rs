//! What is remembered of those whose packets were opened, so that none is taken twice.
//!
//! Of a sender, known by its advertised address, only the newest run counts: packets of an earlier
//! one are refused. A run that is new to us must show a time of sending near our own, because
//! what we heard of it before we started, or before it was forgotten, can't be remembered. What
//! is sent twice into that gap, at most `clock_skew_max` after our start, is taken twice, which
//! does no harm: to hear a packet again is what every handler is made for.
//!
//! Nothing is remembered, and no memory taken, for a packet whose tag is not good.

use std::collections::BTreeMap;
use std::time::Duration;

use aes_gcm::Aes256Gcm;

use super::header::{Epoch, Header};
use super::window::{Seen, Window};
use crate::node::NodeId;
use crate::time::{Instant, Now, UnixNanos, nanos};
use crate::wire::Reject;

/// The senders that were heard, at most so many.
pub(super) struct Senders {
    by_id: BTreeMap<NodeId, Box<Sender>>,
    max: usize,
    skew_max: Duration,
    /// The largest time of sending that was forgotten with a sender.
    forgotten: i64,
}

struct Sender {
    epoch: Epoch,
    window: Window,
    /// The largest time of sending.
    sent: i64,
    /// When it was last heard, on our clock.
    heard: Instant,
    cipher: Option<Cipher>,
}

/// A cipher that opened a packet, and the place of its secret in the keyring.
pub(super) struct Cipher {
    pub(super) key: usize,
    pub(super) cipher: Aes256Gcm,
}

impl Senders {
    pub(super) fn new(max: usize, skew_max: Duration, wall: UnixNanos) -> Self {
        let forgotten = wall.0.saturating_sub(signed(skew_max));
        Self { by_id: BTreeMap::new(), max, skew_max, forgotten }
    }

    /// Judges what a header claims, and gives the cipher that opened this run before.
    pub(super) fn judge(&self, header: &Header, now: Now) -> Result<Option<&Cipher>, Reject> {
        let Some(sender) = self.by_id.get(&header.sender) else {
            return self.timely(header, now, self.forgotten);
        };
        if header.epoch == sender.epoch {
            return match sender.window.look(header.counter) {
                Seen::New => Ok(sender.cipher.as_ref()),
                Seen::Before => Err(Reject::Replayed),
                Seen::Forgotten => Err(Reject::Outdated),
            };
        }
        if header.epoch > sender.epoch {
            return self.timely(header, now, self.forgotten);
        }
        // One that was started again with its clock set back is heard once its former run has
        // been silent for so long that none of its packets would be timely.
        if now.mono - sender.heard <= self.skew_max {
            return Err(Reject::Outdated);
        }
        self.timely(header, now, self.forgotten.max(sender.sent))
    }

    fn timely(&self, header: &Header, now: Now, after: i64) -> Result<Option<&Cipher>, Reject> {
        let skew = header.sent.abs_diff(now.wall.0);
        let is_timely = skew <= nanos(self.skew_max) && header.sent > after;
        if is_timely { Ok(None) } else { Err(Reject::Untimely) }
    }

    /// Notes a packet that was judged acceptable and whose tag is good. The cipher is one that
    /// was not known before.
    pub(super) fn admit(&mut self, header: &Header, now: Now, cipher: Option<Cipher>) {
        if let Some(sender) = self.by_id.get_mut(&header.sender)
            && sender.epoch == header.epoch
        {
            sender.window.note(header.counter);
            sender.sent = sender.sent.max(header.sent);
            sender.heard = now.mono;
            sender.cipher = cipher.or(sender.cipher.take());
            return;
        }
        let (epoch, window) = (header.epoch, Window::new(header.counter));
        let sender = Sender { epoch, window, sent: header.sent, heard: now.mono, cipher };
        self.by_id.insert(header.sender, sender.into());
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
            sender.cipher = None;
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }
}

fn signed(duration: Duration) -> i64 {
    i64::try_from(nanos(duration)).unwrap_or(i64::MAX)
}
