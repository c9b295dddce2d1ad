//! The settings of a node: parsed once, and then they cannot be invalid.
//!
//! [`Config`] has private fields, so that one in hand has passed every check. It comes from
//! [`Config::builder`], or from any serde format with the keys of the table below; an unknown key
//! is an error that names the nearest valid one. Written in such a format it has all of its
//! settings but the secret.
//!
//! | key | type | default | meaning |
//! |---|---|---|---|
//! | `fan_out` | number | 3 | how many nodes one node tells (pekonode: `Amount`) |
//! | `cycle` | duration | 1 s | period of probes, beats and swaps (pekonode: `Cycle`, 6 s) |
//! | `timeout` | duration | 3 cycles + 2 s | silence after which a node is removed (`Timeout`) |
//! | `buffer` | number | 1024 | packets that wait for the engine (`Buffer`, `Amount` * 3) |
//! | `size` | size | 1200 | bytes of one datagram (pekonode: `Size`, 16384, as with its `wire`) |
//! | `secret_key` | text | none | seals packets (pekonode's `SecretKey`, shown by MD5 there) |
//! | `secret_key_file` | path | none | a file that holds the secret, and is read once |
//! | `listen_addr` | IP or IP:PORT | see below | where the socket is bound (`ListenAddr`) |
//! | `advertise` | text | see below | IP, IP:PORT, interface or network that others reach us by |
//! | `print` | bool | false | pekonode's console lines on stderr (`IsPrint`) |
//! | `protocol` | text | `udp` | `udp`, with TCP beyond `size`, or `tcp` (pekonode's `Protocol`) |
//! | `liveness` | text | `auto` | `auto`, `beats`, `probes`, or `off`: see [`Liveness`] |
//! | `isolation` | text | `keep` | the list of whom nobody answers: `keep` or `judge` |
//! | `swap` | text | `on` | `on` or `off` (for measurements) |
//! | `relay_delay` | duration | cycle / 3 | least time between two bulk relays |
//! | `redial` | duration | 10 s | period in which seeds and removed members are tried again |
//! | `redial_for` | duration | 1 d | how long a removed member is tried; seeds are for ever |
//! | `ack_timeout` | duration | measured | fixed wait for an answer, instead of round trips |
//! | `seeds` | texts | none | addresses or host names of nodes already in the cluster |
//! | `metadata_len_max` | size | 1 MiB | largest metadata value |
//! | `entry_len_max` | size | 1 MiB | largest value of an entry |
//! | `entries_max` | number | 100000 | most entries that are held |
//! | `entries_bytes_max` | size | 256 MiB | most bytes of all keys and values |
//! | `tombstone_ttl` | duration | 1 d | how long it is remembered that an entry was deleted |
//! | `state_dir` | path | none | folder of what outlasts a restart: see [`state`](crate::state) |
//! | `state_flush` | duration | 1 s | period in which it is written there |
//! | `members_max` | number | 65536 | most members that are listed |
//! | `clock_skew_max` | duration | 60 s | how far clocks may differ, how late a packet may be |
//! | `cluster` | text | empty | packets of another cluster are dropped and counted |
//! | `wire` | text | `native` | `native`, or `pekonode` to be one of a cluster of Go nodes |
//! | `wire_max` | number | 2 | highest version of the native packets; 1 holds an upgrade back |
//! | `zone` | text | empty | where the node is, unless the node itself says it |
//! | `tags` | texts | none | `KEY=VALUE` each: what else it says, unless the node has tags itself |
//!
//! Nodes of one cluster may have different `size`s, as where some are on jumbo frames. A larger one
//! is for values, up to which a rumor brings them at once: a value whose datagram does not get to a
//! peer goes there by stream ([`crate::Event::PathNarrow`]). All else is cut at 1,200 bytes, which
//! every path carries, for nobody would miss it.
//!
//! # Where a node listens
//! Without a `listen_addr` a node with an address of loopback, such as `127.0.0.1` or `[::1]`,
//! listens there, so that nobody reaches it from outside; nor does it reach anybody there. Every
//! other node listens on all addresses of the machine: `0.0.0.0`, or `[::]`, which takes IPv4 as
//! well, where its own address is IPv6. (pekonode listens on all, whatever the address.)
//!
//! # What a node advertises
//! The others reach a node by its address. Where that has an IP it is advertised as it stands;
//! `advertise` replaces it: by an IP, with or without a port, or by the address that this machine
//! has on an interface (`"eth1"`) or in a network (`"10.0.0.0/8"`). Without either it is the
//! address on the way to what the seeds resolve to, else to the outside, else that of the first
//! interface that has one, and only where there is none loopback. All of this is decided when the
//! node joins. Later in each `redial` period it is looked whether it still holds, and a change is
//! told as [`Notice::AddressChanged`]: leave and join to advertise the new one.
//!
//! [`Notice::AddressChanged`]: crate::Notice::AddressChanged
//!
//! A node that advertises loopback asks no seed elsewhere, where its address would be another's.
//!
//! # How long a removed member is tried again
//! Seeds are tried for ever, every `redial`, by what their names stand for then: a partition of any
//! length heals where a seed of one side lies on the other. Members that were removed by timeout
//! are tried for `redial_for` only, for addresses are given to others, and a dial of a node of
//! another cluster with the same `cluster` and secret makes one cluster of two. A day outlasts
//! nearly every partition. Set it below the time after which your addresses are given out again,
//! or give each cluster a `cluster` of its own, which is what keeps them apart for good.
//!
//! # Who finds out who is dead
//! With `auto`, the default, each node probes one other a cycle: itself three times, then through
//! others, and it suspects whoever stays silent, tells it so and removes it if it does not object.
//! With `beats` each raises a counter once a cycle that all hear of. Cycle 1 s, timeout 5 s, delays
//! of 1 to 10 ms, bytes that an idle node sends in a second, with headers
//! (`scenarios/limits/probes-idle.toml`):
//!
//! | nodes | 10 | 50 | 100 | 200 | 500 | 1,000 | 2,000 |
//! |---|---|---|---|---|---|---|---|
//! | `auto` | 159 | 161 | 161 | 163 | 165 | 165 | 166 |
//! | `beats` | 837 | 1,708 | 2,802 | 4,980 | 11,822 | 24,164 | 49,652 |
//!
//! Time until all have removed one that crashed, median and 95 of 100
//! (`scenarios/limits/probes-crash.toml`, 40 seeds, ten at 1,000 nodes); nobody else was removed:
//!
//! | nodes | 10 | 50 | 200 | 1,000 |
//! |---|---|---|---|---|
//! | `auto`, no loss | 3.8, 5.4 s | 3.8, 5.9 s | 3.7, 5.1 s | 3.9, 5.6 s |
//! | `auto`, 20 % loss | 3.8, 5.2 s | 4.0, 7.1 s | 4.0, 6.8 s | 4.1, 7.0 s |
//! | `beats`, no loss | 4.2, 4.8 s | 4.5, 4.9 s | 4.4, 4.8 s | 4.2, 4.9 s |
//! | `beats`, 20 % loss | 4.2, 4.7 s | 4.4, 4.8 s | 4.5, 4.8 s | 4.7, 5.1 s |
//!
//! In an hour of 50 and of 200 nodes nobody was removed falsely at 10, 20 or 30 % of loss. Choose
//! `beats` where the latest crash counts more than the usual one and the traffic; where packets
//! take longer than a cycle, for then nobody answers in time and all are slow
//! (`scenarios/late-packets.toml`); and for a cluster that runs with them already. Nodes with
//! `auto` beat too as long as they know a member that goes by beats: a cluster changes from one to
//! the other node by node, and nobody is removed for it. `probes` is `auto` that never beats. On
//! the wire of pekonode the default is `beats`.
//!
//! Nodes that probe hold back who was taken for dead several times within ten minutes; with beats
//! it is listed again by its next beat.
//!
//! # Whom nobody answers
//! A node that nobody has answered for one `timeout`, though it lists others, tells
//! [`Event::Isolated`](crate::core::Event::Isolated). It may be the only one that lives, or the
//! only one that is cut off, and can't know which. By default (`isolation = "keep"`) its list stays
//! as it was until somebody answers: services that look others up go on with what they know, of
//! which most is still true, where an empty list would stop them all. With `judge` it takes all the
//! others for dead after their time; choose that where acting on a dead member does more harm than
//! acting alone. Half a cluster that has lost the other half is not isolated.

