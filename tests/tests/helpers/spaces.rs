//! Machines of a test's own: network namespaces on one wire, each with names of its own.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::namespaces::Namespaces;
use super::process::{Process, example};

/// Machines 1 to `count` at 10.1.0.N on one wire, without a default route; gone when dropped.
pub(crate) struct Spaces {
    /// The first is the wire.
    spaces: Namespaces,
    /// Holds the names that these machines know.
    folder: TempDir,
}

impl Spaces {
    /// `None` where the machine can't.
    pub(crate) fn new(count: usize) -> Option<Self> {
        let spaces = Namespaces::new(count + 1, |spaces| wire(spaces, count))?;
        let spaces = Self { spaces, folder: TempDir::new().unwrap() };
        let names: String = (1..=count).map(|it| format!("10.1.0.{it} n{it}\n")).collect();
        std::fs::write(spaces.names(), format!("127.0.0.1 localhost\n{names}")).unwrap();
        Some(spaces)
    }

    /// The file that is `/etc/hosts` there.
    pub(crate) fn names(&self) -> PathBuf {
        self.folder.path().join("hosts")
    }

    /// Changes a machine's links, addresses or routes.
    pub(crate) fn ip(&self, machine: usize, command: &str) {
        self.spaces.ip(machine, &format!("{command}\n")).unwrap();
    }

    /// Gives a machine another network, with the default route on it.
    pub(crate) fn add_default_route(&self, machine: usize) {
        let name = self.spaces.name(machine);
        let far = format!("link add w{machine} type veth peer name eth0 netns {name}");
        self.ip(0, &format!("{far}\nlink set w{machine} up"));
        self.ip(
            machine,
            &format!(
                "addr add 192.168.{machine}.5/24 dev eth0\n\
                 link set eth0 up\n\
                 route add default via 192.168.{machine}.1"
            ),
        );
    }

    /// Has a machine drop what comes in by this, `udp` or `tcp`.
    pub(crate) fn filter(&self, machine: usize, protocol: &str) {
        let table = format!(
            "table inet cut {{\nchain input {{\ntype filter hook input priority 0\n\
             iifname \"eth1\" meta l4proto {protocol} drop\n}}\n}}\n"
        );
        self.spaces.filter(machine, &table).unwrap();
    }

    /// Starts a node there.
    pub(crate) fn start(&self, machine: usize, args: &[&str]) -> Process {
        // In a namespace of files that is gone with the process.
        let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.spaces.name(machine), "sh", "-c", script]);
        command.arg(self.names()).arg(example()).args(args);
        Process::of(command, args)
    }
}

fn wire(spaces: &Namespaces, count: usize) -> Result<(), String> {
    spaces.ip(0, "link add br0 type bridge\nlink set br0 up\n")?;
    for machine in 1..=count {
        let name = spaces.name(machine);
        let hub = format!(
            "link add v{machine} type veth peer name eth1 netns {name}\n\
             link set v{machine} master br0 up\n"
        );
        spaces.ip(0, &hub)?;
        let own =
            format!("link set lo up\nlink set eth1 up\naddr add 10.1.0.{machine}/24 dev eth1\n");
        spaces.ip(machine, &own)?;
    }
    Ok(())
}
