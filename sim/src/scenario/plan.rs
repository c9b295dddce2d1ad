//! A scenario made definite: who starts when, what happens in which order, all chance drawn.
//!
//! Nodes are numbered: the initial ones from 0, newcomers on from there, and a node that restarts
//! at a new address keeps its number. The plan knows nothing of engines or packets.

use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use rumormill::core::{EntryKey, Terms};
pub use rumormill::link::Ways;
use rumormill::link::{Link, LinkChange, NetworkChange};
use rumormill::time::Instant;
use rumormill::{Config, Node};

use crate::measures::Operator;
use crate::protocols::Chosen;
pub use crate::protocols::{Claim, Lie};

/// The number of a node in a plan.
pub type NodeNo = u32;

/// One run, laid out.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenario's name.
    pub name: String,
    /// The seed of every stream of chance in the run.
    pub seed: u64,
    /// Virtual time that the run takes.
    pub duration: Duration,
    /// What figures per second leave out at the beginning.
    pub warmup: Duration,
    /// Distance of two rows of the time series.
    pub sample: Duration,
    /// Rows of `rumors.csv` beyond which it stops.
    pub rumor_rows_max: usize,
    /// What the nodes speak.
    pub protocol: Chosen,
    /// The settings of engines whose group has none of its own.
    pub engine: Arc<Config>,
    /// The default link, each direction on its own.
    pub network: Link,
    /// Links that are unlike the default one, from the beginning to the end.
    pub links: Vec<NetworkChange>,
    /// Wall clocks that are unlike true time from the beginning on.
    pub clocks: Vec<(Vec<NodeNo>, ClockChange)>,
    /// The file's groups, in its order: name and nodes.
    pub groups: Vec<(String, Vec<NodeNo>)>,
    /// Every incarnation that the plan ever starts: the initial ones in order of `start`, then
    /// those that each action brings, together and in order of `start`. Two joins may overlap, so
    /// the whole is not in order. At one time, starts come before actions.
    /// [`AddressBook`](super::addresses::AddressBook) leads from their addresses to the nodes.
    pub incarnations: Vec<Incarnation>,
    /// How many nodes there are at first; newcomers have higher numbers.
    pub nodes: u32,
    /// Entries that all initial nodes hold at first.
    pub entries: u32,
    /// Numbers of nodes ever, newcomers included.
    pub nodes_ever: u32,
    /// What happens, in order of time, then of the file.
    pub actions: Vec<Action>,
    /// What the run is expected to show.
    pub expect: Vec<Expectation>,
    /// Share of seeds that must hold all expectations, as text and in parts per billion.
    pub expect_seeds: SeedShare,
    /// The scenario with every default and `--set` written out; running it repeats the run.
    pub resolved: String,
    /// True when `--set` changed something, so that the run needs a folder of its own.
    pub overridden: bool,
}

impl Plan {
    /// True when somebody publishes: else no run has a figure of a publish.
    pub fn publishes(&self) -> bool {
        self.does(|deed| matches!(deed, Deed::Publish { .. }))
    }

    /// True when somebody puts or deletes an entry: else no run has a figure of entries.
    pub fn writes(&self) -> bool {
        self.does(|deed| matches!(deed, Deed::Write { .. }))
    }

    /// True when somebody crashes, for good or for a while: else no run has a figure of a crash.
    pub fn crashes(&self) -> bool {
        self.does(|deed| {
            matches!(deed, Deed::Crash(_) | Deed::Restart { manner: Manner::Crash, .. })
        })
    }

    fn does(&self, what: fn(&Deed) -> bool) -> bool {
        self.actions.iter().any(|action| what(&action.deed))
    }
}

/// One start of one node.
#[derive(Clone, Debug)]
pub struct Incarnation {
    /// Which node.
    pub node: NodeNo,
    /// When it starts.
    pub start: Instant,
    /// What it says of itself.
    pub public: Node,
    /// The settings of its engine.
    pub config: Arc<Config>,
    /// How it finds the others.
    pub way_in: WayIn,
    /// Why it starts.
    pub cause: StartCause,
    /// What it knows of its earlier life.
    pub memory: Memory,
    /// Whether it is first given addresses that its seeds have no longer.
    pub stale_seeds: Option<StaleSeeds>,
}

/// A name service that lags behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleSeeds {
    /// It gives the addresses that the seeds had just before this time...
    pub as_of: Instant,
    /// ...until then; from then on it gives the right ones.
    pub until: Instant,
}

/// What a starting node knows of its earlier life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Its last generation, above which it takes the next.
    Keeps,
    /// That, and what it held when it went: entries with their ages, metadata, whom it had met.
    KeepsAll,
    /// Nothing: its clock alone says which generation it is.
    Forgets,
}

