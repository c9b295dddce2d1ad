//! What others wrote: no file, and no name of a file, writes on the terminal of whoever reads it,
//! leads out of the folder of results, or takes more memory than its limit.

mod bench;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

use rumormill::text::is_unprintable;
use serde_json::{Value, json};

use bench::Bench;

/// What a terminal obeys: colours, a bell, the start of the line, one back, a cleared screen, a
/// line of its own, and text turned around.
const ODD: [&str; 8] =
    ["\u{1b}[31m", "\u{7}", "\r", "\u{8}", "\u{9b}2J", "\nerror: forged", "\u{2028}", "\u{202e}"];

const SMALL: &str = r#"
name = "small"
nodes = 5
duration = "6s"

[engine]
timeout = "5s"

[[at]]
time = "3s"
publish = { node = 0, data = "v1" }
"#;

/// A scenario with a text of every kind; `@` stands in one of them for what is odd.
const TEXTS: [&str; 26] = [
    "name = 'x@'",
    "duration = '6s@'",
    "bootstrap = 'first@'",
    "start = '0s@'",
    "warmup = '1s@'",
    "'key@' = 1",
    "engine.cluster = 'east@'",
    "engine.cycle = '1s@'",
    "engine.liveness = 'beats@'",
    "engine.'key@' = 1",
    "network.latency = '1ms@'",
    "network.loss = '1%@'",
    "network.'key@' = 1",
    "groups.'a@' = { nodes = '0..2' }",
    "groups.a = { nodes = '0..2@' }",
    "groups.a = { nodes = '0..2', name = 'a{i}@' }",
    "groups.a = { nodes = '0..2', private_data = 'zone=1@' }",
    "at = [{ time = '1s', label = 'l@', crash = 1 }]",
    "at = [{ time = '1s@', crash = 1 }]",
    "at = [{ time = '1s', heal = 'no-such-label@' }]",
    "at = [{ time = '1s', restart = { nodes = 1, private_data = 'zone=1@' } }]",
    "at = [{ time = '1s', restart = { nodes = 1, manner = 'crash@' } }]",
    "at = [{ time = '1s', 'verb@' = 1 }]",
    "link = [{ between = ['0..1@', '2..3'], loss = '1%' }]",
    "expect = { 'removals.false@' = '== 0' }",
    "expect = { 'removals.false' = '==@ 0' }",
];

impl Bench {
    fn new() -> Self {
        Self::with(&[("small.toml", SMALL)])
    }

    /// Calls `sim`, which must print nothing but lines, and nothing on standard output with 2.
    #[track_caller]
    fn call(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.sim().args(arguments).output().unwrap();
        let [out, err] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        for text in [&out, &err] {
            let raw = text.chars().find(|&c| c != '\n' && is_unprintable(c));
            assert_eq!(raw, None, "sim {arguments:?} printed it: {text:?}");
            let forged = text.lines().any(|line| line.starts_with("error: forged"));
            assert!(!forged, "sim {arguments:?} printed a line of the file: {text}");
        }
        let code = output.status.code().unwrap_or(-1);
        assert!(matches!(code, 0..=2), "sim {arguments:?} ended with {code}: {err}");
        assert!(code != 2 || out.is_empty(), "sim {arguments:?} printed results: {out}");
        (code, err)
    }

    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let (code, err) = self.call(arguments);
        assert_eq!(code, 2, "sim {arguments:?}: {err}");
        err
    }

    /// The folder of a sweep in two slices.
    fn slices(&self) -> PathBuf {
        for shard in ["1/2", "2/2"] {
            let vary = ["--vary", "engine.fan_out=1..=4", "--seeds", "2", "--shard", shard];
            self.call(&[&["sweep", "small.toml", "-q"], &vary[..]].concat());
        }
        let mut sweeps = fs::read_dir(self.path("out/small")).unwrap();
        sweeps.next().unwrap().unwrap().path()
    }

    /// The folder of a traced run.
    fn run(&self) -> PathBuf {
        self.call(&["run", "small.toml", "--trace", "--no-plots", "-q"]);
        self.path("out/small/seed-1")
    }
}

/// The whole of a small scenario, with a text in the place of what it has of that kind.
fn scenario(text: &str) -> String {
    let head = [("name", "'x'"), ("nodes", "5"), ("duration", "'6s'")];
    let head = head.iter().filter(|(key, _)| !text.starts_with(key));
    let head: String = head.map(|(key, value)| format!("{key} = {value}\n")).collect();
    format!("{text}\n{head}")
}

