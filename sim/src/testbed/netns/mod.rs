//! Real nodes in network namespaces of their own, a process each, with nothing of ours between
//! them: delays and losses are the kernel's, and so are the filters that cut partitions.

mod forms;
mod guest;
mod wiring;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write as _};
use std::net::IpAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rumormill::core::{Record, Stats};
use rumormill::link::NetworkChange;
use rumormill::time::Instant;
use tokio::sync::oneshot;
use tokio::time::timeout;

use self::forms::{Birth, EventForm, Order, RecordForm, Told, What};
use self::wiring::Wiring;
use super::TestbedError;
use super::clock::Clock;
use super::log::{Arrival, Happening, Log, LogVerdict};
use super::play::Hosts;
use crate::clock::unix_nanos;
use crate::observe::cast::IncarnationNo;
use crate::observe::weather::Weather;
use crate::scenario::plan::{Action, Manner, NodeNo, Plan};

pub use self::guest::run as run_guest;
pub(super) use self::wiring::discard;

/// Most nodes: each takes a process, a namespace and a link.
const NODES_MAX: u32 = 50;

/// Longest wait for a process to say that its node runs.
const START_MAX: Duration = Duration::from_secs(20);

/// What stands against running a plan in namespaces, if something does.
pub(super) fn objection(plan: &Plan) -> Option<String> {
    let is_cut = |change: &NetworkChange| match change {
        NetworkChange::Partition(_) | NetworkChange::Isolate(_) => true,
        NetworkChange::Links { change, .. } | NetworkChange::Everywhere(change) => {
            let only_loss = rumormill::link::LinkChange { loss: change.loss, ..Default::default() };
            change.loss == Some(rumormill::link::Loss::ALL) && *change == only_loss
        }
    };
    let changes = plan.actions.iter().filter_map(|action| action.deed.network_changes()).flatten();
    let mut changes = changes.chain(plan.links.iter().cloned());
    if plan.nodes_ever > NODES_MAX {
        return Some(format!("at most {NODES_MAX} nodes, and there are {}", plan.nodes_ever));
    }
    let why = "links that differ or change, except by being cut, need --net udp";
    changes.any(|change| !is_cut(&change)).then(|| why.to_owned())
}

/// The nodes of a run.
pub(super) struct Namespaces<'p> {
    plan: &'p Plan,
    log: Log,
    clock: Clock,
    began_unix_ns: i64,
    /// What is cut, as the link model has it.
    weather: Weather,
    /// By node: from which addresses its filter lets nothing in.
    cut: Vec<BTreeSet<IpAddr>>,
    /// By node.
    guests: Vec<Option<Guest>>,
    /// The threads that hear what nodes tell.
    ears: Vec<thread::JoinHandle<()>>,
    wiring: Wiring,
}

/// The process of a node.
struct Guest {
    child: Arc<Mutex<Child>>,
    orders: ChildStdin,
    pid: u32,
    stats: Arc<Mutex<Stats>>,
}

