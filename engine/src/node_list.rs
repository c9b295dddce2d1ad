//! The handle that a service holds: joins the cluster, reads the node list, publishes metadata.
//!
//! A [`NodeList`] owns one task, which owns the engine and its socket. Reading takes a snapshot
//! and never waits for that task; what changes something is told to it in order.

mod asking;
mod entries;
mod events;
mod in_memory;
mod keys;
mod publish;
mod seeds;
mod settle;
mod state;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use rand::rngs::SysError;
use tokio::sync::{Mutex, broadcast, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::config::{Advertise, Config, TransportKind, Wire};
use crate::core::{Engine, EntryKeyError, Metadata, NotConfirmed, PublishError, PutError, Record};
use crate::net::{
    AddressWatch, Console, Contacts, Dialect, Driver, Ended, Environment, Interceptor, Left, Local,
    NetStats, Numbered, Origin, Ports, Presence, Pulse, Request, Seed, SeedPlace, Seeds, Shared,
    Streams, Wish, open_files_fix, system_resolver,
};
use crate::node::{Node, NodeBuilder, NodeError};
use crate::pekonode;
use crate::state::StateError;
use crate::text::Printable;
use crate::wire::{Guard, Keyring, KeyringError, Run, StreamGuard};

use asking::TaskLine;
pub use entries::{EntriesSnapshot, EntryNotice, EntryWatch, Put};
pub use events::Events;
pub use keys::Keys;

/// Notices that wait for a subscriber that doesn't take them; the oldest ones are then missed. Of
/// values only the newest waits, however few notices there are.
const EVENTS_MAX: usize = 1024;

/// Reports that wait for the task; whoever has a further one waits with it.
const REPORTS_MAX: usize = 16;

/// A node of the cluster, as the service that runs it sees it.
///
/// Needs a running tokio runtime with I/O and time enabled. All methods take `&self`, and all
/// clones are the same node. When the last of them is dropped, the node ends without a goodbye as
/// if it had crashed, and its port and task are released as soon as the runtime gets to it;
/// [`NodeList::leave`] is the polite way.
///
/// The task lives in the runtime that [`NodeList::join`] is called in. Should it end without having
/// been told to, the list is empty, subscribers are told [`Notice::Ended`], and
/// [`NodeList::ended`] says why; the node may join again.
///
/// ```
/// use rumormill::{Config, Event, Node, NodeList, Notice};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Port 0 lets the system pick a port, which is then advertised.
/// let a = NodeList::new(Node::new("127.0.0.1:0").name("A"), Config::default())?;
/// a.join().await?;
///
/// let b = NodeList::new(Node::new("127.0.0.1:0").name("B"), Config::default())?;
/// let mut changes = b.subscribe();
/// b.set(a.node().addr().to_string())?;
/// b.join().await?;
///
/// a.publish("limit=10").await?;
/// while let Some(notice) = changes.recv().await {
///     match notice {
///         Notice::Event(Event::Joined(record)) => println!("{} joined", record.node().addr()),
///         Notice::Event(Event::Published(metadata)) => {
///             assert_eq!(&metadata.data()[..], b"limit=10");
///             break;
///         }
///         Notice::Event(_) => {}
///         Notice::Missed(count) => println!("{count} changes missed, reading anew"),
///         Notice::Rejected(reason) => println!("packets are refused: {reason}"),
///         Notice::Ended(why) => return Err(why.into()),
///         _ => {}
///     }
/// }
/// let names: Vec<_> = b.get().iter().map(|node| node.name().to_owned()).collect();
/// assert!(names.contains(&"A".to_owned()) && names.contains(&"B".to_owned()));
///
/// b.leave().await?;
/// a.leave().await?;
/// # Ok(())
/// # }
/// ```
///
/// Source: pekonode's `NodeList`.
///
/// [`Notice::Ended`]: crate::Notice::Ended
#[derive(Clone, Debug)]
pub struct NodeList {
    /// What keeps the subscriptions open. The first field, so that its end is the first thing that
    /// others see of a handle that is dropped.
    notices: broadcast::Sender<Arc<Numbered>>,
    line: Arc<TaskLine>,
    config: Arc<Config>,
    environment: Environment,
    shared: Shared,
    seeds: watch::Sender<Vec<Seed>>,
    state: Arc<Mutex<HandleState>>,
}

/// What joins and leaves change, one at a time.
#[derive(Debug, Default)]
struct HandleState {
    /// The task, while the node has joined.
    running: Option<RunningTask>,
    /// The secrets, if the node has any.
    keyring: Option<Keyring>,
}

#[derive(Debug)]
struct RunningTask {
    phase: TaskPhase,
    task: JoinHandle<()>,
}

#[derive(Debug)]
enum TaskPhase {
    Joined,
    /// A leave has begun, but its caller may have stopped waiting for what comes of it.
    Leaving(oneshot::Receiver<Left>),
}

impl NodeList {
    /// Most seeds that one node has.
    pub const SEEDS_MAX: usize = 256;

    /// Prepares a node; nothing is sent or bound before [`NodeList::join`].
    ///
    /// # Errors
    /// When the node or one of the configuration's seeds is none.
    pub fn new(node: impl Into<NodeBuilder>, config: Config) -> Result<Self, NodeListError> {
        Self::at(Environment::System, node.into(), config)
    }

    /// Prepares a node whose packets pass by an interceptor on their way to the machine's sockets:
    /// for test beds that measure real nodes under faults of their own making.
    ///
    /// # Errors
    /// When the node or one of the configuration's seeds is none.
    pub fn intercepted(
        node: impl Into<NodeBuilder>,
        config: Config,
        interceptor: Arc<dyn Interceptor>,
    ) -> Result<Self, NodeListError> {
        Self::at(Environment::Intercepted(interceptor), node.into(), config)
    }

    /// Prepares a node that lives there.
    pub(crate) fn at(
        environment: Environment,
        node: NodeBuilder,
        config: Config,
    ) -> Result<Self, NodeListError> {
        let secret = config.secret_key().filter(|_| config.wire() == Wire::Native);
        let keyring = secret.cloned().map(Keyring::new).transpose()?;
        let notices = broadcast::Sender::new(EVENTS_MAX);
        let node = node.build()?.or_else(config.zone(), config.tags())?;
        let list = Self {
            line: Arc::new(TaskLine::new(node)),
            environment,
            shared: Shared::new(&notices),
            notices,
            seeds: watch::Sender::default(),
            state: Arc::new(Mutex::new(HandleState { keyring, running: None })),
            config: Arc::new(config),
        };
        for seed in list.config.seeds() {
            list.set(seed)?;
        }
        Ok(list)
    }

    /// Names a node that is already in the cluster, as `IP:PORT` or `HOST:PORT`; before or after
    /// [`NodeList::join`]. Named twice it counts once.
    ///
    /// Host names are looked up when the node joins and again in every `redial` period, so that a
    /// name may move; one that can't be looked up is tried again sooner, like a seed that does not
    /// answer. [`NodeList::seeds`] shows what has become of each.
    ///
    /// # Errors
    /// When the text is no seed, or [`NodeList::SEEDS_MAX`] are named already.
    pub fn set(&self, seed: impl AsRef<str>) -> Result<(), NodeListError> {
        let seed = Self::seed(seed.as_ref())?;
        let mut is_full = false;
        self.seeds.send_if_modified(|seeds| {
            let is_new = !seeds.contains(&seed);
            is_full = is_new && seeds.len() == Self::SEEDS_MAX;
            if is_new && !is_full {
                seeds.push(seed);
            }
            is_new && !is_full
        });
        if is_full { Err(NodeListError::SeedsFull) } else { Ok(()) }
    }

    /// Joins the cluster: the socket is bound and the node listens when this returns. Without
    /// seeds it is the first node of a cluster. Joining again changes nothing, unless the node has
    /// [ended](NodeList::ended).
    ///
    /// It listens where `listen_addr` says. Without it a node whose address is one of loopback,
    /// such as `127.0.0.1`, listens on that alone, and any other on all addresses of the machine.
    ///
    /// What is advertised to the others is the node's address, with port 0 replaced by the bound
    /// port, or what `advertise` says. An IP of `0.0.0.0` is replaced by the `listen_addr`, or when
    /// that is `0.0.0.0` or not set, by the address of this machine on the way to the seeds, whose
    /// names are waited for up to a second, else to the outside; [the settings](crate::config) say
    /// it all. See [`NodeList::node`] for the outcome.
    ///
    /// # Errors
    /// When the address can't be listened on, such as when its port is in use, this machine has
    /// none that `advertise` names, or the system gives no randomness. The node then has not
    /// joined.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn join(&self) -> Result<(), NodeListError> {
        let mut state = self.state.lock().await;
        let is_to_run = matches!(state.running, Some(RunningTask { phase: TaskPhase::Joined, .. }));
        // Whoever was told of the end may join at once, though the task has yet to return.
        if is_to_run && self.shared.view.borrow().local.is_some() {
            return Ok(());
        }
        // What came of the leave was for its own caller, who did not wait for it.
        let _ = self.end(&mut state).await;
        state.running = Some(match self.config.wire() {
            Wire::Native => self.launch::<Engine>(&state).await?,
            Wire::Pekonode => self.launch::<pekonode::LegacyEngine>(&state).await?,
        });
        Ok(())
    }

    /// Starts the task of a node that runs this protocol.
    async fn launch<D: Dialect>(&self, state: &HandleState) -> Result<RunningTask, NodeListError> {
        let driver = self.driver::<D>(state).await?;
        Ok(RunningTask { phase: TaskPhase::Joined, task: tokio::spawn(driver.run()) })
    }

    async fn driver<D: Dialect>(&self, state: &HandleState) -> Result<Driver<D>, NodeListError> {
        // First, so that nothing said while the node starts is missed.
        let (node, requests) = self.line.open();
        let (places, mut tasks) = self.look_up_seeds();
        let (ports, local, origin) = self.bind(&node, &places).await?;
        let clock = self.environment.clock();
        let now = clock.now();
        let no_entropy = |error: SysError| NodeListError::Entropy { why: error.to_string() };
        let draw = || self.environment.seed().map_err(no_entropy);
        let (seed, random) = (draw()?, draw()?.to_le_bytes());
        let beginning = self.begin(&local.node, now).await?;
        let run = Run { addr: local.node.addr(), random, now };
        let guard = Guard::with_keyring(&self.config, state.keyring.as_ref(), &run);
        let record = Record::new(local.node.clone(), beginning.generation);
        let mut engine = D::new(record.into(), &D::settings(&self.config), seed, now);
        let (keeping, taken_back) = self.take_back(&mut engine, beginning, now);
        let (reporter, reports) = mpsc::channel(REPORTS_MAX);
        let (advertised, period) = (local.node.addr().ip(), self.config.redial());
        if let Some(origin) = origin {
            let (seeds, reports) = (places.clone(), reporter.clone());
            tasks.spawn(AddressWatch { origin, advertised, seeds, period, reports }.run());
        }
        let port = local.node.addr().port();
        let streams = StreamGuard::with_keyring(&self.config, state.keyring.as_ref());
        let listen =
            |listener| Streams::start::<D>(listener, local.bound, port, &self.config, streams);
        // A pekonode cluster knows no streams beside its datagrams, only streams instead of them.
        let (wire, protocol) = (self.config.wire(), self.config.protocol());
        let has_streams = wire == Wire::Native || protocol == TransportKind::Tcp;
        let listener = ports.listener.filter(|_| has_streams);
        let streams = listener.map(listen);
        let socket = ports.socket;
        let has_streams = streams.is_some();
        let contacts = Contacts::new(local.node.addr(), local.bound, &self.config, has_streams);
        let console = if self.config.print() { Console::Stderr } else { Console::Off };
        let mut driver = Driver {
            engine,
            config: Arc::clone(&self.config),
            environment: self.environment.clone(),
            clock,
            socket,
            streams,
            bound: local.bound,
            guard,
            requests,
            places,
            contacts,
            reports,
            reporter,
            tasks,
            console,
            keeping,
            intercepted: self.environment.intercepted(&self.config),
            presence: Presence::new(self.shared.clone()),
        };
        driver.show(local, taken_back);
        Ok(driver)
    }

    /// The ports, who the node is, and on the machine what decides that.
    async fn bind(
        &self,
        node: &Node,
        places: &watch::Receiver<Vec<SeedPlace>>,
    ) -> Result<(Ports, Local, Option<Origin>), NodeListError> {
        let addr = match self.environment {
            Environment::System | Environment::Intercepted(_) => listen_addr(node, &self.config),
            Environment::Memory(_) => node.addr(),
        };
        let failed = |source| NodeListError::Listen { addr, source };
        let queue_bytes = self.config.buffer().saturating_mul(self.config.size());
        let ports = self.environment.bind(&self.config, addr, queue_bytes).map_err(failed)?;
        let bound = ports.bound;
        let mut advertised = node.addr();
        if let Some(Advertise::Addr(given)) = self.config.advertise()
            && given.port() != 0
        {
            advertised.set_port(given.port());
        } else if advertised.port() == 0 {
            advertised.set_port(bound.port());
        }
        let origin = match self.environment {
            Environment::System | Environment::Intercepted(_) => {
                let origin = Origin::of(node.addr(), self.config.advertise(), bound);
                let found = origin.first(places.clone()).await;
                advertised.set_ip(found.map_err(|why| NodeListError::Advertise { why })?);
                Some(origin)
            }
            Environment::Memory(_) => None,
        };
        Ok((ports, Local { node: node.with_addr(advertised), bound }, origin))
    }

    fn look_up_seeds(&self) -> (watch::Receiver<Vec<SeedPlace>>, JoinSet<()>) {
        let seeds = self.seeds.subscribe();
        let known = seeds.borrow().iter().cloned().map(SeedPlace::of).collect();
        let (places, found) = watch::channel(known);
        let (period, resolver) = (self.config.redial(), system_resolver);
        let mut tasks = JoinSet::new();
        tasks.spawn(Seeds { seeds, period, resolver, places }.run());
        (found, tasks)
    }

    /// The members that are listed now, this node included, in order of address: a snapshot that
    /// costs a pointer, and the first time after a change a copy of the list. Empty while the node
    /// has not joined: before [`NodeList::join`], after [`NodeList::leave`], and when its task has
    /// [ended](NodeList::ended).
    pub fn get(&self) -> Arc<[Node]> {
        Arc::clone(self.shared.view.borrow().list.nodes())
    }

    /// Lists these incarnations as if each had just been heard of, as a service may that kept a
    /// list from before, and returns when [`NodeList::get`] shows them. Whoever is no more is
    /// removed after the timeout. Does nothing with `wire = "pekonode"`.
    ///
    /// # Errors
    /// When the node has not joined or has ended.
    pub async fn restore(
        &self,
        members: impl IntoIterator<Item = Arc<Record>>,
    ) -> Result<(), NodeListError> {
        let records = members.into_iter().collect();
        self.ask(|answer| Request::Restore { records, answer }).await
    }

    /// The incarnation as which this node runs; `None` when it has not joined.
    pub fn record(&self) -> Option<Arc<Record>> {
        let view = self.shared.view.borrow();
        let own = view.local.as_ref()?.node.addr();
        view.list.records().iter().find(|record| record.node().addr() == own).cloned()
    }

    /// The metadata that this node holds, with its version and writer; `None` before it has any,
    /// and while the node has not joined. It is only ever replaced by a newer one, whatever any
    /// clock shows; but for one that faulty memory has corrupted
    /// ([`Event::Corrupted`](crate::Event::Corrupted)). A snapshot that costs a pointer.
    pub fn read(&self) -> Option<Metadata> {
        self.shared.view.borrow().metadata.clone()
    }

    /// Silences the node's beats and swaps: it still listens, forwards and answers, and the others
    /// remove it after their timeout. Idempotent; does nothing on a node that has not joined.
    pub fn stop(&self) {
        self.line.wish(Wish { pulse: Some(Pulse::Silent), ..Wish::default() });
    }

    /// Resumes after [`NodeList::stop`]. Idempotent; does nothing on a node that has not joined.
    pub fn start(&self) {
        self.line.wish(Wish { pulse: Some(Pulse::Beating), ..Wish::default() });
    }

    /// Changes what the node says of itself (name, private data, zone, tags) to what is given, for
    /// this and later joins; the address given is not looked at. What is given has the zone and the
    /// tags of the settings unless it has its own. The others see an update, never a second node.
    ///
    /// ```
    /// # use rumormill::{Config, Node, NodeBuilder, NodeList, NodeListError};
    /// # fn drain(list: &NodeList) -> Result<(), NodeListError> {
    /// list.update(NodeBuilder::from(list.node()).private_data("draining"))
    /// # }
    /// ```
    ///
    /// # Errors
    /// When what is given is no node.
    pub fn update(&self, node: impl Into<NodeBuilder>) -> Result<(), NodeListError> {
        let node = node.into().build()?.or_else(self.config.zone(), self.config.tags())?;
        self.line.update(&node);
        Ok(())
    }

    /// Says goodbye, so that the others remove the node at once, and returns when port and task
    /// are released. The metadata that was held is forgotten. [`NodeList::join`] may follow; on a
    /// node that has not joined or has ended this does nothing. Dropped, the future waits no more,
    /// and what it has begun goes on.
    ///
    /// A goodbye takes a few round trips: the node goes on until the others have acknowledged what
    /// it told them, or for half a second. What it published last it hands to others first; that
    /// may take up to three seconds.
    ///
    /// # Errors
    /// [`NodeListError::NotConfirmed`] when no other node has said that it holds what this node
    /// published last, though there are others. It has left all the same, and the bytes are lost
    /// unless somebody got them without saying so.
    pub async fn leave(&self) -> Result<(), NodeListError> {
        let mut state = self.state.lock().await;
        Ok(self.end(&mut state).await?)
    }

    /// Tells the task that is to leave, if there is one, and waits for its end. Dropped and called
    /// again, it goes on where it was.
    async fn end(&self, state: &mut HandleState) -> Left {
        let Some(running) = &mut state.running else { return Ok(()) };
        if let TaskPhase::Joined = running.phase {
            let (answer, left) = oneshot::channel();
            // If the task has ended there is nobody left to tell.
            let _ = self.line.way().map(|way| way.leave(answer));
            running.phase = TaskPhase::Leaving(left);
        }
        state.reap().await
    }

    /// Why the node's task ended without having been told to. `None` while it runs, before the
    /// first [`NodeList::join`] and after a [`NodeList::leave`].
    pub fn ended(&self) -> Option<Ended> {
        self.shared.view.borrow().ended.clone()
    }

    /// This node as the others know it: what was given to [`NodeList::new`] until it joins, and
    /// then with the port and IP that are advertised.
    pub fn node(&self) -> Node {
        let view = self.shared.view.borrow();
        view.local.as_ref().map_or_else(|| self.line.node(), |local| local.node.clone())
    }

    /// Where the socket is bound, while the node has joined.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.shared.view.borrow().local.as_ref().map(|local| local.bound)
    }

    /// What was counted since the last join; [`metrics`](crate::metrics) makes a page for
    /// Prometheus of it.
    pub fn stats(&self) -> NetStats {
        self.shared.view.borrow().stats
    }
}

