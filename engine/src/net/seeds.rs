//! Looks up the addresses of seeds, again and again, because names move.
//!
//! Each name is followed by a task of its own: one that can't be looked up is tried again soon,
//! like a seed that doesn't answer, and one that takes long holds up no other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::lookup::{Resolver, canonical, look_up};

/// A name that took so long is told as one that can't be looked up; it is waited for all the same.
const PATIENCE: Duration = Duration::from_secs(2);

/// Pause after the first failure, twice as long after each further one, up to the period.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Where a cluster may be found: `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seed(String);

impl Seed {
    /// `None` when the text has no host or no port above 0.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (host, port) = text.rsplit_once(':')?;
        let port: u16 = port.parse().ok()?;
        // What holds a colon must be an IPv6 address, in brackets: else the port would be a guess.
        let is_host = !host.is_empty() && !host.contains([':', ' ', '/', '@']);
        let is_valid = port != 0 && (is_host || text.parse::<SocketAddr>().is_ok());
        is_valid.then(|| Self(text.to_owned()))
    }

    /// As it was given.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    fn addr(&self) -> Option<SocketAddr> {
        self.0.parse().ok().map(canonical)
    }
}

/// Where a seed is, as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeedPlace {
    pub(crate) seed: Seed,
    /// What it resolved to when that last went well; none before it did.
    pub(crate) addrs: Vec<SocketAddr>,
    /// Why it can't be looked up now.
    pub(crate) failure: Option<String>,
}

impl SeedPlace {
    /// An address is where it says; a name is to be looked up.
    pub(crate) fn of(seed: Seed) -> Self {
        Self { addrs: seed.addr().into_iter().collect(), seed, failure: None }
    }

    /// False while nothing is known of a name, neither where it leads nor that it leads nowhere.
    pub(crate) fn is_known(&self) -> bool {
        !self.addrs.is_empty() || self.failure.is_some()
    }

    /// A name keeps the addresses that it had until it has others.
    fn learn(&mut self, found: Result<Vec<SocketAddr>, String>) {
        match found {
            Ok(addrs) => (self.addrs, self.failure) = (addrs, None),
            Err(why) => self.failure = Some(why),
        }
    }
}

/// What a look-up came to.
type LookedUp = (Seed, Result<Vec<SocketAddr>, String>);

/// The task that keeps a node told of where its seeds are.
#[derive(Debug)]
pub(crate) struct Seeds {
    /// What to look up.
    pub(crate) seeds: watch::Receiver<Vec<Seed>>,
    /// How often to look up what is known.
    pub(crate) period: Duration,
    /// What to ask.
    pub(crate) resolver: Resolver,
    /// Where they are, in the order in which they were named.
    pub(crate) places: watch::Sender<Vec<SeedPlace>>,
}

impl Seeds {
    /// Runs until the list of seeds is gone.
    pub(crate) async fn run(mut self) {
        let (told, mut found) = mpsc::channel(1);
        let (mut tasks, mut followed) = (JoinSet::new(), BTreeMap::<Seed, AbortHandle>::new());
        loop {
            let seeds = self.seeds.borrow_and_update().clone();
            followed.retain(|seed, task| {
                let is_named = seeds.contains(seed);
                if !is_named {
                    task.abort();
                }
                is_named
            });
            for seed in seeds.iter().filter(|seed| seed.addr().is_none()) {
                followed.entry(seed.clone()).or_insert_with(|| {
                    let (period, resolver) = (self.period, self.resolver);
                    tasks.spawn(follow(seed.clone(), period, resolver, told.clone()))
                });
            }
            self.name(seeds);
            loop {
                tokio::select! {
                    biased;
                    changed = self.seeds.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    Some(found) = found.recv() => self.learn(found),
                    // Only those that were aborted end.
                    Some(_) = tasks.join_next() => {}
                }
            }
        }
    }

    /// Those that were named before keep what is known of them.
    fn name(&self, seeds: Vec<Seed>) {
        self.places.send_if_modified(|places| {
            let place = |seed: Seed| {
                let known = places.iter().find(|place| place.seed == seed).cloned();
                known.unwrap_or_else(|| SeedPlace::of(seed))
            };
            let named: Vec<_> = seeds.into_iter().map(place).collect();
            let is_news = *places != named;
            *places = named;
            is_news
        });
    }

    fn learn(&self, (seed, found): LookedUp) {
        self.places.send_if_modified(|places| {
            let Some(place) = places.iter_mut().find(|place| place.seed == seed) else {
                return false;
            };
            let before = place.clone();
            place.learn(found);
            *place != before
        });
    }
}

