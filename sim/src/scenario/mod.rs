//! Scenarios: from a TOML file as typed to a plan that a run can follow.
//!
//! [`load`] reads a file and checks everything that does not depend on chance; the [`Scenario`]
//! then lays out one [`plan`](Scenario::plan) for each seed. `scenarios/README.md` is the
//! language's reference.

pub mod addresses;
mod document;
mod errors;
mod language;
mod layout;
mod name;
pub mod plan;
mod units;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rumormill::Config;
use rumormill::link::Link;

pub use self::errors::{Blame, Paint, ScenarioError};
pub(crate) use self::language::NODES_MAX;
pub use self::name::Name;

use self::document::{Origin, Place, Sources, Table};
use self::errors::{Mistake, Mistakes};
use self::language::Typed;
use self::layout::Laid;
use self::plan::Plan;
use crate::protocols::Spec;
use crate::reading::{self, ReadError, shown};

/// The JSON Schema of scenario files, made from the keys that the reader takes.
pub fn schema() -> serde_json::Value {
    language::schema()
}

/// A scenario, read and checked.
#[derive(Clone, Debug)]
pub struct Scenario {
    typed: Typed,
    sources: Arc<Sources>,
    sets: Vec<Set>,
    resolved: String,
    overridden: bool,
    /// What was laid out to check it, for the first plan: a million nodes take a second.
    checked: Arc<Mutex<Option<Laid>>>,
}

/// What is wrong whatever the chance shows with any seed; this one is run most often.
const CHECKED_SEED: u64 = 1;

/// A `--set KEY=VALUE`: it replaces one value of the file.
///
/// The key is a path with dots, such as `engine.fan_out` or `at.0.time`; the value is TOML, or
/// else a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The option that it was typed after, which errors name.
    option: &'static str,
    text: String,
    equals: usize,
}

impl Set {
    /// Takes `KEY=VALUE` apart.
    ///
    /// # Errors
    /// When there is no `=`, or a part of the key is empty.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        Self::after("--set", text)
    }

    /// As [`Set::parse`], for what was typed after another option.
    ///
    /// # Errors
    /// When there is no `=`, or a part of the key is empty.
    pub fn after(option: &'static str, text: &str) -> Result<Self, ScenarioError> {
        let wrong = |why: &str| ScenarioError::command(format!("{option} {text}: {why}"));
        let equals = text.find('=').ok_or_else(|| {
            wrong(&format!("this is no KEY=VALUE: write it like `{option} engine.fan_out=4`"))
        })?;
        if text.len() > document::TEXT_LEN_MAX {
            return Err(ScenarioError::command(format!("a {option} is too long: at most 16 MiB")));
        }
        if text[..equals].split('.').any(|key| key.trim().is_empty()) {
            return Err(wrong("a part of the key is empty: write it like `engine.fan_out=4`"));
        }
        Ok(Self { option, text: text.to_owned(), equals })
    }

    /// What was typed: `KEY=VALUE`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Puts the value in its place.
    fn apply(&self, root: &mut Table, sources: &mut Sources) -> Result<(), Mistake> {
        let source = sources.add(Origin::Option(self.option), &self.text);
        let value = &self.text[self.equals + 1..];
        let item = document::read_value(source, self.equals + 1, value)?;
        let mut path = Vec::new();
        let mut start = 0;
        for key in self.text[..self.equals].split('.') {
            path.push((key.trim().to_owned(), Place::new(source, start..start + key.len())));
            start += key.len() + 1;
        }
        // The names of measures have dots of their own.
        if path[0].0 == "expect" && path.len() > 2 {
            let name = path[1..].iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(".");
            let place = Place::new(source, "expect.".len()..self.equals);
            document::forget(root, &path);
            path.splice(1.., [(name, place)]);
        }
        document::set(root, &path, item)
    }
}

/// Reads and checks a scenario file, with the values of `sets` in place of its own; `-` is standard
/// input.
///
/// # Errors
/// Everything that is wrong, each with file, line and the fix.
pub fn load(path: &Path, sets: &[Set]) -> Result<Scenario, ScenarioError> {
    let name = if is_stdin(path) { "<stdin>".to_owned() } else { shown(path).to_string() };
    let bytes = read_file(path, &name)?;
    let text = String::from_utf8(bytes).map_err(|error| not_text(&name, &error))?;
    parse(&name, &text, sets)
}

