//! Any packet that an honest node could send, for property tests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::config::Liveness;
use crate::core::packet::{
    Alive, Announcement, Body, Bulk, Call, Detail, Echo, Fetch, Gone, Held, Holds, Ids, Join,
    LastCall, News, Padding, Probe, ProbeAnswer, ProbeRequest, Records, Reply, RingArc, Rumor,
    RumorAck, Summary, Suspicion, SwapAnswer, SwapRequest, Token, Topic, Vector, ViewDigest, Vouch,
    Wanted, Welcome, Word,
};
use crate::core::{
    Age, AgeStep, Beat, Cause, Digest, Metadata, Packet, Record, RecordId, Settings, Sighting,
    Version,
};
use crate::node::{Generation, Node, NodeId};
use crate::text::is_unprintable;
use crate::time::UnixNanos;

/// Packets of every kind, each as likely as the others.
pub(crate) fn packet() -> impl Strategy<Value = Packet> {
    (1..=u32::MAX, body()).prop_map(|(step, body)| Packet { step: AgeStep(step), body })
}

fn body() -> impl Strategy<Value = Body> {
    let beats = (vec(beat(), 0..300), vec(news(), 0..4));
    let swap_answer = (any::<u32>(), any::<Option<u32>>(), summary(), detail());
    prop_oneof![
        beats.prop_map(|(beats, news)| Body::Bulk(Bulk { beats, news })),
        rumor().prop_map(Body::Rumor),
        (token(), vec(any::<u16>(), 0..300))
            .prop_map(|(token, known)| Body::RumorAck(RumorAck { token, known })),
        (any::<u32>(), sighting(), summary(), padding()).prop_map(
            |(token, me, summary, padding)| Body::Join(Join { token, me, summary, padding })
        ),
        (any::<u32>(), any::<Option<u32>>(), summary(), vec(sighting(), 0..8)).prop_map(
            |(token, ask, summary, members)| Body::Welcome(Welcome {
                token,
                ask,
                summary,
                members
            })
        ),
        (any::<u32>(), summary(), padding()).prop_map(|(token, summary, padding)| {
            Body::SwapRequest(SwapRequest { token, summary, padding })
        }),
        (any::<u32>(), option::of((digest(), option::of(version())))).prop_map(|(token, swap)| {
            let swap = swap.map(|(digest, version)| Held { digest, version });
            Body::Echo(Echo { token, swap })
        }),
        swap_answer.prop_map(|(token, ask, summary, detail)| Body::SwapAnswer(SwapAnswer {
            token,
            ask,
            summary,
            detail
        })),
        vector().prop_map(Body::Vector),
        ids().prop_map(Body::Ids),
        vec(record_id(), 0..300).prop_map(|ids| Body::Wanted(Wanted { ids })),
        vec(news(), 0..8).prop_map(|news| Body::Records(Records { news })),
        metadata().prop_map(Body::Value),
        (any::<u32>(), padding())
            .prop_map(|(token, padding)| Body::LastCall(LastCall { token, padding })),
        (any::<u32>(), sighting()).prop_map(|(token, me)| Body::Alive(Alive { token, me })),
        announcement().prop_map(Body::Announced),
        (version(), call()).prop_map(|(version, call)| Body::Fetch(Fetch { version, call })),
        metadata().prop_map(Body::Fetched),
        (any::<u32>(), holds(), reply()).prop_map(|(token, holds, reply)| Body::Probe(Probe {
            token,
            holds,
            reply
        })),
        (any::<u32>(), holds())
            .prop_map(|(token, holds)| Body::ProbeAnswer(ProbeAnswer { token, holds })),
        (any::<u32>(), addr())
            .prop_map(|(token, target)| Body::ProbeRequest(ProbeRequest { token, target })),
        (any::<u32>(), word()).prop_map(|(token, word)| Body::Vouch(Vouch { token, word })),
    ]
}

fn beat() -> impl Strategy<Value = Beat> {
    (record_id(), any::<u8>(), age()).prop_map(|(id, counter, age)| Beat { id, counter, age })
}

fn record_id() -> impl Strategy<Value = RecordId> {
    any::<u32>().prop_map(RecordId)
}

fn age() -> impl Strategy<Value = Age> {
    any::<u8>().prop_map(Age)
}

fn news() -> impl Strategy<Value = News> {
    prop_oneof![
        sighting().prop_map(News::Member),
        gone().prop_map(News::from),
        suspicion().prop_map(News::from),
    ]
}

fn suspicion() -> impl Strategy<Value = Suspicion> {
    let witnesses = vec(node_id(), 0..=Suspicion::WITNESSES_MAX);
    (addr(), generation(), counter(), witnesses).prop_map(
        |(addr, generation, counter, witnesses)| Suspicion { addr, generation, counter, witnesses },
    )
}

fn holds() -> impl Strategy<Value = Holds> {
    (digest(), any::<u64>()).prop_map(|(digest, version)| Holds { digest, version })
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![Just(Reply::Datagram), Just(Reply::Stream)]
}

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![Just(Word::Lives), Just(Word::Silent)]
}

fn gone() -> impl Strategy<Value = Gone> {
    let cause = prop_oneof![Just(Cause::Timeout), Just(Cause::Left)];
    (addr(), generation(), counter(), cause).prop_map(|(addr, generation, counter, cause)| Gone {
        addr,
        generation,
        counter,
        cause,
    })
}