mod advertise;
mod builder;
mod choices;
mod formats;
mod secret;
mod setting;

use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::node::{NAME_LEN_MAX, PRIVATE_DATA_LEN_MAX, Tags};

pub use advertise::Advertise;
pub use builder::{ConfigBuilder, ConfigError};
pub use choices::{Isolation, Liveness, Swap, TransportKind, Wire};
pub use secret::SecretKey;
pub use setting::Setting;

pub use crate::wire_version::WireVersion;

/// The settings of one node; the [module](crate::config) lists keys and defaults.
///
/// ```
/// use std::time::Duration;
/// use rumormill::Config;
///
/// let config = Config::builder().fan_out(4).cycle(Duration::from_millis(250)).build()?;
/// assert_eq!(config.timeout(), Duration::from_millis(2750)); // 3 cycles + 2 s
/// # Ok::<(), rumormill::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    fan_out: NonZeroU16,
    cycle: Duration,
    timeout: Duration,
    buffer: NonZeroUsize,
    size: usize,
    secret_key: Option<SecretKey>,
    secret_key_file: Option<PathBuf>,
    listen_addr: Option<SocketAddr>,
    advertise: Option<Advertise>,
    print: bool,
    protocol: TransportKind,
    liveness: Liveness,
    isolation: Isolation,
    swap: Swap,
    relay_delay: Duration,
    redial: Duration,
    redial_for: Duration,
    ack_timeout: Option<Duration>,
    seeds: Vec<String>,
    metadata_len_max: usize,
    entry_len_max: usize,
    entries_max: usize,
    entries_bytes_max: usize,
    tombstone_ttl: Duration,
    state_dir: Option<PathBuf>,
    state_flush: Duration,
    members_max: usize,
    clock_skew_max: Duration,
    cluster: String,
    wire: Wire,
    wire_max: WireVersion,
    zone: String,
    tags: Tags,
}

