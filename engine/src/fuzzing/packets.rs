//! Packets as a script has them made: every kind, with numbers at their limits, and with the
//! tokens, ids and versions that an engine has just named, without which most are put aside.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::script::Script;
use crate::config::{Liveness, WireVersion};
use crate::core::packet::{
    AckOrNack, AgedEntry, Alive, Announcement, BeatVector, Body, BucketIds, Bulk, Call, Compare,
    Comparison, CoverageReport, Covered, Delta, Differences, Echo, EntriesSummary, Fetch, Gone,
    HashRange, Held, IndirectAck, Join, Kept, LastCall, MembershipUpdate, Padding, PingReq,
    PlacedRank, Probe, ProbeAnswer, Pull, RangeContent, RangePart, Reply, RingArc, Rumor, RumorAck,
    StateDigest, StateSummary, Subject, Suspicion, SwapAnswer, SwapRequest, Token, ViewDigest,
    Welcome,
};
use crate::core::{
    Age, AgeStep, Beat, Cause, Content, Digest, Entry, EntryKey, Fingerprint, Incarnation,
    MemberState, Metadata, Packet, Record, RecordId, Settings, Stamp, Terms, Version, digest,
};
use crate::time::UnixNanos;

/// The last few of something that was said.
struct Recent<T>(VecDeque<T>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: Clone + PartialEq> Recent<T> {
    const MAX: usize = 8;

    /// The newest comes first.
    fn note(&mut self, item: T) {
        self.0.retain(|held| *held != item);
        self.0.push_front(item);
        self.0.truncate(Self::MAX);
    }

    /// One of them, if there are any.
    fn pick(&self, script: &mut Script<'_>) -> Option<Option<T>> {
        let place = script.below(Self::MAX)?;
        Some(self.0.get(place).or(self.0.front()).cloned())
    }
}

/// What was said lately, by the engine and by the script, so that a packet can refer to it.
#[derive(Default)]
pub(super) struct Overheard {
    tokens: Recent<u32>,
    rumors: Recent<Token>,
    records: Recent<Arc<Record>>,
    digests: Recent<Digest>,
    versions: Recent<Version>,
    values: Recent<Metadata>,
    /// What the script said itself.
    packets: Recent<Arc<Packet>>,
}

impl Overheard {
    /// Notes what an engine sent.
    pub(super) fn hear(&mut self, packet: &Packet) {
        if let Some(summary) = packet.body.summary() {
            self.digests.note(summary.digest);
            summary.version.into_iter().for_each(|version| self.versions.note(version));
        }
        match &packet.body {
            Body::Bulk(bulk) => self.hear_news(&bulk.news),
            Body::Rumor(rumor) => {
                self.rumors.note(rumor.token);
                self.hear_topic(&rumor.topic);
            }
            Body::Join(join) => {
                self.tokens.note(join.token);
                self.records.note(Arc::clone(&join.me.record));
            }
            Body::Welcome(Welcome { ask, members, .. }) => {
                ask.iter().for_each(|&token| self.tokens.note(token));
                members.iter().for_each(|member| self.records.note(Arc::clone(&member.record)));
            }
            Body::SwapRequest(SwapRequest { token, .. })
            | Body::LastCall(LastCall { token, .. })
            | Body::PingReq(PingReq { token, .. }) => self.tokens.note(*token),
            Body::SwapAnswer(SwapAnswer { ask: Some(token), .. }) => self.tokens.note(*token),
            Body::Probe(Probe { token, holds, .. }) => {
                self.tokens.note(*token);
                self.digests.note(holds.digest);
            }
            Body::BeatVector(vector) => self.digests.note(vector.digest),
            Body::Delta(records) => self.hear_news(&records.news),
            Body::Value(value) | Body::Fetched(value) => self.hear_value(value),
            Body::Alive(alive) => self.records.note(Arc::clone(&alive.me.record)),
            Body::Announced(Announcement { version, .. }) | Body::Fetch(Fetch { version, .. }) => {
                self.versions.note(*version);
            }
            _ => {}
        }
    }

    fn hear_news(&mut self, news: &[MembershipUpdate]) {
        for item in news {
            if let MembershipUpdate::Member(sighting) = item {
                self.records.note(Arc::clone(&sighting.record));
            }
        }
    }

    fn hear_topic(&mut self, topic: &Subject) {
        match topic {
            Subject::Metadata(value) => self.hear_value(value),
            Subject::Announced(announcement) => self.versions.note(announcement.version),
            Subject::Membership(news) => self.hear_news(std::slice::from_ref(news)),
            Subject::Entries(_) => {}
        }
    }

    fn hear_value(&mut self, value: &Metadata) {
        self.versions.note(value.version());
        self.values.note(value.clone());
    }

    /// Says one of the last packets again, as a network does.
    pub(super) fn again(&self, script: &mut Script<'_>) -> Option<Option<Arc<Packet>>> {
        self.packets.pick(script)
    }

    /// A packet of any kind.
    pub(super) fn packet(&mut self, script: &mut Script<'_>) -> Option<Arc<Packet>> {
        let step = script.pick(&[25_000, 25_000, 25_000, 1, 2, 199, 5_000, u32::MAX])?;
        let wire = script.pick(&[WireVersion::Two, WireVersion::Two, WireVersion::One])?;
        let body = Sayer { said: self, script }.body()?;
        let wire = if body.is_said_in(wire) { wire } else { WireVersion::Two };
        let packet = Arc::new(Packet::new(AgeStep(step), body).in_version(wire));
        self.hear(&packet);
        self.packets.note(Arc::clone(&packet));
        Some(packet)
    }
}

/// Says what the script wants said.
struct Sayer<'a, 'b, 'c> {
    said: &'a Overheard,
    script: &'b mut Script<'c>,
}

