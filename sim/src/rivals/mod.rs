//! Other ways to spread a rumor, as models on the network of a scenario: a second opinion beside
//! the engine's arcs.
//!
//! A rival is a rule for what a node does with a rumor that it hears for the first time, and
//! nothing else: it knows all nodes from the beginning, sends one packet for one telling, and
//! neither acknowledges nor repairs. Packets meet the same link model as the engine's, with the
//! same seed. [`setting`] says what of a scenario a rival lives through, [`course`] plays it.

pub mod course;
pub mod setting;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rumormill::units::{nearest, parse_duration, show_duration};

/// A way to spread a rumor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rival {
    /// Who hears it for the first time tells others at once, and never again.
    PushOnce {
        /// How many others.
        fan_out: u32,
    },
    /// Who heard it tells others once every interval, until it has told so many times: the rule of
    /// memberlist, Go's library for Serf and Consul.
    Periodic {
        /// How many others each time.
        fan_out: u32,
        /// The interval; each node has a phase of its own.
        every: Duration,
        /// Tellings in all are this many times `ceil(log10(nodes + 1))`.
        mult: u32,
    },
}

/// What memberlist does by default in a local network.
pub const MEMBERLIST: Rival =
    Rival::Periodic { fan_out: 3, every: Duration::from_millis(200), mult: 4 };

/// The most of a fan-out or a multiplier.
const COUNT_MAX: u32 = 1_000;

impl Rival {
    /// The name of its rule.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PushOnce { .. } => "push-once",
            Self::Periodic { .. } => "periodic",
        }
    }
}

/// How often a node tells a rumor in all, by memberlist's rule.
pub(crate) fn tellings_max(mult: u32, nodes: u32) -> u32 {
    let wanted = u64::from(nodes) + 1;
    let powers = std::iter::successors(Some(1_u64), |power| power.checked_mul(10));
    let log = powers.take_while(|&power| power < wanted).count() as u32;
    mult.saturating_mul(log)
}

impl FromStr for Rival {
    type Err = String;

    /// Reads `push-once:FAN_OUT` or `periodic:FAN_OUT,INTERVAL,MULT`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let parts: Vec<&str> = rest.split(',').collect();
        match (name, parts[..].len()) {
            ("push-once", 1) => Ok(Self::PushOnce { fan_out: count(text, parts[0])? }),
            ("periodic", 3) => {
                let every = parse_duration(parts[1]).map_err(|why| format!("`{text}`: {why}"))?;
                if every.is_zero() {
                    return Err(format!("`{text}`: the interval must be longer than nothing"));
                }
                let (fan_out, mult) = (count(text, parts[0])?, count(text, parts[2])?);
                Ok(Self::Periodic { fan_out, every, mult })
            }
            ("push-once", _) => Err(format!("`{text}`: write it like push-once:8 (fan-out)")),
            ("periodic", _) => Err(format!(
                "`{text}`: write it like periodic:3,200ms,4 (fan-out, interval, multiplier)"
            )),
            _ => {
                let near = nearest(name, ["push-once", "periodic"]);
                let near =
                    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                Err(format!("the models are push-once:8 and periodic:3,200ms,4{near}"))
            }
        }
    }
}

fn count(text: &str, part: &str) -> Result<u32, String> {
    let count = part.trim().parse().ok().filter(|count| (1..=COUNT_MAX).contains(count));
    count.ok_or_else(|| format!("`{text}`: `{part}` is no whole number from 1 to {COUNT_MAX}"))
}

impl fmt::Display for Rival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::PushOnce { fan_out } => write!(f, "push-once:{fan_out}"),
            Self::Periodic { fan_out, every, mult } => {
                write!(f, "periodic:{fan_out},{},{mult}", show_duration(every).replace(' ', ""))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["push-once:8", "periodic:3,200ms,4", "periodic:8,1s500ms,1"] {
            assert_eq!(text.parse::<Rival>().unwrap().to_string(), text);
        }
        assert_eq!("periodic:3,200ms,4".parse(), Ok(MEMBERLIST));
    }

    #[test]
    fn what_is_wrong_is_answered_with_how_to_write_it() {
        for (text, fix) in [
            ("push-onse:3", "did you mean `push-once`?"),
            ("push-once", "from 1 to 1000"),
            ("push-once:0", "from 1 to 1000"),
            ("push-once:3,4", "like push-once:8"),
            ("periodic:3", "like periodic:3,200ms,4"),
            ("periodic:3,0s,4", "longer than nothing"),
            ("periodic:3,5 apples,4", "no duration"),
        ] {
            let error = text.parse::<Rival>().unwrap_err();
            assert!(error.contains(fix), "{text}: {error}");
        }
    }

    #[test]
    fn the_limit_of_tellings_is_that_of_memberlist() {
        // Its own test: mult 3 gives 0, 3, 6, 6 tellings for 0, 1, 25 and 99 nodes.
        let limits = [0, 1, 25, 99, 100, 999, 1_000].map(|nodes| tellings_max(3, nodes));
        assert_eq!(limits, [0, 3, 6, 6, 9, 9, 12]);
        assert_eq!(tellings_max(4, 1_000), 16);
    }
}
