//! The state of each seed: whether it was contacted, and else what keeps it from being.
//!
//! Three parties know a part of it. The look-ups know where a name leads; the engine knows who
//! answers; and what is refused of a seed's packets, or whether it takes a call by TCP though it
//! is silent, tells a dead seed from one that is filtered, or of another cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::seeds::SeedPlace;
use super::udp::Family;
use crate::config::{Config, TransportKind, Wire};
use crate::core::Reach;
use crate::node::NodeId;
use crate::text::Printable;
use crate::time::{Instant, nanos};
use crate::wire::Reject;

/// A seed and what has become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SeedStatus {
    /// As it was given: `host:port`.
    pub seed: String,
    /// The addresses that it stands for.
    pub addrs: Vec<SocketAddr>,
    /// What has become of it.
    pub state: SeedState,
}

/// As a sentence: `seed 10.0.0.9:8000 is silent`.
impl fmt::Display for SeedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} is {}", Printable(&self.seed), self.state)
    }
}

/// What has become of a seed; of one that stands for several addresses the first that holds of any.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum SeedState {
    /// It answers, or is listed.
    Contacted,
    /// It is being looked up or asked.
    Seeking,
    /// One way of two does not get through. `Udp`: nothing comes back from there, though something
    /// takes calls by TCP. `Tcp`: it answers, and takes no call, so that large values can't pass.
    Filtered(TransportKind),
    /// It does not hold our secret, or one of us has none. With a secret so does a node of another
    /// cluster, and whatever else hangs up on a call of ours.
    WrongKey,
    /// It is a node of another cluster.
    OtherCluster,
    /// Nothing comes from there.
    Silent,
    /// Its name stands for no address: why.
    Unresolved(String),
    /// It is this node itself.
    Myself,
    /// This node advertises loopback, where the seed would not reach it: it is not asked.
    BeyondLoopback,
    /// Its addresses are of a family that this node's socket can't send to.
    OtherFamily,
}

/// As the end of a sentence about the seed.
impl fmt::Display for SeedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Contacted => "contacted",
            Self::Myself => "this node itself",
            Self::Seeking => "being looked for",
            Self::Filtered(TransportKind::Udp) => {
                "silent, and takes calls by TCP: is UDP filtered?"
            }
            Self::Filtered(TransportKind::Tcp) => {
                "contacted, and takes no call by TCP: is it filtered?"
            }
            Self::WrongKey => "of another secret: compare `secret_key` and `cluster`",
            Self::OtherCluster => "of another cluster: compare `cluster`",
            Self::Silent => "silent",
            Self::Unresolved(why) => return write!(f, "not found: {}", Printable(why)),
            Self::BeyondLoopback => "elsewhere, and this node advertises loopback",
            Self::OtherFamily => "of an address family that this node does not listen on",
        })
    }
}

/// What comes from the tasks beside a node's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SideReport {
    /// The IP that the node would advertise now; `None` when there is none.
    Address(Option<IpAddr>),
    /// What came of a call to a seed.
    Trial(SocketAddr, Trial),
}

/// What came of a call by TCP that was made to see whether one gets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// It was taken.
    Taken,
    /// The other end hung up.
    HungUp,
    /// Nobody took it.
    NotTaken,
}

/// What an engine knows of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    /// Somebody there answers, or is listed.
    Answers,
    /// What is sent there comes back to the node itself.
    Myself,
    /// Neither.
    Nothing,
}

/// What is to be done after a look.
#[derive(Debug, Default)]
pub(crate) struct SeedNews {
    /// All seeds, if anything about them is new.
    pub(crate) seeds: Option<Arc<[SeedStatus]>>,
    /// Seeds whose state has changed.
    pub(crate) changed: Vec<SeedStatus>,
    /// That there is nobody, when that is new.
    pub(crate) alone: Option<Reach>,
    /// Whom to call.
    pub(crate) to_try: Vec<SocketAddr>,
}

/// The seeds of one node.
#[derive(Debug)]
pub(crate) struct Contacts {
    me: SocketAddr,
    family: Family,
    /// Whether calls by TCP tell anything.
    tries: bool,
    pace: Pace,
    places: Vec<SeedPlace>,
    addrs: BTreeMap<SocketAddr, Contact>,
    told: Arc<[SeedStatus]>,
    reach: Reach,
    had_company: bool,
    /// Members of another family that were told of.
    strangers: BTreeSet<SocketAddr>,
    /// Not before then, unless something is new.
    next_look: Instant,
    /// What time alone changes is looked at then.
    due: Option<Instant>,
}

