//! What a run and the process of one of its nodes say to each other: a line of JSON each.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rumormill::core::{Cause, Record, Stats};
use rumormill::node::{Generation, NodeId};
use rumormill::{Event, Metadata, Node, Version, wire};
use serde::{Deserialize, Serialize};

/// The first line to a node's process: who it is, and when the run began.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Birth {
    /// The resolved scenario.
    pub(super) scenario: String,
    pub(super) seed: u64,
    /// The place in the plan.
    pub(super) incarnation: u32,
    pub(super) seeds: Vec<SocketAddr>,
    /// What the wall clock of the machine showed when the run began.
    pub(super) began_unix_ns: i64,
}

/// What a node is told to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// In base64.
    Publish(String),
    Restore(Vec<RecordForm>),
    Stop,
    Start,
    Leave,
}

/// What a node's process tells, with the time of the run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) t_ns: u64,
    pub(super) what: What,
}

/// What happened to it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// It runs, as this.
    Up(RecordForm),
    /// It can't.
    Failed(String),
    /// It took something in: a packet, by its sender and the hash of its content, or nothing.
    Input { packet: Option<(SocketAddr, u64)>, events: Vec<EventForm> },
    /// It sent a packet, in base64.
    Sent { to: SocketAddr, packet: String, len: usize },
    /// What its engine has counted.
    Stats(StatsForm),
}

/// A record.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RecordForm {
    addr: SocketAddr,
    generation: u64,
    name: String,
    private_data: String,
}

/// An event, as far as observers look at it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EventForm {
    Joined(RecordForm),
    Updated { old: RecordForm, new: RecordForm },
    TimedOut(RecordForm),
    Left(RecordForm),
    Replaced { old: RecordForm, by: RecordForm },
    Published { version: VersionForm, data: String },
}

/// A version: its time, its writer, and the digest as a number.
type VersionForm = (i64, u64, [u8; 16]);

/// The counters that a run adds up.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct StatsForm {
    inputs: u64,
    updates: u64,
    members_max: usize,
    tombstones_max: usize,
}

impl RecordForm {
    pub(super) fn of(record: &Record) -> Self {
        let node = record.node();
        Self {
            addr: node.addr(),
            generation: record.generation().get(),
            name: node.name().to_owned(),
            private_data: node.private_data().to_owned(),
        }
    }

    /// `None` when it is none.
    pub(super) fn record(self) -> Option<Arc<Record>> {
        let node = Node::new(self.addr.to_string()).name(self.name);
        let node = node.private_data(self.private_data).build().ok()?;
        Some(Arc::new(Record::new(node, Generation::new(self.generation)?)))
    }
}

impl EventForm {
    /// `None` for what observers pass over.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let form = |record: &Arc<Record>| RecordForm::of(record);
        Some(match event {
            Event::Joined(record) => Self::Joined(form(record)),
            Event::Updated { old, new } => Self::Updated { old: form(old), new: form(new) },
            Event::Removed { record, cause: Cause::Timeout } => Self::TimedOut(form(record)),
            Event::Removed { record, cause: Cause::Left } => Self::Left(form(record)),
            Event::Replaced { old, by } => Self::Replaced { old: form(old), by: form(by) },
            Event::Published(metadata) => {
                let (version, data) = (version_form(metadata.version()), metadata.data());
                Self::Published { version, data: STANDARD.encode(data) }
            }
            _ => return None,
        })
    }

    /// `None` when it is none.
    pub(super) fn event(self) -> Option<Event> {
        Some(match self {
            Self::Joined(record) => Event::Joined(record.record()?),
            Self::Updated { old, new } => Event::Updated { old: old.record()?, new: new.record()? },
            Self::TimedOut(record) => {
                Event::Removed { record: record.record()?, cause: Cause::Timeout }
            }
            Self::Left(record) => Event::Removed { record: record.record()?, cause: Cause::Left },
            Self::Replaced { old, by } => Event::Replaced { old: old.record()?, by: by.record()? },
            Self::Published { version, data } => {
                let data = STANDARD.decode(data).ok()?;
                Event::Published(Metadata::verified(of_form(version), data.into())?)
            }
        })
    }
}

fn version_form(version: Version) -> VersionForm {
    (version.nanos, version.writer.0, version.digest)
}

fn of_form((nanos, writer, digest): VersionForm) -> Version {
    Version { nanos, writer: NodeId(writer), digest }
}

impl StatsForm {
    pub(super) fn of(stats: &Stats) -> Self {
        let Stats { inputs, updates, members_max, tombstones_max, .. } = *stats;
        Self { inputs, updates, members_max, tombstones_max }
    }

    pub(super) fn stats(self) -> Stats {
        let Self { inputs, updates, members_max, tombstones_max } = self;
        let mut stats = Stats::default();
        (stats.inputs, stats.updates) = (inputs, updates);
        (stats.members_max, stats.tombstones_max) = (members_max, tombstones_max);
        stats
    }
}

/// A packet as text.
pub(super) fn packet_text(packet: &rumormill::core::Packet) -> String {
    let mut bytes = Vec::with_capacity(wire::encoded_len(packet));
    wire::encode(packet, &mut bytes);
    STANDARD.encode(bytes)
}

/// A packet of a text; `None` when it is none.
pub(super) fn packet(text: &str) -> Option<rumormill::core::Packet> {
    let bytes = STANDARD.decode(text).ok()?;
    wire::decode_from_stream(&bytes, bytes.len()).ok()
}

/// Bytes of a text; `None` when they are none.
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// The text of bytes.
pub(super) fn text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rumormill::Config;
    use rumormill::core::packet::{Body, LastCall};
    use rumormill::core::{AgeStep, Packet, Value};

    fn record(port: u16) -> Arc<Record> {
        let node = Node::new(format!("10.0.1.1:{port}")).name("n").private_data("z=1");
        let generation = Generation::new(u64::from(port)).unwrap();
        Arc::new(Record::new(node.build().unwrap(), generation))
    }

    fn metadata() -> Metadata {
        // The only way to one from outside is by its digest.
        let data: Arc<[u8]> = b"limit=10"[..].into();
        assert!(Value::new(Arc::clone(&data), &Config::default()).is_ok());
        let digest: [u8; 16] = {
            use sha2::{Digest as _, Sha256};
            *Sha256::digest(&data).first_chunk().unwrap()
        };
        let version = Version { nanos: 7, writer: NodeId(u64::MAX), digest };
        Metadata::verified(version, data).unwrap()
    }

    #[test]
    fn events_survive_the_way_through_a_line() {
        let events = [
            Event::Joined(record(1)),
            Event::Updated { old: record(7), new: record(2) },
            Event::Removed { record: record(3), cause: Cause::Timeout },
            Event::Removed { record: record(4), cause: Cause::Left },
            Event::Replaced { old: record(5), by: record(6) },
            Event::Published(metadata()),
        ];
        for event in events {
            let line = serde_json::to_string(&EventForm::of(&event).unwrap()).unwrap();
            assert!(!line.contains('\n'));
            let back: EventForm = serde_json::from_str(&line).unwrap();
            assert_eq!(back.event(), Some(event));
        }
    }

    #[test]
    fn packets_survive_as_text_and_what_is_none_is_none() {
        let sent = Packet::new(AgeStep(7), Body::LastCall(LastCall::default()));
        assert_eq!(packet(&packet_text(&sent)), Some(sent));
        assert_eq!(packet("!"), None);
        assert_eq!(bytes(&text(b"v1")), Some(b"v1".to_vec()));
    }
}
