//! What one member of the cluster says of itself, and how it is told from others.
//!
//! A node is known by its advertised address. Its name, its private data and its generation are
//! values that may change; they are never part of the key.

mod tags;

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::str::FromStr;

use md5::{Digest, Md5};

use crate::text::{Printable, find_unprintable};
use crate::time::UnixNanos;

pub use self::tags::Tags;

/// Longest name of a node, in bytes of UTF-8.
pub const NAME_LEN_MAX: usize = 128;

/// Longest private data of a node, in bytes of UTF-8.
pub const PRIVATE_DATA_LEN_MAX: usize = 512;

/// Longest name of a zone, in bytes of UTF-8.
pub const ZONE_LEN_MAX: usize = 64;

/// Most tags of a node.
pub const TAGS_MAX: usize = 32;

/// Most bytes of UTF-8 in the keys and values of a node's tags together.
pub const TAGS_LEN_MAX: usize = 512;

/// Most bytes of UTF-8 in all that a node says of itself: name, private data, zone and tags. More
/// would not fit a datagram that every path carries.
pub const TEXTS_LEN_MAX: usize = 832;

/// One member of the cluster: where it is reached and what it says of itself.
///
/// ```
/// # use rumormill::Node;
/// let node = Node::new("10.0.0.5:8000").name("A").private_data("zone=1").build()?;
/// assert_eq!(node.name(), "A");
/// # Ok::<(), rumormill::NodeError>(())
/// ```
///
/// Source: pekonode's `Node{Addr, Port, Name, PrivateData}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    addr: SocketAddr,
    name: Box<str>,
    private_data: Box<str>,
    zone: Box<str>,
    tags: Tags,
}

impl Node {
    /// Begins a node at an advertised address `ip:port`; [`NodeBuilder::build`] checks it.
    ///
    /// The address is what the other nodes will send to. Port 0 asks the system for one and
    /// `0.0.0.0` stands for the address that is bound; both are replaced when the node joins. A
    /// node at an address of loopback listens there alone, unless the settings say otherwise.
    #[expect(clippy::new_ret_no_self, reason = "a node is only had by way of its checks")]
    pub fn new(addr: impl Into<String>) -> NodeBuilder {
        let addr = addr.into();
        let addr = addr.parse().map_err(|_| addr);
        let (name, private_data, zone) = (String::new(), String::new(), String::new());
        NodeBuilder { addr, name, private_data, zone, tags: Vec::new() }
    }

    /// The node at an address already parsed, without anything that it says of itself.
    pub fn at(addr: SocketAddr) -> Self {
        let [name, private_data, zone] = ["", "", ""].map(Into::into);
        Self { addr: canonical(addr), name, private_data, zone, tags: Tags::default() }
    }

    /// The node of parts that came over the network.
    pub(crate) fn of(addr: SocketAddr, name: &str, private_data: &str) -> Result<Self, NodeError> {
        check("name", name, NAME_LEN_MAX)?;
        check("private data", private_data, PRIVATE_DATA_LEN_MAX)?;
        let (name, private_data) = (name.into(), private_data.into());
        Ok(Self { name, private_data, ..Self::at(addr) })
    }

    /// This node in a zone, with tags: what the first version of the wire does not carry.
    pub(crate) fn extended(mut self, zone: &str, tags: Tags) -> Result<Self, NodeError> {
        check("zone", zone, ZONE_LEN_MAX)?;
        (self.zone, self.tags) = (zone.into(), tags);
        let (len, max) = (self.texts_len(), TEXTS_LEN_MAX);
        if len > max {
            return Err(NodeError::TooLong { what: TEXTS, len, max });
        }
        Ok(self)
    }

    /// This node without what the first version of the wire does not carry.
    pub(crate) fn stripped(self) -> Self {
        Self { zone: "".into(), tags: Tags::default(), ..self }
    }

