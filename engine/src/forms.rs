//! How nodes, digests and durations are written in any serde format, and read again with the checks
//! of their constructors; records and values are so in the core.
//!
//! In formats for people what a number would lose (half of a 64-bit one, in JavaScript) is text,
//! and durations are written as in the settings: `250ms`.

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::node::NodeId;

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_str(self),
            false => serializer.serialize_u64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.is_human_readable() {
            true => String::deserialize(deserializer)?.parse().map_err(D::Error::custom),
            false => u64::deserialize(deserializer).map(Self),
        }
    }
}

/// The digest of a version.
pub(crate) mod digest {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Unexpected};
    use serde::de::Error as _;

    pub(crate) fn serialize<S: Serializer>(
        digest: &[u8; 16],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_str(&format_args!("{:032x}", u128::from_be_bytes(*digest))),
            false => digest.serialize(serializer),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; 16], D::Error> {
        if !deserializer.is_human_readable() {
            return <[u8; 16]>::deserialize(deserializer);
        }
        let text = String::deserialize(deserializer)?;
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digest = u128::from_str_radix(&text, 16).ok().filter(|_| is_hex);
        digest.map(u128::to_be_bytes).ok_or_else(|| {
            D::Error::invalid_value(Unexpected::Str(&text), &"32 hexadecimal digits")
        })
    }
}

#[cfg(feature = "serde")]
pub(crate) use told::{duration, duration_or_none};

/// What a service tells others: feature `serde`.
#[cfg(feature = "serde")]
mod told {
    use std::borrow::Cow;
    use std::collections::BTreeMap;
    use std::net::SocketAddr;
    use std::time::Duration;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::node::{Generation, Node, Tags};
    use crate::units::show_duration;

