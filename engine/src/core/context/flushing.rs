//! Flushing: what a node says that it holds, it says after that outlasts a crash.
//!
//! Others count on it: who published or put a value is told that so many hold it, and of a cluster
//! of which all nodes go at once that is what comes back. Only what says so waits; all else, and
//! above all what shows that we live, goes on.

use super::Context;
use crate::core::io::{Answer, Output};
use crate::core::packet::{Body, Call};

impl Context<'_> {
    /// Puts what says that something is held behind a flush.
    pub(crate) fn flush_first(&mut self) {
        let keeps = self.config.state_dir().is_some();
        if !keeps || !self.out.of_this_input().iter().any(confirms) {
            return;
        }
        let outputs = self.out.take_of_this_input();
        let (confirming, rest): (Vec<_>, Vec<_>) = outputs.into_iter().partition(confirms);
        rest.into_iter().for_each(|output| self.out.push(output));
        self.out.push(Output::Flush);
        confirming.into_iter().for_each(|output| self.out.push(output));
    }
}

/// Whether somebody takes it for a word that a value is held, here or by others.
fn confirms(output: &Output) -> bool {
    match output {
        Output::Send { packet, .. } => is_word_of_holding(&packet.body),
        // Our own copy counts for one that outlasts us.
        Output::Answer(Answer::Published(held) | Answer::Kept(_, held)) => held.is_ok(),
        Output::Answer(Answer::Written(_) | Answer::Left(_)) => false,
        Output::Event(_) | Output::Flush => false,
    }
}

fn is_word_of_holding(body: &Body) -> bool {
    match body {
        Body::RumorAck(_)
        | Body::Echo(_)
        | Body::SwapRequest(_)
        | Body::SwapAnswer(_)
        | Body::Compare(_)
        | Body::CoverageReport(_) => true,
        Body::Fetch(fetch) => fetch.call == Call::Done,
        Body::Bulk(_)
        | Body::Rumor(_)
        | Body::Join(_)
        | Body::Welcome(_)
        | Body::BeatVector(_)
        | Body::BucketIds(_)
        | Body::Pull(_)
        | Body::Delta(_)
        | Body::Value(_)
        | Body::Announced(_)
        | Body::Fetched(_)
        | Body::LastCall(_)
        | Body::Alive(_)
        | Body::Probe(_)
        | Body::ProbeAnswer(_)
        | Body::PingReq(_)
        | Body::IndirectAck(_) => false,
    }
}
