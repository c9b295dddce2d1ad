//! Runs one node of a cluster from the command line, and tells what happens line by line.
//!
//! ```text
//! cargo run --example node -- --listen 127.0.0.1:5000 --name A
//! cargo run --example node -- --join 127.0.0.1:5000 --name B
//! cargo run --example node -- --join 127.0.0.1:5000 --name C --publish hello
//! ```
//!
//! Each line typed is published, and with `--confirm` told when others hold it. With the feature
//! `persist` and a `--state-dir` the node goes on where its last life ended. Ctrl-C says goodbye;
//! the end of the input doesn't.

use std::error::Error;
use std::io::{ErrorKind, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin};

use rumormill::config::Advertise;
use rumormill::node::NodeId;
use rumormill::text::Printable;
use rumormill::units::{parse_duration, parse_size};
use rumormill::{Config, Event, Node, NodeList, Notice};

/// Runs one node of a cluster: joins, tells what happens, publishes what is typed.
#[derive(Parser)]
#[command(name = "node")]
struct Args {
    /// Where to listen; without a port, or with port 0, the system picks one.
    #[arg(long, value_name = "IP[:PORT]", default_value = "127.0.0.1:0", value_parser = listen)]
    listen: SocketAddr,
    /// The address that the others use, if it is not the one bound; or the interface or the
    /// network that it is on, such as eth1 or 10.0.0.0/8.
    #[arg(long, value_name = "ADDRESS")]
    advertise: Option<Advertise>,
    /// A node that is in the cluster already, by address or host name; may be repeated.
    #[arg(long, value_name = "ADDR")]
    join: Vec<String>,
    /// The node's name.
    #[arg(long, default_value = "")]
    name: String,
    /// The node's private data.
    #[arg(long, default_value = "")]
    data: String,
    /// How many nodes one node tells [default: 3].
    #[arg(long, value_name = "N")]
    fan_out: Option<u16>,
    /// Period of probes, beats and swaps, such as 250ms [default: 1s].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    cycle: Option<Duration>,
    /// Silence after which a node is removed [default: 3 cycles + 2s].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Longest datagram, such as 8KiB [default: 1200].
    #[arg(long, value_name = "SIZE", value_parser = size)]
    size: Option<usize>,
    /// Period in which seeds and removed members are tried again, such as 2s [default: 10s].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    redial: Option<Duration>,
    /// The cluster's name; nodes of other clusters are not listened to.
    #[arg(long, value_name = "NAME", default_value = "")]
    cluster: String,
    /// Publishes this as soon as the node has joined.
    #[arg(long, value_name = "TEXT")]
    publish: Option<String>,
    /// Says of each line that is typed when so many others hold it.
    #[arg(long, value_name = "N")]
    confirm: Option<usize>,
    /// Takes each line that is typed for KEY=VALUE, and puts it instead of publishing it.
    #[arg(long)]
    puts: bool,
    /// The folder in which what is to outlast the node is kept.
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<PathBuf>,
    /// Period in which it is written, such as 250ms [default: 1s].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    state_flush: Option<Duration>,
    /// Prints the console lines of pekonode on stderr.
    #[arg(long)]
    print: bool,
}

/// Why the node ends: the text is for a person, the code for a script.
struct Failure {
    code: u8,
    why: String,
}

impl Failure {
    /// What was typed makes no sense.
    fn command(why: impl Into<String>) -> Self {
        Self { code: 2, why: why.into() }
    }

    /// It made sense, and failed.
    fn run(why: impl Into<Box<dyn Error>>) -> Self {
        Self { code: 1, why: why.into().to_string() }
    }
}

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", Printable(failure.why));
            ExitCode::from(failure.code)
        }
    }
}

fn start() -> Result<(), Failure> {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) if error.use_stderr() => return Err(Failure::command(in_one_line(&error))),
        Err(help) => help.exit(),
    };
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().map_err(Failure::run)?;
    let outcome = runtime.block_on(run(args));
    // The thread that waits for the next line of stdin can't be interrupted.
    runtime.shutdown_background();
    outcome
}

async fn run(args: Args) -> Result<(), Failure> {
    let list = node_list(&args).map_err(|error| Failure::command(error.to_string()))?;
    let mut changes = list.subscribe();
    list.join().await.map_err(Failure::run)?;
    introduce(&list)?;
    if let Some(text) = &args.publish {
        list.publish(text).await.map_err(Failure::run)?;
    }
    let mut lines = Some(BufReader::new(tokio::io::stdin()).lines());
    loop {
        tokio::select! {
            line = next_line(&mut lines) => match line {
                Some(line) => write(&list, &line, &args).await,
                None => lines = None,
            },
            notice = changes.recv() => match notice {
                Some(Notice::Ended(why)) => return Err(Failure::run(why)),
                Some(notice) => say(&told(&list, &notice))?,
                None => unreachable!("the list is held here"),
            },
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.map_err(Failure::run)?;
                break;
            }
        }
    }
    list.leave().await.map_err(Failure::run)?;
    say("left")
}

