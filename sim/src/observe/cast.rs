//! The cast of a run: every incarnation that the plan ever starts, found by number, address or
//! record.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use rumormill::Config;
use rumormill::core::Record;
use rumormill::node::{Generation, NodeId};
use rumormill::time::{Instant, Now, UnixNanos};
use rustc_hash::FxHashMap;

use super::clocks::Clocks;
use crate::bits;
use crate::scenario::addresses;
use crate::scenario::plan::{Content, Deed, Injection, Memory, NodeNo, Plan, Speaker, StartCause};

/// The place of an incarnation in the plan.
pub(crate) type IncarnationNo = u32;

/// The place of an address among all addresses of the run.
pub(crate) type AddrNo = u32;

/// Who appears in a run.
#[derive(Clone, Debug)]
pub(crate) struct Cast {
    parts: Vec<Part>,
    addrs: Vec<Addr>,
    /// What is asked with every listing and every packet stands apart from the rest, so that the
    /// caches of a processor hold it: by address who has it now, by incarnation its node and
    /// whether it is alone.
    holders: Vec<Holder>,
    nodes_of: Vec<NodeNo>,
    /// By incarnation: its place among all of them in order of the ring.
    ring_places: Vec<u32>,
    /// Bits of the incarnations whose address nobody else ever has.
    alone: Box<[u64]>,
    /// By the number of an address in its plan, where it has one.
    by_number: Vec<AddrNo>,
    /// Those of other addresses.
    by_addr: FxHashMap<SocketAddr, AddrNo>,
    nodes: u32,
    clocks: Clocks,
    forged: Forged,
    /// By node: the settings of its engine.
    configs: Vec<Arc<Config>>,
}

/// One incarnation.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) node: NodeNo,
    pub(crate) addr: AddrNo,
    pub(crate) start: Instant,
    pub(crate) cause: StartCause,
    pub(crate) record: Arc<Record>,
}

#[derive(Clone, Debug)]
struct Addr {
    addr: SocketAddr,
    /// Who has it, in order of start; that of generation as well, but for those who forgot theirs.
    /// Addresses are never handed on to other nodes.
    parts: Vec<IncarnationNo>,
}

/// The last incarnation that an address has.
#[derive(Clone, Copy, Debug)]
struct Holder {
    /// From this generation on it can be nobody else.
    generation: Generation,
    incarnation: IncarnationNo,
    node: NodeNo,
}

impl Cast {
    /// What stands at a number that no address has.
    const NOBODY: AddrNo = AddrNo::MAX;

    /// The cast of a plan in virtual time.
    pub(crate) fn of(plan: &Plan) -> Self {
        Self::with(plan, |_| None)
    }

    /// The cast of a plan in which some incarnations have records of their own: those of real
    /// nodes, by their place in the plan.
    pub(crate) fn with(plan: &Plan, record: impl Fn(usize) -> Option<Arc<Record>>) -> Self {
        let (parts, addrs) = (Vec::with_capacity(plan.incarnations.len()), Vec::new());
        // A plan gives one number to each node, and at most one more to each that comes back.
        let numbers = plan.nodes_ever as usize + plan.incarnations.len();
        let mut cast = Self {
            parts,
            addrs,
            holders: Vec::new(),
            nodes_of: plan.incarnations.iter().map(|incarnation| incarnation.node).collect(),
            ring_places: Vec::new(),
            alone: Box::default(),
            by_number: vec![Self::NOBODY; numbers],
            by_addr: FxHashMap::default(),
            nodes: plan.nodes_ever,
            clocks: Clocks::of(plan),
            forged: Forged::of(plan),
            configs: vec![Arc::clone(&plan.engine); plan.nodes_ever as usize],
        };
        let mut last: Vec<Option<(Instant, Generation)>> = vec![None; plan.nodes_ever as usize];
        let updates = Updates::of(plan);
        for incarnation in &plan.incarnations {
            let node = incarnation.node;
            let (start, cause) = (incarnation.start, incarnation.cause);
            let last = &mut last[node as usize];
            assert!(last.is_none_or(|(at, _)| at <= start), "node {node} starts in order");
            let wall = |at| cast.clocks.wall(node, at);
            let remembered = match (*last, incarnation.memory) {
                (Some((since, generation)), Memory::Keeps | Memory::KeepsAll) => {
                    Some(updates.after(node, since..=start, generation, wall))
                }
                (None, _) | (_, Memory::Forgets) => None,
            };
            let generation = Generation::start(remembered, wall(start));
            cast.configs[node as usize] = Arc::clone(&incarnation.config);
            *last = Some((start, generation));
            let addr = cast.intern(incarnation.public.addr());
            let number = cast.parts.len() as IncarnationNo;
            let others = &mut cast.addrs[addr as usize].parts;
            let first = others.first().map(|&part| cast.parts[part as usize].node);
            assert!(first.is_none_or(|first| first == node), "two nodes of the plan share {addr}");
            others.push(number);
            let speaks = incarnation.config.wire_max();
            let planned =
                || Arc::new(Record::new(incarnation.public.clone(), generation).speaking(speaks));
            let record = record(number as usize).unwrap_or_else(planned);
            let generation = cast.alone_from(addr, record.generation());
            cast.holders[addr as usize] = Holder { generation, incarnation: number, node };
            cast.parts.push(Part { node, addr, start, cause, record });
        }
        let alone = cast.addrs.iter().filter(|addr| addr.parts.len() == 1);
        cast.alone = bits::mask(cast.parts.len(), alone.map(|addr| addr.parts[0]));
        cast.ring_places = vec![0; cast.parts.len()];
        for (place, number) in (0..).zip(cast.in_ring_order()) {
            cast.ring_places[number as usize] = place;
        }
        cast
    }

