//! What there is to tell of members, in as few datagrams as it takes.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Context;
use crate::config::WireVersion;
use crate::core::beat::Beat;
use crate::core::members::{Absence, NodeIx};
use crate::core::metadata::Metadata;
use crate::core::packer::Packer;
use crate::core::packet::{
    AgedEntry, Alive, Body, Bounded, Bulk, Cause, Delta, Gone, LastCall, MembershipUpdate, Packet,
    Probe, Reply, Rumor, Subject, Suspicion,
};

/// The most that the rumor of a value takes, the value in it.
pub(crate) fn rumor_len(metadata: &Metadata) -> usize {
    Packet::LEN_BARE + Rumor::LEN_BARE + metadata.len_max()
}

impl Context<'_> {
    /// Bytes of name and private data that a node whose record we don't hold may have.
    const USUAL_TEXTS_LEN: usize = 64;
    /// Datagrams of records in answer to one packet; the next swap brings more.
    const RECORD_PACKETS_MAX: usize = 64;

    /// The same topic as we hold it: an age has grown while it was here.
    pub(crate) fn aged(&self, topic: &Subject) -> Subject {
        if let Subject::Membership(MembershipUpdate::Member(sighting)) = topic {
            let ours = self.members.node(sighting.record.node().addr());
            let ours = ours.and_then(|node| self.news_of(node));
            if let Some(MembershipUpdate::Member(ours)) = ours
                && ours.record == sighting.record
            {
                return Subject::Membership(MembershipUpdate::Member(ours));
            }
        }
        if let Subject::Entries(entries) = topic {
            let aged = entries.iter().map(|aged| self.aged_entry_or(aged));
            return Subject::Entries(aged.collect());
        }
        topic.clone()
    }

    /// An entry that was told to us, with its age by now if it is held still.
    fn aged_entry_or(&self, told: &AgedEntry) -> AgedEntry {
        let AgedEntry { entry, age } = self.aged_entry(&told.entry);
        AgedEntry { entry, age: age.max(told.age) }
    }

    pub(crate) fn send_probe(&mut self, to: SocketAddr, token: u32, reply: Reply) {
        let holds = self.holds(self.speaks(to));
        let packet = self.packet(Body::Probe(Probe { token, holds, reply }));
        match reply {
            Reply::Datagram => self.out.send(to, &packet),
            Reply::Stream => self.out.stream(to, &packet),
        }
    }

    /// What there is to tell of a node: nothing of one that only strangers spoke of, or of
    /// ourselves while we stay away.
    pub(crate) fn news_of(&self, node: NodeIx) -> Option<MembershipUpdate> {
        if self.members.is_kept_back(node) || self.members.is_rumored(node) {
            return None;
        }
        if self.members.is_listed(node) {
            return Some(MembershipUpdate::Member(self.members.sighting(
                node,
                self.now.mono,
                self.step,
            )));
        }
        self.members.gone(node).map(MembershipUpdate::from)
    }

    /// What a swap brings of a node. Who stays away may hold others who do, long after those who
    /// removed them have forgotten their tombstones, and must not bring them back.
    pub(crate) fn repair_of(&self, node: NodeIx) -> Option<MembershipUpdate> {
        let is_told = self.members.absence() != Absence::Damped || !self.members.is_listed(node);
        self.news_of(node).filter(|_| is_told)
    }

    /// Packs beats and news into as few datagrams as it takes.
    pub(crate) fn bulk_packets(
        &self,
        beats: Vec<Beat>,
        news: Vec<MembershipUpdate>,
    ) -> Vec<Arc<Packet>> {
        let mut packer = Packer::new(Bulk::default(), self.config.path_len_max());
        packer.fill(beats, |bulk| &mut bulk.beats);
        for item in news {
            packer.page(item.len_max()).news.push(item);
        }
        let bulks = packer.into_pages().into_iter();
        bulks.map(|bulk| self.packet(Body::Bulk(bulk))).collect()
    }

    /// Asks the node at an address whether it lives and who it is, in as many bytes as the answer
    /// needs from one that does not know us.
    pub(crate) fn send_last_call(&mut self, addr: SocketAddr) {
        let texts = match self.members.node(addr).map(|node| self.members.record(node)) {
            Some(record) => record.node().texts_len(),
            None => Self::USUAL_TEXTS_LEN,
        };
        let answer = Packet::LEN_BARE + Alive::LEN_BARE + texts + self.config.guard_len();
        let padding = self.padding(Packet::LEN_MIN + LastCall::LEN_MIN, answer);
        let call = LastCall { token: self.token_for(addr), padding };
        // Whatever it is said to speak: a forged record must not have anybody removed.
        let packet = Packet::new(self.step, Body::LastCall(call)).in_version(WireVersion::One);
        self.out.send(addr, &Arc::new(packet));
    }

    /// A suspicion of a member as it is held here, without a witness.
    pub(crate) fn nobodys_suspicion(&self, node: NodeIx) -> Suspicion {
        Suspicion {
            addr: self.members.addr(node),
            generation: self.members.record(node).generation(),
            counter: self.members.counter(node),
            witnesses: Vec::new(),
        }
    }

    /// Packs news into as few datagrams as it takes, and one more than may be sent when there is
    /// more.
    pub(crate) fn record_pages(&self, news: impl Iterator<Item = MembershipUpdate>) -> Vec<Delta> {
        let empty = Delta { news: Vec::new() };
        let mut packer = Packer::new(empty, self.config.path_len_max());
        for item in news {
            packer.page(item.len_max()).news.push(item);
            if packer.len() > Self::RECORD_PACKETS_MAX {
                break;
            }
        }
        packer.into_pages()
    }

    pub(crate) fn send_records(&mut self, to: SocketAddr, mut pages: Vec<Delta>) {
        if pages.len() > Self::RECORD_PACKETS_MAX {
            self.stats.answers_cut += 1;
            pages.truncate(Self::RECORD_PACKETS_MAX);
        }
        for page in pages {
            self.out.send(to, &self.packet(Body::Delta(page)));
        }
    }

    pub(crate) fn goodbye(&self) -> Gone {
        let counter = self.members.counter(self.members.me());
        let (addr, generation) = (self.me.node().addr(), self.me.generation());
        Gone { addr, generation, counter, cause: Cause::Left }
    }
}
