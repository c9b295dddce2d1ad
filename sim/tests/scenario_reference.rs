//! The shipped scenarios and every example of the language's reference can be read.

use std::fs;
use std::path::{Path, PathBuf};

use rumormill_sim::scenario::{Scenario, Set, load, parse};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

fn shipped() -> Vec<PathBuf> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|ext| ext == "toml")).collect();
    files.sort();
    assert!(files.len() >= 5, "the shipped scenarios are missing");
    files
}

/// The TOML blocks of the reference, with the number of their first line. Blocks without a
/// `name` are parts of a scenario, and stand here behind what the reference says to put there.
fn examples() -> Vec<(usize, String)> {
    let reference = fs::read_to_string(folder().join("README.md")).unwrap();
    let mut blocks = Vec::new();
    let mut lines = reference.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if line == "```toml" {
            let body = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            blocks.push((index + 2, body.collect::<Vec<_>>().join("\n")));
        }
    }
    for (_, block) in &mut blocks {
        if !block.starts_with("name = ") {
            *block = format!("name = \"part\"\nnodes = 50\nduration = \"60s\"\n{block}");
        }
    }
    blocks
}

fn every_scenario() -> Vec<(String, Scenario)> {
    let shipped = shipped().into_iter().map(|path| {
        let scenario = load(&path, &[]).unwrap_or_else(|error| panic!("{error}"));
        (path.display().to_string(), scenario)
    });
    let examples = examples().into_iter().map(|(line, text)| {
        let name = format!("scenarios/README.md, example at line {line}");
        let scenario = parse(&name, &text, &[]).unwrap_or_else(|error| panic!("{error}"));
        (name, scenario)
    });
    shipped.chain(examples).collect()
}

#[test]
fn every_example_of_the_reference_is_a_scenario() {
    assert!(examples().len() >= 22, "the examples are not found");
    for (name, scenario) in every_scenario() {
        for seed in 0..20 {
            scenario.plan(seed).unwrap_or_else(|error| panic!("{name}, seed {seed}: {error}"));
        }
    }
}

#[test]
fn the_large_scenarios_are_scenarios_and_explain_themselves() {
    let reference = fs::read_to_string(folder().join("README.md")).unwrap();
    for name in ["thousand", "ten-thousand", "hundred-thousand", "million"] {
        let path = folder().join(format!("large/{name}.toml"));
        let scenario = load(&path, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(scenario.name(), name);
        assert!(scenario.expectations() >= 2, "{name} expects too little");
        assert!(fs::read_to_string(&path).unwrap().starts_with("# "), "{name} explains nothing");
        assert!(reference.contains(&format!("(large/{name}.toml)")), "{name} is not in the table");
    }
}

#[test]
fn the_scenarios_of_the_sick_are_scenarios_and_explain_themselves() {
    let table = fs::read_to_string(folder().join("sick/README.md")).unwrap();
    let files = fs::read_dir(folder().join("sick")).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|ext| ext == "toml")).collect();
    assert!(files.len() >= 8, "the scenarios are missing");
    for path in files {
        let scenario = load(&path, &[]).unwrap_or_else(|error| panic!("{error}"));
        scenario.plan(1).unwrap_or_else(|error| panic!("{error}"));
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(scenario.name(), name);
        assert!(scenario.expectations() >= 2, "{name} expects too little");
        let text = fs::read_to_string(&path).unwrap();
        let comment: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
        assert!(comment.len() >= 5, "{name} does not open with an explanation");
        let command = format!("scenarios/sick/{name}.toml");
        assert!(comment.iter().any(|line| line.contains(&command)), "{name} names no command");
        assert!(table.contains(&format!("[`{name}`]({name}.toml)")), "{name} is not in the table");
    }
}

#[test]
fn a_resolved_scenario_resolves_to_itself_and_has_the_same_plan() {
    for (name, scenario) in every_scenario() {
        let again = parse("resolved.toml", scenario.resolved(), &[])
            .unwrap_or_else(|error| panic!("{name} resolves to no scenario: {error}"));
        assert_eq!(again.resolved(), scenario.resolved(), "{name}");
        assert!(!again.overridden());
        let plans = [&scenario, &again].map(|scenario| scenario.plan(7).unwrap());
        let [one, other] = plans.map(|plan| format!("{plan:?}"));
        assert_eq!(one, other, "{name} and its resolved form differ");
    }
}

#[test]
fn the_reference_names_every_action_and_every_shipped_scenario() {
    let reference = fs::read_to_string(folder().join("README.md")).unwrap();
    for file in shipped() {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(reference.contains(&format!("[`{name}`]({name})")), "{name} is not in the table");
    }
    let error = parse("x", "name='x'\nnodes=1\nduration='1s'\n[[at]]\ntime='0s'", &[]).unwrap_err();
    let (_, actions) = error.headline().split_once("add one of ").unwrap();
    let keys = ["for", "every", "until", "count", "jitter", "stagger", "label"];
    for action in actions.split(", ").chain(keys) {
        let used = examples().iter().any(|(_, text)| text.contains(&format!("\n{action} = ")));
        assert!(used, "{action} has no example in the reference");
    }
}

#[test]
fn every_shipped_scenario_explains_itself_and_expects_something() {
    for path in shipped() {
        let text = fs::read_to_string(&path).unwrap();
        let comment = text.lines().take_while(|line| line.starts_with('#')).count();
        assert!(comment >= 5, "{} does not open with an explanation", path.display());
        let scenario = load(&path, &[]).unwrap();
        assert!(scenario.expectations() >= 2, "{} expects too little", path.display());
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(scenario.name(), name, "the name is not that of the file");
    }
}

#[test]
fn a_set_replaces_a_value_and_shows_in_the_resolved_scenario() {
    let with = |sets: &[&str]| {
        let sets: Vec<Set> = sets.iter().map(|set| Set::parse(set).unwrap()).collect();
        load(&folder().join("partition.toml"), &sets).unwrap_or_else(|error| panic!("{error}"))
    };
    let plain = with(&[]);
    assert!(!plain.overridden());
    for (set, line) in [
        ("engine.fan_out=7", "fan_out = 7"),
        ("network.loss=30%", "loss = \"30%\""),
        ("at.1.for=30s", "for = \"30s\""),
        ("nodes=60", "nodes = 60"),
        ("expect.removals.false=<= 3", "\"removals.false\" = \"<= 3\""),
        ("expect.metadata.t99=<= 3s", "\"metadata.t99\" = \"<= 3s\""),
        ("bootstrap={ random = 2 }", "bootstrap = { random = 2 }"),
        ("bootstrap={ knows = '90%' }", "bootstrap = { knows = \"90%\" }"),
    ] {
        let scenario = with(&[set]);
        assert!(scenario.overridden(), "{set}");
        assert!(scenario.resolved().contains(line), "{set}:\n{}", scenario.resolved());
        assert_ne!(scenario.resolved(), plain.resolved());
    }
    assert!(!with(&["nodes=50"]).overridden(), "a set to the same value changes nothing");
    assert_eq!(with(&["nodes=60", "nodes=70"]).nodes(), 70);
}
