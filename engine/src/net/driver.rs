//! The task of one node: takes in datagrams, orders and time, and does what the engine wants.

mod answers;
mod bell;
mod contact;
mod keeping;
mod line;
mod receive;
mod requests;
mod summons;
mod wake_reason;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep_until, timeout};

use answers::Answers;
use bell::Bell;
pub(crate) use keeping::Keeping;
use summons::Summons;
use wake_reason::{NextPlaces, WakeReason, next_places};

use super::admission::Admission;
use super::clock::Clock;
use super::complaints::{Complaint, Complaints};
use super::console::{Console, ConsoleLine};
use super::contacts::{Contacts, SideReport};
use super::dialect::Dialect;
use super::intake::WaitingDatagrams;
use super::intercept::{Intercepted, Released};
use super::listing::Listing;
use super::outgoing::Outgoing;
use super::presence::{End, Ended, Presence, caught, panic_with};
use super::request::{Pulse, Requests};
use super::seeds::SeedPlace;
use super::stats::{NetStats, Refusals, Rejected};
use super::stream::{StreamArrival, Streams};
use super::stream_in::Ticket;
use super::transport::{Environment, Transport};
use super::udp::Queue;
use super::view::{Listed, Local, Notice, View};
use crate::allowance::Allowance;
use crate::config::Config;
use crate::core::{Agreement, Carrier, Class, Event, Input, Outbox, Output, Protocol, Traced};
use crate::time::Now;
use crate::wire::{self, Guard, Keyring};

/// How long a node that leaves waits for what an interceptor keeps.
const RELEASE_MAX: Duration = Duration::from_secs(3);

/// One node on its socket. Ends, and with it the socket, when told to or when its handle is gone.
pub(crate) struct Driver<D: Dialect> {
    pub(crate) engine: D,
    pub(crate) config: Arc<Config>,
    pub(crate) environment: Environment,
    pub(crate) clock: Clock,
    /// `None` when all packets go by stream.
    pub(crate) socket: Option<Transport>,
    /// `None` in a network in memory, whose ports carry both.
    pub(crate) streams: Option<Streams<D::Packet>>,
    pub(crate) bound: SocketAddr,
    pub(crate) guard: Guard,
    pub(crate) requests: Requests,
    pub(crate) places: watch::Receiver<Vec<SeedPlace>>,
    pub(crate) contacts: Contacts,
    /// What comes of what is done beside the node, and where that is told.
    pub(crate) reports: mpsc::Receiver<SideReport>,
    pub(crate) reporter: mpsc::Sender<SideReport>,
    /// Ended with the driver, and the driver by a panic of theirs.
    pub(crate) tasks: JoinSet<()>,
    pub(crate) console: Console,
    /// What outlasts the node, where anything does.
    pub(crate) keeping: Keeping<D::Packet>,
    /// Leads to who stands between the node and its sockets.
    pub(crate) intercepted: Option<Intercepted>,
    /// The last field, so that whoever is told of the end finds the port free.
    pub(crate) presence: Presence,
}

impl<D: Dialect> Driver<D> {
    /// Shows the node to readers before its task first runs.
    pub(crate) fn show(&mut self, local: Local, taken_back: Outbox<D::Packet>) {
        let members = [local.node.clone()];
        let wall = self.clock.now().wall;
        self.console.print(wall, ConsoleLine::Join(&local.node));
        self.console.print(wall, ConsoleLine::Listen { bound: local.bound, members: &members });
        let me = Arc::clone(self.engine.inspect().me);
        let joined = Notice::Event(Event::Joined(Arc::clone(&me)));
        let clamped = self.queue().filter(|queue| queue.is_clamped());
        let clamped =
            clamped.map(|Queue { wanted, granted }| Notice::BufferClamped { wanted, granted });
        let generation = Some(me.generation());
        let list = Listed::of(vec![me]);
        let (seeds, mut notices) = self.first_look(joined);
        notices.extend(clamped);
        notices.extend(keeping::notices_of(taken_back));
        let agreement = Agreement { reach: self.contacts.reach(), ..Agreement::default() };
        let local = Some(local);
        let seen = self.engine.inspect();
        let metadata = seen.metadata.cloned();
        let entries = (seen.entries.cloned().unwrap_or_default(), self.clock.now().mono);
        let view = View {
            local,
            list,
            generation,
            seeds,
            agreement,
            metadata,
            entries,
            ..View::default()
        };
        self.presence.shared().show(view, notices);
    }

