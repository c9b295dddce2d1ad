//! The JSON of pekonode: one object a packet, to the byte as Go writes it and read as Go reads.
//!
//! Keys are taken in any letter case and any order, unknown ones are skipped, a missing one or
//! `null` stands for zero, bad UTF-8 becomes U+FFFD and the last of two equal keys wins. Written
//! is what Go writes: fixed order, no white space, `Infected` always there (a Go peer that misses
//! it ends), `<`, `>`, `&`, U+2028 and U+2029 escaped. U+FFFD is escaped as well, as Go does where
//! it stands for bad UTF-8; it reads the same either way.
//!
//! More is refused than Go refuses: an address at which no node can be, a name or private data
//! beyond this crate's limits or with characters that can't be shown (a Go node of such a name is
//! counted as `BadText`, and not listed until it is renamed), a use (`IsSwap`) that is none.

// Only sockets have a console to complain on.
#[cfg(feature = "net")]
mod syntax;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;

use super::{DATAGRAM_LEN_MAX, Reject};
use crate::node::Node;
use crate::pekonode::{Carried, Kind, LegacyPacket, SecretDigest};

#[cfg(feature = "net")]
pub(crate) use syntax::complaint;

/// Go minds the padding, but not the bits that it leaves over.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Appends the encoded packet to `out`; as many bytes as [`LegacyPacket::encoded_len`] says.
pub fn encode(packet: &LegacyPacket, out: &mut Vec<u8>) {
    let addr = packet.node.addr();
    put(out, r#"{"Node":{"Addr":"#);
    let ip = addr.ip().to_string();
    put_text(out, &if addr.is_ipv6() { format!("[{ip}]") } else { ip });
    put(out, &format!(r#","Port":{},"Name":"#, addr.port()));
    put_text(out, packet.node.name());
    put(out, r#","PrivateData":"#);
    put_text(out, packet.node.private_data());
    put(out, r#"},"Infected":{"#);
    for (place, mark) in packet.infected.iter().enumerate() {
        put(out, if place == 0 { "" } else { "," });
        put_text(out, mark);
        put(out, ":true");
    }
    put(out, r#"},"Metadata":{"Data":"#);
    match &packet.metadata.data {
        Some(data) => put(out, &format!("\"{}\"", BASE64.encode(data))),
        None => put(out, "null"),
    }
    let (is_update, is_swap) = match packet.kind {
        Kind::Beat => (false, 0),
        Kind::Publish => (true, 0),
        Kind::SwapRequest => (false, 1),
        Kind::SwapAnswer => (false, 2),
    };
    let update = packet.metadata.update;
    put(out, &format!(r#","Update":{update}}},"IsUpdate":{is_update},"IsSwap":{is_swap}"#));
    put(out, r#","SecretKey":"#);
    put_text(out, packet.secret_key.as_str());
    put(out, "}");
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for char in text.chars() {
        match char {
            '"' => put(out, "\\\""),
            '\\' => put(out, "\\\\"),
            '\n' => put(out, "\\n"),
            '\r' => put(out, "\\r"),
            '\t' => put(out, "\\t"),
            '\u{8}' => put(out, "\\b"),
            '\u{c}' => put(out, "\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\u{fffd}' => {
                put(out, &format!("\\u{:04x}", u32::from(char)));
            }
            plain => put(out, plain.encode_utf8(&mut [0; 4])),
        }
    }
    out.push(b'"');
}

/// Reads a packet from the bytes of one datagram, of which `size` and more are refused.
///
/// Never panics, and takes no more memory than a few times the bytes that are there.
///
/// # Errors
/// The reason why the bytes are no packet of a pekonode node.
pub fn decode(bytes: &[u8], size: usize) -> Result<LegacyPacket, Reject> {
    if bytes.len() >= size || bytes.len() > DATAGRAM_LEN_MAX {
        return Err(Reject::TooLong);
    }
    let read: Read<ReadPacket> =
        serde_json::from_slice(bytes).map_err(|error| match error.classify() {
            Category::Eof => Reject::Truncated,
            _ => Reject::Malformed,
        })?;
    read.0.parse()
}

/// A packet as it was read, before it is known to make sense.
#[derive(Default)]
struct ReadPacket {
    node: ReadNode,
    infected: InfectedMarks,
    metadata: ReadMetadata,
    is_update: bool,
    is_swap: i64,
    secret_key: Text,
}

#[derive(Default)]
struct ReadNode {
    addr: Text,
    port: i64,
    name: Text,
    private_data: Text,
}

#[derive(Default)]
struct ReadMetadata {
    data: Option<Text>,
    update: i64,
}

/// Marks that are true; a mark that is false is none.
#[derive(Default)]
struct InfectedMarks(BTreeSet<Box<str>>);

impl ReadPacket {
    fn parse(self) -> Result<LegacyPacket, Reject> {
        let kind = match (self.is_swap, self.is_update) {
            (0, false) => Kind::Beat,
            (0, true) => Kind::Publish,
            (1, _) => Kind::SwapRequest,
            (2, _) => Kind::SwapAnswer,
            _ => return Err(Reject::UnknownKind),
        };
        let metadata = Carried { data: self.metadata.bytes()?, update: self.metadata.update };
        Ok(LegacyPacket {
            node: self.node.parse()?,
            infected: self.infected.0,
            metadata,
            kind,
            secret_key: SecretDigest::from_wire(&self.secret_key.0),
        })
    }
}

impl ReadNode {
    fn parse(&self) -> Result<Node, Reject> {
        // Go joins the two by a colon, so an IPv6 address comes in brackets or not at all.
        let addr = format!("{}:{}", self.addr.0, self.port);
        let addr: std::net::SocketAddr = addr.parse().map_err(|_| Reject::BadAddress)?;
        if addr.port() == 0 {
            return Err(Reject::BadAddress);
        }
        Node::of(addr, &self.name.0, &self.private_data.0).map_err(|error| Reject::of(&error))
    }
}

impl ReadMetadata {
    fn bytes(&self) -> Result<Option<Arc<[u8]>>, Reject> {
        let Some(text) = &self.data else { return Ok(None) };
        // Go skips line breaks in it.
        let text = text.0.replace(['\r', '\n'], "");
        let data = BASE64.decode(text).map_err(|_| Reject::Malformed)?;
        Ok(Some(data.into()))
    }
}

/// Something that is read from a JSON object key by key.
trait Fields: Default {
    /// Takes the value of this key, which is folded.
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;

    /// How a key is compared: in any letter case, or as it is.
    fn fold(key: String) -> String {
        // Besides ASCII, two letters of Unicode fold to one of ours.
        key.chars()
            .map(|char| match char {
                '\u{17f}' => 's',
                '\u{212a}' => 'k',
                char => char.to_ascii_lowercase(),
            })
            .collect()
    }
}

impl Fields for ReadPacket {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "node" => merge(&mut self.node, map),
            "infected" => merge(&mut self.infected, map),
            "metadata" => merge(&mut self.metadata, map),
            "isupdate" => take(&mut self.is_update, map),
            "isswap" => take(&mut self.is_swap, map),
            "secretkey" => take(&mut self.secret_key, map),
            _ => map.next_value::<IgnoredAny>().map(|_| ()),
        }
    }
}

impl Fields for ReadNode {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "addr" => take(&mut self.addr, map),
            "port" => take(&mut self.port, map),
            "name" => take(&mut self.name, map),
            "privatedata" => take(&mut self.private_data, map),
            _ => map.next_value::<IgnoredAny>().map(|_| ()),
        }
    }
}

impl Fields for ReadMetadata {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "data" => {
                self.data = map.next_value()?;
                Ok(())
            }
            "update" => take(&mut self.update, map),
            _ => map.next_value::<IgnoredAny>().map(|_| ()),
        }
    }
}

impl Fields for InfectedMarks {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        if map.next_value::<Option<bool>>()? == Some(true) {
            self.0.insert(key.into());
        } else {
            self.0.remove(key);
        }
        Ok(())
    }

    fn fold(key: String) -> String {
        key
    }
}

/// Takes the next value, unless it is `null`.
fn take<'de, T, A>(held: &mut T, map: &mut A) -> Result<(), A::Error>
where
    T: Deserialize<'de>,
    A: MapAccess<'de>,
{
    if let Some(value) = map.next_value()? {
        *held = value;
    }
    Ok(())
}

/// Takes the next object, unless it is `null`. Of two with the same key the last one wins.
fn merge<'de, T: Fields, A: MapAccess<'de>>(held: &mut T, map: &mut A) -> Result<(), A::Error> {
    if let Some(Read(value)) = map.next_value()? {
        *held = value;
    }
    Ok(())
}

/// An object that was read key by key.
struct Read<T>(T);

impl<'de, T: Fields> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ReadVisitor(PhantomData)).map(Self)
    }
}

struct ReadVisitor<T>(PhantomData<T>);

impl<'de, T: Fields> Visitor<'de> for ReadVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut value = T::default();
        while let Some(Text(key)) = map.next_key()? {
            value.field(&T::fold(key), &mut map)?;
        }
        Ok(value)
    }
}

/// A text, in which bad UTF-8 has become U+FFFD byte by byte.
#[derive(Default)]
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As bytes, for as a text what is not UTF-8 would be an error.
        deserializer.deserialize_bytes(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Text, E> {
        let mut text = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
        }
        Ok(Text(text))
    }
}
