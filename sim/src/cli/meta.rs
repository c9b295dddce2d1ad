//! What `sim` says of itself: its version, completions for shells, man pages.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use crate::commands::{Exit, Failure, Report};
use crate::reading::shown;

/// The crate's version, and the commit that it was built from where that is known. In files stands
/// the crate's version alone, so that two builds of one version write the same bytes.
pub(super) fn version() -> &'static str {
    const CRATE: &str = env!("CARGO_PKG_VERSION");
    static LONG: LazyLock<Option<String>> =
        LazyLock::new(|| Some(format!("{CRATE} ({})", option_env!("SIM_COMMIT")?)));
    LONG.as_deref().unwrap_or(CRATE)
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell that completes
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

impl CompletionsArgs {
    /// The script that a shell sources.
    pub(super) fn run(&self) -> Report {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "sim", &mut script);
        let out = String::from_utf8(script).expect("our names and helps are text");
        Report { out, err: String::new(), exit: Exit::Held }
    }
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The folder for the pages, such as ~/.local/share/man/man1
    folder: PathBuf,
}

impl ManArgs {
    /// Writes a page for `sim` and one for each of its commands.
    ///
    /// # Errors
    /// When the folder can't be written.
    pub(super) fn run(&self) -> Result<Report, Failure> {
        let failed =
            |path: &Path, error| Failure::machine(format!("cannot write {}: {error}", shown(path)));
        fs::create_dir_all(&self.folder).map_err(|error| failed(&self.folder, error))?;
        let mut out = String::new();
        for (name, page) in pages() {
            let path = self.folder.join(name);
            fs::write(&path, page).map_err(|error| failed(&path, error))?;
            out += &format!("{}\n", shown(&path));
        }
        Ok(Report { out, err: String::new(), exit: Exit::Held })
    }
}

/// The name of each page and its text.
fn pages() -> Vec<(String, Vec<u8>)> {
    let sim = Cli::command();
    let own = sim.get_subcommands().filter(|command| !command.is_hide_set());
    let own = own.map(|command| {
        let name = command.get_name();
        command.clone().display_name(format!("sim-{name}")).bin_name(format!("sim {name}"))
    });
    let own: Vec<Command> = own.collect();
    [sim].into_iter().chain(own).map(page).collect()
}

fn page(command: Command) -> (String, Vec<u8>) {
    let man = clap_mangen::Man::new(command);
    let mut page = Vec::new();
    man.render(&mut page).expect("memory takes everything");
    (man.get_filename(), page)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_command_has_a_page_and_every_shell_completes_it() {
        let names: Vec<String> = pages().into_iter().map(|(name, _)| name).collect();
        for command in ["run", "explain", "sweep", "schema", "new", "completions"] {
            assert!(names.contains(&format!("sim-{command}.1")), "{names:?}");
            for shell in Shell::value_variants() {
                let script = CompletionsArgs { shell: *shell }.run().out;
                assert!(script.contains(command), "{shell}: no {command}");
            }
        }
        assert!(names.contains(&"sim.1".to_owned()));
        assert!(!names.iter().any(|name| name.contains("namespace")), "{names:?}");
    }

    #[test]
    fn a_page_has_the_options_of_its_command() {
        let (_, page) = pages().into_iter().find(|(name, _)| name == "sim-explain.1").unwrap();
        let page = String::from_utf8(page).unwrap();
        assert!(page.contains("\\-\\-rumor") && page.contains("sim explain"), "{page}");
    }

    #[test]
    fn the_version_begins_with_that_of_the_crate() {
        let version = version();
        let rest = version.strip_prefix(env!("CARGO_PKG_VERSION")).unwrap();
        assert!(rest.is_empty() || rest.len() == " (123456789)".len(), "{version}");
    }
}
