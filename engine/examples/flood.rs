//! A small cluster on loopback while a stranger floods one of its nodes: what it costs the others.
//!
//! ```sh
//! cargo run --release --example flood -- rumors
//! cargo run --release --example flood -- records
//! cargo run --release --example flood -- calls --rate 1500
//! ```
//!
//! `rumors` are small datagrams that each make a node known which does not exist, the dearest that
//! a stranger can send; `records` are datagrams of 65 kB full of such nodes; `calls` are
//! connections that say nothing. Meanwhile values are published by one node after the other: with
//! `calls` of 1 MiB, which travel by connection. All of it happens in this process and
//! shares its processors, ends after `--seconds`, and goes to loopback only.

mod measures;

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use rumormill::core::packet::{Body, Delta, MembershipUpdate, RingArc, Rumor, Subject, Token};
use rumormill::core::{Age, AgeStep, Cause, MemberState, Packet, Record};
use rumormill::node::{Generation, NodeId};
use rumormill::time::{Now, UnixNanos};
use rumormill::wire::{Guard, Run};
use rumormill::{Config, Event, Events, Node, NodeList, Notice, Version};
use socket2::{Domain, Socket, Type};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use measures::{cpu_seconds, now};

type Failure = Box<dyn std::error::Error>;

#[derive(Parser)]
#[command(about = "Floods a node of a small cluster on loopback, and watches the others")]
struct Args {
    /// What the stranger sends.
    #[arg(value_enum, default_value = "rumors")]
    kind: Kind,
    /// How many of it a second.
    #[arg(long, default_value_t = 100_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// How long it goes on.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..=50))]
    nodes: u16,
    /// The nodes have a secret, which the stranger does not know.
    #[arg(long)]
    secret: bool,
    /// Period of probes, beats and swaps; who is silent for five of them is removed.
    #[arg(long, default_value = "200ms", value_parser = humantime::parse_duration)]
    cycle: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Rumors,
    Delta,
    Calls,
}

/// What a value may take before it counts as missed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Connections of the stranger that are open at a time.
const CALLS_OPEN_MAX: usize = 512;

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(&args))
}

async fn measure(args: &Args) -> Result<(), Failure> {
    let config = config(args)?;
    let lists = joined(args, &config).await?;
    let members: Vec<_> = lists.iter().map(|list| list.node().addr()).collect();
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let (gone, mut removals) = mpsc::unbounded_channel();
    for list in &lists {
        tokio::spawn(watch(list.subscribe(), members.clone(), arrived.clone(), gone.clone()));
    }
    // A node that has just started believes more than one that knows the others.
    sleep(config.timeout() * 2).await;
    let cpu = cpu_seconds();
    let start = now();
    let flood = Flood::start(args, members[0]);
    let mut times = Vec::new();
    let mut missed = 0;
    while start.elapsed() < Duration::from_secs(args.seconds) {
        let publisher = &lists[(times.len() + missed) % lists.len()];
        match publish(publisher, args.kind, &mut arrivals, lists.len()).await? {
            Some(time) => times.push(time),
            None => missed += 1,
        }
        sleep(Duration::from_millis(250)).await;
    }
    let sent = flood.stop() as f64 / start.elapsed().as_secs_f64();
    let cpu = (cpu_seconds() - cpu) / start.elapsed().as_secs_f64();
    times.sort_unstable();
    println!("{:?}: {sent:.0} a second to one of {} nodes", args.kind, args.nodes);
    println!("publishes: {} reached all, {missed} missed", times.len());
    if let (Some(median), Some(worst)) = (times.get(times.len() / 2), times.last()) {
        println!("  after {median:.1?} in the middle, {worst:.1?} at most");
    }
    let mut removed = 0;
    while removals.try_recv().is_ok() {
        removed += 1;
    }
    println!("false removals: {removed}");
    let stats = lists[0].stats();
    println!("the flooded node: {} datagrams in, {} out", stats.received, stats.sent);
    println!("  lists {}; {:.0} % of a processor in all", lists[0].get().len(), cpu * 100.0);
    for (reason, count) in stats.rejected.iter() {
        println!("  refused {count}: {reason}");
    }
    let streams = stats.streams;
    println!("  connections: {} taken, {} sent away", streams.accepted, streams.evicted);
    Ok(())
}

fn config(args: &Args) -> Result<Config, Failure> {
    let config = Config::builder().cycle(args.cycle).timeout(args.cycle * 5);
    let config = if args.secret { config.secret_key("the nodes' own") } else { config };
    Ok(config.build()?)
}

