//! A network in memory, so that a service can test what it does in a cluster without sockets.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::clock::Clock;
use crate::core::Class;
use crate::link::{ChangeId, Fate, Link, LinkChange, LinkModel, NetworkChange, Ways};
#[cfg(doc)]
use crate::node_list::NodeList;
use crate::rng::Rng;
use crate::time::{Instant, UnixNanos};

/// What every node's wall clock shows when the first one is bound: in January 2027.
const EPOCH: UnixNanos = UnixNanos(1_800_000_000_000_000_000);

/// Bytes of the IP and UDP headers, which count where a link's size or bandwidth is limited.
const HEADERS_LEN: usize = 28;

/// Most packets on their way to one node; a test that exceeds it has stopped reading.
const FLIGHTS_MAX: usize = 65_536;

/// Where ports are picked from for nodes that leave theirs open.
const PORT_FIRST: u16 = 49_152;

/// A network in memory with a clock of its own, for tests of services.
///
/// Its nodes are [`NodeList`]s like any other: the same code runs, only the socket beneath is
/// replaced. Which packet arrives and when is decided by the link model of the simulator, seeded;
/// so are the choices of the nodes. Their wall clocks begin in January 2027 and go as tokio's.
///
/// On a current-thread runtime with paused time a minute of a cluster passes in milliseconds, and
/// the same test does the same again, run by run, to the byte. That takes the feature `test-util`
/// of tokio in the dev-dependencies of the service. On any other runtime the network works in
/// real time, without the promise to repeat itself.
///
/// - An address is whatever the test says; none is bound on the machine. Port 0 is filled in, an
///   unspecified IP becomes loopback, and `listen_addr` is not looked at.
/// - Seeds should be addresses: a host name would be asked of the machine's resolver.
/// - A packet's fate is decided when it is sent: what flies, lands, through a partition that
///   comes later as well. What is sent to an address at which no node listens is lost.
/// - Time is told in whole milliseconds, as tokio's timers do: a packet arrives up to 1 ms later
///   than the link says.
///
/// ```
/// use std::time::Duration;
/// use rumormill::link::Link;
/// use rumormill::net::MemoryNetwork;
/// use rumormill::{Config, Node, NodeList};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = tokio::runtime::Builder::new_current_thread()
/// #     .enable_time().start_paused(true).build()?;
/// # runtime.block_on(async {
/// // In a service: #[tokio::test(start_paused = true)]
/// let millis = Duration::from_millis;
/// let network = MemoryNetwork::new(4711, Link::uniform(millis(1), millis(10)));
/// let mut lists = Vec::new();
/// for host in 1..=20 {
///     let list = network.node(Node::new(format!("10.0.0.{host}:8000")), Config::default())?;
///     list.set("10.0.0.1:8000")?;
///     list.join().await?;
///     lists.push(list);
/// }
/// tokio::time::sleep(Duration::from_secs(5)).await;
/// assert!(lists.iter().all(|list| list.get().len() == 20));
///
/// // Five nodes are cut off, and each side goes on alone...
/// let far = lists[15..].iter().map(|list| list.node().addr());
/// network.partition([far]);
/// tokio::time::sleep(Duration::from_secs(60)).await;
/// assert_eq!(lists[0].get().len(), 15);
/// assert_eq!(lists[19].get().len(), 5);
///
/// // ... until the network is whole again.
/// network.heal();
/// lists[19].publish("limit=10").await?;
/// tokio::time::sleep(Duration::from_secs(15)).await;
/// assert!(lists.iter().all(|list| list.get().len() == 20));
/// let holds = |list: &NodeList| list.read().is_some_and(|held| &held.data()[..] == b"limit=10");
/// assert!(lists.iter().all(holds));
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MemoryNetwork {
    state: Arc<Mutex<MemoryState>>,
}

