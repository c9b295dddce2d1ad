//! The README does what it says: its commands run, the outputs and scenarios in it are true.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use rumormill_sim::scenario;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).expect("the README")
}

/// The blocks of a language, each with the line before it.
fn blocks(language: &str) -> Vec<(String, String)> {
    let text = readme();
    let lines: Vec<&str> = text.lines().collect();
    let fence = format!("```{language}");
    let mut found = Vec::new();
    for start in (1..lines.len()).filter(|&at| lines[at] == fence) {
        let body = lines[start + 1..].iter().take_while(|line| **line != "```");
        let body: Vec<_> = body.copied().collect();
        found.push((lines[start - 1].to_owned(), body.join("\n")));
    }
    found
}

/// The words of a command as a shell parts them: what stands in single quotes is one.
fn words(arguments: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in arguments.split('\'').enumerate() {
        match place % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

/// Runs `sim` as if from the root of the workspace, with its results elsewhere.
fn sim(arguments: &str) -> String {
    let out = tempfile::tempdir().expect("a folder");
    let mut command = Command::cargo_bin("sim").expect("the binary");
    let words = words(arguments);
    let writes = ["run", "sweep", "tune", "merge"].contains(&words[0].as_str());
    command.current_dir(root()).args(words);
    if writes {
        command.arg("--out").arg(out.path());
    }
    let output = command.assert().success().get_output().stdout.clone();
    String::from_utf8(output).expect("text")
}

#[test]
fn the_first_command_of_the_readme_runs() {
    let call = "cargo run --release --bin sim -- ";
    let shell: Vec<_> = blocks("sh").into_iter().map(|(_, body)| body).collect();
    let commands: Vec<_> = shell
        .iter()
        .flat_map(|body| body.lines())
        .filter_map(|line| line.strip_prefix(call))
        .collect();
    assert!(!commands.is_empty(), "the README no longer begins with `{call}...`");
    commands.into_iter().for_each(|arguments| drop(sim(arguments)));
}

#[test]
fn the_outputs_in_the_readme_are_what_the_commands_print() {
    let mut shown = 0;
    let mut text = readme();
    for (before, body) in blocks("text") {
        let command =
            before.strip_prefix("<!-- output: sim ").and_then(|it| it.strip_suffix(" -->"));
        let Some(command) = command else { continue };
        let printed = sim(command);
        // The last lines name the folder of the results.
        let printed = printed.split("\nfiles: ").next().unwrap_or_default().trim_end();
        if env::var_os("UPDATE_README").is_some() {
            let block = |body: &str| format!("{before}\n```text\n{body}\n```");
            text = text.replace(&block(&body), &block(printed));
        } else {
            assert_eq!(
                printed, body,
                "run this test with UPDATE_README=1, then look at the change"
            );
        }
        shown += 1;
    }
    assert_eq!(shown, text.matches("<!-- output: sim ").count(), "a command has no output");
    if env::var_os("UPDATE_README").is_some() {
        fs::write(root().join("README.md"), text).expect("the README can be written");
    }
}

#[test]
fn the_scenarios_in_the_readme_are_right() {
    let blocks = blocks("toml");
    assert_eq!(blocks.len(), 1);
    for (_, text) in blocks {
        let scenario = scenario::parse("README.md", &text, &[]);
        assert!(scenario.is_ok(), "{}", scenario.unwrap_err());
    }
}

#[test]
fn the_links_of_the_readme_lead_somewhere() {
    let text = readme();
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let missing: Vec<_> = targets.filter(|target| !root().join(target).exists()).collect();
    assert!(missing.is_empty(), "dead links: {missing:?}");
}