/// The same characters as TOML escapes them.
fn escaped(odd: &str) -> String {
    odd.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect()
}

#[test]
fn no_text_of_a_scenario_writes_on_the_terminal() {
    let bench = Bench::new();
    for text in TEXTS {
        for odd in ODD {
            let raw = scenario(&text.replace('@', odd));
            let typed = scenario(&text.replace('\'', "\"").replace('@', &escaped(odd)));
            for text in [raw, typed] {
                fs::write(bench.path("odd.toml"), &text).unwrap();
                let (code, told) = bench.call(&["check", "odd.toml"]);
                assert_eq!(code, 2, "{text:?}");
                assert!(told.starts_with("odd.toml:"), "{text:?}: {told}");
            }
        }
        let typed = scenario(&text.replace('@', ""));
        fs::write(bench.path("odd.toml"), &typed).unwrap();
        let code = bench.call(&["check", "odd.toml"]).0;
        let wrong_anyway =
            text.contains("key@") || text.contains("verb@") || text.contains("no-such");
        assert_eq!(code, if wrong_anyway { 2 } else { 0 }, "{typed}");
    }
}

#[test]
fn published_bytes_are_data_and_shown_as_such_wherever_a_run_tells_of_them() {
    let bench = Bench::new();
    let odd: String = ODD.iter().map(|odd| escaped(odd)).collect();
    fs::write(bench.path("small.toml"), SMALL.replace("v1", &format!("v{odd}"))).unwrap();
    let folder = bench.run();
    let run = folder.to_str().unwrap();
    for arguments in [
        &["check", "small.toml"][..],
        &["explain", run],
        &["explain", run, "--rumor", "metadata-0"],
        &["explain", run, "--rumor", "metadata-0", "--node", "3"],
        &["diff", run, run],
        &["run", "small.toml", "--json", "--seeds", "2", "--no-plots"],
        &["run", "small.toml"],
        &["compare", "small.toml", "small.toml,nodes=6", "--seeds", "2"],
        &["sweep", "small.toml", "--vary", "nodes=4,5", "--seeds", "2"],
        &["model", "--beside", "small.toml"],
    ] {
        assert_eq!(bench.call(arguments).0, 0, "{arguments:?}");
    }
    for page in ["report.html", "spread.svg"] {
        let text = fs::read_to_string(bench.path("out/small/seed-1").join(page)).unwrap();
        let raw = text.chars().find(|&c| c != '\n' && is_unprintable(c));
        assert_eq!(raw, None, "{page}");
    }
}

#[test]
fn no_name_of_a_file_writes_on_the_terminal() {
    let bench = Bench::new();
    let odd = ODD.concat();
    let (file, out) = (format!("small{odd}.toml"), format!("out{odd}"));
    fs::copy(bench.path("small.toml"), bench.path(&file)).unwrap();
    let with_out = |arguments: &[&str]| bench.call(&[arguments, &["--out", &out]].concat()).0;
    assert_eq!(bench.call(&["check", &file]).0, 0);
    assert_eq!(with_out(&["run", &file, "--trace"]), 0);
    assert_eq!(with_out(&["run", &file, "--seeds", "2", "--no-plots"]), 0);
    assert_eq!(with_out(&["sweep", &file, "--vary", "nodes=4,5", "--seeds", "2"]), 0);
    assert_eq!(
        with_out(&["sweep", &file, "--vary", "nodes=4", "--seeds", "2", "--shard", "1/1"]),
        0
    );
    assert_eq!(with_out(&["model", "--beside", &file, "--seeds", "2"]), 0);
    let run = format!("{out}/small/seed-1");
    assert_eq!(with_out(&["run", &file, "--trace", "--no-plots"]), 0);
    assert_eq!(bench.call(&["explain", &run]).0, 0);
    assert_eq!(bench.call(&["explain", &run, "--rumor", "metadata-0"]).0, 0);
    assert_eq!(bench.call(&["diff", &run, &run]).0, 0);
    assert_eq!(bench.call(&["compare", &run, &file]).0, 0);
    let gone = format!("gone{odd}.toml");
    for command in ["check", "run", "explain"] {
        bench.refused(&[command, &gone]);
    }
    bench.refused(&["diff", &gone, &gone]);
    bench.refused(&["merge", &gone]);
    bench.refused(&["merge", &out]);
    bench.refused(&["compare", &gone, &gone]);
    bench.refused(&["compare", &format!("gone{odd}.json"), &gone]);
    bench.refused(&["sweep", &gone, "--vary", "nodes=1..=2"]);
    // A name near to what was typed is that of somebody's file.
    bench.refused(&["check", "small.toml1"]);
    fs::remove_file(bench.path("small.toml")).unwrap();
    bench.refused(&["check", &format!("small{odd}.tom")]);
}