impl HandleState {
    /// Waits for the end of a task that is near it, which tells of that itself. What came of its
    /// leave, if it was told to.
    async fn reap(&mut self) -> Left {
        let Some(running) = &mut self.running else { return Ok(()) };
        if let Err(error) = (&mut running.task).await
            && error.is_panic()
        {
            tracing::error!(%error, "the task of the node panicked while it ended");
        }
        let phase = self.running.take().map(|running| running.phase);
        let Some(TaskPhase::Leaving(mut left)) = phase else { return Ok(()) };
        left.try_recv().unwrap_or(Ok(()))
    }
}

/// Where to bind. Unless the settings say otherwise a node of loopback stays there, for nobody
/// outside could reach the address that it is known by. An address that means "all" follows the
/// family of the advertised one.
fn listen_addr(node: &Node, config: &Config) -> SocketAddr {
    let advertised = node.addr();
    let mut listen = match config.listen_addr() {
        Some(listen) => listen,
        None if advertised.ip().is_loopback() => advertised,
        None => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
    };
    if listen.port() == 0 {
        listen.set_port(advertised.port());
    }
    if listen.ip().is_unspecified() && advertised.is_ipv6() {
        listen.set_ip(Ipv6Addr::UNSPECIFIED.into());
    }
    listen
}