/// How long what takes.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// After so long without an answer a seed is silent.
    silent_after: Duration,
    redial: Duration,
    /// Nodes that start together don't call a seed together.
    jitter: Duration,
}

/// An address that a seed stands for, and that may be asked.
#[derive(Clone, Debug)]
struct Contact {
    state: SeedState,
    /// When something last showed that.
    since: Instant,
    next_trial: Option<Instant>,
}

impl Contacts {
    /// How soon after its first dial a seed is told to be silent; a `cycle`, if that is longer.
    const SILENT_AFTER: Duration = Duration::from_secs(1);

    /// Between two looks while packets come and go.
    const PAUSE: Duration = Duration::from_millis(50);

    /// Most members of another family that are told of.
    const STRANGERS_MAX: usize = 64;

    /// For a node at this address. `streams` says whether it has any: in a network in memory calls
    /// tell nothing, nor among nodes of pekonode, nor where there is nothing but calls.
    pub(crate) fn new(me: SocketAddr, bound: SocketAddr, config: &Config, streams: bool) -> Self {
        let pace = Pace {
            silent_after: config.cycle().max(Self::SILENT_AFTER),
            redial: config.redial(),
            jitter: Duration::from_nanos(NodeId::of(me).0 % nanos(config.redial())),
        };
        Self {
            me,
            family: Family::of(bound),
            tries: streams
                && config.wire() == Wire::Native
                && config.protocol() == TransportKind::Udp,
            pace,
            places: Vec::new(),
            addrs: BTreeMap::new(),
            told: Arc::default(),
            reach: Reach::Seeking,
            had_company: false,
            strangers: BTreeSet::new(),
            next_look: Instant::ZERO,
            due: None,
        }
    }

    /// Takes what the seeds resolve to, and gives whom to ask.
    pub(crate) fn take(&mut self, now: Instant, places: Vec<SeedPlace>) -> Vec<SocketAddr> {
        let all = places.iter().flat_map(|place| place.addrs.iter().copied());
        let asked: Vec<_> = all.filter(|&addr| self.obstacle(addr).is_none()).collect();
        self.addrs.retain(|addr, _| asked.contains(addr));
        for &addr in &asked {
            let new = Contact { state: SeedState::Seeking, since: now, next_trial: None };
            self.addrs.entry(addr).or_insert(new);
        }
        self.places = places;
        self.next_look = now;
        asked
    }

    /// Why an address is not asked, if so.
    fn obstacle(&self, addr: SocketAddr) -> Option<SeedState> {
        if addr == self.me {
            Some(SeedState::Myself)
        } else if !self.family.reaches(addr) {
            Some(SeedState::OtherFamily)
        } else if self.me.ip().is_loopback() && !addr.ip().is_loopback() {
            Some(SeedState::BeyondLoopback)
        } else {
            None
        }
    }

    /// A packet from there was refused.
    pub(crate) fn refused(&mut self, now: Instant, from: SocketAddr, reason: Reject) {
        let state = match reason {
            Reject::WrongCluster => SeedState::OtherCluster,
            Reject::Sealed | Reject::Unsealed | Reject::UnknownKey | Reject::BadSeal => {
                SeedState::WrongKey
            }
            _ => return,
        };
        // Whoever forges one changes nothing of a seed that answers.
        if let Some(contact) = self.addrs.get_mut(&from).filter(|contact| !contact.answers()) {
            (contact.state, contact.since) = (state, now);
            self.next_look = now;
        }
    }

    /// Takes what came of a call.
    pub(crate) fn tried(&mut self, now: Instant, addr: SocketAddr, trial: Trial) {
        if let Some(contact) = self.addrs.get_mut(&addr) {
            contact.tried(now, trial, self.pace);
            self.next_look = now;
        }
    }

