//! What version 1 of the wire can't say, taken out of a packet: so an engine that is handed packets
//! as values gets what it would get as bytes.

use std::sync::Arc;

use super::{Body, EntriesSummary, Kept, MembershipUpdate, StateSummary, Subject};
use crate::config::{Liveness, WireVersion};
use crate::core::record::MemberState;

impl Body {
    /// False for what a version has no word for.
    pub(crate) fn is_said_in(&self, wire: WireVersion) -> bool {
        let takes_two = match self {
            Self::Compare(_) | Self::CoverageReport(_) => true,
            Self::Rumor(rumor) => matches!(rumor.topic, Subject::Entries(_)),
            _ => false,
        };
        wire > WireVersion::One || !takes_two
    }

    /// Takes out what version 1 can't say.
    pub(super) fn strip(&mut self) {
        match self {
            Self::Bulk(bulk) => strip_news(&mut bulk.news),
            Self::Delta(delta) => strip_news(&mut delta.news),
            Self::Rumor(rumor) => strip_subject(&mut rumor.topic),
            Self::Alive(alive) => strip_member(&mut alive.me),
            Self::Join(join) => {
                strip_member(&mut join.me);
                strip_summary(&mut join.summary);
            }
            Self::Welcome(welcome) => {
                welcome.members.iter_mut().for_each(strip_member);
                strip_summary(&mut welcome.summary);
            }
            Self::SwapRequest(request) => strip_summary(&mut request.summary),
            Self::SwapAnswer(answer) => strip_summary(&mut answer.summary),
            Self::BeatVector(_)
            | Self::BucketIds(_)
            | Self::Pull(_)
            | Self::Value(_)
            | Self::LastCall(_)
            | Self::Announced(_)
            | Self::Fetch(_)
            | Self::Fetched(_)
            | Self::Probe(_)
            | Self::ProbeAnswer(_)
            | Self::PingReq(_)
            | Self::IndirectAck(_)
            | Self::Echo(_)
            | Self::Compare(_)
            | Self::CoverageReport(_) => {}
            Self::RumorAck(ack) => ack.kept = Kept::All,
        }
    }
}

fn strip_news(news: &mut [MembershipUpdate]) {
    news.iter_mut().for_each(strip_update);
}

fn strip_subject(subject: &mut Subject) {
    match subject {
        Subject::Membership(update) => strip_update(update),
        Subject::Metadata(_) | Subject::Announced(_) | Subject::Entries(_) => {}
    }
}

fn strip_update(update: &mut MembershipUpdate) {
    match update {
        MembershipUpdate::Member(member) => strip_member(member),
        MembershipUpdate::Gone(_) | MembershipUpdate::Suspected(_) => {}
    }
}

fn strip_member(member: &mut MemberState) {
    if !member.record.is_bare() {
        member.record = Arc::new(member.record.stripped());
    }
}

/// A node that only asks, and who reads version 1, need not tell `auto` from `probes`.
fn strip_summary(summary: &mut StateSummary) {
    summary.entries = EntriesSummary::default();
    if summary.settings.liveness == Liveness::Auto {
        summary.settings.liveness = Liveness::Probes;
    }
}
