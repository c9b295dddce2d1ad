//! How a rumor spreads by a rival's rule: the course of one run, in virtual time.

use std::time::Duration;

use rumormill::link::Fate;
use rumormill::rng::Rng;
use rumormill::time::{Instant, nanos};

use super::setting::Setting;
use super::{Rival, tellings_max};
use crate::observe::traffic::HEADERS;
use crate::observe::weather::Weather;
use crate::scenario::plan::{Deed, NodeNo};
use crate::world::Queue;

/// What became of the rumor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Course {
    /// How coverage grew among those who never went down, as `(ms since the start, share)`.
    pub steps: Vec<(f64, f64)>,
    /// Packets that carried it, lost ones too.
    pub messages: u64,
    /// The most that one node sent.
    pub node_messages_max: u64,
}

/// Something that happens at a time.
#[derive(Clone, Copy, Debug)]
enum CourseEvent {
    /// An action of the plan.
    Act(u32),
    /// The source has the rumor.
    Start,
    /// A packet arrives.
    Arrive(NodeNo),
    /// A node's interval has passed.
    Tick(NodeNo),
}

/// A node, as rivals see it.
#[derive(Clone, Debug)]
struct Peer {
    is_up: bool,
    heard: Option<Instant>,
    sent: u64,
}

struct CourseRun<'a> {
    setting: &'a Setting<'a>,
    rival: Rival,
    weather: Weather,
    queue: Queue<CourseEvent>,
    peers: Vec<Peer>,
    now: Instant,
}

impl Course {
    /// Plays a rumor by a rival's rule to the end of the scenario.
    pub fn of(setting: &Setting<'_>, rival: Rival) -> Self {
        let plan = setting.plan;
        let peer = Peer { is_up: true, heard: None, sent: 0 };
        let mut run = CourseRun {
            setting,
            rival,
            weather: Weather::new(plan),
            queue: Queue::new(),
            peers: vec![peer; plan.nodes as usize],
            now: Instant::ZERO,
        };
        for (number, action) in plan.actions.iter().enumerate() {
            run.queue.push(action.at, CourseEvent::Act(number as u32));
        }
        run.queue.push(setting.start, CourseEvent::Start);
        while let Some((at, event)) = run.queue.pop_until(Instant::ZERO + plan.duration) {
            run.now = at;
            run.on_event(event);
        }
        run.course()
    }
}

impl CourseRun<'_> {
    fn on_event(&mut self, event: CourseEvent) {
        match event {
            CourseEvent::Act(number) => self.act(number as usize),
            CourseEvent::Start => self.hear(self.setting.source),
            CourseEvent::Arrive(node) => self.hear(node),
            CourseEvent::Tick(node) => self.tick(node),
        }
    }

    fn act(&mut self, number: usize) {
        let action = &self.setting.plan.actions[number];
        self.weather.act(self.now, number, action);
        if let Deed::Crash(nodes) = &action.deed {
            nodes.iter().for_each(|&node| self.peers[node as usize].is_up = false);
        }
    }

    /// A node has the rumor; only the first time means anything to it.
    fn hear(&mut self, node: NodeNo) {
        let peer = &mut self.peers[node as usize];
        if !peer.is_up || peer.heard.is_some() {
            return;
        }
        peer.heard = Some(self.now);
        match self.rival {
            Rival::PushOnce { fan_out } => self.tell(node, fan_out),
            Rival::Periodic { every, .. } => {
                self.queue.push(self.next_tick(node, every), CourseEvent::Tick(node));
            }
        }
    }

    /// When a node's next interval ends.
    fn next_tick(&self, node: NodeNo, every: Duration) -> Instant {
        let every = nanos(every);
        let phase =
            Rng::fork(self.setting.plan.seed, "rival phase", node.into()).between(0, every - 1);
        let now = self.now.as_nanos();
        let passed = now.checked_sub(phase).map_or(0, |since| since / every + 1);
        Instant::from_nanos(phase + passed * every)
    }

    fn tick(&mut self, node: NodeNo) {
        let Rival::Periodic { fan_out, every, mult } = self.rival else { return };
        let peer = &self.peers[node as usize];
        let most = u64::from(tellings_max(mult, self.setting.plan.nodes));
        let left = most.saturating_sub(peer.sent) as u32;
        if !peer.is_up || left == 0 {
            return;
        }
        self.tell(node, fan_out.min(left));
        if left > fan_out {
            self.queue.push(self.next_tick(node, every), CourseEvent::Tick(node));
        }
    }

    /// A node tells so many different others, or all of them.
    fn tell(&mut self, node: NodeNo, count: u32) {
        let others = self.setting.plan.nodes - 1;
        let key = u64::from(node) << 32 | self.peers[node as usize].sent;
        let mut rng = Rng::fork(self.setting.plan.seed, "rival", key);
        let mut drawn: Vec<NodeNo> = Vec::new();
        while drawn.len() < count.min(others) as usize {
            let other = rng.below(others as usize) as u32;
            let other = if other < node { other } else { other + 1 };
            if !drawn.contains(&other) {
                drawn.push(other);
                self.send(node, other);
            }
        }
    }

    fn send(&mut self, from: NodeNo, to: NodeNo) {
        self.peers[from as usize].sent += 1;
        let len = self.setting.len + HEADERS as usize;
        if let Fate::Delivered { at, again } = self.weather.links.fate(self.now, from, to, len) {
            self.queue.push(at, CourseEvent::Arrive(to));
            // A copy may be the first to arrive.
            again.into_iter().for_each(|at| self.queue.push(at, CourseEvent::Arrive(to)));
        }
    }

    fn course(self) -> Course {
        let lasting = self.setting.lasting();
        let among = lasting.iter().filter(|lasts| **lasts).count() as f64;
        let heard = self.peers.iter().zip(&lasting).filter(|(_, lasts)| **lasts);
        let mut heard: Vec<Instant> = heard.filter_map(|(peer, _)| peer.heard).collect();
        heard.sort();
        let since = |at: Instant| nanos(at.since(self.setting.start)) as f64 / 1e6;
        let step = |(count, at): (u32, &Instant)| (since(*at), f64::from(count) / among);
        Course {
            steps: (1..).zip(&heard).map(step).collect(),
            messages: self.peers.iter().map(|peer| peer.sent).sum(),
            node_messages_max: self.peers.iter().map(|peer| peer.sent).max().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests;
