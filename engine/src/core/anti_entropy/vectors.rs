//! Vectors: the beats of a list by place on the ring, for partners whose list is the same.

use std::net::SocketAddr;

use super::AntiEntropy;
use super::swap::Pages;
use crate::config::WireVersion;
use crate::core::beat::Age;
use crate::core::context::{Context, Source};
use crate::core::dissemination::Dissemination;
use crate::core::members::NodeIx;
use crate::core::membership::Membership;
use crate::core::packer::Room;
use crate::core::packet::{BeatVector, Body, Bounded, SwapAnswer};

impl AntiEntropy {
    /// Our beats by place on the ring, paged; at least one page. None where nobody beats, and while
    /// we are young and the list has just changed: the records that changed it brought theirs.
    pub(super) fn vectors(&self, cx: &Context<'_>) -> Vec<BeatVector> {
        let digest = cx.members.digest(cx.wire());
        let listed = cx.members.digest(WireVersion::LATEST);
        let nodes = match cx.beats() && !(cx.is_young() && self.listed != listed) {
            true => cx.members.ring(),
            false => &[],
        };
        let beat = |&node: &NodeIx| cx.members.vector_beat(node, cx.now.mono, cx.step);
        let beats: Vec<_> = nodes.iter().map(beat).collect();
        let room = Room::of::<SwapAnswer>(cx.config.path_len_max()).without(BeatVector::LEN_BARE);
        let page_len = room.fits::<(u8, Age)>();
        let mut pages: Vec<_> = beats
            .chunks(page_len)
            .zip((0..).step_by(page_len))
            .map(|(beats, first)| BeatVector { digest, first, beats: beats.to_vec() })
            .collect();
        if pages.is_empty() {
            pages.push(BeatVector { digest, first: 0, beats: Vec::new() });
        }
        pages
    }

    pub(super) fn send_vectors(&mut self, cx: &mut Context<'_>, to: SocketAddr, which: Pages) {
        let pages = self.vectors(cx).into_iter().skip(usize::from(which == Pages::Rest));
        for page in pages.filter(|page| !page.beats.is_empty()) {
            cx.out.send(to, &cx.packet(Body::BeatVector(page)));
        }
    }

    pub(crate) fn on_vector(
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        membership: &mut Membership,
        vector: &BeatVector,
        via: Source,
    ) {
        cx.stats.updates += vector.beats.len() as u64;
        let foreign = vector.digest != cx.members.digest(cx.wire());
        if planted!(VectorForeign, foreign, false) {
            cx.stats.vectors_foreign += vector.beats.len() as u64;
            return;
        }
        membership.take_vector(cx, spread, vector, via);
    }

    /// All our beats with their ids, for a partner whose list is not ours. Not when we have just
    /// started, as all may have: the lists differ throughout then, most beats would be of members
    /// that the partner does not know, and the records that it gets bring theirs along.
    pub(super) fn send_all_beats(cx: &mut Context<'_>, to: SocketAddr) {
        if !cx.beats() || cx.is_young() {
            return;
        }
        let nodes = cx.members.ring().iter();
        let beats: Vec<_> =
            nodes.map(|&node| cx.members.beat(node, cx.now.mono, cx.step)).collect();
        for packet in cx.bulk_packets(beats, Vec::new()) {
            cx.out.send(to, &packet);
        }
    }
}
