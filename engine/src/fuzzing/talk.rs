//! Two engines in talk: what each says reaches the other, or does not, or twice, or late; a
//! stranger meddles, clocks jump, and either may be started anew. Afterwards the network is good
//! and nobody meddles any more, and then both must find each other and fall quiet.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::lives::can_be_sent;
use super::packets::Overheard;
use super::script::{STARTED, Script, addr};
use super::subject::{FuzzSubject, Sent, datagram};
use crate::config::{Config, Liveness, Swap};
use crate::core::{Carrier, Command, Input, Packet};
use crate::time::{Instant, Now, UnixNanos};

/// When all of it begins.
const BEGIN: Instant = Instant::from_nanos(1 << 56);

/// How long a datagram takes where nothing befalls it.
const LATENCY: Duration = Duration::from_millis(1);

/// Answers to answers, counted from what an engine says of its own accord. The longest honest
/// talk: a call, its answer, a swap request, its answer, ids, what is wanted, the records, the
/// correction of one, and what is told because of that.
const DEPTH_MAX: u32 = 16;

/// How long both may take to find each other once nothing stands between them, in timeouts: four
/// until a conflict about an address is forgotten, two until seeds are dialled again, and as much
/// for the clocks of what was forged before.
const PATIENCE: u32 = 24;

/// Most packets of one node in one cycle of the quiet time, beside one for each member.
const SENDS_PER_CYCLE_MAX: usize = 48;

/// Takes any bytes for settings, the weather of a network and a script, and has two engines talk.
pub fn talk(bytes: &[u8]) {
    let mut script = Script(bytes);
    let Some(mut talk) = Talk::of(&mut script) else { return };
    while let Some(()) = talk.step(&mut script) {}
    talk.fall_quiet();
}

/// A packet under way.
struct Flight {
    from: SocketAddr,
    to: SocketAddr,
    packet: Arc<Packet>,
    carrier: Carrier,
    /// How many answers to answers it is.
    depth: u32,
}

/// What becomes of what is sent.
struct Weather {
    /// Each packet has the fate of the next of these.
    fates: Vec<u8>,
    next: usize,
}

impl Weather {
    /// How long the copies of the next packet are under way.
    fn next(&mut self) -> Vec<Duration> {
        let Some(&fate) = self.fates.get(self.next) else { return vec![LATENCY] };
        self.next = (self.next + 1) % self.fates.len();
        let millis = Duration::from_millis;
        match fate {
            0..128 => vec![LATENCY],
            128..160 => vec![],
            160..192 => vec![LATENCY, millis(u64::from(fate) * 2)],
            192..240 => vec![millis(u64::from(fate - 192) * 20)],
            240.. => vec![Duration::from_secs(u64::from(fate - 238))],
        }
    }
}

/// Two engines and what is between them.
struct Talk {
    config: Arc<Config>,
    now: Instant,
    /// The two, of whom either may be down.
    nodes: [Option<FuzzSubject>; 2],
    /// By the time of arrival, and then in the order in which they were sent.
    flights: BTreeMap<(Instant, u64), Flight>,
    sent: u64,
    weather: Weather,
    overheard: Overheard,
    /// Whether a stranger spoke or a clock was set, after which values may differ for long.
    meddled: bool,
}

impl Talk {
    fn of(script: &mut Script<'_>) -> Option<Self> {
        // Where silence removes nobody, what a stranger invented stays.
        let liveness = script.pick(&[Liveness::Beats, Liveness::Probes])?;
        let settings = script.settings(FuzzSubject::MEMBERS_MAX)?;
        let settings = settings.liveness(liveness).cycle(Duration::from_secs(1));
        let config = settings.build().expect("a valid configuration");
        let fates = script.some(24, Script::byte)?;
        let mut talk = Self {
            config: Arc::new(config),
            now: BEGIN,
            nodes: [None, None],
            flights: BTreeMap::new(),
            sent: 0,
            weather: Weather { fates, next: 0 },
            overheard: Overheard::default(),
            meddled: false,
        };
        (0..2).for_each(|place| talk.start(place, 0));
        Some(talk)
    }

    /// Starts a node with its clock so far ahead, which is told of the other.
    fn start(&mut self, place: usize, ahead: i64) {
        let wall = UnixNanos(STARTED).saturating_add(self.now - BEGIN);
        let now = Now { mono: self.now, wall: UnixNanos(wall.0.saturating_add(ahead)) };
        self.nodes[place] =
            Some(FuzzSubject::born(addr(place as u8), Arc::clone(&self.config), now));
        let seeds = vec![addr(1 - place as u8)];
        self.take(place, Input::Command(Command::Seeds(seeds)), 0);
    }

    /// Has a node take an input, if it is up, and sends what it says to that.
    fn take(&mut self, place: usize, input: Input, depth: u32) -> usize {
        let Some(node) = &mut self.nodes[place] else { return 0 };
        let said = node.take(self.now, input);
        let count = said.len();
        assert!(depth <= DEPTH_MAX || count == 0, "answers to answers without end: {said:?}");
        said.into_iter().for_each(|sent| self.send(place, sent, depth + 1));
        count
    }

