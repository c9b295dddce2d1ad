//! Entries on loopback, many nodes in one process: how soon a put is everywhere under load, what
//! it costs, and how soon a newcomer holds what all others hold.
//!
//! ```sh
//! cargo run --release --example puts -- load --nodes 50 --writers 10 --rate 1000
//! cargo run --release --example puts -- newcomer --entries 100000
//! ```
//!
//! All of it happens in this process and shares its processors, the measuring too.

mod measures;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use clap::{Args, Parser};
use rumormill::{Config, Event, Events, Node, NodeList, Notice};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use measures::{cpu_seconds, now};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(about = "Measures entries on loopback, many nodes in one process")]
enum Task {
    /// Some nodes put at a steady rate, and all follow.
    Load(Load),
    /// One joins nodes that hold many entries, while others put.
    Newcomer(Newcomer),
}

#[derive(Clone, Args)]
struct Load {
    /// Nodes.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(2..))]
    nodes: u16,
    /// Those of them that put.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    writers: u16,
    /// Puts a second, of all writers together.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// For how long.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    time: Duration,
    /// Looks at the stores at the end only, so that nothing but the nodes takes processor time.
    #[arg(long)]
    unwatched: bool,
}

#[derive(Clone, Args)]
struct Newcomer {
    /// Nodes that are there before.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..))]
    nodes: u16,
    /// What they hold.
    #[arg(long, default_value_t = 100_000)]
    entries: usize,
    /// Bytes of each value.
    #[arg(long, default_value_t = 100)]
    len: usize,
    /// Puts a second meanwhile.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
}

/// Longest wait for what should take seconds.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Load(load) => tokio::spawn(measure_load(load)).await,
        Task::Newcomer(newcomer) => tokio::spawn(measure_newcomer(newcomer)).await,
    };
    match done.map_err(Failure::from).flatten() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn measure_load(load: Load) -> Result<(), Failure> {
    let lists = joined(load.nodes).await?;
    let puts = (load.time.as_secs_f64() * f64::from(load.rate)) as usize;
    let arrivals = Arc::new(Arrivals::new(puts));
    if !load.unwatched {
        lists.iter().for_each(|list| watch(list.subscribe(), &arrivals));
    }
    let (sent, cpu, start) = (packets(&lists), cpu_seconds(), now());
    put_for_a_while(&lists[..usize::from(load.writers)], puts, load.time, &arrivals).await?;
    let ended = now();
    while let Some(short) = lists.iter().find(|list| list.stats().engine.entries < puts) {
        if ended.elapsed() > PATIENCE {
            return Err(format!("one holds {} of {puts}", short.stats().engine.entries).into());
        }
        sleep(Duration::from_millis(2)).await;
    }
    let complete = ended.elapsed();
    let took = start.elapsed().as_secs_f64();
    let each = f64::from(load.nodes) * puts as f64;
    println!("puts                       {puts}");
    println!("on all after the last      {:.1} ms", complete.as_secs_f64() * 1e3);
    println!("packets a put and node     {:.2}", (packets(&lists) - sent) as f64 / each);
    println!("processors of all nodes    {:.2}", (cpu_seconds() - cpu) / took);
    println!("us a delivery              {:.1}", (cpu_seconds() - cpu) * 1e6 / each);
    if !load.unwatched {
        println!("{}", Delays::of(&arrivals, 0..puts));
    }
    Ok(())
}

async fn measure_newcomer(task: Newcomer) -> Result<(), Failure> {
    let first = lone("n0", None).await?;
    let value = vec![7; task.len];
    for number in 0..task.entries {
        first.put(format!("store/{number:08}"), &value).await?;
    }
    let mut lists = vec![first];
    for number in 1..task.nodes {
        let (list, took) = complete(&lists[0], number, task.entries).await?;
        println!("complete, nobody puts      {:.0} ms", took.as_secs_f64() * 1e3);
        lists.push(list);
    }
    // Let lists and coverage settle.
    sleep(Duration::from_secs(3)).await;
    let seconds = 3;
    let puts = seconds * task.rate as usize;
    let arrivals = Arc::new(Arrivals::new(4 * puts));
    lists.iter().for_each(|list| watch(list.subscribe(), &arrivals));
    let time = Duration::from_secs(seconds as u64);
    put_for_a_while(&lists[..1], puts, time, &arrivals).await?;
    sleep(Duration::from_secs(1)).await;
    println!("before:    {}", Delays::of(&arrivals, 0..puts));
    let more = arrivals.clone();
    let writer = lists[..1].to_vec();
    let writing = tokio::spawn(async move { put_some(&writer, puts..2 * puts, time, &more).await });
    let (newcomer, took) = complete(&lists[0], task.nodes, task.entries).await?;
    println!("complete, while one puts   {:.0} ms", took.as_secs_f64() * 1e3);
    writing.await??;
    sleep(Duration::from_secs(1)).await;
    println!("meanwhile: {}", Delays::of(&arrivals, puts..2 * puts));
    drop(newcomer);
    Ok(())
}

