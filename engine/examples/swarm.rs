//! Many nodes on loopback in one process: how fast they agree, and what each of them costs.
//!
//! ```sh
//! cargo run --release --example swarm -- 200 --liveness probes --runs 7
//! ```
//!
//! All nodes join through the first, at once. Then 20 values are published by one node after the
//! other, each followed by the same in a bare tree of sockets: the floor. And then nothing is done
//! for a while, in which nobody may be removed and the idle cost is taken. All of it happens in
//! this process and shares its processors: what the machine can't carry shows as time, not as loss
//! of the protocol's making.
//!
//! What can't succeed any more ends at once, with the reason and exit code 1.

mod floor;
mod measures;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use rumormill::config::Liveness;
use rumormill::net::open_files_max;
use rumormill::{Config, Event, Events, Node, NodeList, Notice, Version};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use floor::Tree;
use measures::{cpu_seconds, now};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone, Parser)]
#[command(about = "Measures many nodes on loopback in one process")]
struct Args {
    /// Nodes.
    #[arg(default_value_t = 50, value_parser = clap::value_parser!(u16).range(2..))]
    nodes: u16,
    /// Runs, each with nodes of its own.
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Publishes in each run.
    #[arg(long, default_value_t = 20)]
    publishes: usize,
    /// Between two that are told.
    #[arg(long, default_value = "200ms", value_parser = humantime::parse_duration)]
    pause: Duration,
    /// How long the idle nodes are watched.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    idle: Duration,
    /// Period of probes, beats and swaps.
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    cycle: Duration,
    /// How a node learns that another is alive.
    #[arg(long, default_value_t)]
    liveness: Liveness,
    /// Longest wait for what should take milliseconds.
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    patience: Duration,
}

/// How long what follows is counted with it.
const AFTERMATH: Duration = Duration::from_millis(50);

/// What one run measured.
struct Run {
    /// From the last join until every node listed every other.
    full: Duration,
    /// Nodes without a full list a second after the last join.
    stragglers: usize,
    publishes: Vec<Telling>,
    /// Of the bare tree, in turn with those.
    floor: Vec<Telling>,
    /// Removals while everybody lived.
    removed: usize,
    idle: Idle,
}

/// What it took to tell all.
#[derive(Clone, Copy)]
struct Telling {
    /// Until the last one held it.
    reached: Duration,
    /// Processor time, with what followed.
    cpu_seconds: f64,
    /// How long processor time was counted.
    watched: Duration,
}

/// What an idle node costs.
struct Idle {
    sent_bytes_per_second: f64,
    cpu_percent: f64,
    memory_bytes: f64,
    send_errors: u64,
    rejected: u64,
    /// Datagrams that the system dropped because a socket's queue was full.
    dropped: u64,
}