impl Config {
    /// Length of the checksum of a datagram, in bytes.
    pub const CHECKSUM_LEN: usize = 4;

    /// Bytes of UDP payload that every path carries: IPv6 promises packets of 1,280, and tunnels
    /// take their part of them.
    pub const PATH_SIZE: usize = 1_200;

    /// Length of what seals a datagram, in bytes: a header of 44 and a tag of 16.
    pub const SEAL_LEN: usize = 60;

    /// Begins with the defaults.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }

    /// How many nodes one node tells.
    pub fn fan_out(&self) -> usize {
        usize::from(self.fan_out.get())
    }

    /// Period of probes, or beats, and of swaps: where nodes probe each tenth of them.
    pub fn cycle(&self) -> Duration {
        self.cycle
    }

    /// Silence after which a node is removed.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// With probes: how long a member that answers nobody is suspected before it
    /// is removed, when a single one found it silent. To find that out takes about a cycle and a
    /// half, so that the removal comes after about the timeout.
    pub fn suspicion_max(&self) -> Duration {
        self.timeout - self.cycle * 3 / 2
    }

    /// The same when several found it silent: half a cycle less, but not less than half of it.
    pub fn suspicion_min(&self) -> Duration {
        let longest = self.suspicion_max();
        longest.saturating_sub(self.cycle / 2).max(longest / 2)
    }

    /// The shortest silence after which a member is removed: with probes half of the longest
    /// suspicion, when others have removed it already and it does not answer us either.
    pub fn silence_min(&self) -> Duration {
        match self.liveness {
            Liveness::Beats | Liveness::Off => self.timeout,
            Liveness::Probes | Liveness::Auto => self.suspicion_max() / 2,
        }
    }

    /// Packets that may wait between the socket and the engine.
    pub fn buffer(&self) -> usize {
        self.buffer.get()
    }