/// A node that joins, and how long it took until it held as much.
async fn complete(
    seed: &NodeList,
    number: u16,
    entries: usize,
) -> Result<(NodeList, Duration), Failure> {
    let start = now();
    let list = lone(&format!("n{number}"), Some(seed)).await?;
    while list.stats().engine.entries < entries {
        if start.elapsed() > PATIENCE {
            return Err(format!("it holds {} of {entries}", list.stats().engine.entries).into());
        }
        sleep(Duration::from_millis(2)).await;
    }
    Ok((list, start.elapsed()))
}

async fn lone(name: &str, seed: Option<&NodeList>) -> Result<NodeList, Failure> {
    // Room for what is put beside what the default lets in.
    let config = Config::builder().entries_max(200_000).build()?;
    let list = NodeList::new(Node::new("127.0.0.1:0").name(name), config)?;
    if let Some(seed) = seed {
        list.set(NodeList::node(seed).addr().to_string())?;
    }
    list.join().await?;
    Ok(list)
}

/// Nodes that all list all.
async fn joined(nodes: u16) -> Result<Vec<NodeList>, Failure> {
    let mut lists: Vec<NodeList> = Vec::new();
    for number in 0..nodes {
        lists.push(lone(&format!("n{number}"), lists.first()).await?);
    }
    let start = now();
    while lists.iter().any(|list| list.stats().engine.members < lists.len()) {
        if start.elapsed() > PATIENCE {
            return Err("the lists did not become full: run fewer nodes".into());
        }
        sleep(Duration::from_millis(5)).await;
    }
    sleep(Duration::from_secs(2)).await;
    Ok(lists)
}

async fn put_for_a_while(
    writers: &[NodeList],
    puts: usize,
    time: Duration,
    arrivals: &Arrivals,
) -> Result<(), Failure> {
    put_some(writers, 0..puts, time, arrivals).await
}

/// Puts under these numbers, in turn by each, evenly over the time.
async fn put_some(
    writers: &[NodeList],
    numbers: std::ops::Range<usize>,
    time: Duration,
    arrivals: &Arrivals,
) -> Result<(), Failure> {
    let mut ticks = interval(time / numbers.len() as u32);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in numbers {
        ticks.tick().await;
        let writer = &writers[number % writers.len()];
        arrivals.put_at(number);
        writer.put(format!("put/{number:08}"), "a value of thirty-two bytes, all").await?;
    }
    Ok(())
}

fn packets(lists: &[NodeList]) -> u64 {
    lists.iter().map(|list| list.stats().sent).sum()
}

/// When each put was made, and when the last node had it.
struct Arrivals {
    start: Instant,
    put: Vec<AtomicU64>,
    last: Vec<AtomicU64>,
}

impl Arrivals {
    fn new(puts: usize) -> Self {
        let zeros = || (0..puts).map(|_| AtomicU64::new(0)).collect();
        Self { start: now(), put: zeros(), last: zeros() }
    }

    fn micros(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    fn put_at(&self, number: usize) {
        self.put[number].store(self.micros(), Relaxed);
    }
}

/// Notes when a node is told of each put.
fn watch(mut events: Events, arrivals: &Arc<Arrivals>) {
    let arrivals = Arc::clone(arrivals);
    tokio::spawn(async move {
        while let Some(notice) = events.recv().await {
            match notice {
                Notice::Event(Event::Entry(entry)) => {
                    let number = entry.key().as_str().strip_prefix("put/");
                    if let Some(number) = number.and_then(|text| text.parse::<usize>().ok()) {
                        arrivals.last[number].fetch_max(arrivals.micros(), Relaxed);
                    }
                }
                Notice::Missed(count) => eprintln!("a node says: missed {count}"),
                _ => {}
            }
        }
    });
}

/// From a put until the last node had it.
struct Delays(Vec<u64>);

impl Delays {
    fn of(arrivals: &Arrivals, numbers: std::ops::Range<usize>) -> Self {
        let delay = |number: usize| {
            let [last, put] = [&arrivals.last, &arrivals.put].map(|it| it[number].load(Relaxed));
            last.saturating_sub(put)
        };
        let mut delays: Vec<_> = numbers.map(delay).collect();
        delays.sort_unstable();
        Self(delays)
    }
}

impl std::fmt::Display for Delays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |q: usize| self.0.get((self.0.len() * q).div_ceil(100).saturating_sub(1));
        let millis = |q| at(q).map_or(0.0, |&micros| micros as f64 / 1e3);
        let [p50, p99, max] = [50, 99, 100].map(millis);
        write!(f, "a put on all: p50 {p50:.1} ms, p99 {p99:.1} ms, most {max:.1} ms")
    }
}