    fn queue(&self) -> Option<Queue> {
        self.socket.as_ref().and_then(Transport::queue)
    }

    /// Runs the node to its end, whatever that is.
    pub(crate) async fn run(mut self) {
        let value_len_max = match self.environment {
            // Its ports carry streams as well.
            Environment::Memory(_) => self.config.transfer_len_max(),
            Environment::System | Environment::Intercepted(_) => 0,
        };
        let buffer_len = wire::DATAGRAM_LEN_MAX + value_len_max;
        let now = self.clock.now().mono;
        let alarm = Box::pin(sleep_until(self.clock.at(now)));
        let listing = Listing::new(self.console, &self.config, now);
        let queue_bytes = self.queue().map_or(0, |queue| queue.granted);
        // They are looked at when the node begins.
        self.places.mark_unchanged();
        let summons = Summons::new(self.clock);
        let mut running = Running {
            bound: self.bound,
            pulse: Pulse::Beating,
            next_places: next_places(self.places.clone()),
            driver: self,
            alarm,
            bell: Bell::new(),
            summons,
            turn_awaited: Duration::ZERO,
            outbox: Outbox::new(),
            events: Vec::new(),
            answers: Answers::default(),
            stats: NetStats { queue_bytes, ..NetStats::default() },
            rejected: Rejected::default(),
            complaints: Complaints::default(),
            listing,
            refusals: Refusals::default(),
            buffer_len,
            admission: Admission::new(),
            strangers: WaitingDatagrams::default(),
            outgoing: Outgoing::new(),
            others: Freshness::Stale,
            streamed: Vec::new(),
            heard: Vec::new(),
            refusals_sent: Allowance::default(),
        };
        let end = caught(running.run()).await;
        let end = end.unwrap_or_else(|message| End::Failed(Ended::Panicked(message)));
        running.end_keeping(&end).await;
        running.driver.presence.end(end);
        running.driver.release().await;
    }

    /// When this returns the port of the streams is free.
    async fn release(&mut self) {
        if let Some(streams) = &mut self.streams {
            streams.close().await;
        }
        self.tasks.shutdown().await;
    }

    fn use_keys(&mut self, keyring: &Keyring) {
        self.guard.use_keys(keyring);
        if let Some(streams) = &mut self.streams {
            streams.use_keys(keyring);
        }
    }
}

/// Whether something that takes long to work out has to be, because it may have changed. Datagrams
/// that tell a rumor, which come more often than all else, change next to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Freshness {
    Fresh,
    /// All that has changed is the value that the node itself holds.
    OwnValueChanged,
    Stale,
}

/// A driver with what it needs from one wake-up to the next.
struct Running<D: Dialect> {
    driver: Driver<D>,
    bound: SocketAddr,
    pulse: Pulse,
    /// Rings when there is something to do whatever comes. Kept, because to make one anew at each
    /// wake-up takes a lock of the runtime twice.
    alarm: Pin<Box<Sleep>>,
    next_places: NextPlaces,
    /// Before all that comes but seldom.
    bell: Bell,
    /// To what has come through the socket.
    summons: Summons,
    /// How long it took until there was another turn for what was left there.
    turn_awaited: Duration,
    /// Empty but while an input is handled.
    outbox: Outbox<D::Packet>,
    /// What readers and subscribers have yet to see.
    events: Vec<Event>,
    answers: Answers,
    stats: NetStats,
    /// Datagrams that were refused.
    rejected: Rejected,
    complaints: Complaints,
    listing: Listing,
    refusals: Refusals,
    /// The longest that may come through the socket.
    buffer_len: usize,
    admission: Admission,
    /// What strangers sent, after what members sent.
    strangers: WaitingDatagrams,
    outgoing: Outgoing<D>,
    /// Of what readers see of others: how far they agree, the seeds, the connections.
    others: Freshness,
    /// Packets that go by stream.
    streamed: Vec<(SocketAddr, Arc<D::Packet>)>,
    /// What the next look at the seeds adds to what is told.
    heard: Vec<Notice>,
    /// Answers to packets of other clusters.
    refusals_sent: Allowance,
}