    /// This node with a zone and tags for which it has none of its own.
    ///
    /// # Errors
    /// When all that it says of itself is longer than [`TEXTS_LEN_MAX`] then.
    pub fn or_else(self, zone: &str, tags: &Tags) -> Result<Self, NodeError> {
        let zone = if self.zone.is_empty() { zone.into() } else { self.zone.clone() };
        let tags = if self.tags.is_empty() { tags.clone() } else { self.tags.clone() };
        self.extended(&zone, tags)
    }

    /// Bytes in all that it says of itself.
    pub(crate) fn texts_len(&self) -> usize {
        self.name.len() + self.private_data.len() + self.zone.len() + self.tags.len()
    }

    /// This node at another address.
    pub fn with_addr(&self, addr: SocketAddr) -> Self {
        Self { addr: canonical(addr), ..self.clone() }
    }

    /// The advertised address: the key of the node.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The name, empty when none was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the service attached to the node, opaque to the engine.
    pub fn private_data(&self) -> &str {
        &self.private_data
    }

    /// Where the node is (a rack, an availability zone, a region), empty when that was not said.
    /// Nodes that speak version 1 of the wire alone neither say nor pass it on.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// What else it says of itself, by key. Like the zone it takes version 2 of the wire.
    pub fn tags(&self) -> &Tags {
        &self.tags
    }
}

/// Its address, and behind a space its name if it has one.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            "" => self.addr.fmt(f),
            name => write!(f, "{} {name}", self.addr),
        }
    }
}

/// As it is shown: `10.0.0.5:8000`, or with a name `10.0.0.5:8000 A`.
impl FromStr for Node {
    type Err = NodeError;

    fn from_str(text: &str) -> Result<Self, NodeError> {
        let (addr, name) = text.split_once(' ').unwrap_or((text, ""));
        Self::new(addr).name(name).build()
    }
}

/// A node as typed, before its checks.
#[derive(Clone, Debug)]
pub struct NodeBuilder {
    /// Or what was typed instead of one.
    addr: Result<SocketAddr, String>,
    name: String,
    private_data: String,
    zone: String,
    tags: Vec<(String, String)>,
}

impl NodeBuilder {
    /// Names the node, at most [`NAME_LEN_MAX`] bytes that can be shown (see [`crate::text`]).
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Attaches data of the service's own, at most [`PRIVATE_DATA_LEN_MAX`] bytes of text that
    /// can be shown: bytes of another kind need an encoding, such as hex.
    pub fn private_data(mut self, data: impl Into<String>) -> Self {
        self.private_data = data.into();
        self
    }

    /// Says where the node is, in at most [`ZONE_LEN_MAX`] bytes that can be shown. Empty is
    /// nowhere in particular.
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = zone.into();
        self
    }

    /// Adds a tag, or gives the one with this key another value: at most [`TAGS_MAX`] of them, with
    /// [`TAGS_LEN_MAX`] bytes together that can be shown. A key is not empty and has no `=`.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let (key, value) = (key.into(), value.into());
        self.tags.retain(|(other, _)| *other != key);
        self.tags.push((key, value));
        self
    }

    /// Takes all tags off.
    pub fn no_tags(mut self) -> Self {
        self.tags.clear();
        self
    }

    /// Checks what was typed.
    ///
    /// # Errors
    /// When the address is no `ip:port`, or a text is longer than its limit or has a character
    /// that can't be shown.
    pub fn build(self) -> Result<Node, NodeError> {
        let addr = self.addr.map_err(|addr| NodeError::Address { addr })?;
        let tags = Tags::of(self.tags)?;
        Node::of(addr, &self.name, &self.private_data)?.extended(&self.zone, tags)
    }
}

impl From<Node> for NodeBuilder {
    fn from(node: Node) -> Self {
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        Self {
            addr: Ok(node.addr),
            name: node.name.into(),
            private_data: node.private_data.into(),
            zone: node.zone.into(),
            tags: node.tags.iter().map(owned).collect(),
        }
    }
}