impl Incarnation {
    /// True when it begins with a list of others, whether they have started or not.
    pub(crate) fn knows_others(&self) -> bool {
        !matches!(self.way_in, WayIn::Seeds(_))
    }
}

/// How a starting node finds the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WayIn {
    /// By these nodes, whose addresses it is given (their addresses at the time of the start).
    Seeds(Vec<NodeNo>),
    /// It begins with the complete list of the initial nodes.
    Full,
    /// It begins with a list of these initial nodes.
    Knows(Vec<NodeNo>),
}

/// Why an incarnation starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartCause {
    /// It is one of the initial nodes.
    Initial,
    /// A `join` action.
    Join,
    /// A `restart` action.
    Restart,
}

/// Something that the scenario does at a time.
#[derive(Clone, Debug)]
pub struct Action {
    /// When.
    pub at: Instant,
    /// What.
    pub deed: Deed,
    /// The name by which it can be healed, given or made up.
    pub label: String,
    /// One line for a person, such as `partition 0..25 | 25..50`.
    pub text: String,
}

/// Links between nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Links {
    /// From these to those.
    OneWay {
        /// Senders.
        from: Vec<NodeNo>,
        /// Receivers.
        to: Vec<NodeNo>,
    },
    /// Between any two of these sets, both ways.
    Between(Vec<Vec<NodeNo>>),
}

impl Links {
    /// Every set of nodes at an end of them.
    pub fn sets(&self) -> Vec<&[NodeNo]> {
        match self {
            Self::OneWay { from, to } => vec![from, to],
            Self::Between(sets) => sets.iter().map(Vec::as_slice).collect(),
        }
    }

    /// What changes of the network when these links do: a change for each pair of sets.
    pub fn changes(&self, change: &LinkChange) -> Vec<NetworkChange> {
        let changed = |from: &[NodeNo], to: &[NodeNo], ways| NetworkChange::Links {
            from: from.to_vec(),
            to: to.to_vec(),
            ways,
            change: change.clone(),
        };
        match self {
            Self::OneWay { from, to } => vec![changed(from, to, Ways::One)],
            Self::Between(sets) => {
                let pairs = sets.iter().enumerate().flat_map(|(place, one)| {
                    sets[place + 1..].iter().map(move |other| (one, other))
                });
                pairs.map(|(one, other)| changed(one, other, Ways::Both)).collect()
            }
        }
    }
}

/// What an action does. Sets of nodes are sorted and without duplicates.
#[derive(Clone, Debug)]
pub enum Deed {
    /// A node publishes.
    Publish {
        /// Which node.
        node: NodeNo,
        /// What.
        data: Arc<[u8]>,
    },
    /// A node writes an entry.
    Write {
        /// Which node.
        node: NodeNo,
        /// The key.
        key: EntryKey,
        /// A value and how long it holds, or the end of it.
        put: Option<(Arc<[u8]>, Terms)>,
    },
    /// Two nodes can talk only inside one group; nodes in no group form one more.
    Partition(Vec<Vec<NodeNo>>),
    /// These nodes can talk to nobody.
    Isolate(Vec<NodeNo>),
    /// Some links change.
    Link {
        /// Which.
        links: Links,
        /// What changes.
        change: LinkChange,
    },
    /// Every link changes, those of nodes to come included.
    Network(LinkChange),
    /// Undoes the network's changes under a label, or all.
    Heal(Heal),
    /// Sudden death.
    Crash(Vec<NodeNo>),
    /// Silences beats; the listener still answers.
    Stop(Vec<NodeNo>),
    /// Resumes after a stop.
    Start(Vec<NodeNo>),
    /// Polite goodbye.
    Leave(Vec<NodeNo>),
    /// The processes neither read nor send.
    Pause(Vec<NodeNo>),
    /// Their machines sleep: nothing is read or sent, and the monotonic clocks stand still.
    Suspend(Vec<NodeNo>),
    /// They go on after a pause, or wake from their sleep.
    Resume(Vec<NodeNo>),
    /// What comes to these nodes is handed over late, each packet by a delay of its own and none
    /// before an earlier one. Timers are on time.
    Starve {
        /// Which nodes.
        nodes: Vec<NodeNo>,
        /// The least and the longest delay.
        delay: RangeInclusive<Duration>,
    },
    /// Each input costs these nodes so much time, timers included, in which others wait.
    Slow {
        /// Which nodes.
        nodes: Vec<NodeNo>,
        /// The time that one takes.
        cost: Duration,
    },
    /// They are no longer starved, or slow, by the action at this place of the plan.
    Relieve {
        /// Which nodes.
        nodes: Vec<NodeNo>,
        /// By which action.
        of: usize,
    },
    /// Each node says this of itself from now on; the address is its own.
    Update(Vec<(NodeNo, Node)>),
    /// One packet that is sent from now on gets lost.
    Drop {
        /// Of this kind, as traces name it.
        kind: &'static str,
        /// How many such there are up to this one, itself included.
        nth: u64,
        /// Between these.
        ends: Ends,
    },
    /// What is sent from now on arrives once more.
    Replay {
        /// Between these.
        ends: Ends,
        /// So long after it arrived for the first time.
        after: Duration,
        /// What is sent from then on doesn't.
        until: Option<Instant>,
    },
    /// A packet that no node sent arrives.
    Inject(Injection),
    /// Wall clocks change.
    Clock {
        /// Whose.
        nodes: Vec<NodeNo>,
        /// How.
        change: ClockChange,
    },
    /// Newcomers start during this range of `Plan::incarnations` (each at its own time).
    Join(Range<usize>),
    /// Nodes go down here; they come back as this range of `Plan::incarnations`.
    Restart {
        /// Which nodes.
        nodes: Vec<NodeNo>,
        /// How they go down.
        manner: Manner,
        /// Their next incarnations, in the order of `nodes`.
        comes_back: Range<usize>,
    },
}

