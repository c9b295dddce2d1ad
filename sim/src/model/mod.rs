//! Textbook epidemics: one rumor among alike nodes in synchronous rounds, as theory beside the
//! engine.
//!
//! The words are those of Demers et al., *Epidemic algorithms for replicated database
//! maintenance* (1987). Whoever holds the rumor and still tells it is *active*. In each round
//! nodes contact others that are drawn evenly from all, and what anybody is counts as it was when
//! the round began. There are no members, links or clocks here; [`outbreak`] has the rules of a
//! round, [`figures`] what many outbreaks show together, [`theory`] what formulas say of them.

pub mod figures;
pub mod outbreak;
pub mod theory;

use std::fmt;
use std::str::FromStr;

use rumormill::rng::Probability;
use rumormill::units::nearest;

/// The most nodes: an outbreak takes up to ten bytes for each.
pub const NODES_MAX: u32 = 100_000_000;
/// The most contacts that a node makes in a round.
pub const FAN_OUT_MAX: u32 = 255;
/// The largest K of a [`Stop`].
pub const K_MAX: u32 = 10_000;
/// The most that may get lost: with more, hardly anything spreads, and that for ever.
const LOSS_MAX: Probability = Probability::from_ppb(990_000_000);

/// Which way the rumor goes when one node contacts another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelSpread {
    /// Active nodes contact others and tell them.
    Push,
    /// All nodes contact others, and those that are active answer with the rumor.
    Pull,
    /// All nodes contact others, and whoever of the two is active tells the other.
    PushPull,
}

/// When an active node loses interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Never.
    Never,
    /// By chance or by count, after contacts of a kind; the number is K of the rule.
    After(Cause, Rule, u32),
}

/// Which contacts make a node lose interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// All.
    Blind,
    /// Those that turn out to have been unnecessary: the other held the rumor already.
    Feedback,
}

/// How such contacts make a node lose interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Each with a probability of one in K.
    Coin,
    /// K of them; with [`Cause::Feedback`], K without a useful one in between.
    Counter,
}

/// An epidemic that can be run, over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epidemic {
    spread: ModelSpread,
    stop: Stop,
    nodes: u32,
    fan_out: u32,
    loss: Probability,
}

impl Epidemic {
    /// An epidemic among so many nodes, each of which contacts `fan_out` others in a round, and
    /// in which a telling gets lost with a probability of `loss`.
    ///
    /// # Errors
    /// A sentence that says what can't be, and what can.
    pub fn new(
        spread: ModelSpread,
        stop: Stop,
        nodes: u32,
        fan_out: u32,
        loss: Probability,
    ) -> Result<Self, String> {
        if !(2..=NODES_MAX).contains(&nodes) {
            return Err(format!("an epidemic has 2 to {NODES_MAX} nodes, not {nodes}"));
        }
        if !(1..=FAN_OUT_MAX).contains(&fan_out) {
            return Err(format!("the fan-out is 1 to {FAN_OUT_MAX}, not {fan_out}"));
        }
        if fan_out >= nodes {
            let others = nodes - 1;
            return Err(format!(
                "a node has only {others} others to contact, and the fan-out is {fan_out}: \
                 make it {others}, or have more nodes"
            ));
        }
        if loss > LOSS_MAX {
            let percent = loss.as_ppb() as f64 / 1e7;
            return Err(format!("a loss of {percent} % is too much: at most 99 %"));
        }
        Ok(Self { spread, stop, nodes, fan_out, loss })
    }

    /// Which way the rumor goes.
    pub fn spread(&self) -> ModelSpread {
        self.spread
    }

    /// When a node loses interest.
    pub fn stop(&self) -> Stop {
        self.stop
    }

    /// How many nodes there are, the source included.
    pub fn nodes(&self) -> u32 {
        self.nodes
    }

    /// How many others a node contacts in a round.
    pub fn fan_out(&self) -> u32 {
        self.fan_out
    }

    /// How likely a telling gets lost.
    pub fn loss(&self) -> Probability {
        self.loss
    }
}

const SPREADS: [(&str, ModelSpread); 3] = [
    ("push", ModelSpread::Push),
    ("pull", ModelSpread::Pull),
    ("push-pull", ModelSpread::PushPull),
];