#[test]
fn no_argument_writes_on_the_terminal() {
    let bench = Bench::new();
    for odd in ODD {
        let odd = format!("1{odd}1");
        let set = format!("engine.fan_out={odd}");
        let key = format!("engine.fan_out{odd}=1");
        for arguments in [
            &["run", "small.toml", "--seed", &odd][..],
            &["run", "small.toml", "--set", &set],
            &["check", "small.toml", "--set", &key],
            &["check", "small.toml", "--set", &odd],
            &["sweep", "small.toml", "--vary", &set],
            &["sweep", "small.toml", "--vary", &key],
            &["sweep", "small.toml", "--vary", &odd],
            &["sweep", "small.toml", "--vary", "nodes=1", "--shard", &odd],
            &["sweep", "small.toml", "--vary", "nodes=1", "--measure", &odd],
            &["tune", "small.toml", "--target", &odd],
            &["tune", "small.toml", "--target", &format!("removals.false == {odd}")],
            &["compare", "small.toml", "small.toml", "--tolerance", &odd],
            &["model", "--stop", &odd],
            &[&odd],
        ] {
            bench.refused(arguments);
        }
    }
}

/// The place of every leaf of a document that a test asks for.
fn leaves(value: &Value, place: &str, wanted: fn(&Value) -> bool, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            // The figures of a cell are many and alike.
            let most = if map.len() > 30 { 3 } else { map.len() };
            for (key, value) in map.iter().take(most) {
                leaves(value, &format!("{place}/{key}"), wanted, found);
            }
        }
        Value::Array(items) => {
            if let Some(first) = items.first() {
                leaves(first, &format!("{place}/0"), wanted, found);
            }
        }
        leaf if wanted(leaf) => found.push(place.to_owned()),
        _ => {}
    }
}

/// Puts each of `values` in the place of each such leaf of a JSON document, and looks on.
fn tampered(path: &Path, wanted: fn(&Value) -> bool, values: &[Value], look: &dyn Fn()) {
    let whole = fs::read_to_string(path).unwrap();
    let (first, rest) = match path.extension().is_some_and(|it| it == "jsonl") {
        true => whole.split_once('\n').unwrap(),
        false => (whole.as_str(), ""),
    };
    let document: Value = serde_json::from_str(first).unwrap();
    let mut places = Vec::new();
    leaves(&document, "", wanted, &mut places);
    for place in places {
        for value in values {
            let mut document = document.clone();
            *document.pointer_mut(&place).unwrap() = value.clone();
            fs::write(path, format!("{document}\n{rest}")).unwrap();
            look();
        }
    }
    fs::write(path, whole).unwrap();
}

fn words(call: &[String]) -> Vec<&str> {
    call.iter().map(String::as_str).collect()
}

/// Every file of results that a command reads, with the calls that read it.
fn read_back(bench: &Bench) -> Vec<(PathBuf, Vec<Vec<String>>)> {
    let (sweep, run) = (bench.slices(), bench.run());
    let call = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<String>>();
    let [one, two] = ["shard-1-of-2", "shard-2-of-2"].map(|slice| sweep.join(slice));
    let merge = call(&["merge", one.to_str().unwrap(), two.to_str().unwrap(), "--no-plots"]);
    let mut cells = fs::read_dir(one.join("cells")).unwrap();
    let cell = cells.next().unwrap().unwrap().path();
    let run_name = run.to_str().unwrap();
    let with_cell = call(&["compare", cell.to_str().unwrap(), cell.to_str().unwrap()]);
    let explain = call(&["explain", run_name]);
    let why = call(&["explain", run_name, "--rumor", "metadata-0", "--node", "3"]);
    let compare = call(&["compare", run_name, run_name]);
    let diff = call(&["diff", run_name, run_name]);
    vec![
        (one.join("plan.json"), vec![merge.clone(), with_cell.clone()]),
        (cell, vec![merge, with_cell]),
        (run.join("summary.json"), vec![explain, why.clone(), compare]),
        (run.join("trace.jsonl"), vec![diff, why]),
    ]
}

