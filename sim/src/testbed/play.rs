//! Plays a plan in real time: every step when its time has come, on whatever hosts the nodes.

use std::sync::Arc;

use rumormill::core::{Record, Stats, Value};
use rumormill::time::Instant;
use tokio::time::sleep;

use super::TestbedError;
use super::clock::Clock;
use super::log::{Happening, Log};
use crate::observe::cast::IncarnationNo;
use crate::scenario::plan::{Action, Deed, Manner, NodeNo, Plan, StartCause, WayIn};

/// What hosts real nodes. A node is named here only while it runs.
pub(super) trait Hosts {
    /// Starts an incarnation, which finds the others by these, and says which record it has.
    async fn begin(
        &mut self,
        number: IncarnationNo,
        seeds: &[IncarnationNo],
    ) -> Result<Arc<Record>, TestbedError>;

    /// Gives a node a complete list.
    async fn restore(&mut self, node: NodeNo, members: &[Arc<Record>]) -> Result<(), TestbedError>;

    fn publish(&mut self, node: NodeNo, data: &Arc<[u8]>);
    fn stop(&mut self, node: NodeNo);
    fn start(&mut self, node: NodeNo);
    fn pause(&mut self, node: NodeNo);
    fn resume(&mut self, node: NodeNo);
    fn exit(&mut self, node: NodeNo, manner: Manner);

    /// Does what an action does to the network.
    fn change_network(&mut self, number: usize, action: &Action) -> Result<(), TestbedError>;

    /// What the engine of a node has counted.
    fn stats(&self, node: NodeNo) -> Stats;
}

/// Something to do at a time.
#[derive(Clone, Copy, Debug)]
enum PlayStep {
    Begin(IncarnationNo),
    Act(usize),
    Sample,
}

/// How a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlaySlot {
    /// Down, but reached at the address of this incarnation before or after.
    Down(IncarnationNo),
    Up(IncarnationNo),
    Paused(IncarnationNo),
}

/// A plan being played.
pub(super) struct Player<'p, H> {
    plan: &'p Plan,
    hosts: H,
    log: Log,
    /// By node.
    seats: Vec<PlaySlot>,
    /// Records of the initial nodes that have started.
    records: Vec<Arc<Record>>,
    /// Updates of engines whose time is over.
    updates: u64,
}

impl<'p, H: Hosts> Player<'p, H> {
    pub(super) fn new(plan: &'p Plan, hosts: H, log: Log) -> Self {
        let first = |node| plan.incarnations.iter().position(|born| born.node == node);
        let seat = |node| first(node).expect("every node of a plan starts once");
        let seats = (0..plan.nodes_ever).map(|node| PlaySlot::Down(seat(node) as IncarnationNo));
        Self { plan, hosts, log, seats: seats.collect(), records: Vec::new(), updates: 0 }
    }

    /// Plays to the end of the plan, after which no node runs.
    ///
    /// # Errors
    /// When the machine does not give what it takes.
    pub(super) async fn play(
        mut self,
        clock: Clock,
        progress: &mut dyn FnMut(Instant),
    ) -> Result<(), TestbedError> {
        for (at, step) in schedule(self.plan) {
            sleep_until(clock, at).await;
            match step {
                PlayStep::Begin(number) => self.begin(clock, number).await?,
                PlayStep::Act(number) => self.act(clock.now(), number)?,
                PlayStep::Sample => {
                    self.sample(at);
                    progress(at);
                }
            }
        }
        sleep_until(clock, Instant::ZERO + self.plan.duration).await;
        let now = clock.now();
        (0..self.plan.nodes_ever).for_each(|node| self.exit(now, node, Manner::Crash));
        Ok(())
    }

    async fn begin(&mut self, clock: Clock, number: IncarnationNo) -> Result<(), TestbedError> {
        let plan = self.plan;
        let born = &plan.incarnations[number as usize];
        // A plan may start a node that never went down: its process is replaced.
        self.exit(clock.now(), born.node, Manner::Crash);
        // Noted as of before it can have sent anything.
        let at = clock.now();
        let seeds: Vec<IncarnationNo> = match &born.way_in {
            WayIn::Seeds(seeds) => seeds.iter().map(|&seed| self.address_of(seed)).collect(),
            WayIn::Full | WayIn::Knows(_) => Vec::new(),
        };
        let record = self.hosts.begin(number, &seeds).await?;
        self.seats[born.node as usize] = PlaySlot::Up(number);
        self.log.note(at, Happening::Begin { incarnation: number, record: Arc::clone(&record) });
        if born.cause == StartCause::Initial {
            self.records.push(record);
            self.complete_lists().await?;
        }
        Ok(())
    }

    /// Once all initial nodes run, gives complete lists to those that begin with them.
    async fn complete_lists(&mut self) -> Result<(), TestbedError> {
        if self.records.len() < self.plan.nodes as usize {
            return Ok(());
        }
        let initial = &self.plan.incarnations[..self.plan.nodes as usize];
        for born in initial {
            let records: Vec<_> = match &born.way_in {
                WayIn::Seeds(_) => continue,
                WayIn::Full => self.records.clone(),
                WayIn::Knows(nodes) => {
                    let known = (0..).zip(&self.records).filter(|(node, _)| nodes.contains(node));
                    known.map(|(_, record)| Arc::clone(record)).collect()
                }
            };
            if let PlaySlot::Up(_) = self.seats[born.node as usize] {
                self.hosts.restore(born.node, &records).await?;
            }
        }
        Ok(())
    }