#[derive(Debug)]
struct MemoryState {
    links: LinkModel,
    seeds: Rng,
    /// Started by the first node, because only then the runtime is sure to run.
    clock: Option<Clock>,
    /// What the wall clocks of nodes that start from now on show, if not what the others do.
    #[cfg(test)]
    wall: Option<UnixNanos>,
    /// The link model's number of each address that was ever named.
    endpoints: BTreeMap<SocketAddr, u32>,
    inboxes: BTreeMap<SocketAddr, Inbox>,
    changes: Vec<ChangeId>,
    flights: u64,
    stats: MemoryStats,
}

/// What is on its way to one node, in order of arrival.
#[derive(Debug)]
struct Inbox {
    flights: BTreeMap<(Instant, u64), InFlight>,
    /// Told when something earlier than all others takes off.
    changed: Arc<Notify>,
}

#[derive(Debug)]
struct InFlight {
    from: SocketAddr,
    bytes: Arc<[u8]>,
    class: Class,
}

/// What became of the packets in a [`MemoryNetwork`]. All are numbers of packets, from the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct MemoryStats {
    /// Handed to the network.
    pub sent: u64,
    /// Doubled by it.
    pub duplicated: u64,
    /// Taken by the node they were for.
    pub delivered: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Stopped by a partition, an isolation or a loss of 100 %.
    pub cut: u64,
    /// Sent to an address where no node listens, or taken off before its node ended.
    pub to_dead: u64,
    /// Larger than the link carries.
    pub oversize: u64,
    /// Beyond the link's bandwidth, or beyond 65,536 on their way to one node.
    pub overflow: u64,
    /// Dropped because a bit flipped.
    pub corrupted: u64,
}

