//! Laws that hold in every run, whatever the scenario does.

mod law;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rumormill::core::{Cause, Footprint, LivenessCheck, Stats};
use rumormill::node::Generation;
use rumormill::time::Instant;
use rumormill::{Config, Event, Liveness, Version};
use rustc_hash::FxHashMap;

pub(crate) use self::law::Law;

use self::law::Promise;
use super::calm::Calm;
use super::cast::{Cast, IncarnationNo};
use super::keeping::{Heirs, Keeping};
use super::lists::Lists;
use super::ms;
use super::once::Once;
use super::removals;
use super::settling::SettlingVerdict;
use super::work::{Excess, Work};
use crate::results::summary::{Invariant, Messages, Offence};
use crate::scenario::plan::{Deed, Incarnation, Manner, NodeNo, Plan};

/// A beat: of which incarnation, and its counter.
type Beat = (Generation, u32);

/// The laws of one run, and what broke them.
#[derive(Clone, Debug)]
pub(crate) struct Laws {
    cast: Arc<Cast>,
    timeout_max: Duration,
    cycle_max: Duration,
    /// The longest that any packet was in flight: what it says may be older than all memory.
    longest_flight: Duration,
    /// In flight for so long it may bring back one of whom even the tombstone is forgotten.
    forgotten_after: Duration,
    /// In flight for so long a counter, which travels modulo 256, may be misread.
    misread_after: Duration,
    broken: BTreeMap<Law, Offences>,
    /// Whose protocol is run, where it is not our own.
    stranger: Option<&'static str>,
    /// Why the convergence of this run can't be judged.
    excuse: Option<String>,
    /// By node: whom it removed by timeout, when, and with which beat.
    timed_out: Vec<BTreeMap<SocketAddr, (Instant, Beat)>>,
    /// Some begin with a list of nodes that may not have started yet.
    vouches: bool,
    /// Goodbyes so far, and those that anybody might make up.
    leaves: usize,
    /// By node: when it last took anybody off its list.
    buried: Vec<Instant>,
    /// A process that does not run forgets nothing.
    sleeps: bool,
    /// By node: when it last found that it had slept.
    woke: Vec<Option<Instant>>,
    once: Once,
    calm: Calm,
    keeping: Keeping,
    work: Work,
    /// Node by incarnation: which ones it knows to have left or been replaced.
    gone: Lists,
    /// By node: when its last question to an incarnation arrived, and when it was sent.
    questions: Vec<FxHashMap<IncarnationNo, (Instant, Instant)>>,
    /// By node: when it sent an incarnation the last question to which the answer arrived.
    answers: Vec<FxHashMap<IncarnationNo, Instant>>,
}

/// How a law was broken for the first time, and how often.
#[derive(Clone, Debug)]
struct Offences {
    times: u64,
    first: Offence,
    detail: String,
}

impl Laws {
    /// How many timeouts a tombstone is kept.
    const TOMBSTONE_TIMEOUTS: u32 = 20;
    /// Who slept gives others two fifths of a timeout to answer; by its own clock, which may be
    /// fast: held to one fifth.
    const WAKINGS: u32 = 5;
    /// In so many cycles a counter comes near half of its scale.
    const COUNTER_CYCLES: u32 = 100;
    /// Tombstones beyond the number of members.
    const TOMBSTONES_OVER: usize = 64;
    const LOST_MAX: usize = 64;
    const PUBLISHERS_MAX: usize = 64;
    /// Rumors of metadata and members that a node remembers.
    const RUMORS_MAX: usize = 16;
    /// Goodbyes that a node remembers: no more than there were.
    const GOODBYES_MAX: usize = 512;
    const ENTRY_RUMORS_MAX: usize = 256;
    /// Timeouts until it is looked at whether one is to be forgotten, and some more.
    const LOOK_TIMEOUTS: u32 = 3;
    /// Parts of one rumor, as a multiple of the fan-out; what comes back is cut in two.
    const PARTS_PER_FAN_OUT: usize = 16;
    /// News that waits, beyond twice what is held.
    const WAITING_OVER: usize = 512;

