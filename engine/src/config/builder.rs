//! Settings on their way to a configuration: taken one by one, then checked together.

use std::iter;
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use super::advertise::Advertise;
use super::secret::SecretFile;
use super::setting::{
    Setting, choice, duration, flag, listen_addr, number, size, tags, text, texts, wire_max,
};
use super::{Config, Isolation, Liveness, SecretKey, Swap, TransportKind, Wire, WireVersion};
use crate::node::{Node, Tags};
use crate::text::{Printable, find_unprintable};
use crate::units::{nearest, show_duration};

/// Settings on their way to a [`Config`].
#[derive(Clone, Debug)]
pub struct ConfigBuilder {
    fan_out: u16,
    cycle: Duration,
    timeout: Option<Duration>,
    buffer: usize,
    size: Option<usize>,
    secret_key: Option<SecretKey>,
    secret_key_file: Option<SecretFile>,
    listen_addr: Option<SocketAddr>,
    advertise: Option<Advertise>,
    print: bool,
    protocol: TransportKind,
    liveness: Option<Liveness>,
    isolation: Isolation,
    swap: Swap,
    relay_delay: Option<Duration>,
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

impl Default for ConfigBuilder {
    fn default() -> Self {
        Self {
            fan_out: 3,
            cycle: Duration::from_secs(1),
            timeout: None,
            buffer: 1024,
            size: None,
            secret_key: None,
            secret_key_file: None,
            listen_addr: None,
            advertise: None,
            print: false,
            protocol: TransportKind::Udp,
            liveness: None,
            isolation: Isolation::Keep,
            swap: Swap::On,
            relay_delay: None,
            redial: Duration::from_secs(10),
            redial_for: Duration::from_secs(86_400),
            ack_timeout: None,
            seeds: Vec::new(),
            metadata_len_max: 1 << 20,
            entry_len_max: 1 << 20,
            entries_max: 100_000,
            entries_bytes_max: 256 << 20,
            tombstone_ttl: Duration::from_secs(86_400),
            state_dir: None,
            state_flush: Duration::from_secs(1),
            members_max: 65_536,
            clock_skew_max: Duration::from_secs(60),
            cluster: String::new(),
            wire: Wire::Native,
            wire_max: WireVersion::LATEST,
            zone: String::new(),
            tags: Tags::default(),
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $field:ident: $kind:ty => $store:expr;)*) => {
        $($(#[$doc])* #[must_use] pub fn $field(mut self, value: $kind) -> Self {
            self.$field = $store(value);
            self
        })*
    };
}

impl ConfigBuilder {
    /// Every key, in the order of the module's table.
    pub const KEYS: [&'static str; 33] = [
        "fan_out",
        "cycle",
        "timeout",
        "buffer",
        "size",
        "secret_key",
        "secret_key_file",
        "listen_addr",
        "advertise",
        "print",
        "protocol",
        "liveness",
        "isolation",
        "swap",
        "relay_delay",
        "redial",
        "redial_for",
        "ack_timeout",
        "seeds",
        "metadata_len_max",
        "entry_len_max",
        "entries_max",
        "entries_bytes_max",
        "tombstone_ttl",
        "state_dir",
        "state_flush",
        "members_max",
        "clock_skew_max",
        "cluster",
        "wire",
        "wire_max",
        "zone",
        "tags",
    ];

