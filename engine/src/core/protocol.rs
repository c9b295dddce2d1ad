//! What a driver, or a simulated world, needs of any protocol's state machine.

use std::sync::Arc;

use super::engine::Engine;
use super::io::{Input, Outbox};
use super::members::Roster;
use super::metadata::Metadata;
use super::packet::Packet;
use super::record::Record;
use super::stats::Stats;
use crate::config::Config;
use crate::time::{Instant, Now};

/// One node of a cluster as a state machine that does no I/O: [`Engine`], or another beside it.
///
/// # The driver's contract
/// That of [`Engine`], whatever the protocol. The same inputs, with the same settings and seed,
/// always give the same outputs: time and chance are arguments.
pub trait Protocol: Sized {
    /// What its nodes tell each other.
    type Packet: Traced;

    /// What one node is set to.
    type Settings;

    /// A node that has heard of nobody. It wants its first [`Input::Timeout`] at once. `seed`
    /// decides every choice that it will make.
    fn new(me: Arc<Record>, settings: &Self::Settings, seed: u64, now: Now) -> Self;

    /// Reacts to one input. Never fails and never panics, whatever arrives from the network.
    fn handle(&mut self, now: Now, input: Input<Self::Packet>, out: &mut Outbox<Self::Packet>);

    /// When the node next wants [`Input::Timeout`].
    fn deadline(&self) -> Option<Instant>;

    /// What the node is and holds, as it may be asked for after each input.
    fn inspect(&self) -> Inspect<'_>;

    /// The listed members, itself included, in an order of the protocol's own.
    fn members(&self) -> impl Iterator<Item = &Arc<Record>>;
}

/// What a node is and holds, without a copy of anything.
#[derive(Clone, Copy, Debug)]
pub struct Inspect<'a> {
    /// Its own incarnation.
    pub me: &'a Arc<Record>,
    /// How many members it lists, itself included.
    pub members_len: usize,
    /// The metadata, once there is one.
    pub metadata: Option<&'a Metadata>,
    /// What it counted.
    pub stats: &'a Stats,
}

/// What measures and traces need to know of a packet, of whatever protocol.
pub trait Traced {
    /// What its kind is called, such as `swap_request`.
    fn kind(&self) -> &'static str;

    /// Bytes of its encoding, without what guards them.
    fn encoded_len(&self) -> usize;
}

impl Protocol for Engine {
    type Packet = Packet;
    /// The second may name incarnations in advance, for many engines; see [`Engine::new`].
    type Settings = (Arc<Config>, Arc<Roster>);

    fn new(me: Arc<Record>, (config, roster): &Self::Settings, seed: u64, now: Now) -> Self {
        Self::new(me, Arc::clone(config), Arc::clone(roster), seed, now)
    }

    fn handle(&mut self, now: Now, input: Input, out: &mut Outbox) {
        self.handle(now, input, out);
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline()
    }

    fn inspect(&self) -> Inspect<'_> {
        let (metadata, stats) = (self.metadata(), self.stats());
        Inspect { me: self.me(), members_len: self.members_len(), metadata, stats }
    }

    fn members(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.members()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Wire;
    use crate::core::{Command, Event, Output, Value};
    use crate::node::{Generation, Node};
    use crate::time::UnixNanos;
    use crate::{pekonode, wire};

    /// What a node of any protocol that joins and publishes sends, by kind; and its events.
    fn live<P: Protocol>(
        settings: &P::Settings,
        encode: fn(&P::Packet, &mut Vec<u8>),
    ) -> (Vec<&'static str>, Vec<Event>) {
        let now = Now { mono: Instant::from_nanos(1 << 50), wall: UnixNanos(1 << 60) };
        let me = Arc::new(Record::new(Node::at(([10, 0, 0, 1], 1).into()), Generation::default()));
        let mut node = P::new(Arc::clone(&me), settings, 1, now);
        assert_eq!(node.deadline(), Some(now.mono), "it wants its first timeout at once");
        let (mut out, mut kinds, mut events) = (Outbox::new(), Vec::new(), Vec::new());
        let value = Value::new(*b"v", &Config::default()).unwrap();
        let seeds = vec![([10, 0, 0, 2], 1).into()];
        let commands = [Command::Seeds(seeds), Command::Publish(value)].map(Input::Command);
        for input in [Input::Timeout].into_iter().chain(commands) {
            node.handle(now, input, &mut out);
            for output in out.drain() {
                match output {
                    Output::Send { packet, .. } => {
                        let mut bytes = Vec::new();
                        encode(&packet, &mut bytes);
                        assert_eq!(packet.encoded_len(), bytes.len(), "{}", packet.kind());
                        kinds.push(packet.kind());
                    }
                    Output::Event(event) => events.push(event),
                    Output::Answer(answer) => panic!("{answer:?} to nobody"),
                }
            }
        }
        let seen = node.inspect();
        assert_eq!((seen.me, seen.members_len, seen.stats.inputs), (&me, 1, 3));
        assert_eq!(seen.metadata.map(|held| &held.data()[..]), Some(&b"v"[..]));
        assert!(node.members().eq([&me]));
        assert!(node.deadline() > Some(now.mono), "what is due is done");
        (kinds, events)
    }

    #[test]
    fn a_driver_runs_either_protocol_without_knowing_which() {
        let settings = (Arc::new(Config::default()), Arc::default());
        let (kinds, events) = live::<Engine>(&settings, wire::encode);
        assert_eq!(kinds, ["join"]);
        assert!(matches!(events[..], [Event::Published(_)]), "{events:?}");
        let config = Config::builder().wire(Wire::Pekonode).build().unwrap();
        let (kinds, events) = live::<pekonode::Engine>(&config.into(), wire::pekonode::encode);
        assert_eq!(kinds, ["beat"]);
        assert!(matches!(events[..], [Event::Published(_)]), "{events:?}");
    }
}
