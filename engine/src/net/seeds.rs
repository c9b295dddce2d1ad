//! Looks up the addresses of seeds, again and again, because names move.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::presence::caught;
use super::udp::Family;

/// Longest wait for one lookup.
const LOOKUP_MAX: Duration = Duration::from_secs(5);

/// Most addresses that one name stands for.
const ADDRS_MAX: usize = 16;

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

    /// The address, when the seed is one.
    pub(crate) fn addr(&self) -> Option<SocketAddr> {
        self.0.parse().ok()
    }

    /// One that panics has failed like any other, and takes no other along.
    async fn look_up(self) -> (Self, std::io::Result<Vec<SocketAddr>>) {
        let found = caught(self.found()).await;
        let found = found.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
        (self, found)
    }

    async fn found(&self) -> std::io::Result<Vec<SocketAddr>> {
        let addrs = timeout(LOOKUP_MAX, lookup_host(&self.0)).await??;
        Ok(addrs.map(canonical).take(ADDRS_MAX).collect())
    }
}

fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// The task that keeps a driver told.
#[derive(Debug)]
pub(crate) struct Seeds {
    /// What to look up.
    pub(crate) seeds: watch::Receiver<Vec<Seed>>,
    /// Which addresses are of use.
    pub(crate) family: Family,
    /// How often to look up.
    pub(crate) period: Duration,
    /// Whom to tell: all addresses, whenever they have changed.
    pub(crate) out: mpsc::Sender<Vec<SocketAddr>>,
}

impl Seeds {
    /// Runs until the list of seeds or the driver is gone. A seed that can't be looked up keeps
    /// the addresses it had; one that takes long doesn't hold up the others.
    pub(crate) async fn run(mut self) {
        let mut known = BTreeMap::new();
        let mut told = Vec::new();
        loop {
            let seeds = self.seeds.borrow_and_update().clone();
            known.retain(|seed, _| seeds.contains(seed));
            let mut lookups: JoinSet<_> = seeds.iter().cloned().map(Seed::look_up).collect();
            while let Some(looked_up) = lookups.join_next().await {
                // What was cancelled, was so by a runtime that ends: nobody waits for the rest.
                let Ok((seed, found)) = looked_up else { return };
                learn(&mut known, seed, found);
                let all = seeds.iter().filter_map(|seed| known.get(seed)).flatten();
                let addrs: Vec<_> =
                    all.copied().filter(|&addr| self.family.reaches(addr)).collect();
                if addrs != told {
                    told.clone_from(&addrs);
                    if self.out.send(addrs).await.is_err() {
                        return;
                    }
                }
            }
            tokio::select! {
                biased;
                () = sleep(self.period) => {}
                changed = self.seeds.changed() => if changed.is_err() { return },
            }
        }
    }
}

fn learn(
    known: &mut BTreeMap<Seed, Vec<SocketAddr>>,
    seed: Seed,
    found: std::io::Result<Vec<SocketAddr>>,
) {
    match found {
        Ok(addrs) => {
            known.insert(seed, addrs);
        }
        Err(error) => tracing::warn!(seed = seed.0, %error, "a seed cannot be looked up"),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn seed(text: &str) -> Seed {
        Seed::parse(text).unwrap()
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
        let (names, seeds) = watch::channel(vec![seed("127.0.0.1:1"), seed("[::ffff:10.0.0.1]:2")]);
        let (out, mut told) = mpsc::channel(1);
        let task = tokio::spawn(
            Seeds { seeds, family: Family::V4, period: Duration::from_secs(9), out }.run(),
        );
        let addrs = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<_>>();
        let both = addrs(&["127.0.0.1:1", "10.0.0.1:2"]);
        while told.recv().await.unwrap() != both {}
        names.send_replace(vec![seed("127.0.0.1:3")]);
        while told.recv().await.unwrap() != addrs(&["127.0.0.1:3"]) {}
        drop(names);
        task.await.unwrap();
    }

    #[test]
    fn a_look_up_that_its_runtime_cancels_ends_quietly() {
        let (_names, seeds) = watch::channel(vec![seed("localhost:1"), seed("localhost:2")]);
        let (out, mut told) = mpsc::channel(1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let inside = runtime.enter();
        let run = Seeds { seeds, family: Family::V4, period: Duration::from_secs(9), out }.run();
        let (mut run, mut context) = (pin!(run), Context::from_waker(Waker::noop()));
        assert!(run.as_mut().poll(&mut context).is_pending(), "both are under way");
        drop(inside);
        drop(runtime);
        assert!(run.as_mut().poll(&mut context).is_ready(), "there is nothing left to wait for");
        assert!(told.try_recv().is_err());
    }

    #[test]
    fn a_look_up_that_panics_has_failed() {
        let untimed = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (_, found) = untimed.block_on(seed("localhost:7").look_up());
        let why = found.unwrap_err().to_string();
        assert!(why.contains("timers are disabled"), "{why}");
    }

    #[tokio::test]
    async fn a_name_stands_for_its_addresses() {
        let (_, found) = seed("localhost:7").look_up().await;
        assert!(found.unwrap().iter().all(|addr| addr.ip().is_loopback() && addr.port() == 7));
    }
}