impl FromStr for ModelSpread {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = SPREADS.iter().find(|(name, _)| *name == text);
        known.map(|&(_, spread)| spread).ok_or_else(|| {
            let near = did_you_mean(text, SPREADS.iter().map(|&(name, _)| name));
            format!("a rumor spreads by push, pull or push-pull{near}")
        })
    }
}

impl fmt::Display for ModelSpread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = SPREADS.iter().find(|(_, spread)| spread == self);
        f.write_str(named.expect("every way has a name").0)
    }
}

/// The kinds of [`Stop::After`]; each name is followed by a colon and K.
const STOPS: [(&str, Cause, Rule); 4] = [
    ("blind-coin", Cause::Blind, Rule::Coin),
    ("blind-counter", Cause::Blind, Rule::Counter),
    ("feedback-coin", Cause::Feedback, Rule::Coin),
    ("feedback-counter", Cause::Feedback, Rule::Counter),
];

impl FromStr for Stop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self::Never);
        }
        let (name, k) = text.split_once(':').unwrap_or((text, ""));
        let Some(&(name, cause, rule)) = STOPS.iter().find(|(known, ..)| *known == name) else {
            let names = STOPS.iter().map(|&(name, ..)| name).chain(["never"]);
            let near = did_you_mean(name, names);
            let all = STOPS.map(|(name, ..)| format!("{name}:K")).join(", ");
            return Err(format!("a node stops by one of never, {all}{near}"));
        };
        let k = k.parse().ok().filter(|k| (1..=K_MAX).contains(k));
        let k = k.ok_or_else(|| format!("write it with a K of 1 to {K_MAX}, such as {name}:2"))?;
        Ok(Self::After(cause, rule, k))
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::After(cause, rule, k) = *self else { return f.write_str("never") };
        let known = STOPS.iter().find(|&&(_, of, by)| (of, by) == (cause, rule));
        let (name, ..) = known.expect("every kind has a name");
        write!(f, "{name}:{k}")
    }
}

fn did_you_mean<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(typed, names).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["push", "pull", "push-pull"] {
            assert_eq!(text.parse::<ModelSpread>().unwrap().to_string(), text);
        }
        let stops = ["blind-coin:1", "blind-counter:2", "feedback-coin:3", "feedback-counter:40"];
        for text in ["never"].into_iter().chain(stops) {
            assert_eq!(text.parse::<Stop>().unwrap().to_string(), text);
        }
        let four = Stop::After(Cause::Feedback, Rule::Counter, 4);
        assert_eq!("feedback-counter:4".parse(), Ok(four));
    }

    #[test]
    fn a_typing_error_is_answered_with_the_nearest_name() {
        let error = "pul".parse::<ModelSpread>().unwrap_err();
        assert!(error.ends_with("did you mean `pull`?"), "{error}");
        let error = "feedback-counte:2".parse::<Stop>().unwrap_err();
        assert!(error.ends_with("did you mean `feedback-counter`?"), "{error}");
    }

    #[test]
    fn a_stop_without_a_sensible_k_is_refused() {
        for text in
            ["blind-coin", "blind-coin:", "blind-coin:0", "blind-coin:10001", "blind-coin:x"]
        {
            let error = text.parse::<Stop>().unwrap_err();
            assert!(error.contains("such as blind-coin:2"), "{text}: {error}");
        }
    }

    #[test]
    fn an_epidemic_that_cannot_be_is_refused_with_what_can() {
        let of = |nodes, fan_out, percent: u64| {
            let loss = Probability::from_ppb(percent * 10_000_000);
            Epidemic::new(ModelSpread::Push, Stop::Never, nodes, fan_out, loss).map(drop)
        };
        assert_eq!(of(2, 1, 99), Ok(()));
        for (nodes, fan_out, percent, fix) in [
            (1, 1, 0, "2 to 100000000 nodes"),
            (10, 0, 0, "1 to 255"),
            (10, 10, 0, "make it 9"),
            (10, 1, 100, "at most 99 %"),
        ] {
            let error = of(nodes, fan_out, percent).unwrap_err();
            assert!(error.contains(fix), "{error}");
        }
    }
}
