//! A gossip cluster engine: every node comes to hold the full node list and the same metadata.
//!
//! There is no server and no leader. Each node talks to a few others at a time, and what one
//! knows soon all know: who is in the cluster, and one value of shared configuration.
//!
//! # For a service
//! [`NodeList`] is the handle: it joins through any node that is in the cluster already, keeps the
//! list, and publishes and reads metadata. It needs the feature `net` (on by default) and a
//! running tokio runtime. The example of the README is the shortest whole program.
//!
//! | you want | you call |
//! |---|---|
//! | to say who you are | [`Node::new`], with a name and private data of your own |
//! | other settings | [`Config::builder`], or any serde format; [`config`] lists the keys |
//! | to join | [`NodeList::set`] an address or host name, then [`NodeList::join`] |
//! | the list, the metadata | [`NodeList::get`], [`NodeList::read`]: snapshots, never a wait |
//! | to change the metadata | [`NodeList::publish`] |
//! | it all back after a restart | [`ConfigBuilder::state_dir`], feature `persist`: see [`state`] |
//! | packets sealed | [`ConfigBuilder::secret_key`], or a [file]; [`NodeList::keys`] later on |
//! | to follow changes | [`NodeList::subscribe`], which gives [`Event`]s |
//! | to go | [`NodeList::leave`]; dropped without it, the node counts as crashed |
//! | to know that it runs | [`NodeList::ended`]: `None`, or why its task is no more |
//! | to log it, to send it on | `Display`; with the feature `serde` any serde format |
//!
//! [file]: ConfigBuilder::secret_key_file
//!
//! A new subscriber is told the present state first, so that one loop over its [`Event`]s is all
//! that a service needs. What can't be done is an error that says what to do instead; what the
//! network does is counted, and never an error: [`NodeList::stats`]. A node's task may end unasked,
//! by a fault or with its runtime: then the list is empty and [`Notice::Ended`] tells why.
//!
//! [`recipes`] has code for what most services need: tags in the private data, readiness, shutdown,
//! another secret, and tests without sockets. [`metrics`] is all that is counted, for Prometheus.
//!
//! # Coming from pekonode
//! | pekonode | here | what is different |
//! |---|---|---|
//! | `New(Node)` | [`NodeList::new`] | takes the settings as well; wrong ones are errors |
//! | `Node{Addr, Port, Name, PrivateData}` | [`Node`] | one address; what changes is an update |
//! | `NodeList{...}` | [`Config`] | the same settings and more: see [`config`] |
//! | `Set(Node)` | [`NodeList::set`] | an address or a host name, looked up again and again |
//! | `Join()` | [`NodeList::join`] | listens when it returns, or says why not; twice is once |
//! | `Get()` | [`NodeList::get`] | in order of address, a snapshot that costs a pointer |
//! | `Publish([]byte)` | [`NodeList::publish`] | says its version, or that it is too long |
//! | `Read()` | [`NodeList::read`] | with version and writer; `None` before there is any |
//! | `Stop()`, `Start()` | [`NodeList::stop`], [`NodeList::start`] | idempotent |
//! | `IsPrint` | [`ConfigBuilder::print`] | the same lines; `[Error]` at most once a second |
//! | | [`NodeList::leave`] | says goodbye; port and task are released |
//! | | [`NodeList::update`] | changes name and private data while it runs |
//! | | [`NodeList::subscribe`] | what changes, as it changes |
//! | | [`NodeList::keys`] | changes the secret while it runs |
//!
//! With `wire = "pekonode"` a node takes part in a cluster of unmodified Go nodes, over UDP or
//! TCP, so that one can move over node by node: [`pekonode`] says what it does there. A Go node
//! knows no goodbye, so there `leave` is a silence; versions name no writer, and metadata is as
//! long as a packet has room for.
//!
//! # Which module for whom
//! What nearly every service names is at the root. The rest is where it belongs:
//!
//! | you | module | what is in it |
//! |---|---|---|
//! | run a service | [`config`] | all settings: [`TransportKind`], [`Wire`], [`Advertise`], ... |
//! | | [`node`] | ids, generations, limits of names and private data |
//! | | [`node_list`] | [`Keys`], beside what is at the root |
//! | | [`net`] | what is told of sockets: [`NetStats`], [`SeedStatus`], [`Ended`] |
//! | | [`state`] | what outlasts a restart, and what can be wrong with its folder |
//! | | [`metrics`] | everything that is counted, as a page for Prometheus |
//! | | [`recipes`] | code to copy |
//! | test a service | [`net`] | [`MemoryNetwork`], a network without sockets; [`Interceptor`] |
//! | drive the engine yourself | [`core`] | [`Engine`], its inputs and outputs; [`Protocol`] |
//! | | [`core::packet`] | the packets, as values |
//! | | [`wire`] | packets to bytes and back; [`Keyring`] and what guards them |
//! | | [`time`], [`rng`] | instants and chance, which are arguments |
//! | | [`pekonode`] | the engine of the other wire |
//! | simulate a network | [`link`] | [`LinkModel`]: delay, loss, partitions, in memory |
//! | read what people type | [`units`], [`text`] | durations, sizes; texts of strangers |
//!
//! [`TransportKind`]: config::TransportKind
//! [`Wire`]: config::Wire
//! [`Advertise`]: config::Advertise
//! [`Keys`]: node_list::Keys
//! [`NetStats`]: net::NetStats
//! [`SeedStatus`]: net::SeedStatus
//! [`Ended`]: net::Ended
//! [`MemoryNetwork`]: net::MemoryNetwork
//! [`Interceptor`]: net::Interceptor
//! [`Engine`]: core::Engine
//! [`Protocol`]: core::Protocol
//! [`Keyring`]: wire::Keyring
//! [`LinkModel`]: link::LinkModel
//!
//! # For your own sockets, or a simulation
//! [`Engine`] is the protocol as a state machine: time, chance and packets are arguments, what is
//! to be sent is a result. Its docs say what a driver must do. [`wire`] turns its packets into
//! bytes; [`LinkModel`] decides the fate of packets on a network that exists only in memory.
//!
//! ```
//! use std::sync::Arc;
//! use rumormill::core::{Engine, Input, Outbox, Output, Record, SharedRecords};
//! use rumormill::node::Generation;
//! use rumormill::time::{Instant, Now, UnixNanos};
//! use rumormill::{Config, Node};
//!
//! let now = Now { mono: Instant::ZERO, wall: UnixNanos(1_800_000_000_000_000_000) };
//! let node = Node::new("10.0.0.5:8000").name("A").build()?;
//! let me = Arc::new(Record::new(node, Generation::start(None, now.wall)));
//! let (config, roster) = (Arc::new(Config::default()), Arc::new(SharedRecords::default()));
//! let mut engine = Engine::new(me, config, roster, 7, now);
//!
//! let mut out = Outbox::new();
//! engine.handle(now, Input::Timeout, &mut out);
//! for output in out.drain() {
//!     match output {
//!         Output::Send { to, packet, class } => println!("{to} <- {:?} {class:?}", packet.kind()),
//!         Output::Event(event) => println!("{event:?}"),
//!         Output::Answer(answer) => println!("{answer:?}"),
//!         Output::Flush => println!("what follows waits until what is held is kept"),
//!     }
//! }
//! assert!(engine.deadline().is_some(), "it wants to beat again");
//! # Ok::<(), rumormill::NodeError>(())
//! ```
//!
//! # Where time comes from
//! From the driver, as an argument of every call. Nothing in [`core`] or [`wire`] reads a clock,
//! draws entropy or iterates over a hash table; the build forbids it.

// What is linked of the async handle is not there without it.
#![cfg_attr(not(feature = "net"), allow(rustdoc::broken_intra_doc_links))]

// First, for its macro is used in what follows.
#[macro_use]
#[doc(hidden)]
pub mod planted;

mod allowance;
pub mod config;
pub mod core;
mod forms;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod link;
pub mod metrics;
#[cfg(feature = "net")]
pub mod net;
pub mod node;
#[cfg(feature = "net")]
pub mod node_list;
pub mod pekonode;
#[cfg(all(any(doc, doctest), feature = "net"))]
pub mod recipes;
pub mod rng;
#[cfg(feature = "net")]
pub mod state;
pub mod text;
pub mod time;
pub mod units;
pub mod wire;
mod wire_version;

pub use config::{Config, ConfigBuilder, ConfigError, Liveness, SecretKey};
pub use core::{Event, Metadata, Version};
#[cfg(feature = "net")]
pub use net::Notice;
pub use node::{Node, NodeBuilder, NodeError};
#[cfg(feature = "net")]
pub use node_list::{Events, NodeList, NodeListError};

/// The examples of the README, which are compiled and run with those of these docs.
#[cfg(all(doctest, feature = "net"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