    pub(crate) fn new(cast: Arc<Cast>, plan: &Plan) -> Self {
        let gone = Lists::new(cast.nodes(), cast.parts().len(), [].into_iter());
        Self {
            timeout_max: cast.longest(Config::timeout),
            cycle_max: cast.longest(Config::cycle),
            longest_flight: Duration::ZERO,
            forgotten_after: cast.shortest(Config::timeout) * Self::TOMBSTONE_TIMEOUTS,
            misread_after: cast.shortest(Config::cycle) * Self::COUNTER_CYCLES,
            broken: BTreeMap::new(),
            stranger: (!plan.protocol.spec.is_ours()).then_some(plan.protocol.spec.name),
            excuse: None,
            timed_out: vec![BTreeMap::new(); cast.nodes() as usize],
            leaves: forged(plan),
            buried: vec![Instant::ZERO; cast.nodes() as usize],
            woke: vec![None; cast.nodes() as usize],
            sleeps: plan.actions.iter().any(|action| {
                matches!(action.deed, Deed::Pause(_) | Deed::Suspend(_) | Deed::Slow { .. })
            }),
            once: Once::new(cast.nodes()),
            calm: Calm::of(plan, &cast),
            keeping: Keeping::default(),
            work: Work::new(&cast),
            vouches: plan.incarnations.iter().any(Incarnation::knows_others),
            gone,
            questions: vec![FxHashMap::default(); cast.nodes() as usize],
            answers: vec![FxHashMap::default(); cast.nodes() as usize],
            cast,
        }
    }

    /// A node begins and knows nothing: if it was still about to leave, it never got an answer.
    pub(crate) fn begin(&mut self, node: NodeNo) {
        self.gone.clear_row(node);
        self.timed_out[node as usize].clear();
        self.questions[node as usize].clear();
        self.answers[node as usize].clear();
        self.woke[node as usize] = None;
        self.once.begin(node);
        self.keeping.crash(node);
    }

    /// A packet is delivered that was in flight for so long. True if it may have outlived the
    /// memory of those of whom it speaks.
    pub(crate) fn flew(&mut self, flight: Duration) -> bool {
        self.longest_flight = self.longest_flight.max(flight);
        flight >= self.forgotten_after
    }

    /// A node's service hears of an event; `beat` is the newest that is held of whom it is about.
    pub(crate) fn tell(&mut self, at: Instant, node: NodeNo, event: &Event, beat: Option<Beat>) {
        if let Some(detail) = self.once.tell(at, node, event, &self.cast) {
            self.breaks(Law::ToldOnce, at, Some(node), &detail);
        }
        if let Event::Removed { .. } | Event::Replaced { .. } = event {
            self.buried[node as usize] = at;
        }
        match (event, beat) {
            (Event::Removed { record, cause: Cause::Timeout }, Some(beat)) => {
                self.timed_out[node as usize].insert(record.node().addr(), (at, beat));
            }
            (Event::Joined(record) | Event::Updated { new: record, .. }, Some(beat)) => {
                self.come_back(at, node, record.node().addr(), beat);
            }
            (Event::Published(metadata), _) => self.keeping.hold(node, metadata.version()),
            (Event::Woke(_), _) => self.woke[node as usize] = Some(at),
            _ => {}
        }
    }

    fn come_back(&mut self, at: Instant, node: NodeNo, addr: SocketAddr, beat: Beat) {
        let Some((removed, then)) = self.timed_out[node as usize].remove(&addr) else { return };
        if at - removed > self.forgotten_after || self.is_worthless(at, node, then.0) {
            return;
        }
        if beat <= then && self.longest_flight < self.forgotten_after {
            let (newest, old) = (beat.1, then.1);
            let detail = format!(
                "node {node} lists {addr} again with beat {newest}, removed by timeout with {old}"
            );
            self.breaks(Law::NoZombie, at, Some(node), &detail);
        }
    }

