//! Which real address each address of a plan stands for.
//!
//! Where the machine has the whole network of loopback, every address of the plan has an IP of its
//! own there, so that nobody else takes its port while its node is down; elsewhere all share
//! 127.0.0.1. Ports are picked by the system before the run.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use rumormill::net::open_files_max;

use super::TestbedError;
use crate::observe::cast::IncarnationNo;
use crate::scenario::plan::{NodeNo, Plan};

/// Times that another port is asked of the system when the one it gave is taken for TCP.
const PORTS_TRIED_MAX: usize = 32;

/// The addresses of a run.
#[derive(Clone, Debug)]
pub(super) struct Book {
    /// By incarnation.
    addrs: Vec<SocketAddr>,
    nodes: BTreeMap<SocketAddr, NodeNo>,
}

impl Book {
    /// Gives every address of a plan a free one on loopback.
    ///
    /// # Errors
    /// When the system gives none.
    pub(super) fn on_loopback(plan: &Plan) -> Result<Self, TestbedError> {
        // Two sockets for each node, and some for the connections between them.
        let files = Files { wanted: 3 * plan.incarnations.len() + 64, most: open_files_max() };
        let mut real = BTreeMap::new();
        // Kept until all are known, so that none is given twice.
        let mut taken = Vec::new();
        for incarnation in &plan.incarnations {
            let planned = incarnation.public.addr();
            if let Entry::Vacant(place) = real.entry(planned) {
                let (addr, sockets) = free(planned).map_err(|error| no_address(&error, files))?;
                taken.push(sockets);
                place.insert(addr);
            }
        }
        Ok(Self::of(plan, |planned| real[&planned]))
    }

    /// The addresses of a plan by a rule.
    pub(super) fn of(plan: &Plan, real: impl Fn(SocketAddr) -> SocketAddr) -> Self {
        let addrs = plan.incarnations.iter().map(|born| real(born.public.addr()));
        let addrs: Vec<SocketAddr> = addrs.collect();
        let nodes = addrs.iter().zip(&plan.incarnations).map(|(&addr, born)| (addr, born.node));
        Self { nodes: nodes.collect(), addrs }
    }

    /// Where an incarnation is reached.
    pub(super) fn addr(&self, incarnation: IncarnationNo) -> SocketAddr {
        self.addrs[incarnation as usize]
    }

    /// The node that has an address at one time or another.
    pub(super) fn node(&self, addr: SocketAddr) -> Option<NodeNo> {
        self.nodes.get(&addr).copied()
    }
}

/// How many open files a run takes, and how many it may have.
#[derive(Clone, Copy, Debug)]
struct Files {
    wanted: usize,
    most: Option<usize>,
}

fn no_address(error: &io::Error, Files { wanted, most }: Files) -> TestbedError {
    let fix = match most.filter(|&most| most < wanted) {
        Some(most) => {
            format!("raise the limit of open files (ulimit -n {wanted}), which is {most}")
        }
        None => "run fewer nodes".to_owned(),
    };
    TestbedError::Machine(format!("cannot get a port on loopback for every node: {error}; {fix}"))
}

/// An address with a port that is free for UDP and TCP, and what holds it.
fn free(planned: SocketAddr) -> io::Result<(SocketAddr, (UdpSocket, TcpListener))> {
    let own = own_ip(planned);
    hold(own).or_else(|_| hold(Ipv4Addr::LOCALHOST))
}

/// The IP of loopback that ends as the planned one does.
fn own_ip(planned: SocketAddr) -> Ipv4Addr {
    match planned.ip() {
        IpAddr::V4(ip) => {
            let [_, b, c, d] = ip.octets();
            Ipv4Addr::new(127, b, c, d)
        }
        IpAddr::V6(_) => Ipv4Addr::LOCALHOST,
    }
}

fn hold(ip: Ipv4Addr) -> io::Result<(SocketAddr, (UdpSocket, TcpListener))> {
    let mut tries = 1;
    loop {
        let socket = UdpSocket::bind((ip, 0))?;
        let addr = socket.local_addr()?;
        match TcpListener::bind(addr) {
            Ok(listener) => return Ok((addr, (socket, listener))),
            Err(error) if tries == PORTS_TRIED_MAX => return Err(error),
            Err(_) => tries += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::world::testkit;

    #[test]
    fn every_address_of_a_plan_has_a_real_one_of_its_own_that_leads_back() {
        let mut plan = testkit::plan_with_restarts(3);
        let moved = testkit::restart(&mut plan, 1, testkit::at_ms(2_000));
        let public = &mut plan.incarnations[moved].public;
        *public = public.with_addr("10.0.0.9:7000".parse().unwrap());
        let book = Book::on_loopback(&plan).unwrap();
        for (number, born) in (0..).zip(&plan.incarnations) {
            let addr = book.addr(number);
            assert!(addr.ip().is_loopback() && addr.port() != 0);
            assert_eq!(book.node(addr), Some(born.node));
        }
        assert_eq!(book.addr(1), book.addr(4), "a restart at the same address");
        assert_ne!(book.addr(1), book.addr(6), "and one at another");
        assert_eq!(book.node("127.0.0.1:1".parse().unwrap()), None);
    }

    #[test]
    fn whoever_runs_out_of_files_is_told_how_many_it_takes_and_others_are_not() {
        let error = io::Error::from_raw_os_error(24);
        let told = |most| no_address(&error, Files { wanted: 1_000, most }).to_string();
        let fix = "raise the limit of open files (ulimit -n 1000), which is 256";
        assert!(told(Some(256)).ends_with(fix), "{}", told(Some(256)));
        for most in [Some(1_024), None] {
            assert!(told(most).ends_with("run fewer nodes"), "{}", told(most));
        }
    }

    #[test]
    fn addresses_are_free_once_the_book_is_written() {
        let plan = testkit::plan(5, Duration::from_secs(1));
        let book = Book::on_loopback(&plan).unwrap();
        for node in 0..5 {
            assert!(UdpSocket::bind(book.addr(node)).is_ok());
            assert!(TcpListener::bind(book.addr(node)).is_ok());
        }
    }
}
