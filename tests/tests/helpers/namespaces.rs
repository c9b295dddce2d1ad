//! Network namespaces of a test's own: made, used and gone.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio, id};
use std::sync::atomic::{AtomicU32, Ordering};

/// How all names of namespaces begin, with the number of the process behind it.
const PREFIX: &str = "rm-test-";

/// Some namespaces; gone when dropped. What a test left behind that was killed goes when the next
/// one begins.
pub(crate) struct Namespaces {
    prefix: String,
    count: usize,
}

impl Namespaces {
    /// So many, set up by this; `None`, with a word why, where the machine can't. With CI=true a
    /// program that nobody installed is no excuse.
    pub(crate) fn new(
        count: usize,
        set_up: impl FnOnce(&Self) -> Result<(), String>,
    ) -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let root = output(&["id", "-u"]).is_ok_and(|uid| uid.trim() == "0");
        let missing = ["ip", "nft"].into_iter().find(|program| output(&[program, "-V"]).is_err());
        if !cfg!(target_os = "linux") || !root {
            eprintln!("skipped: namespaces take Linux and root");
            return None;
        }
        if let Some(program) = missing {
            let required = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(!required, "there is no `{program}`: .ci/run installs it");
            eprintln!("skipped: there is no `{program}`");
            return None;
        }
        sweep();
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let spaces = Self { prefix: format!("{PREFIX}{}-{number}", id()), count };
        let add: String = spaces.names().map(|name| format!("netns add {name}\n")).collect();
        if let Err(why) = run(&["ip", "-batch", "-"], &add).and_then(|()| set_up(&spaces)) {
            // A container may have root and yet no right to make namespaces.
            eprintln!("skipped: {why}");
            return None;
        }
        Some(spaces)
    }

    /// The name of one.
    pub(crate) fn name(&self, number: usize) -> String {
        format!("{}-{number}", self.prefix)
    }

    fn names(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.count).map(|number| self.name(number))
    }

    /// Runs lines of `ip` in one.
    pub(crate) fn ip(&self, number: usize, lines: &str) -> Result<(), String> {
        run(&["ip", "-n", &self.name(number), "-batch", "-"], lines)
    }

    /// Runs a command in one, with a text for it to read.
    pub(crate) fn exec(&self, number: usize, command: &[&str], input: &str) -> Result<(), String> {
        run(&[&["ip", "netns", "exec", &self.name(number)], command].concat(), input)
    }

    /// Gives one rules of nftables.
    pub(crate) fn filter(&self, number: usize, rules: &str) -> Result<(), String> {
        self.exec(number, &["nft", "-f", "-"], rules)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        remove(self.names());
    }
}

/// Removes namespaces; made by halves, some of them are not there.
fn remove(names: impl Iterator<Item = String>) {
    let delete: String = names.map(|name| format!("netns del {name}\n")).collect();
    let _ = run(&["ip", "-force", "-batch", "-"], &delete);
}

/// Removes what tests left behind that were killed.
fn sweep() {
    let listed = output(&["ip", "netns", "list"]).unwrap_or_default();
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    let is_dead = |name: &&str| {
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists())
    };
    remove(names.filter(is_dead).map(str::to_owned));
}

/// Runs a command to its end, with a text for it to read.
fn run(command: &[&str], input: &str) -> Result<(), String> {
    let failed = |why: &str| format!("`{}` failed: {why}", command.join(" "));
    let piped = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = piped.map_err(|error| failed(&error.to_string()))?;
    // One that ends before it has read all says why on its own.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    let output = child.wait_with_output().map_err(|error| failed(&error.to_string()))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(complaint.lines().next().unwrap_or("no reason given"))),
    }
}

fn output(command: &[&str]) -> std::io::Result<String> {
    let output = Command::new(command[0]).args(&command[1..]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
