//! `--trace-rumor`: whether there was such a rumor, which only the runs themselves show.

use std::collections::BTreeSet;

use rumormill::units::nearest;

use super::{Failure, Outcome, Request};

/// Rumors that are named to whom asked for another.
const NAMED_MAX: usize = 12;

/// Nobody waits for a trace, and then has one that is empty because of a slip of the pen.
///
/// # Errors
/// When a rumor that was asked for was none in any of the runs.
pub(super) fn check(request: &Request, outcomes: &[Outcome]) -> Result<(), Failure> {
    let Some(filter) = request.filter()? else { return Ok(()) };
    if outcomes.iter().any(|outcome| outcome.rumors_left_out > 0) {
        return Ok(());
    }
    let all = || outcomes.iter().flat_map(|outcome| &outcome.summary.rumors);
    let unknown = filter.rumors.iter().find(|wanted| all().all(|rumor| rumor.id != **wanted));
    let Some(unknown) = unknown else { return Ok(()) };
    let mut seen = BTreeSet::new();
    let ids: Vec<&str> =
        all().map(|rumor| rumor.id.as_str()).filter(|&id| seen.insert(id)).collect();
    Err(Failure::wrong(format!("--trace-rumor {unknown}: {}", told(unknown, &ids))))
}

fn told(unknown: &str, ids: &[&str]) -> String {
    if ids.is_empty() {
        return "no rumor was started: leave it out".to_owned();
    }
    let near = nearest(unknown, ids.iter().copied());
    let near = near.map_or(".".to_owned(), |near| format!(", did you mean {near}?"));
    let (named, more) = ids.split_at(ids.len().min(NAMED_MAX));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    format!("there is no such rumor{near} There are {}{more}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_no_rumor_is_told_which_there_are() {
        let ids: Vec<String> = (0..14).map(|number| format!("join-{number}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        assert_eq!(
            told("metadata-9", &ids[..2]),
            "there is no such rumor. There are join-0, join-1"
        );
        let told = told("jion-3", &ids);
        assert!(told.starts_with("there is no such rumor, did you mean join-3? There are join-0,"));
        assert!(told.ends_with("join-11 and 2 more"), "{told}");
        assert_eq!(super::told("x", &[]), "no rumor was started: leave it out");
    }
}