    /// Largest datagram, in bytes of UDP payload; what guards a packet is included.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Bytes of a datagram that guard the packet in it: a checksum, or with a secret a seal.
    pub fn guard_len(&self) -> usize {
        if self.secret_key.is_some() { Self::SEAL_LEN } else { Self::CHECKSUM_LEN }
    }

    /// Largest encoded packet that a datagram holds, in bytes: `size` less what guards it.
    pub fn packet_len_max(&self) -> usize {
        self.size - self.guard_len()
    }

    /// `size` as far as every path carries it.
    pub fn path_size(&self) -> usize {
        self.size.min(Self::PATH_SIZE)
    }

    /// Largest encoded packet in a datagram that arrives whatever the path, in bytes.
    pub fn path_len_max(&self) -> usize {
        self.path_size() - self.guard_len()
    }

    /// Most bytes in a segment of a stream, which crosses the same paths: a TCP and an IP header
    /// take 40 bytes.
    pub fn segment_len_max(&self) -> usize {
        self.path_size() - 40
    }

    /// The secret that packets are sealed with, if any.
    pub fn secret_key(&self) -> Option<&SecretKey> {
        self.secret_key.as_ref()
    }

    /// The file that the secret was read from, if it was.
    pub fn secret_key_file(&self) -> Option<&Path> {
        self.secret_key_file.as_deref()
    }

    /// Where the socket is bound, if not as the node's address asks for; port 0 means the port of
    /// that address. See [the module](crate::config).
    pub fn listen_addr(&self) -> Option<SocketAddr> {
        self.listen_addr
    }

    /// By which address the others are to reach the node, if not by the one that it names. See
    /// [the module](crate::config).
    pub fn advertise(&self) -> Option<&Advertise> {
        self.advertise.as_ref()
    }

    /// The same settings with another place to listen at.
    #[must_use]
    pub fn with_listen_addr(&self, listen_addr: SocketAddr) -> Self {
        Self { listen_addr: Some(listen_addr), ..self.clone() }
    }

    /// The same settings with another highest version of the packets.
    #[must_use]
    pub fn with_wire_max(&self, wire_max: WireVersion) -> Self {
        Self { wire_max, ..self.clone() }
    }

    /// Whether the console lines of pekonode are printed.
    pub fn print(&self) -> bool {
        self.print
    }

    /// How packets travel.
    pub fn protocol(&self) -> TransportKind {
        self.protocol
    }

    /// How silence is detected.
    pub fn liveness(&self) -> Liveness {
        self.liveness
    }

    /// What becomes of the list of a node that nobody answers.
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Whether differences are repaired.
    pub fn swap(&self) -> Swap {
        self.swap
    }

    /// Least time between two bulk relays.
    pub fn relay_delay(&self) -> Duration {
        self.relay_delay
    }

    /// Period of the attempts to reach seeds and removed members again.
    pub fn redial(&self) -> Duration {
        self.redial
    }

    /// How long a member that was removed by timeout is tried again.
    pub fn redial_for(&self) -> Duration {
        self.redial_for
    }

    /// The fixed wait for an answer, if round trips are not to decide.
    pub fn ack_timeout(&self) -> Option<Duration> {
        self.ack_timeout
    }

    /// Addresses or host names of nodes already in the cluster.
    pub fn seeds(&self) -> &[String] {
        &self.seeds
    }

    /// Largest metadata value in bytes.
    pub fn metadata_len_max(&self) -> usize {
        self.metadata_len_max
    }

    /// Longest value that is taken from a stream, in bytes: a metadata value or that of an entry.
    pub fn transfer_len_max(&self) -> usize {
        self.metadata_len_max.max(self.entry_len_max)
    }

    /// Largest value of an entry in bytes.
    pub fn entry_len_max(&self) -> usize {
        self.entry_len_max
    }

    /// Most entries that are held.
    pub fn entries_max(&self) -> usize {
        self.entries_max
    }

    /// Most bytes of all keys and values together.
    pub fn entries_bytes_max(&self) -> usize {
        self.entries_bytes_max
    }

    /// How long it is remembered that an entry was deleted. Who was away for longer, and still has
    /// it, is told so by whoever held it once; a value that nobody who deleted it had seen lives.
    pub fn tombstone_ttl(&self) -> Duration {
        self.tombstone_ttl
    }