#[test]
fn no_text_that_is_read_back_writes_on_the_terminal() {
    let bench = Bench::new();
    let odd = [ODD[0], ODD[4], ODD[5]].map(|odd| json!(format!("x{odd}")));
    for (path, calls) in read_back(&bench) {
        let look = || calls.iter().for_each(|call| drop(bench.call(&words(call))));
        tampered(&path, Value::is_string, &odd, &look);
        for call in &calls {
            assert_eq!(bench.call(&words(call)).0, 0, "{call:?} with the file as it was");
        }
    }
}

#[test]
fn no_number_that_is_read_back_ends_a_command_otherwise_than_it_should() {
    let bench = Bench::new();
    let limits = [json!(-1), json!(u64::MAX), json!(1e308)];
    let texts = limits.each_ref().map(|limit| json!(limit.to_string()));
    let numeral = |value: &Value| value.as_str().is_some_and(|text| text.parse::<u64>().is_ok());
    for (path, calls) in read_back(&bench) {
        let look = || calls.iter().for_each(|call| drop(bench.call(&words(call))));
        tampered(&path, Value::is_number, &limits, &look);
        tampered(&path, numeral, &texts, &look);
    }
}

/// Changes a JSON document in its file.
fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut document: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    change(&mut document);
    fs::write(path, document.to_string()).unwrap();
}

#[test]
fn a_merge_writes_in_its_folder_only_whatever_a_slice_says_its_scenario_is_called() {
    let bench = Bench::new();
    let slices = ["shard-1-of-2", "shard-2-of-2"].map(|slice| bench.slices().join(slice));
    let [one, two] = slices.each_ref().map(|slice| slice.to_str().unwrap());
    let (outside, inside) = (bench.path("outside"), bench.path("deep/out"));
    for name in ["../../outside", outside.to_str().unwrap(), "..", "", "a/../../../outside"] {
        slices
            .iter()
            .for_each(|slice| edit(&slice.join("plan.json"), |it| it["scenario"] = name.into()));
        let told = bench.refused(&["merge", one, two, "--out", inside.to_str().unwrap()]);
        assert!(told.contains("plan.json:1: ") && told.contains("is no name: 1 to 64"), "{told}");
        assert!(!outside.exists() && !inside.exists(), "{name}: {told}");
    }
    slices
        .iter()
        .for_each(|slice| edit(&slice.join("plan.json"), |it| it["scenario"] = "small".into()));
    assert_eq!(bench.call(&["merge", one, two, "--out", inside.to_str().unwrap()]).0, 0);
    assert!(inside.join("small").is_dir());
}