/// Reads and checks a scenario that is in memory; `name` stands for the file in errors.
///
/// # Errors
/// Everything that is wrong, each with file, line and the fix.
pub fn parse(name: &str, text: &str, sets: &[Set]) -> Result<Scenario, ScenarioError> {
    if text.len() > document::TEXT_LEN_MAX {
        return Err(ScenarioError::file(name, Blame::Scenario, "too long: at most 16 MiB"));
    }
    let (typed, sources) = read(name, text, sets)?;
    let resolved = typed.resolved();
    let as_in_file = |(typed, _): (Typed, _)| typed.resolved() == resolved;
    let overridden = !sets.is_empty() && !read(name, text, &[]).is_ok_and(as_in_file);
    let (sets, checked) = (sets.to_vec(), Arc::default());
    let scenario = Scenario { typed, sources, sets, resolved, overridden, checked };
    let checked = scenario.lay_out(CHECKED_SEED)?;
    Ok(Scenario { checked: Arc::new(Mutex::new(Some(checked))), ..scenario })
}

fn read(name: &str, text: &str, sets: &[Set]) -> Result<(Typed, Arc<Sources>), ScenarioError> {
    let (mut sources, mut found) = (Sources::default(), Mistakes::default());
    let source = sources.add(Origin::File(name.to_owned()), text);
    let typed = document::read(source, text, &mut found).and_then(|mut root| {
        for set in sets {
            found.keep(set.apply(&mut root, &mut sources));
        }
        Typed::read(&root, &mut found)
    });
    let sources = Arc::new(sources);
    match typed.filter(|_| found.is_empty()) {
        Some(typed) => Ok((typed, sources)),
        None => Err(ScenarioError::of(found, &sources)),
    }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new(reading::STDIN)
}

fn read_file(path: &Path, name: &str) -> Result<Vec<u8>, ScenarioError> {
    let scenario = |text: &str| ScenarioError::file(name, Blame::Scenario, text);
    let max = document::TEXT_LEN_MAX as u64;
    if path.is_dir() {
        return Err(scenario("this is a directory: name a scenario file in it"));
    }
    // A pipe is as good as a file, but neither it nor a device need have an end.
    let read = if is_stdin(path) { reading::stdin(max) } else { reading::bytes(path, max) };
    read.map_err(|error| match error {
        ReadError::Missing { .. } => scenario(&missing(path)),
        ReadError::TooLong { .. } => scenario("too long for a scenario: at most 16 MiB"),
        ReadError::Disk { source, .. } => {
            ScenarioError::file(name, Blame::Machine, &source.to_string())
        }
        ReadError::Wrong { why, .. } => scenario(&why),
    })
}

/// What to say of a file that is not there: the nearest name of its folder, if any is near.
fn missing(path: &Path) -> String {
    let beside = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let beside = fs::read_dir(beside.unwrap_or(Path::new("."))).into_iter().flatten();
    let mut names: Vec<String> =
        beside.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let typed = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let near = rumormill::units::nearest(typed, names.iter().map(String::as_str));
    match near.map(|near| path.with_file_name(near)) {
        Some(near) => format!("there is no such file, did you mean `{}`?", shown(&near)),
        None => "there is no such file".to_owned(),
    }
}

fn not_text(name: &str, error: &std::string::FromUtf8Error) -> ScenarioError {
    let valid = error.utf8_error().valid_up_to();
    // What precedes is text, so the place of the first wrong byte can be shown.
    let text = String::from_utf8_lossy(error.as_bytes());
    let mut sources = Sources::default();
    if text.len() > document::TEXT_LEN_MAX {
        return ScenarioError::file(name, Blame::Scenario, "this is not UTF-8 text");
    }
    let source = sources.add(Origin::File(name.to_owned()), &text);
    let end = valid + text[valid..].chars().next().map_or(0, char::len_utf8);
    let mistake = Mistake::new(
        Place::new(source, valid..end),
        "this byte is not UTF-8: save the file as UTF-8 text",
    );
    ScenarioError::of(mistake.into(), &Arc::new(sources))
}

impl Scenario {
    /// The same file, which is not read again, with the values of these sets as well.
    ///
    /// # Errors
    /// Everything that is wrong with it now.
    pub fn with(&self, sets: &[Set]) -> Result<Self, ScenarioError> {
        let file = self.sources.file();
        parse(file.origin.name(), &file.text, &[&self.sets, sets].concat())
    }

    /// The file as it was typed.
    pub(crate) fn text(&self) -> &str {
        &self.sources.file().text
    }

    /// Its name, which names the folder of its results.
    pub fn name(&self) -> &str {
        &self.typed.name
    }

    /// The same, as what it is.
    pub(crate) fn folder(&self) -> &Name {
        &self.typed.name
    }

    /// How many nodes it has at first.
    pub fn nodes(&self) -> u32 {
        self.typed.nodes
    }

    /// The virtual time that a run takes.
    pub fn duration(&self) -> Duration {
        self.typed.duration
    }

    /// How many actions it takes.
    pub fn actions(&self) -> usize {
        self.typed.actions.len()
    }