async fn joined(args: &Args, config: &Config) -> Result<Vec<NodeList>, Failure> {
    let mut lists: Vec<NodeList> = Vec::new();
    for number in 0..args.nodes {
        let node = Node::new("127.0.0.1:0").name(format!("n{number}"));
        let list = NodeList::new(node, config.clone())?;
        if let Some(first) = lists.first() {
            list.set(first.node().addr().to_string())?;
        }
        list.join().await?;
        lists.push(list);
    }
    let start = now();
    while lists.iter().any(|list| list.get().len() < lists.len()) {
        if start.elapsed() > 10 * PATIENCE {
            return Err("the nodes did not find each other before the flood".into());
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(lists)
}

/// Says which versions reach a node, and which of the members it removes.
async fn watch(
    mut events: Events,
    members: Vec<SocketAddr>,
    arrived: mpsc::UnboundedSender<Version>,
    gone: mpsc::UnboundedSender<()>,
) {
    while let Some(notice) = events.recv().await {
        match notice {
            Notice::Event(Event::Published(held)) => {
                // Nobody reads after the end of the run.
                let _ = arrived.send(held.version());
            }
            Notice::Event(Event::Removed { record, cause: Cause::Timeout })
                if members.contains(&record.node().addr()) =>
            {
                let _ = gone.send(());
            }
            Notice::Rejected(reason) => eprintln!("packets are refused: {reason}"),
            _ => {}
        }
    }
}

/// Publishes, and says how long it took until all held it.
async fn publish(
    publisher: &NodeList,
    kind: Kind,
    arrivals: &mut mpsc::UnboundedReceiver<Version>,
    nodes: usize,
) -> Result<Option<Duration>, Failure> {
    let start = now();
    let value = if kind == Kind::Calls { vec![7; 1 << 20] } else { b"limit=10".to_vec() };
    let version = publisher.publish(value).await?;
    let all = async {
        let mut holders = 0;
        while holders < nodes {
            let Some(arrived) = arrivals.recv().await else { return };
            holders += usize::from(arrived == version);
        }
    };
    let reached = timeout(PATIENCE, all).await.is_ok();
    Ok(reached.then(|| start.elapsed()))
}

/// A thread that floods one node.
struct Flood {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Flood {
    fn start(args: &Args, to: SocketAddr) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let pace = Pace { ends: Arc::clone(&ends), start: now(), rate: args.rate, sent: 0 };
        let kind = args.kind;
        let thread = std::thread::spawn(move || match kind {
            Kind::Rumors => send(to, pace, |guard, number| datagram(guard, rumor(number))),
            Kind::Delta => {
                // Encoding them takes longer than sending them.
                let mut made: Vec<Vec<u8>> = Vec::new();
                send(to, pace, move |guard, number| {
                    if made.len() < 64 {
                        made.push(datagram(guard, records(number)));
                    }
                    made[number as usize % made.len()].clone()
                })
            }
            Kind::Calls => call(to, pace),
        });
        Self { ends, thread }
    }

    fn stop(self) -> u64 {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().expect("the flood ends when told")
    }
}

/// How far a flood has come, and how far it should have.
struct Pace {
    ends: Arc<AtomicBool>,
    start: Instant,
    rate: u32,
    sent: u64,
}

impl Pace {
    /// Waits for the next turn; false when there is none.
    #[allow(clippy::disallowed_methods, reason = "this program floods in real time")]
    fn next(&mut self) -> bool {
        while self.sent as f64 > self.start.elapsed().as_secs_f64() * f64::from(self.rate) {
            if self.ends.load(Ordering::Relaxed) {
                return false;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        self.sent += 1;
        !self.ends.load(Ordering::Relaxed)
    }
}

fn send(to: SocketAddr, mut pace: Pace, mut make: impl FnMut(&mut Guard, u32) -> Vec<u8>) -> u64 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port on loopback");
    let mut guard = guard();
    let mut sent = 0;
    while pace.next() {
        // A full queue is the very thing that is wanted.
        sent += u64::from(socket.send_to(&make(&mut guard, pace.sent as u32), to).is_ok());
    }
    sent
}

/// Waits for none of them to be answered.
fn call(to: SocketAddr, mut pace: Pace) -> u64 {
    let mut open = VecDeque::new();
    let mut called = 0;
    while pace.next() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_nonblocking(true).expect("a socket may be without waiting");
        // That it takes its time is told as an error.
        let _ = socket.connect(&to.into());
        called += 1;
        open.push_back(socket);
        if open.len() > CALLS_OPEN_MAX {
            open.pop_front();
        }
    }
    called
}

/// The stranger's: it has no secret.
fn guard() -> Guard {
    let now = Now { mono: rumormill::time::Instant::ZERO, wall: UnixNanos(0) };
    let run = Run { addr: ([127, 0, 0, 1], 1).into(), random: [0; 8], now };
    Guard::new(&Config::default(), &run)
}

fn datagram(guard: &mut Guard, body: Body) -> Vec<u8> {
    let mut datagram = Vec::new();
    let step = AgeStep::of_timeout(Duration::from_secs(1));
    let now = Now { mono: rumormill::time::Instant::ZERO, wall: UnixNanos(0) };
    guard.encode(now, &Packet::new(step, body), &mut datagram);
    datagram
}

fn rumor(number: u32) -> Body {
    let topic = Subject::Membership(MembershipUpdate::Member(invented(number)));
    let arc = RingArc::whole(NodeId(u64::from(number)));
    Body::Rumor(Rumor { token: Token(u64::from(number) << 32), acks: 1, arc, view: None, topic })
}

/// As many as a datagram carries.
fn records(number: u32) -> Body {
    let news =
        (0..1_600).map(|at| MembershipUpdate::Member(invented(number * 1_600 + at))).collect();
    Body::Delta(Delta { news })
}

/// A node at an address that nobody has.
fn invented(number: u32) -> MemberState {
    let [_, b, c, d] = number.to_be_bytes();
    let addr = SocketAddr::from(([240, b, c, d], 9));
    let node = Node::new(addr.to_string()).build().expect("an address");
    let record = Record::new(node, Generation::start(None, wall()));
    MemberState { record: record.into(), counter: 1, age: Age(0) }
}

/// The clock that generations begin with.
#[allow(clippy::disallowed_methods, reason = "this program plays a node")]
fn wall() -> UnixNanos {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    UnixNanos(since.map_or(0, |since| since.as_nanos() as i64))
}