    setters! {
        /// How many nodes one node tells, at least 1.
        fan_out: u16 => std::convert::identity;
        /// Period of probes, beats and swaps, from 1 ms to a day.
        cycle: Duration => std::convert::identity;
        /// Silence after which a node is removed: more than 2 cycles, at most 100.
        timeout: Duration => Some;
        /// Packets that may wait between the socket and the engine, at least 1.
        buffer: usize => std::convert::identity;
        /// Largest datagram in bytes, from 1,000 to 65,507; from 8,192 on the wire of pekonode.
        size: usize => Some;
        /// Where the socket is bound, whatever the node's address asks for; port 0 means the port
        /// of that address.
        listen_addr: SocketAddr => Some;
        /// By which address the others are to reach the node, if not by the one that it names.
        advertise: Advertise => Some;
        /// Whether the console lines of pekonode are printed.
        print: bool => std::convert::identity;
        /// How packets travel.
        protocol: TransportKind => std::convert::identity;
        /// How silence is detected.
        liveness: Liveness => Some;
        /// What becomes of the list of a node that nobody answers.
        isolation: Isolation => std::convert::identity;
        /// Whether differences are repaired.
        swap: Swap => std::convert::identity;
        /// Least time between two bulk relays, at most a cycle.
        relay_delay: Duration => Some;
        /// Period of the attempts to reach seeds and removed members again.
        redial: Duration => std::convert::identity;
        /// How long a removed member is tried again, at most 365 days; 0 s is not at all.
        redial_for: Duration => std::convert::identity;
        /// A fixed wait for an answer, instead of one from measured round trips.
        ack_timeout: Duration => Some;
        /// Largest metadata value in bytes.
        metadata_len_max: usize => std::convert::identity;
        /// Largest value of an entry in bytes.
        entry_len_max: usize => std::convert::identity;
        /// Most entries that are held, from 1 to 16,777,216.
        entries_max: usize => std::convert::identity;
        /// Most bytes of all keys and values together.
        entries_bytes_max: usize => std::convert::identity;
        /// How long it is remembered that an entry was deleted, from ten cycles to 365 days.
        tombstone_ttl: Duration => std::convert::identity;
        /// Period in which what is to outlast a restart is written, from 1 ms to a day.
        state_flush: Duration => std::convert::identity;
        /// Most members that are listed, at least 2.
        members_max: usize => std::convert::identity;
        /// How far ahead of our time a version may lie. With a secret also how far from it a
        /// packet may have been sent, though ten seconds at least.
        clock_skew_max: Duration => std::convert::identity;
        /// What the packets look like.
        wire: Wire => std::convert::identity;
        /// The highest version of the native packets to speak.
        wire_max: WireVersion => std::convert::identity;
        /// What the node says of itself, unless it has tags of its own.
        tags: Tags => std::convert::identity;
    }

    /// Where the node is, unless it says so itself: at most
    /// [`ZONE_LEN_MAX`](crate::node::ZONE_LEN_MAX) bytes that can be shown.
    #[must_use]
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = zone.into();
        self
    }

    /// Addresses or host names of nodes already in the cluster, instead of those named before.
    #[must_use]
    pub fn seeds(mut self, seeds: impl IntoIterator<Item: Into<String>>) -> Self {
        self.seeds = seeds.into_iter().map(Into::into).collect();
        self
    }

    /// The cluster's name, at most 64 bytes that can be shown (see [`crate::text`]).
    #[must_use]
    pub fn cluster(mut self, name: impl Into<String>) -> Self {
        self.cluster = name.into();
        self
    }

    /// The secret that packets are sealed with, not empty. Every node of the cluster has the same.
    #[must_use]
    pub fn secret_key(mut self, secret: impl Into<SecretKey>) -> Self {
        self.secret_key = Some(secret.into());
        self
    }

