//! What pekonode nodes tell each other: one kind of packet with four uses.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use md5::{Digest as _, Md5};

use crate::core::{CarriedNews, Channel, Load, NewsAbout, Traced, Version, digest};
use crate::node::{Node, NodeId};

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyPacket {
    /// Whom it is about: the origin of a rumor, the sender of a swap.
    pub node: Node,
    /// Who need not be told any more, as [`mark`] writes addresses. In the order of the text,
    /// which is the order on the wire.
    pub infected: BTreeSet<Box<str>>,
    /// The metadata that comes along, if any does.
    pub metadata: Carried,
    /// What it is for.
    pub kind: Kind,
    /// Proof that the sender is one of the cluster.
    pub secret_key: SecretDigest,
}

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A rumor: the node is alive.
    Beat,
    /// A rumor: the node is alive and has published the metadata.
    Publish,
    /// "This is what I hold; if you hold newer, send it." Drawn by [`Carried::NEVER`] always.
    SwapRequest,
    /// "This is newer than what you hold."
    SwapAnswer,
}

/// Metadata as a packet carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The bytes; a Go peer tells no bytes (`None`) from none at all, and so does the wire.
    pub data: Option<Arc<[u8]>>,
    /// When it was published, in nanoseconds of the publisher's Unix time; the larger wins.
    /// 0 where there is no metadata.
    pub update: i64,
}

impl Carried {
    /// What a beat carries.
    pub const NONE: Self = Self { data: None, update: 0 };

    /// What no node can hold, so that a request with it is answered whatever the other holds.
    pub const NEVER: Self = Self { data: None, update: -1 };

    /// The version that it is, which names no writer on this wire; none if it is no value.
    pub fn version(&self) -> Option<Version> {
        let digest = || digest(self.data.as_deref().unwrap_or_default());
        let version =
            || Version { nanos: self.update, writer: NodeId::default(), digest: digest() };
        (self.update > 0).then(version)
    }
}

/// How pekonode writes an address where it marks who is infected.
pub fn mark(addr: SocketAddr) -> Box<str> {
    addr.to_string().into()
}

/// What a packet shows of the cluster's secret: the lower-case hex MD5 of it, or nothing.
///
/// It travels readable, and whoever reads it can write it: it keeps two clusters apart, and
/// strangers out only as long as nobody listens.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretDigest(Box<str>);

impl SecretDigest {
    /// That of a secret; an empty one is none.
    pub fn of(secret: &[u8]) -> Self {
        if secret.is_empty() {
            return Self::default();
        }
        let hash: [u8; 16] = Md5::digest(secret).into();
        Self(format!("{:032x}", u128::from_be_bytes(hash)).into())
    }

    /// One as it stood in a packet.
    pub fn from_wire(text: &str) -> Self {
        Self(text.into())
    }

    /// As it stands in a packet.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "SecretDigest(none)" } else { "SecretDigest(..)" })
    }
}

impl LegacyPacket {
    /// Bytes of its encoding, without encoding.
    pub fn encoded_len(&self) -> usize {
        let addr = self.node.addr();
        let brackets = if addr.is_ipv6() { 2 } else { 0 };
        let texts = addr.ip().to_string().len()
            + brackets
            + escaped_len(self.node.name())
            + escaped_len(self.node.private_data())
            + escaped_len(self.secret_key.as_str());
        let marks: usize = self.infected.iter().map(|mark| escaped_len(mark) + 8).sum();
        let data = self.metadata.data.as_ref();
        let data = data.map_or(4, |data| data.len().div_ceil(3) * 4 + 2);
        let is_update = if self.kind == Kind::Publish { 4 } else { 5 };
        Self::FIXED_LEN
            + texts
            + digits(i64::from(addr.port()))
            + marks.saturating_sub(1)
            + data
            + digits(self.metadata.update)
            + is_update
    }

    /// The bytes that are the same in each packet.
    const FIXED_LEN: usize = concat!(
        r#"{"Node":{"Addr":"","Port":,"Name":"","PrivateData":""},"Infected":{},"#,
        r#""Metadata":{"Data":,"Update":},"IsUpdate":,"IsSwap":0,"SecretKey":""}"#
    )
    .len();
}

impl Traced for LegacyPacket {
    fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Beat => "beat",
            Kind::Publish => "publish",
            Kind::SwapRequest => "swap_request",
            Kind::SwapAnswer => "swap_answer",
        }
    }

    fn encoded_len(&self) -> usize {
        self.encoded_len()
    }

    fn channel(&self) -> Channel {
        match self.kind {
            Kind::Beat | Kind::Publish => Channel::Rumor,
            Kind::SwapRequest | Kind::SwapAnswer => Channel::Swap,
        }
    }

    /// Every packet tells of a node; and of a value, where it brings one.
    fn carries(&self) -> impl Iterator<Item = CarriedNews<'_>> {
        let version = self.metadata.version().map(NewsAbout::Version);
        let about = std::iter::once(NewsAbout::Node(&self.node)).chain(version);
        about.map(|about| CarriedNews { about, load: Load::Value })
    }
}

/// Bytes of a text in JSON as Go writes it, quotes apart.
fn escaped_len(text: &str) -> usize {
    text.chars()
        .map(|char| match char {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\u{fffd}' => 6,
            plain => plain.len_utf8(),
        })
        .sum()
}

/// Characters of a number in decimal, its sign included.
fn digits(number: i64) -> usize {
    let sign = usize::from(number < 0);
    sign + number.unsigned_abs().checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_as_its_md5() {
        assert_eq!(SecretDigest::of(b"test_key").as_str(), "8c32d1183251df9828f929b935ae0419");
        assert_eq!(SecretDigest::of(b""), SecretDigest::default());
    }

    #[test]
    fn a_packet_carries_its_node_and_the_value_that_it_brings() {
        let node = Node::at(([10, 0, 0, 1], 1).into());
        let carries = |metadata: Carried| {
            let (node, infected) = (node.clone(), BTreeSet::new());
            let (kind, secret_key) = (Kind::Publish, SecretDigest::default());
            let packet = LegacyPacket { node, infected, metadata, kind, secret_key };
            let about = packet.carries().map(|news| match news.about {
                NewsAbout::Version(version) => Some(version.nanos),
                about => {
                    assert_eq!(about, NewsAbout::Node(&packet.node));
                    None
                }
            });
            about.collect::<Vec<_>>()
        };
        assert_eq!(carries(Carried::NONE), [None]);
        assert_eq!(carries(Carried::NEVER), [None]);
        let value = Carried { data: Some(b"v"[..].into()), update: 7 };
        assert_eq!(value.version().unwrap().digest, digest(b"v"));
        assert_eq!(carries(value), [None, Some(7)]);
    }

    #[test]
    fn a_secret_key_is_not_printed() {
        assert_eq!(format!("{:?}", SecretDigest::of(b"test_key")), "SecretDigest(..)");
    }
}
