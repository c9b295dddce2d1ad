//! Network namespaces: a router in one of them, a node in each other, and filters that cut links.
//!
//! A router and not a bridge: the kernel keeps one table of neighbours for all namespaces, and
//! fifty nodes that all know each other's link address are more than it holds. So each knows that
//! of the router.
//!
//! All names begin with the number of the process that made them, so that a later run finds what
//! a killed one left behind. Nothing outside of these namespaces is touched.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::process::{self, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rumormill::link::{Latency, Link, Loss};
use rumormill::rng::Probability;

use super::super::TestbedError;
use crate::scenario::plan::{NodeNo, Plan};

/// How all names of namespaces begin.
const PREFIX: &str = "rumormill-";

/// The address of the router on all its links.
const ROUTER: &str = "169.254.0.1";

/// Where nodes are listened to and cut off.
const TABLE: &str = "
table inet cut {
  set from { type ipv4_addr; }
  chain input { type filter hook input priority 0; policy accept; ip saddr @from drop; }
}
";

/// Held while namespaces are made or used; whoever ends the process takes it for good.
static IN_USE: Mutex<()> = Mutex::new(());

/// The namespaces of a run; dropped, they are gone.
#[derive(Debug)]
pub(super) struct Wiring {
    nodes: NodeNo,
}

impl Wiring {
    /// Makes a router, and for every node a namespace with a link to it and all its addresses.
    ///
    /// # Errors
    /// When the machine has not what it takes, or the rights are missing: one line.
    pub(super) fn build(plan: &Plan) -> Result<Self, TestbedError> {
        check_rights()?;
        let wiring = Self { nodes: plan.nodes_ever };
        let made = {
            let _in_use = hold();
            sweep();
            wiring.make(plan)
        };
        // Dropped half made, it takes away what there is.
        made.map_err(|why| {
            TestbedError::Machine(format!("--net netns: {why}; or take --net udp"))
        })?;
        Ok(wiring)
    }

    fn make(&self, plan: &Plan) -> Result<(), String> {
        let names = (0..self.nodes).map(name).chain([hub()]);
        let add: String = names.map(|name| format!("netns add {name}\n")).collect();
        run(&["ip", "-batch", "-"], &add)?;
        let router = hub();
        let forward = "echo 1 >/proc/sys/net/ipv4/ip_forward";
        run(&["ip", "netns", "exec", &router, "sh", "-c", forward], "")?;
        let mut far_ends = String::new();
        for node in 0..self.nodes {
            let addrs = addrs(plan, node);
            run(&["ip", "-n", &name(node), "-batch", "-"], &near_end(node, &addrs))?;
            run(&["ip", "netns", "exec", &name(node), "nft", "-f", "-"], TABLE)?;
            far_ends += &far_end(node, &addrs);
        }
        run(&["ip", "-n", &router, "-batch", "-"], &far_ends)?;
        self.slow_down(&plan.network)
    }

    /// Has the kernel delay and lose what nodes send, where the plan wants that.
    fn slow_down(&self, link: &Link) -> Result<(), String> {
        let Some(netem) = netem(link)? else { return Ok(()) };
        for node in 0..self.nodes {
            let name = name(node);
            let mut command = vec!["ip", "netns", "exec", &name];
            command.extend(["tc", "qdisc", "add", "dev", "eth0", "root", "netem"]);
            command.extend(netem.split(' '));
            run(&command, "").map_err(|why| {
                format!(
                    "latency and loss take the kernel's netem, and there is none ({why}): say \
                     `--set network.latency=0ms` and leave losses out"
                )
            })?;
        }
        Ok(())
    }

    /// Has a node hear nothing from these addresses, and everybody else. While [`hold`] is held.
    pub(super) fn cut(&self, node: NodeNo, from: &BTreeSet<IpAddr>) -> Result<(), String> {
        let mut script = "flush set inet cut from\n".to_owned();
        if !from.is_empty() {
            let list: Vec<String> = from.iter().map(ToString::to_string).collect();
            script += &format!("add element inet cut from {{ {} }}\n", list.join(", "));
        }
        run(&["ip", "netns", "exec", &name(node), "nft", "-f", "-"], &script)
    }

    /// A command in the namespace of a node, not started yet. Start it while [`hold`] is held.
    pub(super) fn command(&self, node: NodeNo) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &name(node)]);
        command
    }
}

impl Drop for Wiring {
    fn drop(&mut self) {
        let _in_use = hold();
        remove(&own());
    }
}

/// Keeps namespaces from being removed meanwhile.
pub(super) fn hold() -> MutexGuard<'static, ()> {
    IN_USE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the namespaces of this process, for good; for whoever ends it.
///
/// The caller must end the process while it holds what is returned.
#[must_use = "namespaces may be made again once this is dropped"]
pub(in crate::testbed) fn discard() -> impl Sized {
    let in_use = hold();
    remove(&own());
    in_use
}

