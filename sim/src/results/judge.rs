//! Holds what a run showed against what its scenario expects.

use serde_json::Value;

use super::summary::{ExpectationResult, Summary};
use crate::measures::{as_number, find, value};
use crate::scenario::plan::{Expectation, Plan};

/// Holds a summary against an expectation. Null holds none.
pub fn judge(expectation: &Expectation, summary: &Value) -> ExpectationResult {
    let measure = find(&expectation.name);
    let got = measure.map_or(Value::Null, |measure| value(summary, measure));
    let ok = as_number(&got).is_some_and(|got| expectation.operator.holds(got, expectation.value));
    ExpectationResult { name: expectation.name.clone(), want: expectation.want.clone(), got, ok }
}

/// Holds the figures of a run against what its scenario expects, and says whether all is well.
pub(crate) fn judge_run(plan: &Plan, summary: &mut Summary) {
    let figures = serde_json::to_value(&*summary).expect("figures have string keys");
    let judged = plan.expect.iter().map(|expectation| judge(expectation, &figures));
    summary.expectations = judged.collect();
    summary.ok = summary.invariants.iter().all(|law| law.ok)
        && summary.expectations.iter().all(|result| result.ok);
}