    /// A file that holds the secret, instead of [`ConfigBuilder::secret_key`]: any bytes, and one
    /// newline at their end, which does not count. It is read here and now; what is wrong with it
    /// is told by [`ConfigBuilder::build`].
    #[must_use]
    pub fn secret_key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.secret_key_file = Some(SecretFile::read(path.into()));
        self
    }

    /// The folder that what is to outlast a restart is kept in; made if there is none. Each node
    /// has its own. Takes the feature `persist`.
    #[must_use]
    pub fn state_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(path.into());
        self
    }

    /// Sets a key as typed.
    ///
    /// # Errors
    /// When there is no such key, the value is of another kind, or it makes no sense by itself;
    /// what only shows beside the other settings is found by [`ConfigBuilder::build`].
    pub fn set(&mut self, key: &str, value: &Setting) -> Result<(), ConfigError> {
        let key = Self::key(key)?;
        self.store(key, value).map_err(|why| ConfigError::Invalid { key, why })
    }

    /// Why a value is refused that is not to be looked at.
    pub(super) fn no_text(key: &'static str) -> ConfigError {
        invalid(key, "must be a text")
    }

    /// The key that is typed so.
    pub(super) fn key(typed: &str) -> Result<&'static str, ConfigError> {
        Self::KEYS.into_iter().find(|&known| known == typed).ok_or_else(|| {
            let nearest = nearest(typed, Self::KEYS);
            ConfigError::UnknownKey { key: typed.to_owned(), nearest }
        })
    }

    /// Knows the same keys as [`ConfigBuilder::KEYS`], as a test holds.
    fn store(&mut self, key: &str, value: &Setting) -> Result<(), String> {
        match key {
            "fan_out" => self.fan_out = number(value)?,
            "cycle" => self.cycle = duration(value)?,
            "timeout" => self.timeout = Some(duration(value)?),
            "buffer" => self.buffer = number(value)?,
            "size" => self.size = Some(size(value)?),
            "listen_addr" => self.listen_addr = Some(listen_addr(value)?),
            "advertise" => self.advertise = Some(text(value)?.parse()?),
            "print" => self.print = flag(value)?,
            "liveness" => self.liveness = Some(choice(value)?),
            "isolation" => self.isolation = choice(value)?,
            "swap" => self.swap = choice(value)?,
            "relay_delay" => self.relay_delay = Some(duration(value)?),
            "redial" => self.redial = duration(value)?,
            "redial_for" => self.redial_for = duration(value)?,
            "ack_timeout" => self.ack_timeout = Some(duration(value)?),
            "seeds" => self.seeds = texts(value)?,
            "metadata_len_max" => self.metadata_len_max = size(value)?,
            "entry_len_max" => self.entry_len_max = size(value)?,
            "entries_max" => self.entries_max = number(value)?,
            "entries_bytes_max" => self.entries_bytes_max = size(value)?,
            "tombstone_ttl" => self.tombstone_ttl = duration(value)?,
            "state_dir" => self.state_dir = Some(text(value)?.into()),
            "state_flush" => self.state_flush = duration(value)?,
            "members_max" => self.members_max = number(value)?,
            "clock_skew_max" => self.clock_skew_max = duration(value)?,
            "cluster" => self.cluster = text(value)?.to_owned(),
            "protocol" => self.protocol = choice(value)?,
            "wire" => self.wire = choice(value)?,
            "wire_max" => self.wire_max = wire_max(value)?,
            "zone" => self.zone = text(value)?.to_owned(),
            "tags" => self.tags = tags(value)?,
            "secret_key" => self.secret_key = Some(text(value)?.into()),
            "secret_key_file" => {
                let file = SecretFile::read(text(value)?.into());
                file.secret.as_ref().map_err(String::clone)?;
                self.secret_key_file = Some(file);
            }
            _ => return Err("sets nothing".to_owned()),
        }
        Ok(())
    }

    /// Checks the settings against their limits and each other.
    ///
    /// # Errors
    /// The first setting that can't be, with what it would have to be.
    pub fn build(self) -> Result<Config, ConfigError> {
        self.check()?;
        let (timeout, relay_delay) = (self.timeout_or_default(), self.relay_delay_or_default());
        let liveness = self.liveness_or_default();
        let (secret_key, secret_key_file) = match &self.secret_key_file {
            Some(SecretFile { path, secret }) => (secret.clone().ok(), Some(path.clone())),
            None => (self.secret_key.clone(), None),
        };
        Ok(Config {
            fan_out: NonZeroU16::new(self.fan_out).expect("it was checked"),
            cycle: self.cycle,
            timeout,
            buffer: NonZeroUsize::new(self.buffer).expect("it was checked"),
            size: self.size_or_default(),
            secret_key,
            secret_key_file,
            listen_addr: self.listen_addr,
            advertise: self.advertise,
            print: self.print,
            protocol: self.protocol,
            liveness,
            isolation: self.isolation,
            swap: self.swap,
            relay_delay,
            redial: self.redial,
            redial_for: self.redial_for,
            ack_timeout: self.ack_timeout,
            seeds: self.seeds,
            metadata_len_max: self.metadata_len_max,
            entry_len_max: self.entry_len_max,
            entries_max: self.entries_max,
            entries_bytes_max: self.entries_bytes_max,
            tombstone_ttl: self.tombstone_ttl,
            state_dir: self.state_dir,
            state_flush: self.state_flush,
            members_max: self.members_max,
            clock_skew_max: self.clock_skew_max,
            cluster: self.cluster,
            wire: self.wire,
            wire_max: self.wire_max,
            zone: self.zone,
            tags: self.tags,
        })
    }

    /// The first setting that can't be, were these all.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.check_limits()?;
        self.check_secret()?;
        let (timeout, cycle) = (self.timeout_or_default(), self.cycle);
        if timeout <= cycle * 2 || timeout > cycle * 100 {
            let why = format!(
                "{} does not lie above 2 cycles and up to 100 (the cycle is {})",
                show_duration(timeout),
                show_duration(cycle)
            );
            return Err(ConfigError::Invalid { key: "timeout", why });
        }
        if self.relay_delay_or_default() > cycle {
            let why = format!("must be at most a cycle (which is {})", show_duration(cycle));
            return Err(ConfigError::Invalid { key: "relay_delay", why });
        }
        Ok(())
    }

    fn check_secret(&self) -> Result<(), ConfigError> {
        let is_empty = self.secret_key.as_ref().is_some_and(SecretKey::is_empty);
        check("secret_key", !is_empty, "must not be empty: take 32 random bytes as text")?;
        let Some(SecretFile { secret, .. }) = &self.secret_key_file else { return Ok(()) };
        let both = "must not stand beside `secret_key`: leave one of the two out";
        check("secret_key_file", self.secret_key.is_none(), both)?;
        let unread = |why: &String| invalid("secret_key_file", why);
        secret.as_ref().map(drop).map_err(unread)
    }

    fn timeout_or_default(&self) -> Duration {
        let default = || (self.cycle * 3 + Duration::from_secs(2)).min(self.cycle * 100);
        self.timeout.unwrap_or_else(default)
    }

    fn relay_delay_or_default(&self) -> Duration {
        self.relay_delay.unwrap_or(self.cycle / 3)
    }

    fn check_limits(&self) -> Result<(), ConfigError> {
        let millisecond = Duration::from_millis(1);
        let day = Duration::from_secs(86_400);
        let sane = |duration: Duration| (millisecond..=day).contains(&duration);
        check("fan_out", self.fan_out >= 1, "must be at least 1")?;
        check("buffer", self.buffer >= 1, "must be at least 1")?;
        check("cycle", sane(self.cycle), "must lie between 1ms and 1d")?;
        check("redial", sane(self.redial), "must lie between 1ms and 1d")?;
        check("redial_for", self.redial_for <= day * 365, "must be at most 365d")?;
        check("ack_timeout", self.ack_timeout.is_none_or(sane), "must lie between 1ms and 1d")?;
        check(
            "size",
            (1_000..=65_507).contains(&self.size_or_default()),
            "must lie between 1000 and 65507 bytes",
        )?;
        self.check_wire()?;
        check(
            "members_max",
            (2..=16_777_216).contains(&self.members_max),
            "must lie between 2 and 16777216",
        )?;
        check("metadata_len_max", self.metadata_len_max <= 1 << 30, "must be at most 1GiB")?;
        self.check_entries()?;
        check("state_flush", sane(self.state_flush), "must lie between 1ms and 1d")?;
        self.check_state_dir()?;
        check("clock_skew_max", self.clock_skew_max <= day * 365, "must be at most 365d")?;
        check("cluster", self.cluster.len() <= 64, "must have at most 64 bytes")?;
        self.check_texts()
    }

    fn check_entries(&self) -> Result<(), ConfigError> {
        let year = Duration::from_secs(86_400) * 365;
        check("entry_len_max", self.entry_len_max <= 1 << 30, "must be at most 1GiB")?;
        let count = (1..=16_777_216).contains(&self.entries_max);
        check("entries_max", count, "must lie between 1 and 16777216")?;
        let bytes = self.entries_bytes_max <= 1 << 40;
        check("entries_bytes_max", bytes, "must be at most 1TiB")?;
        let ttl = (self.cycle * 10..=year).contains(&self.tombstone_ttl);
        check("tombstone_ttl", ttl, "must lie between ten cycles and 365d")
    }

    fn check_state_dir(&self) -> Result<(), ConfigError> {
        let is_built_in = cfg!(feature = "persist") || self.state_dir.is_none();
        check(
            "state_dir",
            is_built_in,
            "takes the feature `persist` of rumormill, without which this program was built: add \
             it to the features in its Cargo.toml, or leave the key out",
        )?;
        let is_empty = self.state_dir.as_ref().is_some_and(|path| path.as_os_str().is_empty());
        check("state_dir", !is_empty, "must not be empty: name a folder, one for each node")
    }

    /// Names end up in logs and in errors, where they must not write anything else.
    fn check_texts(&self) -> Result<(), ConfigError> {
        let anybody = Node::at(SocketAddr::from(([127, 0, 0, 1], 1)));
        anybody
            .extended(&self.zone, self.tags.clone())
            .map_err(|error| invalid("zone", &error.to_string()))?;
        let cluster = iter::once(("cluster", &self.cluster));
        let seeds = self.seeds.iter().map(|seed| ("seeds", seed));
        for (key, text) in cluster.chain(seeds) {
            if let Some((at, char)) = find_unprintable(text) {
                let why = format!(
                    "has U+{:04X} at byte {at} of `{text}`, not to be shown: leave it out",
                    u32::from(char)
                );
                return Err(ConfigError::Invalid { key, why });
            }
        }
        Ok(())
    }
}

