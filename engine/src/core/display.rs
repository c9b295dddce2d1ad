//! Events as a person reads them: one line each, in the words of a log.

use std::fmt;

use super::agreement::{Agreement, Reach};
use super::entry::Entry;
use super::io::{Event, Trouble};
use super::metadata::Metadata;
use super::packet::Cause;
use super::record::Record;

/// What happened, in one line; of what was published only how long it is, for it may be anything.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined(record) => write!(f, "joined {record}"),
            // It says what it said before: it was started again, or had been taken for dead.
            Self::Updated { old, new } if old.node() == new.node() => {
                write!(f, "new incarnation {new}")
            }
            Self::Updated { new, .. } => match new.node().private_data() {
                "" => write!(f, "updated {new}"),
                data => write!(f, "updated {new} {data}"),
            },
            Self::Removed { record, cause } => write!(f, "removed {record} ({cause})"),
            Self::Replaced { old, by } => {
                write!(f, "removed {old} (replaced by {})", by.node().addr())
            }
            Self::NameConflict { first, second } => {
                write!(f, "name conflict {first} and {}", second.node().addr())
            }
            Self::AddressConflict(other) => {
                write!(f, "address conflict {other}: stop it, or move one of the two")
            }
            Self::ListFull { members_max: max } => {
                write!(f, "no room for more than {max} members: raise members_max everywhere")
            }
            Self::GenerationsExhausted(me) => {
                write!(f, "no generation is left for {me}: its clock is wrong, or a forged one")
            }
            Self::ClusterTooLarge { members, size } => {
                write!(f, "no room for more than {members} members in packets of {size} bytes")
            }
            Self::View { number, members, joined, updated, left, .. } => {
                write!(f, "view {number}: {members} members, {joined} joined, {left} left, ")?;
                write!(f, "{updated} new incarnations")
            }
            Self::Isolated => f.write_str("isolated: nobody answers"),
            Self::Reunited(after) => write!(f, "reunited after {}s", after.as_secs()),
            Self::Degraded(why) => write!(f, "degraded: {why}"),
            Self::Recovered => f.write_str("recovered"),
            Self::Woke(slept) => write!(f, "woke after {}s", slept.as_secs()),
            Self::SettingsDiffer { peer, difference } => {
                write!(f, "settings of {peer}: {difference}")
            }
            Self::NotReached(addr) => write!(f, "nobody reaches this node at {addr}"),
            Self::PathNarrow { peer, len } => {
                write!(
                    f,
                    "datagrams of {len} bytes do not get to {peer}: values as long go by stream"
                )
            }
            Self::ValueUnreachable { version, peer } => {
                write!(f, "metadata {version} does not get through between {peer} and here")?;
                f.write_str(": is TCP filtered?")
            }
            Self::Published(metadata) => write!(f, "metadata {metadata}"),
            Self::Entry(entry) => entry.fmt(f),
            Self::Superseded { ours, theirs, .. } => {
                write!(f, "metadata {ours} superseded by {theirs}")
            }
            Self::VersionAhead { version, by } => {
                let by = by.as_secs();
                write!(f, "metadata {version} is {by}s ahead: compare the clock of its writer")
            }
            Self::VersionsExhausted(version) => {
                write!(f, "not published: nothing ranks above {version}, which is forged")
            }
            Self::Corrupted(version) => {
                write!(f, "metadata {version} was corrupted in memory here")
            }
        }
    }
}

/// As the reason why a node doubts itself, and what to do.
impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Behind => "it is late; give it more processor time",
            Self::Unanswered => "many do not answer it in time; is its network sound?",
        })
    }
}

/// Its key, and how many bytes it has if it has a value.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.data() {
            Some(data) => write!(f, "entry {} of {} bytes", self.key(), data.len()),
            None => write!(f, "entry {} gone", self.key()),
        }
    }
}

/// Its version, and how many bytes it has.
impl fmt::Display for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.version(), self.data().len())
    }
}

/// As its node: where it is and what it is called.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node().fmt(f)
    }
}

/// In brackets behind a removal.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Left => "left",
            Self::Timeout => "timeout",
        })
    }
}

/// Whom it reaches, and how many of those agree.
impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peers, same, reach } = self;
        match reach {
            Reach::Others => write!(f, "{same} of {peers} peers hold the same"),
            alone => write!(f, "alone: {alone}"),
        }
    }
}

/// As the reason why a node is alone, if it is.
impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Seeking => "seeds are being looked for",
            Self::First => "the first node of a cluster",
            Self::Nobody => "nobody answers",
            Self::Others => "others are listed",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::core::Version;
    use crate::node::{Generation, Node, NodeId};
    use crate::text::find_unprintable;

    fn record(name: &str, data: &str, generation: u64) -> Arc<Record> {
        let node = Node::new("10.0.0.5:80").name(name).private_data(data).build().unwrap();
        Arc::new(Record::new(node, Generation::new(generation).unwrap()))
    }

    #[test]
    fn an_event_is_told_in_one_line() {
        let version = Version { nanos: 7, writer: NodeId(1), digest: [0; 16] };
        let (a, b) = (record("A", "", 1), record("A", "zone=1", 2));
        let peer = "10.0.0.9:80".parse().unwrap();
        for (event, told) in [
            (Event::Joined(a.clone()), "joined 10.0.0.5:80 A"),
            (Event::Joined(record("", "", 1)), "joined 10.0.0.5:80"),
            (Event::Updated { old: a.clone(), new: b.clone() }, "updated 10.0.0.5:80 A zone=1"),
            (
                Event::Updated { old: a.clone(), new: record("A", "", 3) },
                "new incarnation 10.0.0.5:80 A",
            ),
            (
                Event::Removed { record: a.clone(), cause: Cause::Timeout },
                "removed 10.0.0.5:80 A (timeout)",
            ),
            (
                Event::Replaced { old: a.clone(), by: b },
                "removed 10.0.0.5:80 A (replaced by 10.0.0.5:80)",
            ),
            (Event::Woke(Duration::from_millis(9_500)), "woke after 9s"),
            (
                Event::VersionAhead { version, by: Duration::from_secs(90) },
                "metadata 7-0000000000000001 is 90s ahead: compare the clock of its writer",
            ),
            (
                Event::PathNarrow { peer, len: 1_400 },
                "datagrams of 1400 bytes do not get to 10.0.0.9:80: values as long go by stream",
            ),
            (
                Event::View {
                    number: 3,
                    members: 9,
                    joined: 2,
                    updated: 0,
                    left: 1,
                    digest: [0; 16],
                },
                "view 3: 9 members, 2 joined, 1 left, 0 new incarnations",
            ),
            (Event::NotReached(peer), "nobody reaches this node at 10.0.0.9:80"),
        ] {
            assert_eq!(event.to_string(), told);
            assert_eq!(find_unprintable(told), None);
        }
    }

    #[test]
    fn what_was_published_is_told_by_its_length_alone() {
        let data = b"\x1b[2Jsecret";
        let digest = crate::core::digest(data);
        let version = Version { nanos: 7, writer: NodeId(1), digest };
        let metadata = Metadata::verified(version, data[..].into()).unwrap();
        let told = Event::Published(metadata).to_string();
        assert_eq!(told, "metadata 7-0000000000000001 of 10 bytes");
    }

    #[test]
    fn an_agreement_says_how_many_or_why_none() {
        let mut agreement = Agreement { peers: 5, same: 3, reach: Reach::Others };
        assert_eq!(agreement.to_string(), "3 of 5 peers hold the same");
        agreement.reach = Reach::Nobody;
        assert_eq!(agreement.to_string(), "alone: nobody answers");
    }
}