impl<D: Dialect> Running<D> {
    async fn run(&mut self) -> End {
        let places = self.driver.places.borrow().clone();
        self.on_places(places);
        loop {
            let now = self.on_time();
            self.flush(now).await;
            if self.answers.have_left() {
                break;
            }
            let wake = self.wake().await;
            self.hold().await;
            if !matches!(wake, WakeReason::Readable) {
                self.others = Freshness::Stale;
            }
            match wake {
                WakeReason::Due => {}
                WakeReason::Request(request) => self.on_request(request),
                WakeReason::Places(places) => self.on_places(places),
                WakeReason::Report(report) => self.on_report(report),
                WakeReason::Flushed(flushed) => self.on_flushed(*flushed),
                WakeReason::Arrival(arrival) => self.on_arrival(arrival).await,
                WakeReason::Released(released) => self.on_released(released),
                WakeReason::Readable => self.on_readable().await,
                WakeReason::ReceiveError => self.on_receive_error().await,
                WakeReason::TaskEnded(ended) => panic_with(ended),
                WakeReason::HandleGone => return End::HandleGone,
            }
        }
        self.release_all().await;
        if let Some(streams) = &mut self.driver.streams {
            streams.finish().await;
        }
        End::Left
    }

    /// The deadline is looked at after every input, so that a flood of packets can't silence us.
    /// Returns what time it is, since to read two clocks again takes as long as to look at it.
    fn on_time(&mut self) -> Now {
        let now = self.driver.clock.now();
        if self.driver.engine.deadline().is_some_and(|deadline| deadline <= now.mono) {
            self.handle_at(now, Input::Timeout);
        }
        self.keep_in_time(now);
        if self.listing.take_due(now.mono) {
            self.print_list(&listed(&self.driver.engine));
        }
        now
    }

    fn handle(&mut self, input: Input<D::Packet>) {
        self.handle_at(self.driver.clock.now(), input);
    }

    /// The one way into the engine, and what it wants done out of it.
    fn handle_at(&mut self, now: Now, input: Input<D::Packet>) {
        let is_silent = matches!(&input, Input::Packet { packet, .. } if !D::may_report(packet));
        if !is_silent {
            self.others = Freshness::Stale;
        }
        let came = match &input {
            Input::Packet { from, packet, .. } if self.driver.intercepted.is_some() => {
                Some((*from, Arc::clone(packet)))
            }
            Input::Packet { .. }
            | Input::StreamFailed { .. }
            | Input::Timeout
            | Input::Waited(_)
            | Input::Command(_) => None,
        };
        self.driver.engine.handle(now, input, &mut self.outbox);
        self.drain_outbox(came.as_ref());
    }

    /// Sorts what came of an input, all of which waits for [`Running::flush`].
    fn drain_outbox(&mut self, came: Option<&(SocketAddr, Arc<D::Packet>)>) {
        if let Some(intercepted) = &self.driver.intercepted {
            let came = came.and_then(|(from, packet)| Some((*from, &**D::shown(packet)?)));
            intercepted.on_input(came, &D::shown_outputs(self.outbox.outputs()));
        }
        let mut outbox = std::mem::take(&mut self.outbox);
        let mut outputs = outbox.drain();
        while let Some(output) = outputs.next() {
            match output {
                Output::Flush => self.keep_then(outputs.by_ref().collect()),
                output => self.sort(output),
            }
        }
        drop(outputs);
        self.outbox = outbox;
    }

    fn sort(&mut self, output: Output<D::Packet>) {
        match output {
            Output::Send { to, packet, class: Class::Datagram } => self.outgoing.push(to, packet),
            Output::Send { to, packet, class: Class::Stream } => self.streamed.push((to, packet)),
            Output::Event(event) => self.events.push(event),
            Output::Answer(answer) => self.answers.note(answer),
            Output::Flush => {}
        }
    }

