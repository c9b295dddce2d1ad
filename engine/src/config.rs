//! The settings of a node: parsed once, and then they cannot be invalid.
//!
//! [`Config`] has private fields, so that one in hand has passed every check. It comes from
//! [`Config::builder`], or from any serde format with the keys of the table below; an unknown key
//! is an error that names the nearest valid one.
//!
//! | key | type | default | meaning |
//! |---|---|---|---|
//! | `fan_out` | number | 3 | how many nodes one node tells (pekonode: `Amount`) |
//! | `cycle` | duration | 1 s | period of beats and swaps (pekonode: `Cycle`, 6 s) |
//! | `timeout` | duration | 3 cycles + 2 s | silence after which a node is removed |
//! | `buffer` | number | 1024 | packets that wait for the engine; overflow is counted |
//! | `size` | size | 1400 | bytes of one datagram (pekonode: `Size`, 16384) |
//! | `listen_addr` | IP or IP:PORT | `0.0.0.0` | where the socket is bound |
//! | `print` | bool | false | pekonode's console lines on stderr |
//! | `protocol` | text | `udp` | how packets travel |
//! | `liveness` | text | `beats` | `beats` or `off` (lists then change by joins and leaves only) |
//! | `swap` | text | `on` | `on` or `off` (for measurements) |
//! | `relay_delay` | duration | cycle / 3 | least time between two bulk relays |
//! | `redial` | duration | 10 s | period in which seeds and removed members are tried again |
//! | `ack_timeout` | duration | measured | fixed wait for an answer, instead of round trips |
//! | `seeds` | texts | none | addresses or host names of nodes already in the cluster |
//! | `metadata_len_max` | size | 1 MiB | largest metadata value |
//! | `members_max` | number | 65536 | most members that are listed |
//! | `clock_skew_max` | duration | 60 s | how far ahead a version may lie |
//! | `cluster` | text | empty | packets of another cluster are dropped and counted |
//! | `wire` | text | `native` | what the packets look like |

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroUsize};
use std::time::Duration;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::units::{nearest, parse_duration, parse_size, show_duration};

/// The settings of one node; see the [module](self) for keys and defaults.
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
    listen_addr: SocketAddr,
    print: bool,
    liveness: Liveness,
    swap: Swap,
    relay_delay: Duration,
    redial: Duration,
    ack_timeout: Option<Duration>,
    seeds: Vec<String>,
    metadata_len_max: usize,
    members_max: usize,
    clock_skew_max: Duration,
    cluster: String,
}

/// How a node learns that another is alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Liveness {
    /// Every node beats once a cycle and beats are relayed in bulk.
    #[default]
    Beats,
    /// Nobody beats and silence removes nobody: for measurements.
    Off,
}

/// Whether a node repairs differences by swaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Swap {
    /// Once a cycle with one random member.
    #[default]
    On,
    /// Never: for measurements.
    Off,
}

impl Config {
    /// Begins with the defaults.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }

    /// How many nodes one node tells.
    pub fn fan_out(&self) -> usize {
        usize::from(self.fan_out.get())
    }

    /// Period of beats and swaps.
    pub fn cycle(&self) -> Duration {
        self.cycle
    }

    /// Silence after which a node is removed.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Packets that may wait between the socket and the engine.
    pub fn buffer(&self) -> usize {
        self.buffer.get()
    }

    /// Largest datagram, in bytes of payload.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Where the socket is bound; port 0 means the port of the advertised address.
    pub fn listen_addr(&self) -> SocketAddr {
        self.listen_addr
    }

    /// Whether the console lines of pekonode are printed.
    pub fn print(&self) -> bool {
        self.print
    }

    /// How silence is detected.
    pub fn liveness(&self) -> Liveness {
        self.liveness
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

    /// Most members that are listed.
    pub fn members_max(&self) -> usize {
        self.members_max
    }

    /// How far ahead of our time a version may lie.
    pub fn clock_skew_max(&self) -> Duration {
        self.clock_skew_max
    }

    /// The cluster's name.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::builder().build().expect("the defaults are valid")
    }
}

/// A value as a person typed it, in TOML, on the command line or in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A whole number.
    Integer(i64),
    /// A text, which may stand for a duration, a size or a choice.
    Text(String),
    /// True or false.
    Flag(bool),
    /// A list of texts.
    List(Vec<String>),
}