/// The one form of an address under which a node is known everywhere: an IPv4 address is not
/// written as IPv6, and the scope of an IPv6 address, which means something on one host only, is
/// left out.
fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// All texts together, as errors call them.
const TEXTS: &str = "name, private data, zone and tags";

fn check(what: &'static str, text: &str, max: usize) -> Result<(), NodeError> {
    let len = text.len();
    if len > max {
        return Err(NodeError::TooLong { what, len, max });
    }
    check_printable(what, text)
}

fn check_printable(what: &'static str, text: &str) -> Result<(), NodeError> {
    match find_unprintable(text) {
        None => Ok(()),
        Some((at, char)) => Err(NodeError::Unprintable { what, text: text.to_owned(), at, char }),
    }
}

/// Why something typed is no node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The address does not parse.
    #[error(
        "`{}` is no node address: write IP:PORT, such as 10.0.0.5:8000 or [fd00::5]:8000",
        Printable(addr)
    )]
    Address {
        /// What was given.
        addr: String,
    },
    /// A text exceeds its limit.
    #[error("the {what} of a node has {len} bytes, the limit is {max}: shorten it")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// A text has a character that would write on the terminal of whoever reads it.
    #[error(
        "the {what} of a node has U+{:04X} at byte {at} of `{}`, not to be shown: leave it out",
        u32::from(*char),
        Printable(text)
    )]
    Unprintable {
        /// Which text.
        what: &'static str,
        /// The text itself, as it was given.
        text: String,
        /// Where it has the character, in bytes.
        at: usize,
        /// The first such character.
        char: char,
    },
    /// There are more tags than a node may have.
    #[error("the node has {count} tags, the limit is {TAGS_MAX}: leave some out")]
    TooManyTags {
        /// How many there are.
        count: usize,
    },
    /// What is before the `=` of a tag is no key.
    #[error(
        "`{}` is no key of a tag: write KEY=VALUE, each key once, not empty and without `=`",
        Printable(key)
    )]
    TagKey {
        /// What was given.
        key: String,
    },
}

/// A node's place on the ring, which is also its identity in versions: the first 8 bytes of
/// MD5("ip:port").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

impl NodeId {
    /// The place of an address.
    pub fn of(addr: SocketAddr) -> Self {
        Self::of_text(&AddrText::of(addr))
    }

    /// The same, given the text of the address.
    pub(crate) fn of_text(addr: &AddrText) -> Self {
        let hash: [u8; 16] = Md5::digest(addr.as_bytes()).into();
        let [a, b, c, d, e, f, g, h, ..] = hash;
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    /// The bucket that it lies in when the ring is cut into `2^bits`.
    pub(crate) fn bucket(self, bits: u32) -> usize {
        self.0.checked_shr(64 - bits).unwrap_or(0) as usize
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// As it is shown: 16 hexadecimal digits.
impl FromStr for NodeId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let place = u64::from_str_radix(text, 16).ok().filter(|_| is_hex).map(Self);
        let told = Printable(text);
        place.ok_or_else(|| format!("`{told}` is no id of a node: write 16 hexadecimal digits"))
    }
}

/// An address as it is written, of which hashes are taken. Made for each record that arrives, so
/// that it takes no memory of its own and, for IPv4, none of the machinery of formats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AddrText {
    bytes: [u8; Self::LEN_MAX],
    len: usize,
}

impl AddrText {
    /// `[`, eight groups of four digits, `%` and the number of a scope, `]:65535`.
    const LEN_MAX: usize = 1 + 39 + 11 + 7;

    pub(crate) fn of(addr: SocketAddr) -> Self {
        let mut text = Self { bytes: [0; Self::LEN_MAX], len: 0 };
        match addr {
            SocketAddr::V4(addr) => {
                for (octet, end) in addr.ip().octets().into_iter().zip(*b"...:") {
                    text.push_number(octet.into());
                    text.push(end);
                }
                text.push_number(addr.port());
            }
            SocketAddr::V6(addr) => write!(text, "{addr}").expect("there is room for the longest"),
        }
        text
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn push_number(&mut self, number: u16) {
        if number >= 10 {
            self.push_number(number / 10);
        }
        self.push(b'0' + (number % 10) as u8);
    }
}

impl fmt::Write for AddrText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let rest = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(fmt::Error)?;
        rest.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

/// The number of a node's incarnation: a restart has a higher one.
///
/// It begins at the wall clock's nanoseconds when the node starts; a change of name or private
/// data is an incarnation as well. Generations of different addresses are never compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u64);

impl Generation {
    /// The smallest: that of a node whose clock says nothing.
    pub const MIN: Self = Self(1);