    /// What a node is told of happens twice over.
    pub(crate) fn repeats(&mut self, at: Instant, node: NodeNo, incarnation: IncarnationNo) {
        let detail = format!("node {node} is told of {} twice", self.who(incarnation));
        self.breaks(Law::ToldOnce, at, Some(node), &detail);
    }

    /// What a perfect network owes.
    pub(crate) fn calm(&mut self) -> &mut Calm {
        &mut self.calm
    }

    /// A node tells of a version though it holds a newer one.
    pub(crate) fn tells_older(&mut self, at: Instant, node: NodeNo, version: Version) {
        let detail = format!("node {node} tells of version {version}, and holds a newer one");
        self.breaks(Law::VersionsNeverGoBack, at, Some(node), &detail);
    }

    /// A node comes to hold a version that somebody else has published.
    pub(crate) fn receive(&mut self, at: Instant, node: NodeNo, version: Version) {
        if let Some(what) = self.calm.hold(at, version) {
            self.breaks(Law::Calm, at, Some(node), &format!("node {node} {what}"));
        }
    }

    /// A node removes an incarnation by its own judgement.
    pub(crate) fn remove(
        &mut self,
        at: Instant,
        node: NodeNo,
        incarnation: IncarnationNo,
        verdict: removals::Verdict,
    ) {
        if let Some(what) = self.calm.remove(&self.who(incarnation), incarnation, verdict) {
            self.breaks(Law::Calm, at, Some(node), &format!("node {node} {what}"));
        }
    }

    /// A node goes down without a word, or says goodbye.
    pub(crate) fn exit(&mut self, node: NodeNo, manner: Manner) {
        self.leaves += usize::from(manner == Manner::Leave);
        match manner {
            Manner::Crash => self.keeping.crash(node),
            Manner::Leave => self.keeping.leave(node),
        }
    }

    /// A leaver is off: whether it was told that what it held is in other hands, and whose these
    /// might be.
    pub(crate) fn off(&mut self, at: Instant, node: NodeNo, promised: bool, heirs: Heirs) {
        self.keeping.off(at, node, promised, heirs);
    }

    /// Something happens that all are told of.
    pub(crate) fn happen(&mut self, at: Instant) {
        self.work.happen(at);
    }

    /// A node sends a packet. True when it sends so many that there is no end to be seen.
    pub(crate) fn send(&mut self, at: Instant, node: NodeNo) -> bool {
        if let Some(Excess { node, sent, most }) = self.work.send(at, node) {
            let detail = format!("node {node} sends {sent} packets in a second: at most {most}");
            self.breaks(Law::BoundedWork, at, Some(node), &detail);
        }
        let is_runaway = self.work.is_runaway(node);
        if is_runaway && self.stranger.is_some() {
            // The run ends here, which must be told whoever promised what.
            let detail = format!("node {node} sends without an end, so the run was ended");
            self.note(Law::BoundedWork, at, Some(node), &detail);
        }
        is_runaway
    }

    /// What an engine holds.
    pub(crate) fn weigh(&mut self, at: Instant, node: NodeNo, held: &Footprint) {
        let config = self.cast.config(node);
        let members_max = config.members_max();
        let known = held.members + held.tombstones;
        let rumors = held.rumors + held.goodbyes + held.entry_rumors;
        let limits = [
            ("members", held.members, members_max),
            ("tombstones", held.tombstones, members_max.saturating_add(Self::TOMBSTONES_OVER)),
            ("rumors", held.rumors, Self::RUMORS_MAX),
            ("goodbyes", held.goodbyes, self.leaves.min(Self::GOODBYES_MAX)),
            ("rumors of entries", held.entry_rumors, Self::ENTRY_RUMORS_MAX),
            ("parts of rumors", held.parts, self.parts_max(rumors, config.fan_out())),
            ("lost addresses", held.lost, Self::LOST_MAX),
            ("news that waits", held.waiting, 2 * known + Self::WAITING_OVER),
            ("publishers that wait", held.publishers, Self::PUBLISHERS_MAX),
        ];
        let kept = Self::TOMBSTONE_TIMEOUTS + Self::LOOK_TIMEOUTS;
        let buried = self.buried[node as usize] + config.timeout() * kept;
        let limits = limits.into_iter().chain((!self.sleeps && buried < at).then_some((
            "tombstones of long ago",
            held.tombstones,
            0,
        )));
        for (what, held, most) in limits.filter(|&(_, held, most)| held > most) {
            let detail = format!("node {node} holds {held} {what}: at most {most}");
            self.breaks(Law::StateIsBounded, at, Some(node), &detail);
        }
    }

