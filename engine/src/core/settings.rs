//! Settings that differ from ours: what may cost somebody his place in a list is told, once.
//!
//! Nodes with different settings stay safe: everybody answers last calls and probes, whatever it
//! judges others by, and is believed. But it takes more packets than it should, and what one node
//! needs a second for may take another a minute; so the service hears of it.

use std::fmt;
use std::time::Duration;

use super::beat::AgeStep;
use crate::config::{Config, Liveness};
use crate::units::show_duration;

/// What a node says of its own settings, beside its timeout, which follows from the unit of the
/// ages in its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Its cycle, in milliseconds.
    pub cycle_ms: u32,
    /// How it finds out who lives.
    pub liveness: Liveness,
}

impl Settings {
    /// What a node of this configuration says.
    pub fn of(config: &Config) -> Self {
        let cycle_ms = u32::try_from(config.cycle().as_millis()).unwrap_or(u32::MAX);
        // Who only asks and who does both look the same to others.
        let liveness = match config.liveness() {
            Liveness::Auto => Liveness::Probes,
            liveness => liveness,
        };
        Self { cycle_ms, liveness }
    }

    fn cycle(self) -> Duration {
        Duration::from_millis(self.cycle_ms.into())
    }
}

/// How much a node has room for: where these differ, some hold what others refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryRoom {
    /// Its `entry_len_max`, in bytes.
    pub len_max: u64,
    /// Its `entries_max`.
    pub count_max: u64,
    /// Its `entries_bytes_max`.
    pub bytes_max: u64,
}

impl EntryRoom {
    /// What a node of this configuration says.
    pub fn of(config: &Config) -> Self {
        Self {
            len_max: config.entry_len_max() as u64,
            count_max: config.entries_max() as u64,
            bytes_max: config.entries_bytes_max() as u64,
        }
    }

    pub(crate) fn numbers(self) -> [u64; 3] {
        [self.len_max, self.count_max, self.bytes_max]
    }

    fn differing(self, theirs: Self) -> impl Iterator<Item = Difference> {
        [
            ("entry_len_max", self.len_max, theirs.len_max),
            ("entries_max", self.count_max, theirs.count_max),
            ("entries_bytes_max", self.bytes_max, theirs.bytes_max),
        ]
        .into_iter()
        .filter(|(_, ours, theirs)| ours != theirs)
        .map(|(key, ours, theirs)| Difference::EntryRoom { key, ours, theirs })
    }
}

/// Settings of a peer that do not go with ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Difference {
    /// It finds out in another way who lives.
    Liveness {
        /// Our way.
        ours: Liveness,
        /// Its way.
        theirs: Liveness,
    },
    /// Our `timeout` is no more than two of its cycles, so that it often looks silent to us.
    TheirCycle {
        /// Our `timeout`.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::forms::duration"))]
        ours: Duration,
        /// Its `cycle`.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::forms::duration"))]
        theirs: Duration,
    },
    /// Its `timeout` is no more than two of our cycles, so that we often look silent to it.
    OurCycle {
        /// Our `cycle`.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::forms::duration"))]
        ours: Duration,
        /// Its `timeout`.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::forms::duration"))]
        theirs: Duration,
    },
    /// It has room for more entries than we, or for fewer: some hold what others refuse.
    EntryRoom {
        /// The setting.
        key: &'static str,
        /// What it is here.
        ours: u64,
        /// What it is there.
        theirs: u64,
    },
}

impl Difference {
    pub(crate) fn all(
        config: &Config,
        step: AgeStep,
        settings: Settings,
        room: Option<EntryRoom>,
    ) -> impl Iterator<Item = Self> {
        let liveness = Self::Liveness { ours: config.liveness(), theirs: settings.liveness };
        let (cycle, timeout) = (config.cycle(), config.timeout());
        let theirs = settings.cycle();
        let their_cycle = Self::TheirCycle { ours: timeout, theirs };
        let their_timeout = step.timeout();
        let our_cycle = Self::OurCycle { ours: cycle, theirs: their_timeout };
        [
            (!goes_with(config.liveness(), settings.liveness), liveness),
            (timeout <= theirs * 2, their_cycle),
            (their_timeout <= cycle * 2, our_cycle),
        ]
        .into_iter()
        .filter_map(|(holds, difference)| holds.then_some(difference))
        .chain(room.into_iter().flat_map(|room| EntryRoom::of(config).differing(room)))
    }
}

/// True where neither way costs the other more than its own.
fn goes_with(ours: Liveness, theirs: Liveness) -> bool {
    match ours {
        Liveness::Auto => theirs != Liveness::Off,
        ours => ours == theirs,
    }
}

/// As a sentence about the peer.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |duration: &Duration| show_duration(*duration);
        match self {
            Self::Liveness { ours, theirs } => {
                write!(f, "its `liveness` is {theirs}, ours is {ours}")
            }
            Self::TheirCycle { ours, theirs } => {
                let (ours, theirs) = (show(ours), show(theirs));
                write!(f, "its `cycle` is {theirs}, too long for our `timeout` of {ours}")
            }
            Self::OurCycle { ours, theirs } => {
                let (ours, theirs) = (show(ours), show(theirs));
                write!(f, "its `timeout` is {theirs}, too short for our `cycle` of {ours}")
            }
            Self::EntryRoom { key, ours, theirs } => {
                write!(f, "its `{key}` is {theirs}, ours is {ours}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn differences(ours: &Config, theirs: &Config) -> Vec<String> {
        let step = AgeStep::of_timeout(theirs.timeout());
        let room = Some(EntryRoom::of(theirs));
        let all = Difference::all(ours, step, Settings::of(theirs), room);
        all.map(|it| it.to_string()).collect()
    }

    #[test]
    fn what_matters_is_told_with_both_values_and_the_rest_is_not() {
        let ours = Config::default();
        let other = Config::builder().fan_out(7).timeout(9 * SECOND).swap(crate::config::Swap::Off);
        assert_eq!(differences(&ours, &other.build().unwrap()), [""; 0]);
        let slow = Config::builder().cycle(3 * SECOND).build().unwrap();
        assert_eq!(
            differences(&ours, &slow),
            ["its `cycle` is 3s, too long for our `timeout` of 5s"]
        );
        assert_eq!(
            differences(&slow, &ours),
            ["its `timeout` is 5s, too short for our `cycle` of 3s"]
        );
        let roomy = Config::builder().entries_max(200_000).entry_len_max(4).build().unwrap();
        assert_eq!(
            differences(&ours, &roomy),
            [
                "its `entry_len_max` is 4, ours is 1048576",
                "its `entries_max` is 200000, ours is 100000"
            ]
        );
        let by = |liveness| Config::builder().liveness(liveness).build().unwrap();
        for (theirs, told) in [(Liveness::Beats, 0), (Liveness::Probes, 0), (Liveness::Off, 1)] {
            let told_of = differences(&by(Liveness::Auto), &by(theirs));
            assert_eq!(told_of.len(), told, "who does both goes with either: {told_of:?}");
        }
        let (beats, probes) = (by(Liveness::Beats), by(Liveness::Probes));
        assert_eq!(differences(&beats, &probes), ["its `liveness` is probes, ours is beats"]);
    }
}