/// Why a [`NodeList`] can't do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeListError {
    /// What was given is no node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A seed is none.
    #[error(
        "`{}` is no seed: write HOST:PORT, such as 10.0.0.9:8000 or node-1.example:8000",
        Printable(seed)
    )]
    Seed {
        /// What was given.
        seed: String,
    },
    /// There are too many seeds.
    #[error("a node has at most {} seeds: some of them are enough", NodeList::SEEDS_MAX)]
    SeedsFull,
    /// The socket can't be bound.
    #[error("cannot listen on {addr}: {}", listen_fix(source))]
    Listen {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The machine has no address that `advertise` names.
    #[error("`advertise` names no address that the others could reach: {why}")]
    Advertise {
        /// Which ones it has.
        why: String,
    },
    /// The system gives no randomness.
    #[error("the system gives no randomness to start with: {why}")]
    Entropy {
        /// Why.
        why: String,
    },
    /// The node's task has ended without having been told to.
    #[error("the node has ended: {0}; call `join` to start it again")]
    Ended(Ended),
    /// The node has not joined, or has left.
    #[error("the node has not joined, or has left: call `join` first")]
    NotJoined,
    /// The bytes can't be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// What was given is no key of an entry.
    #[error(transparent)]
    EntryKey(#[from] EntryKeyError),
    /// The entry can't be written.
    #[error(transparent)]
    Put(#[from] PutError),
    /// Too few others are known to hold what was published.
    #[error(transparent)]
    NotConfirmed(#[from] NotConfirmed),
    /// The state folder can't be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The secrets can't be changed so.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

fn listen_fix(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is in use: end its owner or take another".into(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have the address".into(),
        io::ErrorKind::PermissionDenied => "not permitted: take a port from 1024 up".into(),
        _ => open_files_fix(error).unwrap_or_else(|| error.to_string()),
    }
}