    /// How many expectations it has.
    pub fn expectations(&self) -> usize {
        self.typed.expect.len()
    }

    /// The scenario as TOML with every default and every `--set` written out.
    pub fn resolved(&self) -> &str {
        &self.resolved
    }

    /// The settings that the nodes run with, unless their group has others.
    pub fn engine(&self) -> &Config {
        &self.typed.engine
    }

    /// The protocol that the nodes speak.
    pub fn protocol(&self) -> &Spec {
        &self.typed.protocol.spec
    }

    /// Keys of `[engine]` that stand in the file, and that the protocol is not handed.
    pub fn unheard(&self) -> impl Iterator<Item = &str> {
        self.typed.unheard.iter().map(String::as_str)
    }

    /// The default link.
    pub fn network(&self) -> Link {
        self.typed.network.link()
    }

    /// Whether `--set` changed something.
    pub fn overridden(&self) -> bool {
        self.overridden
    }

    /// Lays out the run of one seed: draws what is left to chance, puts everything in order.
    ///
    /// # Errors
    /// When an action makes no sense at its time, such as a crash of nodes that don't run.
    pub fn plan(&self, seed: u64) -> Result<Plan, ScenarioError> {
        // Kept for nobody else: a plan of another seed needs the memory.
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner).take();
        let laid = match checked.filter(|_| seed == CHECKED_SEED) {
            Some(laid) => laid,
            None => self.lay_out(seed)?,
        };
        Ok(Plan {
            name: self.typed.name.to_string(),
            seed,
            duration: self.typed.duration,
            warmup: self.typed.warmup,
            sample: self.typed.sample,
            rumor_rows_max: self.typed.rumor_rows_max,
            protocol: self.typed.protocol.clone(),
            engine: Arc::clone(&self.typed.engine),
            network: self.typed.network.link(),
            links: self.typed.link_changes.clone(),
            clocks: self.typed.groups.clocks(),
            groups: self
                .typed
                .groups
                .sets()
                .map(|(name, set)| (name.to_owned(), set.to_vec()))
                .collect(),
            incarnations: laid.incarnations,
            nodes: self.typed.nodes,
            entries: self.typed.entries(),
            nodes_ever: self.typed.nodes + self.typed.newcomers,
            actions: laid.actions,
            expect: self.typed.expect.clone(),
            expect_seeds: self.typed.expect_seeds.clone(),
            resolved: self.resolved.clone(),
            overridden: self.overridden,
        })
    }

    fn lay_out(&self, seed: u64) -> Result<Laid, ScenarioError> {
        layout::lay_out(&self.typed, seed)
            .map_err(|mistakes| ScenarioError::of(mistakes, &self.sources))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_checking_laid_out_is_the_first_plan_and_the_same_as_any_later_one() {
        let text = "name = 'x'\nnodes = 9\nduration = '20s'\n\
                    [[at]]\ntime = '3s'\ncrash = { random = 2 }\nfor = '5s'\n";
        let read = || parse("x.toml", text, &[]).unwrap();
        let laid = |scenario: &Scenario| scenario.checked.lock().unwrap().is_some();
        let plan = |scenario: &Scenario, seed| format!("{:?}", scenario.plan(seed).unwrap());
        let scenario = read();
        assert!(laid(&scenario));
        let first = plan(&scenario, CHECKED_SEED);
        assert!(!laid(&scenario));
        assert_eq!(plan(&scenario, CHECKED_SEED), first);
        let scenario = read();
        let other = plan(&scenario, 2);
        assert!(!laid(&scenario) && other != first);
        assert_eq!(plan(&scenario, 2), other);
    }

    #[test]
    fn a_scenario_with_more_sets_is_the_file_with_all_of_them_and_so_are_its_errors() {
        let text = "name = 'x'\nnodes = 9\nduration = '20s'\n\
                    [[at]]\ntime = '3s'\ncrash = '6'\n";
        let set = |text: &str| Set::parse(text).unwrap();
        let first = [set("nodes=8"), set("duration=9s")];
        let scenario = parse("x.toml", text, &first).unwrap();
        let all = |last: &str| parse("x.toml", text, &[&first[..], &[set(last)]].concat());
        let more = |last: &str| scenario.with(&[set(last)]);
        let seven = more("nodes=7").unwrap();
        assert_eq!((seven.nodes(), seven.duration()), (7, Duration::from_secs(9)));
        assert_eq!(seven.resolved(), all("nodes=7").unwrap().resolved());
        for wrong in ["nodes=5", "nodes=x"] {
            let told =
                |scenario: Result<Scenario, ScenarioError>| scenario.unwrap_err().to_string();
            assert_eq!(told(more(wrong)), told(all(wrong)));
        }
        assert!(more("nodes=5").unwrap_err().to_string().contains("x.toml:6"));
    }
}