impl Setting {
    fn kind(&self) -> &'static str {
        match self {
            Self::Integer(_) => "a number",
            Self::Text(_) => "a text",
            Self::Flag(_) => "true or false",
            Self::List(_) => "a list",
        }
    }
}

/// Settings on their way to a [`Config`].
#[derive(Clone, Debug)]
pub struct ConfigBuilder {
    fan_out: u16,
    cycle: Duration,
    timeout: Option<Duration>,
    buffer: usize,
    size: usize,
    listen_addr: SocketAddr,
    print: bool,
    liveness: Liveness,
    swap: Swap,
    relay_delay: Option<Duration>,
    redial: Duration,
    ack_timeout: Option<Duration>,
    seeds: Vec<String>,
    metadata_len_max: usize,
    members_max: usize,
    clock_skew_max: Duration,
    cluster: String,
}

impl Default for ConfigBuilder {
    fn default() -> Self {
        Self {
            fan_out: 3,
            cycle: Duration::from_secs(1),
            timeout: None,
            buffer: 1024,
            size: 1400,
            listen_addr: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
            print: false,
            liveness: Liveness::Beats,
            swap: Swap::On,
            relay_delay: None,
            redial: Duration::from_secs(10),
            ack_timeout: None,
            seeds: Vec::new(),
            metadata_len_max: 1 << 20,
            members_max: 65_536,
            clock_skew_max: Duration::from_secs(60),
            cluster: String::new(),
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
    pub const KEYS: [&'static str; 20] = [
        "fan_out",
        "cycle",
        "timeout",
        "buffer",
        "size",
        "secret_key",
        "listen_addr",
        "print",
        "protocol",
        "liveness",
        "swap",
        "relay_delay",
        "redial",
        "ack_timeout",
        "seeds",
        "metadata_len_max",
        "members_max",
        "clock_skew_max",
        "cluster",
        "wire",
    ];

    setters! {
        /// How many nodes one node tells, at least 1.
        fan_out: u16 => std::convert::identity;
        /// Period of beats and swaps, from 1 ms to a day.
        cycle: Duration => std::convert::identity;
        /// Silence after which a node is removed: more than 2 cycles, at most 100.
        timeout: Duration => Some;
        /// Packets that may wait between the socket and the engine, at least 1.
        buffer: usize => std::convert::identity;
        /// Largest datagram in bytes, from 1,000 to 65,507.
        size: usize => std::convert::identity;
        /// Where the socket is bound; port 0 means the port of the advertised address.
        listen_addr: SocketAddr => std::convert::identity;
        /// Whether the console lines of pekonode are printed.
        print: bool => std::convert::identity;
        /// How silence is detected.
        liveness: Liveness => std::convert::identity;
        /// Whether differences are repaired.
        swap: Swap => std::convert::identity;
        /// Least time between two bulk relays, at most a cycle.
        relay_delay: Duration => Some;
        /// Period of the attempts to reach seeds and removed members again.
        redial: Duration => std::convert::identity;
        /// A fixed wait for an answer, instead of one from measured round trips.
        ack_timeout: Duration => Some;
        /// Addresses or host names of nodes already in the cluster.
        seeds: Vec<String> => std::convert::identity;
        /// Largest metadata value in bytes.
        metadata_len_max: usize => std::convert::identity;
        /// Most members that are listed, at least 2.
        members_max: usize => std::convert::identity;
        /// How far ahead of our time a version may lie.
        clock_skew_max: Duration => std::convert::identity;
        /// The cluster's name, at most 64 bytes.
        cluster: String => std::convert::identity;
    }

    /// Sets a key as typed.
    ///
    /// # Errors
    /// When there is no such key, the value is of another kind, or it makes no sense by itself;
    /// what only shows beside the other settings is found by [`ConfigBuilder::build`].
    pub fn set(&mut self, key: &str, value: &Setting) -> Result<(), ConfigError> {
        let Some(key) = Self::KEYS.into_iter().find(|&known| known == key) else {
            let nearest = nearest(key, Self::KEYS);
            return Err(ConfigError::UnknownKey { key: key.to_owned(), nearest });
        };
        self.store(key, value).map_err(|why| ConfigError::Invalid { key, why })
    }

    fn store(&mut self, key: &str, value: &Setting) -> Result<(), String> {
        match key {
            "fan_out" => self.fan_out = number(value)?,
            "cycle" => self.cycle = duration(value)?,
            "timeout" => self.timeout = Some(duration(value)?),
            "buffer" => self.buffer = number(value)?,
            "size" => self.size = size(value)?,
            "listen_addr" => self.listen_addr = listen_addr(value)?,
            "print" => self.print = flag(value)?,
            "liveness" => {
                self.liveness =
                    choice(value, [("beats", Liveness::Beats), ("off", Liveness::Off)])?;
            }
            "swap" => self.swap = choice(value, [("on", Swap::On), ("off", Swap::Off)])?,
            "relay_delay" => self.relay_delay = Some(duration(value)?),
            "redial" => self.redial = duration(value)?,
            "ack_timeout" => self.ack_timeout = Some(duration(value)?),
            "seeds" => self.seeds = texts(value)?,
            "metadata_len_max" => self.metadata_len_max = size(value)?,
            "members_max" => self.members_max = number(value)?,
            "clock_skew_max" => self.clock_skew_max = duration(value)?,
            "cluster" => self.cluster = text(value)?.to_owned(),
            "protocol" => choice(value, [("udp", ())])?,
            "wire" => choice(value, [("native", ())])?,
            "secret_key" => return Err("packets can't be sealed yet: leave it out".into()),
            _ => unreachable!("KEYS and store list the same keys"),
        }
        Ok(())
    }

    /// Checks the settings against their limits and each other.
    ///
    /// # Errors
    /// The first setting that can't be, with what it would have to be.
    pub fn build(self) -> Result<Config, ConfigError> {
        self.check_limits()?;
        let timeout = self.timeout.unwrap_or(self.cycle * 3 + Duration::from_secs(2));
        let timeout = if self.timeout.is_none() { timeout.min(self.cycle * 100) } else { timeout };
        if timeout <= self.cycle * 2 || timeout > self.cycle * 100 {
            let cycle = show_duration(self.cycle);
            let why = format!(
                "{} does not lie above 2 cycles and up to 100 (the cycle is {cycle})",
                show_duration(timeout)
            );
            return Err(ConfigError::Invalid { key: "timeout", why });
        }
        let relay_delay = self.relay_delay.unwrap_or(self.cycle / 3);
        check("relay_delay", relay_delay <= self.cycle, "must be at most a cycle")?;
        Ok(Config {
            fan_out: NonZeroU16::new(self.fan_out)
                .ok_or_else(|| invalid("fan_out", "must be at least 1"))?,
            cycle: self.cycle,
            timeout,
            buffer: NonZeroUsize::new(self.buffer)
                .ok_or_else(|| invalid("buffer", "must be at least 1"))?,
            size: self.size,
            listen_addr: self.listen_addr,
            print: self.print,
            liveness: self.liveness,
            swap: self.swap,
            relay_delay,
            redial: self.redial,
            ack_timeout: self.ack_timeout,
            seeds: self.seeds,
            metadata_len_max: self.metadata_len_max,
            members_max: self.members_max,
            clock_skew_max: self.clock_skew_max,
            cluster: self.cluster,
        })
    }

    fn check_limits(&self) -> Result<(), ConfigError> {
        let millisecond = Duration::from_millis(1);
        let day = Duration::from_secs(86_400);
        let sane = |duration: Duration| (millisecond..=day).contains(&duration);
        check("cycle", sane(self.cycle), "must lie between 1ms and 1d")?;
        check("redial", sane(self.redial), "must lie between 1ms and 1d")?;
        check("ack_timeout", self.ack_timeout.is_none_or(sane), "must lie between 1ms and 1d")?;
        check(
            "size",
            (1_000..=65_507).contains(&self.size),
            "must lie between 1000 and 65507 bytes",
        )?;
        check(
            "members_max",
            (2..=16_777_216).contains(&self.members_max),
            "must lie between 2 and 16777216",
        )?;
        check("metadata_len_max", self.metadata_len_max <= 1 << 30, "must be at most 1GiB")?;
        check("clock_skew_max", self.clock_skew_max <= day * 365, "must be at most 365d")?;
        check("cluster", self.cluster.len() <= 64, "must have at most 64 bytes")
    }
}

fn invalid(key: &'static str, why: &str) -> ConfigError {
    ConfigError::Invalid { key, why: why.to_owned() }
}

fn check(key: &'static str, holds: bool, why: &str) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(invalid(key, why)) }
}

fn number<N: TryFrom<i64>>(value: &Setting) -> Result<N, String> {
    let Setting::Integer(number) = *value else { return Err(expected("a whole number", value)) };
    N::try_from(number).map_err(|_| format!("{number} is out of range"))
}

fn duration(value: &Setting) -> Result<Duration, String> {
    let Setting::Text(text) = value else {
        return Err(expected("a duration in quotes, such as \"250ms\"", value));
    };
    parse_duration(text)
}

fn size(value: &Setting) -> Result<usize, String> {
    let bytes = match value {
        Setting::Integer(_) => return number(value),
        Setting::Text(text) => parse_size(text)?,
        _ => return Err(expected("a size, such as 1400 or \"64KiB\"", value)),
    };
    usize::try_from(bytes).map_err(|_| format!("{bytes} is out of range"))
}

fn flag(value: &Setting) -> Result<bool, String> {
    if let Setting::Flag(flag) = *value { Ok(flag) } else { Err(expected("true or false", value)) }
}

fn text(value: &Setting) -> Result<&str, String> {
    if let Setting::Text(text) = value { Ok(text) } else { Err(expected("a text", value)) }
}

fn texts(value: &Setting) -> Result<Vec<String>, String> {
    match value {
        Setting::List(texts) => Ok(texts.clone()),
        Setting::Text(text) => Ok(vec![text.clone()]),
        _ => Err(expected("a list of texts", value)),
    }
}

fn listen_addr(value: &Setting) -> Result<SocketAddr, String> {
    let text = text(value)?;
    let ip = || text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0));
    text.parse().or_else(|_| ip()).map_err(|_| format!("`{text}` is neither IP nor IP:PORT"))
}

