//! By which address a node is reached: found when it joins, and looked at again while it runs.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::contacts::SideReport;
use super::seeds::SeedPlace;
use super::udp::Family;
use crate::config::Advertise;

/// Longest wait for the seeds' names when a node joins, if its address hangs on the way to them.
const NAMES_WAIT_MAX: Duration = Duration::from_secs(1);

/// What decides which IP a node advertises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// What the socket can send to.
    family: Family,
    /// The one of all addresses of the family that is preferred.
    any: IpAddr,
    how: How,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum How {
    /// It was given.
    Given(IpAddr),
    /// It is the one that this names.
    Named(Advertise),
    /// It is the one on the way to the seeds.
    Route,
}

/// An address of this machine.
#[derive(Clone, Debug)]
struct InterfaceAddr {
    interface: String,
    ip: IpAddr,
}

impl Origin {
    /// For a node with this address, which may leave its IP open, and a socket bound there.
    pub(crate) fn of(node: SocketAddr, advertise: Option<&Advertise>, bound: SocketAddr) -> Self {
        let how = match advertise {
            Some(Advertise::Addr(addr)) => How::Given(addr.ip()),
            Some(named) => How::Named(named.clone()),
            None if !node.ip().is_unspecified() => How::Given(node.ip()),
            None if !bound.ip().is_unspecified() => How::Given(bound.ip()),
            None => How::Route,
        };
        let any = match node {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        Self { family: Family::of(bound), any, how }
    }

    /// The IP, when the seeds are known or have been waited for.
    ///
    /// # Errors
    /// When this machine has no such address: what it has, in one line.
    pub(crate) async fn first(
        &self,
        mut seeds: watch::Receiver<Vec<SeedPlace>>,
    ) -> Result<IpAddr, String> {
        if self.how == How::Route {
            let is_enough = |places: &Vec<SeedPlace>| {
                places.iter().all(SeedPlace::is_known) || self.way_out(places).is_some()
            };
            // Who waits no longer takes what there is; a task that is gone brings nothing more.
            let _ = timeout(NAMES_WAIT_MAX, seeds.wait_for(is_enough)).await;
        }
        let places = seeds.borrow().clone();
        self.find(&places)
    }

    fn find(&self, seeds: &[SeedPlace]) -> Result<IpAddr, String> {
        match &self.how {
            How::Given(ip) => Ok(*ip),
            How::Named(named) => self.named(named),
            How::Route => Ok(self.route(seeds)),
        }
    }

    fn named(&self, named: &Advertise) -> Result<IpAddr, String> {
        let locals = self.locals().map_err(|error| error.to_string())?;
        let found = locals.iter().find(|local| named.names(&local.interface, local.ip));
        found.map(|local| local.ip).ok_or_else(|| {
            let all = locals.iter().map(|local| format!("{} on {}", local.ip, local.interface));
            let all = all.collect::<Vec<_>>().join(", ");
            format!("this machine has no address there that its socket can use, only {all}")
        })
    }

    /// Towards the first seed elsewhere; else where all seeds are on this machine, loopback; else
    /// towards the outside, else the first address that is not of loopback.
    fn route(&self, seeds: &[SeedPlace]) -> IpAddr {
        let loopback = match self.any {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        if let Some(ip) = self.way_out(seeds) {
            return ip;
        }
        // A machine's own name often stands for loopback: it takes all seeds to say so.
        let is_local = |place: &SeedPlace| {
            !place.addrs.is_empty() && place.addrs.iter().all(|addr| addr.ip().is_loopback())
        };
        if !seeds.is_empty() && seeds.iter().all(is_local) {
            return loopback;
        }
        let first = || self.locals().ok()?.into_iter().map(|local| local.ip).find(is_outward);
        self.outside().or_else(first).unwrap_or(loopback)
    }

    /// The first address towards a seed that is not one of loopback.
    fn way_out(&self, seeds: &[SeedPlace]) -> Option<IpAddr> {
        let addrs = seeds.iter().flat_map(|place| &place.addrs);
        let mut ways = addrs.filter_map(|&to| way(to)).filter(|ip| self.family.reaches_ip(*ip));
        ways.find(is_outward)
    }

    fn outside(&self) -> Option<IpAddr> {
        // Addresses that are reserved for documentation: routed like any outside one.
        let outside: IpAddr = match self.any {
            IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
            IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        };
        way(SocketAddr::new(outside, 9)).filter(is_outward)
    }

    /// The addresses of this machine that the socket can use, best first: those of the node's own
    /// family, and those that lead further than the next wire.
    fn locals(&self) -> io::Result<Vec<InterfaceAddr>> {
        let mut locals: Vec<_> = if_addrs::get_if_addrs()?
            .into_iter()
            .map(|found| InterfaceAddr { ip: found.ip(), interface: found.name })
            .filter(|local| self.family.reaches_ip(local.ip))
            .collect();
        locals.sort_by_key(|local| (local.ip.is_ipv4() != self.any.is_ipv4(), is_near(local.ip)));
        Ok(locals)
    }
}

/// The address that this machine would use towards another. Sends nothing.
fn way(to: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let probe = UdpSocket::bind((any, 0)).ok()?;
    probe.connect(to).ok()?;
    probe.local_addr().ok().map(|addr| addr.ip())
}

fn is_outward(ip: &IpAddr) -> bool {
    !ip.is_unspecified() && !ip.is_loopback()
}

/// True for an address that means something on its own wire only.
fn is_near(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.is_loopback(),
    }
}

/// The task that looks in each period whether a node would still advertise what it does.
#[derive(Debug)]
pub(crate) struct AddressWatch {
    pub(crate) origin: Origin,
    pub(crate) advertised: IpAddr,
    pub(crate) seeds: watch::Receiver<Vec<SeedPlace>>,
    pub(crate) period: Duration,
    pub(crate) reports: mpsc::Sender<SideReport>,
}

impl AddressWatch {
    /// Runs until nobody listens.
    pub(crate) async fn run(self) {
        let was_here = self.is_here();
        let mut last = Some(self.advertised);
        loop {
            sleep(self.period).await;
            let places = self.seeds.borrow().clone();
            let found = match &self.origin.how {
                // One that leads through a translation of addresses never was this machine's.
                How::Given(ip) => (!was_here || self.is_here()).then_some(*ip),
                How::Named(_) | How::Route => self.origin.find(&places).ok(),
            };
            // Loopback is what is left where there is nothing: nobody else reaches it.
            let is_of_use = |ip: &IpAddr| !ip.is_loopback() || self.advertised.is_loopback();
            let found = found.filter(is_of_use);
            if found != last {
                last = found;
                if self.reports.send(SideReport::Address(found)).await.is_err() {
                    return;
                }
            }
        }
    }

