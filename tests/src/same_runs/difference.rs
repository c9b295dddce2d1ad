//! The first place in which what two builds wrote differs.

use std::fmt;

/// A place, with what either build has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    place: String,
    old: String,
    new: String,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With files, and this exit code: what was expected held, or did not.
    Wrote(i32),
    /// With none, for this reason.
    Failed(String),
}

impl Difference {
    /// Of how two runs ended. Two that failed are none that could be compared.
    pub fn of_ends(old: &Ended, new: &Ended) -> Option<Self> {
        let wrote = old == new && matches!(old, Ended::Wrote(_));
        let [old, new] = [old, new].map(|ended| format!("{ended:?}"));
        (!wrote).then(|| Self { place: "how it ends".to_owned(), old, new })
    }

    /// Of two files of this name. The release and the digest of the scenario, which a new key with
    /// its default changes, say nothing of what happened.
    pub fn of_files(name: &str, old: &str, new: &str) -> Option<Self> {
        if old == new {
            return None;
        }
        let is_of_its_making = |line: Option<&str>| {
            let line = line.unwrap_or_default().trim_start();
            name == "summary.json"
                && ["\"tool_version\": ", "\"scenario_digest\": "]
                    .iter()
                    .any(|key| line.starts_with(key))
        };
        // Lines keep their ends, so that the last one may differ by nothing else.
        let (mut olds, mut news) = (old.split_inclusive('\n'), new.split_inclusive('\n'));
        for number in 1.. {
            let (old, new) = (olds.next(), news.next());
            if old.is_none() && new.is_none() {
                break;
            }
            let alike = is_of_its_making(old) && is_of_its_making(new);
            if !alike && let Some(found) = Self::of(&format!("{name}:{number}"), old, new) {
                return Some(found);
            }
        }
        None
    }

    fn of(place: &str, old: Option<&str>, new: Option<&str>) -> Option<Self> {
        let shown = |text: Option<&str>| text.map_or("nothing".to_owned(), |it| format!("{it:?}"));
        let [shown_old, shown_new] = [old, new].map(shown);
        let different = Self { place: place.to_owned(), old: shown_old, new: shown_new };
        (old != new).then_some(different)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, old, new } = self;
        write!(f, "{place}\n  old: {old}\n  new: {new}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, old: &str, new: &str) -> Option<String> {
        Difference::of_files(name, old, new).map(|different| different.to_string())
    }

    #[test]
    fn equal_files_have_no_difference_and_others_are_told_by_their_first_line() {
        assert_eq!(told("rumors.csv", "a\nb\n", "a\nb\n"), None);
        let first = told("rumors.csv", "a\nb\nc\n", "a\nB\nC\n").unwrap();
        assert_eq!(first, "rumors.csv:2\n  old: \"b\\n\"\n  new: \"B\\n\"");
        let shorter = told("rumors.csv", "a\nb\n", "a\n").unwrap();
        assert_eq!(shorter, "rumors.csv:2\n  old: \"b\\n\"\n  new: nothing");
        assert!(told("rumors.csv", "a\n", "a").is_some(), "the last byte counts");
        assert!(told("trace.jsonl", "", "\n").is_some());
    }

    #[test]
    fn the_release_and_the_digest_are_no_difference_and_hide_none() {
        let summary = |version: &str, sent: u32| {
            format!(
                "{{\n  \"scenario_digest\": \"{version}\",\n  \"tool_version\": \"{version}\",\n  \
                 \"sent\": {sent}\n}}\n"
            )
        };
        assert_eq!(told("summary.json", &summary("1", 7), &summary("2", 7)), None);
        let different = told("summary.json", &summary("1", 7), &summary("2", 8)).unwrap();
        assert!(different.starts_with("summary.json:4\n"), "{different}");
        assert!(told("rumors.csv", &summary("1", 7), &summary("2", 7)).is_some());
    }

    #[test]
    fn another_end_is_a_difference_and_so_is_none() {
        let failed = || Ended::Failed("no such key".to_owned());
        assert_eq!(Difference::of_ends(&Ended::Wrote(1), &Ended::Wrote(1)), None);
        assert!(Difference::of_ends(&Ended::Wrote(0), &Ended::Wrote(1)).is_some());
        assert!(Difference::of_ends(&failed(), &failed()).is_some(), "neither was compared");
    }
}
