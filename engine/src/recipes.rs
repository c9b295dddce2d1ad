//! What most services need of a cluster, as code to begin with.
//!
//! # Tags and zones
//! What a node is there for goes into its tags, and where it is into its zone, which every other
//! node lists with it: up to [`TAGS_MAX`] pairs of key and value, [`TAGS_LEN_MAX`] bytes together.
//! They may also stand in the settings, for a node that says none itself. Private data is for a
//! text in a form of the service's own.
//!
//! ```
//! use rumormill::{Config, Event, Node, NodeBuilder, NodeList, Notice};
//!
//! /// The members with this tag, those in our zone first.
//! fn tagged(list: &NodeList, key: &str, value: &str) -> Vec<Node> {
//!     let here = list.node();
//!     let with_tag = |node: &&Node| node.tags().get(key) == Some(value);
//!     let mut nodes: Vec<Node> = list.get().iter().filter(with_tag).cloned().collect();
//!     nodes.sort_by_key(|node| node.zone() != here.zone());
//!     nodes
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let node = Node::new("127.0.0.1:0").tag("role", "db");
//! let list = NodeList::new(node, Config::builder().zone("east").build()?)?;
//! list.join().await?;
//! # let near = list.node().addr().to_string();
//! # let mut others = Vec::new();
//! # for (zone, role) in [("west", "db"), ("east", "db"), ("east", "web")] {
//! #     let node = Node::new("127.0.0.1:0").zone(zone).tag("role", role);
//! #     let other = NodeList::new(node, Config::builder().seeds([near.as_str()]).build()?)?;
//! #     other.join().await?;
//! #     others.push(other);
//! # }
//! # while list.get().len() < 4 { tokio::time::sleep(std::time::Duration::from_millis(5)).await; }
//! let databases = tagged(&list, "role", "db");
//! # assert_eq!(databases.len(), 3);
//! assert_eq!(databases[0].zone(), "east");
//! assert_eq!(databases.last().unwrap().zone(), "west");
//!
//! // Tags change while a node runs: the others are told of an update.
//! let mut changes = list.subscribe();
//! list.update(NodeBuilder::from(list.node()).tag("role", "spare"))?;
//! while let Some(notice) = changes.recv().await {
//!     if let Notice::Event(Event::Updated { new, .. }) = notice {
//!         assert_eq!(new.node().tags().get("role"), Some("spare"));
//!         break;
//!     }
//! }
//! # list.leave().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Configuration
//! Settings that every node has to follow are entries below one prefix: what is there comes first,
//! then each change, and what is gone goes back to its default.
//!
//! ```
//! use rumormill::node_list::{EntryNotice, EntryWatch};
//! use rumormill::{Config, Node, NodeList};
//!
//! /// How many logins a second may be tried.
//! struct Limits {
//!     login: u32,
//! }
//!
//! impl Limits {
//!     const DEFAULT: u32 = 10;
//!
//!     /// Takes in a change of `limits/`; what can't be read changes nothing.
//!     fn follow(&mut self, notice: &EntryNotice) {
//!         match notice {
//!             EntryNotice::Present(entry) if entry.key().as_str() == "limits/login" => {
//!                 let text = entry.data().and_then(|data| std::str::from_utf8(data).ok());
//!                 self.login = text.and_then(|text| text.parse().ok()).unwrap_or(self.login);
//!             }
//!             EntryNotice::Gone(key) if key.as_str() == "limits/login" => {
//!                 self.login = Self::DEFAULT;
//!             }
//!             _ => {}
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let list = NodeList::new(Node::new("127.0.0.1:0"), Config::default())?;
//! list.join().await?;
//! let mut limits = Limits { login: Limits::DEFAULT };
//! let mut watch: EntryWatch = list.watch("limits/");
//! list.put("limits/login", "25").await?;
//! limits.follow(&watch.recv().await.expect("the node is there"));
//! assert_eq!(limits.login, 25);
//! list.delete("limits/login").await?;
//! limits.follow(&watch.recv().await.expect("the node is there"));
//! assert_eq!(limits.login, Limits::DEFAULT);
//! # list.leave().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Feature flags
//! A flag is read where it is asked for: [`NodeList::entry`] looks at this node's own memory.
//!
//! ```
//! use rumormill::NodeList;
//!
//! /// Whether a feature is on; off where nobody has said so.
//! fn is_on(list: &NodeList, feature: &str) -> bool {
//!     let flag = list.entry(format!("flags/{feature}"));
//!     flag.is_some_and(|flag| flag.data().is_some_and(|data| &data[..] == b"on"))
//! }
//! # use rumormill::{Config, Node};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let list = NodeList::new(Node::new("127.0.0.1:0"), Config::default())?;
//! # list.join().await?;
//! # assert!(!is_on(&list, "new-search"));
//! # list.put("flags/new-search", "on").await?;
//! # assert!(is_on(&list, "new-search"));
//! # list.leave().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Registration of services
//! What a node offers is bound to it: the others see it as long as they list the node, without
//! leases that have to be renewed. Who starts again registers again.
//!
//! ```
//! use rumormill::{NodeList, NodeListError};
//!
//! /// Registers a service that runs beside this node.
//! async fn register(list: &NodeList, service: &str, at: &str) -> Result<(), NodeListError> {
//!     list.put(format!("services/{service}/{}", list.node().addr()), at).bound().await?;
//!     Ok(())
//! }
//!
//! /// Where a service is to be found now.
//! fn instances(list: &NodeList, service: &str) -> Vec<String> {
//!     let found = list.entries(format!("services/{service}/"));
//!     let at = found.iter().filter_map(|entry| entry.data());
//!     at.map(|data| String::from_utf8_lossy(data).into_owned()).collect()
//! }
//! # use rumormill::{Config, Node};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let list = NodeList::new(Node::new("127.0.0.1:0"), Config::default())?;
//! # list.join().await?;
//! # register(&list, "web", "10.0.0.5:80").await?;
//! # assert_eq!(instances(&list, "web"), ["10.0.0.5:80"]);
//! # list.leave().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # A memory across restarts
//! What a cluster holds is in the memory of its nodes, and gone when all restart at once. A node
//! with a `state_dir` keeps it on disk (feature `persist`): see [`state`](crate::state). What must
//! not be lost is put with [`NodeList::put_to`]: when it returns, so many others hold it, on
//! disk where they have a folder.
//!
//! ```
//! use rumormill::state::reset_state;
//! use rumormill::{Config, Node, NodeList, NodeListError};
//!
//! # #[cfg(feature = "persist")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("rumormill-recipe-{}", std::process::id()));
//! # let _ = std::fs::remove_dir_all(&folder);
//! let config = Config::builder().state_dir(&folder).build()?;
//! let list = NodeList::new(Node::new("127.0.0.1:0").name("A"), config.clone())?;
//! list.join().await?;
//! list.put("limits/login", "25").await?;
//! list.leave().await?;
//!
//! // The next process of this node, at its address or, as here, known by its name.
//! let list = NodeList::new(Node::new("127.0.0.1:0").name("A"), config.clone())?;
//! list.join().await?;
//! assert_eq!(&list.entry("limits/login").unwrap().data().unwrap()[..], b"25");
//!
//! // Each node has a folder of its own.
//! let other = NodeList::new(Node::new("127.0.0.1:0").name("B"), config)?;
//! match other.join().await {
//!     Err(NodeListError::State(why)) => println!("{why}"),
//!     joined => panic!("{joined:?}"),
//! }
//!
//! // A person has decided to start without: what was there lies beside it.
//! list.leave().await?;
//! let moved = reset_state(&folder)?;
//! # std::fs::remove_dir_all(moved.expect("there was one"))?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "persist"))]
//! # fn main() {}
//! ```
//!
//! # Readiness
//! A node that has just joined may not have heard of all yet. [`NodeList::settled`] waits until its
//! peers hold what it holds; ask it once, before the service takes work, for while something
//! spreads nobody agrees for a moment. [`NodeList::ended`] is what a check of liveness asks.
//!
//! ```
//! use std::time::Duration;
//! use rumormill::core::Reach;
//! use rumormill::link::Link;
//! use rumormill::net::MemoryNetwork;
//! use rumormill::{Config, Node, NodeList};
//!
//! /// Waits until this node knows what the cluster knows; an error says why it may not.
//! async fn ready(list: &NodeList) -> Result<(), String> {
//!     let agreement = list.settled(Duration::from_secs(1), Duration::from_secs(30)).await;
//!     match agreement.reach {
//!         Reach::First => Ok(()),
//!         Reach::Others if agreement.is_full() => Ok(()),
//!         _ => {
//!             let seeds: Vec<_> = list.seeds().iter().map(ToString::to_string).collect();
//!             Err(format!("{agreement}: {}", seeds.join(", ")))
//!         }
//!     }
//! }
//!
//! /// Whether the process should be started anew.
//! fn is_alive(list: &NodeList) -> bool {
//!     list.ended().is_none()
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let network = MemoryNetwork::new(1, Link::uniform(Duration::ZERO, Duration::ZERO));
//! # let first = network.node(Node::new("10.0.0.1:8000"), Config::default())?;
//! # first.join().await?;
//! # assert_eq!(ready(&first).await, Ok(()));
//! # let second = network.node(Node::new("10.0.0.2:8000"), Config::default())?;
//! # second.set("10.0.0.1:8000")?;
//! # second.join().await?;
//! # assert_eq!(ready(&second).await, Ok(()));
//! # assert!(is_alive(&second) && second.get().len() == 2);
//! # let lost = network.node(Node::new("10.0.0.3:8000"), Config::default())?;
//! # lost.set("10.0.0.9:8000")?;
//! # lost.join().await?;
//! # let why = ready(&lost).await.unwrap_err();
//! # assert_eq!(why, "alone: nobody answers: seed 10.0.0.9:8000 is silent");
//! # Ok(())
//! # }
//! ```
//!
//! # Shutdown
//! A service that is told to end says so first, serves what still comes, and then leaves, so that
//! nobody waits for a timeout. [`NodeList::leave`] hands on what was published here last.
//!
//! ```
//! use std::time::Duration;
//! use rumormill::{NodeBuilder, NodeList, NodeListError};
//!
//! /// Returns when the system wants the service to end.
//! # #[cfg(unix)]
//! async fn told_to_end() -> std::io::Result<()> {
//!     use tokio::signal::unix::{SignalKind, signal};
//!
//!     let mut terminate = signal(SignalKind::terminate())?;
//!     tokio::select! {
//!         interrupted = tokio::signal::ctrl_c() => interrupted,
//!         _ = terminate.recv() => Ok(()),
//!     }
//! }
//!
//! async fn shut_down(list: &NodeList, drain: Duration) -> Result<(), NodeListError> {
//!     // Who looks at the tags sends nothing more to this node.
//!     list.update(NodeBuilder::from(list.node()).tag("state", "draining"))?;
//!     tokio::time::sleep(drain).await;
//!     match list.leave().await {
//!         // It has left all the same: only its last value may be lost.
//!         Err(NodeListError::NotConfirmed(why)) => eprintln!("{why}"),
//!         left => left?,
//!     }
//!     Ok(())
//! }
//! # use rumormill::link::Link;
//! # use rumormill::net::MemoryNetwork;
//! # use rumormill::{Config, Node};
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let network = MemoryNetwork::new(1, Link::uniform(Duration::ZERO, Duration::ZERO));
//! # let [a, b] = ["10.0.0.1:8000", "10.0.0.2:8000"]
//! #     .map(|addr| network.node(Node::new(addr), Config::default()).unwrap());
//! # a.join().await?;
//! # b.set("10.0.0.1:8000")?;
//! # b.join().await?;
//! # tokio::time::sleep(Duration::from_secs(3)).await;
//! # let drained = tokio::spawn(async move { shut_down(&b, Duration::from_secs(2)).await });
//! # tokio::time::sleep(Duration::from_secs(1)).await;
//! # assert_eq!(a.get()[1].tags().get("state"), Some("draining"));
//! # drained.await??;
//! # tokio::time::sleep(Duration::from_millis(10)).await;
//! # assert_eq!(a.get().len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Another secret
//! A secret is changed while the cluster runs, in three steps. Each is taken on every node before
//! the next begins; no packet is refused meanwhile, and a node that is started anew in between has
//! both secrets given, one by the settings and one by [`Keys::add`].
//!
//! ```
//! use std::path::Path;
//! use rumormill::{Config, ConfigError, NodeList, NodeListError, SecretKey};
//!
//! /// The secret in a file, as the setting `secret_key_file` reads it.
//! fn secret_in(path: &Path) -> Result<SecretKey, ConfigError> {
//!     let config = Config::builder().secret_key_file(path).build()?;
//!     Ok(config.secret_key().expect("it was read").clone())
//! }
//!
//! /// First on every node: what is sealed with the new one can be opened.
//! async fn accept(list: &NodeList, new: &SecretKey) -> Result<(), NodeListError> {
//!     list.keys().add(new.clone()).await
//! }
//!
//! /// Then on every node: what it sends is sealed with the new one.
//! async fn use_for_sending(list: &NodeList, new: &SecretKey) -> Result<(), NodeListError> {
//!     list.keys().promote(new).await
//! }
//!
//! /// Last on every node: what is sealed with the old one is refused.
//! async fn forget(list: &NodeList, old: &SecretKey) -> Result<(), NodeListError> {
//!     list.keys().remove(old).await
//! }
//! # use std::time::Duration;
//! # use rumormill::Node;
//! # use rumormill::link::Link;
//! # use rumormill::net::MemoryNetwork;
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = std::env::temp_dir().join(format!("rumormill-recipe-{}", std::process::id()));
//! # std::fs::write(&path, "new\n")?;
//! # let (old, new) = (SecretKey::from("old"), secret_in(&path)?);
//! # std::fs::remove_file(&path)?;
//! # assert_eq!(new, "new".into());
//! # let network = MemoryNetwork::new(1, Link::uniform(Duration::ZERO, Duration::ZERO));
//! # let mut lists = Vec::new();
//! # for host in 1..=3 {
//! #     let config = Config::builder().secret_key("old").seeds(["10.0.0.1:8000"]).build()?;
//! #     lists.push(network.node(Node::new(format!("10.0.0.{host}:8000")), config)?);
//! #     lists[host - 1].join().await?;
//! # }
//! # let pause = || tokio::time::sleep(Duration::from_secs(3));
//! # for list in &lists { accept(list, &new).await?; pause().await; }
//! # for list in &lists { use_for_sending(list, &new).await?; pause().await; }
//! # for list in &lists { forget(list, &old).await?; pause().await; }
//! # for list in &lists {
//! #     assert_eq!((list.get().len(), list.stats().rejected.total()), (3, 0));
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! # Tests without sockets
//! What a service does when nodes come, go and can't hear each other is tested in a
//! [`MemoryNetwork`]: the same code, a minute in milliseconds, and the same run each time. Here the
//! service takes the first in the list for its leader.
//!
//! ```
//! use std::time::Duration;
//! use rumormill::link::Link;
//! use rumormill::net::MemoryNetwork;
//! use rumormill::{Config, Node, NodeList};
//!
//! fn leader(list: &NodeList) -> Option<Node> {
//!     list.get().first().cloned()
//! }
//!
//! // In the tests of a service: #[tokio::test(start_paused = true)]
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! async fn each_side_of_a_partition_has_a_leader() -> Result<(), Box<dyn std::error::Error>> {
//!     let (seconds, millis) = (Duration::from_secs, Duration::from_millis);
//!     let network = MemoryNetwork::new(4711, Link::uniform(millis(1), millis(10)));
//!     let mut lists = Vec::new();
//!     for host in 1..=5 {
//!         let config = Config::builder().seeds(["10.0.0.1:8000"]).build()?;
//!         let list = network.node(Node::new(format!("10.0.0.{host}:8000")), config)?;
//!         list.join().await?;
//!         lists.push(list);
//!     }
//!     tokio::time::sleep(seconds(3)).await;
//!     assert!(lists.iter().all(|list| leader(list) == Some(lists[0].node())));
//!
//!     network.partition([lists[3..].iter().map(|list| list.node().addr())]);
//!     tokio::time::sleep(seconds(10)).await;
//!     assert_eq!(leader(&lists[2]), Some(lists[0].node()));
//!     assert_eq!(leader(&lists[4]), Some(lists[3].node()));
//!
//!     network.heal();
//!     tokio::time::sleep(seconds(15)).await;
//!     assert!(lists.iter().all(|list| leader(list) == Some(lists[0].node())));
//!     Ok(())
//! }
//! # each_side_of_a_partition_has_a_leader().unwrap();
//! ```
//!
//! [`TAGS_MAX`]: crate::node::TAGS_MAX
//! [`TAGS_LEN_MAX`]: crate::node::TAGS_LEN_MAX
//! [`NodeList::put_to`]: crate::NodeList::put_to
//! [`NodeList::settled`]: crate::NodeList::settled
//! [`NodeList::entry`]: crate::NodeList::entry
//! [`NodeList::ended`]: crate::NodeList::ended
//! [`NodeList::leave`]: crate::NodeList::leave
//! [`Keys::add`]: crate::node_list::Keys::add
//! [`MemoryNetwork`]: crate::net::MemoryNetwork
