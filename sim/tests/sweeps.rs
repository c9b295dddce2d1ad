//! Sweeps as a user meets them: cells, slices, what is kept, what is refused.

mod bench;
mod calls;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use bench::Bench;
use calls::call;

const SCENARIO: &str = r#"
name = "small"
nodes = 5
duration = "6s"

[engine]
timeout = "5s"

[[at]]
time = "3s"
publish = { node = 0, data = "v1" }

[expect]
"metadata.t100" = "<= 1s"
"#;

const VARY: &str = "--vary engine.fan_out=1..=3 --vary engine.cycle=500ms,1s --seeds 4";

impl Bench {
    fn new() -> Self {
        Self::with(&[("small.toml", SCENARIO)])
    }

    /// Calls `sim`, expects an exit code, and returns what it printed.
    #[track_caller]
    fn call(&self, arguments: &str, code: i32) -> (String, String) {
        call(self.sim().args(arguments.split_whitespace()), code)
    }

    fn refused(&self, arguments: &str) -> String {
        let (out, err) = self.call(arguments, 2);
        assert_eq!(out, "", "`sim {arguments}` printed results");
        err
    }

    /// Runs a line as a shell does that finds `sim` on its path.
    fn shell(&self, line: &str) {
        let program = Path::new(env!("CARGO_BIN_EXE_sim")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let mut command = assert_cmd::Command::new("sh");
        command.current_dir(self.path("")).env("PATH", path).args(["-c", line]).assert().success();
    }

    /// The folder of the only sweep below a folder of results.
    fn sweep(&self, out: &str) -> PathBuf {
        let entries = fs::read_dir(self.path(out).join("small")).unwrap();
        let paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(paths.len(), 1, "{paths:?}");
        paths[0].clone()
    }
}

/// All files below a folder with their content.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().display());
            match entry.path().is_dir() {
                true => collect(&entry.path(), &format!("{name}/"), files),
                false => drop(files.insert(name, fs::read(entry.path()).unwrap())),
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(folder, "", &mut found);
    found
}

#[test]
fn a_sweep_is_the_same_with_any_number_of_threads_and_as_single_runs() {
    let bench = Bench::new();
    let (out, err) = bench.call(&format!("sweep small.toml {VARY} --threads 1 --out one"), 0);
    assert_eq!(err, "", "a pipe sees no progress");
    assert!(out.starts_with("small: 5 nodes, 6s, seeds 1 to 4, 6 cells (3 x 2)\n"), "{out}");
    bench.call(&format!("sweep small.toml {VARY} --threads 3 --out three"), 0);
    let (one, three) = (files(&bench.sweep("one")), files(&bench.sweep("three")));
    assert!(one == three, "{:?} and {:?}", one.keys(), three.keys());
    // The figures are those of `sim run` with the same settings and seed.
    let set = "--set engine.fan_out=3 --set engine.cycle=500ms --seed 2 --json --no-plots";
    let run: Value =
        serde_json::from_str(&bench.call(&format!("run small.toml {set}"), 0).0).unwrap();
    let mut table = csv::Reader::from_reader(&one["sweep.csv"][..]).into_deserialize();
    let rows: Vec<BTreeMap<String, String>> = table.by_ref().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 24);
    let own = |row: &&BTreeMap<String, String>| {
        row["engine.fan_out"] == "3" && row["engine.cycle"] == "500ms" && row["seed"] == "2"
    };
    let row = rows.iter().find(own).unwrap();
    let number = |name: &str| row[name].parse::<f64>().unwrap();
    assert_eq!(Some(number("metadata.t99_ms")), run["metadata"]["t99_ms"].as_f64());
    assert_eq!(Some(number("bytes.with_headers")), run["bytes"]["with_headers"].as_f64());
}

#[test]
fn a_sweep_goes_on_where_it_was_and_takes_no_half_written_file() {
    let bench = Bench::new();
    let call = format!("sweep small.toml {VARY}");
    bench.call(&call, 0);
    let folder = bench.sweep("out");
    let before = files(&folder);
    // As if it had been killed: one cell is not there, one is cut off, one is being written.
    let cell = |number: usize| folder.join(format!("cells/{number:05}.json"));
    fs::remove_file(cell(0)).unwrap();
    let text = fs::read(cell(1)).unwrap();
    fs::write(cell(1), &text[..text.len() / 2]).unwrap();
    fs::write(folder.join("cells/.00002.json.1.tmp"), &text[..9]).unwrap();
    // A kept cell is not run again: this one says what no run would.
    let kept = fs::read_to_string(cell(3)).unwrap();
    let marked = kept.replacen("\"broken_laws\":[]", "\"broken_laws\":[\"kept\"]", 1);
    assert_ne!(kept, marked);
    fs::write(cell(3), &marked).unwrap();
    for name in ["sweep.csv", "sweep.json", "multiples.png"] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    let (_, err) = bench.call(&call, 1);
    assert!(err.contains("fan_out 2, cycle 1s: kept"), "{err}");
    fs::write(cell(3), &kept).unwrap();
    bench.call(&call, 0);
    assert!(files(&folder) == before, "the results differ from those in one go");
}