fn node_list(args: &Args) -> Result<NodeList, Box<dyn Error>> {
    let mut config = Config::builder().listen_addr(args.listen).print(args.print);
    if let Some(fan_out) = args.fan_out {
        config = config.fan_out(fan_out);
    }
    if let Some(cycle) = args.cycle {
        config = config.cycle(cycle);
    }
    if let Some(timeout) = args.timeout {
        config = config.timeout(timeout);
    }
    if let Some(size) = args.size {
        config = config.size(size);
    }
    if let Some(redial) = args.redial {
        config = config.redial(redial);
    }
    if let Some(folder) = &args.state_dir {
        config = config.state_dir(folder);
    }
    if let Some(period) = args.state_flush {
        config = config.state_flush(period);
    }
    if let Some(advertise) = &args.advertise {
        config = config.advertise(advertise.clone());
    }
    let config = config.cluster(&args.cluster).seeds(&args.join).build()?;
    let node = Node::new(args.listen.to_string()).name(&args.name).private_data(&args.data);
    Ok(NodeList::new(node, config)?)
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    let ip = || text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0));
    text.parse().or_else(|_| ip()).map_err(|_| "write IP or IP:PORT, such as 0.0.0.0:5000".into())
}

fn size(text: &str) -> Result<usize, String> {
    usize::try_from(parse_size(text)?).map_err(|_| format!("{text} is more than any datagram"))
}

/// What clap says, without the usage below it.
fn in_one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let sentences = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage"));
    let said: Vec<_> = sentences
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"))
        .collect();
    said.join("; ").trim_start_matches("error: ").to_owned()
}

/// The first line is what a script waits for.
fn introduce(list: &NodeList) -> Result<(), Failure> {
    let bound = list.local_addr().expect("it has joined");
    say(&format!("listening {bound}"))?;
    let addr = list.node().addr();
    if addr == bound { Ok(()) } else { say(&format!("advertised {addr}")) }
}

/// The next line that was typed; never anything after the end of the input.
async fn next_line(lines: &mut Option<Lines<BufReader<Stdin>>>) -> Option<String> {
    match lines {
        Some(lines) => lines.next_line().await.unwrap_or_else(|error| {
            eprintln!("error: the input cannot be read, so it ends here: {error}");
            None
        }),
        None => std::future::pending().await,
    }
}

/// A line that can't be written is no reason to leave the cluster.
async fn write(list: &NodeList, line: &str, args: &Args) {
    let holders = args.confirm.unwrap_or(0);
    let written = match line.split_once('=').filter(|_| args.puts) {
        Some((key, value)) => list.put_to(key, value, holders).await,
        None => list.publish_to(line, holders).await,
    };
    match (written, args.confirm) {
        (Err(error), _) => eprintln!("error: {}", Printable(error)),
        (Ok(_), Some(_)) => println!("confirmed {}", Printable(line)),
        (Ok(_), None) => {}
    }
}

/// What happened, in one line: for metadata with its text, and with the address of its writer.
fn told(list: &NodeList, notice: &Notice) -> String {
    match notice {
        Notice::Event(Event::Published(metadata)) => {
            let text = String::from_utf8_lossy(metadata.data());
            format!("metadata {text} from {}", writer(list, metadata.version().writer))
        }
        Notice::Event(Event::Entry(entry)) if entry.data().is_some() => {
            let text = String::from_utf8_lossy(entry.data().expect("it was just seen"));
            format!("entry {}={text}", entry.key())
        }
        Notice::Event(Event::VersionAhead { version, by }) => {
            let writer = writer(list, version.writer);
            format!("metadata {version} is {}s ahead: compare the clock of {writer}", by.as_secs())
        }
        other => other.to_string(),
    }
}

/// The writer's address while it is listed, else its id.
fn writer(list: &NodeList, id: NodeId) -> String {
    let members = list.get();
    let addr = members.iter().map(Node::addr).find(|&addr| NodeId::of(addr) == id);
    addr.map_or_else(|| id.to_string(), |addr| addr.to_string())
}

/// Prints a line at once, whatever bytes somebody published. Whoever closed the pipe has seen
/// enough: that is no error.
fn say(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    match writeln!(out, "{}", Printable(line)).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::run(error)),
        _ => Ok(()),
    }
}
