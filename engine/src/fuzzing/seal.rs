//! Sealed datagrams among nodes whose secrets, clocks and runs change while somebody damages,
//! repeats and withholds what they send. What opens was sealed, with a secret that the receiver
//! holds, and opens once in a run; and two that talk to each other soon understand each other,
//! whatever their clocks show.

use std::time::Duration;

use super::script::{STARTED, Script, addr};
use crate::config::{Config, SecretKey};
use crate::core::packet::{Body, Probe, Reply, StateDigest};
use crate::core::{AgeStep, Packet};
use crate::time::{Instant, Now, UnixNanos};
use crate::wire::{Guard, Keyring, Run};

/// More of them than a guard remembers, so that some are forgotten.
const NODES: usize = 4;
const SENDERS_MAX: usize = 2;

/// The secrets that there are; all begin with the first.
const SECRETS: [&str; 3] = ["first", "second", "third"];

/// Takes any bytes for a script of sealing, damaging and opening.
pub fn seal(bytes: &[u8]) {
    let mut script = Script(bytes);
    let mut cluster = Cluster::new();
    while let Some(()) = cluster.step(&mut script) {}
}

/// One run of a node.
struct SealingNode {
    guard: Guard,
    keyring: Keyring,
    /// The same by name; the first one seals.
    secrets: Vec<&'static str>,
    /// How far its wall clock is ahead.
    ahead: i64,
}

/// A datagram that was sealed.
struct Letter {
    bytes: Vec<u8>,
    secret: &'static str,
    /// By whom it was opened, in the present runs.
    opened: [bool; NODES],
}

struct Cluster {
    config: Config,
    now: Now,
    nodes: Vec<SealingNode>,
    /// Those that were sealed; the number of each is in it.
    letters: Vec<Letter>,
    /// How often randomness was drawn.
    drawn: u64,
}

impl Cluster {
    /// More show nothing new, and take time.
    const LETTERS_MAX: usize = 256;

    fn new() -> Self {
        let config = Config::builder().secret_key(SECRETS[0]).members_max(SENDERS_MAX);
        let now = Now { mono: Instant::from_nanos(1 << 56), wall: UnixNanos(STARTED) };
        let mut cluster = Self {
            config: config.build().expect("a valid configuration"),
            now,
            nodes: Vec::new(),
            letters: Vec::new(),
            drawn: 0,
        };
        for place in 0..NODES {
            let keyring = Keyring::new(SECRETS[0].into()).expect("it is not empty");
            let guard = cluster.run(place, &keyring, 0);
            cluster.nodes.push(SealingNode { guard, keyring, secrets: vec![SECRETS[0]], ahead: 0 });
        }
        cluster
    }

    /// A new run of a node.
    fn run(&mut self, place: usize, keyring: &Keyring, ahead: i64) -> Guard {
        let (random, now) = (self.random(), self.clock(ahead));
        let run = Run { addr: addr(place as u8), random, now };
        Guard::with_keyring(&self.config, Some(keyring), &run)
    }

    fn random(&mut self) -> [u8; 8] {
        self.drawn += 1;
        self.drawn.to_be_bytes()
    }

    fn clock(&self, ahead: i64) -> Now {
        Now { wall: UnixNanos(self.now.wall.0.saturating_add(ahead)), ..self.now }
    }

    fn pass(&mut self, pause: Duration) {
        self.now.mono = self.now.mono + pause;
        self.now.wall = self.now.wall.saturating_add(pause);
    }

    /// One line of the script.
    fn step(&mut self, script: &mut Script<'_>) -> Option<()> {
        self.pass(Duration::from_millis(1));
        let (op, place) = (script.below(16)?, script.below(NODES)?);
        match op {
            0..3 => self.seal(place)?,
            3..5 => {
                let letter = self.letter(script)?;
                self.deliver(place, letter);
            }
            5..8 => {
                let letter = self.letter(script)?;
                let bytes = self.damaged(letter, script)?;
                self.open(place, bytes);
            }
            8..10 => {
                let to = script.below(NODES)?;
                self.converse(place, to)?;
            }
            10..12 => self.turn_key(place, script)?,
            12 => self.nodes[place].guard.distrust(),
            13 => self.pass(script.pause()?),
            14 => {
                let ahead = &mut self.nodes[place].ahead;
                *ahead = ahead.saturating_add(script.jump()?);
            }
            _ => {
                let (keyring, ahead) = (self.nodes[place].keyring.clone(), self.nodes[place].ahead);
                self.nodes[place].guard = self.run(place, &keyring, ahead);
                self.letters.iter_mut().for_each(|letter| letter.opened[place] = false);
            }
        }
        Some(())
    }