fn main() -> ExitCode {
    match measure_all(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            progress("");
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn measure_all(args: &Args) -> Result<(), Failure> {
    check_open_files(usize::from(args.nodes))?;
    println!("{}", COLUMNS.map(|name| format!("{name:>9}")).join(" "));
    for number in 1..=args.runs {
        // A runtime for each run, so that nothing is left over from the one before.
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        // A task like all others: to wake another thread takes as long as a delivery.
        let run = runtime.block_on(runtime.spawn(measure(args.clone())))??;
        drop(runtime);
        progress("");
        println!("{}", run.row(number, args.nodes));
    }
    Ok(())
}

/// Before anything is bound: what is short of files fails somewhere in the middle.
fn check_open_files(nodes: usize) -> Result<(), Failure> {
    // A socket for datagrams and one for calls, and that of the tree; connections come and go.
    let wanted = 3 * nodes + 64;
    match open_files_max() {
        Some(most) if most < wanted => Err(format!(
            "{nodes} nodes take about {wanted} open files and this process may have {most}: raise \
             the limit of open files (ulimit -n {wanted})"
        )
        .into()),
        _ => Ok(()),
    }
}

/// Says how far it is, to whoever looks on.
fn progress(text: &str) {
    let mut out = std::io::stderr();
    if out.is_terminal() {
        // It is no error that nobody looks on any more.
        let _ = write!(out, "\r\x1b[2K{text}").and_then(|()| out.flush());
    }
}

const COLUMNS: [&str; 14] = [
    "run",
    "nodes",
    "full",
    "straggler",
    "t100 p50",
    "t100 max",
    "tree p50",
    "us each",
    "tree us",
    "removed",
    "B/s",
    "CPU %",
    "KiB",
    "drops",
];

impl Run {
    fn row(&self, number: usize, nodes: u16) -> String {
        let millis = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
        let [publishes, floor] = [&self.publishes, &self.floor].map(|tellings| sorted(tellings));
        let idle = &self.idle;
        let columns = [
            number.to_string(),
            nodes.to_string(),
            millis(self.full),
            self.stragglers.to_string(),
            millis(median(&publishes)),
            millis(publishes.last().copied().unwrap_or_default()),
            millis(median(&floor)),
            format!("{:.1}", self.micros_each(&self.publishes, nodes)),
            format!("{:.1}", self.micros_each(&self.floor, nodes)),
            self.removed.to_string(),
            format!("{:.0}", idle.sent_bytes_per_second),
            format!("{:.4}", idle.cpu_percent),
            format!("{:.0}", idle.memory_bytes / 1024.0),
            idle.dropped.to_string(),
        ];
        let mut row = columns.map(|column| format!("{column:>9}")).join(" ");
        if idle.send_errors + idle.rejected > 0 {
            row += &format!("  send errors {}, rejected {}", idle.send_errors, idle.rejected);
        }
        row
    }

    /// Processor time of one delivery, without what the nodes take anyway.
    fn micros_each(&self, tellings: &[Telling], nodes: u16) -> f64 {
        let idle_each_second = self.idle.cpu_percent / 100.0 * f64::from(nodes);
        let cpu = |of: &Telling| of.cpu_seconds - idle_each_second * of.watched.as_secs_f64();
        let deliveries = tellings.len() as f64 * f64::from(nodes - 1);
        tellings.iter().map(cpu).sum::<f64>() * 1e6 / deliveries
    }
}

fn sorted(tellings: &[Telling]) -> Vec<Duration> {
    let mut times: Vec<_> = tellings.iter().map(|telling| telling.reached).collect();
    times.sort_unstable();
    times
}

fn median(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

async fn measure(args: Args) -> Result<Run, Failure> {
    let (memory, dropped) = (resident_bytes(), dropped_datagrams());
    let mut swarm = Swarm::join(&args).await?;
    let (full, stragglers) = swarm.full_lists(args.patience).await?;
    let mut tree = Tree::plant(swarm.lists.len()).await?;
    let (mut publishes, mut floor) = (Vec::new(), Vec::new());
    for number in 0..args.publishes {
        progress(&format!("publish {} of {}", number + 1, args.publishes));
        // At a distance, so that one does not ride on the other.
        sleep(args.pause).await;
        publishes.push(watched(swarm.publish(number, args.patience)).await?);
        sleep(args.pause).await;
        floor.push(watched(tree.tell(args.patience)).await?);
    }
    drop(tree);
    progress(&format!("idle for {:?}", args.idle));
    let mut idle = idle(&swarm.lists, args.idle).await;
    idle.memory_bytes = (resident_bytes() - memory) / f64::from(args.nodes);
    idle.dropped = dropped_datagrams() - dropped;
    swarm.hear()?;
    Ok(Run { full, stragglers, publishes, floor, removed: swarm.removed, idle })
}

/// The same with what it costs.
async fn watched(
    telling: impl Future<Output = Result<Duration, Failure>>,
) -> Result<Telling, Failure> {
    let (start, cpu_before) = (now(), cpu_seconds());
    let reached = telling.await?;
    // Acknowledgements are still under way.
    sleep(AFTERMATH).await;
    Ok(Telling { reached, cpu_seconds: cpu_seconds() - cpu_before, watched: start.elapsed() })
}

/// Nodes that run, and what they tell.
struct Swarm {
    lists: Vec<NodeList>,
    told: mpsc::UnboundedReceiver<Told>,
    /// Removals until now.
    removed: usize,
}

/// What a node tells.
enum Told {
    Holds(Version, Instant),
    Removed,
    Ended(String),
}

impl Swarm {
    async fn join(args: &Args) -> Result<Self, Failure> {
        let config = Config::builder().cycle(args.cycle).liveness(args.liveness).build()?;
        let (tell, told) = mpsc::unbounded_channel();
        let mut lists = Vec::with_capacity(usize::from(args.nodes));
        for number in 0..args.nodes {
            progress(&format!("{number} of {} nodes have joined", args.nodes));
            let node = Node::new("127.0.0.1:0").name(format!("n{number}"));
            let list = NodeList::new(node, config.clone())?;
            if let Some(first) = lists.first() {
                list.set(NodeList::node(first).addr().to_string())?;
            }
            tokio::spawn(watch(list.subscribe(), tell.clone()));
            list.join().await?;
            lists.push(list);
        }
        Ok(Self { lists, told, removed: 0 })
    }

    /// Waits for full lists on all; how long that took, and how many took more than a second.
    async fn full_lists(&mut self, patience: Duration) -> Result<(Duration, usize), Failure> {
        let (start, all) = (now(), self.lists.len());
        let mut stragglers = None;
        loop {
            self.hear()?;
            let (short, elapsed) = (self.short_lists(), start.elapsed());
            progress(&format!("{} of {all} nodes list all", all - short));
            if elapsed >= Duration::from_secs(1) {
                stragglers.get_or_insert(short);
            }
            if short == 0 {
                return Ok((elapsed, stragglers.unwrap_or(0)));
            }
            if elapsed > patience {
                return Err(format!(
                    "after {patience:?} {short} of {all} nodes have no full list, and {} were \
                     removed: run fewer, or give them longer with --patience",
                    self.removed
                )
                .into());
            }
            sleep(Duration::from_millis(2)).await;
        }
    }

    fn short_lists(&self) -> usize {
        // The members that readers see; to look at the lists themselves would have them copied.
        let listed = |list: &NodeList| list.stats().engine.members;
        self.lists.iter().filter(|list| listed(list) < self.lists.len()).count()
    }

    /// Publishes, and waits until all hold it.
    async fn publish(&mut self, number: usize, patience: Duration) -> Result<Duration, Failure> {
        let publisher = &self.lists[number * 37 % self.lists.len()];
        let start = now();
        let version = publisher.publish(b"limit=10").await?;
        let (mut holders, mut last) = (0, start);
        while holders < self.lists.len() {
            let told = timeout((start + patience).duration_since(now()), self.told.recv());
            let Ok(Some(told)) = told.await else {
                let all = self.lists.len();
                return Err(format!("{holders} of {all} nodes hold it after {patience:?}").into());
            };
            if let Some((_, at)) = self.note(told)?.filter(|&(held, _)| held == version) {
                (holders, last) = (holders + 1, last.max(at));
            }
        }
        Ok(last - start)
    }

    /// Takes in what was told.
    fn hear(&mut self) -> Result<(), Failure> {
        while let Ok(told) = self.told.try_recv() {
            self.note(told)?;
        }
        Ok(())
    }

    /// What the node holds, if it told that. Without one of its nodes a swarm can't succeed.
    fn note(&mut self, told: Told) -> Result<Option<(Version, Instant)>, Failure> {
        match told {
            Told::Holds(version, at) => return Ok(Some((version, at))),
            Told::Removed => self.removed += 1,
            Told::Ended(why) => return Err(format!("a node has ended: {why}").into()),
        }
        Ok(None)
    }
}

/// Says which versions reach a node and when, and whom it removes.
async fn watch(mut events: Events, tell: mpsc::UnboundedSender<Told>) {
    while let Some(notice) = events.recv().await {
        let told = match notice {
            Notice::Event(Event::Published(held)) => Told::Holds(held.version(), now()),
            Notice::Event(Event::Removed { .. }) => Told::Removed,
            Notice::Ended(why) => Told::Ended(why.to_string()),
            Notice::Missed(_) | Notice::Rejected(_) => {
                progress("");
                eprintln!("a node says: {notice}");
                continue;
            }
            // The rest is told of nodes that come and go; a later version may tell more.
            _ => continue,
        };
        // Nobody reads after the end of the run.
        let _ = tell.send(told);
    }
}

/// Watches the nodes while nothing is asked of them.
async fn idle(lists: &[NodeList], duration: Duration) -> Idle {
    let sent = || lists.iter().map(|list| list.stats().sent_bytes).sum::<u64>();
    let (sent_before, cpu_before, start) = (sent(), cpu_seconds(), now());
    sleep(duration).await;
    let seconds = start.elapsed().as_secs_f64() * lists.len() as f64;
    let stats: Vec<_> = lists.iter().map(NodeList::stats).collect();
    Idle {
        sent_bytes_per_second: (sent() - sent_before) as f64 / seconds,
        cpu_percent: (cpu_seconds() - cpu_before) / seconds * 100.0,
        memory_bytes: 0.0,
        send_errors: stats.iter().map(|stats| stats.send_errors).sum(),
        rejected: stats.iter().map(|stats| stats.rejected.total()).sum(),
        dropped: 0,
    }
}

/// Memory of this process; zero where the system doesn't say.
fn resident_bytes() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let resident = pages.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok());
    resident.unwrap_or(0.0) * 4096.0
}

/// Datagrams that found a full queue, on the whole machine; zero where the system doesn't say.
fn dropped_datagrams() -> u64 {
    let stats = std::fs::read_to_string("/proc/net/snmp").unwrap_or_default();
    let mut lines = stats.lines().filter(|line| line.starts_with("Udp:"));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else { return 0 };
    let place = names.split(' ').position(|name| name == "RcvbufErrors");
    place.and_then(|place| values.split(' ').nth(place)?.parse().ok()).unwrap_or(0)
}
