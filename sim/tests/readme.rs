//! The README does what it says: its commands run, the outputs and scenarios in it are true.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use rumormill_sim::scenario;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A page that people read, by its path from the root.
struct Page {
    path: PathBuf,
    text: String,
}

/// The README, those of the packages, and the documents.
fn pages() -> Vec<Page> {
    let documents = fs::read_dir(root().join("docs")).expect("the documents");
    let mut paths: Vec<PathBuf> = documents
        .map(|entry| Path::new("docs").join(entry.expect("an entry").file_name()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    paths.extend(["README.md", "engine/README.md", "sim/README.md"].map(PathBuf::from));
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(root().join(&path)).expect("a page");
        Page { path, text }
    };
    paths.into_iter().map(read).collect()
}

impl Page {
    fn readme() -> Self {
        pages().into_iter().find(|page| page.path == Path::new("README.md")).expect("the README")
    }

    /// The blocks of a language, each with the line before it.
    fn blocks(&self, language: &str) -> Vec<(String, String)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let fence = format!("```{language}");
        let mut found = Vec::new();
        for start in (1..lines.len()).filter(|&at| lines[at] == fence) {
            let body = lines[start + 1..].iter().take_while(|line| **line != "```");
            let body: Vec<_> = body.copied().collect();
            found.push((lines[start - 1].to_owned(), body.join("\n")));
        }
        found
    }
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

/// What a command prints, without the last lines, which name the folder of the results.
fn printed(command: &str) -> String {
    let printed = sim(command);
    printed.split("\nfiles: ").next().unwrap_or_default().trim_end().to_owned()
}

#[test]
fn a_newcomer_reads_the_readme_in_one_sitting() {
    let lines = Page::readme().text.lines().count();
    assert!(lines <= README_LINES_MAX, "{lines} lines: the rest belongs in docs/");
}

const README_LINES_MAX: usize = 250;

#[test]
fn the_first_command_of_the_readme_runs() {
    let call = "cargo run --release --bin sim -- ";
    let shell: Vec<_> = Page::readme().blocks("sh").into_iter().map(|(_, body)| body).collect();
    let commands: Vec<_> = shell
        .iter()
        .flat_map(|body| body.lines())
        .filter_map(|line| line.strip_prefix(call))
        .collect();
    assert!(!commands.is_empty(), "the README no longer begins with `{call}...`");
    commands.into_iter().for_each(|arguments| drop(sim(arguments)));
}

#[test]
fn the_outputs_in_the_pages_are_what_the_commands_print() {
    let mut shown = 0;
    for page in &pages() {
        let mut truth = page.text.clone();
        for (before, body) in page.blocks("text") {
            let command =
                before.strip_prefix("<!-- output: sim ").and_then(|it| it.strip_suffix(" -->"));
            let Some(command) = command else { continue };
            let block = |body: &str| format!("{before}\n```text\n{body}\n```");
            truth = truth.replace(&block(&body), &block(&printed(command)));
            shown += 1;
        }
        if env::var_os("UPDATE_README").is_some() {
            fs::write(root().join(&page.path), truth).expect("a page can be written");
        } else {
            let hint = "run this test with UPDATE_README=1, then look at the change";
            assert_eq!(truth, page.text, "{}: {hint}", page.path.display());
        }
    }
    let marks: usize =
        pages().iter().map(|page| page.text.matches("<!-- output: sim ").count()).sum();
    assert_eq!(shown, marks, "a command has no output");
}

#[test]
fn the_scenarios_in_the_pages_are_right() {
    let mut read = 0;
    for page in pages() {
        let path = page.path.display().to_string();
        for (_, text) in page.blocks("toml") {
            let scenario = scenario::parse(&path, &text, &[]);
            assert!(scenario.is_ok(), "{}", scenario.unwrap_err());
            read += 1;
        }
    }
    assert!(read >= 2, "the pages have no scenario");
}

#[test]
fn the_links_of_the_pages_lead_somewhere() {
    let mut missing = Vec::new();
    for Page { path, text } in pages() {
        let folder = root().join(path.parent().expect("a folder"));
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let dead = targets.filter(|target| !target.is_empty() && !folder.join(target).exists());
        missing.extend(dead.map(|target| format!("{}: {target}", path.display())));
    }
    assert!(missing.is_empty(), "dead links: {missing:#?}");
}
