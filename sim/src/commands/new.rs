//! `sim new NAME`: a commented scenario to begin with, which runs and holds.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::{Exit, Failure, Report};
use crate::reading::shown;
use crate::scenario::Name;

/// The fewest nodes of which one can crash while two others notice.
pub const NODES_MIN: i64 = 3;

const TEMPLATE: &str = include_str!("new.toml");

/// Writes `NAME.toml` into a folder.
///
/// # Errors
/// When there is such a file already, or it can't be written.
pub fn run(folder: &Path, name: &Name, nodes: u32) -> Result<Report, Failure> {
    let path = folder.join(format!("{}.toml", &**name));
    let file = shown(&path);
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::wrong(format!("{file} is there already: take another name"))
        }
        _ => Failure::machine(format!("cannot write {file}: {error}")),
    };
    let new = File::create_new(&path);
    new.and_then(|mut new| new.write_all(text(name, nodes).as_bytes())).map_err(failed)?;
    let out = format!("{file}: {nodes} nodes; run it: sim run {file}\n");
    Ok(Report { out, err: String::new(), exit: Exit::Held })
}

fn text(name: &Name, nodes: u32) -> String {
    TEMPLATE.replace("\"NAME\"", &format!("\"{}\"", &**name)).replace("NODES", &nodes.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::judge;
    use crate::scenario::parse;
    use crate::world::{self, Options};

    #[test]
    fn what_it_writes_runs_and_holds_at_any_size() {
        let name = Name::parse("mine").unwrap();
        for nodes in [NODES_MIN as u32, 10, 50, 150] {
            let scenario = parse("mine.toml", &text(&name, nodes), &[]).unwrap();
            assert_eq!((scenario.name(), scenario.nodes()), ("mine", nodes));
            for seed in 1..=3 {
                let plan = scenario.plan(seed).unwrap();
                let summary = world::run(&plan, &Options::default(), &mut |_| {}).summary;
                let summary = serde_json::to_value(summary).unwrap();
                assert!(plan.expect.len() >= 4);
                for expectation in &plan.expect {
                    let judged = judge::judge(expectation, &summary);
                    assert!(judged.ok, "{nodes} nodes, seed {seed}: {judged:?}");
                }
            }
        }
    }

    #[test]
    fn a_file_that_is_there_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let name = Name::parse("mine").unwrap();
        run(folder.path(), &name, 10).unwrap();
        let before = std::fs::read(folder.path().join("mine.toml")).unwrap();
        let refused = run(folder.path(), &name, 20).unwrap_err();
        assert_eq!(refused.exit, Exit::Wrong);
        assert_eq!(std::fs::read(folder.path().join("mine.toml")).unwrap(), before);
    }
}