    /// The folder that what is to outlast a restart is kept in, if there is one.
    pub fn state_dir(&self) -> Option<&Path> {
        self.state_dir.as_deref()
    }

    /// Period in which it is written there.
    pub fn state_flush(&self) -> Duration {
        self.state_flush
    }

    /// Most bytes that this node may publish: the same, and on the wire of pekonode what a packet
    /// of `size` bytes is sure to have room for. Base64 takes four bytes for three there, and the
    /// longest name and private data are beside it.
    pub fn value_len_max(&self) -> usize {
        /// A node's name and private data with each byte escaped, its address and the keys.
        const REST: usize = 6 * (NAME_LEN_MAX + PRIVATE_DATA_LEN_MAX) + 400;
        match self.wire {
            Wire::Native => self.metadata_len_max,
            Wire::Pekonode => self.metadata_len_max.min(self.size().saturating_sub(REST) / 4 * 3),
        }
    }

    /// Most members that are listed.
    pub fn members_max(&self) -> usize {
        self.members_max
    }

    /// How far clocks may differ. A node whose clock is further from those of the others publishes
    /// at their time; a version further ahead of it is told ([`Event::VersionAhead`]) and held like
    /// any other, unless it comes from a stranger. With a secret also how far from our time a
    /// packet may have been sent, though ten seconds at least; who differs more is told what time
    /// it is.
    ///
    /// [`Event::VersionAhead`]: crate::Event::VersionAhead
    pub fn clock_skew_max(&self) -> Duration {
        self.clock_skew_max
    }

    /// The cluster's name.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// What the packets look like.
    pub fn wire(&self) -> Wire {
        self.wire
    }

    /// The highest version of the native packets that the node speaks: it neither writes nor reads
    /// newer ones, like a build that does not know them.
    pub fn wire_max(&self) -> WireVersion {
        self.wire_max
    }

    /// Where the node is, unless the node itself says it.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// What else it says of itself, unless the node itself has tags.
    pub fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::builder().build().expect("the defaults are valid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(key: &str, value: &Setting) -> Result<Config, ConfigError> {
        let mut builder = Config::builder();
        builder.set(key, value)?;
        builder.build()
    }

    fn text(text: &str) -> Setting {
        Setting::Text(text.into())
    }

    #[test]
    fn the_defaults_are_those_of_the_table() {
        let config = Config::default();
        assert_eq!((config.fan_out(), config.size(), config.buffer()), (3, 1200, 1024));
        assert_eq!(config.cycle(), Duration::from_secs(1));
        assert_eq!(config.timeout(), Duration::from_secs(5));
        assert_eq!(config.redial(), Duration::from_secs(10));
        assert_eq!(config.redial_for(), Duration::from_secs(86_400));
        assert_eq!(config.advertise(), None);
        assert_eq!(config.listen_addr(), None);
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = set("fanout", &Setting::Integer(3)).unwrap_err();
        assert_eq!(error.to_string(), "unknown key `fanout`, did you mean `fan_out`?");
    }

    #[test]
    fn impossible_settings_are_refused_with_their_key() {
        for (key, value) in [
            ("fan_out", Setting::Integer(0)),
            ("fan_out", Setting::Integer(-1)),
            ("fan_out", Setting::Integer(70_000)),
            ("cycle", text("0s")),
            ("cycle", Setting::Integer(1)),
            ("timeout", text("2s")),
            ("timeout", text("101s")),
            ("relay_delay", text("2s")),
            ("buffer", Setting::Integer(0)),
            ("size", Setting::Integer(10)),
            ("size", text("1MiB")),
            ("protocol", text("tpc")),
            ("liveness", text("beat")),
            ("members_max", Setting::Integer(1)),
            ("listen_addr", text("localhost")),
            ("advertise", text("10.0.0.0/33")),
            ("redial_for", text("366d")),
            ("secret_key", text("")),
            ("secret_key", Setting::Integer(12_345)),
            ("secret_key_file", text("/nowhere/secret")),
            ("secret_key_file", Setting::Flag(true)),
        ] {
            assert_eq!(set(key, &value).unwrap_err().key(), key);
        }
    }