    /// When there is something to look at, whatever comes.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Looks what has changed, given what the engine knows of each address, and whether it lists
    /// others.
    pub(crate) fn look(
        &mut self,
        now: Instant,
        has_company: bool,
        touch: impl Fn(SocketAddr) -> Touch,
    ) -> SeedNews {
        let is_due = now >= self.next_look || self.due.is_some_and(|due| due <= now);
        if !is_due && has_company == (self.reach == Reach::Others) {
            return SeedNews::default();
        }
        self.next_look = now + Self::PAUSE;
        let mut to_try = Vec::new();
        for (&addr, contact) in &mut self.addrs {
            contact.look(now, touch(addr), self.pace);
            if self.tries && contact.is_to_be_tried(now, self.pace) {
                to_try.push(addr);
            }
        }
        let (pace, tries) = (self.pace, self.tries);
        self.due = self.addrs.values().filter_map(|contact| contact.due(pace, tries)).min();
        let all: Arc<[_]> = self.places.iter().map(|place| self.status(place)).collect();
        let told = std::mem::replace(&mut self.told, all);
        let before = |now: &SeedStatus| {
            let before = told.iter().find(|told| told.seed == now.seed);
            before.map_or(SeedState::Seeking, |told| told.state.clone())
        };
        let changed = self.told.iter().filter(|now| before(now) != now.state).cloned().collect();
        let seeds = (self.told != told).then(|| Arc::clone(&self.told));
        SeedNews { seeds, changed, alone: self.alone(has_company), to_try }
    }

    fn status(&self, place: &SeedPlace) -> SeedStatus {
        let states = place.addrs.iter().filter_map(|addr| match self.addrs.get(addr) {
            Some(contact) => Some(contact.state.clone()),
            None => self.obstacle(*addr),
        });
        let unknown = || match &place.failure {
            Some(why) => SeedState::Unresolved(why.clone()),
            None => SeedState::Seeking,
        };
        let state = states.min().unwrap_or_else(unknown);
        SeedStatus { seed: place.seed.text().to_owned(), addrs: place.addrs.clone(), state }
    }

    /// Whom the node reaches; what is told of that is that it is nobody.
    fn alone(&mut self, has_company: bool) -> Option<Reach> {
        self.had_company |= has_company;
        let mut states = self.told.iter().map(|seed| &seed.state);
        let reach = if has_company {
            Reach::Others
        } else if states.clone().all(|state| *state == SeedState::Myself) && !self.had_company {
            Reach::First
        } else if states.any(|state| matches!(state, SeedState::Seeking | SeedState::Contacted)) {
            Reach::Seeking
        } else {
            Reach::Nobody
        };
        let is_news = reach != self.reach && matches!(reach, Reach::First | Reach::Nobody);
        self.reach = reach;
        is_news.then_some(reach)
    }

    pub(crate) fn reach(&self) -> Reach {
        self.reach
    }

    /// True the first time that a member is named whom this node can't send to.
    pub(crate) fn is_new_stranger(&mut self, member: SocketAddr) -> bool {
        !self.family.reaches(member)
            && self.strangers.len() < Self::STRANGERS_MAX
            && self.strangers.insert(member)
    }
}

impl Contact {
    /// True when packets come and go, whatever else does not.
    fn answers(&self) -> bool {
        matches!(self.state, SeedState::Contacted | SeedState::Filtered(TransportKind::Tcp))
    }

    fn look(&mut self, now: Instant, touch: Touch, pace: Pace) {
        match touch {
            Touch::Answers => {
                self.since = now;
                if !self.answers() {
                    self.state = SeedState::Contacted;
                    self.next_trial = Some(now + pace.jitter);
                }
            }
            Touch::Myself => (self.state, self.next_trial) = (SeedState::Myself, None),
            Touch::Nothing if self.end(pace).is_some_and(|end| end <= now) => {
                (self.state, self.next_trial) = (SeedState::Silent, Some(now));
            }
            Touch::Nothing => {}
        }
    }

    /// When the state holds no longer, if nothing shows it anew.
    fn end(&self, pace: Pace) -> Option<Instant> {
        match self.state {
            SeedState::Seeking | SeedState::Contacted | SeedState::Filtered(TransportKind::Tcp) => {
                Some(self.since + pace.silent_after)
            }
            // It is dialled, and shows it again, in each period.
            SeedState::OtherCluster | SeedState::WrongKey => Some(self.since + 3 * pace.redial),
            _ => None,
        }
    }

    /// What changes by itself. Of one that answers nothing does: who falls silent is removed.
    fn due(&self, pace: Pace, tries: bool) -> Option<Instant> {
        let end = self.end(pace).filter(|_| !self.answers());
        [end, self.next_trial.filter(|_| tries)].into_iter().flatten().min()
    }

    fn is_to_be_tried(&mut self, now: Instant, pace: Pace) -> bool {
        let is_due = self.next_trial.is_some_and(|at| at <= now);
        if is_due {
            self.next_trial = Some(now + pace.redial);
        }
        is_due
    }

