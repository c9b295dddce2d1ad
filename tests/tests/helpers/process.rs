//! Nodes that are processes of their own: the `node` example, built and run.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::time::Instant;

/// Far longer than anything takes: a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running node; killed when dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    /// Where it listens.
    pub(crate) addr: String,
}

impl Process {
    /// Starts a node and waits for its first line.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::of(command(args), args)
    }

    /// The same in a network namespace.
    pub(crate) fn start_in(namespace: &str, args: &[&str]) -> Self {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(example()).args(args);
        Self::of(command, args)
    }

    /// The same by a command that runs the node with these arguments.
    pub(crate) fn of(mut command: Command, args: &[&str]) -> Self {
        let prints = args.contains(&"--print");
        let stderr = if prints { Stdio::piped() } else { Stdio::inherit() };
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let (send, lines) = channel();
        pass_on(child.stdout.take().unwrap(), send.clone());
        if let Some(stderr) = child.stderr.take() {
            pass_on(stderr, send);
        }
        let mut process = Self { child, lines, seen: Vec::new(), addr: String::new() };
        let is_addr = |line: &str| line.starts_with("listening ");
        let first = process.wait_for("the line that says where it listens", is_addr);
        let addr = first.strip_prefix("listening ").expect("it was just seen");
        process.addr = addr.to_owned();
        process
    }

    /// Waits for a line that was not waited for before, whatever else is said until then.
    pub(crate) fn wait_for(&mut self, what: &str, matches: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            if let Some(place) = self.seen.iter().position(|line| matches(line)) {
                return self.seen.remove(place);
            }
            match self.lines.recv_timeout(PATIENCE.saturating_sub(start.elapsed())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Timeout) => panic!("no {what} in {:?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended before {what}: {:?}", self.seen)
                }
            }
        }
    }

    pub(crate) fn wait_for_line(&mut self, line: &str) {
        self.wait_for(line, |said| said == line);
    }

    /// What was said and not waited for.
    pub(crate) fn said(&mut self) -> &[String] {
        self.seen.extend(self.lines.try_iter());
        &self.seen
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().expect("still open"), "{line}").unwrap();
    }

    pub(crate) fn close_input(&mut self) {
        self.child.stdin = None;
    }

    /// Ends it as a crash does, without a goodbye.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The same, and all that was said and not waited for.
    pub(crate) fn kill_and_hear(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        // The end of its output ends the list.
        self.seen.extend(self.lines.iter());
        std::mem::take(&mut self.seen)
    }

    /// What Ctrl-C does, and how it ended.
    #[cfg(unix)]
    pub(crate) fn interrupt(mut self) -> std::process::ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        self.child.wait().unwrap()
    }
}

/// A thread that ends with the process, when its output does.
fn pass_on(output: impl Read + Send + 'static, lines: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                break;
            }
        }
    });
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a node that is expected to end by itself.
pub(crate) fn run(args: &[&str]) -> Output {
    command(args).stdin(Stdio::null()).output().unwrap()
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(example());
    command.args(args);
    command
}

/// The example's program, brought up to date once: Cargo names a test none of another package's
/// examples, and builds them for a run of the whole workspace only.
pub(crate) fn example() -> &'static PathBuf {
    static EXAMPLE: OnceLock<PathBuf> = OnceLock::new();
    EXAMPLE.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "rumormill", "--example", "node"]);
        cargo.args(["--features", "persist"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
        assert!(built.success(), "the example does not build");
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().and_then(|deps| deps.parent()).expect("a test lies in deps");
        profile.join("examples").join(format!("node{}", std::env::consts::EXE_SUFFIX))
    })
}
