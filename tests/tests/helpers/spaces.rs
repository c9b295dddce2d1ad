//! Machines of a test's own: network namespaces on one wire, each with names of its own.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::process::{Process, example};

/// Machines 1 to `count` at 10.1.0.N on one wire, without a default route; gone when dropped.
pub(crate) struct Spaces {
    prefix: String,
    count: usize,
    /// Holds the names that these machines know.
    folder: TempDir,
}

impl Spaces {
    /// `None` where the rights are missing, or what it takes: then there is nothing to show.
    pub(crate) fn new(count: usize) -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("rma{}-{made}-", std::process::id());
        let probe = format!("{prefix}probe");
        let is_allowed = try_ip(&format!("netns add {probe}"))
            && try_ip(&format!("netns exec {probe} nft list tables"))
            && try_ip(&format!("-n {probe} link add br0 type bridge"));
        try_ip(&format!("netns del {probe}"));
        if !is_allowed {
            return None;
        }
        let spaces = Self { prefix, count, folder: TempDir::new().unwrap() };
        let hub = spaces.name(0);
        ip(&format!("netns add {hub}"));
        ip(&format!("-n {hub} link add br0 type bridge"));
        ip(&format!("-n {hub} link set br0 up"));
        for machine in 1..=count {
            let name = spaces.name(machine);
            ip(&format!("netns add {name}"));
            ip(&format!("-n {hub} link add v{machine} type veth peer name eth1 netns {name}"));
            ip(&format!("-n {hub} link set v{machine} master br0 up"));
            spaces.ip(machine, "link set lo up");
            spaces.ip(machine, "link set eth1 up");
            spaces.ip(machine, &format!("addr add 10.1.0.{machine}/24 dev eth1"));
        }
        let names: String = (1..=count).map(|it| format!("10.1.0.{it} n{it}\n")).collect();
        std::fs::write(spaces.names(), format!("127.0.0.1 localhost\n{names}")).unwrap();
        Some(spaces)
    }

    fn name(&self, machine: usize) -> String {
        format!("{}{machine}", self.prefix)
    }

    /// The file that is `/etc/hosts` there.
    pub(crate) fn names(&self) -> PathBuf {
        self.folder.path().join("hosts")
    }

    /// Changes a machine's links, addresses or routes.
    pub(crate) fn ip(&self, machine: usize, command: &str) {
        ip(&format!("-n {} {command}", self.name(machine)));
    }

    /// Gives a machine another network, with the default route on it.
    pub(crate) fn add_default_route(&self, machine: usize) {
        let (hub, name) = (self.name(0), self.name(machine));
        ip(&format!("-n {hub} link add w{machine} type veth peer name eth0 netns {name}"));
        ip(&format!("-n {hub} link set w{machine} up"));
        self.ip(machine, &format!("addr add 192.168.{machine}.5/24 dev eth0"));
        self.ip(machine, "link set eth0 up");
        self.ip(machine, &format!("route add default via 192.168.{machine}.1"));
    }

    /// Has a machine drop what comes in by this, `udp` or `tcp`.
    pub(crate) fn filter(&self, machine: usize, protocol: &str) {
        let table = format!(
            "table inet cut {{\nchain input {{\ntype filter hook input priority 0\n\
             iifname \"eth1\" meta l4proto {protocol} drop\n}}\n}}\n"
        );
        let file = self.folder.path().join("filter");
        std::fs::write(&file, table).unwrap();
        ip(&format!("netns exec {} nft -f {}", self.name(machine), file.display()));
    }

    /// Starts a node there.
    pub(crate) fn start(&self, machine: usize, args: &[&str]) -> Process {
        // In a namespace of files that is gone with the process.
        let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(machine), "sh", "-c", script]);
        command.arg(self.names()).arg(example()).args(args);
        Process::of(command, args)
    }
}

impl Drop for Spaces {
    fn drop(&mut self) {
        for machine in 0..=self.count {
            try_ip(&format!("netns del {}", self.name(machine)));
        }
    }
}

fn ip(command: &str) {
    let output = run_ip(command).expect("`ip` was there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {command}: {said}");
}

fn try_ip(command: &str) -> bool {
    run_ip(command).is_ok_and(|output| output.status.success())
}

fn run_ip(command: &str) -> std::io::Result<Output> {
    Command::new("ip").args(command.split(' ')).output()
}