    /// Who waits for holders of a value tells as many of them itself.
    fn parts_max(&self, rumors: usize, fan_out: usize) -> usize {
        let at_once = fan_out.max(self.cast.nodes() as usize);
        rumors * Self::PARTS_PER_FAN_OUT * at_once
    }

    /// How it ended.
    pub(crate) fn settle(&mut self, end: Instant, verdict: SettlingVerdict) {
        match verdict {
            SettlingVerdict::Settled => {}
            SettlingVerdict::Excused(why) => self.excuse = Some(format!("not judged: {why}")),
            SettlingVerdict::Unsettled { node, detail } => {
                self.breaks(Law::Convergence, end, Some(node), &detail);
            }
        }
        if let Some((at, node, version)) = self.keeping.lost() {
            let detail = format!("version {version} is lost: node {node} left as its last holder");
            self.breaks(Law::NoLoss, at, Some(node), &detail);
        }
    }

    /// A node lists an incarnation.
    pub(crate) fn list(&mut self, at: Instant, node: NodeNo, incarnation: IncarnationNo) {
        let is_gone =
            self.gone.has(node, incarnation) && self.longest_flight < self.forgotten_after;
        // Clocks are asked last: nearly everybody is alone at its address.
        if self.cast.is_alone(incarnation) && !is_gone || self.is_overruled(at, node, incarnation) {
            return;
        }
        if is_gone {
            let who = self.who(incarnation);
            let detail = format!("node {node} lists {who} again");
            self.breaks(Law::GoneStayGone, at, Some(node), &detail);
        }
        let generation = |part| self.cast.part(part).record.generation();
        for &part in self.cast.same_addr(incarnation) {
            // Who forgot its generation is below its own former life, which may well be heard of.
            if part < incarnation && generation(part) < generation(incarnation) {
                self.gone.set(node, part);
            }
        }
    }

    /// Whether numbers decide nothing about an incarnation: its own is from the future, or that of
    /// a later one at its address.
    fn is_overruled(&self, at: Instant, node: NodeNo, incarnation: IncarnationNo) -> bool {
        let mut parts = self.cast.same_addr(incarnation).iter().filter(|&&it| it >= incarnation);
        parts.any(|&part| self.is_worthless(at, node, self.cast.part(part).record.generation()))
    }

    /// Whether a number is from the future for somebody whose clock may count: whoever answers at
    /// the address is believed then, be it late and of a former life.
    fn is_worthless(&self, at: Instant, node: NodeNo, number: Generation) -> bool {
        let now = self.cast.clocks().earliest(at);
        let horizon = now.saturating_add(self.cast.config(node).clock_skew_max());
        i128::from(number.get()) > i128::from(horizon.0)
    }

    /// A node lists somebody at an address that is not in the plan.
    pub(crate) fn list_stranger(&mut self, at: Instant, node: NodeNo, who: &str) {
        self.breaks(Law::OnlyRealNodes, at, Some(node), &format!("node {node} lists {who}"));
    }

    /// A node heard a goodbye under this number.
    pub(crate) fn heard_goodbye(
        &mut self,
        at: Instant,
        node: NodeNo,
        (incarnation, number): (IncarnationNo, Generation),
    ) {
        if !self.is_worthless(at, node, number) {
            self.gone.set(node, incarnation);
        }
    }

