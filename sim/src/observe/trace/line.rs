//! The lines of `trace.jsonl`: what happened in a run, one JSON object a line, in order.
//!
//! The first line is a [`Event::Run`] and says what was left out. Every other has `t_ns`, the
//! virtual time in nanoseconds since the start of the run, `event`, and what its event adds:
//!
//! | `event` | says | with |
//! |---|---|---|
//! | `run` | which run this is | `schema scenario seed nodes filter` |
//! | `action` | the scenario did something | `text` |
//! | `up` `down` | a node's process started, or ended | `node`, `addr`, `cause` |
//! | `stop` `start` | a node fell silent, or resumed | `node` |
//! | `paths` | the network cuts other paths than before | `sides cut` |
//! | `send` | a packet was sent | `from to kind bytes content`, `copies` if not 1, `rumors` |
//! | `drop` | it never arrives | `from to kind sent_ns content cause`, `rumors` |
//! | `deliver` | it was read | `from to kind sent_ns content`, `waited_ns rumors` |
//! | `state` | a service was told | `node change`, `about life cause version members entry from` |
//! | `learn` | a node holds a rumor for the first time | `node rumor hop via`, `from sent_ns` |
//!
//! `content` is a hash of what the packet says, so that two traces differ where two packets do.
//! The causes of a drop are those of `messages` in `summary.json`. A packet of `kind` `rumor` may
//! say no more than that there is a value, of more bytes than fit into it: then it has
//! `announces`. `life` is which of its starts the node `about` has behind it, from 0. `cut` holds
//! pairs of places in `sides`: no packet gets from the first side to the second. `waited_ns` is how
//! long a packet lay with a node that did not read it when it arrived. An `entry` is
//! `key says ttl_ns bound`: that a `put` or a `delete` of the `version` is what the node reads of a
//! key, or that a put is `expired`, or hidden, for it. What has no value is left out, and so are a
//! `life` and a wait of 0.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::reading::printable;
use crate::scenario::plan::NodeNo;

/// The schema of a trace.
pub(crate) const SCHEMA: &str = "trace/1";

/// A word of the format.
type Word = Cow<'static, str>;

/// One line. Texts that write on a terminal make it none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) t_ns: u64,
    #[serde(flatten)]
    pub(crate) event: Event,
}

/// What a node reads of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EntryLine {
    #[serde(deserialize_with = "printable")]
    pub(crate) key: String,
    #[serde(deserialize_with = "printable")]
    pub(crate) says: Word,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ttl_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) bound: bool,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    Run {
        #[serde(deserialize_with = "printable")]
        schema: Word,
        #[serde(deserialize_with = "printable")]
        scenario: String,
        #[serde(deserialize_with = "printable")]
        seed: String,
        nodes: u32,
        filter: Filter,
    },
    Action {
        #[serde(deserialize_with = "printable")]
        text: String,
    },
    Up {
        node: NodeNo,
        #[serde(deserialize_with = "printable")]
        addr: String,
        #[serde(deserialize_with = "printable")]
        cause: Word,
    },
    Down {
        node: NodeNo,
        #[serde(deserialize_with = "printable")]
        cause: Word,
    },
    Stop {
        node: NodeNo,
    },
    Start {
        node: NodeNo,
    },
    Pause {
        node: NodeNo,
    },
    Resume {
        node: NodeNo,
    },
    Paths {
        sides: Vec<Vec<NodeNo>>,
        cut: Vec<(u32, u32)>,
    },
    Send {
        #[serde(flatten)]
        packet: Packet,
        bytes: u64,
        #[serde(default = "one", skip_serializing_if = "is_one")]
        copies: u32,
    },
    Drop {
        #[serde(flatten)]
        packet: Packet,
        sent_ns: u64,
        #[serde(deserialize_with = "printable")]
        cause: Word,
    },
    Deliver {
        #[serde(flatten)]
        packet: Packet,
        sent_ns: u64,
        #[serde(default, skip_serializing_if = "is_nothing")]
        waited_ns: u64,
    },
    State {
        node: NodeNo,
        #[serde(deserialize_with = "printable")]
        change: Word,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<NodeNo>,
        #[serde(default, skip_serializing_if = "is_first")]
        life: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[serde(deserialize_with = "printable")]
        cause: Option<Word>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[serde(deserialize_with = "printable")]
        version: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        members: Option<usize>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entry: Option<EntryLine>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<NodeNo>,
    },
    Learn {
        node: NodeNo,
        #[serde(deserialize_with = "printable")]
        rumor: String,
        hop: u32,
        #[serde(deserialize_with = "printable")]
        via: Word,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<NodeNo>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent_ns: Option<u64>,
    },
}

/// A packet on its way. Nobody ever has the address of one without a receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Packet {
    pub(crate) from: NodeNo,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<NodeNo>,
    #[serde(deserialize_with = "printable")]
    pub(crate) kind: Word,
    /// A hash in hex.
    #[serde(deserialize_with = "printable")]
    pub(crate) content: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[serde(deserialize_with = "printable")]
    pub(crate) rumors: Vec<String>,
    /// It names a version, and does not bring its value.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) announces: bool,
}

