//! The rules of the house that a compiler does not know, for every file and every function.

mod arrows;
mod names;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_CHARS_MAX: usize = 100;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace")
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in ["engine", "sim", "bench", "tests", "fuzz"] {
        collect(&root().join(folder), &mut found);
    }
    assert!(found.len() > 20, "the sources were not found");
    found
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source in UTF-8");
            found.push((path, text));
        }
    }
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// No line of the files under these paths has one of these words in it.
fn assert_none_names(paths: &[&str], banned: &[&str], instead: &str) {
    let mut complaints = Vec::new();
    for (path, text) in sources() {
        let name = shown(&path);
        if !paths.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        for (number, line) in (1..).zip(text.lines()) {
            for word in banned.iter().filter(|&&word| line.contains(word)) {
                complaints.push(format!("{name}:{number}: names {word}: {instead}"));
            }
        }
    }
    assert_none(&complaints);
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

#[test]
fn no_file_is_longer_than_one_can_hold_in_the_head() {
    let too_long = |(path, text): &(PathBuf, String)| {
        let lines = text.lines().count();
        (lines > FILE_LINES_MAX).then(|| format!("{}: {lines} lines", shown(path)))
    };
    assert_none(&sources().iter().filter_map(too_long).collect::<Vec<_>>());
}

#[test]
fn no_line_is_wider_than_the_page() {
    let mut complaints = Vec::new();
    for (path, text) in sources() {
        for (number, line) in (1..).zip(text.lines()) {
            let chars = line.chars().count();
            if chars > LINE_CHARS_MAX {
                complaints.push(format!("{}:{number}: {chars} characters", shown(&path)));
            }
        }
    }
    assert_none(&complaints);
}

/// Functions by their first line, name and length. Formatted code closes a block at the
/// indentation at which the item began, which is all that needs to be known here.
fn functions(text: &str) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let qualifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe"];
        let first = words.iter().position(|word| !qualifiers.contains(word));
        let Some(name) = first.filter(|&at| words[at] == "fn").and_then(|at| words.get(at + 1))
        else {
            continue;
        };
        let closes = |line: &&str| {
            line.trim_start().starts_with('}') && indent(line) == indent(lines[start])
        };
        if let Some(length) = lines[start..].iter().position(closes) {
            found.push((start + 1, (*name).to_owned(), length + 1));
        }
    }
    found
}

#[test]
fn no_function_is_longer_than_a_screen() {
    let mut complaints = Vec::new();
    let mut count = 0;
    for (path, text) in sources() {
        for (line, name, length) in functions(&text) {
            count += 1;
            if length > FUNCTION_LINES_MAX {
                complaints.push(format!("{}:{line}: {name} has {length} lines", shown(&path)));
            }
        }
    }
    assert!(count > 200, "only {count} functions were found");
    assert_none(&complaints);
}

#[test]
fn the_length_of_a_function_is_counted_to_its_closing_brace() {
    let text = "impl A {\n    pub fn one(\n        a: u8,\n    ) -> u8 {\n        a\n    }\n}\n\
                fn two() {\n}\n";
    let found: Vec<_> =
        functions(text).into_iter().map(|(line, _, length)| (line, length)).collect();
    assert_eq!(found, [(2, 5), (8, 2)]);
}

#[test]
fn every_module_opens_with_a_sentence() {
    let silent = |(path, text): &(PathBuf, String)| {
        (!text.starts_with("//! ")).then(|| format!("{}: no module doc", shown(path)))
    };
    assert_none(&sources().iter().filter_map(silent).collect::<Vec<_>>());
}

/// What the deterministic parts must not name. The build bans clocks and hash order by
/// `clippy.toml`, and tokio by the features; this names the line.
#[test]
fn the_name_of_a_file_is_only_printed_escaped() {
    let mut complaints = Vec::new();
    for (path, text) in sources() {
        let name = shown(&path);
        let prints = name.starts_with("sim/src/") && !name.ends_with("/tests.rs");
        if !prints || name == "sim/src/reading.rs" {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for (number, _) in (1..).zip(code.lines()).filter(|(_, line)| line.contains(".display()")) {
            let why = "a file's name may hold what a terminal obeys: take `reading::shown`";
            complaints.push(format!("{name}:{number}: {why}"));
        }
    }
    assert_none(&complaints);
}

#[test]
fn the_core_names_no_clock_entropy_socket_or_runtime() {
    let pure = [
        "engine/src/core",
        "engine/src/wire",
        "engine/src/link.rs",
        "sim/src/world",
        "sim/src/observe",
        "sim/src/rivals",
    ];
    let banned = [
        "tokio",
        "std::time::Instant",
        "SystemTime",
        "UdpSocket",
        "TcpStream",
        "sys_rng",
        "SysRng",
        "thread_rng",
        "std::thread",
        "std::env",
        "RandomState",
    ];
    assert_none_names(&pure, &banned, "take it as an argument");
}

/// Standard floats differ in their last bits between processors; results must not.
#[test]
fn the_virtual_path_calls_no_standard_float_function() {
    let pure =
        ["engine/src", "sim/src/world", "sim/src/observe", "sim/src/rivals", "sim/src/scenario"];
    let banned = [
        ".ln()", ".exp()", ".powf(", ".powi(", ".sin()", ".cos()", ".log2()", ".log10()", ".sqrt()",
    ];
    assert_none_names(&pure, &banned, "use libm");
}

/// The lines of a table of a manifest, less its comments, by what follows its name.
fn tables(manifest: &str, name: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).expect("a manifest in UTF-8");
    let mut found = Vec::new();
    let mut table = None;
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(heading) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            table = heading.strip_prefix(name).map(str::to_owned);
        } else if let Some(table) = table.as_ref().filter(|_| !line.is_empty()) {
            found.push(format!("{table}: {line}"));
        }
    }
    found.sort();
    found
}