    #[test]
    fn toml_reads_the_same_keys() {
        let config: Config =
            toml::from_str("fan_out = 5\ncycle = \"200ms\"\nsize = \"8KiB\"").unwrap();
        assert_eq!((config.fan_out(), config.size()), (5, 8192));
        let error = toml::from_str::<Config>("cycel = \"1s\"").unwrap_err().to_string();
        assert!(error.contains("did you mean `cycle`"), "{error}");
    }

    #[test]
    fn all_addresses_are_listened_on_when_the_settings_say_so_and_not_by_default() {
        for (typed, addr) in [("0.0.0.0", "0.0.0.0:0"), ("[::]:7001", "[::]:7001")] {
            let config: Config = toml::from_str(&format!("listen_addr = \"{typed}\"")).unwrap();
            assert_eq!(config.listen_addr(), Some(addr.parse().unwrap()));
            assert_eq!(config, Config::default().with_listen_addr(addr.parse().unwrap()));
            assert_ne!(config, Config::default());
        }
    }

    #[test]
    fn what_guards_a_datagram_leaves_less_room_for_the_packet() {
        let plain = Config::default();
        assert_eq!((plain.guard_len(), plain.packet_len_max()), (4, 1_196));
        let sealed = set("secret_key", &text("hush")).unwrap();
        assert_eq!((sealed.guard_len(), sealed.packet_len_max()), (60, 1_140));
        assert_eq!(sealed.secret_key(), Some(&"hush".into()));
        assert_eq!(sealed.size(), plain.size());
    }

    #[test]
    fn the_secret_is_shown_nowhere() {
        let builder = Config::builder().secret_key("hush-hush");
        let config: Config = toml::from_str("secret_key = \"hush-hush\"").unwrap();
        assert_eq!(builder.clone().build().unwrap(), config);
        for shown in [format!("{builder:?}"), format!("{config:?}"), format!("{config:#?}")] {
            assert!(shown.contains("SecretKey(..)") && !shown.contains("hush"), "{shown}");
        }
    }

    #[test]
    fn the_wire_of_pekonode_has_the_size_of_pekonode() {
        let config = set("wire", &text("pekonode")).unwrap();
        assert_eq!((config.wire(), config.size()), (Wire::Pekonode, 16_384));
        let builder = Config::builder().wire(Wire::Pekonode);
        assert_eq!(builder.clone().size(9_000).build().unwrap().size(), 9_000);
        assert_eq!(builder.clone().size(4_000).build().unwrap_err().key(), "size");
        let error = builder.cluster("east").build().unwrap_err().to_string();
        assert!(error.contains("`cluster`") && error.contains("pekonode"), "{error}");
        let error = set("wire", &text("peko")).unwrap_err();
        assert_eq!(error.key(), "wire");
    }

    #[test]
    fn no_name_and_no_error_of_a_setting_writes_on_a_terminal() {
        let told = [
            set("cluster", &text("east\u{1b}[2J")).unwrap_err(),
            set("cluster", &text("east\nwest")).unwrap_err(),
            set("seeds", &text("10.0.0.9\u{9b}:8000")).unwrap_err(),
            set("cycle", &text("1s\u{1b}[2J")).unwrap_err(),
            set("listen_addr", &text("\u{202e}")).unwrap_err(),
            set("cl\u{1b}uster", &text("east")).unwrap_err(),
        ];
        for error in told.map(|error| error.to_string()) {
            assert_eq!(crate::text::find_unprintable(&error), None, "{error:?}");
        }
        let error = set("cluster", &text("east\u{1b}[2J")).unwrap_err().to_string();
        assert!(error.contains("U+001B at byte 4 of `east\\u{1b}[2J`"), "{error}");
    }

    #[test]
    fn a_long_cycle_keeps_the_default_timeout_possible() {
        let builder = Config::builder().cycle(Duration::from_millis(10));
        assert_eq!(builder.build().unwrap().timeout(), Duration::from_secs(1));
    }
}