impl<'p> Namespaces<'p> {
    /// Makes the namespaces of a plan; nobody runs in them yet.
    ///
    /// # Errors
    /// When the machine has not what it takes.
    pub(super) fn new(plan: &'p Plan, log: Log) -> Result<Self, TestbedError> {
        let wiring = Wiring::build(plan)?;
        let mut namespaces = Self {
            plan,
            log,
            clock: Clock::start(),
            began_unix_ns: unix_nanos().0,
            weather: Weather::new(plan),
            cut: vec![BTreeSet::new(); plan.nodes_ever as usize],
            guests: (0..plan.nodes_ever).map(|_| None).collect(),
            ears: Vec::new(),
            wiring,
        };
        namespaces.filter()?;
        // Only now the run begins.
        (namespaces.clock, namespaces.began_unix_ns) = (Clock::start(), unix_nanos().0);
        Ok(namespaces)
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// Has every node's filter cut what the link model cuts, all at a time.
    fn filter(&mut self) -> Result<(), TestbedError> {
        let plan = self.plan;
        let links = &self.weather.links;
        let wanted = (0..plan.nodes_ever).map(|to| {
            let cut = |from: NodeNo| from != to && !links.passes(from, to);
            let from = plan.incarnations.iter().filter(|born| cut(born.node));
            from.map(|born| born.public.addr().ip()).collect::<BTreeSet<_>>()
        });
        let wanted: Vec<_> = wanted.collect();
        let changed = (0..).zip(&wanted).zip(&self.cut).filter(|((_, new), old)| new != old);
        let changed: Vec<_> = changed.map(|((node, from), _)| (node, from)).collect();
        let wiring = &self.wiring;
        let _in_use = wiring::hold();
        let done: Vec<Result<(), String>> = thread::scope(|scope| {
            let cut = |&(node, from)| scope.spawn(move || wiring.cut(node, from));
            let threads: Vec<_> = changed.iter().map(cut).collect();
            threads.into_iter().map(|it| it.join().expect("it doesn't panic")).collect()
        });
        self.cut = wanted;
        done.into_iter().collect::<Result<(), _>>().map_err(TestbedError::Machine)
    }

    fn spawn(&mut self, number: IncarnationNo) -> Result<(Guest, Up), TestbedError> {
        let failed = |error: std::io::Error| {
            TestbedError::Machine(format!("a node's process cannot be started: {error}"))
        };
        let node = self.plan.incarnations[number as usize].node;
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = self.wiring.command(node);
        command.arg(program).arg(super::GUEST).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = {
            let _in_use = wiring::hold();
            command.spawn().map_err(failed)?
        };
        let orders = child.stdin.take().expect("it is piped");
        let told = BufReader::new(child.stdout.take().expect("it is piped"));
        let (up, is_up) = oneshot::channel();
        let pid = child.id();
        let (child, stats) = (Arc::new(Mutex::new(child)), Arc::default());
        let ear = Ear {
            incarnation: number,
            log: self.log.clone(),
            up: Some(up),
            stats: Arc::clone(&stats),
            child: Arc::clone(&child),
        };
        self.ears.push(thread::spawn(move || ear.listen(told)));
        Ok((Guest { child, orders, pid, stats }, is_up))
    }

    fn order(&mut self, node: NodeNo, order: &Order) {
        if let Some(guest) = &mut self.guests[node as usize] {
            guest.order(order);
        }
    }
}

type Up = oneshot::Receiver<Result<Arc<Record>, String>>;

impl Guest {
    /// One that has ended obeys no more: the run shows it.
    fn order(&mut self, order: &Order) {
        let line = serde_json::to_string(order).expect("an order has string keys");
        let _ = writeln!(self.orders, "{line}");
    }

    fn signal(&self, signal: &str) {
        let _ = Command::new("kill").args([signal, &self.pid.to_string()]).status();
    }
}

impl Hosts for Namespaces<'_> {
    async fn begin(
        &mut self,
        number: IncarnationNo,
        seeds: &[IncarnationNo],
    ) -> Result<Arc<Record>, TestbedError> {
        let plan = self.plan;
        let (mut guest, up) = self.spawn(number)?;
        let addr = |&seed: &IncarnationNo| plan.incarnations[seed as usize].public.addr();
        let birth = Birth {
            scenario: plan.resolved.clone(),
            seed: plan.seed,
            incarnation: number,
            seeds: seeds.iter().map(addr).collect(),
            began_unix_ns: self.began_unix_ns,
        };
        let line = serde_json::to_string(&birth).expect("it has string keys");
        let _ = writeln!(guest.orders, "{line}");
        let node = plan.incarnations[number as usize].node;
        self.guests[node as usize] = Some(guest);
        let up = timeout(START_MAX, up).await.map_err(|_| "it said nothing".to_owned());
        let up = up.and_then(|up| up.unwrap_or_else(|_| Err("it ended".to_owned())));
        up.map_err(|why| TestbedError::Machine(format!("node {node} does not run: {why}")))
    }

