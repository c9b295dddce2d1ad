//! Rumors by hand, each figure counted out.

use std::time::Duration;

use rumormill::Config;
use rumormill::core::packet::{
    Alive, Body, Bulk, Delta, Gone, Join, Kept, LastCall, MembershipUpdate, Padding, RingArc,
    RumorAck, StateSummary, Subject, SwapRequest, Token, Welcome,
};
use rumormill::core::{Age, AgeStep, Identity, MemberState, Packet, Record, Settings};
use rumormill::node::NodeId;
use rumormill::time::UnixNanos;

use super::*;
use crate::results::summary::{RumorFigures, RunResult};
use crate::world::testkit::{self, at_ms};

const NODES: u32 = 4;

/// Nodes 0 to 3, each with a second incarnation (4 to 7).
fn rumors() -> Rumors {
    Rumors::new(Arc::new(Cast::of(&testkit::plan_with_restarts(NODES))), 100)
}

fn version(nanos: i64) -> Version {
    Version { nanos, writer: NodeId(0), digest: [0; 16] }
}

fn by(from: NodeNo, sent: u64, by: Channel) -> Way {
    Way::Packet { from, sent: at_ms(sent), by }
}

fn always() -> Vec<Presence> {
    vec![Presence::Since(Instant::ZERO); NODES as usize]
}

fn finished(rumors: Rumors, presence: &[Presence]) -> RunResult {
    let mut run = RunResult::default();
    rumors.finish(presence, &mut run);
    run
}

fn figures(rumors: Rumors, presence: &[Presence]) -> Vec<RumorFigures> {
    finished(rumors, presence).summary.rumors
}

#[test]
fn a_metadata_rumor_is_timed_hop_by_hop() {
    let mut rumors = rumors();
    rumors.publish(at_ms(100), 1, version(1));
    rumors.hold(at_ms(100), 1, version(1), Way::Source);
    rumors.hold(at_ms(130), 3, version(1), by(1, 120, Channel::Rumor));
    rumors.hold(at_ms(150), 0, version(1), by(3, 140, Channel::Swap));
    rumors.hold(at_ms(160), 3, version(1), by(0, 155, Channel::Swap));
    let run = finished(rumors, &always());
    let [rumor] = &run.summary.rumors[..] else { panic!("one rumor") };
    assert_eq!((rumor.id.as_str(), rumor.node, rumor.start_ms), ("metadata-0", 1, 100.0));
    // Delays 0, 30, 50 and never: half of four are two.
    assert_eq!((rumor.t50_ms, rumor.t90_ms, rumor.t100_ms), (Some(30.0), None, None));
    assert_eq!((rumor.coverage, rumor.excluded, rumor.swap_first), (Some(0.75), 0, 1));
    assert_eq!((rumor.rmr, rumor.ldh), (Some(-1.0), Some(2)), "nothing was said to have arrived");
    let rows: Vec<_> = run
        .rumor_rows
        .iter()
        .map(|row| (row.node, row.sent_ms, row.first_ms, row.hop, row.from, row.via))
        .collect();
    let want = [
        (1, None, 100.0, 0, None, "source"),
        (3, Some(120.0), 130.0, 1, Some(1), "rumor"),
        (0, Some(140.0), 150.0, 2, Some(3), "swap"),
    ];
    assert_eq!(rows, want);
}

#[test]
fn who_holds_a_newer_version_holds_the_older_and_each_names_its_successor() {
    let mut rumors = rumors();
    for (ms, node, nanos) in [(10, 0, 10), (20, 1, 20), (20, 2, 15)] {
        rumors.publish(at_ms(ms), node, version(nanos));
        rumors.hold(at_ms(ms), node, version(nanos), Way::Source);
    }
    rumors.hold(at_ms(50), 3, version(20), by(1, 45, Channel::Bulk));
    let figures = figures(rumors, &always());
    let coverage: Vec<_> = figures.iter().map(|rumor| rumor.coverage).collect();
    // Node 0 never hears of the newer ones; node 1 held a newer one when the third was published.
    assert_eq!(coverage, [1.0, 0.5, 0.75].map(Some));
    let next: Vec<_> = figures.iter().map(|rumor| rumor.superseded_by.as_deref()).collect();
    assert_eq!(next, [Some("metadata-2"), None, Some("metadata-1")]);
    assert_eq!((figures[2].t50_ms, figures[2].t99_ms), (Some(0.0), None));
}

#[test]
fn who_was_not_there_all_the_while_is_excluded() {
    let mut rumors = rumors();
    rumors.publish(at_ms(100), 0, version(1));
    rumors.hold(at_ms(100), 0, version(1), Way::Source);
    rumors.hold(at_ms(110), 1, version(1), by(0, 100, Channel::Rumor));
    let presence = [
        Presence::Since(at_ms(100)),
        Presence::Until(at_ms(100)),
        Presence::Until(at_ms(99)),
        Presence::Since(at_ms(101)),
    ];
    let figures = figures(rumors, &presence);
    assert_eq!((figures[0].coverage, figures[0].excluded), (Some(1.0), 2));
}