/// Removes what runs left behind that were killed.
fn sweep() {
    let is_dead = |name: &&String| {
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let comm = |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm")).ok();
        let own = comm("self");
        pid.is_some_and(|pid| pid.parse::<u32>().is_ok() && comm(pid) != own)
    };
    let all = all();
    let dead: Vec<String> = all.iter().filter(is_dead).cloned().collect();
    remove(&dead);
}

/// Kills what runs in namespaces and removes them; what fails is left to the next sweep.
fn remove(names: &[String]) {
    if names.is_empty() {
        return;
    }
    for name in names {
        let pids = output(&["ip", "netns", "pids", name]).unwrap_or_default();
        for pid in pids.split_whitespace() {
            let _ = output(&["kill", "-KILL", pid]);
        }
    }
    let delete: String = names.iter().map(|name| format!("netns del {name}\n")).collect();
    let _ = run(&["ip", "-force", "-batch", "-"], &delete);
}

fn own() -> Vec<String> {
    let prefix = format!("{PREFIX}{}-", process::id());
    all().into_iter().filter(|name| name.starts_with(&prefix)).collect()
}

/// The names of all namespaces that runs have made.
fn all() -> Vec<String> {
    let listed = output(&["ip", "netns", "list"]).unwrap_or_default();
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| name.starts_with(PREFIX)).map(str::to_owned).collect()
}

fn name(node: NodeNo) -> String {
    format!("{PREFIX}{}-{node}", process::id())
}

fn hub() -> String {
    format!("{PREFIX}{}-hub", process::id())
}

/// All addresses that a node ever has.
fn addrs(plan: &Plan, node: NodeNo) -> BTreeSet<IpAddr> {
    let own = plan.incarnations.iter().filter(|born| born.node == node);
    own.map(|born| born.public.addr().ip()).collect()
}

/// A node's end of its link: its addresses, and the router as the way to all others.
fn near_end(node: NodeNo, addrs: &BTreeSet<IpAddr>) -> String {
    let hub = hub();
    let mut script = format!("link add eth0 type veth peer name v{node} netns {hub}\n");
    for addr in addrs {
        script += &format!("addr add {addr}/32 dev eth0\n");
    }
    script += "link set eth0 up\nlink set lo up\n";
    script + &format!("route add default via {ROUTER} dev eth0 onlink\n")
}

/// The router's end of it.
fn far_end(node: NodeNo, addrs: &BTreeSet<IpAddr>) -> String {
    let mut script = format!("addr add {ROUTER}/32 dev v{node}\nlink set v{node} up\n");
    for addr in addrs {
        script += &format!("route add {addr}/32 dev v{node}\n");
    }
    script
}

fn check_rights() -> Result<(), TestbedError> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let is_root = uids.is_some_and(|uids| uids.split_whitespace().nth(1) == Some("0"));
    let missing = |program: &&&str| output(&[program, "-V"]).is_err();
    let why = if uids.is_none() {
        "this is no Linux".to_owned()
    } else if !is_root {
        "namespaces take root".to_owned()
    } else if let Some(program) = ["ip", "nft"].iter().find(missing) {
        format!("there is no `{program}` here (packages iproute2 and nftables)")
    } else {
        return Ok(());
    };
    Err(TestbedError::Machine(format!("--net netns: {why}; take --net udp instead")))
}

/// What to tell netem of a link; `None` when it delays and loses nothing.
fn netem(link: &Link) -> Result<Option<String>, String> {
    let perfect = Link::uniform(std::time::Duration::ZERO, std::time::Duration::ZERO);
    let Link { latency, loss, duplicate, corrupt, queue, .. } = link.clone();
    let simple = Link { latency: latency.clone(), loss, duplicate, corrupt, queue, ..perfect };
    let (Latency::Uniform { min, max }, Loss::Each(lost), true) = (&latency, loss, simple == *link)
    else {
        return Err("the kernel does delays in a range, loss, duplicates and corruption; what \
                    else [network] says needs --net udp"
            .to_owned());
    };
    let percent = |share: Probability| share.as_ppb() as f64 / 1e7;
    let mut words = Vec::new();
    if !max.is_zero() {
        let (middle, spread) = ((*min + *max) / 2, (*max - *min) / 2);
        words.push(format!("delay {}us {}us", middle.as_micros(), spread.as_micros()));
    }
    for (what, share) in [("loss", lost), ("duplicate", duplicate), ("corrupt", corrupt)] {
        if share != Probability::ZERO {
            words.push(format!("{what} {}%", percent(share)));
        }
    }
    Ok((!words.is_empty()).then(|| words.join(" ")))
}

/// Runs a command to its end, with a text for it to read; the first line of its complaint if it
/// fails.
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

/// What a command prints.
fn output(command: &[&str]) -> std::io::Result<String> {
    let output = Command::new(command[0]).args(&command[1..]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