fn choice<T: Copy, const N: usize>(value: &Setting, options: [(&str, T); N]) -> Result<T, String> {
    let names = options.map(|(name, _)| name);
    let Setting::Text(typed) = value else {
        return Err(expected(&format!("one of {}", names.join(", ")), value));
    };
    let found = options.iter().find(|(name, _)| name == typed);
    found.map(|&(_, option)| option).ok_or_else(|| match nearest(typed, names) {
        Some(near) => format!("`{typed}` is none of {}: did you mean `{near}`?", names.join(", ")),
        None => format!("`{typed}` is none of {}", names.join(", ")),
    })
}

fn expected(what: &str, value: &Setting) -> String {
    format!("this is {}, it must be {what}", value.kind())
}

/// Why settings are not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There is no such key.
    #[error("unknown key `{key}`{}", did_you_mean(*nearest))]
    UnknownKey {
        /// What was typed.
        key: String,
        /// The valid key that is nearest, if any is near.
        nearest: Option<&'static str>,
    },
    /// A value makes no sense.
    #[error("`{key}`: {why}")]
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

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ConfigVisitor)
    }
}

struct ConfigVisitor;

impl<'de> Visitor<'de> for ConfigVisitor {
    type Value = Config;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of settings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Config, A::Error> {
        let mut builder = Config::builder();
        while let Some(key) = map.next_key::<String>()? {
            let value: Setting = map.next_value()?;
            builder.set(&key, &value).map_err(serde::de::Error::custom)?;
        }
        builder.build().map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "expected a number, a text, true or false, or a list of texts"
        )]
        enum Typed {
            Integer(i64),
            Flag(bool),
            Text(String),
            List(Vec<String>),
        }
        Ok(match Typed::deserialize(deserializer)? {
            Typed::Integer(number) => Self::Integer(number),
            Typed::Flag(flag) => Self::Flag(flag),
            Typed::Text(text) => Self::Text(text),
            Typed::List(texts) => Self::List(texts),
        })
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
        assert_eq!((config.fan_out(), config.size(), config.buffer()), (3, 1400, 1024));
        assert_eq!(config.cycle(), Duration::from_secs(1));
        assert_eq!(config.timeout(), Duration::from_secs(5));
        assert_eq!(config.redial(), Duration::from_secs(10));
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
            ("secret_key", text("k")),
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
    fn a_long_cycle_keeps_the_default_timeout_possible() {
        let builder = Config::builder().cycle(Duration::from_millis(10));
        assert_eq!(builder.build().unwrap().timeout(), Duration::from_secs(1));
    }
}