impl Deed {
    /// What it is called, as a cause and in counts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Publish { .. } => "publish",
            Self::Write { put: Some(_), .. } => "put",
            Self::Write { put: None, .. } => "delete",
            Self::Partition(_) => "partition",
            Self::Isolate(_) => "isolate",
            Self::Link { change, .. } | Self::Network(change) => link_kind(change),
            Self::Heal(_) => "heal",
            Self::Crash(_) => "crash",
            Self::Stop(_) => "stop",
            Self::Start(_) => "start",
            Self::Leave(_) => "leave",
            Self::Pause(_) => "pause",
            Self::Suspend(_) => "suspend",
            Self::Starve { .. } => "starve",
            Self::Slow { .. } => "slow",
            Self::Relieve { .. } => "relieve",
            Self::Update(_) => "update",
            Self::Drop { .. } => "drop",
            Self::Replay { .. } => "replay",
            Self::Inject(_) => "inject",
            Self::Resume(_) => "resume",
            Self::Clock { .. } => "clock",
            Self::Join(_) => "join",
            Self::Restart { .. } => "restart",
        }
    }

    /// The nodes to which it is done, where it is done to a set of nodes.
    pub fn done_to(&self) -> Option<&[NodeNo]> {
        match self {
            Self::Isolate(nodes)
            | Self::Crash(nodes)
            | Self::Stop(nodes)
            | Self::Start(nodes)
            | Self::Leave(nodes)
            | Self::Pause(nodes)
            | Self::Suspend(nodes)
            | Self::Resume(nodes)
            | Self::Starve { nodes, .. }
            | Self::Slow { nodes, .. }
            | Self::Relieve { nodes, .. }
            | Self::Clock { nodes, .. }
            | Self::Restart { nodes, .. } => Some(nodes),
            Self::Publish { .. }
            | Self::Write { .. }
            | Self::Partition(_)
            | Self::Heal(_)
            | Self::Network(_)
            | Self::Link { .. }
            | Self::Drop { .. }
            | Self::Replay { .. }
            | Self::Update(_)
            | Self::Join(_)
            | Self::Inject(_) => None,
        }
    }

    /// How often it counts as a fault: once for every node that it strikes, and not at all where
    /// it ends one.
    pub fn faults(&self) -> usize {
        match self {
            Self::Partition(_) | Self::Isolate(_) | Self::Link { .. } | Self::Network(_) => 1,
            Self::Crash(nodes)
            | Self::Stop(nodes)
            | Self::Leave(nodes)
            | Self::Pause(nodes)
            | Self::Suspend(nodes)
            | Self::Starve { nodes, .. }
            | Self::Slow { nodes, .. }
            | Self::Restart { nodes, .. } => nodes.len(),
            Self::Clock { nodes, change } if change.is_new() => nodes.len(),
            Self::Update(said) => said.len(),
            Self::Inject(injection) => injection.to.len(),
            Self::Join(newcomers) => newcomers.len(),
            // A packet that is lost or played back counts when it is.
            Self::Drop { .. } | Self::Replay { .. } => 0,
            Self::Publish { .. }
            | Self::Write { .. }
            | Self::Heal(_)
            | Self::Start(_)
            | Self::Resume(_)
            | Self::Relieve { .. }
            | Self::Clock { .. } => 0,
        }
    }

    /// The changes of the network that it is, if it is any.
    pub fn network_changes(&self) -> Option<Vec<NetworkChange>> {
        Some(match self {
            Self::Partition(groups) => vec![NetworkChange::Partition(groups.clone())],
            Self::Isolate(nodes) => vec![NetworkChange::Isolate(nodes.clone())],
            Self::Link { links, change } => links.changes(change),
            Self::Network(change) => vec![NetworkChange::Everywhere(change.clone())],
            _ => return None,
        })
    }

    /// Whether the network is another after it.
    pub fn changes_network(&self) -> bool {
        matches!(self, Self::Heal(_)) || self.network_changes().is_some()
    }

    /// Who goes down by it, and how.
    pub fn exits(&self) -> Option<(&[NodeNo], Manner)> {
        match self {
            Self::Crash(nodes) => Some((nodes, Manner::Crash)),
            Self::Leave(nodes) => Some((nodes, Manner::Leave)),
            Self::Restart { nodes, manner, .. } => Some((nodes, *manner)),
            _ => None,
        }
    }
}

