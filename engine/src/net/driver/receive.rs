//! What comes through the socket: looked at in the order of who sent it, so that a flood of
//! strangers' packets costs the members nothing.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::sleep;

use super::super::admission::DatagramSender;
use super::super::console::Console;
use super::super::dialect::Dialect;
use super::super::intake::with_buffer;
use super::{Freshness, Running};
use crate::core::{Carrier, Class, Input};
use crate::time::Now;
use crate::wire::Reject;

/// Most datagrams that are taken in before what they caused goes out.
const BATCH_MAX: usize = 64;

/// Most that are looked at for that: to refuse one takes a hundredth of the time.
const DRAIN_MAX: usize = 1_024;

/// So many of strangers are taken in even where members send more than that at a time.
const STRANGERS_MIN: usize = 16;

/// Less than that no answer is waited for: it is not worth an input.
const WAIT_TOLD_MIN: Duration = Duration::from_millis(10);

/// Pause after an error of the socket, so that one that stays doesn't occupy a processor.
const RECEIVE_PAUSE: Duration = Duration::from_millis(5);

/// How far the socket was emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drained {
    /// Nothing more was in it.
    Wholly,
    /// There may be more. So many of members' were taken in.
    Partly(usize),
}

impl<D: Dialect> Running<D> {
    /// What members sent is worked off as it is met, and then what strangers sent, so that a flood
    /// of strangers' packets keeps no member's waiting. Whatever waits, the socket is kept empty:
    /// what finds the system's queue full is lost, whoever sent it.
    pub(super) async fn on_readable(&mut self) {
        self.tell_wait();
        let drained = with_buffer(self.buffer_len, |buffer| self.drain(buffer));
        let count = match drained {
            Drained::Wholly => usize::MAX,
            Drained::Partly(of_members) => (BATCH_MAX - of_members).max(STRANGERS_MIN),
        };
        let mut strangers = std::mem::take(&mut self.strangers);
        strangers.take(count, |bytes, from| {
            self.take(self.driver.clock.now(), bytes, from, Class::Datagram);
            self.on_time();
        });
        self.strangers = strangers;
        if drained != Drained::Wholly {
            // In a flood there always is more, and the runtime serves the timers of the whole
            // service only between the turns of its tasks.
            let left_at = self.driver.clock.mono();
            yield_now().await;
            self.turn_awaited = self.driver.clock.mono() - left_at;
        }
    }

    /// Says how long what is about to be read has waited, as far as that is known: since this task
    /// was called, or while others had their turns after it had left something.
    fn tell_wait(&mut self) {
        let turn_awaited = std::mem::take(&mut self.turn_awaited);
        let called_at = self.summons.take();
        if called_at.is_none() && turn_awaited.is_zero() {
            return;
        }
        let now = self.driver.clock.now();
        let waited = called_at.map_or(turn_awaited, |at| turn_awaited.max(now.mono - at));
        if waited >= WAIT_TOLD_MIN {
            self.handle_at(now, Input::Waited(waited));
        }
    }

