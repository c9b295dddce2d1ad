//! How records and metadata are written in any serde format, and read again with the checks of
//! their constructors: feature `serde`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::entry::{Entry, EntryKind};
use super::metadata::{Metadata, Version};
use super::record::Record;
use crate::node::Generation;
use crate::wire_version::WireVersion;

#[derive(Deserialize, Serialize)]
#[serde(rename = "Record", deny_unknown_fields)]
struct RecordForm<N> {
    node: N,
    generation: Generation,
    /// The highest version of the wire that the node speaks.
    #[serde(default = "first")]
    wire: u8,
}

const fn first() -> u8 {
    WireVersion::One.number()
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (generation, wire) = (self.generation(), self.speaks_number());
        RecordForm { node: self.node(), generation, wire }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let RecordForm { node, generation, wire } = RecordForm::deserialize(deserializer)?;
        Ok(Self::of(node, generation, wire, Box::default()))
    }
}

/// For people: text where it is text, so that a log can be read.
#[derive(Deserialize, Serialize)]
#[serde(rename = "Metadata", deny_unknown_fields)]
struct ReadableForm<'a> {
    version: Version,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename = "Metadata", deny_unknown_fields)]
struct CompactForm<'a> {
    version: Version,
    data: Cow<'a, [u8]>,
}

/// An entry as services tell of it: of one that has no value any more there is none.
#[derive(Serialize)]
#[serde(rename = "Entry")]
struct EntryForm<'a> {
    key: &'a str,
    version: Version,
    kind: EntryKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.data().map(|data| str::from_utf8(data));
        let (text, base64) = match (text, self.data()) {
            (Some(Err(_)), Some(data)) => (None, Some(BASE64_STANDARD.encode(data))),
            (text, _) => (text.and_then(Result::ok), None),
        };
        let (version, kind) = self.rank();
        EntryForm { key: self.key().as_str(), version, kind, text, base64 }.serialize(serializer)
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let version = self.version();
        if !serializer.is_human_readable() {
            let data = Cow::Borrowed(&self.data()[..]);
            return CompactForm { version, data }.serialize(serializer);
        }
        let (text, base64) = match std::str::from_utf8(self.data()) {
            Ok(text) => (Some(text.into()), None),
            Err(_) => (None, Some(BASE64_STANDARD.encode(self.data()))),
        };
        ReadableForm { version, text, base64 }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (version, data) = if deserializer.is_human_readable() {
            let ReadableForm { version, text, base64 } = Deserialize::deserialize(deserializer)?;
            let data = match (text, base64) {
                (Some(text), None) => text.into_owned().into_bytes(),
                (None, Some(text)) => BASE64_STANDARD.decode(text).map_err(D::Error::custom)?,
                _ => return Err(D::Error::custom("give either `text` or `base64`")),
            };
            (version, data)
        } else {
            let CompactForm { version, data } = Deserialize::deserialize(deserializer)?;
            (version, data.into_owned())
        };
        let told = || D::Error::custom("the data is not that of the version's digest");
        Self::verified(version, data.into()).ok_or_else(told)
    }
}