/// A change of nothing but the loss, or the latency, is called so.
fn link_kind(change: &LinkChange) -> &'static str {
    let LinkChange { latency, loss, .. } = change;
    let only_loss = LinkChange { loss: *loss, ..LinkChange::default() };
    let only_latency = LinkChange { latency: latency.clone(), ..LinkChange::default() };
    if *change == only_loss {
        "loss"
    } else if *change == only_latency {
        "latency"
    } else {
        "link"
    }
}

/// Packets from some nodes to some nodes, both sorted; `None` is all there ever are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Senders.
    pub from: Option<Vec<NodeNo>>,
    /// Receivers.
    pub to: Option<Vec<NodeNo>>,
}

impl Ends {
    /// Whether a packet between two nodes is meant.
    pub fn have(&self, from: NodeNo, to: NodeNo) -> bool {
        let has = |set: &Option<Vec<NodeNo>>, node| {
            set.as_ref().is_none_or(|set| set.binary_search(&node).is_ok())
        };
        has(&self.from, from) && has(&self.to, to)
    }
}

/// A packet that no node sent, as if it came from somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// Each of these gets one.
    pub to: Vec<NodeNo>,
    /// From whom it seems to come.
    pub from: Speaker,
    /// What it says.
    pub content: Content,
}

/// Who speaks, or who is spoken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// A node, at the address that it has then.
    Node(NodeNo),
    /// Whoever is at this address.
    Stranger(SocketAddr),
}

/// What an injected packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A claim about somebody.
    Of {
        /// Which.
        lie: Lie,
        /// About whom.
        of: Speaker,
        /// In which generation.
        claim: Claim,
    },
    /// These bytes, as they stand behind what guards a datagram.
    Bytes(Arc<[u8]>),
}

/// How a node goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Without a word.
    Crash,
    /// With a goodbye.
    Leave,
}

/// How the wall clock of a node changes. The monotonic clock goes on as ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockChange {
    /// It is now this far ahead of true time.
    Offset {
        /// Nanoseconds; negative is behind.
        nanos: i64,
    },
    /// It is set ahead by this.
    Jump {
        /// Nanoseconds; negative is back.
        nanos: i64,
    },
    /// A jump by this is taken back.
    Unjump {
        /// Nanoseconds.
        nanos: i64,
    },
    /// From now on it goes faster by this.
    Drift {
        /// Parts per billion; negative is slower.
        ppb: i64,
    },
    /// It is again as far ahead as [`Plan::clocks`] says.
    OwnOffset,
    /// It goes again as fast as [`Plan::clocks`] says; what it gained or lost stays.
    OwnDrift,
}

impl ClockChange {
    /// Whether it is a fault, and not the end of one.
    pub fn is_new(self) -> bool {
        match self {
            Self::Offset { .. } | Self::Jump { .. } | Self::Drift { .. } => true,
            Self::Unjump { .. } | Self::OwnOffset | Self::OwnDrift => false,
        }
    }
}

/// What a heal undoes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heal {
    /// Everything that actions changed in the network.
    All,
    /// The changes under one label.
    Label(String),
    /// What the action at this place of the plan changed.
    Action(usize),
}

/// A line of `[expect]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// The measure, a name of the registry.
    pub name: String,
    /// The condition as typed, such as `<= 5s`.
    pub want: String,
    /// The operator of the condition.
    pub operator: Operator,
    /// The value of the condition, in the unit of the measure.
    pub value: f64,
}

/// Share of seeds that must hold every expectation.
#[derive(Clone, Debug, PartialEq)]
pub struct SeedShare {
    /// As typed, such as `95%`.
    pub text: String,
    /// From 0 to 1.
    pub share: f64,
}