    /// The incarnation at whose address a node is, or was last, or will be first.
    fn address_of(&self, node: NodeNo) -> IncarnationNo {
        match self.seats[node as usize] {
            PlaySlot::Down(number) | PlaySlot::Up(number) | PlaySlot::Paused(number) => number,
        }
    }

    fn act(&mut self, now: Instant, number: usize) -> Result<(), TestbedError> {
        let plan = self.plan;
        let action = &plan.actions[number];
        self.log.note(now, Happening::Act(number));
        match &action.deed {
            Deed::Partition(_)
            | Deed::Isolate(_)
            | Deed::Link { .. }
            | Deed::Network(_)
            | Deed::Heal(_) => self.hosts.change_network(number, action)?,
            Deed::Crash(nodes) => self.exit_all(now, nodes, Manner::Crash),
            Deed::Leave(nodes) => self.exit_all(now, nodes, Manner::Leave),
            Deed::Restart { nodes, manner, .. } => self.exit_all(now, nodes, *manner),
            Deed::Publish { node, data } => self.publish(*node, data),
            Deed::Stop(nodes) => self.up(nodes).for_each(|node| self.hosts.stop(node)),
            Deed::Start(nodes) => self.up(nodes).for_each(|node| self.hosts.start(node)),
            Deed::Pause(nodes) => nodes.iter().for_each(|&node| self.pause(node)),
            Deed::Resume(nodes) => nodes.iter().for_each(|&node| self.resume(node)),
            // The newcomers come by themselves.
            Deed::Join(_) => {}
            Deed::Clock { .. }
            | Deed::Suspend(_)
            | Deed::Starve { .. }
            | Deed::Slow { .. }
            | Deed::Relieve { .. }
            | Deed::Update(_)
            | Deed::Write { .. }
            | Deed::Drop { .. }
            | Deed::Replay { .. }
            | Deed::Inject(_) => return Err(TestbedError::virtual_alone(&plan.name, action)),
        }
        Ok(())
    }

    fn exit_all(&mut self, now: Instant, nodes: &[NodeNo], manner: Manner) {
        nodes.iter().for_each(|&node| self.exit(now, node, manner));
    }

    /// Those of these nodes that run and are not paused.
    fn up(&self, nodes: &[NodeNo]) -> std::vec::IntoIter<NodeNo> {
        let is_up = |&&node: &&NodeNo| matches!(self.seats[node as usize], PlaySlot::Up(_));
        nodes.iter().filter(is_up).copied().collect::<Vec<_>>().into_iter()
    }

    fn publish(&mut self, node: NodeNo, data: &Arc<[u8]>) {
        let PlaySlot::Up(number) = self.seats[node as usize] else { return };
        let config = &self.plan.incarnations[number as usize].config;
        if Value::new(Arc::clone(data), config).is_ok() {
            self.hosts.publish(node, data);
        }
    }

    fn pause(&mut self, node: NodeNo) {
        if let PlaySlot::Up(number) = self.seats[node as usize] {
            self.seats[node as usize] = PlaySlot::Paused(number);
            self.hosts.pause(node);
        }
    }

    fn resume(&mut self, node: NodeNo) {
        if let PlaySlot::Paused(number) = self.seats[node as usize] {
            self.seats[node as usize] = PlaySlot::Up(number);
            self.hosts.resume(node);
        }
    }

    /// A node goes down, if it runs; a paused process can't say goodbye.
    fn exit(&mut self, now: Instant, node: NodeNo, manner: Manner) {
        let number = match (self.seats[node as usize], manner) {
            (PlaySlot::Up(number), _) | (PlaySlot::Paused(number), Manner::Crash) => number,
            (PlaySlot::Paused(_), Manner::Leave) | (PlaySlot::Down(_), _) => return,
        };
        let stats = self.hosts.stats(node);
        self.updates += stats.updates;
        let retired = Happening::Retire { incarnation: number, stats: stats.into() };
        self.log.note(now, retired);
        self.hosts.exit(node, manner);
        self.seats[node as usize] = PlaySlot::Down(number);
    }

    fn sample(&mut self, at: Instant) {
        let running = (0..self.plan.nodes_ever)
            .filter(|&node| !matches!(self.seats[node as usize], PlaySlot::Down(_)));
        let updates: u64 = running.map(|node| self.hosts.stats(node).updates).sum();
        self.log.note(at, Happening::Sample { updates: self.updates + updates });
    }
}

async fn sleep_until(clock: Clock, at: Instant) {
    sleep(at - clock.now()).await;
}

/// The steps of a plan in order of time; at one time in the order of virtual runs.
fn schedule(plan: &Plan) -> Vec<(Instant, PlayStep)> {
    let mut steps = Vec::new();
    let begin =
        |number: usize| (plan.incarnations[number].start, PlayStep::Begin(number as IncarnationNo));
    let initial = |number: &usize| plan.incarnations[*number].cause == StartCause::Initial;
    steps.extend((0..plan.incarnations.len()).filter(initial).map(begin));
    for (number, action) in plan.actions.iter().enumerate() {
        steps.push((action.at, PlayStep::Act(number)));
        if let Deed::Join(starts) | Deed::Restart { comes_back: starts, .. } = &action.deed {
            steps.extend(starts.clone().map(begin));
        }
    }
    let mut sample = Instant::ZERO;
    while sample <= Instant::ZERO + plan.duration {
        steps.push((sample, PlayStep::Sample));
        sample = sample + plan.sample;
    }
    steps.retain(|&(at, _)| at <= Instant::ZERO + plan.duration);
    steps.sort_by_key(|&(at, _)| at);
    steps
}
