//! `--target 'MEASURE <= VALUE'`: what a setting must hold, and whether anything can.

use std::collections::BTreeMap;

use super::Failure;
use crate::measures::Operator;
use crate::measures::{self, Unit};
use crate::reading::refused;
use crate::scenario::plan::{Expectation, Plan};

/// Measures of which the first is never above the second in one run.
const ORDERED: [(&str, &str); 10] = [
    ("metadata.t50", "metadata.t90"),
    ("metadata.t50", "metadata.t99"),
    ("metadata.t50", "metadata.t100"),
    ("metadata.t90", "metadata.t99"),
    ("metadata.t90", "metadata.t100"),
    ("metadata.t99", "metadata.t100"),
    ("detection.first", "detection.all"),
    ("node_list.converged_after", "node_list.converged_after_max"),
    ("bytes.payload", "bytes.with_headers"),
    ("per_node_per_second.bytes_p50", "per_node_per_second.bytes_max"),
];

/// Reads what was typed, in its order.
///
/// # Errors
/// When one is none, names no measure, or no run could hold all of them.
pub(super) fn read(texts: &[String]) -> Result<Vec<Expectation>, Failure> {
    let targets = texts
        .iter()
        .map(|text| parse(text).map_err(|why| Failure::wrong(format!("--target '{text}': {why}"))));
    let targets = targets.collect::<Result<Vec<_>, _>>()?;
    possible(targets)
}

/// What was typed, and behind it what the file itself expects: what must hold at all times must
/// hold of a recommended setting too. Of a measure that was typed the file's own is left out.
///
/// # Errors
/// When no run could hold all of them, or none has a figure of one.
pub(super) fn with_own(typed: Vec<Expectation>, plan: &Plan) -> Result<Vec<Expectation>, Failure> {
    let is_typed = |own: &&Expectation| typed.iter().any(|target| target.name == own.name);
    let own: Vec<Expectation> = plan.expect.iter().filter(|own| !is_typed(own)).cloned().collect();
    let all: Vec<Expectation> = typed.into_iter().chain(own).collect();
    match all.iter().find_map(|target| unmeasured(target, plan)) {
        Some(why) => Err(Failure::wrong(why)),
        None => possible(all),
    }
}

fn possible(targets: Vec<Expectation>) -> Result<Vec<Expectation>, Failure> {
    match contradiction(&targets) {
        Some(why) => Err(Failure::wrong(why)),
        None => Ok(targets),
    }
}

/// Why no run of a scenario can have a figure of a target's measure, if none can.
fn unmeasured(target: &Expectation, plan: &Plan) -> Option<String> {
    let name = target.name.as_str();
    let of_publish = name.starts_with("metadata.") || name.starts_with("rumors.metadata.");
    let of_write = name.starts_with("entries.") || name.starts_with("rumors.entry.");
    let (of, example) = match name {
        _ if of_write && !plan.writes() => {
            ("a put", "put = { node = 0, key = \"a\", data = \"v1\" }")
        }
        _ if of_publish && !plan.publishes() => {
            ("a publish", "publish = { node = 0, data = \"v1\" }")
        }
        _ if name.starts_with("detection.") && !plan.crashes() => {
            ("a crash", "crash = { random = 1 }")
        }
        _ => return None,
    };
    Some(format!(
        "`{}` is a figure of {of}, and there is none in the scenario {}: add an [[at]] with a \
         `time` and `{example}`, or ask for something else",
        text(target),
        plan.name
    ))
}

/// A target as it was typed.
pub(super) fn text(target: &Expectation) -> String {
    format!("{} {}", target.name, target.want)
}

fn parse(text: &str) -> Result<Expectation, String> {
    if let Some(why) = refused(text) {
        return Err(why);
    }
    let Some(at) = text.find(['<', '>', '=', '!']) else {
        return Err("this is no target: write it like 'metadata.t99 <= 200ms'".to_owned());
    };
    let (name, want) = (text[..at].trim(), text[at..].trim());
    let measure = measures::find(name).ok_or_else(|| measures::unknown(name))?;
    let (operator, value) = measure.condition(want)?;
    Ok(Expectation { name: name.to_owned(), want: want.to_owned(), operator, value })
}

/// The values that a measure may have, with the targets that say so.
#[derive(Clone, Debug)]
struct Range {
    low: (f64, bool, String),
    high: (f64, bool, String),
    not: Vec<(f64, String)>,
}

impl Range {
    /// What a unit allows: nothing is negative, and shares end at one.
    fn of(name: &str) -> Self {
        let unit = measures::find(name).map(|measure| measure.unit);
        let (high, what) = match unit {
            Some(Unit::Share | Unit::Flag) => (1.0, "it is at most 100%"),
            _ => (f64::INFINITY, ""),
        };
        let low = (0.0, false, "it is never negative".to_owned());
        Self { low, high: (high, false, what.to_owned()), not: Vec::new() }
    }

