//! What was told to whom: the parts of the ring that were handed over, and what became of each.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::{Index, IndexMut};

use super::payload::{Payload, Retention, payload};
use crate::core::entry::Fingerprint;
use crate::core::members::subtract;
use crate::core::metadata::Version;
use crate::core::packet::{Cause, RingArc, Subject, Suspicion, Token, ViewDigest};
use crate::core::record::Digest;
use crate::node::{Generation, NodeId};
use crate::time::Instant;

/// What is being told here, and what was lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Broadcasts {
    told: VecDeque<ActiveRumor>,
}

/// One rumor.
#[derive(Clone, Debug)]
pub(super) struct ActiveRumor {
    pub key: RumorKey,
    pub topic: Subject,
    retention: Retention,
    /// What we answer for.
    arcs: Vec<RingArc>,
    /// What we handed over: at most as many as there are sends.
    pub parts: Vec<Assignment>,
    /// How many sends are left.
    pub budget: usize,
    /// Parts that were sent, and those of them whose first send was not acknowledged in time.
    first_sends: usize,
    first_silences: usize,
    /// Parts whose second send was in vain too, and those that were answered for after one.
    second_silences: usize,
    late_answers: usize,
    /// How many acknowledgements were asked of us: where it came from, packets get lost.
    acks_asked: u8,
    /// When we last took on an arc of it.
    pub taken_at: Instant,
}

/// An arc that was handed over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Assignment {
    pub arc: RingArc,
    pub to: SocketAddr,
    pub token: Token,
    pub view: Option<ViewDigest>,
    pub sends: u32,
    pub first_sent_at: Instant,
    pub state: AssignmentState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AssignmentState {
    /// It is sent again at this time.
    Waiting(Instant),
    /// Its delegate answers for it, or we gave it up.
    Settled,
    /// We stand in for its delegate; its parts are listed on their own.
    TakenOver,
}

/// What makes two rumors the same, whatever the age of the copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RumorKey {
    Value(Version),
    /// The counter tells refutations apart; where everybody beats, it changes on the way.
    Member(Digest, u32),
    Gone(SocketAddr, Generation, Cause),
    Suspected(Box<Suspicion>),
    Entries(Fingerprint),
}

impl RumorKey {
    /// 32 bits of it, the same everywhere.
    pub(crate) fn tag(&self) -> u32 {
        let folded = match self {
            Self::Value(version) => u128::from_le_bytes(version.digest) ^ version.nanos as u128,
            Self::Entries(all) => all.0,
            Self::Member(digest, counter) => digest.0 ^ u128::from(*counter) << 64,
            Self::Suspected(it) => u128::from(NodeId::of(it.addr).0) ^ u128::from(it.counter) << 64,
            Self::Gone(addr, generation, _) => {
                u128::from(NodeId::of(*addr).0) ^ u128::from(generation.get()) << 1
            }
        };
        (0..4).fold(0, |tag, word| tag ^ (folded >> (32 * word)) as u32)
    }
}

impl Broadcasts {
    pub(super) fn len(&self) -> usize {
        self.told.len()
    }

    /// Rumors that are remembered alike.
    pub(super) fn len_of(&self, kind: Retention) -> usize {
        self.told.iter().filter(|told| told.retention == kind).count()
    }

    /// Parts of all rumors.
    pub(crate) fn parts_len(&self) -> usize {
        self.told.iter().map(|told| told.parts.len()).sum()
    }

    /// The place of a rumor, which is new here if it has none yet.
    pub(super) fn place_of(&mut self, key: RumorKey, topic: &Subject, budget: usize) -> usize {
        let is = |told: &ActiveRumor| planted!(RumorForgotten, told.key == key, false);
        if let Some(at) = self.told.iter().position(is) {
            return at;
        }
        let retention = payload(topic).retention();
        self.make_room(retention);
        self.told.reserve_exact(1);
        self.told.push_back(ActiveRumor {
            key,
            topic: topic.clone(),
            retention,
            arcs: Vec::new(),
            parts: Vec::new(),
            budget,
            first_sends: 0,
            first_silences: 0,
            second_silences: 0,
            late_answers: 0,
            acks_asked: 1,
            taken_at: Instant::ZERO,
        });
        self.told.len() - 1
    }