    fn drain(&mut self, buffer: &mut [u8]) -> Drained {
        let (mut of_members, mut now) = (0, self.driver.clock.now());
        for _ in 0..DRAIN_MAX {
            if of_members == BATCH_MAX || self.strangers.is_full() {
                break;
            }
            let Some(socket) = &self.driver.socket else { return Drained::Wholly };
            match socket.try_receive(buffer) {
                Ok((len, from, class)) => {
                    of_members +=
                        usize::from(self.on_datagram(now, &mut buffer[..len], from, class));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Drained::Wholly,
                // Some systems report here that an earlier datagram of ours was refused.
                Err(error) => {
                    tracing::debug!(%error, "receiving failed");
                    self.stats.receive_errors += 1;
                }
            }
            now = self.on_time();
        }
        Drained::Partly(of_members)
    }

    /// True when it was worked off, and not refused or put aside.
    fn on_datagram(&mut self, now: Now, bytes: &mut [u8], from: SocketAddr, class: Class) -> bool {
        self.stats.received += 1;
        self.stats.received_bytes += bytes.len() as u64;
        let sender = self.driver.engine.sender(from, bytes.len());
        match (class, sender) {
            (Class::Datagram, _) if !self.admission.admits(now.mono, sender, bytes.len()) => {
                self.refuse(from, bytes.len(), Reject::OverRate);
                false
            }
            (Class::Datagram, DatagramSender::Stranger(_)) => {
                self.strangers.push(from, bytes);
                false
            }
            (Class::Datagram, DatagramSender::Member(_) | DatagramSender::SealedMember)
            | (Class::Stream, _) => {
                self.take(now, bytes, from, class);
                true
            }
        }
    }

    /// Opens what came through the socket; in a network in memory that may be by stream.
    fn take(&mut self, now: Now, bytes: &mut [u8], from: SocketAddr, class: Class) {
        let driver = &mut self.driver;
        let decoded = driver.engine.decode(&mut driver.guard, now, bytes, class);
        match decoded {
            Ok(packet) => {
                let carrier = match class {
                    Class::Datagram => Carrier::Datagram(bytes.len()),
                    Class::Stream => Carrier::Stream,
                };
                self.handle_at(now, Input::Packet { from, carrier, packet: packet.into() });
            }
            Err(reason) => {
                self.refuse(from, bytes.len(), reason);
                self.complain_of(bytes);
            }
        }
        if let Some(answer) = self.driver.guard.take_answer() {
            self.outgoing.answer(from, answer);
        }
    }

    fn refuse(&mut self, from: SocketAddr, len: usize, reason: Reject) {
        tracing::debug!(%from, len, %reason, "a datagram was refused");
        self.rejected.count(reason);
        self.others = Freshness::Stale;
        self.note_refusal(from, len, reason);
    }

    /// Says what is wrong with a datagram, where that is read and the protocol has words for it.
    fn complain_of(&mut self, bytes: &[u8]) {
        if self.driver.console == Console::Stderr {
            let complaint = self.driver.engine.complaint(bytes);
            self.complain(complaint.as_ref());
        }
    }

    pub(super) async fn on_receive_error(&mut self) {
        self.stats.receive_errors += 1;
        sleep(RECEIVE_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::super::memory::Port;
    use crate::config::Config;
    use crate::core::packet::{Body, Delta, LastCall, MembershipUpdate};
    use crate::core::{Age, AgeStep, Event, MemberState, Metadata, Packet, Record, Version};
    use crate::link::Link;
    use crate::net::intake::WaitingDatagrams;
    use crate::net::{MemoryNetwork, Notice};
    use crate::node::{Generation, Node, NodeId};
    use crate::node_list::{Events, NodeList};
    use crate::wire::{CUT_LEN_MAX, DATAGRAM_LEN_MAX, Guard, Run};

    use super::*;

    const DELAY: Duration = Duration::from_millis(1);

    /// Two members that know each other, and a stranger.
    struct Bed {
        lists: [NodeList; 2],
        stranger: Port,
        network: MemoryNetwork,
        guard: Guard,
    }

    impl Bed {
        async fn new(config: Config) -> Self {
            let network = MemoryNetwork::new(1, Link::uniform(DELAY, DELAY));
            let node =
                |host| network.node(Node::new(format!("10.0.0.{host}:8000")), config.clone());
            let lists = [node(1).unwrap(), node(2).unwrap()];
            lists[1].set("10.0.0.1:8000").unwrap();
            for list in &lists {
                list.join().await.unwrap();
            }
            sleep(2 * config.timeout()).await;
            assert!(lists.iter().all(|list| list.get().len() == 2));
            let stranger = network.bind("10.0.0.3:8000".parse().unwrap()).unwrap();
            let now = network.clock().now();
            let run = Run { addr: stranger.addr(), random: [0; 8], now };
            Self { lists, stranger, network, guard: Guard::new(&Config::default(), &run) }
        }

        fn send(&mut self, body: Body) {
            let mut bytes = Vec::new();
            let now = self.network.clock().now();
            self.guard.encode(now, &Packet::new(AgeStep(25_000), body), &mut bytes);
            self.stranger.send(&bytes, self.lists[0].node().addr());
        }

        fn invented(&self, number: u16) -> MembershipUpdate {
            let node = Node::new(format!("10.0.1.1:{number}")).build().unwrap();
            let generation = Generation::start(None, self.network.clock().now().wall);
            let record = Arc::new(Record::new(node, generation));
            MembershipUpdate::Member(MemberState { record, counter: 1, age: Age(0) })
        }

        fn records(&self, count: u16) -> Body {
            Body::Delta(Delta { news: (1..=count).map(|number| self.invented(number)).collect() })
        }

        /// A value newer than all that was published, of so many bytes.
        fn value(&self, len: usize) -> Metadata {
            let data: Arc<[u8]> = vec![7; len].into();
            let wall = self.network.clock().now().wall;
            let digest = crate::core::digest(&data);
            let version = Version { nanos: wall.0 + 1, writer: NodeId(1), digest };
            Metadata::verified(version, data).unwrap()
        }

        fn refused(&self, reason: Reject) -> u64 {
            self.lists[0].stats().rejected.of(reason)
        }
    }

    async fn next(events: &mut Events) -> Event {
        loop {
            if let Notice::Event(event) = events.recv().await.expect("the node runs") {
                return event;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_member_sent_is_worked_off_before_what_strangers_sent_earlier() {
        let mut bed = Bed::new(Config::default()).await;
        let mut events = bed.lists[0].subscribe();
        for _ in &bed.lists {
            assert!(matches!(next(&mut events).await, Event::Joined(_)), "whom it lists already");
        }
        for number in 1..=20 {
            let news = vec![bed.invented(number)];
            bed.send(Body::Delta(Delta { news }));
        }
        bed.lists[1].publish("v1").await.unwrap();
        let first = next(&mut events).await;
        assert!(matches!(first, Event::Published(_)), "{first:?}");
        assert!(matches!(next(&mut events).await, Event::Joined(_)), "then the stranger's");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_s_flood_is_refused_unread_and_is_no_member_s_loss() {
        let mut bed = Bed::new(Config::default()).await;
        let received = bed.lists[0].stats().received;
        for _ in 0..10_000 {
            bed.send(Body::LastCall(LastCall::default()));
        }
        let version = bed.lists[1].publish("v1").await.unwrap();
        sleep(2 * DELAY).await;
        let held = bed.lists[0].read().map(|held| held.version());
        assert_eq!(held, Some(version), "it waits for nothing");
        sleep(10 * DELAY).await;
        // Less than 64 bytes each: some more than of those.
        let refused = bed.refused(Reject::OverRate);
        assert!((4_500..=10_000 - 4_096).contains(&refused), "{refused}");
        assert!(bed.lists[0].stats().received >= received + 10_000, "what is refused is counted");
    }

    #[tokio::test(start_paused = true)]
    async fn with_a_secret_what_is_forged_in_a_member_s_name_is_not_charged_to_it() {
        let mut bed = Bed::new(Config::builder().secret_key("secret").build().unwrap()).await;
        let [first, second] = bed.lists;
        let member = second.node().addr();
        // It falls silent, and another has its address before anybody knows.
        drop(second);
        while bed.network.bind(member).map(|port| bed.stranger = port).is_err() {
            tokio::task::yield_now().await;
        }
        let mut bytes = Vec::new();
        let packet = Packet::new(AgeStep(1), Body::LastCall(LastCall::default()));
        bed.guard.encode(bed.network.clock().now(), &packet, &mut bytes);
        for _ in 0..30_000 {
            bed.stranger.send(&bytes, first.node().addr());
        }
        for _ in 0..20 {
            bed.stranger.send(&[0; 60_000], first.node().addr());
        }
        sleep(2 * DELAY).await;
        assert_eq!(first.get().len(), 2);
        let rejected = first.stats().rejected;
        assert_eq!(rejected.of(Reject::Unsealed), 30_000);
        assert_eq!((rejected.of(Reject::ForeignMagic), rejected.of(Reject::OverRate)), (17, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_strangers_sent_waits_for_nothing_when_members_are_quiet() {
        let mut bed = Bed::new(Config::default()).await;
        // Exactly as many as are looked at in one go.
        for _ in 0..2 * DRAIN_MAX {
            bed.send(Body::LastCall(LastCall::default()));
        }
        sleep(2 * DELAY).await;
        let mut answers = 0;
        while bed.stranger.try_receive(&mut [0; 100]).is_some() {
            answers += 1;
        }
        assert_eq!(answers, 2 * DRAIN_MAX);
    }

    /// Inputs of a node to which so many datagrams come at once, with its first turns so far apart.
    async fn inputs_after(waits: &[Duration], count: usize) -> u64 {
        let network = MemoryNetwork::new(1, Link::uniform(Duration::ZERO, Duration::ZERO));
        let hour = Duration::from_secs(3_600);
        let config = Config::builder().cycle(hour).timeout(5 * hour).build().unwrap();
        let list = network.node(Node::new("10.0.0.1:8000"), config).unwrap();
        list.join().await.unwrap();
        sleep(Duration::from_secs(60)).await;
        let stranger = network.bind("10.0.0.3:8000".parse().unwrap()).unwrap();
        let before = list.stats().engine.inputs;
        let mut bytes = Vec::new();
        let now = network.clock().now();
        let run = Run { addr: stranger.addr(), random: [0; 8], now };
        let packet = Packet::new(AgeStep(1), Body::LastCall(LastCall::default()));
        Guard::new(&Config::default(), &run).encode(now, &packet, &mut bytes);
        (0..count).for_each(|_| stranger.send(&bytes, list.node().addr()));
        for &wait in waits {
            tokio::time::advance(wait).await;
        }
        yield_now().await;
        list.stats().engine.inputs - before
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_is_told_how_long_what_it_reads_has_waited_for_its_turn() {
        assert_eq!(inputs_after(&[Duration::ZERO], 1).await, 1);
        assert_eq!(inputs_after(&[WAIT_TOLD_MIN / 2], 1).await, 1, "that is no wait");
        assert_eq!(inputs_after(&[WAIT_TOLD_MIN], 1).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_for_the_next_turn_has_waited_for_that() {
        let more = WaitingDatagrams::DATAGRAMS_MAX + 1;
        let inputs = more as u64;
        assert_eq!(inputs_after(&[Duration::ZERO; 2], more).await, inputs);
        let waits = [Duration::ZERO, WAIT_TOLD_MIN];
        assert_eq!(inputs_after(&waits, more).await, inputs + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_no_node_would_cut_so_long_is_refused_before_it_is_read() {
        let mut bed = Bed::new(Config::default()).await;
        bed.send(bed.records(1_500));
        sleep(2 * DELAY).await;
        assert_eq!((bed.refused(Reject::OverSize), bed.lists[0].get().len()), (1, 2));
        // One of a node on jumbo frames is not.
        bed.send(bed.records(200));
        sleep(2 * DELAY).await;
        assert_eq!((bed.refused(Reject::OverSize), bed.lists[0].get().len()), (1, 202));
    }

    #[tokio::test(start_paused = true)]
    async fn who_cuts_longer_lists_takes_them_as_well() {
        let size = DATAGRAM_LEN_MAX / 2;
        let mut bed = Bed::new(Config::builder().size(size).build().unwrap()).await;
        let body = bed.records(1_000);
        assert!(crate::wire::encoded_len(&Packet::new(AgeStep(1), body)) > CUT_LEN_MAX);
        bed.send(bed.records(1_000));
        sleep(2 * DELAY).await;
        assert_eq!(bed.refused(Reject::OverSize), 0);
        assert!(bed.lists[0].get().len() > 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_is_taken_from_a_peer_with_any_size() {
        let mut bed = Bed::new(Config::default()).await;
        let value = bed.value(60_000);
        bed.send(Body::Value(value.clone()));
        sleep(2 * DELAY).await;
        assert_eq!(bed.refused(Reject::OverSize), 0);
        assert_eq!(bed.lists[0].read(), Some(value));
    }
}