impl ConfigBuilder {
    /// pekonode's own default holds only on its wire.
    fn size_or_default(&self) -> usize {
        self.size.unwrap_or(match self.wire {
            Wire::Native => 1_200,
            Wire::Pekonode => 16_384,
        })
    }

    /// The wire of pekonode knows no probes.
    fn liveness_or_default(&self) -> Liveness {
        self.liveness.unwrap_or(match self.wire {
            Wire::Native => Liveness::default(),
            Wire::Pekonode => Liveness::Beats,
        })
    }

    /// What the wire of pekonode can't carry.
    fn check_wire(&self) -> Result<(), ConfigError> {
        if self.wire == Wire::Native {
            return Ok(());
        }
        let room = "must be at least 8192 bytes with `wire = \"pekonode\"`, whose packets name all";
        check("size", self.size_or_default() >= 8_192, room)?;
        let none = "has no meaning with `wire = \"pekonode\"`: leave it out";
        let probes = "must be `beats` or `off` with `wire = \"pekonode\"`, which knows no probes";
        check("liveness", !self.liveness_or_default().asks(), probes)?;
        check("relay_delay", self.relay_delay.is_none(), none)?;
        check("ack_timeout", self.ack_timeout.is_none(), none)?;
        let name = "must be empty: packets with `wire = \"pekonode\"` carry no cluster's name";
        check("cluster", self.cluster.is_empty(), name)?;
        check("wire_max", self.wire_max == WireVersion::LATEST, none)?;
        check("state_dir", self.state_dir.is_none(), none)?;
        let untold = "must be empty with `wire = \"pekonode\"`, whose packets have no place for it";
        check("zone", self.zone.is_empty(), untold)?;
        check("tags", self.tags.is_empty(), untold)
    }
}

#[cfg(test)]
impl Config {
    /// The same settings with something that outlasts the node, whatever this build can keep.
    pub(crate) fn with_state_dir(self, path: &str) -> Self {
        Self { state_dir: Some(path.into()), ..self }
    }
}

fn invalid(key: &'static str, why: &str) -> ConfigError {
    ConfigError::Invalid { key, why: why.to_owned() }
}

fn check(key: &'static str, holds: bool, why: &str) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(invalid(key, why)) }
}

/// Why settings are not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no such key.
    #[error("unknown key `{}`{}", Printable(key), did_you_mean(*nearest))]
    UnknownKey {
        /// What was typed.
        key: String,
        /// The valid key that is nearest, if any is near.
        nearest: Option<&'static str>,
    },
    /// A value makes no sense.
    #[error("`{key}`: {}", Printable(why))]
    Invalid {
        /// The key.
        key: &'static str,
        /// What is wrong and what it must be.
        why: String,
    },
}

impl ConfigError {
    /// The key the error is about.
    pub fn key(&self) -> &str {
        match self {
            Self::UnknownKey { key, .. } => key,
            Self::Invalid { key, .. } => key,
        }
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default()
}