    pub(crate) fn duration<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&show_duration(*duration))
    }

    pub(crate) fn duration_or_none<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration.map(show_duration).serialize(serializer)
    }

    #[derive(Deserialize, Serialize)]
    #[serde(rename = "Node", deny_unknown_fields)]
    struct NodeForm<'a> {
        addr: SocketAddr,
        #[serde(default)]
        name: Cow<'a, str>,
        #[serde(default)]
        private_data: Cow<'a, str>,
        #[serde(default)]
        zone: Cow<'a, str>,
        #[serde(default)]
        tags: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    }

    impl Serialize for Node {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let (name, private_data) = (self.name().into(), self.private_data().into());
            let tags = self.tags().iter().map(|(key, value)| (key.into(), value.into()));
            let (zone, tags) = (self.zone().into(), tags.collect());
            NodeForm { addr: self.addr(), name, private_data, zone, tags }.serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for Node {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let form = NodeForm::deserialize(deserializer)?;
            let NodeForm { addr, name, private_data, zone, tags } = form;
            let tags = tags.into_iter().map(|(key, value)| (key.into_owned(), value.into_owned()));
            let node = Self::of(addr, &name, &private_data);
            let extended = |node: Self| node.extended(&zone, Tags::of(tags)?);
            node.and_then(extended).map_err(D::Error::custom)
        }
    }

    impl Serialize for Generation {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.get().serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for Generation {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let number = u64::deserialize(deserializer)?;
            let told = || D::Error::custom(format!("{number} is no generation: 1 to 2^62 are"));
            Self::new(number).ok_or_else(told)
        }
    }
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;
    use crate::config::{Liveness, Wire};
    use crate::core::{self, Cause, Difference, Event, Metadata, Reach, Record, Version};
    use crate::node::{Generation, Node};
    use crate::wire::Reject;

    fn record() -> Arc<Record> {
        let node = Node::new("10.0.0.5:80").name("A").private_data("zone=1").build().unwrap();
        Arc::new(Record::new(node, Generation::new(1 << 62).unwrap()))
    }

    fn metadata(data: &[u8]) -> Metadata {
        let digest = core::digest(data);
        let version = Version { nanos: 7, writer: NodeId(0x4d58_31c3_de6f_eb69), digest };
        Metadata::verified(version, data.into()).unwrap()
    }

    /// Written and read again, for people and for machines.
    fn reads_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
        let text = serde_json::to_string(value).unwrap();
        assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value, "{text}");
        let settings = bincode::config::standard();
        let bytes = bincode::serde::encode_to_vec(value, settings).unwrap();
        let (read, used) = bincode::serde::decode_from_slice::<T, _>(&bytes, settings).unwrap();
        assert_eq!((&read, used), (value, bytes.len()));
    }

    #[test]
    fn nodes_records_versions_and_values_are_read_as_they_are_written() {
        reads_back(record().node());
        reads_back(&*record());
        reads_back(&NodeId(u64::MAX));
        for data in [&b"limit=10"[..], b"", b"\xff\0"] {
            reads_back(&metadata(data));
            reads_back(&metadata(data).version());
        }
        reads_back(&Cause::Timeout);
    }

    #[test]
    fn a_log_shows_text_where_there_is_text_and_no_number_that_a_reader_would_round() {
        assert_eq!(
            serde_json::to_value(metadata(b"limit=10")).unwrap(),
            json!({
                "version": {
                    "nanos": 7,
                    "writer": "4d5831c3de6feb69",
                    "digest": "9c21d9e643e1dcbf47f7b81f97d5a919",
                },
                "text": "limit=10",
            })
        );
        assert_eq!(serde_json::to_value(metadata(b"\xff\0")).unwrap()["base64"], "/wA=");
        assert_eq!(
            serde_json::to_value(Event::Joined(record())).unwrap(),
            json!({"joined": {
                "node": {
                    "addr": "10.0.0.5:80",
                    "name": "A",
                    "private_data": "zone=1",
                    "zone": "",
                    "tags": {},
                },
                "generation": 1_u64 << 62,
                "wire": 2,
            }})
        );
    }

    #[test]
    fn what_is_read_passes_the_checks_of_what_is_made() {
        fn refused<T: DeserializeOwned>(value: &Value) -> String {
            serde_json::from_value::<T>(value.clone()).map(drop).unwrap_err().to_string()
        }
        assert!(serde_json::from_value::<Node>(json!({"addr": "10.0.0.5:80"})).is_ok());
        let told = refused::<Node>(&json!({"addr": "10.0.0.5:80", "name": "\u{1b}"}));
        assert!(told.contains("U+001B"), "{told}");
        assert!(refused::<Node>(&json!({"addr": "10.0.0.5:80", "nam": ""})).contains("`nam`"));
        assert!(refused::<Generation>(&json!(0)).contains("no generation"));
        assert!(refused::<NodeId>(&json!("4d58")).contains("16 hexadecimal digits"));
        let mut other = serde_json::to_value(metadata(b"limit=10")).unwrap();
        other["text"] = json!("limit=11");
        assert!(refused::<Metadata>(&other).contains("digest"));
        other["base64"] = json!("");
        assert!(refused::<Metadata>(&other).contains("either `text` or `base64`"));
        other["version"]["digest"] = json!("+c21d9e643e1dcbf47f7b81f97d5a919");
        assert!(refused::<Metadata>(&other).contains("32 hexadecimal digits"));
    }

    #[test]
    fn events_are_written_by_their_name_with_words_and_durations_as_in_the_settings() {
        let written = |event: Event| serde_json::to_value(event).unwrap();
        assert_eq!(written(Event::Woke(Duration::from_millis(1_500))), json!({"woke": "1s 500ms"}));
        let removed = written(Event::Removed { record: record(), cause: Cause::Left });
        assert_eq!(removed["removed"]["cause"], "left");
        let (ours, theirs) = (Liveness::Beats, Liveness::Probes);
        let difference = Difference::Liveness { ours, theirs };
        let peer = "10.0.0.9:80".parse().unwrap();
        assert_eq!(
            written(Event::SettingsDiffer { peer, difference })["settings_differ"]["difference"],
            json!({"liveness": {"ours": "beats", "theirs": "probes"}})
        );
        let version = metadata(b"").version();
        let by = Duration::from_secs(90);
        assert_eq!(written(Event::VersionAhead { version, by })["version_ahead"]["by"], "1m 30s");
        for (theirs_ahead_by, shown) in [(None, Value::Null), (Some(by), json!("1m 30s"))] {
            let event = Event::Superseded { ours: version, theirs: version, theirs_ahead_by };
            assert_eq!(written(event)["superseded"]["theirs_ahead_by"], shown);
        }
        assert_eq!(serde_json::to_value(Reach::First).unwrap(), "first");
        assert_eq!(serde_json::to_value(Reject::ForeignMagic).unwrap(), "foreign_magic");
        assert_eq!(serde_json::to_value(Wire::Pekonode).unwrap(), "pekonode");
    }

    #[cfg(feature = "net")]
    #[test]
    fn notices_are_written_as_their_events_are() {
        use crate::net::{Ended, Notice};

        let written = |notice: Notice| serde_json::to_value(notice).unwrap();
        let woke = Notice::Event(Event::Woke(Duration::from_secs(2)));
        assert_eq!(written(woke), json!({"event": {"woke": "2s"}}));
        assert_eq!(written(Notice::Missed(3)), json!({"missed": 3}));
        assert_eq!(written(Notice::Rejected(Reject::TooShort)), json!({"rejected": "too_short"}));
        assert_eq!(written(Notice::Left), json!("left"));
        assert_eq!(written(Notice::Ended(Ended::RuntimeGone)), json!({"ended": "runtime_gone"}));
    }
}
