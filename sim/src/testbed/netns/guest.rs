//! The process of one node in a namespace: it does what its standard input says, and tells on its
//! standard output all that the node takes in and sends. Nothing of ours delays a packet here.

use std::io::{self, BufRead as _, BufWriter, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rumormill::core::{Engine, Output, Packet};
use rumormill::net::{Departure, Interceptor};
use rumormill::{Node, NodeList};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::super::loopback;
use super::forms::{
    Birth, EventForm, Order, RecordForm, StatsForm, Told, What, bytes, packet_text,
};
use crate::clock::{Stopwatch, unix_nanos};
use crate::scenario;
use crate::world::trace::content;

/// Between two reports of what the engine has counted.
const STATS_PERIOD: Duration = Duration::from_millis(100);

/// Runs a node to its end: that of its standard input, or its goodbye.
pub fn run() -> ExitCode {
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    let birth = read.ok().and_then(|_| serde_json::from_str::<Birth>(&line).ok());
    let Some(birth) = birth else {
        eprintln!("error: this command is for `sim run --net netns`, which starts it by itself");
        return ExitCode::from(2);
    };
    let (reporter, writer) = Reporter::start(birth.began_unix_ns);
    if let Err(why) = live(&birth, &reporter) {
        reporter.tell(What::Failed(why));
    }
    drop(reporter);
    // It ends once the last reporter is dropped.
    writer.join().expect("the writer doesn't panic");
    ExitCode::SUCCESS
}

fn live(birth: &Birth, reporter: &Arc<Reporter>) -> Result<(), String> {
    let plan = scenario::parse("scenario.toml", &birth.scenario, &[])
        .and_then(|scenario| scenario.plan(birth.seed))
        .map_err(|error| error.to_string())?;
    let born = &plan.incarnations[birth.incarnation as usize];
    let config = born.config.with_listen_addr((born.public.addr().ip(), 0).into());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let alive = runtime.block_on(async {
        let node = Node::new(born.public.addr().to_string());
        let node = node.name(born.public.name()).private_data(born.public.private_data());
        let list = NodeList::intercepted(node, config, Arc::clone(reporter) as Arc<_>);
        let list = list.map_err(|error| error.to_string())?;
        for seed in &birth.seeds {
            list.set(seed.to_string()).map_err(|error| error.to_string())?;
        }
        loopback::join(&list).await.map_err(|error| error.to_string())?;
        let record = list.record().expect("it has just joined");
        reporter.tell(What::Up(RecordForm::of(&record)));
        obey(&list, reporter, orders()).await;
        Ok(())
    });
    // The node's task holds a reporter as well.
    drop(runtime);
    alive
}

/// The lines of standard input; none more after its end.
fn orders() -> UnboundedReceiver<Order> {
    let (told, orders) = unbounded_channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let Ok(order) = serde_json::from_str(&line) else { break };
            if told.send(order).is_err() {
                break;
            }
        }
    });
    orders
}

async fn obey(list: &NodeList, reporter: &Reporter, mut orders: UnboundedReceiver<Order>) {
    let mut period = tokio::time::interval(STATS_PERIOD);
    loop {
        let order = tokio::select! {
            order = orders.recv() => order,
            _ = period.tick() => {
                reporter.tell(What::Stats(StatsForm::of(&list.stats().engine)));
                continue;
            }
        };
        match order {
            // Whoever started it has gone: so does it, without a goodbye.
            None => return,
            Some(Order::Stop) => list.stop(),
            Some(Order::Start) => list.start(),
            Some(Order::Publish(data)) => {
                // One that is wrong or comes too late shows by not being seen.
                let _ = list.publish(bytes(&data).unwrap_or_default()).await;
            }
            Some(Order::Restore(records)) => {
                let _ = list.restore(records.into_iter().filter_map(RecordForm::record)).await;
            }
            Some(Order::Leave) => {
                reporter.tell(What::Stats(StatsForm::of(&list.stats().engine)));
                // A value that went with it shows by not being held.
                let _ = list.leave().await;
                return;
            }
        }
    }
}

/// Tells what the node takes in and sends.
#[derive(Debug)]
struct Reporter {
    lines: mpsc::Sender<Told>,
    since: Stopwatch,
    /// What the run's clock showed when `since` was started.
    ahead: Duration,
}

impl Reporter {
    fn start(began_unix_ns: i64) -> (Arc<Self>, thread::JoinHandle<()>) {
        let (lines, told) = mpsc::channel();
        let since = Stopwatch::start();
        let ahead = u64::try_from(unix_nanos().0 - began_unix_ns).unwrap_or(0);
        let ahead = Duration::from_nanos(ahead);
        let writer = thread::spawn(move || write(&told));
        (Arc::new(Self { lines, since, ahead }), writer)
    }

    fn tell(&self, what: What) {
        let now = self.ahead + self.since.elapsed();
        let told = Told { t_ns: rumormill::time::nanos(now), what };
        // Nobody to tell means that the run is over.
        let _ = self.lines.send(told);
    }
}

/// Writes lines, and lets them go whenever there is none more to write.
fn write(told: &mpsc::Receiver<Told>) {
    let mut out = BufWriter::new(io::stdout().lock());
    while let Ok(first) = told.recv() {
        for line in std::iter::once(first).chain(told.try_iter()) {
            let text = serde_json::to_string(&line).expect("a line has string keys");
            if writeln!(out, "{text}").is_err() {
                return;
            }
        }
        if out.flush().is_err() {
            return;
        }
    }
}

impl Interceptor for Reporter {
    fn on_input(&self, packet: Option<(SocketAddr, &Packet)>, outputs: &[Output]) {
        let event = |output: &Output| match output {
            Output::Event(event) => EventForm::of(event),
            Output::Send { .. } | Output::Answer(_) | Output::Flush => None,
        };
        let events: Vec<EventForm> = outputs.iter().filter_map(event).collect();
        let packet = packet.map(|(from, packet)| (from, content::<Engine>(packet)));
        if packet.is_some() || !events.is_empty() {
            self.tell(What::Input { packet, events });
        }
    }

    fn on_departure(&self, departure: Departure) {
        let (to, len) = (departure.to(), departure.encoded_len());
        self.tell(What::Sent { to, packet: packet_text(departure.packet()), len });
        // What the system does not take shows as a packet that never arrives.
        let _ = departure.send();
    }
}