#[test]
fn an_update_is_held_by_whoever_lists_it_or_what_came_after_it() {
    let mut rumors = rumors();
    let start = rumors.cast.part(2).record.generation().get();
    let generation = |later| Generation::new(start + later).unwrap();
    rumors.update(at_ms(10), 2, generation(20));
    rumors.update(at_ms(15), 2, generation(30));
    // One hears of the first, one of the second only, one of the restart.
    rumors.list(at_ms(20), 0, (2, generation(20)), by(2, 15, Channel::Bulk));
    rumors.list(at_ms(30), 1, (2, generation(31)), by(0, 25, Channel::Bulk));
    rumors.list(at_ms(40), 3, (6, Generation::MIN), by(1, 35, Channel::Bulk));
    let held = |rumor: usize| -> Vec<(NodeNo, Instant, u32)> {
        let rows = rumors.rows().iter().filter(|row| row.rumor as usize == rumor);
        rows.map(|row| (row.node, row.at, row.hop)).collect()
    };
    let ms = at_ms;
    assert_eq!(held(0), [(2, ms(10), 0), (0, ms(20), 1), (1, ms(30), 2), (3, ms(40), 3)]);
    assert_eq!(held(1), [(2, ms(15), 0), (1, ms(30), 1), (3, ms(40), 2)]);
    // Its record tells of it and of nothing else.
    let told = |generation| {
        let record = Record::new(testkit::node(2), generation);
        let incarnation = rumors.cast.find(record.node().addr(), record.generation())?;
        rumors.told_by(incarnation, record.generation()).map(|rumor| rumors.id(rumor))
    };
    assert_eq!(told(generation(30)).as_deref(), Some("update-1"));
    assert_eq!(told(generation(29)), None);
}

#[test]
fn a_restart_supersedes_what_was_said_of_the_node_before() {
    let mut rumors = rumors();
    rumors.leave(at_ms(10), 2, |node| node != 3);
    rumors.unlist(at_ms(20), 0, 2, by(2, 15, Channel::Bulk));
    rumors.start(at_ms(30), Kind::Restart, 6);
    rumors.list(at_ms(40), 1, (6, Generation::MIN), by(2, 35, Channel::Rumor));
    let figures = figures(rumors, &always());
    let ids: Vec<_> = figures.iter().map(|rumor| rumor.id.as_str()).collect();
    assert_eq!(ids, ["leave-0", "restart-0"]);
    assert_eq!(figures[0].superseded_by.as_deref(), Some("restart-0"));
    // Node 3 did not list it, 0 removed it, 2 is the leaver, 1 lists the successor.
    assert_eq!((figures[0].coverage, figures[0].t90_ms), (Some(1.0), Some(30.0)));
    assert_eq!((figures[1].coverage, figures[1].t50_ms), (Some(0.5), Some(10.0)));
}

#[test]
fn a_removal_is_a_rumor_once_and_not_after_a_goodbye() {
    let mut rumors = rumors();
    for node in [0, 1] {
        rumors.removal(at_ms(10 + u64::from(node)), 2, |_| true);
        rumors.unlist(at_ms(10 + u64::from(node)), node, 2, Way::Source);
    }
    rumors.leave(at_ms(20), 3, |_| true);
    rumors.removal(at_ms(30), 3, |_| true);
    rumors.unlist(at_ms(30), 0, 3, Way::Source);
    let figures = figures(rumors, &always());
    let ids: Vec<_> = figures.iter().map(|rumor| rumor.id.as_str()).collect();
    assert_eq!(ids, ["removal-0", "leave-0"]);
    // The removed node itself is no audience: two of the other three.
    assert_eq!((figures[0].coverage.map(|it| it * 3.0), figures[0].excluded), (Some(2.0), 1));
    assert_eq!(figures[1].coverage, Some(0.5));
}

fn sighting(cast: &Cast, incarnation: IncarnationNo) -> MemberState {
    let record = Arc::clone(&cast.part(incarnation).record);
    MemberState { record, counter: 1, age: Age(0) }
}

fn gone(cast: &Cast, incarnation: IncarnationNo, cause: Cause) -> MembershipUpdate {
    let record = &cast.part(incarnation).record;
    let (addr, generation) = (record.node().addr(), record.generation());
    MembershipUpdate::from(Gone { addr, generation, counter: 1, cause })
}