/// What is written: everything that no field rules out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Only what one of these nodes takes part in; all if empty. Actions are always written.
    pub nodes: Vec<NodeNo>,
    /// Only packets that carry one of these rumors, and who learns them; all if empty. Actions
    /// and the comings and goings of nodes are written all the same.
    pub rumors: Vec<String>,
    /// Only what happens from this virtual time on, in nanoseconds.
    pub from_ns: u64,
    /// Only what happens before this virtual time, in nanoseconds.
    pub to_ns: Option<u64>,
}

impl Filter {
    /// True when nothing is left out.
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn takes_time(&self, t_ns: u64) -> bool {
        self.from_ns <= t_ns && self.to_ns.is_none_or(|to_ns| t_ns < to_ns)
    }

    pub(super) fn takes(&self, event: &Event) -> bool {
        self.takes_nodes(event) && self.takes_rumors(event)
    }

    fn takes_nodes(&self, event: &Event) -> bool {
        let one = |node: NodeNo| self.nodes.contains(&node);
        self.nodes.is_empty()
            || match event {
                Event::Run { .. } | Event::Action { .. } | Event::Paths { .. } => true,
                Event::Up { node, .. }
                | Event::Down { node, .. }
                | Event::Stop { node }
                | Event::Start { node }
                | Event::Pause { node }
                | Event::Resume { node } => one(*node),
                Event::Send { packet, .. }
                | Event::Drop { packet, .. }
                | Event::Deliver { packet, .. } => one(packet.from) || packet.to.is_some_and(one),
                Event::State { node, about, .. } => one(*node) || about.is_some_and(one),
                Event::Learn { node, from, .. } => one(*node) || from.is_some_and(one),
            }
    }

    fn takes_rumors(&self, event: &Event) -> bool {
        self.rumors.is_empty()
            || match event {
                Event::Send { packet, .. }
                | Event::Drop { packet, .. }
                | Event::Deliver { packet, .. } => {
                    packet.rumors.iter().any(|rumor| self.rumors.contains(rumor))
                }
                Event::Learn { rumor, .. } => self.rumors.contains(rumor),
                Event::State { .. } => false,
                _ => true,
            }
    }
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_one(copies: &u32) -> bool {
    *copies == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_nothing(nanos: &u64) -> bool {
    *nanos == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_first(life: &u32) -> bool {
    *life == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// The event as a person reads it, without its time.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run { scenario, seed, .. } => write!(f, "{scenario}, seed {seed}"),
            Self::Action { text } => write!(f, "action: {text}"),
            Self::Up { node, addr, cause } => write!(f, "node {node} starts at {addr} ({cause})"),
            Self::Down { node, cause } => write!(f, "node {node} goes down ({cause})"),
            Self::Stop { node } => write!(f, "node {node} falls silent"),
            Self::Start { node } => write!(f, "node {node} beats again"),
            Self::Pause { node } => write!(f, "node {node}'s process stands still"),
            Self::Resume { node } => write!(f, "node {node}'s process goes on"),
            Self::Paths { cut, .. } if cut.is_empty() => write!(f, "no path is cut"),
            Self::Paths { sides, cut } => {
                write!(f, "{} of {} paths between sides are cut", cut.len(), sides.len().pow(2))
            }
            Self::Send { packet, bytes, copies } => {
                let copies = match *copies {
                    0 | 1 => "",
                    2 => ", arrives twice",
                    _ => ", arrives more than twice",
                };
                write!(f, "sent: {packet}, {bytes} B{copies}")
            }
            Self::Drop { packet, cause, .. } => write!(f, "never arrives ({cause}): {packet}"),
            Self::Deliver { packet, .. } => write!(f, "arrives: {packet}"),
            Self::State { node, change, about, cause, version, entry, from, .. } => {
                write!(f, "node {node}: {change}")?;
                entry.iter().try_for_each(|it| write!(f, " `{}` {}", it.key, it.says))?;
                about.iter().try_for_each(|about| write!(f, " node {about}"))?;
                version.iter().try_for_each(|version| write!(f, " version {version}"))?;
                cause.iter().try_for_each(|cause| write!(f, " ({cause})"))?;
                from.iter().try_for_each(|from| write!(f, ", told by node {from}"))
            }
            Self::Learn { node, rumor, hop, via, from, .. } => {
                write!(f, "node {node} learns {rumor} at hop {hop} by {via}")?;
                from.iter().try_for_each(|from| write!(f, " from node {from}"))
            }
        }
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, kind, content, rumors, .. } = self;
        let to = to.map_or("nobody".to_owned(), |to| to.to_string());
        write!(f, "{kind} from {from} to {to}, content {content}")?;
        match rumors.is_empty() {
            true => Ok(()),
            false => write!(f, ", with {}", rumors.join(", ")),
        }
    }
}