    /// Forgets the oldest that needs no more telling if many are remembered, or else the oldest if
    /// many are told.
    fn make_room(&mut self, kind: Retention) {
        let alike = self.told.iter().enumerate().filter(|(_, told)| told.retention == kind);
        let (mut told, mut over, mut oldest) = (0, 0, [None; 2]);
        for (at, it) in alike {
            let is_over = it.waiting() == 0;
            told += 1;
            over += usize::from(is_over);
            oldest[usize::from(is_over)].get_or_insert(at);
        }
        let [oldest_told, oldest_over] = oldest;
        let over_max = if kind == Retention::Entries { kind.max() / 2 } else { Retention::FEW };
        if planted!(RumorsStay, told == kind.max() || over == over_max, false) {
            self.told.remove(oldest_over.or(oldest_told).expect("there are many"));
        }
    }

    pub(crate) fn find(&self, token: Token) -> Option<(usize, usize)> {
        self.told.iter().enumerate().find_map(|(at, told)| {
            let part = told.parts.iter().position(|part| part.token == token)?;
            Some((at, part))
        })
    }

    /// When something is next to be sent again.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.told.iter().flat_map(|told| &told.parts).filter_map(Assignment::due).min()
    }

    /// Ends the telling of what need not be told any longer once this is held.
    pub(super) fn supersede(&mut self, by: &dyn Payload) {
        for told in self.told.iter_mut().filter(|told| by.supersedes(&told.key)) {
            told.parts.iter_mut().for_each(Assignment::settle);
            // Nor is whoever is listed now told of it.
            told.arcs.clear();
        }
    }
}

impl Index<usize> for Broadcasts {
    type Output = ActiveRumor;

    fn index(&self, at: usize) -> &ActiveRumor {
        &self.told[at]
    }
}

impl IndexMut<usize> for Broadcasts {
    fn index_mut(&mut self, at: usize) -> &mut ActiveRumor {
        &mut self.told[at]
    }
}

impl ActiveRumor {
    pub(crate) const ARCS_MAX: usize = 8;
    /// Fewer silences than these say nothing of the network.
    const SILENCES_MIN: usize = 3;
    /// Acknowledgements of one receipt.
    pub(super) const ACKS_MAX: u8 = 5;
    /// Sends of one arc.
    const TELLS_MAX: u32 = 10;

    /// How many acknowledgements to ask for: the more, the more sends were in vain, here or
    /// where the rumor came from.
    fn acks(&self) -> u8 {
        let of_eight = (8 * self.first_silences).checked_div(self.first_sends).unwrap_or(0);
        match of_eight {
            3 | 4 if self.acks_asked == 1 && self.dead_at_second_try() => 1,
            0..3 => self.acks_asked.clamp(1, 2),
            _ if self.first_silences < Self::SILENCES_MIN => self.acks_asked.clamp(1, 2),
            of_eight => (of_eight - 1).min(usize::from(Self::ACKS_MAX)) as u8,
        }
    }

    /// Whoever was silent at first was silent again: the dead don't answer at the second try
    /// either, but where packets get lost some do.
    fn dead_at_second_try(&self) -> bool {
        self.second_silences >= Self::SILENCES_MIN && !self.some_were_only_late()
    }

    /// Somebody was silent at first and answered later.
    pub(super) fn some_were_only_late(&self) -> bool {
        self.late_answers > 0
    }

    /// How often one arc is sent before nobody on it is believed to live.
    pub(super) fn tells_max(&self) -> u32 {
        if self.is_lossy() { 2 * Self::TELLS_MAX } else { Self::TELLS_MAX }
    }

    /// Where most answer, who doesn't is likely dead; where many don't, the network is bad.
    pub(super) fn is_lossy(&self) -> bool {
        self.acks() > 1
    }

    /// Takes an arc on; what of it is not yet in other hands. What we had handed to the very node
    /// that now hands it to us comes back, or each of the two would leave it to the other.
    pub(super) fn take_on(
        &mut self,
        arc: RingArc,
        from: Option<SocketAddr>,
        acks_asked: u8,
        now: Instant,
    ) -> Vec<RingArc> {
        self.acks_asked = self.acks_asked.max(acks_asked);
        if self.parts.iter().any(|part| Some(part.to) == from) {
            self.take_back(arc, from);
        }
        let mut fresh = vec![arc];
        for part in self.parts.iter().filter(|part| part.state != AssignmentState::TakenOver) {
            subtract(&mut fresh, part.arc);
        }
        if self.arcs.len() < Self::ARCS_MAX && !self.arcs.contains(&arc) {
            self.arcs.reserve_exact(1);
            self.arcs.push(arc);
        }
        self.taken_at = now;
        fresh
    }