    /// The largest that is ever accepted (2^62, the year 2116).
    pub const MAX: Self = Self(1 << 62);

    /// The largest that a clock gives, or that a node takes because of what others say. The four
    /// billion above are for changes of its own, so that nobody else can use them up.
    pub const CLOCK_MAX: Self = Self(Self::MAX.0 - (1 << 32));

    /// A generation as found in a packet or a test; `None` outside of [`Generation::MIN`] to
    /// [`Generation::MAX`].
    pub const fn new(value: u64) -> Option<Self> {
        if Self::MIN.0 <= value && value <= Self::MAX.0 { Some(Self(value)) } else { None }
    }

    /// The generation of a node that starts at wall time `wall` and last ran as `last`. Where
    /// there is no higher one, that of the clock once more: the others ask such a node at its
    /// address before they believe it.
    pub fn start(last: Option<Self>, wall: UnixNanos) -> Self {
        last.and_then(|last| last.after(wall)).unwrap_or_else(|| Self::of_clock(wall))
    }

    /// The next generation of a node whose clock shows `wall`; `None` when there is no higher one.
    pub fn after(self, wall: UnixNanos) -> Option<Self> {
        Self::new(self.0 + 1).map(|next| next.max(Self::of_clock(wall)))
    }

    /// What a clock shows. One that shows a time before 1970 or after 2116 says nothing.
    fn of_clock(wall: UnixNanos) -> Self {
        let shown = u64::try_from(wall.0).ok().and_then(Self::new);
        shown.filter(|&shown| shown <= Self::CLOCK_MAX).unwrap_or(Self::MIN)
    }