#[test]
fn packets_carry_what_they_bring_and_not_what_they_merely_name() {
    let mut rumors = rumors();
    let cast = Arc::clone(&rumors.cast);
    let metadata = testkit::metadata();
    rumors.publish(at_ms(1), 0, metadata.version());
    rumors.start(at_ms(2), Kind::Restart, 5);
    rumors.leave(at_ms(3), 2, |_| true);
    rumors.removal(at_ms(4), 3, |_| true);
    let (meta, restart, leave, removal) = (0, 1, 2, 3);
    let summary = StateSummary {
        members: 1,
        digest: Default::default(),
        version: Some(metadata.version()),
        wall: UnixNanos(0),
        settings: Settings::of(&Config::default()),
        entries: Default::default(),
    };
    let whole = RingArc { after: NodeId(0), upto: NodeId(0) };
    let rumor = |tag: u64, topic| {
        let (token, view) = (Token(tag << 32 | 7), None);
        Body::Rumor(rumormill::core::packet::Rumor { token, acks: 1, arc: whole, view, topic })
    };
    let ack = |tag: u64| {
        Body::RumorAck(RumorAck { token: Token(tag << 32 | 8), known: vec![], kept: Kept::All })
    };
    let news = vec![
        MembershipUpdate::Member(sighting(&cast, 5)),
        MembershipUpdate::Member(sighting(&cast, 1)),
        gone(&cast, 2, Cause::Left),
        gone(&cast, 2, Cause::Timeout),
        gone(&cast, 3, Cause::Timeout),
    ];
    let members = vec![sighting(&cast, 0), sighting(&cast, 5)];
    let padding = Padding(3);
    let carried_by = [
        (rumor(5, Subject::Metadata(metadata.clone())), vec![meta]),
        (rumor(6, Subject::Membership(gone(&cast, 2, Cause::Left))), vec![leave]),
        (Body::Value(metadata), vec![meta]),
        (Body::SwapRequest(SwapRequest { token: 1, summary, padding }), vec![]),
        (Body::Join(Join { token: 1, me: sighting(&cast, 5), summary, padding }), vec![restart]),
        (Body::Welcome(Welcome { token: 1, ask: None, summary, members }), vec![restart]),
        (Body::Delta(Delta { news: news.clone() }), vec![restart, leave, removal]),
        (Body::Bulk(Bulk { beats: vec![], news }), vec![restart, leave, removal]),
        (Body::Alive(Alive { token: 1, me: sighting(&cast, 5) }), vec![restart]),
        (Body::LastCall(LastCall::default()), vec![]),
        (ack(5), vec![meta]),
        (ack(6), vec![leave]),
        (ack(7), vec![]),
    ];
    let meant = Meant::new(Identity::Incarnation, &rumors.cast);
    for (body, want) in carried_by {
        let (packet, mut carried) = (Packet::new(AgeStep(1), body), Vec::new());
        rumors.carried(Instant::ZERO, &packet, &meant, &mut carried);
        let numbers: Vec<RumorNo> = carried.iter().map(|&(rumor, _)| rumor).collect();
        assert_eq!(numbers, want, "{:?}", packet.kind());
        rumors.sent(1, packet.tag(), &carried);
        rumors.sent(if want.len() == 3 { 2 } else { 3 }, packet.tag(), &carried);
    }
    let figures = figures(rumors, &always());
    let messages: Vec<_> =
        figures.iter().map(|rumor| (rumor.messages, rumor.node_messages_max)).collect();
    assert_eq!(messages, [(4, 2), (10, 5), (6, 3), (4, 2)]);
    let control: Vec<_> = figures.iter().map(|rumor| rumor.control_messages).collect();
    assert_eq!(control, [2, 0, 2, 0]);
}

#[test]
fn redundancy_counts_what_arrived_with_the_value_and_not_what_announces_it() {
    let mut rumors = rumors();
    rumors.publish(at_ms(100), 1, version(1));
    rumors.hold(at_ms(100), 1, version(1), Way::Source);
    let alone = figures(rumors.clone(), &always());
    assert_eq!((alone[0].rmr, alone[0].ldh), (None, Some(0)), "nobody had to get it");
    for (node, from) in [(3, 1), (0, 3), (2, 1)] {
        rumors.hold(at_ms(150), node, version(1), by(from, 140, Channel::Rumor));
    }
    for load in [Load::Value, Load::Announcement, Load::Ack] {
        (0..4).for_each(|_| rumors.delivered(&[(0, load)]));
    }
    let figures = figures(rumors, &always());
    // Four packets where three do; the last to hear of it is the one of the last row.
    assert_eq!((figures[0].rmr, figures[0].ldh), (Some(4.0 / 3.0 - 1.0), Some(1)));
}

#[test]
fn too_many_rumors_are_left_out_and_counted() {
    let mut rumors =
        Rumors::new(Arc::new(Cast::of(&testkit::plan(4_096, Duration::from_secs(1)))), 0);
    for nanos in 0..4_100 {
        rumors.publish(at_ms(1), 0, version(nanos));
    }
    assert_eq!((rumors.rumors.len(), rumors.left_out), (4_096, 4));
}
