//! Rumors along arcs: how a metadata version, or a membership change that is alone, is told.

use std::net::SocketAddr;

use super::Rooms;
use crate::core::context::{Context, Source};
use crate::core::detection::Relevance;
use crate::core::dissemination::Dissemination;
use crate::core::membership::Membership;
use crate::core::metadata::Metadata;
use crate::core::packet::{Body, Delta, Kept, MembershipUpdate, Rumor, Subject};

/// What became of the news in a rumor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// We hold it, and can tell it.
    Held,
    /// Some of it is worth telling, some of it we refuse.
    HeldInPart,
    /// It is told once we hold it.
    Fetching,
    /// We hold a newer one, or don't believe it yet.
    NotWorthTelling,
    /// We don't take it.
    Refused,
}

impl Taken {
    fn kept(self) -> Kept {
        match self {
            Self::Held | Self::Fetching | Self::NotWorthTelling => Kept::All,
            Self::HeldInPart | Self::Refused => Kept::NotAll,
        }
    }
}

impl Rooms {
    /// Who tells us of a value is to know that it goes with us. Of those who leave at the same time
    /// many have forgotten the other before its goodbye could be passed on to it.
    fn warn_teller(&self, cx: &mut Context<'_>, to: SocketAddr, topic: &Subject) {
        let is_value = matches!(topic, Subject::Metadata(_) | Subject::Announced(_));
        if is_value && cx.life.is_leaving() {
            cx.out.send(to, &cx.packet(Body::Delta(Delta { news: vec![cx.goodbye().into()] })));
        }
    }

    pub(super) fn on_rumor(&mut self, cx: &mut Context<'_>, rumor: &Rumor, via: Source) {
        let taken = self.take_topic(cx, rumor, via);
        let kept = taken.kept();
        let taken = match taken {
            Taken::Held | Taken::HeldInPart => planted!(
                ArcUntold,
                self.spread.tell(cx, &rumor.topic, rumor.arc, Some(via.from), rumor.acks),
                true
            ),
            Taken::Fetching | Taken::NotWorthTelling | Taken::Refused => true,
        };
        self.warn_teller(cx, via.from, &rumor.topic);
        if taken {
            Dissemination::acknowledge(cx, via.from, rumor, kept);
        }
    }

    fn take_topic(&mut self, cx: &mut Context<'_>, rumor: &Rumor, via: Source) -> Taken {
        match &rumor.topic {
            Subject::Metadata(metadata) => {
                self.store.on_value(cx, &mut self.spread, metadata, via.from);
                let held = cx.metadata.as_ref().map(Metadata::version);
                // An older version than ours is not worth telling, and a stranger's from the
                // future is not held.
                if held == Some(metadata.version()) { Taken::Held } else { Taken::NotWorthTelling }
            }
            Subject::Announced(announcement) => {
                let arc = Some(rumor.arc);
                match self.store.on_announced(cx, via.from, *announcement, arc) {
                    true => Taken::Held,
                    false => Taken::Fetching,
                }
            }
            Subject::Entries(entries) => {
                let taken = self.store.on_entries(cx, via.from, entries);
                match (taken.held > 0, taken.refused > 0) {
                    (true, false) => Taken::Held,
                    (true, true) => Taken::HeldInPart,
                    (false, true) => Taken::Refused,
                    (false, false) => Taken::NotWorthTelling,
                }
            }
            Subject::Membership(MembershipUpdate::Suspected(suspicion)) => {
                match self.membership.on_suspicion(
                    cx,
                    &mut self.spread,
                    &mut self.detection,
                    suspicion,
                    via,
                ) {
                    Relevance::Nothing => Taken::NotWorthTelling,
                    _ => Taken::Held,
                }
            }
            Subject::Membership(news) => {
                let me = cx.me.generation();
                self.membership.apply(cx, &mut self.spread, &mut self.detection, news, via);
                let refuted = cx.me.generation() > me;
                let about = match news {
                    MembershipUpdate::Member(sighting) => sighting.record.node().addr(),
                    MembershipUpdate::Gone(gone) => gone.addr,
                    MembershipUpdate::Suspected(suspicion) => suspicion.addr,
                };
                let node = cx.members.node(about);
                let rumored = node.is_some_and(|node| cx.members.is_rumored(node));
                if rumored || refuted || Membership::is_claim(cx, news) {
                    Taken::NotWorthTelling
                } else {
                    Taken::Held
                }
            }
        }
    }
}
