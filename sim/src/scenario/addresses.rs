//! Which node has which address: a rule, so that nothing needs to be looked up by hash.
//!
//! Node `i` has the address 10.0.1.0 + `i`, port 8000. A node that restarts at a new address
//! keeps its number; the new addresses follow those of all nodes that the plan ever has.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::plan::{NodeNo, Plan};

const FIRST: u32 = 0x0a00_0100;
const PORT: u16 = 8000;

/// The address with a number; that of node `i` has the number `i`.
pub fn address(number: u32) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(FIRST + number)), PORT)
}

/// The number of an address, if it is one that plans give.
pub fn number(address: SocketAddr) -> Option<u32> {
    match address {
        SocketAddr::V4(v4) if v4.port() == PORT => v4.ip().to_bits().checked_sub(FIRST),
        _ => None,
    }
}

/// The way back from an address to the node that has it, or had it before it moved.
#[derive(Clone, Debug)]
pub struct AddressBook {
    nodes_ever: u32,
    /// The node at each address above those of the nodes' own.
    moved: Vec<NodeNo>,
}

impl AddressBook {
    /// The addresses of a plan.
    pub fn of(plan: &Plan) -> Self {
        let numbers = plan.incarnations.iter().filter_map(|incarnation| {
            let number = number(incarnation.public.addr())?;
            Some((number.checked_sub(plan.nodes_ever)?, incarnation.node))
        });
        let mut pairs: Vec<(u32, NodeNo)> = numbers.collect();
        pairs.sort_unstable();
        pairs.dedup();
        Self {
            nodes_ever: plan.nodes_ever,
            moved: pairs.into_iter().map(|(_, node)| node).collect(),
        }
    }

    /// The node at an address.
    pub fn node(&self, address: SocketAddr) -> Option<NodeNo> {
        let number = number(address)?;
        if number < self.nodes_ever {
            return Some(number);
        }
        self.moved.get((number - self.nodes_ever) as usize).copied()
    }

    /// How many addresses there are.
    pub fn len(&self) -> usize {
        self.nodes_ever as usize + self.moved.len()
    }

    /// Never: a plan has at least one node.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
