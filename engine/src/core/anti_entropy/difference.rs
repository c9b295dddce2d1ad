//! Differences: what two lists that are not the same lack of each other.

use std::net::SocketAddr;

use super::AntiEntropy;
use crate::core::beat::RecordId;
use crate::core::context::Context;
use crate::core::dissemination::Dissemination;
use crate::core::members::{BUCKET_BITS, NodeIx};
use crate::core::membership::Membership;
use crate::core::packer::Packer;
use crate::core::packet::{Body, Bounded, BucketIds, MembershipUpdate, Pull, SwapAnswer};

impl AntiEntropy {
    /// About this many members share a bucket.
    const BUCKET_MEMBERS: usize = 16;

    /// The lists differ: says what we hold in the buckets that do, and swaps again soon, for one
    /// exchange in a time of change is rarely enough.
    pub(super) fn on_difference(
        &mut self,
        cx: &mut Context<'_>,
        from: SocketAddr,
        theirs: &[u32],
        answer: &SwapAnswer,
    ) {
        let bits = theirs.len().trailing_zeros();
        let ours = Self::buckets(cx, bits, answer.token);
        let differ = |bucket: &usize| ours[*bucket] != theirs[*bucket];
        let buckets: Vec<u16> = (planted!(BucketsSkipped, 0, theirs.len() / 2)..theirs.len())
            .filter(differ)
            .filter_map(|it| u16::try_from(it).ok())
            .collect();
        for page in Self::ids(cx, answer.ask, bits, &buckets) {
            cx.out.send(from, &cx.packet(Body::BucketIds(page)));
        }
        Self::send_all_beats(cx, from);
        self.swap_again_after_difference(cx);
    }

    pub(super) fn bucket_bits(cx: &Context<'_>) -> u32 {
        let buckets = (cx.members.len() / Self::BUCKET_MEMBERS).max(1);
        buckets.next_power_of_two().trailing_zeros().min(BUCKET_BITS)
    }

    /// The digests of our members by bucket of the ring, folded with a salt.
    pub(super) fn buckets(cx: &mut Context<'_>, bits: u32, salt: u32) -> Vec<u32> {
        let wire = cx.wire();
        cx.members.bucket_sums(bits, wire).into_iter().map(|sum| sum.fold(salt)).collect()
    }

    /// Our ids in some buckets, in as few datagrams as it takes.
    fn ids(cx: &Context<'_>, echo: Option<u32>, bits: u32, buckets: &[u16]) -> Vec<BucketIds> {
        let empty = BucketIds { echo, bits: bits as u8, buckets: Vec::new(), ids: Vec::new() };
        let mut packer = Packer::new(empty, cx.config.path_len_max());
        let of_bucket_max = packer.room().without(u16::LEN_BARE).fits::<RecordId>();
        for &at in buckets {
            let mut nodes = cx.members.in_bucket(bits, at.into());
            // A bucket crowded on purpose is told in part; the partner then sends too much.
            nodes = &nodes[..nodes.len().min(of_bucket_max)];
            let page = packer.page(u16::LEN_BARE + nodes.len() * RecordId::LEN_BARE);
            page.buckets.push(at);
            page.ids.extend(nodes.iter().map(|&node| cx.members.id_of(node, cx.wire())));
        }
        packer.into_pages()
    }

    pub(crate) fn on_ids(
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        membership: &mut Membership,
        from: SocketAddr,
        ids: &BucketIds,
    ) {
        cx.stats.updates += ids.ids.len() as u64;
        if ids.echo.is_some_and(|token| cx.is_token_of(from, token)) {
            membership.confirm(cx, spread, from);
        }
        let (held, unknown) = Self::resolve(cx, &ids.ids);
        let lacked = Self::lacked(cx, ids, &held);
        let is_clear =
            |node: &NodeIx| unknown.binary_search(&cx.members.id_of(*node, cx.wire())).is_err();
        let lacked = lacked.into_iter().filter(is_clear);
        let lacked = lacked.filter_map(|node| cx.repair_of(node));
        let gone =
            held.iter().filter_map(|&node| cx.members.gone(node)).map(MembershipUpdate::from);
        let pages = cx.record_pages(lacked.chain(gone));
        cx.send_records(from, pages);
        Self::send_wanted(cx, from, unknown);
    }

    /// Our members in the buckets of these ids, but those of whom we hold what the ids name, which
    /// are given in order of the ring. Buckets come in order: whoever names one twice does not
    /// make us look twice.
    fn lacked(cx: &Context<'_>, ids: &BucketIds, held: &[NodeIx]) -> Vec<NodeIx> {
        let order = |a: NodeIx, b: NodeIx| cx.members.compare_places(a, b);
        let bits = u32::from(ids.bits);
        let (mut lacked, mut next) = (Vec::new(), 0);
        for bucket in ids.buckets.iter().map(|&at| usize::from(at)).filter(|&at| at < 1 << bits) {
            if bucket < next {
                continue;
            }
            next = bucket + 1;
            let ours = cx.members.in_bucket(bits, bucket);
            let Some(&first) = ours.first() else { continue };
            let behind = held.partition_point(|&node| order(node, first).is_lt());
            let mut held = held[behind..].iter().copied().peekable();
            for &node in ours {
                while held.next_if(|&held| order(held, node).is_lt()).is_some() {}
                if held.next_if_eq(&node).is_none() {
                    lacked.push(node);
                }
            }
        }
        lacked
    }

    /// The nodes of whom we hold just what these ids name, in order of the ring, and the ids of
    /// which we know nothing, in order. That of a copy stripped of what we hold is neither.
    fn resolve(cx: &Context<'_>, ids: &[RecordId]) -> (Vec<NodeIx>, Vec<RecordId>) {
        let found: Vec<_> = ids.iter().map(|&id| cx.members.by_id(id)).collect();
        let left = ids.iter().zip(&found).filter(|(_, found)| found.is_none());
        let mut left: Vec<_> = left.map(|(&id, _)| id).collect();
        left.sort_unstable();
        let is_named = |(&id, node): (&RecordId, Option<NodeIx>)| {
            node.filter(|&node| cx.members.id_of(node, cx.wire()) == id)
        };
        let mut held: Vec<_> = ids.iter().zip(found).filter_map(is_named).collect();
        held.sort_unstable_by(|&a, &b| cx.members.compare_places(a, b));
        (held, left)
    }

    fn send_wanted(cx: &mut Context<'_>, to: SocketAddr, ids: Vec<RecordId>) {
        let mut packer = Packer::new(Pull { ids: Vec::new() }, cx.config.path_len_max());
        packer.fill(ids, |page| &mut page.ids);
        for page in packer.into_pages() {
            cx.out.send(to, &cx.packet(Body::Pull(page)));
        }
    }

    pub(crate) fn on_wanted(cx: &mut Context<'_>, from: SocketAddr, wanted: &Pull) {
        cx.stats.updates += wanted.ids.len() as u64;
        // In order of the ring, in which both our table and that of the other are walked fastest.
        let (held, _) = Self::resolve(cx, &wanted.ids);
        let news = held.into_iter().filter_map(|node| cx.repair_of(node));
        let pages = cx.record_pages(news);
        cx.send_records(from, pages);
    }
}