#[test]
fn a_sweep_of_more_cells_than_there_may_be_is_refused_before_anything_is_made_of_it() {
    let bench = Bench::new();
    let axis = |key: &str| format!("--vary={key}=1..=1000");
    for (keys, count) in [
        (&["nodes", "engine.fan_out"][..], "1000000 combinations"),
        (&["a", "b", "c", "d", "e", "f", "g", "h"], "1000000000000000000000000 combinations"),
        (&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"], "more than 10^38"),
    ] {
        let axes: Vec<String> = keys.iter().map(|key| axis(key)).collect();
        let axes = axes.iter().map(String::as_str);
        let told =
            bench.refused(&["sweep", "small.toml"].into_iter().chain(axes).collect::<Vec<_>>());
        assert!(told.contains(count) && told.contains("at most 100000 in one sweep"), "{told}");
    }
    let told = bench.refused(&["sweep", "small.toml", "--vary", "nodes=1..=4294967295"]);
    assert!(told.contains("has too many values: at most 1000"), "{told}");
    let far = "engine.fan_out=-9223372036854775808..=9223372036854775807";
    assert!(bench.refused(&["sweep", "small.toml", "--vary", far]).contains("at most 1000"));
}

#[test]
fn a_plan_that_is_read_back_has_the_limits_of_one_that_is_typed() {
    let bench = Bench::new();
    let slices = ["shard-1-of-2", "shard-2-of-2"].map(|slice| bench.slices().join(slice));
    let [one, two] = slices.each_ref().map(|slice| slice.to_str().unwrap());
    let axis = |key: &str, len: usize| {
        let values: Vec<String> = (0..len).map(|value| value.to_string()).collect();
        json!({ "key": key, "values": values })
    };
    let huge: Vec<Value> = (0..8).map(|key| axis(&format!("k{key}"), 1_000)).collect();
    for (key, value, told) in [
        ("axes", json!(huge), "1000000000000000000000000 combinations are too many"),
        ("axes", json!([axis("k", 1_001)]), "1001 values are too many: at most 1000"),
        ("axes", json!([axis("k", 0)]), "a key or a value is empty"),
        ("axes", json!([axis("k", 2), axis("k", 2)]), "this key is varied twice"),
        ("seeds", json!({ "first": "1", "n": 0 }), "0 seeds from 1 on are none"),
        ("seeds", json!({ "first": u64::MAX.to_string(), "n": 2 }), "are none, or too many"),
        ("seeds", json!({ "first": "1", "n": 1_000_000 }), "4000000 runs: at most 1000000"),
        ("shard", json!({ "number": 0, "of": 2 }), "slices count from 1"),
        ("shard", json!({ "number": 1, "of": 0 }), "there is no slice of 0"),
        ("shard", json!({ "number": 1, "of": u64::MAX }), "slices are too many"),
        ("sweep", json!("ab"), "no digest of 64 hex digits"),
        ("schema", json!("sweep-plan/9"), "it is of schema sweep-plan/9"),
    ] {
        let whole = slices.each_ref().map(|slice| fs::read(slice.join("plan.json")).unwrap());
        slices
            .iter()
            .for_each(|slice| edit(&slice.join("plan.json"), |it| it[key] = value.clone()));
        let error = bench.refused(&["merge", one, two]);
        assert!(error.contains("plan.json: ") && error.contains(told), "{error}");
        for (slice, whole) in slices.iter().zip(whole) {
            fs::write(slice.join("plan.json"), whole).unwrap();
        }
    }
}

#[test]
fn a_damaged_cell_is_told_by_merge_and_run_again_by_the_sweep() {
    let bench = Bench::new();
    let sweep = bench.slices();
    let [one, two] = ["shard-1-of-2", "shard-2-of-2"].map(|slice| sweep.join(slice));
    let merge = ["merge", one.to_str().unwrap(), two.to_str().unwrap(), "--no-plots", "-q"];
    let mut cells = fs::read_dir(one.join("cells")).unwrap();
    let cell = cells.next().unwrap().unwrap().path();
    let whole = fs::read(&cell).unwrap();
    edit(&cell, |it| it["broken_laws"] = json!(["seed 1: \u{1b}[2J"]));
    let told = bench.refused(&merge);
    assert!(told.contains(&format!("{}:1: U+001B", cell.display())), "{told}");
    edit(&cell, |it| it["broken_laws"] = json!([]));
    edit(&cell, |it| it["settings"] = json!({ "engine.fan_out": "../x" }));
    assert!(bench.refused(&merge).contains("no cell of this number with these settings"));
    bench.slices();
    assert_eq!(fs::read(&cell).unwrap(), whole);
    assert_eq!(bench.call(&merge).0, 0);
}

#[test]
fn a_folder_with_a_seed_twice_is_no_side_of_a_comparison() {
    let bench = Bench::new();
    let run = bench.run();
    fs::create_dir(run.with_file_name("seed-2")).unwrap();
    fs::copy(run.join("summary.json"), run.with_file_name("seed-2").join("summary.json")).unwrap();
    let told = bench.refused(&["compare", "out/small", "small.toml"]);
    assert!(told.contains("seed-2/summary.json: seed 1 is in this folder twice"), "{told}");
}

#[cfg(unix)]
#[test]
fn a_scenario_without_end_is_refused_at_its_limit() {
    let bench = Bench::new();
    let told = |name: &str| bench.refused(&["check", name]);
    let limit = "too long for a scenario: at most 16 MiB";
    assert_eq!(told("/dev/zero").trim_end(), format!("/dev/zero: {limit}"));
    File::create(bench.path("large.toml")).unwrap().set_len(10 << 30).unwrap();
    assert_eq!(told("large.toml").trim_end(), format!("large.toml: {limit}"));
    assert!(Process::new("mkfifo").arg(bench.path("pipe")).status().unwrap().success());
    let endless = format!("exec yes > {}", bench.path("pipe").display());
    let mut endless =
        Process::new("sh").args(["-c", &endless]).stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(told("pipe").trim_end(), format!("pipe: {limit}"));
    // Nobody reads the pipe any more, by which its writer ends.
    endless.wait().unwrap();
    // What is short enough is taken from a pipe as from a file.
    let short =
        format!("cat {} > {}", bench.path("small.toml").display(), bench.path("pipe").display());
    let mut short = Process::new("sh").args(["-c", &short]).spawn().unwrap();
    assert_eq!(bench.call(&["check", "pipe"]).0, 0);
    short.wait().unwrap();
}

#[cfg(unix)]
#[test]
fn results_without_end_are_refused_at_their_limits() {
    let bench = Bench::new();
    let rows = bench.path("out/small/seed-1/rumors.csv");
    let tree = ["explain", "out/small/seed-1"].map(str::to_owned).to_vec();
    let files = read_back(&bench);
    for (path, calls) in files.into_iter().chain([(rows, vec![tree])]) {
        let whole = fs::read(&path).unwrap();
        for (endless, told) in [("/dev/zero", "no ordinary file"), ("", "longer than")] {
            fs::remove_file(&path).unwrap();
            match endless {
                "" => File::create(&path).unwrap().set_len(10 << 30).unwrap(),
                device => std::os::unix::fs::symlink(device, &path).unwrap(),
            }
            let call: Vec<&str> = calls[0].iter().map(String::as_str).collect();
            let error = bench.refused(&call);
            assert!(error.contains(told), "{}: {error}", path.display());
        }
        fs::remove_file(&path).unwrap();
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn a_trace_that_was_cut_off_is_told_as_that() {
    let bench = Bench::new();
    let run = bench.run();
    let trace = run.join("trace.jsonl");
    let whole = fs::read_to_string(&trace).unwrap();
    let cut = &whole[..whole.len() / 3];
    assert!(!cut.ends_with('\n'), "the cut is in a line");
    fs::write(&trace, cut).unwrap();
    let name = run.to_str().unwrap();
    let line = cut.lines().count();
    // Node 4 hears of it after what is left of the trace.
    for call in
        [&["explain", name, "--rumor", "metadata-0", "--node", "4"][..], &["diff", name, name]]
    {
        let told = bench.refused(call);
        let place = format!("trace.jsonl:{line}: the trace is cut off in this line, so that what");
        assert!(told.contains(&place), "{told}");
        assert!(
            told.contains("make it again: sim run") && told.contains("--seed 1 --trace"),
            "{told}"
        );
    }
    // The command to copy is made of nothing that a stranger chose.
    let odd = run.with_file_name("seed-1; echo");
    fs::rename(&run, &odd).unwrap();
    let told = bench.refused(&["diff", odd.to_str().unwrap(), odd.to_str().unwrap()]);
    assert!(told.contains("make it again: sim run SCENARIO.toml --trace"), "{told}");
}

#[test]
fn a_table_of_receipts_that_goes_in_circles_is_no_trap_nor_is_one_of_huge_numbers() {
    let bench = Bench::new();
    let run = bench.run();
    let table = run.join("rumors.csv");
    let name = run.to_str().unwrap();
    let head = "rumor,node,sent_ms,first_ms,hop,from,via\nmetadata-0,0,,3000,0,,source\n";
    let rows = |rows: &str| fs::write(&table, format!("{head}{rows}")).unwrap();
    let tree = ["explain", name, "--rumor", "metadata-0"];
    fs::remove_file(run.join("trace.jsonl")).unwrap();
    rows("metadata-0,0,3000,3001,1,0,rumor\n");
    let told = bench.refused(&tree);
    assert!(told.contains("rumors.csv: node 0 hears of metadata-0 twice"), "{told}");
    rows("metadata-0,1,3000,3001,1,2,rumor\nmetadata-0,2,3000,3001,1,1,rumor\n");
    assert_eq!(bench.call(&tree).0, 0);
    assert_eq!(bench.call(&[&tree[..], &["--node", "1"]].concat()).0, 0);
    let mut chain = String::new();
    for node in 1..200_000 {
        let from = node - 1;
        chain += &format!("metadata-0,{node},3000,3001,1,{from},rumor\n");
    }
    rows(&chain);
    assert_eq!(bench.call(&tree).0, 0);
    assert_eq!(bench.call(&[&tree[..], &["--node", "199999"]].concat()).0, 0);
    rows("metadata-0,4294967295,3000,3001,1,0,rumor\n");
    let told = bench.refused(&tree);
    assert!(told.contains("rumors.csv:3: node 4294967295: a run has at most 10000000"), "{told}");
    rows("metadata-0,1,3000,3001,1,0,\u{1b}[2J\n");
    assert!(bench.refused(&tree).contains("rumors.csv:3: U+001B at byte 0"));
}