    /// When the system can't say it is taken for granted. Loopback always is here, and is not asked
    /// for: many nodes of one process are there, and each would ask in every period.
    fn is_here(&self) -> bool {
        if self.advertised.is_loopback() {
            return true;
        }
        let all = if_addrs::get_if_addrs();
        all.map_or(true, |all| all.iter().any(|found| found.ip() == self.advertised))
    }
}

#[cfg(test)]
mod tests {
    use super::super::seeds::Seed;
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn origin(node: &str, advertise: Option<&str>, bound: &str) -> Origin {
        let advertise = advertise.map(|text| text.parse().unwrap());
        Origin::of(addr(node), advertise.as_ref(), addr(bound))
    }

    fn places(seeds: &[&str]) -> Vec<SeedPlace> {
        seeds.iter().map(|seed| SeedPlace::of(Seed::parse(seed).unwrap())).collect()
    }

    #[test]
    fn what_was_given_is_advertised_as_it_stands() {
        for (node, advertise, bound, ip) in [
            ("10.0.0.5:1", None, "0.0.0.0:1", "10.0.0.5"),
            ("0.0.0.0:1", None, "127.0.0.2:1", "127.0.0.2"),
            ("10.0.0.5:1", Some("198.51.100.7"), "0.0.0.0:1", "198.51.100.7"),
        ] {
            let found = origin(node, advertise, bound).find(&[]);
            assert_eq!(found, Ok(ip.parse().unwrap()));
        }
    }

    #[test]
    fn an_address_is_found_by_its_network_and_its_interface() {
        let loopback: IpAddr = Ipv4Addr::LOCALHOST.into();
        let found = |named: &str| origin("0.0.0.0:1", Some(named), "0.0.0.0:1").find(&[]);
        assert_eq!(found("127.0.0.0/8"), Ok(loopback));
        let origin = origin("0.0.0.0:1", None, "0.0.0.0:1");
        let locals = origin.locals().unwrap();
        let of_loopback = locals.iter().find(|local| local.ip == loopback).unwrap();
        assert_eq!(found(&of_loopback.interface), Ok(loopback));
        let none = found("nowhere0").unwrap_err();
        assert!(none.contains("127.0.0.1 on "), "{none}");
        assert!(found("::1/128").is_err(), "a socket of IPv4 is not reached there");
    }

    #[test]
    fn the_address_towards_loopback_is_loopback_where_all_seeds_are_there() {
        let origin = origin("0.0.0.0:1", None, "0.0.0.0:1");
        let loopback: IpAddr = Ipv4Addr::LOCALHOST.into();
        assert_eq!(origin.route(&places(&["127.0.0.1:80", "127.0.0.2:80"])), loopback);
        // One that is not known yet may be elsewhere.
        let open = origin.route(&places(&["127.0.0.1:80", "late:80"]));
        assert_eq!(open, origin.route(&[]));
    }

    #[tokio::test(start_paused = true)]
    async fn names_are_waited_for_a_second_and_no_longer() {
        let origin = origin("0.0.0.0:1", None, "0.0.0.0:1");
        let start = tokio::time::Instant::now();
        let (told, seeds) = watch::channel(places(&["late:80"]));
        assert!(origin.first(seeds.clone()).await.is_ok());
        assert_eq!(start.elapsed().as_secs(), NAMES_WAIT_MAX.as_secs());
        told.send_replace(places(&["127.0.0.1:80"]));
        assert_eq!(origin.first(seeds).await, Ok(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(start.elapsed().as_secs(), NAMES_WAIT_MAX.as_secs(), "what is known is not");
    }
}
