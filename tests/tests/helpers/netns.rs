//! A router in a network namespace, and hosts around it in others. Gone when dropped; what a test
//! left behind that was killed goes when the next one begins.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A router and its hosts.
pub(crate) struct Network {
    /// How all its namespaces begin.
    prefix: String,
    hosts: usize,
}

/// The widest packet that the router lets through to a host; what the host itself believes is
/// always 1,500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Usual,
    /// 1,280.
    Narrow,
}

/// How all names of namespaces begin, with the number of the process behind it.
const PREFIX: &str = "narrow-";

/// The router tells nobody that a packet was too large, as in many networks.
const MUTE: &str = "
table inet mute {
  chain output {
    type filter hook output priority 0; policy accept;
    icmp type destination-unreachable drop
    icmpv6 type packet-too-big drop
  }
}
";

impl Network {
    /// One host for each width; `None`, with a word why, where the machine can't. With CI=true a
    /// program that nobody installed is no excuse.
    pub(crate) fn new(widths: &[Width]) -> Option<Self> {
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
        let prefix = format!("{PREFIX}{}-{number}", std::process::id());
        let network = Self { prefix, hosts: widths.len() };
        if let Err(why) = network.make(widths) {
            // A container may have root and yet no right to make namespaces.
            eprintln!("skipped: {why}");
            return None;
        }
        Some(network)
    }

    fn make(&self, widths: &[Width]) -> Result<(), String> {
        let names = (0..self.hosts).map(|host| self.host(host)).chain([self.router()]);
        let add: String = names.map(|name| format!("netns add {name}\n")).collect();
        run(&["ip", "-batch", "-"], &add)?;
        let router = self.router();
        let forward = "echo 1 >/proc/sys/net/ipv4/ip_forward";
        run(&["ip", "netns", "exec", &router, "sh", "-c", forward], "")?;
        for (host, width) in widths.iter().enumerate() {
            let mtu = if *width == Width::Narrow { 1_280 } else { 1_500 };
            let script = format!(
                "link add eth0 type veth peer name v{host} netns {router}\n\
                 addr add {}/24 dev eth0\n\
                 link set eth0 up\n\
                 link set lo up\n\
                 route add default via 10.77.{host}.1\n",
                self.ip(host)
            );
            run(&["ip", "-n", &self.host(host), "-batch", "-"], &script)?;
            let script =
                format!("addr add 10.77.{host}.1/24 dev v{host}\nlink set v{host} mtu {mtu} up\n");
            run(&["ip", "-n", &router, "-batch", "-"], &script)?;
        }
        self.filter(MUTE)
    }

    /// Gives the router rules of nftables.
    pub(crate) fn filter(&self, rules: &str) -> Result<(), String> {
        run(&["ip", "netns", "exec", &self.router(), "nft", "-f", "-"], rules)
    }

    /// The namespace of a host.
    pub(crate) fn host(&self, host: usize) -> String {
        format!("{}-{host}", self.prefix)
    }

    /// The address of a host.
    pub(crate) fn ip(&self, host: usize) -> String {
        format!("10.77.{host}.2")
    }

    fn router(&self) -> String {
        format!("{}-r", self.prefix)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        remove((0..self.hosts).map(|host| self.host(host)).chain([self.router()]));
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
        pid.is_some_and(|pid| !std::path::Path::new("/proc").join(pid).exists())
    };
    remove(names.filter(is_dead).map(str::to_owned));
}

/// Runs a command to its end, with a text for it to read.
fn run(command: &[&str], input: &str) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("`{}` failed: {error}", command.join(" "));
    let mut child = Command::new(command[0]);
    let child = child.args(&command[1..]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = child.stderr(Stdio::piped()).spawn().map_err(|error| failed(&error))?;
    let mut to = child.stdin.take().expect("it is piped");
    // One that ends before it has read all says why on its own.
    let _ = to.write_all(input.as_bytes());
    drop(to);
    let output = child.wait_with_output().map_err(|error| failed(&error))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(&complaint.lines().next().unwrap_or("no reason given"))),
    }
}

fn output(command: &[&str]) -> std::io::Result<String> {
    let output = Command::new(command[0]).args(&command[1..]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