    fn send(&mut self, place: usize, Sent { to, packet, carrier }: Sent, depth: u32) {
        self.overheard.hear(&packet);
        if addr(1 - place as u8) != to {
            return;
        }
        let from = addr(place as u8);
        for delay in self.weather.next() {
            let flight = Flight { from, to, packet: Arc::clone(&packet), carrier, depth };
            self.flights.insert((self.now + delay, self.sent), flight);
            self.sent += 1;
        }
    }

    /// Lets time pass; how many packets each of them sent in it.
    fn pass(&mut self, pause: Duration) -> [usize; 2] {
        let (end, mut counts) = (self.now + pause, [0; 2]);
        loop {
            let arrival = self.flights.first_key_value().map(|(&(at, _), _)| at);
            let wakes = [0, 1].map(|place| {
                let node: Option<&FuzzSubject> = self.nodes[place].as_ref();
                node.and_then(|node| node.engine().deadline())
            });
            let next = wakes.into_iter().flatten().chain(arrival).min();
            let Some(next) = next.filter(|&next| next <= end) else { break };
            self.now = next.max(self.now);
            if arrival == Some(next) {
                let (_, flight) = self.flights.pop_first().expect("it was just seen");
                let place = usize::from(flight.to == addr(1));
                let Flight { from, packet, carrier, depth, .. } = flight;
                counts[place] += self.take(place, Input::Packet { from, carrier, packet }, depth);
            } else {
                let place = usize::from(wakes[0] != Some(next));
                counts[place] += self.take(place, Input::Timeout, 0);
            }
        }
        self.now = end;
        counts
    }

    /// One line of the script.
    fn step(&mut self, script: &mut Script<'_>) -> Option<()> {
        /// A longer one shows nothing that a shorter one doesn't.
        const PAUSE_MAX: Duration = Duration::from_secs(30);
        let op = script.byte()?;
        self.pass(script.pause()?.min(PAUSE_MAX));
        let place = usize::from(op >> 7);
        match op % 16 {
            0..3 => {}
            3 => self.nodes[place] = None,
            4 => {
                let ahead = self.jump(script)?;
                self.start(place, ahead);
            }
            5 => {
                let jump = self.jump(script)?;
                self.nodes[place].iter_mut().for_each(|node| node.set_clock(jump));
            }
            6..9 => self.command(place, script)?,
            9..11 => {
                let packet = self.overheard.again(script)?;
                packet.into_iter().for_each(|packet| self.meddle(place, script, packet));
            }
            _ => {
                let packet = self.overheard.packet(script)?;
                self.meddle(place, script, packet);
            }
        }
        Some(())
    }

    fn jump(&mut self, script: &mut Script<'_>) -> Option<i64> {
        self.meddled = true;
        script.jump()
    }

    fn command(&mut self, place: usize, script: &mut Script<'_>) -> Option<()> {
        let kind = script.byte()?;
        let command = script.command(kind, &self.config)?;
        let leaves = matches!(command, Command::Leave);
        self.take(place, Input::Command(command), 0);
        if leaves {
            self.nodes[place] = None;
        }
        Some(())
    }

    /// A stranger speaks, by whatever address, where no seal keeps it from that.
    fn meddle(&mut self, place: usize, script: &mut Script<'_>, packet: Arc<Packet>) {
        let Some(from) = script.addr() else { return };
        if self.config.secret_key().is_none() && can_be_sent(&packet, &self.config) {
            self.meddled = true;
            let carrier = datagram(&packet, &self.config);
            self.take(place, Input::Packet { from, carrier, packet }, 0);
        }
    }

    /// From now on nothing stands between the two.
    fn fall_quiet(&mut self) {
        self.weather.fates.clear();
        for place in 0..2 {
            match &self.nodes[place] {
                Some(_) => {
                    let seeds = vec![addr(1 - place as u8)];
                    self.take(place, Input::Command(Command::Seeds(seeds)), 0);
                    self.take(place, Input::Command(Command::Start), 0);
                }
                None => self.start(place, 0),
            }
        }
        self.settle();
        let counts = self.pass(self.config.cycle());
        for (count, node) in counts.into_iter().zip(&self.nodes) {
            let members = node.as_ref().map_or(0, |node| node.engine().members_len());
            assert!(count <= SENDS_PER_CYCLE_MAX + members, "{count} packets in a quiet cycle");
        }
    }

    /// Waits until both have agreed for some time: what was said before may still take effect.
    fn settle(&mut self) {
        const STREAK: u32 = 3;
        let (mut streak, mut last) = (0, String::new());
        for _ in 0..PATIENCE {
            self.pass(self.config.timeout());
            match self.agree() {
                Ok(()) => streak += 1,
                Err(what) => (streak, last) = (0, what),
            }
            if streak == STREAK {
                return;
            }
        }
        panic!("after a quiet time, {last}");
    }

    /// Whether both hold what they should, or what they don't.
    fn agree(&self) -> Result<(), String> {
        let engines = self.nodes.iter().flatten().map(FuzzSubject::engine).collect::<Vec<_>>();
        for (engine, other) in [(0, 1), (1, 0)] {
            if !engines[engine].lists(addr(other as u8)) {
                return Err(format!("node {engine} does not list node {other}"));
            }
        }
        let [a, b] = [0, 1].map(|place| engines[place].metadata());
        if !self.meddled && self.config.swap() == Swap::On && a != b {
            return Err(format!("one holds {a:?}, the other {b:?}"));
        }
        Ok(())
    }
}