    /// From which generation on a newcomer to an address is the only one it can be: its own, or the
    /// one above all that were there, if it forgot them.
    fn alone_from(&self, addr: AddrNo, own: Generation) -> Generation {
        let before = self.addrs[addr as usize].parts.iter();
        let earlier = before.filter_map(|&part| self.parts.get(part as usize));
        match earlier.map(|part| part.record.generation()).max() {
            Some(highest) if highest >= own => {
                Generation::new(highest.get() + 1).unwrap_or(Generation::MAX)
            }
            _ => own,
        }
    }

    fn in_ring_order(&self) -> impl Iterator<Item = IncarnationNo> + use<> {
        let places = (0..).zip(&self.parts).map(|(number, part)| (part.record.place(), number));
        let mut order: Vec<(NodeId, IncarnationNo)> = places.collect();
        order.sort_unstable();
        order.into_iter().map(|(_, number)| number)
    }

    pub(crate) fn nodes(&self) -> u32 {
        self.nodes
    }

    /// What every wall clock shows.
    pub(crate) fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// Whether an incarnation stands below a former life at its address, whose number it forgot.
    pub(crate) fn has_forgotten(&self, incarnation: IncarnationNo) -> bool {
        let generation = |part| self.part(part).record.generation();
        let mut former = self.same_addr(incarnation).iter().filter(|&&part| part < incarnation);
        former.any(|&part| generation(part) >= generation(incarnation))
    }

    /// Whether a packet that no node sent may have spoken of a node at this address.
    pub(crate) fn may_be_forged(&self, addr: SocketAddr) -> bool {
        match &self.forged {
            Forged::Some(addrs) => addrs.contains(&addr),
            Forged::Anybody => true,
        }
    }

    /// What both clocks of a node show at a time.
    pub(crate) fn now(&self, node: NodeNo, at: Instant) -> Now {
        Now { mono: at, wall: self.clocks.wall(node, at) }
    }

    /// The incarnation that a node was, or will first be, just before a time.
    pub(crate) fn before(&self, node: NodeNo, at: Instant) -> &Part {
        let own = || self.parts.iter().filter(|part| part.node == node);
        let past = own().rfind(|part| part.start < at);
        past.or_else(|| own().next()).expect("every node of a plan starts once")
    }

    /// The settings of a node's engine, in all its lives but for the version of the wire that it
    /// speaks, which no measure asks for.
    pub(crate) fn config(&self, node: NodeNo) -> &Arc<Config> {
        &self.configs[node as usize]
    }

    /// The longest that some time is in anybody's settings.
    pub(crate) fn longest(&self, of: fn(&Config) -> Duration) -> Duration {
        self.configs().map(of).max().unwrap_or_default()
    }

    /// The shortest that some time is in anybody's settings.
    pub(crate) fn shortest(&self, of: fn(&Config) -> Duration) -> Duration {
        self.configs().map(of).min().unwrap_or_default()
    }

    /// The settings of all nodes' engines.
    pub(crate) fn configs(&self) -> impl Iterator<Item = &Config> {
        self.configs.iter().map(AsRef::as_ref)
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(crate) fn part(&self, incarnation: IncarnationNo) -> &Part {
        &self.parts[incarnation as usize]
    }

    /// The incarnations of the initial nodes.
    pub(crate) fn initial(&self) -> impl Iterator<Item = IncarnationNo> + '_ {
        let initial = |part: &Part| part.cause == StartCause::Initial;
        (0..).zip(&self.parts).filter(move |(_, part)| initial(part)).map(|(number, _)| number)
    }

    pub(crate) fn addr(&self, addr: AddrNo) -> SocketAddr {
        self.addrs[addr as usize].addr
    }