/// It lies outside of the workspace, from which it could inherit them.
#[test]
fn the_fuzz_package_has_the_lints_of_the_workspace() {
    let lints = tables("Cargo.toml", "workspace.lints.");
    assert!(lints.len() > 5, "only {lints:?} were found");
    assert_eq!(tables("fuzz/Cargo.toml", "lints."), lints);
}

#[test]
fn every_fuzz_target_is_told_in_the_readme() {
    let readme = fs::read_to_string(root().join("fuzz/README.md")).expect("a readme in UTF-8");
    let mut targets = Vec::new();
    collect(&root().join("fuzz/targets"), &mut targets);
    assert!(targets.len() > 5, "the targets were not found");
    let untold = |(path, _): &(PathBuf, String)| {
        let name = path.file_stem().expect("a file").display().to_string();
        let told = readme.contains(&format!("| `{name}` |"));
        (!told).then(|| format!("fuzz/README.md does not tell of `{name}`"))
    };
    assert_none(&targets.iter().filter_map(untold).collect::<Vec<_>>());
}

/// Who reads what is promised can look how it is held to.
#[test]
fn every_test_that_the_security_document_names_is_there() {
    let text = fs::read_to_string(root().join("docs/security.md")).expect("the document");
    let all: String = sources().into_iter().map(|(_, text)| text).collect();
    let is_name = |word: &&str| word.matches('_').count() >= 4 && !word.contains([' ', '.']);
    let named: Vec<_> = text.split('`').skip(1).step_by(2).filter(is_name).collect();
    assert!(named.len() > 30, "only {} tests are named", named.len());
    let missing = named.iter().filter(|name| !all.contains(&format!("fn {name}(")));
    assert_none(&missing.map(|name| format!("there is no test {name}")).collect::<Vec<_>>());
}

/// What nearly every service writes. All else that is public stands in the module that it is of,
/// of which the docs of the crate have the map.
const ROOT_NAMES: [&str; 15] = [
    "Config",
    "ConfigBuilder",
    "ConfigError",
    "Event",
    "Events",
    "Liveness",
    "Metadata",
    "Node",
    "NodeBuilder",
    "NodeError",
    "NodeList",
    "NodeListError",
    "Notice",
    "SecretKey",
    "Version",
];

/// The names of all `pub use` at the margin, whatever lines they are written on.
fn re_exported(text: &str) -> Vec<&str> {
    let statements = text.split("\npub use ").skip(1).filter_map(|rest| rest.split(';').next());
    let names = statements.filter_map(|statement| statement.split_once("::"));
    let names = names.flat_map(|(_, names)| names.split(['{', '}', ',']).map(str::trim));
    let mut names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    names
}

#[test]
fn the_root_of_the_engine_has_the_names_of_a_service_and_no_others() {
    let text = fs::read_to_string(root().join("engine/src/lib.rs")).expect("the crate's root");
    let why = "re-export a name in its module and add that to the map in the crate's docs";
    assert_eq!(re_exported(&text), ROOT_NAMES, "{why}");
    assert_eq!(re_exported("\npub use a::{\n    C,\n    B,\n};\npub use d::E;\n"), ["B", "C", "E"]);
}

#[test]
fn nothing_is_re_exported_by_a_glob() {
    let mut complaints = Vec::new();
    for (path, text) in sources() {
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| line.ends_with("::*;")) {
            if line.trim_start().starts_with("pub") {
                let name = shown(&path);
                complaints
                    .push(format!("{name}:{number}: name what this re-exports, or its module"));
            }
        }
    }
    assert_none(&complaints);
}