    /// Cuts an arc out of what a node was handed.
    fn take_back(&mut self, arc: RingArc, of: Option<SocketAddr>) {
        let parts = std::mem::take(&mut self.parts);
        self.parts.reserve(parts.len());
        for part in parts {
            if Some(part.to) == of {
                let rests = part.arc.minus(arc).into_iter().flatten();
                self.parts.extend(rests.map(|arc| Assignment { arc, ..part }));
            } else {
                self.parts.push(part);
            }
        }
    }

    /// How many copies of a part go out at once. Where packets get lost it is two when it is sent
    /// again, for then it is late; but not at the cost of the others that still wait.
    pub(crate) fn copies(&self, part: usize) -> usize {
        let again = self.parts[part].sends > 0;
        if again && self.is_lossy() && self.affords(2) { 2 } else { 1 }
    }

    /// How many acknowledgements to ask for with each copy: another is another chance already.
    pub(super) fn acks_of_each(&self, copies: usize) -> u8 {
        match (self.acks(), copies) {
            (acks, 1) => acks,
            (3.., _) => 2,
            _ => 1,
        }
    }

    /// Whether so many sends can be made and some are left for each part that still waits.
    pub(super) fn affords(&self, sends: usize) -> bool {
        const KEPT_FOR_EACH: usize = 6;
        self.budget >= KEPT_FOR_EACH * self.waiting() + sends
    }

    /// How many parts nobody answered for yet.
    fn waiting(&self) -> usize {
        self.parts.iter().filter(|part| part.due().is_some()).count()
    }

    /// Some copies of a part are sent, and again at `due` unless somebody answers.
    pub(crate) fn send(&mut self, part: usize, copies: usize, due: Instant) -> Assignment {
        self.budget -= copies;
        let part = &mut self.parts[part];
        self.first_sends += usize::from(part.sends == 0);
        part.sends += 1;
        part.state = AssignmentState::Waiting(due);
        *part
    }

    /// The parts that nobody answered for in time, which is noted.
    pub(super) fn take_overdue(&mut self, now: Instant) -> Vec<usize> {
        let overdue = |part: &Assignment| part.due().is_some_and(|due| due <= now);
        let parts = self.parts.iter().enumerate();
        let silent: Vec<_> =
            parts.filter(|(_, part)| overdue(part)).map(|(place, _)| place).collect();
        let sent = |times| silent.iter().filter(|&&part| self.parts[part].sends == times).count();
        let (once, twice) = (sent(1), sent(2));
        self.first_silences += once;
        self.second_silences += twice;
        silent
    }

    /// A delegate answers for what it was handed, and with it for all that we told in its place.
    pub(super) fn settle(&mut self, token: Token) {
        let answered =
            |part: &Assignment| part.token == token && part.state != AssignmentState::Settled;
        while let Some(at) = self.parts.iter().position(answered) {
            let Assignment { arc, state, sends, .. } = self.parts[at];
            self.late_answers += usize::from(sends > 1);
            self.parts[at].state = AssignmentState::Settled;
            if state == AssignmentState::TakenOver {
                let within = |part: &&mut Assignment| arc.contains(part.arc.upto);
                self.parts.iter_mut().filter(within).for_each(Assignment::settle);
            }
        }
    }

    /// True when a place is among those we answer for, and nobody was told it alone.
    pub(crate) fn lacks(&self, place: NodeId) -> bool {
        let alone = RingArc::of(place);
        self.arcs.iter().any(|arc| arc.contains(place))
            && !self.parts.iter().any(|part| part.arc == alone)
    }
}

impl Assignment {
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.state {
            AssignmentState::Waiting(due) => Some(due),
            AssignmentState::Settled | AssignmentState::TakenOver => None,
        }
    }

    pub(super) fn settle(&mut self) {
        if self.state != AssignmentState::TakenOver {
            self.state = AssignmentState::Settled;
        }
    }
}