impl Sayer<'_, '_, '_> {
    fn body(&mut self) -> Option<Body> {
        Some(match self.script.below(27)? {
            0 => Body::Bulk(Bulk { beats: self.many(Self::beat)?, news: self.few(Self::news)? }),
            1..4 => Body::Rumor(self.rumor()?),
            4 => {
                let token = self.rumor_token()?;
                let known = self.few(|it| Some(it.script.number()? as u16))?;
                let kept = self.script.pick(&[Kept::All, Kept::NotAll])?;
                Body::RumorAck(RumorAck { token, known, kept })
            }
            5 => {
                let (token, me, summary) = (self.token()?, self.sighting()?, self.summary()?);
                Body::Join(Join { token, me, summary, padding: self.padding()? })
            }
            6 => {
                let (summary, members) = (self.summary()?, self.few(Self::sighting)?);
                Body::Welcome(Welcome { token: self.token()?, ask: self.ask()?, summary, members })
            }
            7 => {
                let (token, summary) = (self.token()?, self.summary()?);
                Body::SwapRequest(SwapRequest { token, summary, padding: self.padding()? })
            }
            8 => {
                let (token, summary) = (self.token()?, self.summary()?);
                let (ask, detail) = (self.ask()?, self.detail()?);
                Body::SwapAnswer(SwapAnswer { token, ask, summary, detail })
            }
            9 => Body::BeatVector(self.vector()?),
            10 => Body::BucketIds(self.ids()?),
            11 => Body::Pull(Pull { ids: self.many(Self::id)? }),
            12..14 => Body::Delta(Delta { news: self.few(Self::news)? }),
            14 => Body::Value(self.value()?),
            15 => Body::Announced(self.announcement()?),
            16 => Body::Fetch(Fetch {
                version: self.version()?,
                call: self.script.pick(&[Call::Send, Call::Done, Call::Busy])?,
            }),
            17 => Body::Fetched(self.value()?),
            18 => Body::LastCall(LastCall { token: self.token()?, padding: self.padding()? }),
            19 => Body::Alive(Alive { token: self.token()?, me: self.sighting()? }),
            20 => Body::Probe(Probe {
                token: self.token()?,
                holds: self.holds()?,
                reply: self.script.pick(&[Reply::Datagram, Reply::Stream])?,
            }),
            21 => Body::ProbeAnswer(ProbeAnswer { token: self.token()?, holds: self.holds()? }),
            22 => {
                let (token, target) = (self.token()?, self.script.addr()?);
                Body::PingReq(PingReq { token, target })
            }
            23 => {
                let token = self.token()?;
                let swap = match self.script.below(2)? {
                    0 => None,
                    _ => Some(Held { digest: self.digest()?, version: self.held_version()? }),
                };
                Body::Echo(Echo { token, swap })
            }
            24 => Body::Compare(self.compare()?),
            25 => {
                let held = Fingerprint(self.digest()?.0);
                Body::CoverageReport(CoverageReport { held, runs: self.few(Self::run)? })
            }
            _ => {
                let word = self.script.pick(&[AckOrNack::Ack, AckOrNack::Nack])?;
                Body::IndirectAck(IndirectAck { token: self.token()?, word })
            }
        })
    }

    fn compare(&mut self) -> Option<Compare> {
        let listed = |it: &mut Self| {
            let list = it.few(Self::placed)?;
            Some(RangePart { range: HashRange::ALL, content: RangeContent::List(list) })
        };
        let differences = Differences {
            parts: self.few(listed)?,
            wanted: self.few(Self::placed)?,
            entries: self.few(Self::entry)?,
            ..Differences::default()
        };
        Some(Compare { token: self.token()?, differences })
    }

    fn placed(&mut self) -> Option<PlacedRank> {
        Some(PlacedRank { place: self.script.number()?, rank_hash: self.script.number()? })
    }

    fn run(&mut self) -> Option<Covered> {
        let (writer, first) = (self.writer()?, 1 + self.script.below(9)? as u64);
        let (last, nanos) = (first + self.script.below(9)? as u64, self.version()?.nanos);
        Some(Covered { writer, first, last, nanos })
    }

    fn writer(&mut self) -> Option<Incarnation> {
        let (place, generation) = (self.version()?.writer, self.script.generation()?);
        Some(Incarnation { place, generation })
    }

    fn entry(&mut self) -> Option<AgedEntry> {
        let (value, generation) = (self.value()?, self.script.generation()?);
        let seq = 1 + self.script.below(9)? as u64;
        let stamp = Stamp { version: value.version(), generation, seq };
        let key = EntryKey::new(self.script.pick(&["", "a", "b"])?).expect("a key");
        let content = Content::Put { data: Arc::clone(value.data()), terms: Terms::default() };
        let entry = Entry::verified(key, stamp, content).expect("its own digest");
        Some(AgedEntry { entry, age: Duration::ZERO })
    }

    fn few<T>(&mut self, one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let len = self.script.below(5)?;
        self.so_many(len, one)
    }

    /// A few, or one over and over, as many as a datagram takes.
    fn many<T: Clone>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        match self.script.byte()? {
            len @ 0..240 => self.so_many(usize::from(len % 6), one),
            _ => {
                let copies = usize::from(self.script.byte()?);
                Some(vec![one(self)?; copies])
            }
        }
    }

    fn so_many<T>(
        &mut self,
        len: usize,
        mut one: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        (0..len).map(|_| one(self)).collect()
    }

    /// What was said, three times of four if anything was, or something new.
    fn said<T: Clone + PartialEq>(
        &mut self,
        recent: impl Fn(&Overheard) -> &Recent<T>,
        new: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        if self.script.below(4)? > 0
            && let Some(said) = recent(self.said).pick(self.script)?
        {
            return Some(said);
        }
        new(self)
    }

    fn token(&mut self) -> Option<u32> {
        self.said(|said| &said.tokens, |it| it.script.number32())
    }

    fn rumor_token(&mut self) -> Option<Token> {
        self.said(|said| &said.rumors, |it| it.script.number().map(Token))
    }

    fn digest(&mut self) -> Option<Digest> {
        self.said(|said| &said.digests, |it| it.script.number().map(|low| Digest(low.into())))
    }

    fn version(&mut self) -> Option<Version> {
        self.said(|said| &said.versions, |it| it.value().map(|value| value.version()))
    }

    fn value(&mut self) -> Option<Metadata> {
        self.said(|said| &said.values, Self::new_value)
    }

    fn new_value(&mut self) -> Option<Metadata> {
        let (nanos, writer) = (self.script.signed()?.clamp(0, 1 << 62), self.script.node_id()?);
        let data = self.script.data()?;
        let version = Version { nanos, writer, digest: digest(&data) };
        Some(Metadata::verified(version, data.into()).expect("its own digest"))
    }

    fn record(&mut self) -> Option<Arc<Record>> {
        self.said(
            |said| &said.records,
            |it| {
                let node = it.script.node()?;
                Some(Arc::new(Record::new(node, it.script.generation()?)))
            },
        )
    }

    /// A record that was said, or another incarnation of its node.
    fn sighting(&mut self) -> Option<MemberState> {
        let mut record = self.record()?;
        if self.script.below(4)? == 0 {
            let generation = self.script.generation()?;
            record = Arc::new(Record::new(record.node().clone(), generation));
        }
        Some(MemberState { record, counter: self.script.number32()?, age: self.age()? })
    }

    fn age(&mut self) -> Option<Age> {
        let any = self.script.byte()?;
        self.script
            .pick(&[Age(0), Age(1), Age(199), Age(200), Age(201), Age(254), Age(255)])
            .map(|age| if any < 224 { age } else { Age(any) })
    }

    fn id(&mut self) -> Option<RecordId> {
        match self.script.below(8)? {
            0 => self.script.number32().map(RecordId),
            _ => self.record().map(|record| record.id()),
        }
    }

    fn beat(&mut self) -> Option<Beat> {
        Some(Beat { id: self.id()?, counter: self.script.byte()?, age: self.age()? })
    }

    fn news(&mut self) -> Option<MembershipUpdate> {
        Some(match self.script.below(4)? {
            0 => MembershipUpdate::from(Gone {
                addr: self.record()?.node().addr(),
                generation: self.script.generation()?,
                counter: self.script.number32()?,
                cause: self.script.pick(&[Cause::Timeout, Cause::Left])?,
            }),
            1 => {
                let record = self.record()?;
                let same = self.script.below(4)? > 0;
                MembershipUpdate::from(Suspicion {
                    addr: record.node().addr(),
                    generation: if same {
                        record.generation()
                    } else {
                        self.script.generation()?
                    },
                    counter: self.script.number32()?,
                    witnesses: self.script.some(Suspicion::WITNESSES_MAX, Script::node_id)?,
                })
            }
            _ => MembershipUpdate::Member(self.sighting()?),
        })
    }

    fn rumor(&mut self) -> Option<Rumor> {
        let (token, acks) = (self.rumor_token()?, self.script.pick(&[0, 1, 2, 3, 254, 255])?);
        let arc = RingArc { after: self.script.node_id()?, upto: self.script.node_id()? };
        let view = match self.script.below(4)? {
            0 => Some(ViewDigest(self.script.number32()?)),
            _ => None,
        };
        let topic = match self.script.below(4)? {
            0 => Subject::Metadata(self.value()?),
            1 => Subject::Announced(self.announcement()?),
            _ => Subject::Membership(self.news()?),
        };
        Some(Rumor { token, acks, arc, view, topic })
    }

    fn announcement(&mut self) -> Option<Announcement> {
        Some(Announcement { version: self.version()?, len: self.script.number32()? })
    }

    fn summary(&mut self) -> Option<StateSummary> {
        let liveness = [Liveness::Beats, Liveness::Probes, Liveness::Off];
        Some(StateSummary {
            members: self.script.number32()?,
            digest: self.digest()?,
            version: self.held_version()?,
            wall: UnixNanos(self.script.signed()?),
            settings: Settings {
                cycle_ms: self.script.number32()?,
                liveness: self.script.pick(&liveness)?,
            },
            entries: EntriesSummary::default(),
        })
    }

    /// What somebody may be asked to echo.
    fn ask(&mut self) -> Option<Option<u32>> {
        Some(if self.script.below(2)? == 0 { None } else { Some(self.token()?) })
    }

    fn padding(&mut self) -> Option<Padding> {
        self.script.pick(&[0, 0, 1, 78, 400, 467]).map(Padding)
    }

    fn held_version(&mut self) -> Option<Option<Version>> {
        Some(if self.script.below(2)? == 0 { None } else { Some(self.version()?) })
    }

    fn holds(&mut self) -> Option<StateDigest> {
        Some(StateDigest { digest: self.digest()?, version: self.script.number()? })
    }

    fn detail(&mut self) -> Option<Comparison> {
        if self.script.below(2)? == 0 {
            return self.vector().map(Comparison::InSync);
        }
        let buckets = 1 << self.script.below(9)?;
        Some(Comparison::BucketDigests(vec![self.script.number32()?; buckets]))
    }

    fn vector(&mut self) -> Option<BeatVector> {
        let (digest, first) = (self.digest()?, self.script.number32()?);
        let beats = self.many(|it| Some((it.script.byte()?, it.age()?)))?;
        Some(BeatVector { digest, first, beats })
    }

    fn ids(&mut self) -> Option<BucketIds> {
        let bits = self.script.pick(&[0, 1, 4, 15, 16])?;
        let last = ((1_u32 << bits) - 1) as u16;
        let buckets = self.many(|it| Some((it.script.number()? as u16).min(last)))?;
        Some(BucketIds { echo: self.ask()?, bits, buckets, ids: self.many(Self::id)? })
    }
}
