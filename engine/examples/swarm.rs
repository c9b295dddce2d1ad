//! Many nodes on loopback in one process: how fast they agree, and what each of them costs.
//!
//! ```sh
//! cargo run --release --example swarm -- 200 --runs 20
//! ```
//!
//! All nodes join through the first, at once. Then 20 values are published by one node after the
//! other, and then nothing is done for a while, in which nobody may be removed and the idle cost
//! is taken. All of it happens in this process and shares its processors: what the machine can't
//! carry shows as time, not as loss of the protocol's making.

mod measures;

use std::time::Duration;

use clap::Parser;
use rumormill::{Config, Event, Events, Node, NodeList, Notice, Version};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use measures::{cpu_seconds, now};

type Failure = Box<dyn std::error::Error>;

#[derive(Parser)]
#[command(about = "Measures many nodes on loopback in one process")]
struct Args {
    /// Nodes.
    #[arg(default_value_t = 50)]
    nodes: usize,
    /// Runs, each with nodes of its own.
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Publishes in each run.
    #[arg(long, default_value_t = 20)]
    publishes: usize,
    /// How long the idle nodes are watched.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    idle: Duration,
    /// Period of beats and swaps.
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    cycle: Duration,
}

/// Longest wait for what should take milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one run measured.
struct Run {
    /// From the last join until every node listed every other; `None` when some never did.
    full: Option<Duration>,
    /// Nodes without a full list a second after the last join.
    stragglers: usize,
    /// From each publish until every node held it; `None` when some never did.
    publishes: Vec<Option<Duration>>,
    /// Removals while everybody lived.
    removed: usize,
    idle: Idle,
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

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    println!(
        "{:>4} {:>5} {:>9} {:>10} {:>9} {:>9} {:>9} {:>8} {:>7} {:>8} {:>8} {:>7}",
        "run",
        "nodes",
        "full",
        "stragglers",
        "t100 p50",
        "t100 max",
        "missed",
        "removed",
        "B/s",
        "CPU %",
        "KiB",
        "drops"
    );
    for number in 1..=args.runs {
        // A runtime for each run, so that nothing is left over from the one before.
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let run = runtime.block_on(measure(&args))?;
        drop(runtime);
        println!("{:>4} {:>5} {}", number, args.nodes, row(&run));
    }
    Ok(())
}

fn row(run: &Run) -> String {
    let millis = |time: Option<Duration>| match time {
        Some(time) => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        None => "never".to_owned(),
    };
    let mut reached: Vec<_> = run.publishes.iter().flatten().copied().collect();
    reached.sort_unstable();
    let median = reached.get(reached.len().saturating_sub(1) / 2).copied();
    let idle = &run.idle;
    let mut row = format!(
        "{:>9} {:>10} {:>9} {:>9} {:>9} {:>8} {:>7.0} {:>8.3} {:>8.0} {:>7}",
        millis(run.full),
        run.stragglers,
        millis(median),
        millis(reached.last().copied()),
        run.publishes.len() - reached.len(),
        run.removed,
        idle.sent_bytes_per_second,
        idle.cpu_percent,
        idle.memory_bytes / 1024.0,
        idle.dropped,
    );
    if idle.send_errors + idle.rejected > 0 {
        row += &format!("  send errors {}, rejected {}", idle.send_errors, idle.rejected);
    }
    row
}

async fn measure(args: &Args) -> Result<Run, Failure> {
    let memory = resident_bytes();
    let dropped = dropped_datagrams();
    let config = Config::builder().cycle(args.cycle).build()?;
    let mut lists = Vec::with_capacity(args.nodes);
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let (gone, mut removals) = mpsc::unbounded_channel();
    for number in 0..args.nodes {
        let node = Node::new("127.0.0.1:0").name(format!("n{number}"));
        let list = NodeList::new(node, config.clone())?;
        if let Some(first) = lists.first() {
            list.set(NodeList::node(first).addr().to_string())?;
        }
        tokio::spawn(watch(list.subscribe(), arrived.clone(), gone.clone()));
        list.join().await?;
        lists.push(list);
    }
    let (full, stragglers) = full_lists(&lists).await;
    let mut publishes = Vec::with_capacity(args.publishes);
    for number in 0..args.publishes {
        // At a distance, so that one does not ride on the other.
        sleep(Duration::from_millis(250)).await;
        let publisher = &lists[number * 37 % lists.len()];
        publishes.push(publish(publisher, &mut arrivals, lists.len()).await?);
    }
    let mut idle = idle(&lists, args.idle).await;
    idle.memory_bytes = (resident_bytes() - memory) / args.nodes as f64;
    idle.dropped = dropped_datagrams() - dropped;
    let mut removed = 0;
    while removals.try_recv().is_ok() {
        removed += 1;
    }
    Ok(Run { full, stragglers, publishes, removed, idle })
}

/// Says which versions reach a node and when, and whom it removes.
async fn watch(
    mut events: Events,
    arrived: mpsc::UnboundedSender<(Version, Instant)>,
    gone: mpsc::UnboundedSender<()>,
) {
    while let Some(notice) = events.recv().await {
        // Nobody reads after the end of the run.
        let _ = match notice {
            Notice::Event(Event::Published(held)) => arrived.send((held.version(), now())).is_ok(),
            Notice::Event(Event::Removed { .. }) => gone.send(()).is_ok(),
            Notice::Event(_) => true,
            Notice::Missed(count) => {
                eprintln!("a subscriber missed {count} events");
                true
            }
            Notice::Rejected(reason) => {
                eprintln!("packets are refused: {reason}");
                true
            }
            Notice::Ended(why) => {
                eprintln!("a node has ended: {why}");
                true
            }
            // A later version of the engine may tell more.
            _ => true,
        };
    }
}

/// Waits for full lists on all; how long that took, and how many took more than a second.
async fn full_lists(lists: &[NodeList]) -> (Option<Duration>, usize) {
    let start = now();
    let short = || lists.iter().filter(|list| list.get().len() < lists.len()).count();
    let mut stragglers = None;
    loop {
        let (missing, elapsed) = (short(), start.elapsed());
        if elapsed >= Duration::from_secs(1) {
            stragglers.get_or_insert(missing);
        }
        if missing == 0 {
            return (Some(elapsed), stragglers.unwrap_or(0));
        }
        if elapsed > PATIENCE {
            return (None, missing);
        }
        sleep(Duration::from_millis(2)).await;
    }
}

/// Publishes, and waits until all hold it.
async fn publish(
    publisher: &NodeList,
    arrivals: &mut mpsc::UnboundedReceiver<(Version, Instant)>,
    nodes: usize,
) -> Result<Option<Duration>, Failure> {
    let start = now();
    let version = publisher.publish(b"limit=10").await?;
    let mut last = start;
    let all = async {
        let mut holders = 0;
        while holders < nodes {
            let Some((arrived, at)) = arrivals.recv().await else { return };
            if arrived == version {
                holders += 1;
                last = last.max(at);
            }
        }
    };
    let reached = timeout(PATIENCE, all).await.is_ok();
    Ok(reached.then(|| last - start))
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