    /// A question of a node arrived, which had sent it at this time. Who reads many at once answers
    /// all of them in that instant, and which answer is lost nobody can tell here, nor whether it
    /// was to a former life of who asked: what arrives may be the answer to the first of them.
    pub(crate) fn asked(
        &mut self,
        at: Instant,
        by: NodeNo,
        incarnation: IncarnationNo,
        (question, sent): (LivenessCheck, Instant),
    ) {
        if self.proves(by, question) {
            let asked = self.questions[by as usize].entry(incarnation).or_insert((at, sent));
            *asked = (at, if asked.0 == at { asked.1.min(sent) } else { sent });
        }
    }

    /// An answer to a question arrived. It proves life since the question was sent, for it may
    /// answer one that took long; answers leave at the instant in which questions come.
    pub(crate) fn answered(
        &mut self,
        node: NodeNo,
        incarnation: IncarnationNo,
        (answer, sent): (LivenessCheck, Instant),
    ) {
        if self.proves(node, answer)
            && let Some(&(arrived, asked)) = self.questions[node as usize].get(&incarnation)
            && arrived == sent
        {
            self.answers[node as usize].insert(incarnation, asked);
        }
    }

    /// Whether such a talk tells a node that the other lives. With beats a probe only shows that a
    /// newcomer is at its address: its answer carries no beat.
    fn proves(&self, node: NodeNo, check: LivenessCheck) -> bool {
        let is_probe = matches!(check, LivenessCheck::Probe | LivenessCheck::ProbeAnswer);
        !is_probe || self.cast.config(node).liveness().asks()
    }

    /// A node removes an incarnation by timeout.
    pub(crate) fn time_out(&mut self, at: Instant, node: NodeNo, incarnation: IncarnationNo) {
        self.judge_sleeper(at, node, incarnation);
        let start = self.cast.part(incarnation).start;
        // Before a life begins, its number is one that the former took when it was updated.
        if self.longest_flight >= self.misread_after || at < start {
            return;
        }
        // Ages travel in steps of a 200th of the sender's timeout, rounded at each hop; and the
        // beat in an answer may be a cycle old.
        let timeout = self.cast.config(node).silence_min();
        let beat = self.cycle_max * 11 / 10;
        let from_start = timeout.saturating_sub(self.timeout_max / 20);
        let from_answer = from_start.saturating_sub(beat);
        let answer = self.answers[node as usize].get(&incarnation).copied();
        // Who finds its wall clock far ahead must take it that it slept so long, that the beat in
        // an answer is from before, and tells others that all it knows is so old.
        let slept =
            |since: Instant| self.cast.clocks().any_set_ahead(since.saturating_sub(beat), at);
        let too_early =
            |since: Instant, wait: Duration| at - since < wait && at - since + slept(since) < wait;
        // Who is listed before it has started is silent until then.
        let by_start = !self.vouches || start == Instant::ZERO;
        let by_answer = answer.is_some_and(|sent| too_early(sent, from_answer));
        if by_start && too_early(start, from_start) || by_answer {
            let (who, since) = (self.who(incarnation), answer.unwrap_or(start));
            let detail =
                format!("node {node} removes {who}, which proved at {since} that it lives");
            self.breaks(Law::SilenceBeforeRemoval, at, Some(node), &detail);
        }
    }

    /// Who slept was deaf: it asks, and waits for answers, before it takes anybody for dead.
    fn judge_sleeper(&mut self, at: Instant, node: NodeNo, incarnation: IncarnationNo) {
        let config = self.cast.config(node);
        let Some(woke) = self.woke[node as usize] else { return };
        if config.liveness() == Liveness::Beats && at - woke < config.timeout() / Self::WAKINGS {
            let who = self.who(incarnation);
            let detail = format!("node {node} removes {who} {:?} after it woke", at - woke);
            self.breaks(Law::SilenceBeforeRemoval, at, Some(node), &detail);
        }
    }