    fn narrow(&mut self, target: &Expectation) {
        let (value, text) = (target.value, text(target));
        let mut low = |open: bool| {
            if (value, open) > (self.low.0, self.low.1) {
                self.low = (value, open, text.clone());
            }
        };
        match target.operator {
            Operator::Greater => low(true),
            Operator::AtLeast | Operator::Equal => low(false),
            _ => {}
        }
        let mut high = |open: bool| {
            if value < self.high.0 || (value == self.high.0 && open) {
                self.high = (value, open, text.clone());
            }
        };
        match target.operator {
            Operator::Less => high(true),
            Operator::AtMost | Operator::Equal => high(false),
            Operator::NotEqual => self.not.push((value, text)),
            _ => {}
        }
    }

    /// Two reasons that exclude each other, when nothing is left.
    fn empty(&self) -> Option<(&str, &str)> {
        let (low, high) = (&self.low, &self.high);
        if low.0 > high.0 || (low.0 == high.0 && (low.1 || high.1)) {
            return Some((&low.2, &high.2));
        }
        let same = low.0 == high.0;
        let not = self.not.iter().find(|(value, _)| same && *value == low.0)?;
        Some((&low.2, &not.1))
    }
}

/// Why no run can hold all targets, if none can.
fn contradiction(targets: &[Expectation]) -> Option<String> {
    let mut ranges: BTreeMap<&str, Range> = BTreeMap::new();
    for target in targets {
        ranges.entry(&target.name).or_insert_with(|| Range::of(&target.name)).narrow(target);
    }
    let empty = ranges.iter().find_map(|(name, range)| Some((name, range.empty()?)));
    if let Some((name, (one, other))) = empty {
        let own =
            |text: &str| if text.starts_with(name) { format!("`{text}`") } else { text.to_owned() };
        return Some(format!(
            "no run can hold these targets of {name}: {} and {}; drop one of them",
            own(one),
            own(other)
        ));
    }
    let (small, large) = ORDERED.iter().find(|(small, large)| {
        let (small, large) = (ranges.get(small), ranges.get(large));
        small.zip(large).is_some_and(|(small, large)| small.low.0 > large.high.0)
    })?;
    Some(format!(
        "no run can hold `{}` and `{}`: {small} is never above {large}; drop one of them",
        ranges[small].low.2, ranges[large].high.2
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(texts: &[&str]) -> Result<usize, String> {
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        read(&texts).map(|targets| targets.len()).map_err(|failure| failure.text)
    }

    #[test]
    fn a_target_is_a_measure_an_operator_and_a_value() {
        let target = parse("metadata.t99<=200ms").unwrap();
        assert_eq!((target.name.as_str(), target.want.as_str()), ("metadata.t99", "<=200ms"));
        assert_eq!((target.operator, target.value), (Operator::AtMost, 200.0));
        assert_eq!(told(&["metadata.t99 <= 200ms", "removals.false == 0"]), Ok(2));
    }

    #[test]
    fn what_is_no_target_is_told_with_the_nearest() {
        for (text, expected) in [
            ("metadata.t9 <= 200ms", "unknown measure `metadata.t9`, did you mean `metadata.t90`?"),
            ("removals.fasle == 0", "did you mean `removals.false`?"),
            ("metadata.t99 200ms", "this is no target: write it like"),
            ("metadata.t99 <= 5", "`metadata.t99` is a duration and `5` is none"),
            ("removals.false = 0", "is no condition"),
        ] {
            let error = told(&[text]).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
            assert_eq!(error.lines().count(), 1);
        }
    }

    #[test]
    fn targets_that_contradict_each_other_are_one_clear_line() {
        for texts in [
            &["metadata.t99 <= 200ms", "metadata.t99 >= 1s"][..],
            &["metadata.t99 < 1s", "metadata.t99 >= 1s"],
            &["removals.false == 0", "removals.false != 0"],
            &["removals.false == 0", "removals.false == 1"],
            &["removals.false < 0"],
            &["rumors.join.coverage > 100%"],
            &["metadata.t50 >= 2s", "metadata.t90 <= 1s"],
        ] {
            let error = told(texts).unwrap_err();
            assert!(error.starts_with("error: no run can hold"), "{error}");
            assert_eq!(error.lines().count(), 1);
        }
        assert!(told(&["metadata.t99 <= 1s", "metadata.t99 >= 1s"]).is_ok());
        assert!(told(&["metadata.t50 <= 1s", "metadata.t99 >= 1s"]).is_ok());
        let error = told(&["metadata.t99 <= 200ms", "metadata.t99 >= 1s"]).unwrap_err();
        assert!(error.contains("`metadata.t99 >= 1s` and `metadata.t99 <= 200ms`"), "{error}");
    }
}