    /// Whoever holds the node up does so here, with what woke it still to be looked at.
    async fn hold(&mut self) {
        if let Some(intercepted) = &self.driver.intercepted {
            intercepted.hold().await;
            self.on_time();
        }
    }

    fn on_released(&mut self, (to, packet): Released) {
        if let Some(streams) = &mut self.driver.streams {
            streams.queue(to, packet);
        }
    }

    /// Waits for what the interceptor still keeps, so that a goodbye may be late.
    async fn release_all(&mut self) {
        let Some(mut intercepted) = self.driver.intercepted.take() else { return };
        intercepted.close();
        let all = async {
            while let Some(released) = intercepted.released().await {
                self.on_released(released);
            }
        };
        if timeout(RELEASE_MAX, all).await.is_err() {
            tracing::debug!("not all that was held up went out in time");
        }
    }

    /// One packet by stream, and then what came by datagram: neither can keep the other waiting.
    async fn on_arrival(&mut self, arrival: StreamArrival<D::Packet>) {
        match arrival {
            StreamArrival::Called(from, ticket) => self.take_slot(from, &ticket),
            StreamArrival::Packet(from, packet, ticket) => {
                if let Some(ticket) = ticket {
                    self.take_slot(from, &ticket);
                }
                let (carrier, packet) = (Carrier::Stream, packet.into());
                self.handle(Input::Packet { from, carrier, packet });
            }
            StreamArrival::NoPacket(complaint) => self.complain(Some(&complaint)),
            StreamArrival::Failed(to) => self.handle(Input::StreamFailed { to }),
        }
        self.on_time();
        self.on_readable().await;
    }

    /// Notes that a caller is the node at this address, if that is a member.
    fn take_slot(&self, caller: SocketAddr, ticket: &Ticket) {
        if self.driver.engine.confirms(caller) {
            ticket.prove(caller);
        }
    }

    /// Shows what has changed, tells of it, and then sends: who is told of a change sees it.
    async fn flush(&mut self, now: Now) {
        let events = std::mem::take(&mut self.events);
        if events.iter().any(|event| matches!(event, Event::Woke(_))) {
            self.driver.guard.distrust();
        }
        self.show(now, events);
        self.answers.give();
        if self.driver.console != Console::Off {
            self.print_swaps();
        }
        let driver = &mut self.driver;
        driver.environment.renew(&mut driver.guard, now);
        for (to, packet) in self.streamed.drain(..) {
            match &mut driver.streams {
                Some(streams) => match (&driver.intercepted, D::shown(&packet)) {
                    (Some(intercepted), Some(packet)) => intercepted.stream(to, packet),
                    _ => D::post(streams, to, &packet),
                },
                None => driver.socket.iter().for_each(|socket| {
                    socket.stream(|out| D::encode(&mut driver.guard, now, &packet, out), to);
                }),
            }
        }
        if let Some(socket) = &driver.socket {
            let ways = (socket, driver.intercepted.as_ref());
            self.outgoing.send(now, &mut driver.guard, ways, &mut self.stats).await;
        }
    }

    fn show(&mut self, now: Now, events: Vec<Event>) {
        let list = events.iter().any(changes_list).then(|| listed(&self.driver.engine));
        if let Some(list) = list.as_ref().filter(|_| self.listing.tells_changes()) {
            self.print_list(list);
        }
        let has_changed = !events.is_empty();
        let after = events.iter().map(freshness_after).max().unwrap_or(Freshness::Fresh);
        let freshness = std::mem::replace(&mut self.others, Freshness::Fresh).max(after);
        let mut seeds = None;
        let mut notices: Vec<_> = Vec::new();
        if freshness == Freshness::Stale {
            seeds = self.look_at_seeds(now, &events);
            notices.extend(self.count_others(now));
        }
        let told = events.into_iter().map(Notice::Event);
        let notices = told.chain(notices).chain(self.heard.drain(..)).collect();
        let engine = &self.driver.engine;
        let seen = engine.inspect();
        let reach = self.driver.contacts.reach();
        self.driver.presence.shared().change(notices, |view| {
            view.stats = NetStats { engine: *seen.stats, ..self.stats };
            view.generation = Some(seen.me.generation());
            match freshness {
                Freshness::Stale => view.agreement = engine.agreement(),
                Freshness::OwnValueChanged => view.agreement.same = engine.same(),
                Freshness::Fresh => {}
            }
            view.agreement.reach = reach;
            debug_assert!(
                Agreement { reach, ..engine.agreement() } == view.agreement,
                "what reports nothing has changed it"
            );
            if let Some(seeds) = seeds {
                view.seeds = seeds;
            }
            if has_changed {
                view.metadata = seen.metadata.cloned();
                view.entries = (seen.entries.cloned().unwrap_or_default(), now.mono);
            }
            if let Some(list) = list {
                view.list = list;
                let node = seen.me.node().clone();
                view.local = Some(Local { node, bound: self.bound });
            }
        });
    }