impl MemoryNetwork {
    /// An empty network in which every direction between two nodes is a link with the properties
    /// of `link`. The same seed gives the same chance, to packets and to nodes.
    pub fn new(seed: u64, link: Link) -> Self {
        let state = MemoryState {
            links: LinkModel::new(seed, link),
            seeds: Rng::fork(seed, "memory", 0),
            clock: None,
            #[cfg(test)]
            wall: None,
            endpoints: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            changes: Vec::new(),
            flights: 0,
            stats: MemoryStats::default(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Parts the nodes: two of them can talk only if they are in one group; those in no group
    /// form one more. Partitions add up. Undone by [`MemoryNetwork::undo`] or
    /// [`MemoryNetwork::heal`].
    pub fn partition<G>(&self, groups: impl IntoIterator<Item = G>) -> ChangeId
    where
        G: IntoIterator<Item = SocketAddr>,
    {
        let mut state = self.state();
        let groups = groups.into_iter().map(|group| state.endpoints(group)).collect();
        state.apply(NetworkChange::Partition(groups))
    }

    /// Cuts these nodes off from everybody, each other included.
    pub fn isolate(&self, nodes: impl IntoIterator<Item = SocketAddr>) -> ChangeId {
        let mut state = self.state();
        let nodes = state.endpoints(nodes);
        state.apply(NetworkChange::Isolate(nodes))
    }

    /// Changes some properties of every link; of what several changes name, the last one counts.
    pub fn degrade(&self, change: LinkChange) -> ChangeId {
        self.state().apply(NetworkChange::Everywhere(change))
    }

    /// Changes some properties of the links from one set of nodes to another, and back if
    /// `ways` says so.
    pub fn degrade_between(
        &self,
        from: impl IntoIterator<Item = SocketAddr>,
        to: impl IntoIterator<Item = SocketAddr>,
        ways: Ways,
        change: LinkChange,
    ) -> ChangeId {
        let mut state = self.state();
        let (from, to) = (state.endpoints(from), state.endpoints(to));
        state.apply(NetworkChange::Links { from, to, ways, change })
    }

    /// Undoes one change; nothing happens when it is undone already.
    pub fn undo(&self, change: ChangeId) {
        let mut state = self.state();
        state.links.undo(change);
        state.changes.retain(|&other| other != change);
    }

    /// Undoes every change.
    pub fn heal(&self) {
        let mut state = self.state();
        for change in std::mem::take(&mut state.changes) {
            state.links.undo(change);
        }
    }

    /// What became of the packets so far.
    pub fn stats(&self) -> MemoryStats {
        self.state().stats
    }

    /// Takes an address, with what it leaves open filled in.
    pub(crate) fn bind(&self, addr: SocketAddr) -> io::Result<Port> {
        let mut state = self.state();
        let addr = state.filled_in(addr).ok_or(io::ErrorKind::AddrInUse)?;
        if state.inboxes.contains_key(&addr) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (clock, endpoint) = (state.clock(), state.endpoint(addr));
        let changed = Arc::new(Notify::new());
        let inbox = Inbox { flights: BTreeMap::new(), changed: Arc::clone(&changed) };
        state.inboxes.insert(addr, inbox);
        Ok(Port { network: self.clone(), addr, endpoint, clock, changed })
    }

    /// The clocks that all nodes of the network go by.
    pub(crate) fn clock(&self) -> Clock {
        let mut state = self.state();
        let clock = state.clock();
        #[cfg(test)]
        let clock = state.wall.map_or(clock, |wall| clock.with_wall(wall));
        clock
    }

    /// What the wall clocks of nodes that start from now on show.
    #[cfg(test)]
    pub(crate) fn set_wall(&self, wall: UnixNanos) {
        self.state().wall = Some(wall);
    }

    /// What to seed the next engine with.
    pub(crate) fn next_seed(&self) -> u64 {
        self.state().seeds.bits()
    }

    fn state(&self) -> MutexGuard<'_, MemoryState> {
        // A fault that shows under this lock ends the node that met it, not all others as well.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryState {
    fn clock(&mut self) -> Clock {
        *self.clock.get_or_insert_with(|| Clock::start_at(EPOCH))
    }

    fn apply(&mut self, change: NetworkChange) -> ChangeId {
        let id = self.links.apply(change);
        self.changes.push(id);
        id
    }

    fn endpoint(&mut self, addr: SocketAddr) -> u32 {
        let next = u32::try_from(self.endpoints.len()).expect("2^32 addresses fill no memory");
        *self.endpoints.entry(addr).or_insert(next)
    }

    fn endpoints(&mut self, addrs: impl IntoIterator<Item = SocketAddr>) -> Vec<u32> {
        addrs.into_iter().map(|addr| self.endpoint(addr)).collect()
    }

    /// `None` when every port is taken.
    fn filled_in(&self, mut addr: SocketAddr) -> Option<SocketAddr> {
        if addr.ip().is_unspecified() {
            addr.set_ip(IpAddr::from(Ipv4Addr::LOCALHOST));
        }
        if addr.port() != 0 {
            return Some(addr);
        }
        let mut ports = (PORT_FIRST..=u16::MAX).map(|port| SocketAddr::new(addr.ip(), port));
        ports.find(|addr| !self.inboxes.contains_key(addr))
    }

    fn send(&mut self, now: Instant, from: &Port, to: SocketAddr, bytes: &[u8], class: Class) {
        self.stats.sent += 1;
        let receiver = self.endpoint(to);
        let fate = match class {
            Class::Datagram => {
                self.links.fate(now, from.endpoint, receiver, bytes.len() + HEADERS_LEN)
            }
            Class::Stream => self.links.stream(now, from.endpoint, receiver, bytes.len()),
        };
        match fate {
            Fate::Delivered { at, again } => {
                let bytes = Arc::from(bytes);
                self.stats.duplicated += u64::from(again.is_some());
                for at in [Some(at), again].into_iter().flatten() {
                    let (from, bytes) = (from.addr, Arc::clone(&bytes));
                    self.take_off(at, to, InFlight { from, bytes, class });
                }
            }
            Fate::Lost => self.stats.lost += 1,
            Fate::Cut => self.stats.cut += 1,
            Fate::Oversize => self.stats.oversize += 1,
            Fate::Overflow => self.stats.overflow += 1,
            Fate::Corrupted => self.stats.corrupted += 1,
        }
    }

    fn take_off(&mut self, at: Instant, to: SocketAddr, flight: InFlight) {
        self.flights += 1;
        let Some(inbox) = self.inboxes.get_mut(&to) else {
            self.stats.to_dead += 1;
            return;
        };
        if inbox.flights.len() == FLIGHTS_MAX {
            self.stats.overflow += 1;
            return;
        }
        let is_first = inbox.next().is_none_or(|next| at < next);
        inbox.flights.insert((at, self.flights), flight);
        if is_first {
            inbox.changed.notify_one();
        }
    }
}

impl Inbox {
    /// When the next packet arrives.
    fn next(&self) -> Option<Instant> {
        self.flights.first_key_value().map(|(&(at, _), _)| at)
    }
}

/// A node's place in the network; dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Port {
    network: MemoryNetwork,
    addr: SocketAddr,
    endpoint: u32,
    clock: Clock,
    changed: Arc<Notify>,
}

impl Port {
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns when a packet has arrived.
    pub(crate) async fn readable(&self) {
        loop {
            match self.next() {
                Some(at) if at <= self.clock.now().mono => return,
                Some(at) => tokio::select! {
                    biased;
                    () = sleep_until(self.clock.at(at)) => {}
                    () = self.changed.notified() => {}
                },
                None => self.changed.notified().await,
            }
        }
    }

    fn next(&self) -> Option<Instant> {
        self.network.state().inboxes.get(&self.addr).and_then(Inbox::next)
    }

    /// The packet that arrived first: its length, where it came from and how it travelled. What is
    /// longer than the buffer is cut off.
    pub(crate) fn try_receive(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr, Class)> {
        let now = self.clock.now().mono;
        let mut state = self.network.state();
        let inbox = state.inboxes.get_mut(&self.addr)?;
        inbox.next().filter(|&at| at <= now)?;
        let (_, InFlight { from, bytes, class }) = inbox.flights.pop_first()?;
        state.stats.delivered += 1;
        let len = bytes.len().min(buffer.len());
        buffer[..len].copy_from_slice(&bytes[..len]);
        Some((len, from, class))
    }

    /// Sends a packet; what becomes of it is the network's affair.
    pub(crate) fn send(&self, bytes: &[u8], to: SocketAddr) {
        let now = self.clock.now().mono;
        self.network.state().send(now, self, to, bytes, Class::Datagram);
    }

    /// The same by stream.
    pub(crate) fn stream(&self, bytes: &[u8], to: SocketAddr) {
        let now = self.clock.now().mono;
        self.network.state().send(now, self, to, bytes, Class::Stream);
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        let mut state = self.network.state();
        if let Some(inbox) = state.inboxes.remove(&self.addr) {
            state.stats.to_dead += inbox.flights.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rng::Probability;

    const DELAY: Duration = Duration::from_millis(5);

    fn network(change: impl FnOnce(&mut Link)) -> MemoryNetwork {
        let mut link = Link::uniform(DELAY, DELAY);
        change(&mut link);
        MemoryNetwork::new(1, link)
    }

    fn port(network: &MemoryNetwork, addr: &str) -> Port {
        network.bind(addr.parse().unwrap()).unwrap()
    }

    fn take(port: &Port) -> Option<Vec<u8>> {
        let mut buffer = [0; 100];
        port.try_receive(&mut buffer).map(|(len, ..)| buffer[..len].to_vec())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_arrives_after_the_delay_of_the_link() {
        let network = network(|_| {});
        let (a, b) = (port(&network, "10.0.0.1:1"), port(&network, "10.0.0.2:1"));
        let sent = b.clock.now().mono;
        a.send(b"hello", b.addr());
        assert_eq!(take(&b), None);
        b.readable().await;
        assert_eq!(b.clock.now().mono - sent, DELAY);
        let mut buffer = [0; 100];
        assert_eq!(b.try_receive(&mut buffer), Some((5, a.addr(), Class::Datagram)));
        assert_eq!((take(&b), network.stats().delivered), (None, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_late_packet_takes_an_earlier_one_first() {
        let network = network(|_| {});
        let (a, b) = (port(&network, "10.0.0.1:1"), port(&network, "10.0.0.2:1"));
        let slow = LinkChange {
            latency: Some(crate::link::Latency::Uniform { min: 20 * DELAY, max: 20 * DELAY }),
            ..LinkChange::default()
        };
        let slow = network.degrade(slow);
        a.send(b"late", b.addr());
        network.undo(slow);
        let wait = async {
            b.readable().await;
            take(&b)
        };
        let send = async { a.send(b"early", b.addr()) };
        let (first, ()) = tokio::join!(wait, send);
        assert_eq!(first, Some(b"early".to_vec()));
        b.readable().await;
        assert_eq!(take(&b), Some(b"late".to_vec()));
    }

    #[tokio::test(start_paused = true)]
    async fn every_packet_has_one_fate_and_is_counted_by_it() {
        let network = network(|link| {
            link.loss = Probability::from_ppb(200_000_000).into();
            link.duplicate = Probability::from_ppb(100_000_000);
            link.corrupt = Probability::from_ppb(50_000_000);
            link.mtu = Some(60 + HEADERS_LEN as u32);
        });
        let (a, b) = (port(&network, "10.0.0.1:1"), port(&network, "10.0.0.2:1"));
        for len in 0..100_usize {
            a.send(&vec![0; len], b.addr());
            a.send(b"nobody", "10.0.0.9:1".parse().unwrap());
        }
        let cut = network.isolate([a.addr()]);
        a.send(b"cut", b.addr());
        network.undo(cut);
        tokio::time::sleep(DELAY).await;
        while take(&b).is_some() {}
        let MemoryStats { sent, duplicated, delivered, lost, cut, to_dead, .. } = network.stats();
        let MemoryStats { oversize, overflow, corrupted, .. } = network.stats();
        assert_eq!((sent, cut, oversize, overflow), (201, 1, 39, 0));
        assert!(lost > 10 && duplicated > 3 && corrupted > 1 && to_dead > 50);
        let fates = delivered + lost + cut + to_dead + oversize + overflow + corrupted;
        assert_eq!(sent + duplicated, fates);
    }

    #[tokio::test(start_paused = true)]
    async fn a_port_is_free_again_when_it_is_dropped_and_what_flew_to_it_is_lost() {
        let network = network(|_| {});
        let (a, b) = (port(&network, "10.0.0.1:1"), port(&network, "10.0.0.2:1"));
        let error = network.bind(b.addr()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        a.send(b"x", b.addr());
        drop(b);
        let b = port(&network, "10.0.0.2:1");
        tokio::time::sleep(2 * DELAY).await;
        assert_eq!((take(&b), network.stats().to_dead), (None, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_under_the_network_s_lock_ends_one_node_and_not_all() {
        let network = network(|_| {});
        let (a, b) = (port(&network, "10.0.0.1:1"), port(&network, "10.0.0.2:1"));
        let meanwhile = network.clone();
        let fault = tokio::spawn(async move {
            let _state = meanwhile.state();
            panic!("a fault");
        });
        assert!(fault.await.unwrap_err().is_panic());
        a.send(b"hello", b.addr());
        b.readable().await;
        assert_eq!(take(&b), Some(b"hello".to_vec()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_address_leaves_open_is_filled_in() {
        let network = network(|_| {});
        let addrs = ["0.0.0.0:0", "[::]:0", "10.0.0.1:0"].map(|addr| port(&network, addr));
        let addrs = addrs.each_ref().map(|port| port.addr().to_string());
        assert_eq!(addrs, ["127.0.0.1:49152", "127.0.0.1:49153", "10.0.0.1:49152"]);
    }
}