/// The name of a type that a line makes public.
fn public_type(line: &str) -> Option<&str> {
    let item = line.trim_start().strip_prefix("pub ")?;
    let (kind, rest) = item.split_once(' ')?;
    let name = rest.split(|char: char| !char.is_alphanumeric()).next()?;
    // A macro's name for one is none.
    (["struct", "enum", "trait"].contains(&kind) && !name.is_empty()).then_some(name)
}

/// The names in backticks of a line of docs that no link is made of.
fn unlinked<'a>(docs: &'a str, types: &BTreeSet<&str>) -> Vec<&'a str> {
    let parts: Vec<&str> = docs.split('`').collect();
    let spans = parts.windows(2).skip(1).step_by(2).zip(parts.iter().step_by(2));
    let is_path =
        |span: &str| span.chars().all(|char| char.is_alphanumeric() || ":_".contains(char));
    spans
        .map(|(span, before)| (span[0], before))
        // The names of Go are those of pekonode.
        .filter(|(_, before)| !before.ends_with('[') && !before.ends_with("pekonode's "))
        .map(|(span, _)| if span.contains("::") { span.trim_end_matches("()") } else { span })
        .filter(|span| is_path(span) && types.contains(span.split("::").next().unwrap_or_default()))
        .collect()
}

#[test]
fn docs_link_every_type_that_they_name() {
    let engine = sources().into_iter().filter(|(path, _)| shown(path).starts_with("engine/src"));
    let engine: Vec<_> = engine.collect();
    let lines = || engine.iter().flat_map(|(_, text)| text.lines());
    let types: BTreeSet<&str> = lines().filter_map(public_type).collect();
    assert!(types.contains("NodeList") && types.contains("Stats") && types.len() > 50);
    let mut complaints = Vec::new();
    for (path, text) in &engine {
        let mut in_code = false;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_start();
            let Some(docs) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
                continue;
            };
            in_code ^= docs.trim_start().starts_with("```");
            for name in unlinked(docs, &types).into_iter().filter(|_| !in_code) {
                complaints.push(format!("{}:{number}: link `{name}`", shown(path)));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn a_name_without_its_link_is_found_and_other_code_is_not() {
    let types = ["NodeList", "Event"].into();
    let found = |docs| unlinked(docs, &types);
    assert_eq!(
        found("ask `NodeList::get` or [`NodeList::read`], `Event`s"),
        ["NodeList::get", "Event"]
    );
    assert_eq!(found("`NodeList::stop()`"), ["NodeList::stop"]);
    assert_eq!(found("pekonode's `NodeList`, `New(NodeList)`, `size`, [`Event::Joined`]"), [""; 0]);
}

/// A room of the core is a file and a folder of the same name.
fn rooms_of_the_core() -> Vec<String> {
    let core = root().join("engine/src/core");
    let entries = fs::read_dir(&core).expect("the core is there");
    let names = entries.map(|entry| entry.expect("an entry").path()).filter(|it| it.is_dir());
    let mut rooms: Vec<_> =
        names.map(|it| it.file_name().expect("a name").display().to_string()).collect();
    rooms.retain(|room| core.join(format!("{room}.rs")).is_file());
    rooms.sort();
    assert!(rooms.len() > 7, "only {rooms:?} were found");
    rooms
}

#[test]
fn every_room_of_the_core_has_its_row_in_the_architecture() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).expect("a page in UTF-8");
    let picture = fs::read_to_string(root().join("docs/architecture.svg")).expect("a picture");
    let mut complaints = Vec::new();
    for room in rooms_of_the_core() {
        if !page.contains(&format!("| `{room}` |")) {
            complaints.push(format!("docs/architecture.md: the table has no row for `{room}`"));
        }
        if !picture.contains(&format!(">{room}<")) {
            complaints.push(format!("docs/architecture.svg: the picture leaves out {room}"));
        }
    }
    assert_none(&complaints);
}

/// What a room holds is its own, and what is open to all is plain data, which says so by `pub`.
#[test]
fn no_field_of_the_core_is_open_to_some() {
    let mut complaints = Vec::new();
    for (path, text) in sources() {
        let name = shown(&path);
        if !name.starts_with("engine/src/core") || name.starts_with("engine/src/core/tests") {
            continue;
        }
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_start();
            let after = ["pub(super) ", "pub(crate) "].iter().find_map(|it| line.strip_prefix(it));
            let is_field = after.and_then(|rest| rest.split_once(": ")).is_some_and(|(name, _)| {
                name.chars().all(|it| it.is_ascii_lowercase() || it == '_' || it.is_ascii_digit())
            });
            if is_field {
                complaints.push(format!("{name}:{number}: a field of a room is its own: {line}"));
            }
        }
    }
    assert_none(&complaints);
}