    /// Takes in what the connections have counted, and gives what is told of refusals.
    fn count_others(&mut self, now: Now) -> Vec<Notice> {
        let streams = self.driver.streams.as_ref().map(Streams::stats);
        let (streams, rejected) = streams.unwrap_or_default();
        self.stats.streams = streams;
        self.stats.rejected = self.rejected.plus(rejected);
        self.print_wrong_key(now);
        let refusals = self.refusals.news(now.mono, &self.stats.rejected);
        refusals.into_iter().map(Notice::Rejected).collect()
    }

    fn print_wrong_key(&mut self, now: Now) {
        let counted = self.stats.rejected.by_key() + self.driver.engine.inspect().stats.keys_wrong;
        if let Some(line) = self.complaints.of_keys(now.mono, counted) {
            self.print(line);
        }
    }

    fn complain(&mut self, complaint: Option<&Complaint>) {
        let now = self.driver.clock.now().mono;
        if let Some(line) = complaint.and_then(|it| self.complaints.make(now, it)) {
            self.print(line);
        }
    }

    fn print(&self, line: ConsoleLine<'_>) {
        if self.driver.console != Console::Off {
            self.driver.console.print(self.driver.clock.now().wall, line);
        }
    }

    fn print_list(&self, list: &Listed) {
        if self.driver.console != Console::Off {
            self.print(ConsoleLine::Listen { bound: self.bound, members: list.nodes() });
        }
    }

    fn print_swaps(&self) {
        let me = self.driver.engine.inspect().me.node().addr();
        for &(to, ref packet) in self.outgoing.packets().iter().chain(&self.streamed) {
            match packet.kind() {
                "swap_request" => self.print(ConsoleLine::SwapRequest { me, to }),
                "swap_answer" => self.print(ConsoleLine::SwapResponse { me, to }),
                _ => {}
            }
        }
    }
}

/// What an event leaves of the agreement.
fn freshness_after(event: &Event) -> Freshness {
    match event {
        Event::Published(_) | Event::Entry(_) => Freshness::OwnValueChanged,
        _ => Freshness::Stale,
    }
}

fn changes_list(event: &Event) -> bool {
    match event {
        Event::Joined(_)
        | Event::Updated { .. }
        | Event::Removed { .. }
        | Event::Replaced { .. } => true,
        Event::NameConflict { .. }
        | Event::View { .. }
        | Event::Isolated
        | Event::Reunited(_)
        | Event::Degraded(_)
        | Event::Recovered
        | Event::Woke(_)
        | Event::VersionAhead { .. }
        | Event::VersionsExhausted(_)
        | Event::Corrupted(_)
        | Event::Superseded { .. }
        | Event::SettingsDiffer { .. }
        | Event::NotReached(_)
        | Event::AddressConflict(_)
        | Event::ListFull { .. }
        | Event::GenerationsExhausted(_)
        | Event::PathNarrow { .. }
        | Event::ValueUnreachable { .. }
        | Event::Published(_)
        | Event::Entry(_)
        | Event::ClusterTooLarge { .. } => false,
    }
}

/// The listed members.
fn listed(engine: &impl Protocol) -> Listed {
    Listed::of(engine.members().cloned().collect())
}