    /// Seals a packet that nobody else ever sends.
    fn seal(&mut self, from: usize) -> Option<()> {
        let number = Some(self.letters.len()).filter(|&len| len < Self::LETTERS_MAX)?;
        let token = u32::try_from(number).expect("they are few");
        let probe = Probe { token, holds: StateDigest::default(), reply: Reply::Datagram };
        let packet = Packet::new(AgeStep(25_000), Body::Probe(probe));
        let now = self.clock(self.nodes[from].ahead);
        if self.nodes[from].guard.wants_random(now) {
            let random = self.random();
            self.nodes[from].guard.renew(now, random);
        }
        let (mut bytes, node) = (Vec::new(), &mut self.nodes[from]);
        node.guard.encode(now, &packet, &mut bytes);
        let secret = node.secrets[0];
        self.letters.push(Letter { bytes, secret, opened: [false; NODES] });
        Some(())
    }

    /// One of the last letters.
    fn letter(&self, script: &mut Script<'_>) -> Option<usize> {
        let back = script.below(self.letters.len().clamp(1, 256))?;
        self.letters.len().checked_sub(1 + back)
    }

    fn deliver(&mut self, to: usize, letter: usize) -> bool {
        self.open(to, self.letters[letter].bytes.clone())
    }

    /// Two nodes talk, each taking turns, until both have heard the other, which takes as many
    /// turns as clocks have to be set.
    fn converse(&mut self, one: usize, other: usize) -> Option<()> {
        const TURNS_MAX: usize = 4;
        let holds =
            |to: usize, from: usize| self.nodes[to].secrets.contains(&self.nodes[from].secrets[0]);
        if one == other || !holds(one, other) || !holds(other, one) {
            return Some(());
        }
        // So that notices are not over their limit.
        self.pass(Duration::from_secs(1));
        for _ in 0..TURNS_MAX {
            let heard = [self.say(one, other)?, self.say(other, one)?];
            if heard == [true; 2] {
                return Some(());
            }
        }
        panic!("nodes {one} and {other} do not understand each other");
    }

    /// One says something to another; whether that is heard. If not, what it answers is.
    fn say(&mut self, from: usize, to: usize) -> Option<bool> {
        self.pass(Duration::from_millis(1));
        self.seal(from)?;
        if self.deliver(to, self.letters.len() - 1) {
            return Some(true);
        }
        let now = self.clock(self.nodes[to].ahead);
        let guard = &mut self.nodes[to].guard;
        if let Some(answer) = guard.take_answer() {
            let mut bytes = Vec::new();
            guard.encode_answer(now, &answer, &mut bytes);
            self.open(from, bytes);
        }
        Some(false)
    }

    /// Has a node open a datagram; whether it did.
    fn open(&mut self, to: usize, mut bytes: Vec<u8>) -> bool {
        let (arrived, now) = (bytes.clone(), self.clock(self.nodes[to].ahead));
        let node = &mut self.nodes[to];
        let Ok(packet) = node.guard.decode(now, &mut bytes) else { return false };
        let Body::Probe(Probe { token, .. }) = packet.body else {
            panic!("not sealed: {packet:?}")
        };
        let letter = &mut self.letters[token as usize];
        assert_eq!(letter.bytes, arrived, "what was changed opens");
        assert!(node.secrets.contains(&letter.secret), "its secret is not held");
        assert!(!letter.opened[to], "it opens twice");
        letter.opened[to] = true;
        true
    }

    fn turn_key(&mut self, place: usize, script: &mut Script<'_>) -> Option<()> {
        let (how, name) = (script.below(3)?, script.pick(&SECRETS)?);
        let (node, secret) = (&mut self.nodes[place], SecretKey::from(name));
        let held = node.secrets.iter().position(|&other| other == name);
        let turned = match (how, held) {
            (0, _) => node.keyring.add(secret),
            (1, _) => node.keyring.promote(&secret),
            _ => node.keyring.remove(&secret),
        };
        match (how, held) {
            (0, None) => node.secrets.push(name),
            (1, Some(held)) => node.secrets[..=held].rotate_right(1),
            (2, Some(1..)) => node.secrets.retain(|&other| other != name),
            (0, Some(_)) => {}
            _ => assert!(turned.is_err(), "what can't be done is told"),
        }
        node.guard.use_keys(&node.keyring);
        Some(())
    }

    /// A letter with one thing changed, or all of it.
    fn damaged(&self, letter: usize, script: &mut Script<'_>) -> Option<Vec<u8>> {
        let mut bytes = self.letters[letter].bytes.clone();
        let at = usize::from(script.byte()?) % bytes.len();
        match script.below(6)? {
            0 => bytes[at] ^= 1 << script.below(8)?,
            1 => bytes[at] = script.byte()?,
            2 => bytes.truncate(at),
            3 => bytes.push(script.byte()?),
            4 => {
                // The header of one on the rest of another.
                let other = &self.letters[self.letter(script)?].bytes;
                bytes[..at].copy_from_slice(&other[..at]);
            }
            _ => {
                let number = script.number()?.to_le_bytes();
                let end = (at + 8).min(bytes.len());
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
        }
        Some(bytes)
    }
}