    /// A node's metadata went from one version to one that is not newer.
    pub(crate) fn went_back(&mut self, at: Instant, node: NodeNo, from: Version, to: Version) {
        let detail = format!("node {node} goes from version {from} to {to}");
        self.breaks(Law::VersionsNeverGoBack, at, Some(node), &detail);
    }

    /// A node does not hold the version any more that it last told of.
    pub(crate) fn lost(&mut self, at: Instant, node: NodeNo, version: Version) {
        let detail = format!("node {node} has lost version {version} without a word");
        self.breaks(Law::VersionsNeverGoBack, at, Some(node), &detail);
    }

    /// The counters of an engine whose time is over.
    pub(crate) fn count_state(&mut self, at: Instant, node: NodeNo, stats: &Stats) {
        let members_max = self.cast.config(node).members_max();
        let Stats { members_max: members, tombstones_max: tombstones, .. } = *stats;
        if members > members_max || tombstones > members_max + 64 {
            let held = format!("{members} members and {tombstones} tombstones");
            let detail = format!("node {node} held {held}, with members_max {members_max}");
            self.breaks(Law::StateIsBounded, at, Some(node), &detail);
        }
        if let Some(what) = self.calm.count(at, node, stats) {
            self.breaks(Law::Calm, at, Some(node), &format!("node {node} {what}"));
        }
    }

    /// The fates of all packets.
    pub(crate) fn count_packets(&mut self, at: Instant, messages: &Messages) {
        let Messages { sent, duplicated, delivered, lost, cut, to_dead, .. } = *messages;
        let Messages { overflow, oversize, corrupted, in_flight, .. } = *messages;
        let put_in = sent + duplicated;
        let accounted =
            delivered + lost + cut + to_dead + overflow + oversize + corrupted + in_flight;
        if put_in != accounted {
            let detail = format!("{put_in} packets sent or doubled, {accounted} accounted for");
            self.breaks(Law::PacketsConserved, at, None, &detail);
        }
    }

    pub(crate) fn finish(mut self) -> Vec<Invariant> {
        let judged = Law::ALL.map(|law| {
            let name = law.name().to_owned();
            match self.broken.remove(&law) {
                None => {
                    let excuse = self.excuse.take_if(|_| law == Law::Convergence);
                    let detail = self.unpromised(law).or(excuse);
                    Invariant { name, ok: true, detail, first: None }
                }
                Some(Offences { times, first, detail }) => {
                    let more = if times > 1 {
                        format!(" (and {} more)", times - 1)
                    } else {
                        String::new()
                    };
                    let detail = Some(detail + &more);
                    Invariant { name, ok: false, detail, first: Some(first) }
                }
            }
        });
        judged.into()
    }

    fn who(&self, incarnation: IncarnationNo) -> String {
        let part = self.cast.part(incarnation);
        format!("node {} as started at {}", part.node, part.start)
    }

    /// Why a law is not judged: it is no promise of the protocol that is run.
    fn unpromised(&self, law: Law) -> Option<String> {
        let stranger = self.stranger.filter(|_| law.promised_by() == Promise::Rumormill)?;
        Some(format!("not judged: rumormill promises it, {stranger} does not"))
    }

    /// A law is broken.
    pub(crate) fn breaks(&mut self, law: Law, at: Instant, node: Option<NodeNo>, detail: &str) {
        if self.stranger.is_none() || law.promised_by() != Promise::Rumormill {
            self.note(law, at, node, detail);
        }
    }

    fn note(&mut self, law: Law, at: Instant, node: Option<NodeNo>, detail: &str) {
        let first = || {
            let (first, detail) = (Offence { at_ms: ms(at), node }, format!("at {at}: {detail}"));
            Offences { times: 0, first, detail }
        };
        self.broken.entry(law).or_insert_with(first).times += 1;
    }
}

/// How many packets somebody makes up, each of which may be a goodbye.
fn forged(plan: &Plan) -> usize {
    plan.actions.iter().filter(|action| matches!(action.deed, Deed::Inject(_))).count()
}

#[cfg(test)]
mod tests;