    async fn restore(&mut self, node: NodeNo, members: &[Arc<Record>]) -> Result<(), TestbedError> {
        let members = members.iter().map(|record| RecordForm::of(record)).collect();
        self.order(node, &Order::Restore(members));
        Ok(())
    }

    fn publish(&mut self, node: NodeNo, data: &Arc<[u8]>) {
        self.order(node, &Order::Publish(forms::text(data)));
    }

    fn stop(&mut self, node: NodeNo) {
        self.order(node, &Order::Stop);
    }

    fn start(&mut self, node: NodeNo) {
        self.order(node, &Order::Start);
    }

    fn pause(&mut self, node: NodeNo) {
        self.guests[node as usize].iter().for_each(|guest| guest.signal("-STOP"));
    }

    fn resume(&mut self, node: NodeNo) {
        self.guests[node as usize].iter().for_each(|guest| guest.signal("-CONT"));
    }

    fn exit(&mut self, node: NodeNo, manner: Manner) {
        let Some(mut guest) = self.guests[node as usize].take() else { return };
        match manner {
            Manner::Crash => {
                let mut child = guest.child.lock().unwrap_or_else(PoisonError::into_inner);
                // It may have ended by itself.
                let _ = child.kill();
            }
            // With the last order its input ends.
            Manner::Leave => guest.order(&Order::Leave),
        }
    }

    fn change_network(&mut self, number: usize, action: &Action) -> Result<(), TestbedError> {
        self.weather.act(action.at, number, action);
        if action.deed.changes_network() {
            self.filter()?;
        }
        self.log.note(self.clock.now(), Happening::Changed);
        Ok(())
    }

    fn stats(&self, node: NodeNo) -> Stats {
        let guest = self.guests[node as usize].as_ref();
        guest.map_or_else(Stats::default, |guest| {
            *guest.stats.lock().unwrap_or_else(PoisonError::into_inner)
        })
    }
}

impl Drop for Namespaces<'_> {
    fn drop(&mut self) {
        (0..self.plan.nodes_ever).for_each(|node| self.exit(node, Manner::Crash));
        // What they have told is to be in the log.
        self.ears.drain(..).for_each(|ear| ear.join().expect("an ear doesn't panic"));
    }
}

/// Hears what the process of a node tells.
struct Ear {
    incarnation: IncarnationNo,
    log: Log,
    up: Option<oneshot::Sender<Result<Arc<Record>, String>>>,
    stats: Arc<Mutex<Stats>>,
    child: Arc<Mutex<Child>>,
}

impl Ear {
    fn listen(mut self, told: impl BufRead) {
        for line in told.lines().map_while(Result::ok) {
            // A line that was cut off when its process was killed is none.
            if let Ok(Told { t_ns, what }) = serde_json::from_str(&line) {
                self.hear(Instant::from_nanos(t_ns), what);
            }
        }
        let _ = self.child.lock().unwrap_or_else(PoisonError::into_inner).wait();
    }

    fn hear(&mut self, at: Instant, what: What) {
        let incarnation = self.incarnation;
        match what {
            What::Up(record) => {
                let record = record.record().ok_or_else(|| "its record is none".to_owned());
                self.up.take().into_iter().for_each(|up| drop(up.send(record.clone())));
            }
            What::Failed(why) => {
                self.up.take().into_iter().for_each(|up| drop(up.send(Err(why.clone()))));
            }
            What::Stats(stats) => {
                *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = stats.stats();
            }
            What::Input { packet, events } => {
                let packet = packet.map(|(from, content)| Arrival { from, content });
                let events = events.into_iter().filter_map(EventForm::event).collect();
                self.log.note(at, Happening::Input { incarnation, packet, events });
            }
            What::Sent { to, packet, len } => {
                let Some(packet) = forms::packet(&packet) else { return };
                let (packet, verdict) = (Arc::new(packet), LogVerdict::Kernel);
                let sent = Happening::Departure { incarnation, to, packet, len, verdict };
                self.log.note(at, sent);
            }
        }
    }
}