#[test]
fn slices_joined_are_the_whole() {
    let bench = Bench::new();
    bench.call(&format!("sweep small.toml {VARY}"), 0);
    for shard in 1..=3 {
        let (out, _) = bench.call(&format!("sweep small.toml {VARY} --shard {shard}/3 --out s"), 0);
        assert!(out.contains(&format!("slice {shard} of 3, 2 cells of 6")), "{out}");
    }
    let slices = bench.sweep("s");
    let slice = |number: usize| slices.join(format!("shard-{number}-of-3")).display().to_string();
    let all = [1, 2, 3].map(slice).join(" ");
    let (merged, _) = bench.call(&format!("merge {all} --out joined"), 0);
    assert!(merged.starts_with("small: 5 nodes, 6s, seeds 1 to 4, 6 cells (3 x 2)\n"), "{merged}");
    assert!(files(&bench.sweep("joined")) == files(&bench.sweep("out")));
}

#[test]
fn the_commands_for_slices_make_the_whole() {
    let bench = Bench::new();
    bench.call(&format!("sweep small.toml {VARY}"), 0);
    let (commands, _) = bench.call(&format!("sweep small.toml {VARY} --print-shards 4 --out s"), 0);
    assert_eq!(commands.lines().count(), 5, "four slices and the merge: {commands}");
    assert!(!bench.path("s").exists(), "nothing is run");
    for line in commands.lines() {
        bench.shell(line);
    }
    // Beside what they are joined to, the slices stay.
    let mut joined = files(&bench.sweep("s"));
    joined.retain(|path, _| !path.contains("shard-"));
    assert!(joined == files(&bench.sweep("out")));
    let error = bench.refused(&format!("sweep small.toml {VARY} --print-shards 7"));
    assert!(error.contains("there are 6 cells"), "{error}");
}

#[test]
fn slices_of_another_sweep_overlaps_and_holes_are_refused() {
    let bench = Bench::new();
    for shard in 1..=2 {
        bench.call(&format!("sweep small.toml {VARY} --shard {shard}/2 --out s"), 0);
    }
    bench.call(&format!("sweep small.toml {VARY} --shard 1/3 --out t"), 0);
    bench.call(&format!("sweep small.toml {VARY} --seed 9 --shard 1/2 --out u"), 0);
    let slice = |out: &str, name: &str| bench.sweep(out).join(name).display().to_string();
    let (one, two) = (slice("s", "shard-1-of-2"), slice("s", "shard-2-of-2"));
    let other = slice("u", "shard-1-of-2");
    let error = bench.refused(&format!("merge {one} {other} --out j"));
    assert!(error.contains("slices of two sweeps: they differ in the seeds"), "{error}");
    let error = bench.refused(&format!("merge {one} {two} {one} --out j"));
    assert!(error.contains("name each slice once"), "{error}");
    let third = slice("t", "shard-1-of-3");
    let error = bench.refused(&format!("merge {one} {two} {third} --out j"));
    assert!(error.contains("slices of one division only"), "{error}");
    let error = bench.refused(&format!("merge {one} --out j"));
    assert!(error.contains("3 of 6 cells are in no slice") && error.contains("add 2/2"), "{error}");
    let cells = PathBuf::from(&two).join("cells");
    let first = fs::read_dir(cells).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(first).unwrap();
    let error = bench.refused(&format!("merge {one} {two} --out j"));
    assert!(error.contains("is not finished: 1 of its 3 cells are missing"), "{error}");
    let error = bench.refused("merge nowhere small.toml --out j");
    assert!(error.contains("nowhere is no folder"), "{error}");
    assert!(!bench.path("j").exists());
}

#[test]
fn what_is_wrong_is_told_in_one_line_and_leaves_nothing() {
    let bench = Bench::new();
    for (arguments, told) in [
        ("--vary engine.fanout=1,2", "--vary engine.fanout=1: unknown key `fanout`, did you mean"),
        ("--vary fan_out=1,2", "did you mean `[engine] fan_out`?"),
        ("--vary engine.fan_out=1..4", "write `1..=3` or `1..=4`"),
        ("--vary engine.fan_out=4..=1", "`4..=1` is empty, did you mean `1..=4`?"),
        ("--vary engine.fan_out=", "there are no values"),
        ("--vary engine.fan_out=1 --vary engine.fan_out=2", "varied twice"),
        ("--vary engine.fan_out=1,2 --measure metadata.t9", "did you mean `metadata.t90`?"),
        ("--vary engine.fan_out=1,2 --shard 0/2", "slices count from 1"),
        ("--vary engine.cycle=1s,4s", "with cycle 4s: small.toml:"),
        ("--vary engine.fan_out=0", "must be at least 1"),
    ] {
        let error = bench.refused(&format!("sweep small.toml {arguments}"));
        assert!(error.contains(told), "{arguments}: {error}");
        assert!(!bench.path("out").exists(), "{arguments} left something");
    }
    let (_, error) = bench.call("sweep small.toml --vary nodes=2,3 --out small.toml/out", 3);
    assert!(error.contains("cannot write") && error.contains("--out"), "{error}");
}