fn sighting() -> impl Strategy<Value = Sighting> {
    (record(), counter(), age()).prop_map(|(record, counter, age)| Sighting {
        record,
        counter,
        age,
    })
}

fn record() -> impl Strategy<Value = Arc<Record>> {
    // Up to four bytes a character: within the limits of both texts.
    (addr(), generation(), text(30), text(120)).prop_map(|(addr, generation, name, data)| {
        let node = Node::of(addr, &name, &data).expect("short enough");
        Arc::new(Record::new(node, generation))
    })
}

/// A text of so many characters, as nodes may have them.
pub(crate) fn text(chars: usize) -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..=chars)
        .prop_map(|text| text.into_iter().filter(|&char| !is_unprintable(char)).collect())
}

fn addr() -> impl Strategy<Value = SocketAddr> {
    let v4 = any::<Ipv4Addr>().prop_map(IpAddr::from);
    let v6 = any::<Ipv6Addr>().prop_map(IpAddr::from);
    let ip = prop_oneof![v4, v6].prop_map(|ip| match ip.to_canonical() {
        ip if ip.is_unspecified() || ip.is_multicast() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V4(ip) if ip.is_broadcast() => Ipv4Addr::LOCALHOST.into(),
        ip => ip,
    });
    (ip, 1_u16..).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn generation() -> impl Strategy<Value = Generation> {
    let any = Generation::MIN.get()..=Generation::MAX.get();
    any.prop_map(|value| Generation::new(value).expect("in range"))
}

/// Counters of every size class of the encoding.
fn counter() -> impl Strategy<Value = u32> {
    prop_oneof![0..300_u32, 0..100_000_u32, 0..=u32::MAX]
}

fn node_id() -> impl Strategy<Value = NodeId> {
    any::<u64>().prop_map(NodeId)
}

fn arc() -> impl Strategy<Value = RingArc> {
    (node_id(), node_id()).prop_map(|(after, upto)| RingArc { after, upto })
}

fn rumor() -> impl Strategy<Value = Rumor> {
    let view = option::of(any::<u32>().prop_map(ViewDigest));
    (token(), any::<u8>(), arc(), view, topic()).prop_map(|(token, acks, arc, view, topic)| Rumor {
        token,
        acks,
        arc,
        view,
        topic,
    })
}

fn token() -> impl Strategy<Value = Token> {
    any::<u64>().prop_map(Token)
}

fn topic() -> impl Strategy<Value = Topic> {
    prop_oneof![
        metadata().prop_map(Topic::Metadata),
        news().prop_map(Topic::Membership),
        announcement().prop_map(Topic::Announced),
    ]
}

fn announcement() -> impl Strategy<Value = Announcement> {
    (version(), any::<u32>()).prop_map(|(version, len)| Announcement { version, len })
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![Just(Call::Send), Just(Call::Done), Just(Call::Busy)]
}

fn metadata() -> impl Strategy<Value = Metadata> {
    (version(), vec(any::<u8>(), 0..600)).prop_map(|(version, data)| {
        let mut digest = [0; 16];
        digest.copy_from_slice(&Sha256::digest(&data)[..16]);
        Metadata::verified(Version { digest, ..version }, data.into()).expect("its own digest")
    })
}

fn version() -> impl Strategy<Value = Version> {
    (0_i64..=1 << 62, node_id(), any::<[u8; 16]>()).prop_map(|(nanos, writer, digest)| Version {
        nanos,
        writer,
        digest,
    })
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<u128>().prop_map(Digest)
}

fn summary() -> impl Strategy<Value = Summary> {
    (any::<u32>(), digest(), option::of(version()), any::<i64>(), settings()).prop_map(
        |(members, digest, version, wall, settings)| Summary {
            members,
            digest,
            version,
            wall: UnixNanos(wall),
            settings,
        },
    )
}

fn settings() -> impl Strategy<Value = Settings> {
    let liveness = [Liveness::Beats, Liveness::Probes, Liveness::Off];
    let liveness = prop::sample::select(liveness.to_vec());
    (any::<u32>(), liveness).prop_map(|(cycle_ms, liveness)| Settings { cycle_ms, liveness })
}

fn padding() -> impl Strategy<Value = Padding> {
    (0..600_u16).prop_map(Padding)
}

fn detail() -> impl Strategy<Value = Detail> {
    let buckets = (0..9_u32).prop_flat_map(|bits| vec(any::<u32>(), 1_usize << bits));
    prop_oneof![vector().prop_map(Detail::Same), buckets.prop_map(Detail::Differ)]
}

fn vector() -> impl Strategy<Value = Vector> {
    (digest(), 0..u32::MAX - 700, vec((any::<u8>(), age()), 0..700))
        .prop_map(|(digest, first, beats)| Vector { digest, first, beats })
}

fn ids() -> impl Strategy<Value = Ids> {
    let buckets = (0..=16_u8)
        .prop_flat_map(|bits| (Just(bits), vec(0..=((1_u32 << bits) - 1) as u16, 0..100)));
    let ids = vec(record_id(), 0..200);
    (any::<Option<u32>>(), buckets, ids).prop_map(|(echo, (bits, buckets), ids)| Ids {
        echo,
        bits,
        buckets,
        ids,
    })
}