    /// The plain number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Default for Generation {
    fn default() -> Self {
        Self::MIN
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixNanos;

    #[test]
    fn an_address_without_port_is_refused_with_the_fix() {
        let error = Node::new("10.0.0.5").build().unwrap_err().to_string();
        assert!(error.contains("`10.0.0.5`") && error.contains("IP:PORT"), "{error}");
    }

    #[test]
    fn the_text_of_an_address_is_that_which_is_shown() {
        let longest = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535";
        assert_eq!(longest.len(), AddrText::LEN_MAX);
        let others =
            ["0.0.0.0:0", "10.9.100.255:65535", "127.0.0.1:8080", "[::1]:7", "[fe80::1]:80"];
        for text in others.into_iter().chain([longest]) {
            let addr: SocketAddr = text.parse().unwrap();
            assert_eq!(AddrText::of(addr).as_bytes(), addr.to_string().as_bytes());
        }
    }

    #[test]
    fn an_address_has_one_form() {
        let addr = |text: &str| Node::new(text).build().unwrap().addr().to_string();
        assert_eq!(addr("[::ffff:10.0.0.5]:80"), "10.0.0.5:80");
        assert_eq!(addr("[fe80::1%3]:80"), "[fe80::1]:80");
    }

    #[test]
    fn texts_have_limits() {
        let at = || Node::new("127.0.0.1:1");
        assert!(at().name("n".repeat(NAME_LEN_MAX)).build().is_ok());
        let error = at().name("n".repeat(NAME_LEN_MAX + 1)).build().unwrap_err();
        assert_eq!(error, NodeError::TooLong { what: "name", len: 129, max: 128 });
        assert!(at().private_data("n".repeat(PRIVATE_DATA_LEN_MAX + 1)).build().is_err());
    }

    #[test]
    fn a_text_that_would_write_on_a_terminal_is_refused_and_told_without_doing_so() {
        let at = || Node::new("127.0.0.1:1");
        for char in ['\u{1b}', '\n', '\r', '\u{7}', '\u{7f}', '\u{9b}', '\u{2028}', '\u{202e}'] {
            let text = format!("zone=1{char}[2J");
            for (what, node) in
                [("name", at().name(&text)), ("private data", at().private_data(&text))]
            {
                let error = node.build().unwrap_err();
                let told = error.to_string();
                let place = format!("U+{:04X} at byte 6 of `zone=1\\", u32::from(char));
                assert!(told.starts_with(&format!("the {what} of a node has {place}")), "{told}");
                assert!(told.ends_with("leave it out"), "{told}");
                assert_eq!(find_unprintable(&told), None);
            }
        }
        assert!(at().name("中文 \u{200d}").build().is_ok());
        let told = Node::new("a\u{1b}[2J").build().unwrap_err().to_string();
        assert_eq!(find_unprintable(&told), None, "{told:?}");
    }

    #[test]
    fn the_place_on_the_ring_is_the_md5_of_the_address() {
        // printf 127.0.0.1:8000 | md5sum
        let place = NodeId::of("127.0.0.1:8000".parse().unwrap());
        assert_eq!(place.to_string(), "4d5831c3de6feb69");
    }

    #[test]
    fn a_node_and_its_id_are_read_as_they_are_shown() {
        for text in ["10.0.0.5:8000", "10.0.0.5:8000 A", "[fd00::5]:8000 web 1"] {
            let node: Node = text.parse().unwrap();
            assert_eq!(node.to_string(), text);
        }
        assert_eq!("10.0.0.5:8000 web 1".parse::<Node>().unwrap().name(), "web 1");
        assert!("A 10.0.0.5:8000".parse::<Node>().unwrap_err().to_string().contains("IP:PORT"));
        let id = NodeId(0x4d58);
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["4d58", "+000000000004d58", "00000000000000000", "\u{1b}"] {
            let told = text.parse::<NodeId>().unwrap_err();
            assert!(told.contains("16 hexadecimal digits"), "{told}");
            assert_eq!(find_unprintable(&told), None);
        }
    }

    fn generation(value: u64) -> Generation {
        Generation::new(value).unwrap()
    }

    #[test]
    fn a_restart_with_a_clock_set_back_has_a_higher_generation() {
        let first = Generation::start(None, UnixNanos(1_000));
        assert_eq!(first.get(), 1_000);
        assert_eq!(Generation::start(Some(first), UnixNanos(10)).get(), 1_001);
        assert_eq!(Generation::start(Some(first), UnixNanos(5_000)).get(), 5_000);
    }

    #[test]
    fn a_clock_that_shows_no_time_of_this_age_says_nothing() {
        let century = 100 * 365 * 24 * 3_600 * 1_000_000_000;
        let beyond = UnixNanos(1_700_000_000_000_000_000 + century);
        for wall in [UnixNanos(i64::MIN), UnixNanos(-5), UnixNanos(0), beyond, UnixNanos(i64::MAX)]
        {
            assert_eq!(Generation::start(None, wall), Generation::MIN);
            assert_eq!(generation(7).after(wall), Some(generation(8)));
        }
    }

    #[test]
    fn a_generation_is_a_number_from_1_to_its_maximum() {
        let max = Generation::MAX.get();
        assert_eq!([0, max + 1, u64::MAX].map(Generation::new), [None; 3]);
        assert_eq!([1, max].map(|it| generation(it).get()), [1, max]);
    }

    #[test]
    fn above_the_largest_generation_there_is_none_and_a_start_begins_anew() {
        let wall = UnixNanos(1_000);
        assert_eq!(generation(Generation::MAX.get() - 1).after(wall), Some(Generation::MAX));
        assert_eq!(Generation::MAX.after(wall), None);
        assert_eq!(Generation::start(Some(Generation::MAX), wall).get(), 1_000);
    }
}