    pub(crate) fn addr_no(&self, addr: SocketAddr) -> Option<AddrNo> {
        match self.number(addr) {
            Some(number) => Some(self.by_number[number]).filter(|&addr| addr != Self::NOBODY),
            None => self.by_addr.get(&addr).copied(),
        }
    }

    fn number(&self, addr: SocketAddr) -> Option<usize> {
        let number = addresses::number(addr)? as usize;
        (number < self.by_number.len()).then_some(number)
    }

    /// The node that has an address at one time or another.
    pub(crate) fn node_at(&self, addr: AddrNo) -> NodeNo {
        self.holders[addr as usize].node
    }

    /// Whose incarnation it is.
    pub(crate) fn node_of(&self, incarnation: IncarnationNo) -> NodeNo {
        self.nodes_of[incarnation as usize]
    }

    /// Which of its node's incarnations it is, from 0.
    pub(crate) fn life_of(&self, incarnation: IncarnationNo) -> u32 {
        let node = self.node_of(incarnation);
        let before = &self.nodes_of[..incarnation as usize];
        before.iter().filter(|&&other| other == node).count() as u32
    }

    /// The place of an incarnation among all of them in order of the ring. News of many members
    /// comes in this order: who keeps a table by it walks straight through.
    pub(crate) fn ring_place(&self, incarnation: IncarnationNo) -> u32 {
        self.ring_places[incarnation as usize]
    }

    /// True when nobody else ever has the address of this incarnation.
    pub(crate) fn is_alone(&self, incarnation: IncarnationNo) -> bool {
        bits::has(&self.alone, incarnation)
    }

    /// The incarnations that share an address with this one, itself included, in order of
    /// generation.
    pub(crate) fn same_addr(&self, incarnation: IncarnationNo) -> &[IncarnationNo] {
        &self.addrs[self.part(incarnation).addr as usize].parts
    }

    /// The incarnation with this address and generation. An engine may have raised its generation
    /// by itself: then the last to start of the plan's that are not above it. `None` at a strange
    /// address.
    pub(crate) fn find(&self, addr: SocketAddr, generation: Generation) -> Option<IncarnationNo> {
        let addr = self.addr_no(addr)? as usize;
        let last = &self.holders[addr];
        if last.generation <= generation {
            return Some(last.incarnation);
        }
        let of = |part: &&IncarnationNo| self.part(**part).record.generation();
        let parts = || self.addrs[addr].parts.iter().rev();
        let same = parts().find(|part| of(part) == generation);
        same.or_else(|| parts().find(|part| of(part) <= generation)).copied()
    }

    /// The last incarnation to start at an address by then, or the first that will.
    pub(crate) fn last_at(&self, addr: SocketAddr, at: Instant) -> Option<IncarnationNo> {
        let parts = &self.addrs[self.addr_no(addr)? as usize].parts;
        let started = parts.iter().rfind(|&&part| self.part(part).start <= at);
        started.or(parts.first()).copied()
    }

    fn intern(&mut self, addr: SocketAddr) -> AddrNo {
        if let Some(known) = self.addr_no(addr) {
            return known;
        }
        let next = self.addrs.len() as AddrNo;
        self.addrs.push(Addr { addr, parts: Vec::new() });
        let (incarnation, node) = (IncarnationNo::MAX, NodeNo::MAX);
        self.holders.push(Holder { generation: Generation::MAX, incarnation, node });
        match self.number(addr) {
            Some(number) => self.by_number[number] = next,
            None => _ = self.by_addr.insert(addr, next),
        }
        next
    }
}

/// Of whom the packets speak that the plan makes up.
#[derive(Clone, Debug)]
enum Forged {
    /// Of those at these addresses, if any.
    Some(BTreeSet<SocketAddr>),
    /// Bytes may say anything.
    Anybody,
}

impl Forged {
    fn of(plan: &Plan) -> Self {
        let mut addrs = BTreeSet::new();
        for action in &plan.actions {
            match &action.deed {
                Deed::Inject(Injection { content: Content::Bytes(_), .. }) => {
                    return Self::Anybody;
                }
                Deed::Inject(Injection { content: Content::Of { of, .. }, .. }) => match of {
                    Speaker::Stranger(addr) => _ = addrs.insert(*addr),
                    Speaker::Node(node) => {
                        let lives = plan.incarnations.iter().filter(|life| life.node == *node);
                        addrs.extend(lives.map(|life| life.public.addr()));
                    }
                },
                _ => {}
            }
        }
        Self::Some(addrs)
    }
}

/// By node: when it is told to say something else of itself, in order of time.
struct Updates(BTreeMap<NodeNo, Vec<Instant>>);