    fn tried(&mut self, now: Instant, trial: Trial, pace: Pace) {
        self.next_trial = Some(now + pace.redial);
        self.state = match (&self.state, trial) {
            (SeedState::Contacted | SeedState::Filtered(TransportKind::Tcp), Trial::NotTaken) => {
                SeedState::Filtered(TransportKind::Tcp)
            }
            (SeedState::Contacted | SeedState::Filtered(TransportKind::Tcp), Trial::Taken) => {
                self.next_trial = None;
                SeedState::Contacted
            }
            (SeedState::Silent | SeedState::Filtered(TransportKind::Udp), Trial::Taken) => {
                SeedState::Filtered(TransportKind::Udp)
            }
            (
                SeedState::Silent | SeedState::Filtered(TransportKind::Udp) | SeedState::WrongKey,
                Trial::HungUp,
            ) => {
                self.since = now;
                SeedState::WrongKey
            }
            (SeedState::Filtered(TransportKind::Udp), Trial::NotTaken) => SeedState::Silent,
            // What packets have shown is more than a call can.
            (state, _) => state.clone(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::seeds::Seed;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const START: Instant = Instant::from_nanos(1 << 40);

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// The seeds of a node at 10.0.0.1, and the time that has passed.
    struct Bed {
        contacts: Contacts,
        now: Instant,
    }

    impl Bed {
        fn at(me: &str, seeds: &[&str]) -> Self {
            let bound = if me.starts_with('[') { "[fd00::1]:8000" } else { "0.0.0.0:8000" };
            let mut contacts = Contacts::new(addr(me), addr(bound), &Config::default(), true);
            contacts.take(START, seeds.iter().map(|text| place(text)).collect());
            Self { contacts, now: START }
        }

        fn of(seeds: &[&str]) -> Self {
            Self::at("10.0.0.1:8000", seeds)
        }

        fn look(&mut self, touch: Touch) -> SeedNews {
            let has_company = touch == Touch::Answers;
            self.contacts.look(self.now, has_company, |_| touch)
        }

        /// The states after so many seconds in which nobody answers.
        fn after(&mut self, seconds: u64) -> Vec<SeedState> {
            self.now = self.now + SECOND * u32::try_from(seconds).unwrap();
            self.look(Touch::Nothing);
            self.states()
        }

        fn states(&self) -> Vec<SeedState> {
            self.contacts.told.iter().map(|seed| seed.state.clone()).collect()
        }

        fn tried(&mut self, trial: Trial) -> Vec<SeedState> {
            self.contacts.tried(self.now, addr("10.0.0.2:8000"), trial);
            self.after(0)
        }
    }

    fn place(text: &str) -> SeedPlace {
        SeedPlace::of(Seed::parse(text).unwrap())
    }

    #[test]
    fn a_seed_that_does_not_answer_is_silent_after_a_second_and_told_once() {
        let mut bed = Bed::of(&["10.0.0.2:8000"]);
        assert_eq!(bed.after(0), [SeedState::Seeking]);
        assert_eq!(bed.contacts.deadline(), Some(START + SECOND));
        bed.now = START + SECOND;
        let news = bed.look(Touch::Nothing);
        assert_eq!(news.changed[0].state, SeedState::Silent);
        assert_eq!((news.alone, news.to_try.len()), (Some(Reach::Nobody), 1));
        bed.now = bed.now + SECOND;
        let news = bed.look(Touch::Nothing);
        assert!(news.changed.is_empty() && news.alone.is_none() && news.to_try.is_empty());
    }

    #[test]
    fn a_seed_that_answers_is_contacted_and_tried_by_tcp_until_that_goes_well() {
        let mut bed = Bed::of(&["10.0.0.2:8000"]);
        let news = bed.look(Touch::Answers);
        assert_eq!(news.changed[0].state, SeedState::Contacted);
        assert_eq!(bed.contacts.reach(), Reach::Others);
        let redial = Config::default().redial();
        bed.now = bed.now + redial;
        assert_eq!(bed.look(Touch::Answers).to_try, [addr("10.0.0.2:8000")]);
        bed.contacts.tried(bed.now, addr("10.0.0.2:8000"), Trial::NotTaken);
        bed.now = bed.now + redial;
        let news = bed.look(Touch::Answers);
        assert_eq!(news.changed[0].state, SeedState::Filtered(TransportKind::Tcp));
        assert_eq!(news.to_try.len(), 1, "it is tried again");
        bed.contacts.tried(bed.now, addr("10.0.0.2:8000"), Trial::Taken);
        bed.now = bed.now + 9 * redial;
        let news = bed.look(Touch::Answers);
        assert_eq!(news.changed[0].state, SeedState::Contacted);
        assert!(news.to_try.is_empty());
    }

    #[test]
    fn a_call_tells_a_silent_seed_from_one_that_is_filtered_and_from_one_that_hangs_up() {
        let mut bed = Bed::of(&["10.0.0.2:8000"]);
        assert_eq!(bed.after(1), [SeedState::Silent]);
        assert_eq!(bed.tried(Trial::Taken), [SeedState::Filtered(TransportKind::Udp)]);
        assert_eq!(bed.tried(Trial::NotTaken), [SeedState::Silent]);
        assert_eq!(bed.tried(Trial::HungUp), [SeedState::WrongKey]);
        assert_eq!(bed.tried(Trial::Taken), [SeedState::WrongKey], "it says nothing of the key");
        assert_eq!(bed.after(31), [SeedState::Silent], "nothing shows it any more");
    }

    #[test]
    fn what_is_refused_of_a_seed_s_packets_says_what_is_wrong_unless_it_answers() {
        let seed = addr("10.0.0.2:8000");
        for (reason, state) in [
            (Reject::WrongCluster, SeedState::OtherCluster),
            (Reject::UnknownKey, SeedState::WrongKey),
            (Reject::Unsealed, SeedState::WrongKey),
            (Reject::Damaged, SeedState::Seeking),
        ] {
            let mut bed = Bed::of(&["10.0.0.2:8000"]);
            bed.contacts.refused(bed.now, seed, reason);
            bed.contacts.refused(bed.now, addr("10.0.0.3:8000"), reason);
            assert_eq!(bed.after(0), [state]);
        }
        let mut bed = Bed::of(&["10.0.0.2:8000"]);
        bed.look(Touch::Answers);
        bed.contacts.refused(bed.now, seed, Reject::WrongCluster);
        let states = bed.after(0);
        assert_eq!(states, [SeedState::Contacted], "anybody can write its address");
    }

    #[test]
    fn what_keeps_a_seed_from_being_asked_is_told() {
        let mut bed = Bed::of(&["10.0.0.1:8000", "[fd00::2]:8000", "name:1"]);
        let states = [SeedState::Myself, SeedState::OtherFamily, SeedState::Seeking];
        assert_eq!(bed.after(9), states);
        let mut local = Bed::at("127.0.0.1:8000", &["10.0.0.2:8000", "127.0.0.2:8000"]);
        assert_eq!(local.after(0), [SeedState::BeyondLoopback, SeedState::Seeking]);
        let mut six = Bed::at("[fd00::1]:8000", &["10.0.0.2:8000"]);
        assert_eq!(six.after(0), [SeedState::OtherFamily]);
        let mut failed = place("name:1");
        failed.failure = Some("no such name".into());
        bed.contacts.take(bed.now, vec![failed]);
        assert_eq!(bed.after(0), [SeedState::Unresolved("no such name".into())]);
    }

    #[test]
    fn the_first_of_a_cluster_is_told_from_one_that_reaches_nobody() {
        for seeds in [&[][..], &["10.0.0.1:8000"]] {
            let mut first = Bed::of(seeds);
            assert_eq!(first.look(Touch::Nothing).alone, Some(Reach::First));
            // Once others were there it is not the first any more.
            first.look(Touch::Answers);
            assert_eq!(first.look(Touch::Nothing).alone, Some(Reach::Nobody));
        }
        let mut itself = Bed::of(&["10.0.0.1:8000", "name:1"]);
        assert_eq!(itself.look(Touch::Nothing).alone, None, "a name may yet be found");
        let mut loops = Bed::of(&["10.0.0.9:8000"]);
        assert_eq!(loops.look(Touch::Myself).alone, Some(Reach::First));
    }

    #[test]
    fn a_member_of_another_family_is_told_of_once_and_few_are() {
        let mut bed = Bed::of(&[]);
        let stranger = |port: u16| SocketAddr::new(addr("[fd00::2]:1").ip(), port);
        assert!(bed.contacts.is_new_stranger(stranger(1)));
        assert!(!bed.contacts.is_new_stranger(stranger(1)));
        assert!(!bed.contacts.is_new_stranger(addr("10.0.0.2:1")));
        let more = (2..1_000).filter(|&port| bed.contacts.is_new_stranger(stranger(port)));
        assert_eq!(more.count(), Contacts::STRANGERS_MAX - 1);
    }
}
