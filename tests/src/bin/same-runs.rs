//! Runs generated scenarios with two builds of `sim` and tells the first difference.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use rumormill_tests::same_runs::Builds;

const USAGE: &str = "\
usage: same-runs OLD NEW [RUNS] [SEED]
OLD and NEW are builds of sim; RUNS is 1000 unless given, SEED is 1.
Exit codes: 0 all files are the same, 1 some differ, 2 it could not be found out.";

fn main() -> ExitCode {
    match compare_all() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

/// Whether both builds made the same of all.
fn compare_all() -> Result<bool, String> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [old, new, rest @ ..] = arguments.as_slice() else { return Err(USAGE.to_owned()) };
    let numbers: Result<Vec<u64>, _> = rest.iter().map(|number| number.parse()).collect();
    let (runs, seed) = match numbers.as_deref() {
        Ok([]) => (1_000, 1),
        Ok(&[runs]) => (runs, 1),
        Ok(&[runs, seed]) => (runs, seed),
        _ => return Err(USAGE.to_owned()),
    };
    let folder = env::temp_dir().join(format!("same-runs-{}", std::process::id()));
    let builds = Builds { old: PathBuf::from(old), new: PathBuf::from(new), folder };
    let failed = |error| format!("in {}: {error}", builds.folder.display());
    fs::create_dir_all(&builds.folder).map_err(failed)?;
    let mut different = Vec::new();
    for number in 0..runs {
        let Some(found) = builds.compare(seed, number).map_err(failed)? else { continue };
        if different.is_empty() {
            println!("scenario {number} of seed {seed}, {found}");
            println!("reproduce: {}", builds.command(seed, number));
        }
        different.push(number);
    }
    if different.is_empty() {
        fs::remove_dir_all(&builds.folder).map_err(failed)?;
        println!("{runs} scenarios of seed {seed}: no file differs");
        return Ok(true);
    }
    println!("{} of {runs} scenarios differ: {different:?}", different.len());
    println!("their files: {}", builds.folder.display());
    Ok(false)
}