impl Updates {
    fn of(plan: &Plan) -> Self {
        let mut updates: BTreeMap<NodeNo, Vec<Instant>> = BTreeMap::new();
        for action in &plan.actions {
            if let Deed::Update(said) = &action.deed {
                said.iter().for_each(|&(node, _)| updates.entry(node).or_default().push(action.at));
            }
        }
        Self(updates)
    }

    /// The generation of a node at the end of a time, from that at its beginning: each update
    /// takes the next.
    fn after(
        &self,
        node: NodeNo,
        time: RangeInclusive<Instant>,
        generation: Generation,
        wall: impl Fn(Instant) -> UnixNanos,
    ) -> Generation {
        let own = self.0.get(&node).into_iter().flatten().filter(|at| time.contains(at));
        own.fold(generation, |last, &at| last.after(wall(at)).unwrap_or(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::plan::ClockChange;
    use crate::world::testkit;

    #[test]
    fn incarnations_are_found_by_address_and_generation() {
        let cast = Cast::of(&testkit::plan_with_restarts(3));
        assert_eq!((cast.nodes(), cast.parts().len()), (3, 6));
        for (number, part) in (0..).zip(cast.parts()) {
            let (addr, generation) = (part.record.node().addr(), part.record.generation());
            assert_eq!(cast.find(addr, generation), Some(number));
            assert_eq!((cast.addr(part.addr), cast.node_at(part.addr)), (addr, part.node));
            assert_eq!(cast.node_of(number), part.node);
            assert_eq!(cast.life_of(number), u32::from(number >= 3));
            assert_eq!(cast.is_alone(number), cast.same_addr(number) == [number]);
        }
        let mut places: Vec<_> = (0..6).map(|number| cast.ring_place(number)).collect();
        let on_ring = |number: &u32| cast.part(*number).record.place();
        assert!((0..6).all(|a| {
            (0..6).all(|b| on_ring(&a) >= on_ring(&b) || cast.ring_place(a) < cast.ring_place(b))
        }));
        places.sort_unstable();
        assert_eq!(places, [0, 1, 2, 3, 4, 5]);
        assert_eq!(cast.same_addr(4), [1, 4]);
        assert_eq!(cast.find("9.9.9.9:9".parse().unwrap(), Generation::MAX), None);
    }

    #[test]
    fn who_forgot_its_generation_is_found_below_and_above_its_former_life_but_not_at_it() {
        let mut plan = testkit::plan_with_restarts(3);
        let change = ClockChange::Offset { nanos: -3_600_000_000_000 };
        testkit::act(&mut plan, 500, "", Deed::Clock { nodes: vec![1], change });
        let keeps = Cast::of(&plan).part(4).record.generation();
        plan.incarnations[4].memory = Memory::Forgets;
        let cast = Cast::of(&plan);
        let (addr, former) = (cast.part(1).record.node().addr(), cast.part(1).record.generation());
        let own = cast.part(4).record.generation();
        assert!(own < former && former < keeps, "{own} {former} {keeps}");
        let find = |generation: u64| cast.find(addr, Generation::new(generation).unwrap());
        let found = [own.get() - 1, own.get(), former.get() - 1, former.get(), former.get() + 1];
        assert_eq!(found.map(find), [None, Some(4), Some(4), Some(1), Some(4)]);
    }

    #[test]
    fn who_was_updated_before_its_clock_went_back_starts_above_that() {
        let mut plan = testkit::plan_with_restarts(3);
        let said = testkit::node(1);
        testkit::act(&mut plan, 400, "", Deed::Update(vec![(1, said.clone()), (2, said.clone())]));
        testkit::act(&mut plan, 450, "", Deed::Update(vec![(1, said.clone())]));
        let change = ClockChange::Offset { nanos: -3_600_000_000_000 };
        testkit::act(&mut plan, 500, "", Deed::Clock { nodes: vec![1], change });
        let cast = Cast::of(&plan);
        let start = cast.part(1).record.generation().get();
        assert_eq!(cast.part(4).record.generation().get(), start + 450_000_000 + 1);
        // Node 1 is updated in the very instant of its restart.
        let again = cast.part(4).start.as_nanos() / 1_000_000;
        testkit::act(&mut plan, again, "", Deed::Update(vec![(1, said)]));
        let at_once = Cast::of(&plan).part(4).record.generation();
        assert_eq!(at_once.get(), start + 450_000_000 + 2);
    }

    #[test]
    fn a_generation_that_a_node_gave_itself_is_that_of_its_last_start() {
        let cast = Cast::of(&testkit::plan_with_restarts(3));
        let addr = cast.part(1).record.node().addr();
        assert_eq!(cast.find(addr, Generation::MAX), Some(4));
        assert_eq!(cast.find(addr, Generation::MIN), None);
    }
}