/// Looks one name up for ever.
async fn follow(seed: Seed, period: Duration, resolver: Resolver, told: mpsc::Sender<LookedUp>) {
    let mut failures = 0;
    loop {
        let mut looked_up = pin!(look_up(seed.0.clone(), resolver));
        let found = match timeout(PATIENCE, &mut looked_up).await {
            Ok(found) => found,
            Err(_) => {
                let why = "the resolver does not answer".to_owned();
                if told.send((seed.clone(), Err(why))).await.is_err() {
                    return;
                }
                looked_up.await
            }
        };
        let pause = match found {
            Ok(_) => period,
            Err(_) => period.min(FIRST_PAUSE * 2_u32.saturating_pow(failures)),
        };
        failures = if found.is_ok() { 0 } else { failures + 1 };
        let found = found.map_err(|error| error.to_string());
        if told.send((seed.clone(), found)).await.is_err() {
            return;
        }
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use tokio::time::Instant;

    use super::super::lookup;
    use super::*;

    fn seed(text: &str) -> Seed {
        Seed::parse(text).unwrap()
    }

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// The task that follows these seeds, what ends it, and where they are.
    fn follow(
        seeds: &[&str],
        resolver: Resolver,
    ) -> (watch::Sender<Vec<Seed>>, watch::Receiver<Vec<SeedPlace>>) {
        let (names, seeds) = watch::channel(seeds.iter().map(|text| seed(text)).collect());
        let (places, told) = watch::channel(Vec::new());
        tokio::spawn(Seeds { seeds, period: Duration::from_secs(9), resolver, places }.run());
        (names, told)
    }

    #[test]
    fn a_seed_has_a_host_and_a_port() {
        for text in ["10.0.0.9:8000", "[fd00::9]:8000", "node-1.example:8000", " a:1 "] {
            assert!(Seed::parse(text).is_some(), "{text}");
        }
        for text in
            ["", "10.0.0.9", ":80", "a:", "a:0", "a:70000", "fd00::9:80", "http://a:80", "a b:1"]
        {
            assert!(Seed::parse(text).is_none(), "{text}");
        }
    }

    #[tokio::test]
    async fn seeds_are_told_at_once_and_again_when_they_change() {
        let (names, mut told) = follow(&["127.0.0.1:1", "[::ffff:10.0.0.1]:2"], lookup::system);
        let are = |places: &Vec<SeedPlace>, addrs: [&str; 2]| {
            places.iter().flat_map(|place| place.addrs.iter().copied()).eq(addrs.map(addr))
        };
        told.wait_for(|places| are(places, ["127.0.0.1:1", "10.0.0.1:2"])).await.unwrap();
        names.send_replace(vec![seed("127.0.0.1:3"), seed("127.0.0.1:1")]);
        told.wait_for(|places| are(places, ["127.0.0.1:3", "127.0.0.1:1"])).await.unwrap();
        drop(names);
        while told.changed().await.is_ok() {}
    }

    fn hang() -> ! {
        loop {
            thread::park();
        }
    }

    #[tokio::test]
    async fn a_name_that_hangs_holds_up_no_other() {
        let resolver: Resolver = |name| match name {
            "hangs:1" => hang(),
            _ => Ok(vec![addr("10.0.0.2:2")]),
        };
        let start = Instant::now();
        let (_names, mut told) = follow(&["hangs:1", "works:2"], resolver);
        told.wait_for(|places| places.len() == 2 && !places[1].addrs.is_empty()).await.unwrap();
        assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
        assert!(!told.borrow()[0].is_known(), "it may still be found");
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_hangs_is_told_and_waited_for() {
        let (_names, mut told) = follow(&["hangs:1"], |_| hang());
        told.wait_for(|places| places.iter().any(|it| it.failure.is_some())).await.unwrap();
        sleep(Duration::from_secs(60)).await;
        assert!(!told.has_changed().unwrap(), "it is asked once");
    }

    #[tokio::test]
    async fn a_name_that_is_not_there_yet_is_tried_again_soon_and_then_more_and_more_rarely() {
        static TRIES: AtomicUsize = AtomicUsize::new(0);
        let resolver: Resolver = |_| match TRIES.fetch_add(1, Ordering::Relaxed) {
            0..3 => Err(io::Error::other("no such name")),
            _ => Ok(vec![addr("10.0.0.2:2")]),
        };
        let start = Instant::now();
        let (_names, mut told) = follow(&["late:2"], resolver);
        told.wait_for(|places| places.iter().any(|it| it.failure.is_some())).await.unwrap();
        told.wait_for(|places| !places[0].addrs.is_empty()).await.unwrap();
        assert_eq!(told.borrow()[0].failure, None);
        // 50, 100 and 200 ms.
        let took = start.elapsed();
        assert!((350..1_500).contains(&took.as_millis()), "{took:?}");
        assert_eq!(TRIES.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn a_name_that_fails_keeps_the_addresses_that_it_had() {
        let mut place = SeedPlace::of(seed("a:1"));
        assert!(!place.is_known());
        place.learn(Ok(vec![addr("10.0.0.1:1")]));
        place.learn(Err("gone".into()));
        assert_eq!(
            (&place.addrs[..], place.failure.as_deref()),
            (&[addr("10.0.0.1:1")][..], Some("gone"))
        );
    }
}
